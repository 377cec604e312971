# SPDX-License-Identifier: MIT
"""docs/api.md, section 4: what the publisher calls with the key."""
import itertools
import json
import time

import pytest

from support.calls import NDJSON
from support.contract import ids, load
from support.wait import wait_until

contract = pytest.mark.contract
LISTS = ["ranking", "related", "recommendation"]
PATHS = {"ranking": "/rankings/top", "related": "/items/hub/related", "recommendation": "/me/recommendations"}


def put(service, site, card, item="a"):
    return service.keyed("PUT", f"{site}/items/{item}", card)


def hand(service, site, item, **what):
    answer = service.keyed("PUT", f"{site}/items/{item}/editorial", what)
    assert answer.status == 200, answer.body
    return answer.json


def marks(service, site):
    return {row["item"]: row for row in service.keyed("GET", f"{site}/editorial").json["editorial"]}


def fill(service, site, count=8):
    """Cards i0 …, the first with most votes and most readers."""
    names = [f"i{n}" for n in range(count)]
    assert service.lines(f"{site}/items", [{"item": name, "title": name} for name in names]).json["accepted"] == count
    load(service, site, [{"type": kind, "item": name, "visitor": f"v{reader}"} for n, name in enumerate(names) for kind in ("vote", "view")
                         for reader in range(2 * count - n)])
    return names


# ---- Cards

@contract("PUT /v1/{site}/items/{item}", "200 the item; the card is", "The card is replaced as a whole")
def test_a_card_is_replaced_as_a_whole(service, site):
    card = {"title": "T", "url": "/u", "image": "/i", "categories": ["x"], "author": "A", "published_at": "2026-01-01T00:00:00.000Z"}
    base = {"views": 7, "votes": {"up": 3, "down": 2}}
    assert put(service, site, {**card, "base": base}).json == {"item": "a", **card, "votes": {"up": 3, "down": 2}, "views": 7, "visitors": 0}
    counts = {"votes": {"up": 3, "down": 2}, "views": 7, "visitors": 0}
    for field in card:  # what is left out is gone, but for the base
        rest = {key: value for key, value in card.items() if key != field}
        assert put(service, site, rest).json == {"item": "a", **rest, **counts}
        assert service.get(f"{site}/items/a").json == {"item": "a", **rest, **counts}
    assert put(service, site, {}).json == {"item": "a", **counts}
    assert put(service, site, {"title": None, "base": None}).json == {"item": "a", **counts}


@contract("PUT /v1/{site}/items/{item}", "base brings counts from an older system")
def test_base_counts(service, site):
    load(service, site, [{"type": "vote", "item": "a", "visitor": "u"}, {"type": "view", "item": "a", "visitor": "u"}, {"type": "vote", "item": "b", "visitor": "u"},
                         {"type": "vote", "item": "b", "visitor": "v"}])
    for _ in range(2):  # set, not added
        item = put(service, site, {"title": "A", "base": {"views": 1000, "votes": {"up": 50, "down": 5}}}).json
        assert (item["votes"], item["views"], item["visitors"]) == ({"up": 51, "down": 5}, 1001, 1)
    assert service.get(f"{site}/me?id=a").json["counts"]["a"] == {"up": 51, "down": 5}
    token = service.post(site + "/visitors").json["visitor"]
    assert service.post(f"{site}/items/a/votes", Engaged_Visitor=token).json["votes"] == {"up": 52, "down": 5}
    assert service.request("DELETE", f"{site}/items/a/votes", Engaged_Visitor=token).json["votes"] == {"up": 51, "down": 5}
    load(service, site, [{"type": "view", "item": "z", "visitor": "u"}])
    top = service.get(f"{site}/rankings/top").json["items"]  # shown, never ranked
    assert [entry["item"] for entry in top[:2]] == ["b", "a"] and [entry["score"] for entry in top[:2]] == pytest.approx([2, 1.1])
    shown = next(entry for entry in top if entry["item"] == "a")
    assert (shown["votes"], shown["views"]) == ({"up": 51, "down": 5}, 1001)
    put(service, site, {"base": {"views": 10 ** 9}}, "never-read")
    assert "never-read" not in ids(service.get(f"{site}/rankings/top"))
    assert service.lines(f"{site}/items", [{"item": "a", "base": {"views": 1, "votes": {"up": 0}}}]).json["accepted"] == 1
    assert service.get(f"{site}/items/a").json["views"] == 2
    for bad in ({"views": -1}, {"views": 0.5}, {"views": "1"}, {"votes": {"sideways": 1}}, {"votes": {"up": -1}}, {"x": 1}, [], 1, {"views": 2 ** 53}):
        assert put(service, site, {"base": bad}).status == 400, bad


@contract("PUT /v1/{site}/items/{item}", "A card's addresses are http, https")
@pytest.mark.parametrize("field", ["url", "image"])
@pytest.mark.parametrize("address,good", [
    ("http://x.example", True), ("https://x.example/a?b#c", True), ("/", True), ("/a", True), ("//x.example", False), ("/\\x.example", False), ("a", False),
    ("javascript:alert(1)", False), ("JAVASCRIPT:alert(1)", False), ("data:text/html,x", False), ("mailto:a@b", False), ("ftp://x", False), (" https://x", False),
    ("https:x", False), ("?a", False), ("#a", False), ("\\x", False), ("vbscript:x", False), ("blob:https://x", False), ("./a", False)])
def test_addresses_of_a_card(service, site, field, address, good):
    answer = put(service, site, {field: address})
    assert (answer.status, answer.json.get("code")) == ((200, None) if good else (400, "bad_field"))
    rejected = service.lines(f"{site}/items", [{"item": "b", field: address}]).json["rejected"]
    assert rejected == ([] if good else [{"line": 1, "code": "bad_field"}])


@contract("DELETE /v1/{site}/items/{item}", "204; gone from every list")
def test_a_deleted_item_is_gone(service, site):
    names = fill(service, site)
    load(service, site, [{"type": "view", "item": item, "visitor": f"r{n}"} for n in range(4) for item in ("hub", names[0])])
    put(service, site, {"title": "t", "categories": ["c"], "base": {"views": 5, "votes": {"up": 5}}}, names[0])
    for _ in range(2):  # also of what is not there
        answer = service.keyed("DELETE", f"{site}/items/{names[0]}")
        assert (answer.status, answer.body) == (204, b"")
    assert service.get(f"{site}/items/{names[0]}").json == {"item": names[0], "votes": {"up": 0, "down": 0}, "views": 0, "visitors": 0}
    for path in (*PATHS.values(), "/rankings/hot", "/rankings/day", "/rankings/week", "/rankings/rising", "/rankings/top?category=c"):
        assert names[0] not in ids(service.get(site + path)), path
    assert names[0].encode() not in b"".join(service.get(f"{site}/items/hub/page?{q}").body for q in ("", "name=top"))
    assert service.keyed("GET", f"{site}/me?id={names[0]}", Engaged_Visitor="v0").json["votes"] == {}
    assert service.keyed("POST", f"{site}/items/{names[0]}/votes", Engaged_Visitor="v0").json["votes"] == {"up": 1, "down": 0}


# ---- Editorial rules

@contract("PUT /v1/{site}/items/{item}/editorial", "200 the editorial rule", "It is applied at the next refresh to the kinds of list named")
@contract("DELETE /v1/{site}/items/{item}/editorial", "204; the editorial rule is removed")
@contract("GET /v1/{site}/editorial", "200 {\"editorial\":[…]}")
def test_a_mark(service, site):
    names = fill(service, site)
    before = {kind: ids(service.get(site + path)) for kind, path in PATHS.items()}
    mark = hand(service, site, names[5], pin=2, note="why")
    assert {key: value for key, value in mark.items() if key != "set_at"} == {"item": names[5], "pin": 2, "bury": False, "block": False, "lists": ["ranking"],
                                                                              "note": "why"}
    assert abs(time.time() - wait_set(mark)) < 60 and marks(service, site) == {names[5]: mark}
    assert ids(service.get(site + PATHS["ranking"]))[1] == names[5]
    assert [ids(service.get(site + PATHS[kind])) for kind in LISTS[1:]] == [before[kind] for kind in LISTS[1:]]
    for kinds in itertools.chain.from_iterable(itertools.combinations(LISTS, n) for n in (1, 2, 3)):
        hand(service, site, names[5], pin=1, lists=list(kinds))  # a rule is set as a whole
        for kind, path in PATHS.items():
            assert (ids(service.get(site + path))[0] == names[5]) == (kind in kinds), (kinds, kind)
    hand(service, site, names[5], boost=1000)
    assert set(marks(service, site)[names[5]]) == {"item", "boost", "bury", "block", "lists", "set_at"}
    for _ in range(2):
        assert service.keyed("DELETE", f"{site}/items/{names[5]}/editorial").status == 204
    assert marks(service, site) == {} and {kind: ids(service.get(site + path)) for kind, path in PATHS.items()} == before
    for bad in ({}, {"lists": ["ranking"]}, {"note": "x"}, {"bury": False}, {"block": False, "bury": False}, {"pin": 0}, {"pin": 101}, {"pin": 1.5},
                {"boost": 0}, {"boost": 1000.1}, {"boost": -1}, {"pin": 1, "lists": []}, {"pin": 1, "lists": ["rankings"]}, {"pin": None}):
        assert service.keyed("PUT", f"{site}/items/a/editorial", bad).status == 400, bad
    assert marks(service, site) == {}


def wait_set(mark):
    import datetime
    return datetime.datetime.fromisoformat(mark["set_at"].replace("Z", "+00:00")).timestamp()


@contract("PUT /v1/{site}/items/{item}/editorial", "A block holds everywhere", "Block and exclude beat pins")
@contract("Lists", "Pinned entries count towards limit", "No item stands twice in a list")
def test_blocks_pins_and_excludes(service, site):
    names = fill(service, site)
    hand(service, site, names[7], pin=1, lists=LISTS)
    hand(service, site, names[0], block=True, pin=1, boost=1000, lists=["ranking"])
    for kind, path in PATHS.items():
        for limit in (1, 2, 5):
            found = ids(service.get(f"{site}{path}?limit={limit}"))
            assert len(found) == len(set(found)) == limit and found[0] == names[7] and names[0] not in found, kind
        found = ids(service.get(f"{site}{path}?limit=3&exclude={names[7]}"))
        assert len(found) == 3 and names[7] not in found and names[0] not in found
    page = service.get(f"{site}/items/hub/page").json
    assert names[0] not in json.dumps(page)
    hand(service, site, names[0], block=True, lists=["related"])  # everywhere, whatever is named
    assert all(names[0] not in ids(service.get(site + path)) for path in PATHS.values())
    assert "title" in service.get(f"{site}/items/{names[0]}").json
    hand(service, site, names[0], bury=True, lists=LISTS)
    for path in PATHS.values():
        assert ids(service.get(site + path))[-1] == names[0]
        assert names[0] not in ids(service.get(f"{site}{path}?limit=7"))


@contract("PUT /v1/{site}/items/{item}/editorial", "Of two pins on a slot the later goes first", "until ends it by itself")
def test_pins_on_slots(service, site):
    names = fill(service, site)
    for name in (names[5], names[6], names[7]):
        hand(service, site, name, pin=2)
    assert ids(service.get(site + "/rankings/top"))[:5] == [names[0], names[7], names[6], names[5], names[1]]
    hand(service, site, names[5], pin=2)  # set again, it is the later one
    assert ids(service.get(site + "/rankings/top"))[:4] == [names[0], names[5], names[7], names[6]]
    for slot, name in ((8, names[0]), (1, names[6])):
        hand(service, site, name, pin=slot)
    found = service.get(site + "/rankings/top").json["items"]
    assert (found[0]["item"], found[7]["item"]) == (names[6], names[0]) and found[0]["reason"] == found[7]["reason"] == "pinned"
    assert [entry["rank"] for entry in found] == list(range(1, 9)) and len({entry["item"] for entry in found}) == 8
    until = time.time() + 2
    hand(service, site, names[1], pin=1, until=until)
    first = ids(service.get(site + "/rankings/top"))[0]
    assert first == names[1] or time.time() >= until
    wait_until(lambda: ids(service.get(site + "/rankings/top"))[0] == names[6])
    assert names[1] not in marks(service, site)
    hand(service, site, names[1], pin=1, until="2020-01-01T00:00:00Z")  # over already
    assert ids(service.get(site + "/rankings/top"))[0] == names[6]


@contract("PUT /v1/{site}/items/{item}/editorial", "Of two pins on a slot the later goes first")
def test_pins_within_a_millisecond(own):
    """Set one after the other, by whichever worker, as fast as they are answered."""
    running = own(workers=2)
    site = "/v1/s"
    names = fill(running, site)
    for turn in range(10):
        order = [names[(turn + n * 3) % 8] for n in range(8)]
        for name in order:
            hand(running, site, name, pin=1)
        assert ids(running.get(site + "/rankings/top")) == order[::-1]
        times = [marks(running, site)[name]["set_at"] for name in order]
        assert times == sorted(set(times))


# ---- Lines

@contract("POST /v1/{site}/items", "NDJSON of {\"item\":…, card fields}", "One bad line never stops the rest")
@contract("POST /v1/{site}/events", "NDJSON of {\"type\"", "visitor is the caller's opaque id")
def test_lines_that_are_not_right_are_named(service, site):
    cards = [('{"item":"a","title":"A"}', None), ("", None), ('{"item":"-"}', "bad_item"), ('{"item":"b","title":1}', "bad_field"), ('{"item":"b","x":1}', "unknown_parameter"),
             ('{"item":"b"}', None), ("{", "bad_json"), ("[]", "bad_field"), ('{"item":"c","item":"d"}', "repeated_parameter"), ('{"item":"' + "a" * 513 + '"}', "bad_item"),
             ('{"title":"t"}', "bad_item"), ('{"item":"c","published_at":"x"}', "bad_time"), ('{"item":"c","base":{"votes":{"no":1}}}', "unknown_kind"), ("  ", None),
             ('{"item":"c","url":"x:y"}', "bad_field"), ('  {"item":"d","title":"D"}  \r', None)]
    answer = service.lines(f"{site}/items", [row for row, _ in cards])
    assert answer.status == 200
    assert answer.json == {"accepted": 3, "rejected": [{"line": n, "code": code} for n, (_, code) in enumerate(cards, 1) if code]}
    assert [service.get(f"{site}/items/{item}").json.get("title") for item in "abcd"] == ["A", None, None, "D"]
    good = {"type": "view", "item": "e", "visitor": "u"}
    token = service.post(site + "/visitors").json["visitor"]
    events = [(good, None), ({**good, "type": "vote"}, None), ({**good, "type": "look"}, "bad_field"), ({**good, "type": None}, "bad_field"), ({**good, "item": ".."}, "bad_item"),
              ({**good, "visitor": ""}, "bad_visitor"), ({"type": "view", "item": "e"}, "bad_visitor"), ({**good, "visitor": "ev1.x"}, "bad_visitor"), ({**good, "visitor": token}, None),
              ({**good, "type": "vote", "kind": "no"}, "unknown_kind"), ({**good, "time": "x"}, "bad_time"), ({**good, "time": time.time() + 90}, "bad_time"),
              ({**good, "time": time.time() + 30, "visitor": "w"}, None), ({**good, "odd": 1}, "unknown_parameter"), ({**good, "type": "unvote", "visitor": "nobody"}, None),
              ({**good, "type": "vote", "kind": "down", "visitor": "w"}, None), ({**good, "visitor": 5}, "bad_field"), ({**good, "item": None}, "bad_item")]
    answer = service.lines(f"{site}/events?wait=true", [row for row, _ in events])
    assert answer.json == {"accepted": 6, "rejected": [{"line": n, "code": code} for n, (_, code) in enumerate(events, 1) if code]}
    assert service.get(f"{site}/items/e").json == {"item": "e", "votes": {"up": 1, "down": 1}, "views": 3, "visitors": 3}
    assert service.get(f"{site}/me?id=e", Engaged_Visitor=token).json["votes"] == {}


@contract("POST /v1/{site}/items", "Of the rejected lines the first 1,000")
def test_a_thousand_are_named(service, site):
    for count in (1000, 1001):
        answer = service.keyed("POST", f"{site}/events", b"x\n" * count, Content_Type=NDJSON).json
        assert answer["accepted"] == 0 and answer["rejected"] == [{"line": n, "code": "bad_json"} for n in range(1, 1001)]
        assert answer.get("rejected_count") == (None if count == 1000 else 1001)


@contract("POST /v1/{site}/events", "A time more than a minute ahead is rejected")
@pytest.mark.parametrize("ahead,good", [(-10 ** 9, True), (0, True), (55, True), (70, False), (10 ** 8, False)])
def test_times_ahead(service, site, ahead, good):
    for kind in ("view", "vote", "unvote"):
        row = {"type": kind, "item": "a", "visitor": "u", "time": time.time() + ahead}
        assert service.lines(f"{site}/events", [row]).json["rejected"] == ([] if good else [{"line": 1, "code": "bad_time"}])


@contract("POST /v1/{site}/events", "Back-dated events decay by their own time, in any order", "With ?wait=true the answer comes when the events are projected")
def test_back_dated_events_in_any_order(service, site):
    """Of different visitors: all orders, in one call and in several, end as one."""
    now = int(time.time())
    events = [("vote", "v1", -100, "up"), ("vote", "v2", -90000, "down"), ("view", "v1", -50), ("view", "v2", -7000.25), ("vote", "v3", -9000, "up")]
    orders = list(itertools.permutations(events))[::7]
    for number, order in enumerate(orders):
        rows = [{"type": kind, "item": f"i{number:02}", "visitor": visitor, "time": now + age, **({"kind": more[0]} if more else {})} for kind, visitor, age, *more in order]
        if number % 3:
            load(service, site, rows)
        else:
            for row in rows:
                load(service, site, [row])
    for name in ("hot", "day", "top"):
        box = service.get(f"{site}/rankings/{name}?limit=100").json["items"]
        assert [entry["item"] for entry in box] == [f"i{n:02}" for n in range(len(orders))], name
        assert {entry["score"] for entry in box} == {box[0]["score"]}
    shown = [service.get(f"{site}/items/i{n:02}").json for n in range(len(orders))]
    assert all((one["votes"], one["views"], one["visitors"]) == ({"up": 2, "down": 1}, 2, 2) for one in shown)


# ---- Export, import, corrections

@contract("GET /v1/{site}/export", "NDJSON of items with cards")
@contract("POST /v1/{site}/import", "It takes an export back")
def test_an_export_is_taken_back_once(service, site):
    names = fill(service, site)
    put(service, site, {"title": "\"<é\u2028", "url": "/u", "categories": ["x"], "published_at": 1700000000, "base": {"views": 9, "votes": {"down": 4}}}, names[1])
    load(service, site, [{"type": "vote", "item": names[1], "visitor": "w", "kind": "down", "time": 1700000000}])
    hand(service, site, names[2], pin=3, until="2100-01-01T00:00:00Z", note="n", lists=["related"])
    hand(service, site, names[3], block=True)

    def export(where):
        answer = service.keyed("GET", f"{where}/export")
        assert answer.status == 200 and answer.headers["content-type"].startswith(NDJSON)
        lines = [json.loads(line) for line in answer.body.decode().splitlines()]
        assert lines[-1] == {"type": "end", "items": sum(line["type"] == "item" for line in lines)}
        return answer.body, lines

    body, lines = export(site)
    assert {line["type"] for line in lines} == {"item", "vote", "editorial", "end"}
    assert len([line for line in lines if line["type"] == "item"]) == 8
    cast = [line for line in lines if line["type"] == "vote"]
    assert len(cast) == sum(2 * 8 - n for n in range(8)) + 1
    assert all(set(line) == {"type", "item", "voter", "kind", "time"} and len(line["voter"]) == 16 for line in cast)
    assert not any(f'"{who}"'.encode() in body for who in ("v0", "v1", "w"))
    (old,) = [line for line in cast if line["kind"] == "down"]
    assert old["item"] == names[1] and old["time"] in (1700000000, "2023-11-14T22:13:20.000Z")
    for _ in range(2):
        answer = service.keyed("POST", f"{site}/import?wait=true", body, Content_Type=NDJSON)
        assert answer.json == {"accepted": len(lines), "rejected": []}
        assert sorted(export(site)[1], key=json.dumps) == sorted(lines, key=json.dumps)
    before = {path: service.get(site + path).json["items"] for path in ("/rankings/top", "/items/x/related")}
    for name in names:
        assert service.keyed("DELETE", f"{site}/items/{name}").status == 204
    assert service.keyed("POST", f"{site}/import?wait=true", body, Content_Type=NDJSON).json["rejected"] == []
    assert {path: service.get(site + path).json["items"] for path in ("/rankings/top",)} == {"/rankings/top": before["/rankings/top"]}
    assert service.keyed("GET", f"{site}/me?id={names[1]}", Engaged_Visitor="w").json["votes"] == {names[1]: "down"}


@contract("POST /v1/{site}/corrections", "202 {\"correction\":\"id\"}", "It takes the votes of that visitor", "A span is whole seconds")
@contract("GET /v1/{site}/corrections", "200 {\"corrections\":[…]}")
def test_a_correction_of_a_span(service, site):
    begin = int(time.time()) - 5000
    parts = (0, 0.5, 0.999)
    rows = [{"type": "vote", "item": item, "visitor": f"v{second}.{part}", "time": begin + second + part} for item in ("a", "b") for second in range(6) for part in parts]
    load(service, site, rows)
    posted = [service.keyed("POST", f"{site}/corrections", body) for body in (
        {"item": "a", "from": begin + 1.9, "to": begin + 3.9, "note": "two whole seconds"}, {"visitor": "v5.0", "note": "everywhere"}, {"item": "b", "to": begin + 1})]
    assert [answer.status for answer in posted] == [202] * 3
    names = [answer.json["correction"] for answer in posted]
    assert all(set(answer.json) == {"correction"} and isinstance(answer.json["correction"], str) for answer in posted) and len(set(names)) == 3

    def done():
        found = service.keyed("GET", f"{site}/corrections").json["corrections"]
        return len(found) == 3 and all(row["state"] == "done" for row in found) and {row["correction"]: row for row in found}
    found = wait_until(done, 60)
    assert [found[name]["retracted"] for name in names] == [6, 2, 3]
    assert found[names[0]]["item"] == "a" and found[names[0]]["note"] == "two whole seconds" and "visitor" not in found[names[1]]
    for item, taken in (("a", {1, 2}), ("b", {0})):
        for second in range(6):
            for part in parts:
                held = service.keyed("GET", f"{site}/me?id={item}", Engaged_Visitor=f"v{second}.{part}").json["votes"]
                gone = second in taken or (second, part) == (5, 0)
                assert held == ({} if gone else {item: "up"}), (item, second, part)
    assert service.get(f"{site}/items?id=a&id=b").json["items"][0]["votes"]["up"] == 18 - 7


@contract("POST /v1/{site}/corrections", "The 202 is sent once the second")
@contract("DELETE /v1/{site}/me", "202 {\"erasure\":\"id\"}", "It forgets the history at once", "It takes the votes back", "Past views stay counted")
def test_an_erasure(service, site):
    fill(service, site)
    cookie = service.post(f"{site}/items/i0/votes").headers["set-cookie"].split(";")[0]
    token = service.post(site + "/visitors").json["visitor"]
    for item in ("i0", "i1", "new"):
        assert service.post(f"{site}/items/{item}/votes", Engaged_Visitor=token).status == 200
        assert service.post(f"{site}/items/{item}/views", Engaged_Visitor=token).json["counted"]
    wait_until(lambda: service.get(f"{site}/items/i0").json["views"] == 17)
    assert not {"i0", "i1"} & set(ids(service.get(site + "/me/recommendations", Engaged_Visitor=token)))
    for headers in ({}, {"Cookie": cookie[:-2]}):
        assert (service.request("DELETE", site + "/me", **headers).status, service.request("DELETE", site + "/me", **headers).json) == (202, {"erasure": None})
    answer = service.request("DELETE", site + "/me", Engaged_Visitor=token)
    assert answer.status == 202 and set(answer.json) == {"erasure"} and answer.json["erasure"]
    late = service.post(f"{site}/items/i1/votes", Engaged_Visitor=token)  # is not taken back
    assert late.status == 200
    assert "i0" in ids(service.get(site + "/me/recommendations", Engaged_Visitor=token))
    wait_until(lambda: service.get(site + "/me?id=i0&id=i1&id=new", Engaged_Visitor=token).json["votes"] == {"i1": "up"}, 60)
    assert service.get(f"{site}/items/i0").json["views"] == 17
    answer = service.request("DELETE", site + "/me", Cookie=cookie)
    assert answer.json["erasure"]
    wait_until(lambda: service.get(site + "/me?id=i0", Cookie=cookie).json["votes"] == {}, 60)
    assert service.request("DELETE", site + "/me", {"visitor": token}).json["erasure"]
