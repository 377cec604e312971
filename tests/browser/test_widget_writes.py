# SPDX-License-Identifier: MIT
"""What the widget does when a write is refused for now, when a token is no longer accepted, and when the reader leaves."""
import pytest

from support.demo_page import BUTTON, count, ready, url
from support.wait import wait_until

# Each write as it leaves the page; what `refuse` returns for one is answered in the service's place.
WATCHED = """
    window.writes = [];
    const real = window.fetch;
    window.fetch = (target, options) => {
        const method = (options || {}).method || 'GET', refused = window.refuse ? window.refuse(method, target) : null;
        if (method !== 'GET') writes.push({ method, target, at: performance.now(), keepalive: options.keepalive === true });
        return refused ? Promise.resolve(refused) : real(target, options);
    };"""
SENT = "writes.filter(w => w.target.endsWith('/votes'))"


def open_watched(browser, service, item, more=""):
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCHED + more})
    browser.open(url(service, item))
    ready(browser)


def kept_token(browser):
    return browser.run("return JSON.parse(localStorage.getItem(Object.keys(localStorage).find(k => k.endsWith('visitor'))))")


@pytest.mark.contract("Behaviour", "It gets its visitor token once")
def test_a_token_that_is_refused_is_renewed_and_the_vote_counts(service, browser):
    item, forged = "moss-roof", "ev1." + "A" * 48
    before = count(service, item)
    browser.open(url(service, item))
    ready(browser)
    wait_until(lambda: kept_token(browser), 10, "the first token")
    browser.run("const name = Object.keys(localStorage).find(k => k.endsWith('visitor'));"
                "localStorage.setItem(name, JSON.stringify(arguments[0]))", forged)
    browser.run(f"{BUTTON}.click()")
    wait_until(lambda: count(service, item) == before + 1, 10, "the vote counts under a new token")
    token = kept_token(browser)
    assert token.startswith("ev1.") and token != forged
    assert service.get(f"/v1/sample/me?id={item}", Engaged_Visitor=token).json["votes"] == {item: "up"}


def test_a_write_outlives_its_page(service, browser):
    """The browser is asked to send what is under way also when the page is left."""
    open_watched(browser, service, "plum-cake")
    browser.run(f"{BUTTON}.click()")
    browser.until(f"return {SENT}.length && writes.some(w => w.target.endsWith('/views'))")
    assert browser.run("return writes.filter(w => w.method === 'POST' && !w.keepalive)") == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_refused_vote_is_sent_again_when_the_service_says_so(service, browser, status):
    item, wait_s = "bees-count" if status == 429 else "night-buses-return", 3
    before = count(service, item)
    open_watched(browser, service, item, f"""
        let refusals = 1;
        window.refuse = (method, target) => method === 'POST' && target.endsWith('/votes') && refusals-- > 0 &&
            new Response('{{"code":"too_many_requests"}}', {{ status: {status}, headers: {{ 'Retry-After': '{wait_s}' }} }});""")
    browser.run(f"{BUTTON}.click()")
    wait_until(lambda: count(service, item) == before + 1, 15, "sent again")
    first, second = browser.run(f"return {SENT}.map(w => w.at)")
    assert 1000 * wait_s <= second - first < 1000 * wait_s + 3000
