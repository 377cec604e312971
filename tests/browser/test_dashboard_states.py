# SPDX-License-Identifier: MIT
"""The operators' page when something is wrong: Redis or the service away, a key that is no longer good, a strict policy. Whatever
happens, the browser's console stays without an error. And how it looks: small, large, dark, in forced colours."""
import contextlib
import os
import re
import signal

import pytest

from support.dashboard_page import enter, facts, message, open_page, refreshed, strict_proxy
from support.service import Service

STATE = "return document.getElementById('state').textContent"
WELL = STATE + " === 'All is well.'"


@pytest.fixture(scope="module")
def fragile():
    """A service for this file, which it breaks; it is whole again after each test."""
    running = Service(redis_timeout="2s", memory_limit="64MiB")
    for n in range(12):
        running.keyed("PUT", f"/v1/sample/items/item-{n}", {"title": f"Item number {n}"})
        running.keyed("POST", f"/v1/sample/items/item-{n}/views", Engaged_Visitor="u")
    yield running
    running.stop()


@contextlib.contextmanager
def frozen(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def away(service, **settings):
    """Ended in between, and started again, perhaps with other settings."""
    service.process.terminate()
    assert service.process.wait(30) == 0
    try:
        yield
    finally:
        service.settings.update(settings)
        service.process = service.spawn()
        service.wait_ready([service.process])


def test_redis_away(fragile, browser):
    open_page(browser, fragile)
    browser.until(WELL)
    with frozen(fragile.redis_pid()):
        browser.until(STATE + " !== 'All is well.'", seconds=20)
        browser.until("return document.querySelector('#panel-editorial .problem').textContent.startsWith('Not up to date.')", seconds=20)
        assert not browser.run("return document.getElementById('main').hidden")
        # The numbers of the service itself go on.
        at, requests = browser.run("return document.getElementById('as-of').textContent"), facts(browser, "processes")["requests"]
        browser.until("return document.getElementById('as-of').textContent !== arguments[0]", at, seconds=20)
        assert requests.endswith(" /s") and browser.run("return document.querySelector('#panel-processes .problem').textContent") == ""
        assert browser.run("return document.querySelectorAll('#hot li').length") == 10  # what was last seen
    browser.until(WELL, seconds=40)
    browser.until("return document.querySelector('#panel-editorial .problem').textContent === ''", seconds=20)
    assert browser.errors() == []


def test_an_act_while_redis_is_away_says_so(fragile, browser):
    open_page(browser, fragile)
    with frozen(fragile.redis_pid()):
        browser.run("const form = document.getElementById('hand'); form.elements.article.value = 'item-1'; form.elements.pin.value = 1; form.requestSubmit()")
        browser.until("return /too slow|not answer/.test(document.getElementById('message').textContent)", seconds=20)
        said = message(browser)
        refreshed(browser)
        assert message(browser) == said
    browser.until("return document.querySelector('#panel-editorial .problem').textContent === ''", seconds=40)
    fragile.keyed("DELETE", "/v1/sample/items/item-1/editorial")
    assert browser.errors() == []


def test_entering_while_redis_is_away_shows_how_it_is(fragile, browser):
    open_page(browser, fragile, key=None)
    with frozen(fragile.redis_pid()):
        enter(browser)
        browser.until("return !document.getElementById('main').hidden && document.querySelector('#redis dd')", seconds=20)
        browser.until("return document.querySelector('#state.bad')", seconds=20)
    browser.until("return document.querySelectorAll('#hot li').length === 10", seconds=40)
    assert browser.errors() == []


def test_the_service_goes_and_comes_back(fragile, browser):
    open_page(browser, fragile)
    browser.until(WELL)
    with away(fragile):
        browser.until(STATE + ".startsWith('The service has not answered since ')", seconds=20)
        said = browser.run(STATE)
        refreshed(browser)
        assert browser.run(STATE) == said  # it is not spoken again
        assert browser.run("return document.querySelectorAll('#hot li').length") == 10
        browser.run("document.getElementById('hand').elements.article.value = 'item-1'; document.getElementById('hand').requestSubmit()")
        browser.until("return document.getElementById('message').textContent === 'The service does not answer.'", seconds=20)
    browser.until("return document.querySelector('#panel-rate .problem').textContent === ''", seconds=20)
    browser.until(WELL, seconds=20)
    assert message(browser) == "The service does not answer."  # of the last act
    assert browser.errors() == []


def test_entering_while_the_service_is_away(fragile, browser):
    open_page(browser, fragile, key=None)
    with away(fragile):
        enter(browser)
        browser.until("return document.getElementById('message').textContent === 'The service does not answer.'", seconds=20)
        assert browser.run("return document.getElementById('main').hidden")
    enter(browser)
    browser.until("return document.querySelectorAll('#hot li').length === 10", seconds=20)
    assert browser.errors() == []


def test_a_key_that_is_no_longer_good_asks_again_and_only_once(fragile, browser):
    open_page(browser, fragile)
    with away(fragile, secret_key="another"):
        pass
    try:
        browser.until("return document.getElementById('message').textContent === 'The secret key is wrong.'", seconds=20)
        assert browser.run("return document.getElementById('main').hidden && document.activeElement.id === 'key'")
        assert browser.run("return sessionStorage.length") == 0
        asked = browser.run("return asked.length")
        assert browser.run("return new Promise(done => setTimeout(() => done(asked.length), 1500))") == asked  # a wrong key is not sent on and on
        enter(browser, "another")
        browser.until("return document.querySelectorAll('#hot li').length === 10")
        assert browser.errors() == []
    finally:
        with away(fragile, secret_key="k"):
            pass


def test_a_process_that_was_started_again_is_an_alarm(fragile, browser):
    open_page(browser, fragile)
    browser.until(WELL)
    os.kill(fragile.children("projector")[0], signal.SIGKILL)
    browser.until(STATE + ".includes('A process has ended and was started again.')", seconds=20)
    browser.until("return document.querySelectorAll('#processes .warn').length === 1")
    assert re.match(r"\d+ – 1 in the last 2 minutes", facts(browser, "processes")["restarts"])


def test_memory_is_a_meter(fragile, browser):
    open_page(browser, fragile)
    browser.until("return document.querySelector('#redis meter') && document.querySelector('#redis meter').value > 0", seconds=20)
    assert browser.run("return document.querySelector('#redis meter').getAttribute('aria-label')") == "Redis memory"
    assert facts(browser, "redis")["Redis memory"].endswith(" of 64 MiB")


# ---- Policy and looks

def test_a_strict_policy(fragile, browser):
    class Behind:
        pass

    with strict_proxy(fragile.ops_port) as Behind.ops_port:
        open_page(browser, Behind)
        browser.until("return document.querySelectorAll('#hot li').length === 10 && document.querySelector('#redis meter')", seconds=20)
        refreshed(browser)
        browser.open("about:blank")
    assert browser.errors() == []


CONTRAST = """
    const channels = text => (text.match(/[\\d.]+/g) || []).map(Number);
    const light = text => channels(text).slice(0, 3).map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
    const ground = element => { for (let e = element; e; e = e.parentElement) {
        const colour = getComputedStyle(e).backgroundColor; if (channels(colour)[3] !== 0) return colour; } };
    const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_ring_of_the_focus_is_seen(fragile, browser, scheme):
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    open_page(browser, fragile)
    browser.run("document.getElementById('key').focus()")
    ratios = browser.run(CONTRAST + """
        return [...document.querySelectorAll('#site, #hot button, #hand, #hand input, #hand button, summary')].filter(e => !e.closest('[hidden]')).map(e => {
            e.focus({ focusVisible: true });
            const style = getComputedStyle(e);
            return [e.id || e.name || e.textContent, style.outlineStyle, parseFloat(style.outlineWidth), ratio(style.outlineColor, ground(e.parentElement))];
        })""")
    assert len(ratios) > 25
    for name, style, width, ratio in ratios:
        assert style == "solid" and width >= 2 and ratio >= 3, (name, style, width, ratio)


def test_forced_colours(fragile, browser):
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "forced-colors", "value": "active"}]})
    open_page(browser, fragile)
    refreshed(browser)
    assert browser.run("return [...document.querySelectorAll('button')].filter(e => getComputedStyle(e).borderTopStyle !== 'solid').length") == 0
    colours = browser.run("return ['views', 'votes'].map(id => getComputedStyle(document.getElementById('line-' + id)).stroke)")
    dashes = browser.run("return ['views', 'votes'].map(id => getComputedStyle(document.getElementById('line-' + id)).strokeDasharray)")
    assert "none" not in colours and dashes[0] != dashes[1]
    browser.run("document.querySelector('#hot button').focus({ focusVisible: true })")
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("width,zoom", [(390, 1), (640, 1), (320, 1), (1280, 2)])
def test_nothing_is_wider_than_the_screen(fragile, browser, width, zoom):
    """`zoom`: of the text alone, as a reader sets it; a page at 200 % is one of half the width."""
    fragile.keyed("PUT", "/v1/sample/items/item-3/editorial", {"pin": 1, "until": 4102444800, "note": "w" * 300})
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    open_page(browser, fragile)
    browser.until("return document.querySelector('#editorial tr')")
    browser.run("document.documentElement.style.fontSize = arguments[0]; document.querySelectorAll('details').forEach(e => { e.open = true; })", f"{100 * zoom}%")
    refreshed(browser)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    cut = browser.run("return [...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === 'hidden'"
                      " && !e.closest('.hidden, thead')).map(e => e.outerHTML.slice(0, 80))")
    assert cut == []
    fragile.keyed("DELETE", "/v1/sample/items/item-3/editorial")
