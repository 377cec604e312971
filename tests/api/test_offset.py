# SPDX-License-Identifier: MIT
"""Pages of a list by offset: joined they are the list, whatever editors, exclusions and boosts do to it."""
import itertools
import time

import pytest

from support.contract import ids, load
from support.service import Service

contract = pytest.mark.contract
LISTS = ["/rankings/plain", "/items/hub/related", "/me/recommendations"]
RANKINGS = """
[ranking plain]
type = total
votes = 1
views = 0

[ranking spread]
type = total
votes = 1
views = 0
per_author = 1
"""
SITE = "/v1/paged.example"
EVERYWHERE = ["ranking", "related", "recommendation"]


def cards(service, site, names, **fields):
    rows = [{"item": name, "title": f"T {name}", **fields} for name in names]
    assert service.lines(f"{site}/items", rows).json["rejected"] == []


def hand(service, item, **what):
    assert service.keyed("PUT", f"{SITE}/items/{item}/editorial", {"lists": EVERYWHERE, **what}).status == 200


def numbered(count):
    return [f"i{n:03}" for n in range(count)]


@pytest.fixture(scope="module")
def paged():
    """520 items: 400 with votes of different numbers, the first of them read after a hub, and cards that nobody has read."""
    running = Service(public_url="https://engaged.example", rate_limits="off", configuration=RANKINGS)
    now = time.time()
    cards(running, SITE, [*numbered(520), "hub"], categories=["all"], published_at=now - 86400)
    load(running, SITE, [{"type": "vote", "item": item, "visitor": f"v{k}", "time": now - 600}
                         for n, item in enumerate(numbered(400)) for k in range(9 - n // 50)])
    load(running, SITE, [{"type": "view", "item": item, "visitor": f"r{reader}", "time": now - 5000 + step}
                         for reader in range(8) for step, item in enumerate(["hub", *numbered(60)[:60 - 5 * reader]])])
    yield running
    running.stop()


@pytest.fixture(scope="module")
def reader(paged):
    return paged.keyed("POST", SITE + "/visitors", {"visitor": "r7"}).json["visitor"]


def page(service, path, reader, query=""):
    answer = service.get(f"{SITE}{path}?{query}", Engaged_Visitor=reader)
    assert answer.status == 200, answer.body
    return answer.json


def walk(service, path, reader, limits, query="", least=500):
    """All pages, each of the next of these limits; follows next_offset to its end, or until there are so many places."""
    offset, found, ranks = 0, [], []
    for limit in itertools.cycle(limits):
        limit = min(limit, 500 - offset)
        box = page(service, path, reader, f"limit={limit}&offset={offset}&{query}")
        found += [entry["item"] for entry in box["items"]]
        ranks += [entry["rank"] for entry in box["items"]]
        if "next_offset" not in box or len(found) >= least:
            assert ranks == list(range(1, len(ranks) + 1))
            return found
        assert len(box["items"]) == limit and box["next_offset"] == offset + limit
        offset += limit


@contract("Lists", "offset is 0 to 499, and with limit at most 500", "Pages fit together", "next_offset is where the next page begins")
@pytest.mark.parametrize("path", LISTS)
def test_pages_of_any_size_are_the_list(paged, reader, path):
    whole = walk(paged, path, reader, [100])
    assert len(whole) == len(set(whole)) and len(whole) >= (400 if path == "/rankings/plain" else 220)
    assert whole[:100] == [entry["item"] for entry in page(paged, path, reader, "limit=100")["items"]]
    for limits in ([7, 100, 1, 33], [64]):
        assert walk(paged, path, reader, limits) == whole, limits
    if path == "/rankings/plain":
        assert whole == numbered(400)
        empty = page(paged, path, reader, "limit=10&offset=400")
        assert empty["items"] == [] and "next_offset" not in empty
        assert [entry["item"] for entry in page(paged, path, reader, "limit=10&offset=397")["items"]] == numbered(400)[397:]
    excluded = "exclude=" + "&exclude=".join(whole[3:80:3])
    assert walk(paged, path, reader, [11, 50], excluded) == walk(paged, path, reader, [100], excluded)
    assert not set(walk(paged, path, reader, [11, 50], excluded)) & set(whole[3:80:3])


@contract("PUT /v1/{site}/items/{item}/editorial", "A pin holds its place in a list of any length")
@pytest.mark.parametrize("path", LISTS)
def test_editors_rules_keep_their_places_on_every_page(paged, reader, path):
    names = numbered(520)
    plain = walk(paged, path, reader, [100])
    rules = {names[390]: {"pin": 1}, names[100]: {"pin": 15}, names[300]: {"pin": 40}, names[63]: {"pin": 90}, names[70]: {"block": True},
             names[80]: {"bury": True}, names[91]: {"boost": 50}, names[72]: {"boost": 0.001}, "hub": {"block": True}}
    for item, rule in rules.items():
        hand(paged, item, **rule)
    try:
        whole = walk(paged, path, reader, [100])
        assert len(whole) == len(set(whole)) >= len(plain) - 2
        assert [whole.index(names[n]) for n in (390, 100, 300, 63)] == [0, 14, 39, 89]
        assert names[70] not in whole and "hub" not in whole
        assert whole[-1] == names[80] or (names[80] not in whole and len(whole) == 500)
        for limits in ([4, 10], [14, 1, 25], [100, 7], [3]):
            assert walk(paged, path, reader, limits) == whole, limits
        assert [entry["reason"] for entry in page(paged, path, reader, "offset=14&limit=1")["items"]] == ["pinned"]
    finally:
        for item in rules:
            assert paged.keyed("DELETE", f"{SITE}/items/{item}/editorial").status == 204


@contract("PUT /v1/{site}/items/{item}/editorial", "A pin holds its place in a list of any length", "Of two pins on a slot the later goes first")
@pytest.mark.parametrize("path", LISTS)
def test_pins_that_share_a_slot_do_not_stand_before_it(paged, reader, path):
    """Three pins to place 4 take the places 4 to 6, also where the list that is asked for ends before them."""
    names = numbered(520)
    pins = [(names[390], 4), (names[100], 4), (names[300], 4), (names[200], 11), (names[210], 11), (names[220], 10)]
    for item, slot in pins:
        hand(paged, item, pin=slot)
    try:
        whole = walk(paged, path, reader, [100])
        assert whole[3:6] == [names[300], names[100], names[390]] and whole[9:12] == [names[220], names[210], names[200]]
        for limits in ([1], [2], [3, 1], [4, 5], [10]):
            assert walk(paged, path, reader, limits, least=15)[:15] == whole[:15], limits
        kind = {"/rankings/plain": "ranking", "/items/hub/related": "related"}.get(path, "recommendation")
        for count in (3, 4, 5, 9, 10, 11):
            counts = {other: 0 for other in EVERYWHERE} | {kind: count}
            box = page(paged, "/items/hub/page", reader, "name=plain&" + "&".join(f"{name}={n}" for name, n in counts.items()))[kind]
            found = [entry["item"] for entry in box["items"]]
            assert [found.index(item) + 1 for item, _ in pins if item in found] == [
                place for place in (6, 5, 4, 12, 11, 10) if place <= count], (count, found)
    finally:
        for item, _ in pins:
            assert paged.keyed("DELETE", f"{SITE}/items/{item}/editorial").status == 204


@contract("Lists", "Pages fit together")
def test_pages_fit_together_where_a_pin_counts_for_its_author(paged, reader):
    """A pin of a later page takes the room of its author on the pages before."""
    rows = [{"item": f"s{n:02}", "title": f"T {n}", "author": f"A{n % 9}"} for n in range(30)]
    assert paged.lines(f"{SITE}/items", rows).json["rejected"] == []
    load(paged, SITE, [{"type": "vote", "item": f"s{n:02}", "visitor": f"v{k}"} for n in range(30) for k in range(40 - n)])
    hand(paged, "s20", pin=7)  # of A2, as s02, which leads otherwise
    try:
        whole = walk(paged, "/rankings/spread", reader, [100])
        assert whole[:9] == ["s00", "s01", "s03", "s04", "s05", "s06", "s20", "s07", "s08"]
        for limits in ([1], [2], [3, 1], [5], [6, 2]):
            assert walk(paged, "/rankings/spread", reader, limits, least=9)[:9] == whole[:9], limits
    finally:
        assert paged.keyed("DELETE", f"{SITE}/items/s20/editorial").status == 204
        load(paged, SITE, [{"type": "unvote", "item": f"s{n:02}", "visitor": f"v{k}"} for n in range(30) for k in range(40 - n)])


@contract("Lists", "offset is 0 to 499, and with limit at most 500")
@pytest.mark.parametrize("path", LISTS)
def test_no_page_goes_beyond_place_500(paged, reader, path):
    assert "next_offset" not in page(paged, path, reader, "offset=400&limit=100")
    assert page(paged, path, reader, "limit=1&offset=499").keys() >= {"items"}
    for query in ("offset=401&limit=100", "limit=100&offset=401", "offset=491", "offset=500&limit=1", "offset=-1", "offset=", "offset=x", "offset=1.0",
                  "offset=%201", "offset=99999999999999999999", "offset=4294967296"):
        for headers in ({}, {"Authorization": "Bearer k"}):
            answer = paged.get(f"{SITE}{path}?{query}", **headers)
            assert (answer.status, answer.json["code"]) == (400, "bad_limit"), query
    assert paged.get(f"{SITE}{path}?offset=1&offset=1").json["code"] == "repeated_parameter"


@contract("GET /v1/{site}/items/{item}/page", "A page of three lists has no offset")
def test_a_page_has_no_offset(paged):
    keyed = {"Authorization": "Bearer k"}
    assert paged.get(f"{SITE}/items/hub/page?offset=5", **keyed).json["code"] == "unknown_parameter"
    box = paged.get(f"{SITE}/items/hub/page?offset=5").json
    assert [box[kind]["items"][0]["rank"] for kind in ("related", "ranking", "recommendation")] == [1, 1, 1]
    assert not any("next_offset" in box[kind] for kind in ("related", "ranking", "recommendation"))


@contract("Formats", "A page of a list as HTML begins with start")
def test_pages_as_fragments_and_feeds(paged, reader):
    for path in LISTS:
        html = paged.get(f"{SITE}{path}?format=html&offset=20&limit=5", Engaged_Visitor=reader).body.decode()
        assert ' start="21">' in html.split("\n")[0] and html.count("<li ") == 5
        assert "start=" not in paged.get(f"{SITE}{path}?format=html", Engaged_Visitor=reader).body.decode()
        feed = page(paged, path, reader, "format=feed&offset=20&limit=5")
        assert [entry["_engaged"]["rank"] for entry in feed["items"]] == [21, 22, 23, 24, 25]
        assert ("next_url" in feed) == (path != "/me/recommendations")
    address, seen = f"{SITE}/rankings/plain?format=feed&limit=100&exclude=i001", []
    while address:
        feed = paged.get(address.removeprefix("https://engaged.example")).json
        seen += [entry["id"] for entry in feed["items"]]
        assert feed["feed_url"].removeprefix("https://engaged.example") == address.removeprefix("https://engaged.example")
        address = feed.get("next_url")
    assert seen == ["i000", *numbered(400)[2:]]


@contract("Lists", "next_offset is where the next page begins")
def test_whether_a_page_follows_is_part_of_its_etag(service, site):
    cards(service, site, ["a", "b", "c"])
    load(service, site, [{"type": "vote", "item": item, "visitor": f"v{n}"} for item, count in (("a", 3), ("b", 2)) for n in range(count)])
    path = f"{site}/rankings/top?limit=2"
    before = service.get(path)
    assert ids(before) == ["a", "b"] and "next_offset" not in before.json
    for same in ("&offset=0", "&offset=000"):
        assert service.get(path + same).headers["etag"] == before.headers["etag"]
    load(service, site, [{"type": "vote", "item": "c", "visitor": "v0"}])
    after = service.get(path, If_None_Match=before.headers["etag"])
    assert after.status == 200 and ids(after) == ["a", "b"] and after.json["next_offset"] == 2
    assert ids(service.get(path + "&offset=2")) == ["c"]


def test_asking_for_every_offset_takes_no_room_from_other_lists():
    """The whole memory for bodies is one MiB, and the pages are of many times that."""
    service = Service(configuration=RANKINGS, body_cache="1MiB", refresh_interval="10m", stale_limit="30m", workers=1, rate_limits="off")
    try:
        cards(service, SITE, numbered(120), url="/" + "long" * 400)
        load(service, SITE, [{"type": "vote", "item": item, "visitor": "v"} for item in numbered(120)])
        others = [f"{SITE}/rankings/plain?limit={limit}" for limit in (10, 20, 30)]
        etags = [service.get(path).headers["etag"] for path in others]
        for offset in range(1, 100):
            assert len(ids(service.get(f"{SITE}/rankings/plain?limit=20&offset={offset}"))) == 20
        before = service.item_reads()
        assert [service.get(path).headers["etag"] for path in others] == etags and service.item_reads() == before
        assert service.metrics()["engaged_body_cache_bytes"] < 2 << 20
    finally:
        service.stop()
