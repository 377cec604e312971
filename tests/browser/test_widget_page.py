# SPDX-License-Identifier: MIT
"""A page with the widget, as the network and the reader see it: calls, repeats, layout shifts, and the document's first example."""
import json
import os
import time

import pytest

from support.gate import Gate, Publisher
from support.program import ROOT
from support.wait import wait_until

CALLS_FIRST, CALLS_NEXT, SHIFT_MOST = 5, 4, 0.02
ENTRIES = """return [...document.querySelectorAll('engaged-list')].map(list =>
    [...(list.entries || [])].map(entry => entry.item))"""
FILLED = """return [...document.querySelectorAll('engaged-list')].every(list =>
        list.shadowRoot && list.shadowRoot.querySelectorAll('li a').length == (list.getAttribute('limit') || 10)) &&
    [...document.querySelectorAll('engaged-views, engaged-vote')].every(e => e.shadowRoot && /\\d/.test(e.shadowRoot.textContent))"""
DRAWN = """return [...document.querySelectorAll('engaged-list')].every(list => list.entries) &&
    [...document.querySelectorAll('engaged-views, engaged-vote')].every(e => e.shadowRoot && /\\d/.test(e.shadowRoot.textContent))"""
TEXT = "<p>" + "Words that a reader reads while the boxes are on their way. " * 12 + "</p>"


def sample_items():
    with open(os.path.join(ROOT, "loadtest/sample_site.json"), encoding="utf-8") as file:
        return [card["item"] for card in json.load(file)]


def document():
    with open(os.path.join(ROOT, "docs/widget.md"), encoding="utf-8") as file:
        return file.read()


def first_example(origin, site):
    example = document().split("```html\n")[1].split("```")[0]
    assert "https://engaged.example" in example and 'data-site="example.org"' in example
    return example.replace("https://engaged.example", origin).replace('data-site="example.org"', f'data-site="{site}"')


@pytest.fixture(scope="module")
def stage(service):
    gate, publisher = Gate(service), Publisher()
    yield gate, publisher
    gate.stop()
    publisher.stop()


def page(gate, item, more="", head=""):
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <title>x</title><link rel="icon" href="data:,">{head}
        <script src="{gate.origin}/widget.js" data-site="sample" data-item="{item}" async></script></head><body><h1>{item}</h1>
        <p><engaged-views></engaged-views> <engaged-vote></engaged-vote></p>
        <engaged-list of="related" limit="5" heading="Related"></engaged-list>{more}
        <engaged-list of="ranking" limit="5" heading="Ranking"></engaged-list>{more}
        <engaged-list of="recommendation" limit="5" heading="Recommendation"></engaged-list>{more}</body></html>"""


def visit(stage, browser, item, name, **more):
    gate, publisher = stage
    gate.calls = []
    publisher.pages["/" + item] = page(gate, item, **more)
    browser.open(publisher.url("/" + item, name))
    browser.until(DRAWN, seconds=15)
    wait_until(lambda: any(call.status for call in gate.of("POST", "/views")), 10, "the view")


def test_calls_and_repeats_over_all_articles(stage, browser):
    """One reader goes through the sample: few calls a page, no preflight, and no article twice on any."""
    gate, _ = stage
    gate.reset()
    for number, item in enumerate(sample_items()):
        visit(stage, browser, item, "reader")
        if number < 3:
            time.sleep(0.5)  # what else may come
        assert len(gate.calls) <= (CALLS_NEXT if number else CALLS_FIRST), gate.calls
        assert not [call for call in gate.calls if call.method == "OPTIONS"], gate.calls
        lists = browser.run(ENTRIES)
        shown = [item, *lists[0], *lists[1], *lists[2]]
        assert len(set(shown)) == len(shown) >= 11, shown  # who has read nearly all gets a shorter Recommendation
    assert number == 39


def test_first_visits_repeat_nothing(stage, browser):
    for number, item in enumerate(sample_items()[:6]):
        visit(stage, browser, item, f"fresh{number}")
        lists = browser.run(ENTRIES)
        assert len({item, *lists[0], *lists[1], *lists[2]}) == 16, lists
        assert len(stage[0].calls) <= CALLS_FIRST, stage[0].calls


def test_thirty_counters_are_one_call(stage, browser):
    gate, publisher = stage
    gate.reset()
    counters = "".join(f'<engaged-views item="{item}"></engaged-views> ' for item in sample_items()[:30])
    publisher.pages["/front"] = f"""<!doctype html><html lang="en"><title>x</title><link rel="icon" href="data:,">
        <script src="{gate.origin}/widget.js" data-site="sample" data-item="front" data-view="off"></script>{counters}"""
    browser.open(publisher.url("/front", "front"))
    browser.until(FILLED)
    time.sleep(0.5)
    assert [call.target for call in gate.calls] == ["/widget.js", "/items"], gate.calls
    assert gate.calls[1].path.count("id=") == 30


# ---- Layout

def style():
    return "<style>" + document().split("<style>")[1].split("</style>")[0] + "</style>"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("late_s", [0, 0.8], ids=["fast", "slow"])
def test_elements_in_the_text_shift_nothing(stage, browser, width, late_s):
    gate, _ = stage
    gate.reset()
    gate.delays = [("/widget.js", late_s / 2), ("/page", late_s), ("/me", late_s), ("/views", late_s)] if late_s else []
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
    browser.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": bool(late_s)})
    for item in ("river-bath", "moss-roof"):
        visit(stage, browser, item, f"shift{width}{int(late_s)}", more=TEXT, head=style())
        time.sleep(0.3)
        shifts = browser.driver.execute_async_script("""const done = arguments[0], all = [];
            new PerformanceObserver(list => all.push(...list.getEntries())).observe({ type: 'layout-shift', buffered: true });
            setTimeout(() => done(all.filter(e => !e.hadRecentInput).map(e => [e.value, e.startTime,
                e.sources.map(s => s.node && (s.node.localName || s.node.textContent))])), 100);""")
        assert sum(value for value, *_ in shifts) < SHIFT_MOST, shifts
    gate.reset()


# ---- What a stranger pastes

def test_the_first_example_works_in_an_empty_page(stage, browser, service):
    gate, publisher = stage
    gate.reset()
    publisher.pages["/pasted"] = "<!doctype html><html lang=en><title>x</title>" + first_example(gate.origin, "sample")
    browser.open(publisher.url("/pasted"))
    browser.until(FILLED)
    item = publisher.url("/pasted")
    browser.run("document.querySelector('engaged-vote').shadowRoot.querySelector('button').click()")
    browser.until("return document.querySelector('engaged-vote').shadowRoot.textContent.includes('Your vote counts: 1.')")
    views = gate.of("POST", "/views")
    assert [call.target for call in views] == [f"/items/{item}/views"] and views[0].json["counted"] is True


def test_the_first_example_says_why_where_it_is_not_allowed(stage, browser):
    """The example of the document, unchanged, on a host that is not the site's: in the element, as this is localhost, and in the console."""
    gate, publisher = stage
    gate.reset()
    publisher.pages["/pasted"] = "<!doctype html><html lang=en><title>x</title>" + first_example(gate.origin, "example.org")
    browser.open(publisher.url("/pasted"))
    browser.until("return document.querySelector('engaged-vote').shadowRoot.querySelector('button')")
    wait_until(lambda: gate.of("POST", "/views") and gate.of("POST", "/views")[0].status == 403, 10, "the view is refused")
    browser.run("document.querySelector('engaged-vote').shadowRoot.querySelector('button').click()")
    browser.until("return /bad_origin/.test(document.querySelector('engaged-vote').shadowRoot.textContent)")
    log = " ".join(row["message"] for row in browser.driver.get_log("browser"))
    assert "bad_origin" in log and "is no origin of the site example.org" in log, log


def test_the_first_example_as_a_file_shows_and_says_why_no_vote_counts(stage, browser, tmp_path):
    """A site whose name is a host name takes no writes from `file:`, whose origin is null; it is read all the same."""
    gate, _ = stage
    gate.reset()
    path = tmp_path / "pasted.html"
    path.write_text("<!doctype html><html lang=en><title>x</title>" + first_example(gate.origin, "example.org"), encoding="utf-8")
    browser.open(path.as_uri())
    wait_until(lambda: gate.of("POST", "/views") and gate.of("POST", "/views")[0].status == 403, 10, "the view is refused")
    browser.until("return document.querySelector('engaged-vote').shadowRoot.querySelector('button')")
    browser.run("document.querySelector('engaged-vote').shadowRoot.querySelector('button').click()")
    browser.until("return /bad_origin/.test(document.querySelector('engaged-vote').shadowRoot.textContent)")
    wait_until(lambda: [call.status for call in gate.calls if call.method == "GET" and "/page" in call.target] == [200], 25, "the page is read")
