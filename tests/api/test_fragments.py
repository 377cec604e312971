# SPDX-License-Identifier: MIT
"""The HTML fragment and the feed: the markup is valid, each number has a label, and the layout does not shift."""
import html.parser
import json
import re
import time

import pytest

# What the URL standard allows in an address (url.spec.whatwg.org, "URL code points"), and whole escapes.
VALID = re.compile(r"(?:[A-Za-z0-9!$&'()*+,\-./:;=?@_~\u00a0-\U0010fffd]|%[0-9A-Fa-f]{2}|(?<=//)\[[0-9a-f:.]+\])*"
                   r"(?:#(?:[A-Za-z0-9!$&'()*+,\-./:;=?@_~\u00a0-\U0010fffd]|%[0-9A-Fa-f]{2})*)?")

ADDRESSES = [
    ("/a b", "/a%20b"), ("/a\"b", "/a%22b"), ("/a'b", "/a'b"), ("/<a>", "/%3Ca%3E"), ("/a^b`c{d|e}", "/a%5Eb%60c%7Bd%7Ce%7D"),
    ("/100%", "/100%25"), ("/100%2", "/100%252"), ("/a%20b", "/a%20b"), ("/%zz%4", "/%25zz%254"), ("/%e5%AE%57", "/%e5%AE%57"),
    ("/a[1]?b[]=2", "/a%5B1%5D?b%5B%5D=2"), ("/a#b#c", "/a#b%23c"), ("/字?q=é#ü", "/字?q=é#ü"), ("/a?b=c&d=e", "/a?b=c&d=e"),
    ("https://x.example/a b?c d#e f", "https://x.example/a%20b?c%20d#e%20f"), ("http://[::1]:8080/[a]", "http://[::1]:8080/%5Ba%5D"),
    ("https://[2001:db8::1]", "https://[2001:db8::1]"), ("https://x.example?a[0]", "https://x.example?a%5B0%5D"),
    ("/a\\b?c\\d", "/a/b?c%5Cd"), ("/a\\b#c\\d", "/a/b#c%5Cd"),
    # Browsers read a backslash before the query as a slash: escaped, the host would be another.
    ("https://good.example\\@evil.example/", "https://good.example/@evil.example/"), ("/", "/"), ("/%", "/%25"), ("/a\u00a0b", "/a\u00a0b"),
]


class Entries(html.parser.HTMLParser):
    """The fragment's elements: (tag, attributes, text) in order; every one is closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes)
        element = [tag, dict(attributes), ""]
        self.elements.append(element)
        if tag != "img":
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, text):
        for element in self.open:
            element[2] += text

    def of_class(self, name):
        return [element for element in self.elements if name in element[1].get("class", "").split()]


def listed(service, site, rows, votes=1, views=0):
    assert service.lines(f"{site}/items", rows).json["accepted"] == len(rows)
    events = [{"type": "vote", "item": row["item"], "visitor": f"v{n}"} for row in rows for n in range(votes)]
    events += [{"type": "view", "item": row["item"], "visitor": f"v{n}"} for row in rows for n in range(views)]
    assert service.lines(f"{site}/events?wait=true", events).json["accepted"] == len(events)


@pytest.mark.parametrize("field, tag, attribute", [("url", "a", "href"), ("image", "img", "src")])
def test_addresses_are_valid_and_lead_to_the_same_place(service, site, field, tag, attribute):
    listed(service, site, [{"item": f"i{n:02}", "title": "t", field: given} for n, (given, _) in enumerate(ADDRESSES)])
    page = Entries(service.get(f"{site}/rankings/top?format=html&limit=100").body.decode())
    items = [element[1]["data-item"] for element in page.of_class("engaged-item")]
    shown = [element[1][attribute] for element in page.elements if element[0] == tag]
    assert dict(zip(items, shown)) == {f"i{n:02}": wanted for n, (_, wanted) in enumerate(ADDRESSES)}
    for address in shown:
        assert VALID.fullmatch(address), address
    for entry in service.get(f"{site}/rankings/top?format=feed&limit=100").json["items"]:
        given, wanted = ADDRESSES[int(entry["id"][1:])]
        assert entry.get(field) == (None if given.startswith("/") else wanted)
        assert entry["_engaged"][field] == given  # as the publisher gave it
    for entry in service.get(f"{site}/rankings/top?limit=100").json["items"]:
        assert entry[field] == ADDRESSES[int(entry["item"][1:])][0]


def test_the_longest_address_of_all_escapes(service, site):
    given = "/" + " " * 1999
    listed(service, site, [{"item": "long", "title": "t", "url": given, "image": given}])
    page = Entries(service.get(f"{site}/rankings/top?format=html").body.decode())
    assert [element[1].get("href", element[1].get("src")) for element in page.elements if element[0] in ("a", "img")] == ["/" + "%20" * 1999] * 2


@pytest.mark.parametrize("votes, views, texts", [(1, 1, ["1 vote", "1 view"]), (2, 0, ["2 votes", "0 views"]), (11, 21, ["11 votes", "21 views"])])
def test_numbers_say_what_they_are(service, site, votes, views, texts):
    listed(service, site, [{"item": "a", "title": "t", "author": "A. Lindqvist"}], votes, views)
    for path in ("rankings/top", "items/other/related", "me/recommendations"):
        page = Entries(service.get(f"{site}/{path}{'&' if '?' in path else '?'}format=html").body.decode())
        numbers = [element[2] for name in ("votes", "views") for element in page.of_class("engaged-" + name)]
        assert numbers == texts
        labels = page.of_class("engaged-label")
        assert [(label[0], label[1]["lang"], label[2]) for label in labels] == [("span", "en", text.split()[1]) for text in texts]
        [item] = page.of_class("engaged-item")
        assert item[2] == f"t A. Lindqvist {texts[0]} {texts[1]}"


def test_an_image_keeps_its_place_and_comes_when_it_is_seen(service, site):
    listed(service, site, [{"item": "a", "title": "t", "image": "/a.png", "url": "/a"}, {"item": "b", "title": "t"}])
    images = [element[1] for element in Entries(service.get(f"{site}/rankings/top?format=html").body.decode()).elements if element[0] == "img"]
    assert images == [{"class": "engaged-image", "alt": "", "loading": "lazy", "width": "160", "height": "90", "src": "/a.png"}]


def test_ids_titles_and_authors_are_escaped(service, site):
    text = "<b>\"x\"</b> & 'y'"
    listed(service, site, [{"item": text, "title": text, "author": text}])
    answer = service.get(f"{site}/rankings/top?format=html").body.decode()
    assert "<b>" not in answer
    page = Entries(answer)
    assert page.of_class("engaged-item")[0][1]["data-item"] == text
    assert [page.of_class("engaged-" + name)[0][2] for name in ("title", "author")] == [text, text]
    assert page.elements[0][0] == "ol" and all(element[0] == "li" for element in page.of_class("engaged-item"))


@pytest.mark.parametrize("text", ["say \"x\" \\ / & </b>", "\\\\", "\\n\\u0041", "字 é \U0001f600", "</b", "x" * 200])
def test_texts_are_what_the_publisher_wrote_whatever_json_does_to_them(service, site, text):
    """A card whose texts JSON escapes in one way or another, or not at all, and one without any."""
    listed(service, site, [{"item": "a", "title": text, "author": text, "url": "/a?b=c&d='e'"}, {"item": "b"}], votes=2, views=3)
    page = Entries(service.get(f"{site}/rankings/top?format=html").body.decode())
    assert [element[2] for element in page.of_class("engaged-title")] == [text, "b"]
    assert [element[2] for element in page.of_class("engaged-author")] == [text]
    assert [element[1]["href"] for element in page.of_class("engaged-link")] == ["/a?b=c&d='e'"]
    assert [element[2] for element in page.of_class("engaged-votes")] == 2 * ["2 votes"]
    assert [element[2] for element in page.of_class("engaged-views")] == 2 * ["3 views"]


# ---- Feeds

def feed_of(service, path):
    answer = service.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/feed+json")
    return answer.json


def test_a_feeds_title_says_which_list_it_is(service, site):
    name = site.split("/")[-1]
    listed(service, site, [{"item": "a b", "title": "t", "categories": ["city", "字"]}])
    titles = {path: feed_of(service, f"{site}/{path}format=feed")["title"] for path in (
        "rankings/hot?", "rankings/day?", "rankings/top?category=city&", "rankings/top?category=%E5%AD%97&", "items/a%20b/related?",
        "items/-/related?id=c&", "me/recommendations?")}
    assert list(titles.values()) == [f"{name}: ranking hot", f"{name}: ranking day", f"{name}: ranking top, city", f"{name}: ranking top, 字",
                                     f"{name}: related to a b", f"{name}: related to c", f"{name}: recommendation"]


def test_the_home_page_of_a_site_that_is_named_by_its_host(service, site):
    name = site.split("/")[-1]
    for path in ("rankings/hot", "items/a/related", "me/recommendations"):
        assert feed_of(service, f"{site}/{path}?format=feed")["home_page_url"] == f"https://{name}/"
        assert "home_page_url" not in feed_of(service, f"/v1/nohost/{path}?format=feed")
        assert "feed_url" not in feed_of(service, f"{site}/{path}?format=feed")  # where we are is not known


def test_where_a_feed_can_be_had(own):
    running = own(public_url="https://engaged.example", configuration="[site declared]\norigins = http://news.example:8080 https://other.example\n")
    base = "https://engaged.example/v1/declared"
    for path, address in (("/rankings/hot?format=feed", "/rankings/hot?format=feed&limit=10"),
                          ("/rankings/top?exclude=b&category=a%20b%26c&exclude=a&limit=3&format=feed",
                           "/rankings/top?format=feed&limit=3&category=a%20b%26c&exclude=a&exclude=b"),
                          ("/items/-/related?id=https%3A%2F%2Fx.example%2Fa%3Fb&format=feed&limit=100",
                           "/items/https%3A%2F%2Fx.example%2Fa%3Fb/related?format=feed&limit=100"),
                          ("/rankings/top?window=7d&format=feed&window=1h&limit=3&offset=2", "/rankings/top?format=feed&limit=3&offset=2&window=1h&window=7d"),
                          ("/items/%E5%AD%97~-._/related?format=feed", "/items/%E5%AD%97~-._/related?format=feed&limit=10")):
        feed = feed_of(running, "/v1/declared" + path)
        assert (feed["feed_url"], feed["home_page_url"]) == (base + address, "http://news.example:8080/")
        again = feed_of(running, feed["feed_url"].removeprefix("https://engaged.example"))
        assert (again["title"], again["feed_url"]) == (feed["title"], feed["feed_url"])
    feed = feed_of(running, "/v1/declared/me/recommendations?format=feed")
    assert "feed_url" not in feed and feed["home_page_url"] == "http://news.example:8080/"


def test_a_feed_with_a_hundred_of_the_longest_exclusions(own):
    running = own(public_url="https://engaged.example", rate_limits="off")
    ids = [f"{n:03}" + "é" * 10 for n in range(100)]
    query = "&".join("exclude=" + "".join(f"%{byte:02X}" for byte in one.encode()) for one in ids)
    feed = feed_of(running, f"/v1/s/rankings/hot?format=feed&{query}")
    assert feed["feed_url"].count("&exclude=") == 100


def test_an_order_that_did_not_change_keeps_its_etag(service, site):
    listed(service, site, [{"item": "a", "title": "t", "url": "/a b", "image": "/c d"}])
    for form in ("html", "feed"):
        first = service.get(f"{site}/rankings/top?format={form}")
        time.sleep(0.01)
        again = service.get(f"{site}/rankings/top?format={form}", If_None_Match=first.headers["etag"])
        assert again.status == 304
    assert json.loads(first.body)["items"]
