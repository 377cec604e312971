# SPDX-License-Identifier: MIT
"""The operators' page in a real browser: the key, the numbers, the editor's hand."""
import time


def enter(browser, service, key="k", site="sample"):
    browser.open(f"http://127.0.0.1:{service.ops_port}/dashboard")
    browser.run("document.getElementById('site').value = arguments[0]; document.getElementById('key').value = arguments[1];"
                "document.getElementById('enter').requestSubmit()", site, key)


def hot(service):
    return [entry["item"] for entry in service.get("/v1/sample/rankings/hot").json["items"]]


def test_a_wrong_key_says_so(service, browser):
    enter(browser, service, "wrong")
    browser.until("return document.getElementById('message').textContent === 'The secret key is wrong'")
    assert browser.run("return document.getElementById('main').hidden")
    assert browser.run("return document.getElementById('hot').children.length") == 0


def test_numbers_live(service, browser):
    enter(browser, service)
    browser.until("return document.querySelectorAll('#hot li button').length === 10")
    titles = {entry["title"] for entry in service.get("/v1/sample/rankings/hot").json["items"]}
    assert set(browser.run("return [...document.querySelectorAll('#hot li span')].map(e => e.textContent)")) == titles
    for n in range(40):
        service.keyed("POST", f"/v1/sample/items/bees-count/views", Engaged_Visitor=f"d{n}")
        service.keyed("POST", f"/v1/sample/items/bees-count/views", Engaged_Visitor=f"d{n}")
    browser.until("return Number(document.getElementById('rate-views').textContent) > 5")
    assert browser.run("return document.getElementById('line-views').getAttribute('points').length") > 5
    dropped = "return Object.fromEntries([...document.querySelectorAll('#dropped dt')].map(e => [e.textContent, e.nextSibling.textContent]))"
    assert int(browser.run(dropped)["views: repeat"].replace(",", "")) >= 40
    health = browser.run(dropped.replace("dropped", "health"))
    assert health["lag of rankings"].endswith(" s") and health["processes ready"] == "2"
    time.sleep(5.5)  # the projector asks Redis every five seconds
    browser.until("return parseFloat([...document.querySelectorAll('#health dt')].find(e => e.textContent === 'Redis memory')"
                  ".nextSibling.textContent) > 0.5")
    assert [e for e in browser.errors() if "401" not in e] == []


def test_the_editors_hand(service, browser):
    enter(browser, service)
    browser.until("return document.querySelectorAll('#hot li button').length === 10")
    first = hot(service)[0]
    browser.run("document.querySelector('#hot li button').click()")
    assert browser.run("return document.getElementById('hand').elements.article.value") == first
    browser.run("const form = document.getElementById('hand'); form.elements.block.checked = true;"
                "form.elements.note.value = 'wrong facts'; form.requestSubmit()")
    browser.until("return document.querySelector('#editorial td').textContent === arguments[0]", first)
    deadline = time.time() + 5
    while first in hot(service) and time.time() < deadline:
        time.sleep(0.05)
    assert first not in hot(service)
    browser.picture("dashboard-desktop", 1280, 1300)
    browser.picture("dashboard-desktop-dark", 1280, 1300, dark=True)
    browser.picture("dashboard-phone", 390, 2600)
    browser.run("document.querySelector('#editorial button').click()")
    browser.until("return document.querySelectorAll('#editorial tr').length === 0")
    assert service.keyed("GET", "/v1/sample/editorial").json == {"editorial": []}
    browser.run("const form = document.getElementById('hand'); form.reset(); form.elements.article.value = 'x'; form.requestSubmit()")
    browser.until("return document.getElementById('message').textContent.includes('one of pin')")
