# SPDX-License-Identifier: MIT
"""How the widget looks where the text runs the other way, where the colours are the reader's own, and to a keyboard."""
import pytest

from support.gate import Publisher

CARDS = {"arabic": "ما يحدث في المدينة؟", "english": "What becomes of the hall?", "hebrew": "מה קורה בעיר?", "mixed": "1. שלום world!"}
WIDTHS = """const of = document.querySelector('engaged-list').shadowRoot.querySelector('ol'), style = getComputedStyle(of);
    return [parseFloat(style.paddingLeft), parseFloat(style.paddingRight)]"""
TITLES = "[...document.querySelector('engaged-list').shadowRoot.querySelectorAll('[part=link]')]"
BUTTON = "document.querySelector('engaged-vote').shadowRoot.querySelector('button')"


@pytest.fixture(scope="module")
def publisher(service):
    for item, title in CARDS.items():
        service.keyed("PUT", f"/v1/looks/items/{item}", {"title": title, "url": "/" + item})
        service.keyed("POST", f"/v1/looks/items/{item}/views", Engaged_Visitor="u")
    pages = Publisher()
    yield pages
    pages.stop()


def features(browser, **media):
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]})


def open_page(browser, service, publisher, direction="ltr", colour="#fff"):
    publisher.pages["/looks"] = f"""<!doctype html><html lang="en" dir="{direction}"><meta charset="utf-8"><title>x</title>
        <link rel="icon" href="data:,"><style>body {{ background: {colour} }}</style>
        <script src="http://127.0.0.1:{service.port}/widget.js" data-site="looks" data-item="page" async></script>
        <engaged-vote></engaged-vote><engaged-list of="ranking" limit="4"></engaged-list>"""
    browser.open(publisher.url("/looks"))
    browser.until(f"return {TITLES}.length === 4 && /\\d/.test({BUTTON}.textContent)")


def ground(browser):
    """A picture of a bit of the button without border and text: as it is painted, for styles tell the colours of the sheet."""
    x, y = browser.run(f"document.activeElement.blur(); const box = {BUTTON}.getBoundingClientRect(); return [box.x + 4, box.y + 4]")
    return browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": {"x": x, "y": y, "width": 4, "height": 3, "scale": 1}})["data"]


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_a_list_is_indented_on_the_side_where_its_numbers_are(service, publisher, browser, direction):
    open_page(browser, service, publisher, direction)
    left, right = browser.run(WIDTHS)
    start, end = (left, right) if direction == "ltr" else (right, left)
    assert start > 10 and end == 0
    box, page = browser.run("return [document.querySelector('engaged-list').getBoundingClientRect().width, document.documentElement.scrollWidth]")
    assert box <= page <= browser.run("return innerWidth")


def test_a_word_that_is_wider_than_the_screen_is_broken(service, publisher, browser):
    """320 CSS pixels are what is left of 1,280 at a zoom of 400 % (WCAG 1.4.10)."""
    word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    service.keyed("PUT", "/v1/words/items/a", {"title": word, "url": "/a", "author": word, "image": "/a.png"})
    publisher.pages["/words"] = f"""<!doctype html><html lang="de"><meta name="viewport" content="width=device-width"><title>x</title>
        <link rel="icon" href="data:,"><script src="http://127.0.0.1:{service.port}/widget.js" data-site="words" data-item="page" async></script>
        <engaged-list limit="1" heading="{word}" show="image author"></engaged-list>"""
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 320, "height": 512, "deviceScaleFactor": 1, "mobile": False})
    try:
        browser.open(publisher.url("/words"))
        browser.until(f"return {TITLES}.length === 1")
        assert browser.run("return [innerWidth, document.documentElement.scrollWidth]") == [320, 320]
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_each_title_runs_its_own_way(service, publisher, browser, direction):
    """So a question mark is at the end of its own sentence, whatever the page's language is."""
    open_page(browser, service, publisher, direction)
    ways = dict(browser.run(f"return {TITLES}.map(e => [e.textContent, getComputedStyle(e).direction])"))
    assert ways == {CARDS["arabic"]: "rtl", CARDS["english"]: "ltr", CARDS["hebrew"]: "rtl", CARDS["mixed"]: "rtl"}


def test_a_vote_is_seen_in_forced_colours(service, publisher, browser):
    features(browser, forced_colors="active")
    open_page(browser, service, publisher)
    before = ground(browser)
    browser.run(f"{BUTTON}.click()")
    browser.until(f"return {BUTTON}.getAttribute('aria-pressed') === 'true'")
    assert ground(browser) != before
    browser.run(f"{BUTTON}.click()")
    browser.until(f"return {BUTTON}.getAttribute('aria-pressed') === 'false'")
    assert ground(browser) == before


@pytest.mark.parametrize("colour", ["#fff", "#f4f5f7", "#14171b"])
def test_the_ring_of_the_focus_is_seen(service, publisher, browser, colour):
    open_page(browser, service, publisher, colour=colour)
    style, width, offset, ratio = browser.run(f"""
        const lightness = text => text.match(/[\\d.]+/g).slice(0, 3).map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
        {BUTTON}.focus({{ focusVisible: true }});
        const style = getComputedStyle({BUTTON}), [x, y] = [style.outlineColor, getComputedStyle(document.body).backgroundColor].map(lightness).sort((p, q) => q - p);
        return [style.outlineStyle, parseFloat(style.outlineWidth), parseFloat(style.outlineOffset), (x + .05) / (y + .05)]""")
    assert style == "solid" and width >= 2 and offset >= 0 and ratio >= 3, ratio
    assert browser.errors() == []
