# SPDX-License-Identifier: MIT
"""The operators' page while its user works and everything on it changes: focus, clicks, selection, messages."""
import time

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from support.dashboard_page import focused, message, open_page, refreshed
from support.wait import wait_until

ORDER = "return [...document.querySelectorAll('#hot li .title')].map(e => e.textContent)"
ARTICLE = "return document.getElementById('hand').elements.article.value"


@pytest.fixture
def marked(service):
    """An editorial rule in force, and none afterwards."""
    service.keyed("PUT", "/v1/sample/items/plum-cake/editorial", {"boost": 1.5, "note": "for the tests"})
    yield "plum-cake"
    for mark in service.keyed("GET", "/v1/sample/editorial").json["editorial"]:
        service.keyed("DELETE", f"/v1/sample/items/-/editorial?id={mark['item']}")


def press(browser, *keys):
    ActionChains(browser.driver, duration=0).send_keys(*keys).perform()


def press_back(browser):
    ActionChains(browser.driver, duration=0).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()


def stir(service, round=[0]):
    """Another item comes first: votes for the one that is last of ten."""
    round[0] += 1
    entries = service.get("/v1/sample/rankings/hot?limit=10").json["items"]
    for n in range(60):
        service.keyed("POST", f"/v1/sample/items/{entries[-1]['item']}/votes", Engaged_Visitor=f"stir-{round[0]}-{n}")
    wait_until(lambda: service.get("/v1/sample/rankings/hot?limit=10").json["items"][0]["item"] == entries[-1]["item"], 10, "the order changes")
    return entries[-1]["title"]


def order_is(browser, first):
    browser.until("return document.querySelector('#hot li .title').textContent === arguments[0]", first)


def test_tab_reaches_everything_at_four_a_second(service, browser, marked):
    """At the page's own pace of two seconds. The lists, the form, Remove, then on to the texts of the last panel."""
    open_page(browser, service, quick=False)
    browser.until("return document.querySelector('#editorial tr')")
    seen, wanted = [], {"article", "note", "Remove " + marked}
    browser.run("document.getElementById('key').focus()")
    while not wanted <= set(seen) and len(seen) < 90:
        press(browser, Keys.TAB)
        seen.append(focused(browser))
        time.sleep(0.25)
    edits = [name for name in seen if name.startswith("Edit ")]
    assert wanted <= set(seen), seen
    assert len(edits) >= 15 and seen.index("article") > seen.index(edits[14]), seen  # both lists come before the form
    for _ in range(12):
        press(browser, Keys.TAB)
    assert focused(browser) != "BODY"
    press_back(browser)
    assert browser.errors() == []


def test_focus_stays_while_the_order_changes(service, browser):
    open_page(browser, service)
    browser.run("document.querySelectorAll('#hot button')[4].focus()")
    before = focused(browser)
    order_is(browser, stir(service))
    refreshed(browser)
    assert before.startswith("Edit ") and focused(browser) == before
    press(browser, Keys.ENTER)
    title = browser.run("return document.getElementById('hand-of').textContent")
    assert title == "Editing: " + before[5:] and focused(browser) == "pin"


def test_a_press_held_over_a_refresh_is_a_click(service, browser):
    open_page(browser, service)
    browser.run("document.querySelectorAll('#hot li')[3].scrollIntoView({ block: 'center' })")
    button = browser.driver.find_elements(By.CSS_SELECTOR, "#hot li button")[6]
    name = button.get_attribute("aria-label")
    ActionChains(browser.driver, duration=0).click_and_hold(button).perform()
    first = stir(service)
    refreshed(browser, 3)
    assert browser.run(ORDER)[0] != first  # nothing moves under the pointer
    ActionChains(browser.driver, duration=0).release().perform()
    browser.until("return document.getElementById('hand-of').textContent === arguments[0]", "Editing: " + name[5:])
    assert browser.run(ARTICLE) != ""
    order_is(browser, first)


def test_selection_and_scrolling_stay(service, browser):
    open_page(browser, service)
    browser.run("scrollTo(0, 500); const range = new Range(), rows = document.querySelectorAll('#hot li'); range.setStart(rows[2].querySelector('.title').firstChild, 2);"
                "range.setEnd(rows[2].querySelector('.meta').firstChild, 5); getSelection().removeAllRanges(); getSelection().addRange(range)")
    selected, top = browser.run("return [getSelection().toString(), scrollY]")
    assert len(selected) > 10 and top == 500
    order_is(browser, stir(service))
    refreshed(browser)
    assert browser.run("return [getSelection().toString(), scrollY]") == [selected, top]


def test_a_selected_number_stays_selected_when_it_changes(service, browser):
    open_page(browser, service)
    browser.run("getSelection().selectAllChildren(document.querySelectorAll('#processes dd span')[3])")
    for n in range(3):
        refreshed(browser)
        assert browser.run("return getSelection().toString() === document.querySelectorAll('#processes dd span')[3].textContent")


def test_messages_stay_until_the_next_act(service, browser):
    open_page(browser, service)
    browser.run("const form = document.getElementById('hand'); form.elements.article.value = 'plum-cake'; form.requestSubmit()")
    browser.until("return document.getElementById('message').textContent.includes('one of pin')")
    refreshed(browser, 4)
    assert "one of pin" in message(browser)
    assert browser.run("const box = document.getElementById('message').getBoundingClientRect(); scrollTo(0, 5000); return box.height") > 10
    assert browser.run("return document.getElementById('message').getBoundingClientRect().top") < 60  # it stays in sight
    browser.run("document.querySelector('#hot li button').click()")
    assert message(browser) == ""


def test_escape_closes(service, browser):
    open_page(browser, service)
    browser.run("document.querySelectorAll('#hot button')[2].focus()")
    opener = focused(browser)
    press(browser, Keys.SPACE)
    assert focused(browser) == "pin" and browser.run(ARTICLE)
    press(browser, Keys.ESCAPE)
    assert focused(browser) == opener and browser.run(ARTICLE) == ""
    browser.run("document.querySelector('#panel-hot summary').focus()")
    press(browser, Keys.ENTER)
    assert browser.run("return document.querySelector('#panel-hot details').open")
    refreshed(browser)
    press(browser, Keys.ESCAPE)
    assert not browser.run("return document.querySelector('#panel-hot details').open")
    browser.run("document.getElementById('hand').elements.article.value = 'plum-cake'; document.getElementById('hand').requestSubmit()")
    browser.until("return document.getElementById('message').textContent !== ''")
    press(browser, Keys.ESCAPE)
    assert message(browser) == ""


def test_remove_by_keyboard_leaves_the_focus_beside_it(service, browser, marked):
    service.keyed("PUT", "/v1/sample/items/bees-count/editorial", {"boost": 2})
    open_page(browser, service)
    browser.until("return document.querySelectorAll('#editorial tr').length === 2")
    names = browser.run("return [...document.querySelectorAll('#editorial tr')].map(e => e.cells[0].textContent)")
    browser.run("document.querySelector('#editorial tr button:last-child').focus()")
    press(browser, Keys.SPACE)
    browser.until("return document.querySelectorAll('#editorial tr').length === 1")
    assert focused(browser) == "Remove " + names[1] and message(browser) == f"Removed: {names[0]}."
    press(browser, Keys.ENTER)
    browser.until("return document.querySelectorAll('#editorial tr').length === 0")
    assert browser.run("return document.activeElement.id") == "hand"
    assert service.keyed("GET", "/v1/sample/editorial").json == {"editorial": []}


def test_a_row_that_is_no_longer_listed_stays_while_it_has_the_focus(service, browser, marked):
    open_page(browser, service)
    browser.until("return document.querySelector('#editorial tr')")
    browser.run("document.querySelector('#editorial button').focus()")
    service.keyed("DELETE", f"/v1/sample/items/{marked}/editorial")
    browser.until("return document.querySelector('#editorial tr.gone')")
    refreshed(browser)
    assert focused(browser) == "Edit " + marked
    press_back(browser)
    browser.until("return !document.querySelector('#editorial tr')")
    assert focused(browser) != "BODY"


def test_little_is_spoken(service, browser):
    """Two regions speak; while all is well nothing in them changes, whatever the numbers do."""
    open_page(browser, service)
    refreshed(browser)
    assert browser.run("return [...document.querySelectorAll('[role=status], [role=alert], [role=log], [aria-live], output')].map(e => e.id)") == ["message", "state"]
    browser.run("window.spoken = 0; ['message', 'state'].forEach(id => new MutationObserver(list => { spoken += list.length; })"
                ".observe(document.getElementById(id), { childList: true, characterData: true, subtree: true, attributes: true }))")
    stir(service)
    refreshed(browser, 4)
    assert browser.run("return spoken") == 0
    assert browser.errors() == []


def test_rows_are_the_same_elements(service, browser):
    open_page(browser, service)
    browser.until("return document.querySelectorAll('#hot li').length === 10")
    browser.run("window.rows = new Map([...document.querySelectorAll('#hot li')].map(e => [e.querySelector('.title').textContent, e]))")
    order_is(browser, stir(service))
    refreshed(browser)
    assert browser.run("return [...document.querySelectorAll('#hot li')].filter(e => rows.get(e.querySelector('.title').textContent) === e).length") == 10
    shown = [(e["title"], e["votes"]["up"], e["views"]) for e in service.get("/v1/sample/rankings/hot").json["items"]]
    assert [title for title, _, _ in shown] == browser.run(ORDER)
    texts = browser.run("return [...document.querySelectorAll('#hot li .meta')].map(e => e.textContent)")
    assert [text.split(" · ")[1:] for text in texts] == [[f"up {votes}", f"{views} views"] for _, votes, views in shown]
