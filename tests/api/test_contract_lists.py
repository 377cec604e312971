# SPDX-License-Identifier: MIT
"""docs/api.md, sections 0, 2 and 3: lists, items and pages; scores are compared with a computation in the test."""
import datetime
import html.parser
import json
import math
import random
import time
import urllib.parse

import pytest

from support.contract import ids, load
from support.service import Service
from support.wait import wait_until

contract = pytest.mark.contract
LISTS = ["/rankings/hot", "/items/hub/related", "/me/recommendations"]
NASTY = ["<b>\"x\" & 'y'</b>", "</li></ol><script>alert(1)</script>", "<!-- --> ]]>", "&amp;&lt;", "\" onload=\"x", "' x='", "</script><!--", "\\\"", "é字\U0001F600",
         "{{x}} ${y} `z`", "a\u2028b\u2029c", "%3Cb%3E"]
RANKINGS = """
[ranking decayed]
type = decayed
half_life = 1h
votes = up:1 down:-0.5
views = 0.1

[ranking heavy]
type = decayed
half_life = 7d
votes = up:3 down:0
views = 0

[ranking total]
type = total
votes = up:2 down:-1
views = 0.25

[ranking best]
type = best

[ranking floored]
type = total
votes = 1
views = 0
floor = 3
"""


@pytest.fixture(scope="module")
def ranked():
    running = Service(configuration=RANKINGS, kinds="up down")
    yield running
    running.stop()


def cards(service, site, names, **fields):
    rows = [{"item": name, "title": f"T {name}", **fields} for name in names]
    assert service.lines(f"{site}/items", rows).json == {"accepted": len(rows), "rejected": []}


def votes(item, count, **fields):
    return [{"type": "vote", "item": item, "visitor": f"v{n}", **fields} for n in range(count)]


def hand(service, site, item, **what):
    answer = service.keyed("PUT", f"{site}/items/{item}/editorial", what)
    assert answer.status == 200, answer.body
    return answer.json


def unix(text):
    assert len(text) == len("2026-11-23T18:00:00.123Z") and text.endswith("Z") and text[10] == "T" and text[19] == ".", text
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def readers(service, site, count=30):
    """Cards i00 …, which readers of a hub have read too: the first ones most."""
    names = [f"i{n:02}" for n in range(count)]
    cards(service, site, [*names, "hub"])
    now = time.time()
    load(service, site, [{"type": "view", "item": item, "visitor": f"r{reader}", "time": now - 5000 + step}
                         for reader in range(8) for step, item in enumerate(["hub", *names[:count - 3 * reader]])])
    return names


# ---- limit and exclude

@contract("Lists", "limit is 1 to 100, 10 when it is not given")
@pytest.mark.parametrize("path", LISTS)
def test_limit(service, site, path):
    cards(service, site, [f"i{n:03}" for n in range(120)])
    load(service, site, [row for n in range(120) for row in votes(f"i{n:03}", 1)])
    assert len(ids(service.get(site + path))) == 10
    for limit in (1, 2, 9, 10, 11, 99, 100, "007", "%31"):
        found = ids(service.get(f"{site}{path}?limit={limit}"))
        assert len(found) == len(set(found)) == int(str(limit).replace("%31", "1")), limit
    for limit in ("0", "101", "-1", "1.0", "1e1", "", "+1", "%201", "1%20", "0x1", "ten", "00", "1000", "4294967297", "18446744073709551617", "9" * 400):
        for headers in ({}, {"Authorization": "Bearer k"}):
            answer = service.get(f"{site}{path}?limit={limit}", **headers)
            assert (answer.status, answer.json["code"]) == (400, "bad_limit"), limit


@contract("Lists", "exclude may be repeated, for at most 100 ids", "No item stands twice in a list")
@pytest.mark.parametrize("path", LISTS)
def test_exclude(service, site, path):
    names = [f"i{n:03}" for n in range(115)]
    cards(service, site, names)
    load(service, site, [row for name in names for row in votes(name, 1)])
    for count in (1, 50, 99, 100):
        query = "&".join(f"exclude={name}" for name in names[:count])
        found = ids(service.get(f"{site}{path}?limit=100&{query}"))
        assert not set(found) & set(names[:count]) and len(set(found)) == len(found) == min(100, 115 - count), count
    answer = service.get(f"{site}{path}?" + "&".join(f"exclude={name}" for name in names[:101]))
    assert (answer.status, answer.json["code"]) == (400, "bad_exclude")
    same = service.get(f"{site}{path}?" + "&".join(["exclude=i000"] * 100))
    assert "i000" not in ids(same) and len(ids(same)) == 10
    assert service.get(f"{site}{path}?" + "&".join(["exclude=i000"] * 101)).json["code"] == "bad_exclude"
    assert "i000" not in ids(service.get(f"{site}{path}?limit=100&exclude=%69000&exclude=not-there"))


@contract("Lists", "With list_unknown = auto (preset) items without a card")
def test_items_without_a_card(service, site):
    load(service, site, votes("bare", 5) + votes("card00", 1))
    for number in range(21):
        assert ("bare" in ids(service.get(f"{site}/rankings/hot"))) == (number < 20), number
        assert ("bare" in ids(service.get(f"{site}/items/x/related"))) == (number < 20), number
        cards(service, site, [f"card{number:02}"])
    assert service.get(f"{site}/items/bare").json["votes"]["up"] == 5  # it is what it is, only not listed
    cards(service, site, ["bare"])
    wait_until(lambda: ids(service.get(f"{site}/rankings/hot"))[0] == "bare", 10, "the card is projected")


# ---- Shapes

@contract("List", "A list is {\"list\"", "Ranks count from 1 without a gap", "kind is ranking, related or recommendation", "reason (ranked, related, popular_in_category, popular, pinned)")
@contract("Numbers and times", "Numbers are JSON numbers", "Times go out as ISO 8601")
@contract("GET /v1/{site}/rankings/{ranking}", "A list of kind ranking; limit, offset, category and exclude")
@contract("GET /v1/{site}/items/{item}/related", "A list of kind related; limit, offset and exclude")
@contract("GET /v1/{site}/me/recommendations", "A list (section 3) of kind recommendation")
def test_what_a_list_is(service, site):
    names = readers(service, site)
    hand(service, site, names[20], pin=2, lists=["ranking", "related", "recommendation"])
    token = service.keyed("POST", site + "/visitors", {"visitor": "r7"}).json["visitor"]
    answers = {path: service.get(f"{site}{path}?limit=40", Engaged_Visitor=token) for path in LISTS}
    reasons = {}
    for path, answer in answers.items():
        box, now = answer.json, time.time()
        kind = "ranking" if "rankings" in path else path.rsplit("/", 1)[1].rstrip("s")
        assert set(box) == {"list", "kind", "name", "computed_at", "items"} | ({"half_life"} if kind == "ranking" else set())
        assert box["kind"] == kind and box["name"] == ("hot" if kind == "ranking" else kind)
        assert isinstance(box["list"], str) and box["list"] and abs(unix(box["computed_at"]) - now) < 60
        assert [entry["rank"] for entry in box["items"]] == list(range(1, len(box["items"]) + 1))
        for entry in box["items"]:
            assert set(entry) == {"rank", "score", "reason", "item", "title", "votes", "views", "visitors"}
            assert isinstance(entry["score"], (int, float)) and math.isfinite(entry["score"]) and entry["score"] >= 0
            assert type(entry["rank"]) is int and type(entry["views"]) is int and type(entry["visitors"]) is int
            assert set(entry["votes"]) == {"up", "down"}
            one = service.get(f"{site}/items/{entry['item']}").json
            assert {key: value for key, value in entry.items() if key not in ("rank", "score", "reason")} == one
        found = [entry["item"] for entry in box["items"]]
        assert len(found) == len(set(found)) and found[1] == names[20] and box["items"][1]["reason"] == "pinned"
        reasons[kind] = {entry["reason"] for entry in box["items"]}
        scores = [entry["score"] for entry in box["items"] if entry["reason"] == "ranked"]
        assert scores == sorted(scores, reverse=True)
    assert reasons["ranking"] == {"ranked", "pinned"}
    assert reasons["related"] <= {"related", "popular", "pinned"} and {"related", "pinned"} <= reasons["related"]
    assert reasons["recommendation"] <= {"related", "popular", "pinned"} and "pinned" in reasons["recommendation"]
    read = {"hub", *names[:9]}
    assert not read & set(ids(answers["/me/recommendations"])), "what was read is not recommended"
    assert "hub" not in ids(answers["/items/hub/related"])
    assert answers["/rankings/hot"].json["half_life"] == 10800
    assert "half_life" not in service.get(f"{site}/rankings/top").json


@contract("Item", "An item is {\"item\"", "Card fields that the publisher never gave are left out")
@contract("GET /v1/{site}/items/{item}", "200 an item (section 3)")
@contract("Items that nobody has seen", "An item never seen answers zeros with 200")
@contract("Kinds of vote", "Kinds come from the configuration")
def test_what_an_item_is(service, site):
    card = {"title": "T", "url": "https://x.example/a", "image": "/i.png", "categories": ["b", "a"], "author": "A", "published_at": "2026-01-02T03:04:05Z"}
    for field, value in card.items():
        assert service.keyed("PUT", f"{site}/items/{field}", {field: value}).status == 200
        item = service.get(f"{site}/items/{field}").json
        shown = "2026-01-02T03:04:05.000Z" if field == "published_at" else value
        assert item == {"item": field, field: shown, "votes": {"up": 0, "down": 0}, "views": 0, "visitors": 0}
    put = service.keyed("PUT", f"{site}/items/all", card)
    wanted = {"item": "all", **card, "published_at": "2026-01-02T03:04:05.000Z", "votes": {"up": 0, "down": 0}, "views": 0, "visitors": 0}
    assert put.status == 200 and put.json == wanted == service.get(f"{site}/items/all").json
    load(service, site, votes("all", 3) + votes("all", 1, kind="down") + [{"type": "view", "item": "all", "visitor": f"w{n}"} for n in range(5)])
    assert service.get(f"{site}/items/all").json == {**wanted, "votes": {"up": 2, "down": 1}, "views": 5, "visitors": 5}
    nobody = {"item": "nobody", "votes": {"up": 0, "down": 0}, "views": 0, "visitors": 0}
    assert service.get(f"{site}/items/nobody").json == nobody
    assert service.get(f"{site}/items/nobody/page?related=0&ranking=0&recommendation=0").json == {"item": nobody}
    assert service.get(f"{site}/items/nobody/related").status == 200


@contract("GET /v1/{site}/items", "200 {\"items\":[…]} in the order asked")
def test_many_items(service, site):
    load(service, site, votes("a", 2))
    names = ["z", "a", "b", "a", *[f"i{n}" for n in range(96)]]
    rows = service.get(f"{site}/items?" + "&".join("id=" + name for name in names)).json
    assert set(rows) == {"items"} and [row["item"] for row in rows["items"]] == names
    assert [row["votes"]["up"] for row in rows["items"][:4]] == [0, 2, 0, 2]
    assert service.get(f"{site}/items?" + "&".join("id=" + name for name in [*names, "x"])).status == 400
    assert service.get(f"{site}/items").status == 400


@contract("Item", "visitors is an estimate (±1 %)")
def test_distinct_visitors(service, site):
    load(service, site, [{"type": "view", "item": "a", "visitor": f"w{n}"} for n in range(3000)] * 2)
    item = service.get(f"{site}/items/a").json
    assert item["views"] == 3000 and 0.96 * 3000 <= item["visitors"] <= 1.04 * 3000  # one draw of an estimate lies within four errors


@contract("Item", "views counts a visitor's view of an item again")
def test_views_in_and_after_the_window(service, site):
    now = int(time.time()) - 90000
    rows = [(0, 1), (1, 1), (1799.999, 1), (1800, 2), (3599.999, 2), (3600, 3), (86400, 4)]
    for moment, wanted in rows:
        load(service, site, [{"type": "view", "item": "a", "visitor": "w", "time": now + moment}])
        assert service.get(f"{site}/items/a").json["views"] == wanted, moment
    assert service.get(f"{site}/items/a").json["visitors"] == 1


# ---- Scores

@contract("List", "score of a decayed ranking is the decayed weight at computed_at")
@pytest.mark.parametrize("seed", range(4))
def test_scores_against_a_computation(ranked, site, seed):
    draw, now = random.Random(seed), time.time()
    names, rows, wanted = [f"i{n}" for n in range(12)], [], {}
    for name in names:
        for number in range(draw.randrange(1, 25)):
            moment = round(now - draw.choice((10, 3600, 40000, 900000)) * draw.random(), 3)
            kind = draw.choice(("up", "up", "down", "view"))
            row = {"type": "view" if kind == "view" else "vote", "item": name, "visitor": f"v{number}", "time": moment}
            rows.append(row if kind == "view" else {**row, "kind": kind})
            wanted.setdefault(name, []).append((kind, moment if kind == "view" else math.floor(moment)))
    draw.shuffle(rows)
    load(ranked, site, rows)

    def decayed(events, weights, half_life, at):
        return sum(weights[kind] * 2 ** ((moment - at) / half_life) for kind, moment in events)

    def check(name, value):
        box = ranked.get(f"{site}/rankings/{name}?limit=100").json
        at = unix(box["computed_at"])
        scores = {item: value(events, at) for item, events in wanted.items()}
        scores = {item: score for item, score in scores.items() if score > 1e-12}
        assert {entry["item"]: entry["score"] for entry in box["items"]} == pytest.approx(scores, rel=1e-6), name
        assert [entry["item"] for entry in box["items"]] == sorted(scores, key=lambda item: (-round(scores[item], 12), item))

    check("decayed", lambda events, at: decayed(events, {"up": 1, "down": -0.5, "view": 0.1}, 3600, at))
    check("heavy", lambda events, at: decayed(events, {"up": 3, "down": 0, "view": 0}, 604800, at))
    check("total", lambda events, at: sum({"up": 2, "down": -1, "view": 0.25}[kind] for kind, _ in events))

    def wilson(events, at):
        up, down = (sum(kind == wanted_kind for kind, _ in events) for wanted_kind in ("up", "down"))
        total, z = up + down, 1.96
        if not total:
            return 0
        share = up / total
        return (share + z * z / (2 * total) - z * math.sqrt((share * (1 - share) + z * z / (4 * total)) / total)) / (1 + z * z / total)
    box = ranked.get(f"{site}/rankings/best?limit=100").json
    for entry in box["items"]:
        assert entry["score"] == pytest.approx(wilson(wanted[entry["item"]], 0), abs=1e-6)


@contract("List", "score of a decayed ranking is the decayed weight at computed_at")
def test_a_score_falls_as_time_passes(ranked, site):
    load(ranked, site, votes("a", 4, time=time.time() - 60))
    found = []
    for number in range(2):
        load(ranked, site, votes(f"b{number}", 1))  # a body without a change is kept
        box = ranked.get(f"{site}/rankings/decayed").json
        found.append((unix(box["computed_at"]), box["items"][0]["score"]))
        time.sleep(0.2)
    (first, high), (second, low) = found
    assert second > first and low < high
    assert low / high == pytest.approx(2 ** ((first - second) / 3600), rel=1e-9)


@contract("List", "Equal scores are ordered by item id")
@pytest.mark.parametrize("path", ["rankings/total", "rankings/decayed", "rankings/best"])
def test_equal_scores(ranked, site, path):
    names = ["B", "a", "a/", "b", "é", "z", "É", "10", "9", "-1", "~", "字", "\U0001F600", "a b"]
    moment = int(time.time()) - 500
    rows = [row for name in names for row in votes(name, 2, time=moment)]
    random.Random(path).shuffle(rows)
    load(ranked, site, rows)
    ordered = sorted(names, key=str.encode)
    assert ids(ranked.get(f"{site}/{path}?limit=100")) == ordered
    for limit in (1, 5, 13):
        assert ids(ranked.get(f"{site}/{path}?limit={limit}")) == ordered[:limit]


@contract("List", "Equal scores are ordered by item id")
def test_votes_count_by_the_whole_second(ranked, site):
    moment = int(time.time()) - 500
    load(ranked, site, [{"type": "vote", "item": item, "visitor": "v", "time": moment + part} for item, part in (("a", 0), ("b", 0.999), ("c", 0.5), ("d", 1))])
    box = ranked.get(f"{site}/rankings/decayed").json["items"]
    assert [entry["item"] for entry in box] == ["d", "a", "b", "c"]
    assert len({entry["score"] for entry in box}) == 2


@contract("List", "An item under the ranking's floor of evidence")
def test_the_floor(ranked, site):
    load(ranked, site, votes("one", 1) + votes("two", 2) + votes("three", 3) + [{"type": "view", "item": "two", "visitor": f"w{n}"} for n in range(9)])
    assert ids(ranked.get(f"{site}/rankings/floored")) == ["three"]
    page = ranked.get(f"{site}/items/x/page?name=floored").json
    assert [entry["item"] for entry in page["ranking"]["items"]] == ["three"] or "three" in [
        entry["item"] for name in ("related", "recommendation") for entry in page[name]["items"]]
    load(ranked, site, [{"type": "unvote", "item": "three", "visitor": "v0"}])
    assert ids(ranked.get(f"{site}/rankings/floored")) == []


@contract("GET /v1/{site}/rankings", "200 the rankings that the configuration defines")
@contract("GET /v1/{site}/rankings/{ranking}", "An undefined name is 404")
def test_the_rankings_there_are(service, ranked, site):
    assert ranked.get(f"{site}/rankings").json == {"rankings": [
        {"name": "decayed", "type": "decayed", "half_life": 3600}, {"name": "heavy", "type": "decayed", "half_life": 604800},
        {"name": "total", "type": "total"}, {"name": "best", "type": "best"}, {"name": "floored", "type": "total"}]}
    assert [row["name"] for row in service.get(f"{site}/rankings").json["rankings"]] == ["hot", "day", "week", "rising", "top", "most-read"]
    for name in ("hot", "Total", "total%20", "totals", "tota", "popular", ".popular", ".newest", "%2E", "total%2F", "-"):
        answer = ranked.get(f"{site}/rankings/{name}")
        assert answer.status in (404, 400) and answer.json["code"] in ("unknown_ranking", "bad_path"), name
        page = ranked.get(f"{site}/items/a/page?name={name}")
        assert (page.status, page.json["code"]) == (404, "unknown_ranking"), name


@contract("GET /v1/{site}/rankings/{ranking}", "A list of kind ranking; limit, offset, category and exclude")
def test_a_category(ranked, site):
    cards(ranked, site, ["a", "b"], categories=["x", "a & b"])
    cards(ranked, site, ["c"], categories=["y"])
    load(ranked, site, votes("a", 1) + votes("b", 2) + votes("c", 3) + votes("d", 4))
    for query, wanted in (("category=x", ["b", "a"]), ("category=a+%26+b", ["b", "a"]), ("category=y", ["c"]), ("category=X", []), ("category=none", []),
                          ("category=x&limit=1", ["b"]), ("category=x&exclude=b", ["a"]), ("", ["d", "c", "b", "a"])):
        assert ids(ranked.get(f"{site}/rankings/total?{query}")) == wanted, query


# ---- The page

@contract("GET /v1/{site}/items/{item}/page", "200 the page in one call", "related (preset 10), ranking (8)", "No item stands in two of the lists", "A list with the count 0 is left out")
@contract("GET /v1/{site}/items/{item}/related", "It never contains the item itself")
def test_the_page(service, site):
    names = readers(service, site, 40)
    hand(service, site, names[30], pin=1, lists=["ranking", "related", "recommendation"])
    hand(service, site, "hub", pin=1, lists=["ranking", "related", "recommendation"])
    for item in ("hub", names[0], names[30], "unseen"):
        page = service.get(f"{site}/items/{item}/page").json
        assert list(page) == ["item", "related", "ranking", "recommendation"]
        assert page["item"] == service.get(f"{site}/items/{item}").json
        assert [len(page[name]["items"]) for name in list(page)[1:]] == [10, 8, 8]
        found = [entry["item"] for name in list(page)[1:] for entry in page[name]["items"]]
        assert len(set(found)) == 26 and item not in found
        assert item not in ids(service.get(f"{site}/items/{item}/related?limit=100"))
        for name in list(page)[1:]:
            assert page[name]["kind"] == name and [entry["rank"] for entry in page[name]["items"]] == list(range(1, len(page[name]["items"]) + 1))
    assert page["ranking"]["name"] == "hot"
    for query, wanted in (("related=0", ["ranking", "recommendation"]), ("ranking=0&recommendation=0", ["related"]), ("related=0&ranking=0&recommendation=0", []),
                          ("related=1&ranking=2&recommendation=3", ["related", "ranking", "recommendation"])):
        page = service.get(f"{site}/items/hub/page?{query}").json
        assert list(page) == ["item", *wanted], query
        for pair in query.split("&"):
            name, count = pair.split("=")
            assert count == "0" or len(page[name]["items"]) == int(count)
    page = service.get(f"{site}/items/hub/page?exclude=i01&exclude=i02&name=top&related=100&ranking=100&recommendation=100").json
    found = [entry["item"] for name in ("related", "ranking", "recommendation") for entry in page[name]["items"]]
    assert sorted(found) == sorted(set(names) - {"i01", "i02"}) and page["ranking"]["name"] == "top"


# ---- Formats

class Fragment(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())

    def handle_comment(self, data):
        raise AssertionError(data)


@contract("Formats", "Each list can also be had as an HTML <ol> fragment")
@pytest.mark.parametrize("path", LISTS)
def test_everything_of_a_fragment_is_escaped(service, site, path):
    rows = [{"item": text, "title": text, "author": text, "url": "/x" + text, "image": "https://x.example/" + text, "categories": [text]} for text in NASTY]
    assert service.lines(f"{site}/items", rows).json["rejected"] == []
    load(service, site, [row for text in NASTY for row in votes(text, 1)])
    answer = service.get(f"{site}{path}?format=html&limit=100")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    fragment = Fragment(answer.body.decode())
    assert fragment.open == [] and {tag for tag, _ in fragment.tags} == {"ol", "li", "a", "img", "span"}
    listed = {entry["item"]: entry for entry in service.get(f"{site}{path}?limit=100").json["items"]}
    assert listed.keys() == set(NASTY)
    assert [attrs["data-item"] for tag, attrs in fragment.tags if tag == "li"] == list(listed)
    for tag, name, field in (("a", "href", "url"), ("img", "src", "image")):
        links = [attrs[name] for one, attrs in fragment.tags if one == tag]
        assert not any(byte in link for link in links for byte in " \"<>\\`{}")  # as an address has them
        assert sorted(map(urllib.parse.unquote, links)) == sorted(
            urllib.parse.unquote(entry[field].replace("\\", "/")) for entry in listed.values())  # as browsers read them
    for text in listed:
        assert fragment.texts.count(listed[text]["title"].strip()) >= 2  # title and author
    for tag, attrs in fragment.tags:
        assert set(attrs) <= {"class", "data-item", "data-reason", "href", "src", "alt", "loading", "width", "height", "lang"}, (tag, attrs)
    assert answer.body.startswith(b'<ol class="engaged engaged-') and answer.body.endswith(b"</ol>\n")


@contract("Formats", "An error's body is then an HTML comment")
@pytest.mark.parametrize("path,status,code", [("/rankings/none", 404, "unknown_ranking"), ("/rankings/hot?limit=0", 400, "bad_limit"),
                                              ("/items/%ff/related", 400, "bad_path"), ("/me/recommendations?exclude=", 400, "bad_exclude"),
                                              ("/items/a/related?limit=1&limit=1", 400, "repeated_parameter"), ("/rankings/hot/", 404, "not_found"),
                                              ("/me/recommendations?x=--%3E", None, None)])
def test_an_error_of_a_fragment(service, site, path, status, code):
    address = site + path + ("&" if "?" in path else "?") + "format=html"
    answer = service.get(address)
    if status is None:
        assert answer.status == 200
        answer, status, code = service.keyed("GET", address), 400, "unknown_parameter"
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert answer.body.decode() == f"<!-- engaged: {status} {code} -->\n"
    assert answer.headers["cache-control"] == "no-store"
    head = service.request("HEAD", address, **({"Authorization": "Bearer k"} if "x=" in path else {}))
    assert (head.status, head.body) == (status, b"")


FEED = {"version", "title", "home_page_url", "feed_url", "description", "user_comment", "next_url", "icon", "favicon", "authors", "language", "expired", "hubs",
        "items"}
FEED_ITEM = {"id", "url", "external_url", "title", "content_html", "content_text", "summary", "image", "banner_image", "date_published", "date_modified", "authors",
             "tags", "language", "attachments"}


@contract("Formats", "?format=feed is JSON Feed 1.1")
@pytest.mark.parametrize("path", LISTS)
def test_a_feed(service, site, path):
    rows = [{"item": text, "title": text, "author": text, "url": f"https://x.example/{n}", "image": "/i.png" if n % 2 else "https://x.example/i.png",
             "categories": [text], "published_at": 1700000000 + n} for n, text in enumerate(NASTY)] + [{"item": "plain"}]
    assert service.lines(f"{site}/items", rows).json["rejected"] == []
    load(service, site, [row for text in [*NASTY, "plain"] for row in votes(text, 1)])
    answer = service.get(f"{site}{path}?format=feed&limit=100")
    assert answer.status == 200 and answer.headers["content-type"].startswith("application/feed+json")
    feed = answer.json
    assert feed["version"] == "https://jsonfeed.org/version/1.1" and feed["title"] and isinstance(feed["items"], list)
    assert {key for key in feed if not key.startswith("_")} <= FEED
    listed = service.get(f"{site}{path}?limit=100").json["items"]
    assert [entry["id"] for entry in feed["items"]] == [entry["item"] for entry in listed]
    for entry, shown in zip(feed["items"], listed):
        assert {key for key in entry if not key.startswith("_")} <= FEED_ITEM
        assert isinstance(entry["id"], str) and ("content_text" in entry or "content_html" in entry)
        for link in ("url", "image"):
            assert link not in entry or entry[link].startswith("https://")
        assert entry.get("tags", []) == shown.get("categories", [])
        assert entry.get("authors", []) == ([{"name": shown["author"]}] if "author" in shown else [])
        if "published_at" in shown:
            assert entry["date_published"] == shown["published_at"]
        own = {key: value for key, value in entry["_engaged"].items() if key not in ("score", "computed_at")}
        assert own == {key: value for key, value in shown.items() if key != "score"}


# ---- Times

GOOD = [("1970-01-01T00:00:00Z", 0), ("2026-11-23T18:00:00Z", 1795456800), ("2026-11-23t18:00:00z", 1795456800), ("2026-11-23 18:00:00Z", 1795456800),
        ("2026-11-23T18:00:00.1Z", 1795456800.1), ("2026-11-23T18:00:00.123456789Z", 1795456800.123), ("2026-11-23T18:00:00.999999Z", 1795456800.999),
        ("2026-11-23T18:00:00.000Z", 1795456800), ("2026-11-23T20:00:00+02:00", 1795456800), ("2026-11-23T12:30:00-05:30", 1795456800),
        ("2026-11-23T18:00:00+00:00", 1795456800), ("2026-11-23T18:00:00-00:00", 1795456800), ("2026-11-24T17:59:00+23:59", 1795456800),
        ("2026-11-22T18:01:00-23:59", 1795456800), ("2024-02-29T00:00:00Z", 1709164800), ("2000-02-29T12:00:00Z", 951825600),
        ("2016-12-31T23:59:60Z", 1483228800), ("2016-12-31T23:59:60.5Z", 1483228800.5), ("2017-01-01T00:59:60+01:00", 1483228800),
        ("9999-12-31T23:59:59Z", 253402300799), ("1969-12-31T23:00:00-01:00", 0), (0, 0), (1795456800, 1795456800), (1795456800.5, 1795456800.5),
        (1.7954568e9, 1795456800), (0.29, 0.29), (253402300799, 253402300799)]
BAD = ["", "now", "2026-11-23", "2026-11-23T18:00:00", "2026-11-23T18:00Z", "2026-11-23T18Z", "2026-11-23T24:00:00Z", "2026-11-23T23:60:00Z", "2026-11-23T23:59:61Z",
       "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-04-31T00:00:00Z", "1900-02-29T00:00:00Z",
       "26-11-23T18:00:00Z", "2026-11-23T18:00:00.Z", "2026-11-23T18:00:00,5Z", "2026-11-23T18:00:00+0200", "2026-11-23T18:00:00+02", "2026-11-23T18:00:00+24:00",
       "2026-11-23T18:00:00+02:60", "2026-11-23T18:00:00Z ", " 2026-11-23T18:00:00Z", "2026-11-23T18:00:00ZZ", "2026-11-23T18:00:00 Z", "2026-1-23T18:00:00Z",
       "2026-W47-1T18:00:00Z", "2026-327T18:00:00Z", "20261123T180000Z", "+2026-11-23T18:00:00Z", "10000-01-01T00:00:00Z", "2026-11-23T18:00:00\u22125:00",
       "1795456800", "0000-12-31T23:59:59Z", -62135596801, 253402300800, 1e300, True, [], {}, "2026-11-23_18:00:00Z", "2026-11-23T-1:00:00Z"]


@contract("Numbers and times", "Times go out as ISO 8601", "Times come in as any RFC 3339 time", "A leap second counts as the second behind it")
@pytest.mark.parametrize("given,wanted", GOOD)
def test_times_that_come_in(service, site, given, wanted):
    assert service.keyed("PUT", f"{site}/items/a", {"published_at": given}).status == 200
    shown = service.get(f"{site}/items/a").json["published_at"]
    seconds, milliseconds = divmod(round(wanted * 1000), 1000)
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    assert shown == moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + f".{milliseconds:03}Z"
    if wanted <= time.time():
        assert service.lines(f"{site}/events", [{"type": "view", "item": "b", "visitor": "u", "time": given}]).json["accepted"] == 1
    until = hand(service, site, "a", pin=1, until=given)["until"] if given != 0 else shown
    assert until == shown


@contract("Numbers and times", "Times come in as any RFC 3339 time")
@pytest.mark.parametrize("given", BAD, ids=json.dumps)
def test_invalid_times(service, site, given):
    answers = [service.keyed("PUT", f"{site}/items/a", {"published_at": given}), service.keyed("PUT", f"{site}/items/a/editorial", {"pin": 1, "until": given}),
               service.keyed("POST", f"{site}/corrections", {"item": "a", "from": given})]
    for answer in answers:
        assert answer.status == 400 and answer.json["code"] in ("bad_time", "bad_field"), answer.body
        assert not isinstance(given, str) or answer.json["code"] == "bad_time"
    for path, row in (("events", {"type": "view", "item": "a", "visitor": "u", "time": given}), ("items", {"item": "a", "published_at": given})):
        assert service.lines(f"{site}/{path}", [row]).json["rejected"][0]["code"] == answers[0].json["code"]
