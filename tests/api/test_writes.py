# SPDX-License-Identifier: MIT
"""Votes, views, cards, deletion and bulk calls: docs/api.md."""
import time

import pytest


def vote(service, site, item, token, **body):
    return service.post(f"{site}/items/{item}/votes", body or None, Engaged_Visitor=token)


def test_a_vote_counts_once_moves_and_is_taken_back(service, site, token):
    for _ in range(3):
        assert vote(service, site, "a", token).json == {"item": "a", "votes": {"up": 1, "down": 0}, "vote": "up"}
    assert vote(service, site, "a", token, kind="down").json["votes"] == {"up": 0, "down": 1}
    for _ in range(2):
        gone = service.request("DELETE", f"{site}/items/a/votes", Engaged_Visitor=token)
        assert gone.json == {"item": "a", "votes": {"up": 0, "down": 0}, "vote": None}


def test_many_voters_are_counted_exactly_over_splits_of_buckets(service, site):
    rows = [{"type": "vote", "item": "hot", "visitor": f"v{n}"} for n in range(2000)]
    assert service.lines(site + "/events?wait=true", rows + rows[:500]).json["accepted"] == 2500
    assert service.get(site + "/items/hot").json["votes"]["up"] == 2000
    undone = [{"type": "unvote", "item": "hot", "visitor": f"v{n}"} for n in range(0, 2000, 2)]
    service.lines(site + "/events?wait=true", undone)
    assert service.get(site + "/items/hot").json["votes"]["up"] == 1000


def test_unknown_kind(service, site, token):
    answer = vote(service, site, "a", token, kind="sideways")
    assert (answer.status, answer.json["code"]) == (400, "unknown_kind")


def test_a_view_counts_once_in_its_window(service, site, token):
    first = service.post(site + "/items/a/views", Engaged_Visitor=token)
    assert (first.status, first.json) == (202, {"item": "a", "counted": True})
    again = service.post(site + "/items/a/views", Engaged_Visitor=token)
    assert again.json == {"item": "a", "counted": False, "reason": "repeat"}


@pytest.mark.parametrize("field", [{"Sec_Purpose": "prefetch;prerender"}, {"Sec_Purpose": "prerender"}, {"Purpose": "prefetch"}, {"X_Moz": "prefetch"}])
def test_prefetch_is_not_counted(service, site, field):
    answer = service.post(site + "/items/a/views", **field)
    assert answer.json == {"item": "a", "counted": False, "reason": "prefetch"}
    assert "engaged-visitor" not in answer.headers


def test_back_dated_views_inside_and_outside_the_window(service, site):
    now = int(time.time()) - 100000
    rows = [{"type": "view", "item": "a", "visitor": "u", "time": now + offset} for offset in (5000, 0, 1799, 1800)]
    service.lines(site + "/events?wait=true", rows)
    assert service.get(site + "/items/a").json["views"] == 3  # 1799 is a repeat of 0; 1800 is not
    assert service.get(site + "/items/a").json["visitors"] == 1


def test_a_bad_line_never_stops_the_rest(service, site):
    ahead = time.time() + 120
    rows = [{"type": "view", "item": "a", "visitor": "u"}, "{", {"type": "view", "item": "b", "visitor": "u", "x": 1},
            {"type": "view", "item": "c", "visitor": "u", "time": ahead}, {"type": "view", "item": "c"},
            {"type": "look", "item": "c", "visitor": "u"}, {"type": "vote", "item": "c", "visitor": "u", "kind": "?"}, "",
            {"type": "view", "item": "-", "visitor": "u"}, {"type": "vote", "item": "z", "visitor": "u"}]
    answer = service.lines(site + "/events", rows).json
    assert answer["accepted"] == 2
    assert [(r["line"], r["code"]) for r in answer["rejected"]] == [
        (2, "bad_json"), (3, "unknown_parameter"), (4, "bad_time"), (5, "bad_visitor"), (6, "bad_field"),
        (7, "unknown_kind"), (9, "bad_item")]


def test_cards_base_counts_and_replacement(service, site):
    card = {"title": "T </script>", "url": "https://e.example/a", "categories": ["x", "y"], "author": "A",
            "published_at": "2026-01-02T03:04:05+01:00", "base": {"views": 10, "votes": {"up": 5}}}
    put = service.keyed("PUT", site + "/items/a", card)
    assert put.status == 200
    assert put.json == {"item": "a", "title": "T </script>", "url": "https://e.example/a", "categories": ["x", "y"],
                        "author": "A", "published_at": "2026-01-02T02:04:05.000Z", "votes": {"up": 5, "down": 0},
                        "views": 10, "visitors": 0}
    put = service.keyed("PUT", site + "/items/a", {"title": "U"}).json
    assert put == {"item": "a", "title": "U", "votes": {"up": 5, "down": 0}, "views": 10, "visitors": 0}
    assert service.get(site + "/rankings/top").json["items"] == []  # base counts are shown, never ranked


def test_bad_cards(service, site):
    for card, code in (({"url": "javascript:alert(1)"}, "bad_field"), ({"title": 3}, "bad_field"),
                       ({"categories": list("abcdefghi")}, "bad_field"), ({"titel": "x"}, "unknown_parameter"),
                       ({"published_at": "yesterday"}, "bad_time"), ({"base": {"votes": {"no": 1}}}, "unknown_kind")):
        answer = service.keyed("PUT", site + "/items/a", card)
        assert (answer.status, answer.json["code"]) == (400, code), card


def test_bulk_cards(service, site):
    rows = [{"item": f"i{n}", "title": f"Title {n}"} for n in range(300)] + [{"title": "no item"}]
    answer = service.lines(site + "/items", rows).json
    assert answer == {"accepted": 300, "rejected": [{"line": 301, "code": "bad_item"}]}
    assert service.get(site + "/items/i299").json["title"] == "Title 299"


def test_deletion_erases_and_the_item_may_begin_anew(service, site):
    rows = [{"type": kind, "item": "a", "visitor": f"u{n}"} for n in range(5) for kind in ("vote", "view")]
    service.keyed("PUT", site + "/items/a", {"title": "A", "categories": ["x"]})
    service.lines(site + "/events?wait=true", rows)
    assert service.get(site + "/items/a").json["views"] == 5
    assert service.keyed("DELETE", site + "/items/a").status == 204
    assert service.keyed("DELETE", site + "/items/a").status == 204
    service.lines(site + "/events?wait=true", [{"type": "view", "item": "other", "visitor": "w"}])
    gone = service.get(site + "/items/a").json
    assert gone == {"item": "a", "votes": {"up": 0, "down": 0}, "views": 0, "visitors": 0}
    for path in ("/rankings/top", "/rankings/hot", "/rankings/top?category=x", "/items/other/related"):
        assert "a" not in [e["item"] for e in service.get(site + path).json["items"]]
    service.lines(site + "/events?wait=true", [{"type": "vote", "item": "a", "visitor": "u0"}])
    assert service.get(site + "/items/a").json["votes"]["up"] == 1
