# SPDX-License-Identifier: MIT
"""The examples of docs/widget.md in a browser, as they are written: consent by TCF, texts in four languages, and what the
React and Vue examples run (without React and Vue)."""
import json
import re

import pytest

from support.demo_page import BUTTON, SAID
from support.documents import blocks
from support.wait import wait_until
from support.widget_stage import LIST, VIEWS

LANGUAGES = ["de", "fr", "es", "ja"]


@pytest.fixture(scope="module")
def stage(shared_stage):
    return shared_stage


@pytest.fixture(autouse=True)
def quiet(stage):
    stage.gate.reset()
    stage.gate.calls.clear()


def views_sent(stage):
    return [call.target for call in stage.gate.of("POST", "/views")]


def of_stage(stage, text):
    """The example with the address and the site of the stage."""
    assert "https://engaged.example" in text and "site=example.org" in text
    return text.replace("https://engaged.example", stage.gate.origin).replace("site=example.org", "site=site")


@pytest.mark.parametrize("choice, given", [
    ({"gdprApplies": True, "eventStatus": "cmpuishown", "purpose": {"consents": {"1": True}}}, False),
    ({"gdprApplies": True, "eventStatus": "useractioncomplete", "purpose": {"consents": {"1": False}}}, False),
    ({"gdprApplies": True, "eventStatus": "useractioncomplete", "purpose": {"consents": {"1": True}}}, True),
    ({"gdprApplies": False, "eventStatus": "tcloaded", "purpose": {"consents": {}}}, True),
], ids=["asked", "refused", "given", "no-law"])
def test_consent_by_tcf(stage, choice, given):
    example = blocks("docs/widget.md", "js")[0]
    stage.open("<engaged-views></engaged-views>", head=(
        "<script>window.__tcfapi = (command, version, listener) => { window.tell = listener }</script>"
        "<script src='GATE/widget.js' data-site=site data-item=a1 data-consent=wait></script>"
        f"<script>{example}</script>"))
    stage.browser.until(f"return /\\d/.test({VIEWS}.textContent)")
    stage.browser.run("tell(arguments[0], true)", choice)
    if given:
        wait_until(lambda: views_sent(stage) == ["/items/a1/views"], 20, "the view")
    stage.quiet()
    assert bool(views_sent(stage)) is given
    assert (stage.browser.run("return localStorage.length") > 0) is given


@pytest.mark.parametrize("number", range(4), ids=LANGUAGES)
def test_texts_in_other_languages(stage, number):
    text = blocks("docs/widget.md", "json")[number]
    texts = json.loads(text)
    stage.open("<engaged-vote></engaged-vote><engaged-views item=never></engaged-views><engaged-list of=related item=a2></engaged-list>",
               html=f"lang={LANGUAGES[number]}", script=f"data-item=a{number} data-texts='{text}'")
    views = texts["views"].get("other").replace("{n}", "0")
    also = texts["views"].get("one", views).replace("{n}", "0")  # in French 0 is singular
    stage.browser.until(f"return [arguments[0], arguments[1]].includes({VIEWS}.textContent)", views, also)
    stage.browser.until(f"return {BUTTON}.textContent.startsWith(arguments[0])", texts["label"])
    stage.browser.until(f"return {LIST}.querySelector('a')")
    before = stage.count(f"a{number}")
    stage.browser.run(f"{BUTTON}.click()")
    stage.browser.until(f"return {SAID}.textContent === arguments[0]", texts["given"].replace("{n}", str(before + 1)))


def test_what_the_react_example_runs(stage):
    example = of_stage(stage, blocks("docs/widget.md", "jsx")[0])
    module = re.search(r"^const widget = [^\n;]*;", example, re.M).group()
    effect = re.search(r"useEffect\(\(\) => \{ (.*?) \}, \[item\]\)", example).group(1)
    stage.open("<engaged-views></engaged-views>", head=f"""<link rel=canonical href="https://example.org/first"><script type=module>
        {module} window.show = item => {{ {effect} }}; show('a3')</script>""")
    stage.browser.until(f"return /\\d/.test({VIEWS}.textContent)")
    wait_until(lambda: "/items/a3/views" in views_sent(stage), 20, "the view of the first article")
    stage.browser.run("show('a4')")
    wait_until(lambda: "/items/a4/views" in views_sent(stage), 20, "the view of the next one")


def test_what_the_vue_example_runs(stage):
    example = of_stage(stage, blocks("docs/widget.md", "vue")[0])
    show = re.search(r"^const show = async id => \{.*?^\};", example, re.M | re.S).group()
    stage.open("<engaged-vote item=a5></engaged-vote><engaged-list of=related limit=5 item=a5></engaged-list>",
               head=f"<script type=module>{show} window.show = show; show('a5')</script>")
    stage.browser.until(f"return /\\d/.test({BUTTON}.textContent) && {LIST}.querySelectorAll('li a').length === 5")
    wait_until(lambda: views_sent(stage) == ["/items/a5/views"], 20, "one view")
    stage.browser.run("show('a6')")
    wait_until(lambda: views_sent(stage) == ["/items/a5/views", "/items/a6/views"], 20, "the next article's view")
