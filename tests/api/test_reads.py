# SPDX-License-Identifier: MIT
"""Rankings, related lists, items and what caches need: docs/api.md."""
import gzip
import os
import time

import pytest
import redis


def load(service, site, rows):
    assert service.lines(site + "/events?wait=true", rows).json["rejected"] == []


def test_scores_decay_by_half_in_a_half_life(service, site):
    now = time.time()
    rows = [{"type": "vote", "item": item, "visitor": "v", "time": now - age}
            for item, age in (("new", 0), ("one", 10800), ("two", 21600))]
    load(service, site, rows)
    answer = service.get(site + "/rankings/hot").json
    assert [e["item"] for e in answer["items"]] == ["new", "one", "two"]
    assert (answer["kind"], answer["name"], answer["half_life"]) == ("ranking", "hot", 10800)
    assert [e["rank"] for e in answer["items"]] == [1, 2, 3]
    for entry, expected in zip(answer["items"], (1, 0.5, 0.25)):
        assert entry["score"] == pytest.approx(expected, rel=0.01)
        assert entry["reason"] == "ranked"


def test_undo_takes_back_what_the_vote_still_weighs(service, site):
    now = time.time()
    load(service, site, [{"type": "vote", "item": "a", "visitor": "old", "time": now - 10800},
                         {"type": "vote", "item": "a", "visitor": "new", "time": now},
                         {"type": "unvote", "item": "a", "visitor": "old"}])
    assert service.get(site + "/rankings/hot").json["items"][0]["score"] == pytest.approx(1, rel=0.01)
    load(service, site, [{"type": "unvote", "item": "a", "visitor": "new"}])
    assert service.get(site + "/rankings/hot").json["items"] == []


def test_equal_scores_are_ordered_by_id_and_lists_obey_limit_and_exclude(service, site):
    now = int(time.time()) - 50
    load(service, site, [{"type": "vote", "item": f"i{n:02}", "visitor": "v", "time": now} for n in range(30)])
    items = [e["item"] for e in service.get(site + "/rankings/top?limit=30").json["items"]]
    assert items == [f"i{n:02}" for n in range(30)]
    answer = service.get(site + "/rankings/top?exclude=i00&exclude=i02&limit=3").json
    assert [e["item"] for e in answer["items"]] == ["i01", "i03", "i04"]


def test_categories_move_with_the_card(service, site):
    service.keyed("PUT", site + "/items/a", {"title": "A", "categories": ["x"]})
    load(service, site, [{"type": "vote", "item": "a", "visitor": "v"}])
    assert [e["item"] for e in service.get(site + "/rankings/hot?category=x").json["items"]] == ["a"]
    service.keyed("PUT", site + "/items/a", {"title": "A", "categories": ["y"]})
    load(service, site, [{"type": "vote", "item": "b", "visitor": "v"}])
    assert service.get(site + "/rankings/hot?category=x").json["items"] == []
    assert [e["item"] for e in service.get(site + "/rankings/hot?category=y").json["items"]] == ["a"]


def test_no_set_of_a_ranking_keeps_an_item_that_has_left_it(service, site):
    store = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))
    sets = lambda: {key for key in store.scan_iter("*", count=1000, _type="zset") if store.zscore(key, "mover") is not None}  # noqa: E731
    load(service, site, [{"type": "vote", "item": "mover", "visitor": "v"}, {"type": "view", "item": "mover", "visitor": "v"}])
    without_card = sets()
    service.keyed("PUT", site + "/items/mover", {"title": "M", "categories": ["x"]})
    load(service, site, [{"type": "vote", "item": "other", "visitor": "v"}])
    with_card = sets()
    assert without_card and not without_card & with_card
    service.keyed("PUT", site + "/items/mover", {"title": "M", "categories": ["y"]})
    load(service, site, [{"type": "vote", "item": "other", "visitor": "w"}])
    moved = sets()
    assert len(moved) == len(with_card) and len(with_card - moved) == len(moved - with_card) >= 4  # a category's rankings


def test_related_has_titles_reasons_and_never_the_item_itself(service, site):
    service.keyed("PUT", site + "/items/b", {"title": "Bee"})
    rows = [{"type": "view", "item": item, "visitor": f"r{n}", "time": time.time() - 1000 + step}
            for n in range(5) for step, item in enumerate(("a", "b"))]
    load(service, site, rows + [{"type": "view", "item": f"p{n}", "visitor": "x", "time": time.time() - 10**5 * n}
                                for n in range(12)])
    answer = service.get(site + "/items/a/related?limit=10").json
    first = answer["items"][0]
    assert (answer["kind"], first["item"], first["title"], first["reason"]) == ("related", "b", "Bee", "related")
    assert len(answer["items"]) == 10 and "a" not in [e["item"] for e in answer["items"]]
    assert {e["reason"] for e in answer["items"][1:]} == {"popular"}
    assert len(service.get(site + "/items/never-seen/related").json["items"]) == 10


def test_items_in_the_order_asked_and_unseen_ones_are_zero(service, site):
    load(service, site, [{"type": "vote", "item": "b", "visitor": "v"}])
    answer = service.get(site + "/items?id=z&id=b&id=a").json["items"]
    assert [(i["item"], i["votes"]["up"]) for i in answer] == [("z", 0), ("b", 1), ("a", 0)]


def test_rankings_that_there_are(service, site):
    names = [r["name"] for r in service.get(site + "/rankings").json["rankings"]]
    assert names == ["hot", "day", "week", "rising", "top", "most-read"]
    answer = service.get(site + "/rankings/none")
    assert (answer.status, answer.json["code"]) == (404, "unknown_ranking")


def test_caches_find_what_they_need(service, site):
    load(service, site, [{"type": "vote", "item": f"item-{n}", "visitor": "v"} for n in range(10)])
    first = service.get(site + "/rankings/top?limit=5&exclude=a&exclude=b")
    assert first.headers["cache-control"] == "public, max-age=1, s-maxage=1, stale-while-revalidate=30, stale-if-error=600"
    assert (first.headers["vary"], first.headers["access-control-allow-origin"]) == ("Accept-Encoding", "*")
    assert "engaged-checked-at" in first.headers and "set-cookie" not in first.headers
    other = service.get(site + "/rankings/top?exclude=b&exclude=%61&exclude=b&limit=5")
    assert (other.headers["etag"], other.body) == (first.headers["etag"], first.body)
    same = service.get(site + "/rankings/top?limit=5&exclude=a&exclude=b", If_None_Match=first.headers["etag"])
    assert (same.status, same.body) == (304, b"")
    packed = service.get(site + "/rankings/top?limit=5&exclude=a&exclude=b", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == first.body
    head = service.request("HEAD", site + "/rankings/top?limit=5&exclude=a&exclude=b")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(first.body)))


@pytest.mark.contract("Addresses", "On every listener: /healthz")
def test_health_and_metrics(service):
    assert service.get("/healthz").status == 200 and service.get("/readyz").status == 200
    assert service.get("/metrics").status == 404
    assert service.metric_sum("engaged_http_requests_total") > 0
    assert service.request("GET", "/healthz", port=service.ops_port).status == 200
