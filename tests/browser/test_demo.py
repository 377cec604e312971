# SPDX-License-Identifier: MIT
"""The demo page and the widget as a reader sees them, in Chromium with the real service and the sample site."""
import contextlib
import gzip
import http.server
import os
import re
import signal
import threading
import time
import urllib.parse

import pytest
import redis
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from support.demo_page import BUTTON, LINKS, SAID, count, ready, url
from support.program import ROOT
from support.wait import wait_until

@pytest.mark.contract("Behaviour", "engaged.view(item) counts a view")
@pytest.mark.contract("Elements", "A list is of related, ranking")
def test_page_counts_a_view_and_fills_its_boxes(service, browser):
    before = service.get("/v1/sample/items/night-buses-return").json["views"]
    browser.open(url(service, "night-buses-return"))
    ready(browser)
    wait_until(lambda: service.get("/v1/sample/items/night-buses-return").json["views"] == before + 1)
    shown = "return document.querySelector('engaged-views').shadowRoot.textContent"
    assert browser.run(shown) in (f"{before} views", f"{before + 1} views")  # as the page was when it was asked for; never too many
    browser.open(url(service, "night-buses-return"))  # a reload is a repeat
    ready(browser)
    assert browser.run(shown) == f"{before + 1} views"
    assert browser.run("return engaged.view().then(answer => answer.counted)") is False
    assert service.get("/v1/sample/items/night-buses-return").json["views"] == before + 1
    assert "Night buses" in browser.run("return document.querySelector('h1').textContent")
    assert browser.errors() == []


def test_boxes_link_to_pages_and_never_to_the_page_itself(service, browser):
    browser.open(url(service))
    ready(browser)
    hrefs = browser.run(f"return {LINKS % 'related'}.map(a => a.getAttribute('href'))")
    assert len(set(hrefs)) == 5 and all(h.startswith("/?item=") for h in hrefs)
    assert "/?item=harbour-bridge-reopens" not in hrefs
    browser.run(f"{LINKS % 'related'}[0].click()")
    browser.until("return location.search !== '?item=harbour-bridge-reopens'")
    ready(browser)


def test_vote_undo_second_browser_and_reload(service, browsers):
    item = "old-market-hall"
    one, two, before = browsers(), browsers(), count(service, item)
    one.open(url(service, item))
    ready(one)
    one.run(f"{BUTTON}.click()")
    assert one.run(f"return {BUTTON}.textContent") == f"veryGood! ({before + 1})"  # at once
    assert one.run(f"return {BUTTON}.getAttribute('aria-pressed')") == "true"
    page = f"/v1/sample/items/{item}/page?related=5&ranking=5&recommendation=5&name=hot"  # a first visit's number
    wait_until(lambda: service.get(page).json["item"]["votes"]["up"] == before + 1)
    two.open(url(service, item))
    two.until(f"return {BUTTON}.textContent === 'veryGood! ({before + 1})'")
    assert two.run(f"return {BUTTON}.getAttribute('aria-pressed')") == "false"
    one.open(url(service, item))
    one.until(f"return {BUTTON}.getAttribute('aria-pressed') === 'true'")
    one.run(f"{BUTTON}.click()")
    wait_until(lambda: count(service, item) == before)
    one.until(f"return {BUTTON}.textContent === 'veryGood! ({before})'")
    assert one.errors() == two.errors() == []


@pytest.mark.parametrize("clicks", [7, 6])
def test_fast_clicks_end_as_the_last_one(service, browser, clicks):
    """With an even number the first answer and the last differ."""
    item, before = "quiet-streets", count(service, "quiet-streets")
    browser.open(url(service, item))
    ready(browser)
    browser.run("window.answers = 0; document.addEventListener('engaged:vote', () => answers++);"
                f"for (let i = 0; i < {clicks}; i++) {BUTTON}.click()")
    browser.until("return answers && !Object.keys(JSON.parse(localStorage.getItem(Object.keys(localStorage)"
                  ".find(k => k.endsWith('votes'))))).length")
    assert count(service, item) == before + clicks % 2
    assert browser.run(f"return {BUTTON}.textContent") == f"veryGood! ({before + clicks % 2})"


@contextlib.contextmanager
def vote_is_kept(service, browser, item):
    """Redis is frozen, and the widget keeps the vote."""
    browser.open(url(service, item))
    ready(browser)
    pid = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock")).info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        browser.run(f"{BUTTON}.click()")
        browser.until(f"return {SAID}.textContent.startsWith('Kept')")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_vote_while_redis_is_away_is_kept_and_sent_later(service, browser):
    item, before = "river-bath", count(service, "river-bath")
    with vote_is_kept(service, browser, item):
        assert browser.run(f"return {BUTTON}.textContent") == f"veryGood! ({before + 1})"
    wait_until(lambda: count(service, item) == before + 1, 20)
    browser.until(f"return {SAID}.textContent.startsWith('Your vote counts')")


def test_a_kept_vote_survives_leaving_the_page(service, browser):
    item, before = "tram-line-nine", count(service, "tram-line-nine")
    with vote_is_kept(service, browser, item):
        browser.open("about:blank")
    wait_until(lambda: service.get("/readyz").status == 200)
    browser.open(url(service, "bees-count"))  # any page with the widget sends it
    wait_until(lambda: count(service, item) == before + 1)


def test_keyboard_alone(service, browser):
    item, before = "library-sundays", count(service, "library-sundays")
    browser.open(url(service, item))
    ready(browser)
    for _ in range(12):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        if browser.run("return document.activeElement.localName") == "engaged-vote":
            break
    assert browser.run("return document.activeElement.localName") == "engaged-vote"
    browser.driver.switch_to.active_element.send_keys(Keys.SPACE)
    wait_until(lambda: count(service, item) == before + 1)
    browser.until(f"return {SAID}.textContent === 'Your vote counts: {before + 1}.'")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    wait_until(lambda: count(service, item) == before)


def test_without_javascript_the_page_is_whole(service, browsers):
    before = service.get("/v1/sample/items/harbour-bridge-reopens").json["views"]
    browser = browsers(javascript=False)
    browser.open(url(service))
    assert browser.driver.find_element(By.TAG_NAME, "h1").text.startswith("Harbour bridge")
    frames = browser.driver.find_elements(By.TAG_NAME, "iframe")
    assert len(frames) == 3
    for index in range(3):
        browser.driver.switch_to.frame(index)
        assert len(browser.driver.find_elements(By.CSS_SELECTOR, "ol.engaged li a")) == 5
        browser.driver.switch_to.default_content()
    wait_until(lambda: service.get("/v1/sample/items/harbour-bridge-reopens").json["views"] == before + 1)


# ---- On a publisher's own page

class Pages(http.server.BaseHTTPRequestHandler):
    pages = {}

    def do_GET(self):  # noqa: N802
        found = self.pages.get(self.path.split("?")[0])
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        if found:
            self.send_header("Content-Security-Policy", found[0])
        self.end_headers()
        self.wfile.write((found[1] if found else "").encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def publisher():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()


def guide(service):
    """The README's plain HTML, unchanged."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        text = file.read().split("```html\n")[1].split("```")[0]
    return text.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{service.port}")


@pytest.mark.contract("Elements", "<script src")
def test_the_guide_under_a_strict_policy_on_another_origin(service, publisher, browser):
    origin = f"http://127.0.0.1:{service.port}"
    Pages.pages["/article"] = (f"default-src 'none'; script-src {origin}; connect-src {origin}",
                               f"<!doctype html><html lang=en><title>x</title><h1>An article</h1>{guide(service)}")
    before = service.get("/v1/sample/items/harbour-bridge-reopens").json
    browser.open(publisher + "/article")
    ready(browser)
    browser.run(f"{BUTTON}.click()")
    wait_until(lambda: count(service, "harbour-bridge-reopens") == before["votes"]["up"] + 1)
    wait_until(lambda: service.get("/v1/sample/items/harbour-bridge-reopens").json["views"] == before["views"] + 1)
    assert browser.driver.get_cookies() == []
    assert [e for e in browser.errors() if "favicon" not in e] == []
    assert browser.run(f"return getComputedStyle({BUTTON}).cursor") == "pointer"  # styled without style-src
    browser.run(f"{BUTTON}.click()")
    wait_until(lambda: count(service, "harbour-bridge-reopens") == before["votes"]["up"])


@pytest.mark.contract("Behaviour", "It dispatches engaged:vote")
@pytest.mark.contract("Elements", "An element's item is its attribute item")
def test_item_by_canonical_link_events_texts_and_foreign_titles(service, publisher, browser):
    origin, item = f"http://127.0.0.1:{service.port}", "https://example.org/a?b=1"
    cards = [{"item": item, "title": "By its address"},
             {"item": "evil", "title": "<img src=x onerror=alert(1)>", "url": "/evil"}]
    assert service.lines("/v1/other/items", cards).json["accepted"] == 2
    Pages.pages["/canonical"] = ("default-src *; script-src * 'unsafe-inline'", f"""<!doctype html><html lang=de>
        <link rel=canonical href="{item}"><script>window.heard = [];
        for (const name of ['vote', 'view', 'error'])
            document.addEventListener('engaged:' + name, event => heard.push([name, event.detail.item]));</script>
        <script src="{origin}/widget.js" data-site="other"></script>
        <engaged-vote label="sehr gut" text="{{label}}: {{n}}" text-given="Danke, {{n}}"></engaged-vote>
        <engaged-list of="related" heading="Verwandt"></engaged-list><engaged-list of="ranking" name="none"></engaged-list>""")
    browser.open(publisher + "/canonical")
    browser.until(f"return {BUTTON}.textContent === 'sehr gut: 0'")
    browser.run(f"{BUTTON}.click()")
    browser.until(f"return {SAID}.textContent === 'Danke, 1'")
    browser.until("return heard.some(h => h[0] === 'view') && heard.some(h => h[0] === 'vote') && heard.some(h => h[0] === 'error')")
    assert ["vote", item] in browser.run("return heard") and ["view", item] in browser.run("return heard")
    assert count_of(service, "other", item) == 1
    shown = browser.until("return document.querySelector('engaged-list').shadowRoot.innerHTML")
    assert "&lt;img src=x" in shown and "<img" not in shown and "Verwandt" in shown


@pytest.mark.contract("Elements", "An element's item is its attribute item", "<script src")
@pytest.mark.contract("Behaviour", "It gets its visitor token once", "engaged.view(item) counts a view", "It dispatches engaged:vote")
def test_whose_item_an_element_is_and_that_one_token_serves_all_pages(service, publisher, browser):
    """Its own attribute, else the script's, else the canonical link's, else the address without query and fragment."""
    origin, site = f"http://127.0.0.1:{service.port}", "/v1/whose"
    own, script, link = '<engaged-vote item="own"></engaged-vote>', ' data-item="script"', '<link rel=canonical href="https://x.example/link?a=1#b">'
    plain, wanted = "<engaged-vote></engaged-vote>", {}
    for number, (element, data, head, vote, view) in enumerate((
            (own, script, link, "own", "script"), (plain, script, link, "script", "script"),
            (plain, "", link, "https://x.example/link?a=1#b", "https://x.example/link?a=1#b"),
            (plain, "", "", f"{publisher}/whose-3", f"{publisher}/whose-3"))):
        Pages.pages[f"/whose-{number}"] = ("default-src *; script-src * 'unsafe-inline'", f"""<!doctype html>{head}
            <script>window.heard = []; for (const name of ['vote', 'view', 'error'])
                document.addEventListener('engaged:' + name, event => heard.push(name + ' ' + event.detail.item));</script>
            <script src="{origin}/widget.js" data-site="whose"{data}></script>{element}<engaged-views></engaged-views>""")
        browser.open(f"{publisher}/whose-{number}?query=1#fragment")
        browser.until(f"return {BUTTON}.textContent === 'veryGood! (0)' || {BUTTON}.textContent === 'veryGood! (1)'")
        if vote not in wanted:
            browser.run(f"{BUTTON}.click()")
            browser.until("return heard.some(one => one === 'vote ' + arguments[0])", vote)
        browser.until("return heard.some(one => one === 'view ' + arguments[0])", view)
        wanted[vote] = "up"
        assert browser.run(f"return engaged.view('app-{number}').then(answer => answer.counted)") is True
        browser.until("return heard.includes('view app-' + arguments[0])", number)
        assert not [one for one in browser.run("return heard") if one.startswith("error")]
    tokens = set(re.findall(r"ev1\.[\w-]+", browser.run("return JSON.stringify(localStorage)")))
    assert len(tokens) == 1 and browser.driver.get_cookies() == []
    query = "&".join("id=" + urllib.parse.quote(item, safe="") for item in wanted)
    assert service.get(f"{site}/me?{query}", Engaged_Visitor=tokens.pop()).json["votes"] == wanted
    viewed = ["script", "https://x.example/link?a=1#b", f"{publisher}/whose-3", *(f"app-{n}" for n in range(4))]
    query = "&".join("id=" + urllib.parse.quote(item, safe="") for item in [*viewed, "own"])
    wait_until(lambda: [row["views"] for row in service.get(f"{site}/items?{query}").json["items"]] == [1] * 7 + [0])


def count_of(service, site, item):
    return list(service.get(f"/v1/{site}/me?id={item.replace('?', '%3F').replace('&', '%26')}").json["counts"].values())[0]["up"]


def test_no_service_no_harm(service, publisher, browser):
    Pages.pages["/dead"] = ("default-src *; script-src * 'unsafe-inline'", """<!doctype html><script>window.thrown = [];
        addEventListener('error', e => thrown.push(e.message));
        addEventListener('unhandledrejection', e => thrown.push(String(e.reason)));</script>
        <script>document.write('<script src="' + location.origin + '/widget.js" data-site=s><' + '/script>')</script>
        <engaged-vote></engaged-vote><engaged-views></engaged-views><engaged-list of=related></engaged-list>""")
    Pages.pages["/widget.js"] = ("default-src *", service.get("/widget.js").body.decode())
    browser.open(publisher + "/dead")
    browser.until(f"return {BUTTON}.textContent === 'veryGood!'")  # a number that is not known is not shown
    browser.run(f"{BUTTON}.click()")
    browser.until(f"return {BUTTON}.getAttribute('aria-pressed') === 'true' && {BUTTON}.textContent === 'veryGood!'")
    time.sleep(0.5)
    assert browser.run("return thrown") == []


def views_counted(service):
    """At this moment: an item's own count may come from a body that is some seconds old."""
    return service.metrics()['engaged_views_total{result="counted"}']


@pytest.mark.contract("Behaviour", "It counts a view when the page becomes visible")
def test_a_prerendered_page_counts_nothing(service, browser):
    """As a browser does it: the page is made while it is not to be seen, and counted when it is."""
    item = "tide-clock"
    before = views_counted(service)
    browser.open("about:blank")
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
        window.hiddenNow = true;
        Object.defineProperty(document, 'prerendering', {get: () => window.hiddenNow});"""})
    browser.open(url(service, item))
    ready(browser)
    time.sleep(0.5)
    assert views_counted(service) == before
    browser.run("window.hiddenNow = false; document.dispatchEvent(new Event('prerenderingchange'))")
    wait_until(lambda: views_counted(service) == before + 1)


def test_widget_is_small(service):
    assert len(gzip.compress(service.get("/widget.js").body, 9)) < 6000


def test_the_page_is_as_wide_as_the_screen_in_each_of_its_pictures(service, browser):
    """The pictures are for people, in tests/artefacts; `picture` fails where the page is wider than the screen."""
    browser.open(url(service))
    ready(browser)
    browser.picture("demo-desktop")
    browser.picture("demo-desktop-dark", dark=True)
    browser.picture("demo-phone", 390, 2200)
    browser.picture("demo-phone-dark", 390, 2200, dark=True)
