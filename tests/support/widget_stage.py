# SPDX-License-Identifier: MIT
"""A stage for tests of the widget: a service with nine articles, a gate before it, a publisher's pages, one browser."""
import itertools

from support.gate import Gate, Publisher

VIEWS = "document.querySelector('engaged-views').shadowRoot"
LIST = "document.querySelector('engaged-list').shadowRoot"
NUMBERS = itertools.count()


class Stage:
    def __init__(self, service, browser):
        self.service, self.browser = service, browser
        self.gate, self.publisher = Gate(service), Publisher()
        cards = [{"item": f"a{n}", "title": f"Title {n}", "url": f"/a{n}", "image": "https://example.org/i.png", "author": "A. Author",
                  "published_at": "2026-01-02T03:04:05Z"} for n in range(9)]
        assert service.lines("/v1/site/items", cards).json["accepted"] == 9
        events = [{"type": "view", "item": f"a{n}", "visitor": f"v{m}"} for n in range(9) for m in range(9 - n)]
        assert service.lines("/v1/site/events?wait=true", events).json["rejected"] == []

    def open(self, body, head=None, script="data-item=a0", html="lang=en", name=None):
        """A page of an origin of its own, so with an empty storage, unless that has a name."""
        self.name = name or f"n{next(NUMBERS)}"
        if head is None:
            head = f"<script src='{self.gate.origin}/widget.js' data-site=site {script} async></script>"
        self.publisher.pages["/p"] = f"<!doctype html><html {html}><head>{head.replace('GATE', self.gate.origin)}</head><body>{body}"
        self.browser.open(self.publisher.url("/p", self.name))
        return self.browser

    def count(self, item):
        return self.service.get(f"/v1/site/me?id={item}").json["counts"][item]["up"]

    def console(self):
        return "\n".join(row["message"] for row in self.browser.driver.get_log("browser"))

    def quiet(self):
        """All that was asked for has come."""
        self.browser.until("return document.readyState === 'complete'")
        seen = -1
        while seen != len(self.gate.calls) or any(call.status is None for call in self.gate.calls):
            seen = len(self.gate.calls)
            self.browser.driver.execute_async_script("setTimeout(arguments[0], 250)")
