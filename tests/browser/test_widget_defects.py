# SPDX-License-Identifier: MIT
"""Mistakes that the widget once made, each in a publisher's page: late answers, scripts in the head, frameworks, consent,
languages, colours, and what its developer is told."""
import json

import pytest

from support.demo_page import BUTTON, SAID
from support.wait import wait_until
from support.widget_stage import LIST, VIEWS


def test_a_late_me_never_takes_a_vote_back(stage):
    stage.open("<engaged-vote></engaged-vote>")  # the first visit brings a token
    stage.browser.until(f"return /\\d/.test({BUTTON}.textContent)")
    wait_until(lambda: stage.gate.of("POST", "/views"), 10)
    stage.quiet()
    before = stage.count("a0")
    stage.gate.delays = [("/me", 2)]
    stage.gate.calls.clear()
    stage.open("<engaged-vote></engaged-vote>", name=stage.name)
    wait_until(lambda: stage.gate.of("POST", "/me") or stage.gate.of("GET", "/me"), 10)
    stage.browser.until(f"return !!{BUTTON}")
    stage.browser.run("window.heard = []; new MutationObserver(() => heard.push("
                      f"{SAID}.textContent)).observe({SAID}, {{childList: true}}); {BUTTON}.click()")
    wait_until(lambda: stage.count("a0") == before + 1, 10)
    stage.browser.until(f"return {BUTTON}.textContent === 'veryGood! ({before + 1})'")
    stage.browser.until("return performance.getEntriesByType('resource').some(e => /\\/me(\\?|$)/.test(e.name) && e.responseEnd)")
    stage.quiet()
    assert stage.browser.run(f"return [{BUTTON}.textContent, {BUTTON}.getAttribute('aria-pressed'), {SAID}.textContent]") == [
        f"veryGood! ({before + 1})", "true", f"Your vote counts: {before + 1}."]
    assert not any("taken" in said for said in stage.browser.run("return heard"))


def test_a_script_in_the_head_waits_for_the_canonical_link(stage):
    stage.open("<engaged-views></engaged-views>",
               head="<script src='GATE/widget.js' data-site=site></script><link rel=canonical href='https://example.org/right'>")
    wait_until(lambda: stage.gate.of("POST", "/views"), 10)
    stage.quiet()
    assert [call.target for call in stage.gate.of("POST", "/views")] == ["/items/https://example.org/right/views"]


def test_no_view_where_views_are_off(stage):
    stage.open("<engaged-views></engaged-views>", script="data-item=a1 data-view=off")
    stage.browser.until(f"return /\\d/.test({VIEWS}.textContent)")
    stage.quiet()
    assert stage.gate.of("POST", "/views") == []
    assert stage.browser.run("return engaged.view().then(answer => answer.counted)") is True


def test_attributes_of_one_moment_are_one_call_and_a_moved_list_keeps_what_it_has(stage):
    stage.open("<main></main><aside></aside>")
    stage.browser.until("return window.engaged")
    stage.quiet()
    stage.gate.calls.clear()
    stage.browser.run("""const list = document.querySelector('main').appendChild(document.createElement('engaged-list'));
        for (const [name, value] of Object.entries({of: 'ranking', name: 'top', limit: 3, heading: 'Top'})) list.setAttribute(name, value)""")
    stage.browser.until(f"return {LIST}.querySelectorAll('a').length === 3")
    stage.browser.run("""const list = document.querySelector('engaged-list');
        list.setAttribute('heading', 'Other'); document.querySelector('aside').append(list)""")
    stage.browser.until(f"return {LIST}.querySelector('h2').textContent === 'Other'")
    stage.quiet()
    assert stage.browser.run(f"return {LIST}.querySelectorAll('a').length") == 3
    assert len([call for call in stage.gate.calls if call.method == "GET"]) == 1
    stage.browser.run("document.querySelector('engaged-list').setAttribute('limit', 2)")
    stage.browser.until(f"return {LIST}.querySelectorAll('a').length === 2")


def test_a_single_page_app_moves_to_another_article(stage):
    stage.open("<engaged-views></engaged-views><engaged-vote></engaged-vote><engaged-vote item=a3></engaged-vote>"
               "<engaged-list of=related limit=3></engaged-list>")
    stage.browser.until(f"return {LIST}.querySelectorAll('a').length === 3")
    stage.quiet()
    stage.gate.delays = [("/items/a1/page", 2)]
    stage.browser.run("engaged.page('a1')")
    wait_until(lambda: stage.gate.of("GET", "/items/a1/page"), 10)
    stage.browser.run("engaged.page('a2')")
    wait_until(lambda: stage.gate.of("POST", "/items/a2/views"), 10)
    stage.browser.until(f"return {LIST}.querySelectorAll('a').length === 3")
    stage.quiet()
    hrefs = stage.browser.run(f"return [...{LIST}.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert "/a2" not in hrefs and "/a1" in hrefs  # of a2, not the late ones of a1
    before = stage.count("a2")
    stage.browser.run(f"{BUTTON}.click()")
    wait_until(lambda: stage.count("a2") == before + 1, 10)
    assert stage.browser.run("return document.querySelectorAll('engaged-vote')[1].shadowRoot.querySelector('button').ariaPressed") == "false"


def test_consent_before_anything_is_stored(stage):
    stage.open("<engaged-vote></engaged-vote><engaged-views></engaged-views><engaged-list of=recommendation limit=2></engaged-list>",
               script="data-item=a4 data-consent=wait")
    stage.browser.until(f"return /\\d/.test({VIEWS}.textContent) && {LIST}.querySelectorAll('a').length === 2")
    stage.quiet()
    assert {call.method for call in stage.gate.calls} == {"GET"} and stage.browser.run("return localStorage.length") == 0
    before = stage.count("a4")
    stage.browser.run(f"window.asked = []; document.addEventListener('engaged:consent', e => asked.push(e.detail.item)); {BUTTON}.click()")
    stage.browser.until(f"return {SAID}.textContent === 'Waits for your consent.'")
    stage.quiet()
    assert stage.browser.run("return asked") == ["a4"] and stage.count("a4") == before and not stage.gate.of("POST", "/votes")
    assert stage.browser.run("return localStorage.length") == 0
    stage.browser.run("engaged.consent(true)")
    wait_until(lambda: stage.count("a4") == before + 1 and stage.gate.of("POST", "/views"), 10)
    stage.quiet()
    token = json.loads(stage.browser.run("return localStorage[Object.keys(localStorage).find(k => k.endsWith('visitor'))]"))
    stage.browser.run("engaged.consent(false)")
    wait_until(lambda: stage.gate.of("DELETE", "/me"), 10)
    assert stage.gate.of("DELETE", "/me")[0].visitor == token
    wait_until(lambda: stage.count("a4") == before, 20, "the vote is taken back")
    assert stage.browser.run("return localStorage.length") == 0
    stage.browser.until(f"return {BUTTON}.getAttribute('aria-pressed') === 'false'")


def test_texts_with_plural_forms(stage):
    texts = json.dumps({"label": "gut", "views": {"one": "ein Aufruf", "other": "{n} Aufrufe"}, "vote": "{label}: {n}"})
    stage.open("<engaged-views item=never-1></engaged-views><engaged-vote></engaged-vote>", html="lang=de",
               script=f"data-item=a5 data-view=off data-texts='{texts}'")
    stage.browser.until(f"return {VIEWS}.textContent === '0 Aufrufe' && /^gut: \\d/.test({BUTTON}.textContent)")
    stage.browser.run("engaged.view('never-1')")
    stage.browser.until(f"return {VIEWS}.textContent === 'ein Aufruf'")


def test_a_row_with_image_author_date_votes_and_views(stage):
    stage.open("<engaged-list of=ranking limit=2 rel=nofollow show='image author date votes views'></engaged-list>", html="lang=en dir=rtl")
    stage.browser.until(f"return {LIST}.querySelector('a')")
    row = stage.browser.run(f"""const row = {LIST}.querySelector('li'), image = row.querySelector('img'), a = row.querySelector('a');
        return [image.loading, image.width > 0, image.alt, image.getAttribute('width'), a.rel, a.dir, row.dataset.reason,
            ...['author', 'date', 'votes', 'views'].map(part => row.querySelector('[part=' + part + ']').textContent)]""")
    assert row[:7] == ["lazy", True, "", "96", "nofollow", "auto", "ranked"]
    assert row[7:9] == ["A. Author", "Jan 2, 2026"] and "vote" in row[9] and row[10].endswith(" views")
    left, right = stage.browser.run(f"const s = getComputedStyle({LIST}.querySelector('ol')); return [s.paddingLeft, s.paddingRight]")
    assert left == "0px" and right != "0px"


def test_a_page_draws_the_entries_itself(stage):
    stage.open("<script>document.addEventListener('engaged:list', e => { e.preventDefault(); e.target.textContent = "
               "e.detail.items.map(i => i.title).join() })</script><engaged-list of=ranking limit=2></engaged-list>")
    stage.browser.until("return /Title \\d,Title \\d/.test(document.querySelector('engaged-list').innerText)")
    assert stage.browser.run(f"return {LIST}.querySelector('ol')") is None


def test_pressed_and_focus_are_seen_in_forced_colours_and_by_contrast(stage):
    stage.open("<engaged-vote></engaged-vote>", script="data-item=a6")
    stage.browser.until(f"return /\\d/.test({BUTTON}.textContent)")
    stage.quiet()
    stage.browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "forced-colors", "value": "active"}]})
    colours = f"return getComputedStyle({BUTTON}).backgroundColor"
    plain = stage.browser.run(colours)
    stage.browser.run(f"{BUTTON}.click()")
    stage.browser.until(f"return {BUTTON}.getAttribute('aria-pressed') === 'true'")
    assert stage.browser.run(colours) != plain
    stage.browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    stage.browser.until("return !matchMedia('(forced-colors: active)').matches")
    stage.browser.run(f"{BUTTON}.focus({{focusVisible: true}})")
    ring = f"return getComputedStyle({BUTTON}).outlineColor.match(/\\d+/g).map(Number)"

    def is_seen():
        parts = zip((.2126, .7152, .0722), stage.browser.run(ring))
        light = sum(part * ((c / 255 + .055) / 1.055) ** 2.4 for part, c in parts)
        return 1.05 / (light + .05) >= 3 and (light + .05) / .0565 >= 3  # on white, and on the dark page's #161513

    wait_until(is_seen, 25, "the ring has contrast, when the page is drawn again")


def test_a_kept_vote_is_seen_and_everything_comes_back_after_an_outage(stage):
    stage.gate.away = True
    before = stage.count("a7")
    stage.open("<engaged-vote></engaged-vote><engaged-views></engaged-views><engaged-list of=related limit=3></engaged-list>",
               script="data-item=a7")
    stage.browser.until(f"return {BUTTON}.textContent === 'veryGood!'")
    assert stage.browser.run(f"return {VIEWS}.textContent.includes('0')") is False
    stage.browser.run(f"{BUTTON}.click()")
    stage.browser.until(f"return {SAID}.textContent === 'Kept, will be sent again.' && {SAID}.getBoundingClientRect().width > 50", seconds=20)
    stage.gate.away = False
    stage.browser.run("dispatchEvent(new Event('online'))")
    stage.browser.until(f"return {BUTTON}.textContent === 'veryGood! ({before + 1})' && /\\d/.test({VIEWS}.textContent) && "
                        f"{LIST}.querySelectorAll('a').length === 3 && {SAID}.getBoundingClientRect().width <= 1", seconds=20)
    assert stage.count("a7") == before + 1 and len([c for c in stage.gate.of("POST", "/views") if c.status == 202]) == 1


def test_a_vote_that_waits_is_in_the_count_that_is_shown(stage):
    stage.open("<engaged-vote></engaged-vote>", script="data-item=a6")
    stage.browser.until(f"return /\\d/.test({BUTTON}.textContent)")
    stage.gate.away = True
    before = stage.count("a6")
    shown_before = stage.browser.run(f"return parseInt({BUTTON}.textContent.match(/\\d+/)[0])")
    stage.browser.run(f"{BUTTON}.click()")
    stage.browser.until(f"return {SAID}.textContent === 'Kept, will be sent again.'")
    shown = stage.browser.run(f"return [{BUTTON}.textContent, {BUTTON}.getAttribute('aria-pressed')]")
    stage.gate.away = False
    stage.browser.run("dispatchEvent(new Event('online'))")
    wait_until(lambda: stage.count("a6") == before + 1, 15, "the vote counts")
    assert shown == [f"veryGood! ({shown_before + 1})", "true"]


def test_a_full_storage_loses_no_vote_and_makes_one_visitor(stage):
    stage.open("<engaged-vote></engaged-vote>", script="data-item=a8",
               head="<script>Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }</script>"
                    "<script src='GATE/widget.js' data-site=site data-item=a8 async></script>")
    stage.browser.until(f"return /\\d/.test({BUTTON}.textContent)")
    before = stage.count("a8")
    stage.browser.run(f"{BUTTON}.click()")
    wait_until(lambda: stage.count("a8") == before + 1, 10)
    stage.browser.run(f"{BUTTON}.click()")
    wait_until(lambda: stage.count("a8") == before, 10, "taken back by the same visitor")


def test_an_unknown_ranking_leaves_the_other_boxes(stage):
    stage.open("<engaged-list of=related limit=3></engaged-list><engaged-list id=none of=ranking name=none></engaged-list>"
               "<engaged-vote></engaged-vote>", head="<script>window.failed = []; document.addEventListener('engaged:error', e => "
               "failed.push([e.target.id, e.detail.error.code]))</script><script src='GATE/widget.js' data-site=site data-item=a0></script>")
    stage.browser.until(f"return {LIST}.querySelectorAll('a').length === 3 && failed.length")
    assert stage.browser.run("return failed") == [["none", "unknown_ranking"]]
    assert "404 unknown_ranking" in stage.console()


def test_a_second_list_of_a_kind_repeats_nothing(stage):
    stage.open("<engaged-list of=ranking limit=3></engaged-list><engaged-list of=ranking name=top limit=3></engaged-list>")
    everything = "[...document.querySelectorAll('engaged-list')].flatMap(l => [...l.shadowRoot.querySelectorAll('a')].map(a => a.pathname))"
    stage.browser.until(f"return {everything}.length === 6")
    assert len(set(stage.browser.run(f"return {everything}"))) == 6


def test_module_query_and_a_copy_elsewhere(stage):
    for head in ("<script type=module src='GATE/widget.mjs?site=site&item=a0'></script>",
                 "<script type=module src='GATE/widget.mjs' data-site=site data-item=a0></script>",
                 "<script type=module src='GATE/widget.js' data-site=site data-item=a0></script>",
                 "<script src='GATE/widget.js?site=site&item=a0'></script>",
                 "<script type=module>import engaged from 'GATE/widget.mjs?site=site&item=a0'; window.same = engaged === window.engaged</script>"):
        stage.gate.reset()
        stage.open("<engaged-views></engaged-views>", head=head)
        stage.browser.until(f"return /\\d/.test({VIEWS}.textContent) && window.same !== false")
        wait_until(lambda: [call.target for call in stage.gate.of("POST", "/views")] == ["/items/a0/views"], 10)
    stage.publisher.pages["/copy.js"] = stage.service.get("/widget.js").body.decode()
    stage.open("<engaged-views></engaged-views>",
               head="<script src='/copy.js' type='text/javascript' data-service='GATE' data-site=site data-item=a0></script>")
    stage.browser.until(f"return /\\d/.test({VIEWS}.textContent)")


def test_a_second_script_is_ignored_with_a_word(stage):
    stage.open("<engaged-vote></engaged-vote>", head=2 * "<script src='GATE/widget.js' data-site=site data-item=a0></script>")
    stage.browser.until(f"return /\\d/.test({BUTTON}.textContent)")
    stage.quiet()
    assert "second script ignored" in stage.console() and len(stage.gate.of("POST", "/views")) == 1


def test_debug_says_what_and_why(stage):
    stage.open("<engaged-views></engaged-views>", script="data-item=no-such-card data-debug")
    stage.browser.until(f"return {VIEWS}.textContent.includes('no card for this item: no-such-card')")
    stage.open("<engaged-views item=a0></engaged-views>", script="data-debug data-item=a0",
               head="<script src='GATE/widget.js' data-site=elsewhere.example data-item=a0 data-debug></script>")
    stage.browser.until("return window.engaged")
    stage.quiet()
    wait_until(lambda: "403 bad_origin" in stage.console(), 10)


FIRST_EXAMPLES = {"0.1": """<script src="GATE/widget.js" data-site="site" data-item="a0" async></script>
<p><engaged-views></engaged-views> <engaged-vote label="veryGood!"></engaged-vote></p>
<engaged-list of="related" limit="2" heading="Related"></engaged-list>
<engaged-list of="ranking" name="hot" limit="2" heading="Ranking"></engaged-list>
<engaged-list of="recommendation" limit="2" heading="Recommendation"></engaged-list>
<noscript><img src="GATE/v1/site/items/a0/view.gif" alt=""></noscript>"""}


@pytest.mark.parametrize("version", FIRST_EXAMPLES)
def test_the_first_example_of_a_release_goes_on_working(stage, version):
    """Version 1 of the widget keeps its attributes and events."""
    heard = ("<script>window.heard = {}; for (const name of ['vote', 'view', 'list', 'error']) document.addEventListener("
             "'engaged:' + name, event => (heard[name] = heard[name] || []).push(event.detail))</script>")
    stage.open(heard + FIRST_EXAMPLES[version].replace("GATE", stage.gate.origin), head="")
    stage.browser.until("return [...document.querySelectorAll('engaged-list')].every(l => l.shadowRoot.querySelectorAll('ol a').length === 2)")
    assert stage.browser.run("return [...document.querySelectorAll('engaged-list')].map(l => l.shadowRoot.querySelector('h2').textContent)") == [
        "Related", "Ranking", "Recommendation"]
    stage.browser.until(f"return /^\\d+ views?$/.test({VIEWS}.textContent) && /^veryGood! \\(\\d+\\)$/.test({BUTTON}.textContent)")
    stage.browser.run(f"{BUTTON}.click()")
    stage.browser.until("return heard.vote && heard.view && heard.list.length === 3")
    assert stage.browser.run("return heard.vote[0]")["vote"] == "up" and stage.browser.run("return heard.view[0].item") == "a0"
    assert stage.browser.run("return heard.error") is None
    assert stage.browser.run("return engaged.view('a1').then(answer => answer.counted)") is True
    stage.browser.run("return engaged.vote('a1', 'up')")
    assert stage.count("a1") >= 1
