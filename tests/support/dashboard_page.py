# SPDX-License-Identifier: MIT
"""The operators' page as a browser's test sees it."""

# What it asks for is counted. With `quick` it asks again after 0.3 s, not after two.
WATCH = """
    const quick = %s, setTimeoutOfPage = window.setTimeout;
    window.setTimeout = (act, ms, ...rest) => setTimeoutOfPage(act, quick && ms === 2000 ? 300 : ms, ...rest);
    window.asked = [];
    for (const [of, name, target] of [[Worker.prototype, 'postMessage', sent => sent.path], [window, 'fetch', path => path]]) {
        const real = of[name];
        of[name] = function (first, ...rest) { asked.push(target(first)); return real.call(this, first, ...rest); };
    }"""


def url(service):
    return f"http://127.0.0.1:{service.ops_port}/dashboard"


def watch(browser, quick=True):
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH % str(quick).lower()})


def enter(browser, key="k", site="sample"):
    browser.run("document.getElementById('site').value = arguments[0]; document.getElementById('key').value = arguments[1];"
                "document.getElementById('enter').requestSubmit()", site, key)


def open_page(browser, service, key="k", site="sample", quick=True):
    """Until the lists are there; `key` of None: only the page."""
    watch(browser, quick)
    browser.open(url(service))
    if key:
        enter(browser, key, site)
        browser.until("return document.querySelector('#hot li')")


def refreshed(browser, times=2):
    """That many answers later than now, so each has been drawn."""
    count = "return asked.filter(path => path === '/metrics').length"
    browser.until(count + " > arguments[0]", browser.run(count) + times, seconds=20)


def message(browser):
    return browser.run("return document.getElementById('message').textContent")


def focused(browser):
    """The name of what has the focus."""
    return browser.run("const e = document.activeElement; return e.getAttribute('aria-label') || e.name || e.id || e.textContent || e.tagName")


def facts(browser, panel):
    return dict(browser.run("return [...document.querySelectorAll(`#${arguments[0]} dt`)].map(e => [e.textContent, e.nextSibling.textContent])", panel))
