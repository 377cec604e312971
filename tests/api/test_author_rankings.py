# SPDX-License-Identifier: MIT
"""Rankings of an author are what the rankings of the site have by that author, in every type; as other lists filter."""
import time
import urllib.parse

import pytest

from support.contract import ids, load
from support.service import Service
from support.wait import wait_until

contract = pytest.mark.contract
RANKINGS = """
[ranking total]
type = total
votes = 1
views = 0

[ranking hot]
type = decayed
half_life = 3h
votes = 1
views = 0.1

[ranking rising]
type = rising
half_life = 3h
votes = 1
views = 0
floor = 2

[ranking best]
type = best

[ranking young]
type = total
votes = 1
views = 0
oldest_age = 1h

[ranking most-read]
type = window
window = 24h
votes = 1
views = 0

[ranking ours]
type = total
votes = 1
views = 0
author = Author 03
"""
NAMES = ["total", "hot", "rising", "best", "young", "most-read"]
AUTHORS = [f"Author {n:02}" for n in range(32)]
HOSTILE = ["<b>\"x\" & 'y'</b>", "a:b", "{e0}", "*", "é字\U0001F600", "%3Cb%3E", "\\", "x" * 200, "字" * 200, "Author 0", "author 01", "Author 01 "]


@pytest.fixture(scope="module")
def ranked():
    running = Service(configuration=RANKINGS, kinds="up down", rate_limits="off", partitions=4)
    yield running
    running.stop()


def cards(service, site, rows):
    assert service.lines(f"{site}/items", rows).json["rejected"] == []


def votes(item, count, **fields):
    return [{"type": "vote", "item": item, "visitor": f"v{n}", **fields} for n in range(count)]


def by(author, **more):
    return urllib.parse.urlencode({"author": author, "limit": 100, **more})


@pytest.fixture(scope="module")
def filled(ranked):
    """256 items of 32 authors; item n has n % 13 + 1 votes, half of them of yesterday; each fourth is too old for `young`."""
    site, now = "/v1/filled.example", time.time()
    names = [f"i{n:03}" for n in range(256)]
    cards(ranked, site, [{"item": name, "title": name, "author": AUTHORS[n % 32], "categories": ["even" if n % 64 < 32 else "odd"],
                          **({"published_at": now - 86400} if n % 4 == 0 else {"published_at": now - 60} if n % 4 == 1 else {})}
                         for n, name in enumerate(names)])
    load(ranked, site, [row for n, name in enumerate(names) for row in votes(name, n % 13 + 1, time=now - 100 - (200000 if n % 2 else n))])
    return site


@contract("GET /v1/{site}/rankings/{ranking}", "With author it is the ranking of that author")
@pytest.mark.parametrize("name", NAMES)
def test_an_authors_ranking_is_that_of_the_site_without_the_others(ranked, filled, name):
    whole, offset = [], 0
    while offset is not None:
        box = ranked.get(f"{filled}/rankings/{name}?limit=100&offset={offset}").json
        whole += box["items"]
        offset = box.get("next_offset")
    for author in AUTHORS:
        wanted = [(entry["item"], entry["reason"]) for entry in whole if entry["author"] == author]
        scores = [entry["score"] for entry in whole if entry["author"] == author]
        box = ranked.get(f"{filled}/rankings/{name}?{by(author)}").json
        assert [(entry["item"], entry["reason"]) for entry in box["items"]] == wanted, author
        assert [entry["score"] for entry in box["items"]] == pytest.approx(scores, rel=0.01)
        assert "next_offset" not in box and (name != "most-read" or box["exact"])
        category = ids(ranked.get(f"{filled}/rankings/{name}?{by(author, category='even')}"))
        assert category == [item for item, _ in wanted if int(item[1:]) % 64 < 32]
    assert name != "total" or len(wanted) == 8


@contract("GET /v1/{site}/rankings/{ranking}", "With author it is the ranking of that author")
def test_pages_exclusions_rules_and_forms_of_an_authors_ranking(ranked, filled):
    path = f"{filled}/rankings/total?"
    whole = ids(ranked.get(path + by("Author 03")))
    assert len(whole) == 8 and ids(ranked.get(f"{filled}/rankings/ours")) == whole, "as a setting of the ranking"
    assert ids(ranked.get(f"{filled}/rankings/ours?{by('Author 04')}")) == ids(ranked.get(path + by("Author 04"))), "the parameter wins"
    assert [item for offset in (0, 3, 6) for item in ids(ranked.get(path + by("Author 03", limit=3, offset=offset)))] == whole
    rest = by("Author 03", exclude=whole[1])
    assert ids(ranked.get(path + rest)) == whole[:1] + whole[2:]
    assert [item for offset in (0, 4) for item in ids(ranked.get(path + rest.replace("limit=100", f"limit=4&offset={offset}")))] == whole[:1] + whole[2:]
    assert ranked.keyed("PUT", f"{filled}/items/{whole[2]}/editorial", {"block": True}).status == 200
    assert ids(ranked.get(path + by("Author 03"))) == whole[:2] + whole[3:]
    assert ranked.keyed("DELETE", f"{filled}/items/{whole[2]}/editorial").status == 204
    feed = ranked.get(path + by("Author 03", format="feed")).json
    assert [entry["id"] for entry in feed["items"]] == whole and feed["title"].endswith("by Author 03")
    page = ranked.get(f"{filled}/items/other/page?name=total&author=Author+03&related=0&recommendation=0&ranking=8").json
    assert [entry["item"] for entry in page["ranking"]["items"]] == whole
    for other in ("items/other/related", "me/recommendations"):
        assert set(ids(ranked.get(f"{filled}/{other}?{by('Author 03')}"))) == set(whole)
    assert ranked.get(f"{filled}/rankings/most-read?author=a&period=2026-01-01").json["code"] == "bad_parameter"


@contract("GET /v1/{site}/rankings/{ranking}", "An author that is not known has an empty list", "An author is compared byte by byte")
def test_names_that_are_not_known_and_hostile_ones(ranked, site):
    cards(ranked, site, [{"item": f"i{n}", "author": author} for n, author in enumerate(HOSTILE)])
    load(ranked, site, [row for n in range(len(HOSTILE)) for row in votes(f"i{n}", 1)])
    for n, author in enumerate(HOSTILE):
        answer = ranked.get(f"{site}/rankings/total?{by(author)}")
        assert ids(answer) == [f"i{n}"] and ":by:" in answer.json["list"]
    for author in ("nobody", "AUTHOR 0", "Author 01", "a", "a:B", " "):
        assert ids(ranked.get(f"{site}/rankings/total?{by(author)}")) == []
    assert ids(ranked.get(f"{site}/rankings/total?author=Author%09%0A01+")) == ["i11"], "folded as in the card"
    for wrong in ("", "x" * 201, "%00", "a%00", "%ff", "%ed%a0%80"):
        for headers in ({}, {"Authorization": "Bearer k"}):
            answer = ranked.get(f"{site}/rankings/total?author={wrong}", **headers)
            assert (answer.status, answer.json["code"]) == (400, "bad_parameter"), wrong
    assert ranked.get(f"{site}/rankings/total?author=a&author=b").json["code"] == "repeated_parameter"


def test_a_new_card_a_deletion_and_an_import_move_an_item(ranked, site):
    def listed(author):
        return ids(ranked.get(f"{site}/rankings/total?{by(author)}"))

    def becomes(author, wanted):
        wait_until(lambda: listed(author) == wanted, 10, f"{author} has {wanted}")
    cards(ranked, site, [{"item": item, "author": "One"} for item in "abc"])
    load(ranked, site, votes("a", 3) + votes("b", 2) + votes("c", 1))
    assert listed("One") == ["a", "b", "c"]
    assert ranked.keyed("PUT", f"{site}/items/a", {"author": "Two"}).status == 200
    becomes("Two", ["a"])
    becomes("One", ["b", "c"])
    assert ranked.keyed("DELETE", f"{site}/items/b").status == 204
    becomes("One", ["c"])
    export = ranked.keyed("GET", f"{site}/export").body
    for item in "ac":
        assert ranked.keyed("DELETE", f"{site}/items/{item}").status == 204
    becomes("Two", [])
    becomes("One", [])
    answer = ranked.request("POST", f"{site}/import?wait=true", export, Authorization="Bearer k", Content_Type="application/x-ndjson")
    assert answer.status == 200, answer.body
    becomes("Two", ["a"])
    becomes("One", ["c"])
