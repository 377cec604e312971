# SPDX-License-Identifier: MIT
"""The operators' page: who did what with which key, and how often; of one key, if one is chosen."""
import hashlib

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from support.dashboard_page import enter, url, watch
from support.service import Service
from support.wait import wait_until

ROWS = "return [...document.querySelectorAll(`#${arguments[0]} tr`)].map(row => [...row.cells].map(cell => cell.textContent))"
ODD = "https://news.example/<b>a</b>"


@pytest.fixture(scope="module")
def audited():
    keys = "".join(f"key.{name} = sha256:{hashlib.sha256(name.encode()).hexdigest()}\n" for name in ("cms", "desk"))
    running = Service(configuration=f"[site sample]\n{keys}")

    def call(key, method, path, body=None):
        return running.request(method, "/v1/sample" + path, body, Authorization=f"Bearer {key}")

    assert call("cms", "PUT", "/items/first", {"title": "First"}).status == 200
    assert call("desk", "PUT", "/items/first/editorial", {"pin": 3}).status == 200
    assert call("desk", "DELETE", "/items/-?id=" + "".join(f"%{byte:02X}" for byte in ODD.encode())).status == 204
    assert call("desk", "PUT", "/items/first/editorial", {}).status == 400
    assert call("cms", "GET", "/corrections").status == 200
    wait_until(lambda: running.keyed("GET", "/v1/sample/audit").json["sums"], 20, "the counts are there")
    yield running
    running.stop()


def wait_rows(browser, panel, *wanted):
    """Without the times, which are the first column, or the last two."""
    def shown(rows):
        return [row[1:] if panel == "audit" else row[:3] for row in rows]

    browser.until(f"return ({ROWS.replace('return ', '')}).length === arguments[1]", panel, len(wanted))
    assert shown(browser.run(ROWS, panel)) == [list(row) for row in wanted]


def test_changes_and_counts_by_key(browser, audited):
    watch(browser)
    browser.open(url(audited))
    enter(browser)
    browser.until("return document.querySelectorAll('#audit tr').length")
    refused, deleted = ("desk", "PUT items/{item}/editorial", "first", "400"), ("desk", "DELETE items/{item}", ODD, "204")
    pinned, put = ("desk", "PUT items/{item}/editorial", "first", "200"), ("cms", "PUT items/{item}", "first", "200")
    wait_rows(browser, "audit", refused, deleted, pinned, put)
    browser.until("return document.querySelector('#audit-sums').textContent.includes('cms')")
    assert ["cms", "GET corrections", "1"] in [row[:3] for row in browser.run(ROWS, "audit-sums")]
    assert browser.run("return [...document.querySelectorAll('#audit-key option')].map(e => e.textContent)") == ["All keys", "cms", "desk", "secret_key"]
    assert browser.run("return document.getElementById('audit-key').labels[0].textContent").startswith("Key ")
    browser.run("document.getElementById('panel-audit').scrollIntoView()")
    browser.picture("dashboard-audit", height=1100)
    browser.run("document.querySelectorAll('section').forEach(e => { e.hidden = !e.id.startsWith('panel-audit'); })")
    browser.picture("dashboard-audit-narrow", width=390, height=1600, dark=True)
    browser.run("document.querySelectorAll('section').forEach(e => { e.hidden = false; })")
    browser.run("document.getElementById('audit-key').focus()")
    ActionChains(browser.driver, duration=0).send_keys("d").send_keys(Keys.TAB).perform()  # by keyboard alone
    wait_rows(browser, "audit", refused, deleted, pinned)
    browser.until("return document.querySelector('#panel-audit-sums .hint').textContent === 'None.'")
    assert audited.request("PUT", "/v1/sample/items/second", {"title": "t"}, Authorization="Bearer desk").status == 200
    browser.run("const form = document.getElementById('hand'); form.elements.article.value = 'second'; form.elements.pin.value = 2; form.requestSubmit()")
    browser.until("return document.querySelectorAll('#audit tr').length === 4")  # all is asked for again
    assert browser.run("return document.getElementById('audit-key').value") == "desk", "the choice outlives an answer"
    browser.run("document.querySelector('#panel-audit details').open = true")
    browser.until("return /PUT items\\/\\{item\\} +second +200/.test(document.querySelector('#panel-audit pre').textContent)")
    assert browser.errors() == []
