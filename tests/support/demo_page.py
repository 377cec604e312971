# SPDX-License-Identifier: MIT
"""The demo page as a browser's test sees it."""

BUTTON = "document.querySelector('engaged-vote').shadowRoot.querySelector('button')"
SAID = "document.querySelector('engaged-vote').shadowRoot.querySelector('[role=status]')"
LINKS = "[...document.querySelector('engaged-list[of=%s]').shadowRoot.querySelectorAll('a')]"


def url(service, item="harbour-bridge-reopens"):
    return f"http://127.0.0.1:{service.port}/?item={item}"


def count(service, item):
    """As the service says now; None while it can't."""
    return service.get(f"/v1/sample/me?id={item}").json.get("counts", {}).get(item, {}).get("up")


def ready(browser):
    browser.until(f"return /\\(\\d+\\)/.test({BUTTON}.textContent)")
    browser.until(f"return {LINKS % 'related'}.length === 5 && {LINKS % 'ranking'}.length === 5 && "
                  f"{LINKS % 'recommendation'}.length === 5")
