# SPDX-License-Identifier: MIT
"""The widget in pages of strangers: wrong names, other vendors' scripts, readers who come back, several tabs, changed clocks."""
import pytest

from support.demo_page import BUTTON, SAID
from support.wait import wait_until
from support.widget_stage import LIST, VIEWS

NUMBER = f"return /\\d/.test({BUTTON}.textContent)"
TOO_LONG = "x" * 600  # an id has at most 512 bytes


def texts(stage, tag):
    return stage.browser.run(f"""return [...document.querySelectorAll('{tag}')].map(element =>
        (element.shadowRoot.querySelector('button') || element.shadowRoot).textContent)""")


def views_sent(stage):
    return [call.target for call in stage.gate.of("POST", "/views")]


def test_an_unknown_ranking_leaves_the_counters(stage):
    stage.open("<engaged-views></engaged-views><engaged-vote></engaged-vote><engaged-list of=ranking name=none></engaged-list>")
    stage.browser.until(f"return /\\d/.test({VIEWS}.textContent) && /\\d/.test({BUTTON}.textContent)")


def test_one_bad_id_leaves_the_other_counters_and_votes(stage):
    body = "".join(f"<engaged-views item={item}></engaged-views><engaged-vote item={item}></engaged-vote>"
                   for item in ("a1", "a2", TOO_LONG, "a3", "a4"))
    stage.open(body + "<engaged-list of=recommendation limit=2></engaged-list>")
    good = ("return [...document.querySelectorAll('engaged-views, engaged-vote')].filter(element => element.getAttribute('item').length < 9 &&"
            " /\\d/.test(element.shadowRoot.textContent)).length === 8")
    stage.browser.until(good)
    stage.quiet()
    name = stage.name
    stage.gate.reset()
    stage.open(body + "<engaged-list of=recommendation limit=2></engaged-list>", name=name)  # by the private call
    stage.browser.until(good)
    stage.browser.until(f"return {LIST}.querySelectorAll('a').length === 2")
    stage.quiet()
    assert texts(stage, "engaged-views")[2] == "\u200b" and texts(stage, "engaged-vote")[2] == "veryGood!"
    assert len(stage.gate.calls) < 20  # and no end of calls


def test_counters_of_a_wrong_site_are_asked_for_once(stage):
    stage.open("".join(f"<engaged-views item=a{n}></engaged-views>" for n in range(30)),
               head="<script src='GATE/widget.js' data-site='no site' data-item=a0 data-view=off></script>")
    wait_until(lambda: stage.gate.of("GET", "/items"), 10)
    stage.quiet()
    assert [call.status for call in stage.gate.of("GET", "/items")] == [400]
    assert "400 bad_site" in stage.console()


def test_page_without_an_item_forgets_data_item(stage):
    stage.open("<engaged-vote></engaged-vote>", script="data-item=a5")
    stage.browser.until(NUMBER)
    stage.browser.run("history.pushState(0, '', '/next?x#y'); engaged.page()")
    wait_until(lambda: len(views_sent(stage)) == 2, 10)
    address = stage.publisher.url("/next", stage.name)
    assert views_sent(stage) == ["/items/a5/views", f"/items/{address}/views"]
    stage.browser.run("""document.head.insertAdjacentHTML('beforeend', '<link rel=canonical href="https://example.org/c">'); engaged.page()""")
    wait_until(lambda: views_sent(stage)[2:] == ["/items/https://example.org/c/views"], 10)


def test_show_with_blanks_and_line_ends(stage):
    stage.open("<engaged-list limit=2 show='\n  author\n\tviews '></engaged-list>")
    stage.browser.until(f"return {LIST}.querySelectorAll('[part=about]').length === 2")
    assert stage.browser.run(f"return [...{LIST}.querySelector('[part=about]').children].map(e => e.part.value)") == ["author", "views"]


@pytest.mark.parametrize("head", [
    "<script type=module src='GATE/widget.mjs' data-site=site data-item=a6></script>",
    "<script type=module>import 'GATE/widget.mjs?site=site&item=a6'</script>",
])
def test_scripts_of_other_vendors_with_such_names(stage, head):
    stage.publisher.pages["/chat/widget.js"] = "window.chat = 1"
    stage.open("<engaged-views></engaged-views>", head="<script src='/chat/widget.js' data-site=OTHER data-item=other></script>" + head)
    wait_until(lambda: views_sent(stage), 10)
    assert views_sent(stage) == ["/items/a6/views"]
    assert {call.path.split("/")[2] for call in stage.gate.calls if call.path.startswith("/v1/")} == {"site"}


def test_a_module_that_names_its_article_at_once_counts_that_only(stage):
    stage.open("<engaged-views></engaged-views>",
               head="<script type=module>import engaged from 'GATE/widget.mjs?site=site'; engaged.page('a7')</script>")
    stage.browser.until(f"return /\\d/.test({VIEWS}.textContent)")
    stage.quiet()
    assert views_sent(stage) == ["/items/a7/views"]


def test_the_focus_stays_in_a_list_while_the_page_ends_loading(stage):
    stage.gate.delays = [("/demo.svg", 2)]
    stage.open(f"<engaged-list limit=2></engaged-list><img src='{stage.gate.origin}/demo.svg'><script>const t = setInterval(() => {{"
               f"const link = {LIST} && {LIST}.querySelector('a'); if (!link) return; clearInterval(t);"
               "window.early = document.readyState; link.focus() }, 10)</script>",
               head="<script src='GATE/widget.js' data-site=site data-item=a0></script>")
    stage.browser.until("return document.readyState === 'complete' && window.early")
    assert stage.browser.run("return early") == "interactive"
    assert stage.browser.run(f"return !!{LIST}.activeElement")
    stage.browser.run("document.querySelector('engaged-list').setAttribute('limit', '2')")  # a framework writes all again
    assert stage.browser.run(f"return !!{LIST}.activeElement")


def test_nothing_is_spoken_twice_or_of_another_visit_to_the_article(stage):
    stage.open("<engaged-vote></engaged-vote>")
    stage.browser.until(NUMBER)
    stage.browser.run(f"{BUTTON}.click()")
    stage.browser.until(f"return {SAID}.textContent")
    stage.browser.run(f"""window.spoken = []; new MutationObserver(() => spoken.push({SAID}.textContent))
        .observe({SAID}, {{ childList: true, characterData: true, subtree: true }});
        document.querySelector('engaged-vote').setAttribute('kind', 'up'); document.querySelector('engaged-vote').setAttribute('item', 'a0')""")
    stage.quiet()
    assert stage.browser.run("return spoken") == []
    stage.browser.run("document.querySelector('engaged-vote').removeAttribute('item'); engaged.page('a1')")
    stage.quiet()
    stage.browser.run("engaged.page('a0')")
    stage.quiet()
    assert set(stage.browser.run("return spoken")) == {""} and stage.browser.run(f"return {SAID}.textContent") == ""


def test_a_page_out_of_the_back_forward_cache_knows_the_votes_since(stage):
    stage.open("<engaged-vote></engaged-vote><script>addEventListener('pageshow', event => { window.kept = event.persisted })</script>",
               script="data-item=a8")
    stage.browser.until(NUMBER)
    stage.quiet()
    stage.publisher.pages["/other"] = stage.publisher.pages["/p"]
    stage.browser.open(stage.publisher.url("/other", stage.name))
    stage.browser.until(NUMBER)
    stage.browser.run(f"{BUTTON}.click()")
    stage.browser.until(f"return {SAID}.textContent")
    stage.quiet()
    end = stage.count("a8")
    stage.browser.run("history.back()")
    stage.browser.until("return location.pathname === '/p' && document.readyState === 'complete' && window.kept !== undefined")
    assert stage.browser.run("return kept")
    stage.browser.until(f"return {BUTTON}.textContent === 'veryGood! ({end})' && {BUTTON}.getAttribute('aria-pressed') === 'true'")


def test_clicks_in_two_tabs_end_alike(stage):
    browser = stage.browser
    stage.open("<engaged-vote></engaged-vote>", script="data-item=a4")
    browser.until(NUMBER)
    stage.quiet()
    first, address = browser.tab, browser.driver.current_url
    second = browser.new_tab()
    try:
        browser.open(address)
        browser.until(NUMBER)
        stage.quiet()
        stage.gate.delays = [("/votes", 1)]
        browser.run(f"{BUTTON}.click()")
        browser.show(first)
        browser.run(f"{BUTTON}.click()")
        for tab in (first, second):
            browser.show(tab)
            browser.until(f"return {SAID}.textContent")
            end = stage.count("a4")
            browser.until(f"return {BUTTON}.textContent === 'veryGood! ({end})' && {SAID}.textContent === 'Vote taken back: {end}.'")
    finally:
        browser.show(second)
        browser.driver.close()
        browser.show(first)


def test_a_clock_that_is_set_back_delays_nothing(stage):
    stage.open("<engaged-vote></engaged-vote>", script="data-item=a2")
    stage.browser.until(NUMBER)
    stage.quiet()
    before = stage.count("a2")
    stage.gate.away = True
    stage.browser.run(f"{BUTTON}.click()")
    stage.browser.until(f"return {SAID}.textContent.startsWith('Kept')")
    stage.browser.run(f"const now = Date.now; Date.now = () => now() - 3600000; {BUTTON}.click(); {BUTTON}.click()")
    wait_until(lambda: len([call for call in stage.gate.calls if call.target.endswith('/votes')]) >= 2, 10)
    stage.gate.away = False
    wait_until(lambda: stage.count("a2") == before + 1, 30)


def test_a_pause_that_is_too_long_for_a_timer_is_no_storm(stage):
    """A browser's timer of more than 2,147,483,647 ms ends at once; a firewall may say "Retry-After: 2592000" (30 days)."""
    stage.open("<engaged-vote></engaged-vote><engaged-list></engaged-list>", head="""<script>
        window.asked = 0;
        const passed = fetch;
        window.fetch = (address, options) => /v1/.test(address) && ++asked
            ? Promise.resolve(new Response('{}', { status: 503, headers: { 'Retry-After': '2592000' } })) : passed(address, options);
        </script><script src='GATE/widget.js' data-site=site data-item=a0 async></script>""")
    stage.browser.until("return asked >= 2")
    stage.browser.driver.execute_async_script("setTimeout(arguments[0], 1500)")
    assert stage.browser.run("return asked") < 20
