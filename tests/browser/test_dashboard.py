# SPDX-License-Identifier: MIT
"""The operators' page in a real browser: the key, the numbers, the editorial rules."""
import time
from urllib.parse import quote

import pytest

from support.dashboard_page import enter, facts, message, open_page, refreshed, url
from support.wait import wait_until

MAIN_HIDDEN = "return document.getElementById('main').hidden"
ROWS = "return document.querySelectorAll('#editorial tr').length"


def hot(service):
    return [entry["item"] for entry in service.get("/v1/sample/rankings/hot").json["items"]]


@pytest.fixture
def no_marks(service):
    yield
    for mark in service.keyed("GET", "/v1/sample/editorial").json["editorial"]:
        service.keyed("DELETE", f"/v1/sample/items/-/editorial?id={mark['item']}")


def fill(browser, **fields):
    """The editor's form, sent; a switch is True."""
    browser.run("const form = document.getElementById('hand'); form.reset(); Object.entries(arguments[0]).forEach(([name, value]) => {"
                "if (value === true) form.elements[name].checked = true; else form.elements[name].value = value; }); form.requestSubmit()", fields)


# ---- The key

def test_the_page_asks_for_the_key_and_for_nothing_else(service, browser):
    assert service.request("GET", "/dashboard", port=service.ops_port).status == 200
    open_page(browser, service, key=None)
    browser.until("return document.activeElement.id === 'key'")
    browser.run("document.getElementById('enter').requestSubmit()")
    assert browser.run("return asked") == [] and browser.run(MAIN_HIDDEN) and message(browser) == ""
    assert browser.run("return document.querySelectorAll('#enter [name]').length") == 0  # nothing of it can get into an address
    assert browser.errors() == []


def test_a_wrong_key_says_so_and_the_right_one_enters(service, browser):
    open_page(browser, service, key=None)
    enter(browser, "wrong")
    browser.until("return document.getElementById('message').textContent === 'The secret key is wrong.'")
    assert browser.run(MAIN_HIDDEN) and browser.run("return document.querySelectorAll('#hot li').length") == 0
    assert browser.run("const key = document.getElementById('key'); return key === document.activeElement && key.ariaInvalid") == "true"
    assert browser.run("return sessionStorage.length") == 0
    enter(browser, "schlüssel-☃")  # cannot even be sent
    browser.until("return document.getElementById('message').textContent.startsWith('No key looks like')")
    enter(browser, " k ")
    browser.until("return document.querySelectorAll('#hot li').length === 10")
    assert browser.run("return document.getElementById('key').ariaInvalid") is None and message(browser) == ""
    assert browser.errors() == []


def test_a_wrong_site_says_so(own, browser):
    declared = own(sites="declared", configuration="[site news]\nsecret_key = n-key\n")
    open_page(browser, declared, key=None)
    enter(browser, "k", "sample")
    browser.until("return document.getElementById('message').textContent === 'The site is not declared.'")
    assert browser.run("return document.activeElement.id") == "site" and browser.run(MAIN_HIDDEN)
    enter(browser, "n-key", "news")
    browser.until("return !document.getElementById('main').hidden")
    assert browser.run("return document.getElementById('site-name').textContent") == "news"
    assert browser.errors() == []


def test_the_key_stays_in_this_tab(own, browser):
    other = own(secret_key="a-long-secret")
    open_page(browser, other, key=None)
    enter(browser, "a-long-secret", "sample")
    browser.until("return !document.getElementById('main').hidden")
    assert browser.run("return Object.values(sessionStorage)") == ["a-long-secret"]
    assert browser.run("return JSON.stringify(localStorage) + document.cookie + location.href").count("a-long-secret") == 0
    browser.driver.refresh()
    browser.until("return !document.getElementById('main').hidden")
    browser.new_tab()
    browser.open(url(other))
    browser.until("return document.activeElement.id === 'key'")
    assert browser.run(MAIN_HIDDEN) and browser.run("return document.getElementById('key').value") == ""
    assert browser.errors() == []


# ---- What it shows

def test_numbers_live(service, browser):
    open_page(browser, service)
    browser.until("return document.querySelectorAll('#hot li button').length === 20")
    titles = {entry["title"] for entry in service.get("/v1/sample/rankings/hot").json["items"]}
    assert set(browser.run("return [...document.querySelectorAll('#hot li .title')].map(e => e.textContent)")) == titles
    for n in range(40):
        service.keyed("POST", "/v1/sample/items/bees-count/views", Engaged_Visitor=f"d{n}")
        service.keyed("POST", "/v1/sample/items/bees-count/views", Engaged_Visitor=f"d{n}")
    browser.until("return [...document.querySelectorAll('#line-views')].some(e => e.getAttribute('points').length > 5)"
                  "&& Number(document.getElementById('rate-most').textContent) > 5")
    browser.run("document.querySelector('#panel-rate details').open = true")
    refreshed(browser)
    table = [line.split()[1:] for line in browser.run("return document.querySelector('#panel-rate pre').textContent").splitlines()]
    assert table[0] == ["views", "votes"] and {row[1] for row in table[1:]} == {"0"} and any(float(row[0].replace(",", "")) > 5 for row in table[1:])
    repeats = "return [...document.querySelectorAll('#dropped tr')].find(e => e.cells[0].textContent === 'Views: the same reader again')"
    browser.until(repeats + ".cells[2].textContent.replace(',', '') >= 40")
    assert browser.run(repeats + ".cells[1].textContent").replace(",", "").isdigit()
    assert facts(browser, "projection")["lag of rankings"].endswith(" s")
    assert [facts(browser, "processes")[name] for name in ("workers ready", "projectors ready")] == ["1", "1"]
    assert facts(browser, "redis")["links ready"] == "2" and facts(browser, "redis")["errors"] == "0"
    # The projector asks Redis every five seconds.
    wait_until(lambda: float(facts(browser, "redis")["Redis memory"].split()[0]) > 0.5, 20, "the memory of Redis is shown")
    assert browser.run("return document.getElementById('state').textContent") == "All is well."
    assert browser.errors() == []


def test_a_refused_write_and_a_crawler_are_among_what_was_not_counted(service, browser):
    open_page(browser, service)
    service.post("/v1/sample/items/bees-count/views", User_Agent="Googlebot/2.1 (+http://www.google.com/bot.html)")
    shown = "return [...document.querySelectorAll('#dropped tr')].find(e => e.cells[0].textContent === 'Views: crawlers and monitors')"
    browser.until(shown + ".cells[2].textContent >= 1")
    assert "Refused: votes" in browser.run("return document.querySelector('#panel-dropped .hint').textContent")


def test_each_panel_is_there_as_text(service, browser):
    open_page(browser, service)
    browser.run("document.querySelector('#hot li button:last-child').click()")  # the charts of an item
    refreshed(browser)
    panels = browser.run("return [...document.querySelectorAll('main section')].map(e => e.id)")
    assert len(panels) >= 14
    browser.run("document.querySelectorAll('main details').forEach(e => { e.open = true; })")
    refreshed(browser)
    texts = dict(browser.run("return [...document.querySelectorAll('main section')].map(e => [e.id, e.querySelector('details pre, details table').textContent])"))
    assert all(texts[panel] for panel in panels)
    first = service.get("/v1/sample/rankings/hot").json["items"][0]
    assert f"1. {first['title']} [{first['item']}] score " in texts["panel-hot"]
    assert texts["panel-rate"].splitlines()[0].split() == ["time", "views", "votes"] and "links ready: 2" in texts["panel-redis"]


def test_data_never_become_markup_or_scripts(service, browser):
    for item, address in (("<b>x</b>", "javascript:alert(1)"), ("good", 'https://x.example/a?b="c')):
        path = "/v1/odd/items/" + quote(item, safe="")
        service.keyed("PUT", path, {"title": f"<img src=x onerror=alert(1)> {item}"})
        service.keyed("PUT", path, {"title": f"<i>{item}</i>", "url": address})  # may be refused
        assert service.keyed("POST", path + "/views", Engaged_Visitor="u").status == 202
    service.keyed("PUT", "/v1/odd/items/-/editorial?id=%3Cb%3Ex%3C%2Fb%3E", {"boost": 2, "note": "<script>alert(1)</script>"})
    open_page(browser, service, site="odd")
    browser.until("return document.querySelectorAll('#hot li').length === 2 && document.querySelector('#editorial tr')")
    assert browser.run("return document.querySelectorAll('main li b, main li i, main img, main script, main tr b').length") == 0
    links = browser.run("return [...document.querySelectorAll('#hot a')].map(e => [e.getAttribute('href'), e.rel])")
    assert links in ([], [['https://x.example/a?b="c', "noopener noreferrer"]])
    assert browser.run("return document.querySelector('#editorial tr').textContent").endswith("<script>alert(1)</script>EditRemove")
    assert browser.errors() == []


# ---- Editorial rules

def test_the_editors_hand(service, browser, no_marks):
    open_page(browser, service)
    first = hot(service)[0]
    browser.run("document.querySelector('#hot li button').click()")
    item = browser.run("return document.getElementById('hand').elements.article.value")
    assert item in hot(service)[:3] + [first]
    fill(browser, article=first, block=True, note="wrong facts")
    browser.until("return document.querySelector('#editorial tr').cells[0].textContent === arguments[0]", first)
    wait_until(lambda: first not in hot(service), 10, "blocked")
    assert message(browser).endswith(": blocked.")
    browser.picture("dashboard-desktop", 1280, 2000)
    browser.picture("dashboard-desktop-dark", 1280, 2000, dark=True)
    browser.picture("dashboard-phone", 390, 4600)
    browser.run("[...document.querySelectorAll('#editorial button')].find(e => e.textContent === 'Remove').click()")
    browser.until("return document.querySelectorAll('#editorial tr').length === 0")
    assert service.keyed("GET", "/v1/sample/editorial").json == {"editorial": []}
    assert message(browser) == f"Removed: {first}."
    assert browser.errors() == []


def test_a_mark_is_shown_whole_and_edited_whole(service, browser, no_marks):
    until = int(time.time()) // 60 * 60 + 7200
    service.keyed("PUT", "/v1/sample/items/plum-cake/editorial",
                  {"pin": 3, "boost": 2.5, "bury": True, "lists": ["related", "recommendation"], "until": until, "note": "ask Ada"})
    open_page(browser, service)
    browser.until(ROWS + " === 1")
    cells = browser.run("return [...document.querySelector('#editorial tr').cells].map(e => e.textContent)")
    assert cells[:3] == ["plum-cake", "slot 3, × 2.5, buried", "related, recommendation"] and cells[4] == "ask Ada"
    assert "hour" in cells[3] or "minutes" in cells[3]
    browser.run("document.querySelector('#editorial button').click()")  # Edit
    before = service.keyed("GET", "/v1/sample/editorial").json["editorial"][0]
    browser.run("document.getElementById('hand').requestSubmit()")
    browser.until("return document.getElementById('message').textContent.endsWith('slot 3, × 2.5, buried.')")
    after = service.keyed("GET", "/v1/sample/editorial").json["editorial"][0]
    assert before.pop("set_at") != after.pop("set_at") and before == after
    assert browser.errors() == []


def test_refused_and_doubtful_marks_say_so(service, browser, no_marks):
    open_page(browser, service)
    fill(browser, article="plum-cake")
    browser.until("return document.getElementById('message').textContent.includes('one of pin')")
    fill(browser, article="no-such-article", pin="1")
    browser.until("return document.getElementById('message').textContent.includes('No card is known for this item')")
    fill(browser, article="plum-cake", pin="1", until="2020-01-01T10:00")
    browser.until("return document.getElementById('message').textContent.includes('over already')")
    assert [mark["item"] for mark in service.keyed("GET", "/v1/sample/editorial").json["editorial"]] == ["no-such-article"]
    assert browser.errors() == []
