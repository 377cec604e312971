# SPDX-License-Identifier: MIT
"""The operators' page as a browser's test sees it."""
import contextlib
import http.client
import http.server
import threading

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


@contextlib.contextmanager
def strict_proxy(port, answers={}):
    """The page at the port, under a policy that allows no more than is needed, Trusted Types included. `answers`, by path, makes
    another body of the one that came."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", self.path, headers={name: value for name, value in self.headers.items() if name == "Authorization"})
            answer = connection.getresponse()
            body = answers.get(self.path, lambda body: body)(answer.read())
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; "
                             "img-src data:; form-action 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types engaged-dashboard")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
