# SPDX-License-Identifier: MIT
"""RSS of each list: well-formed whatever a title says (a parser of its own reads it), by the rules of RSS 2.0
(https://www.rssboard.org/rss-specification) and of the namespaces it uses; the same order, ETag, cache and gzip as JSON Feed."""
import email.utils
import gzip
import re
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

import pytest

ATOM, DC, MEDIA = "{http://www.w3.org/2005/Atom}", "{http://purl.org/dc/elements/1.1/}", "{http://search.yahoo.com/mrss/}"
CHANNEL = {"title", "link", "description", "item", ATOM + "link"}
ONCE, OFTEN = {"title", "link", "guid", "pubDate", DC + "creator", MEDIA + "thumbnail"}, {"category"}
RFC822 = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT")
LISTS = ["rankings/top?", "rankings/top?category=city&", "items/hub/related?", "me/recommendations?"]
NASTY = ["]]>", "<![CDATA[", "a ]]> b <b>&amp;</b>", "&#0;&#xFFFE;", "<?xml version=\"1.0\"?>", "<!ENTITY x SYSTEM \"file:///etc/passwd\">&x;", "' \" ' \"",
         "</title></item></channel></rss>", "\ufffe", "a\uffffb\ufffe", "\U0001fffe\U0010ffff", "b\ufffd", "\u2028é字\U0001f600", "--><!--", "%3Cb%3E", "\uffee\uffff"]


def as_xml(text):
    """A title as an XML document can hold it."""
    return re.sub("[\ufffe\uffff]", "\ufffd", text)


def as_uri(url):
    """In ASCII: other characters are escaped, as browsers send them."""
    return "".join(one if one.isascii() else urllib.parse.quote(one) for one in url)


def rss_of(service, path, **headers):
    answer = service.get(path, **headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/rss+xml; charset=utf-8"), answer.body
    return answer, by_the_rules(answer.body)


def texts(element, name):
    return [found.text for found in element.findall(name)]


def by_the_rules(body):
    """The channel, after the rules were looked at."""
    root = ElementTree.fromstring(body)
    assert (root.tag, root.attrib, len(root)) == ("rss", {"version": "2.0"}, 1)
    channel = root[0]
    assert channel.tag == "channel" and {one.tag for one in channel} <= CHANNEL
    for name in ("title", "link", "description"):
        assert len(texts(channel, name)) == 1 and texts(channel, name)[0].strip()
    assert re.fullmatch(r"https?://[^\s<>\"]+", channel.findtext("link"))
    for link in channel.findall(ATOM + "link"):
        assert link.attrib["rel"] in ("self", "next") and link.attrib["type"] == "application/rss+xml" and link.attrib["href"].startswith("http")
    guids = []
    for item in channel.findall("item"):
        tags = [one.tag for one in item]
        assert set(tags) <= ONCE | OFTEN and all(tags.count(tag) == 1 for tag in set(tags) & ONCE) and not item.attrib
        assert item.findtext("title") and item.find("guid").attrib == {"isPermaLink": "false"}
        guids.append(item.findtext("guid"))
        for date in texts(item, "pubDate"):
            assert RFC822.fullmatch(date) and email.utils.parsedate_to_datetime(date).strftime("%a") == date[:3]
        for link in [*texts(item, "link"), *(one.attrib["url"] for one in item.findall(MEDIA + "thumbnail"))]:
            assert re.fullmatch(r"https?://[!-~]+", link) and not set(link) & set("<>\"\\^`{|}")
    assert len(set(guids)) == len(guids) and all(guids)
    return channel


def listed(service, site, rows):
    assert service.lines(f"{site}/items", rows).json["rejected"] == []
    events = [{"type": "vote", "item": row["item"], "visitor": f"v{n}"} for at, row in enumerate(rows) for n in range(at + 1)]
    assert service.lines(f"{site}/events?wait=true", events).json["accepted"] == len(events)


@pytest.mark.contract("Formats", "?format=rss is RSS 2.0", "In both feeds every link is absolute")
@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_hostile_texts(service, site, path):
    rows = [{"item": text, "title": text, "author": text, "url": "https://x.example/" + text, "image": "/rooted" if n % 2 else "https://x.example/i.png?a=1&b=<2>",
             "categories": ["city", text], "published_at": 1700000000 + 86400 * n} for n, text in enumerate(NASTY)] + [{"item": "plain", "categories": ["city"]}]
    listed(service, site, rows)
    _, channel = rss_of(service, f"{site}/{path}format=rss&limit=100")
    shown = service.get(f"{site}/{path}limit=100").json["items"]
    feed = service.get(f"{site}/{path}format=feed&limit=100").json
    assert len(shown) == len(rows) and channel.findtext("title") == channel.findtext("description") == feed["title"]
    assert channel.findtext("link") == feed["home_page_url"]
    for item, entry, fed in zip(channel.findall("item"), shown, feed["items"], strict=True):
        assert item.findtext("guid") == as_xml(entry["item"]) and item.findtext("title") == as_xml(entry.get("title", entry["item"]))
        assert item.findtext(DC + "creator") == (as_xml(entry["author"]) if "author" in entry else None)
        assert texts(item, "category") == [as_xml(one) for one in entry["categories"]]
        assert item.findtext("link") == (as_uri(fed["url"]) if "url" in fed else None)
        thumbnail = item.find(MEDIA + "thumbnail")
        assert (thumbnail.attrib["url"] if thumbnail is not None else None) == fed.get("image")
        if "published_at" in entry:
            assert email.utils.parsedate_to_datetime(item.findtext("pubDate")).strftime("%Y-%m-%dT%H:%M:%S.000Z") == entry["published_at"]
        else:
            assert item.find("pubDate") is None


def test_no_list_at_all(service, site):
    _, channel = rss_of(service, f"{site}/rankings/hot?format=rss")
    assert channel.findall("item") == []
    answer = service.get(f"{site}/rankings/nothing?format=rss")
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("given, wanted", [
    ("1969-12-31T23:59:59Z", "Wed, 31 Dec 1969 23:59:59 GMT"), ("1900-03-01T00:00:00Z", "Thu, 01 Mar 1900 00:00:00 GMT"),
    ("0001-01-01T00:00:00Z", "Mon, 01 Jan 0001 00:00:00 GMT"), ("2024-02-29T12:34:56.789Z", "Thu, 29 Feb 2024 12:34:56 GMT"),
    ("9999-12-31T23:59:59Z", "Fri, 31 Dec 9999 23:59:59 GMT"), ("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT")])
def test_dates(service, site, given, wanted):
    listed(service, site, [{"item": "a", "title": "t", "published_at": given}])
    _, channel = rss_of(service, f"{site}/rankings/top?format=rss")
    assert texts(channel.find("item"), "pubDate") == [wanted]


def test_it_is_cached_compressed_and_not_sent_again_as_a_json_feed_is(service, site):
    listed(service, site, [{"item": f"i{n}", "title": "a title " * 20} for n in range(30)])
    path = f"{site}/rankings/top?limit=100&format="
    answer, _ = rss_of(service, path + "rss")
    feed = service.get(path + "feed")
    for name in ("cache-control", "vary", "engaged-checked-at", "access-control-allow-origin"):
        assert (name in answer.headers) == (name in feed.headers), name
    assert answer.headers["cache-control"] == feed.headers["cache-control"] and answer.headers["vary"] == feed.headers["vary"]
    assert answer.headers["etag"].startswith("W/")
    again = service.get(path + "rss", If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    packed = service.get(path + "rss", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == answer.body and len(packed.body) < len(answer.body) / 4
    head = service.request("HEAD", path + "rss")
    assert (head.status, head.body, head.headers["content-type"]) == (200, b"", answer.headers["content-type"])
    assert service.get(path + "json").json["items"][0]["item"] == "i29", "another format is another body"


# ---- Absolute addresses

SITES = """
[site a.example]
site_url = https://News.example:443
origins = https://other.example

[site sub]
site_url = http://news.example:8080/blog/start

[site declared]
origins = https://declared.example https://more.example

[site nothing]
"""
HOME = {"a.example": "https://news.example/", "sub": "http://news.example:8080/blog/start", "declared": "https://declared.example/", "nothing": None,
        "b.example": "https://b.example/"}
ROOT = {"a.example": "https://news.example", "sub": "http://news.example:8080"}


@pytest.fixture(scope="module")
def named():
    """A service that knows where it and its sites are."""
    from support.service import Service
    running = Service(configuration=SITES, public_url="https://engaged.example")
    yield running
    running.stop()


@pytest.mark.parametrize("name", list(HOME))
def test_links_of_the_site_are_absolute_by_its_site_url(named, name):
    site, root = f"/v1/{name}", ROOT.get(name)
    listed(named, site, [{"item": "a", "title": "t", "url": "/a b?c=<d>&e", "image": "/i.png"}, {"item": "b", "title": "t", "url": "https://x.example/b"}])
    for path in ("rankings/top?", "items/hub/related?", "me/recommendations?"):
        _, channel = rss_of(named, f"{site}/{path}format=rss")
        feed = named.get(f"{site}/{path}format=feed").json
        links = {item.findtext("guid"): item.findtext("link") for item in channel.findall("item")}
        assert links == {"a": root and root + "/a%20b?c=%3Cd%3E&e", "b": "https://x.example/b"}
        assert {item["id"]: item.get("url") for item in feed["items"]} == links
        assert [item.get("image") for item in feed["items"] if item["id"] == "a"] == [root and root + "/i.png"]
        assert [item["_engaged"]["url"] for item in feed["items"] if item["id"] == "a"] == ["/a b?c=<d>&e"]
        assert feed.get("home_page_url") == HOME[name] and channel.findtext("link") == (HOME[name] or "https://engaged.example/")


@pytest.mark.parametrize("path, address", [
    ("rankings/hot?format=rss", "rankings/hot?format=rss&limit=10"),
    ("rankings/top?exclude=b&category=a%20b%26c&exclude=a&limit=3&format=rss", "rankings/top?format=rss&limit=3&category=a%20b%26c&exclude=a&exclude=b"),
    ("items/-/related?id=https%3A%2F%2Fx.example%2Fa%3Fb&format=rss&limit=100", "items/https%3A%2F%2Fx.example%2Fa%3Fb/related?format=rss&limit=100"),
    ("me/recommendations?format=rss", None)])
def test_a_channel_names_itself(named, path, address):
    _, channel = rss_of(named, f"/v1/sub/{path}")
    found = [link.attrib["href"] for link in channel.findall(ATOM + "link")]
    assert found == ([f"https://engaged.example/v1/sub/{address}"] if address else [])
    for href in found:
        _, again = rss_of(named, href.removeprefix("https://engaged.example"))
        assert again.findtext("title") == channel.findtext("title") and again.find(ATOM + "link").attrib["href"] == href


def test_a_page_of_a_feed_names_the_next_one(named):
    site = "/v1/sub"
    listed(named, site, [{"item": f"p{n}", "title": "t"} for n in range(5)])
    seen, path = [], f"{site}/rankings/top?format=rss&limit=2&max_age=1h"
    for _ in range(10):
        _, channel = rss_of(named, path)
        links = {link.attrib["rel"]: link.attrib["href"] for link in channel.findall(ATOM + "link")}
        seen += [item.findtext("guid") for item in channel.findall("item")]
        if "next" not in links:
            break
        path = links["next"].removeprefix("https://engaged.example")
        assert "max_age=3600000ms" in path and "offset=" in path
    assert seen == [entry["item"] for entry in named.get(f"{site}/rankings/top?limit=100&max_age=1h").json["items"]] and len(seen) >= 5


def test_the_list_of_a_past_day_says_which_day(named):
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))
    event = {"type": "view", "item": "read", "visitor": "yesterday", "time": f"{day}T12:00:00Z"}
    assert named.lines("/v1/sub/events?wait=true", [event]).json["accepted"] == 1
    _, channel = rss_of(named, f"/v1/sub/rankings/most-read?format=rss&period={day}")
    assert channel.findtext("title") == f"sub: ranking most-read, {day}" and texts(channel.find("item"), "guid") == ["read"]
    assert channel.find(ATOM + "link").attrib["href"].endswith(f"/rankings/most-read?format=rss&limit=10&period={day}")
    _, channel = rss_of(named, "/v1/sub/rankings/most-read?format=rss")
    assert channel.findtext("title") == "sub: ranking most-read"


def test_without_any_address_a_channel_still_has_a_link(service):
    _, channel = rss_of(service, "/v1/nohost/rankings/hot?format=rss")
    assert channel.findtext("link") == "https://nohost/" and channel.find(ATOM + "link") is None
