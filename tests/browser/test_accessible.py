# SPDX-License-Identifier: MIT
"""axe-core finds no fault on any page. It comes by npm (`make deps-browser`); where it is not there, the tests say so."""
import os

import pytest

from support.dashboard_page import open_page
from support.demo_page import BUTTON
from support.wait import wait_until

AXE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                   "engaged-browser/node_modules/axe-core/axe.min.js")
FILLED = """return [...document.querySelectorAll('engaged-list')].every(list => list.entries) &&
    /\\d/.test(document.querySelector('engaged-vote').shadowRoot.textContent)"""
PAGES = {"demo": "", "in-the-text": "&page=text", "right-to-left": "&page=text&dir=rtl", "dark": "&dark=1", "german": "&lang=de",
         "forced-colours": "&page=text", "planted": ""}
pytestmark = pytest.mark.skipif(not os.path.exists(AXE), reason="axe-core is not there: make deps-browser, which needs npm")


def violations(browser):
    with open(AXE, encoding="utf-8") as file:
        browser.run(file.read() + "; window.axe = axe;")
    found = browser.driver.execute_async_script("""const done = arguments[0];
        axe.run(document).then(answer => done(answer.violations.map(v => [v.id, v.nodes.map(n => n.html)])), e => done([String(e)]));""")
    return found


def emulate(browser, **features):
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]})


def votes(service):
    return service.get("/v1/sample/items/river-bath").json["votes"]["up"]


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_violation_on_a_page(service, browser, name):
    emulate(browser, forced_colors="active" if name == "forced-colours" else "none")
    browser.open(f"http://127.0.0.1:{service.port}/?item=river-bath{PAGES[name]}")
    browser.until(FILLED)
    before = votes(service)
    browser.run(f"{BUTTON}.click()")
    browser.until(f"return {BUTTON}.getAttribute('aria-pressed') === 'true'")
    wait_until(lambda: votes(service) == before + 1, 25, "the vote is counted")
    if name == "planted":
        browser.run("document.querySelector('engaged-list').shadowRoot.querySelector('img').removeAttribute('alt')")
        assert [rule for rule, _ in violations(browser)] == ["image-alt"]
    else:
        assert violations(browser) == []
    browser.run(f"{BUTTON}.click()")
    browser.until(f"return {BUTTON}.getAttribute('aria-pressed') === 'false'")
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    wait_until(lambda: votes(service) == before, 25, "the vote is taken back before the next page is opened")


def test_axe_finds_no_violation_on_the_dashboard(service, browser):
    browser.open(f"http://127.0.0.1:{service.ops_port}/dashboard")
    browser.until("return document.querySelector('h1, form, input')")
    assert violations(browser) == []


@pytest.mark.parametrize("features", [{}, {"prefers_color_scheme": "dark"}, {"forced_colors": "active"}], ids=["light", "dark", "forced-colours"])
def test_axe_finds_no_violation_on_the_dashboard_at_work(service, browser, features):
    emulate(browser, **features)
    service.keyed("PUT", "/v1/sample/items/plum-cake/editorial", {"boost": 1.5, "note": "for the tests"})
    open_page(browser, service)
    browser.until("return document.querySelector('#editorial tr')")
    assert violations(browser) == []
    service.keyed("DELETE", "/v1/sample/items/plum-cake/editorial")
