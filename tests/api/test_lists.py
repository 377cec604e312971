# SPDX-License-Identifier: MIT
"""Which items a list has: it is read on until it is full. Floors, ages, categories, cards and editorial rules at their
edges."""
import os
import re
import time

import pytest
import redis

from support.contract import ids
from support.service import Service
from support.wait import wait_until

RANKINGS = """
[ranking plain]
type = total
votes = 1
views = 0

[ranking floored]
type = total
votes = 1
views = 0
floor = 3

[ranking young]
type = total
votes = 1
views = 0
oldest_age = 1h

[ranking hot]
type = decayed
half_life = 3h
votes = 1
views = 0.1
"""


@pytest.fixture(scope="module")
def lists():
    running = Service(configuration=RANKINGS)
    yield running
    running.stop()


def reasons(answer):
    return {entry["item"]: entry["reason"] for entry in answer.json["items"]}


def cards(service, site, names, **fields):
    rows = [{"item": name, "title": f"Title {name}", **fields} for name in names]
    assert service.lines(f"{site}/items", rows).json["accepted"] == len(rows)


def votes(service, site, counts, **fields):
    rows = [{"type": "vote", "item": item, "visitor": f"v{n}", **fields} for item, count in counts.items() for n in range(count)]
    assert service.lines(f"{site}/events?wait=true", rows).json["rejected"] == []


def hand(service, site, item, **what):
    assert service.keyed("PUT", f"{site}/items/{item}/editorial", what).status == 200


def places_in_redis(service, name):
    """Members of all sets of a ranking, whole site."""
    store = redis_of(service)
    keys = [key for end in ("", ":no-card") for key in store.scan_iter(f"{{e*}}r????????????????:{name}{end}", 1000)]
    return {member.decode() for key in keys for member in store.zrange(key, 0, -1)}


def redis_of(service):
    return redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))


def lost(service, site, count):
    """Items with more votes than the others, whose records are no longer in Redis: they hold places, and no list has them."""
    names = [f"lost{n:04}" for n in range(count)]
    cards(service, site, names)
    votes(service, site, dict.fromkeys(names, 3))
    store = redis_of(service)
    records = list(store.scan_iter("{e*}i*", 1000))
    store.delete(*[key for key, record in zip(records, store.mget(records)) if re.search(rb"lost\d{4}", record)])


# ---- Read on until the list is full

def test_what_editors_block_does_not_empty_a_ranking(lists, site):
    names = [f"spam{n:03}" for n in range(300)]
    votes(lists, site, {**{name: 2 for name in names}, **{f"good{n:02}": 1 for n in range(50)}})
    for name in names[:220]:
        hand(lists, site, name, block=True)
    assert ids(lists.get(f"{site}/rankings/plain?limit=100")) == names[220:] + [f"good{n:02}" for n in range(20)]
    hand(lists, site, "good49", pin=1)
    assert ids(lists.get(f"{site}/rankings/plain?limit=100")) == ["good49"] + names[220:] + [f"good{n:02}" for n in range(19)]
    assert lists.keyed("DELETE", f"{site}/items/good49/editorial").status == 204
    for name in names[220:]:
        hand(lists, site, name, block=True)
    assert ids(lists.get(f"{site}/rankings/plain?limit=60")) == [f"good{n:02}" for n in range(50)]
    assert ids(lists.get(f"{site}/rankings/plain?limit=3")) == ["good00", "good01", "good02"]
    assert set(names) <= places_in_redis(lists, "plain"), "a block can end"


def test_items_that_have_grown_too_old_make_room_and_leave_the_ranking():
    service = Service(configuration=RANKINGS)
    site = "/v1/s"
    try:
        old, young = [f"old{n:03}" for n in range(300)], [f"young{n:02}" for n in range(20)]
        due = time.time() + 6
        cards(service, site, old, published_at=due - 3600, categories=["news"])
        cards(service, site, young, published_at=time.time() - 60, categories=["news"])
        votes(service, site, {**{name: 3 for name in old}, **{name: 1 for name in young}})
        assert time.time() < due - 1, "the machine is too slow for this test"
        assert ids(service.get(f"{site}/rankings/young?limit=5")) == old[:5]
        time.sleep(max(0, due + 0.1 - time.time()))
        assert ids(service.get(f"{site}/rankings/young?limit=20")) == young
        assert ids(service.get(f"{site}/rankings/young?limit=20&category=news")) == young
        assert ids(service.get(f"{site}/rankings/plain?limit=5")) == old[:5], "only where there is an oldest age"

        def gone():
            assert ids(service.get(f"{site}/rankings/young?limit=20")) == young
            return places_in_redis(service, "young") == set(young)
        wait_until(gone, 10, "those that are too old leave the ranking", 0.1)
        assert set(old) <= places_in_redis(service, "plain")
    finally:
        service.stop()


def lists_end_short(service, short, full):
    """Two sites with ten cards, and with so many lost items that have more votes: none of the ten is found, or five are."""
    for site, count in (("/v1/short", short), ("/v1/full", full)):
        cards(service, site, [f"card{n}" for n in range(10)])
        votes(service, site, {f"card{n}": 1 for n in range(10)})
        lost(service, site, count)
    assert service.metrics()["engaged_short_lists_total"] == 0
    assert ids(service.get("/v1/full/rankings/plain?limit=5")) == [f"card{n}" for n in range(5)]
    assert service.metrics()["engaged_short_lists_total"] == 0
    assert ids(service.get("/v1/short/rankings/plain?limit=5")) == []
    assert service.metrics()["engaged_short_lists_total"] == 1
    assert ids(service.get("/v1/full/rankings/plain?limit=6")) == [f"card{n}" for n in range(5)]
    assert service.metrics()["engaged_short_lists_total"] == 2


def test_no_more_than_2000_entries_are_read_and_the_metrics_say_so():
    """2,005 items with more votes are lost: the list ends short, because the others come after 2,000 of them."""
    # Each partition gives its best places only: with this key none has more than those.
    service = Service(configuration=RANKINGS, partitions=512, hash_key="22" * 32)
    try:
        lists_end_short(service, short=2005, full=1995)
    finally:
        service.stop()


def test_no_more_entries_than_partitions_keep_are_read_and_the_metrics_say_so():
    """One partition keeps 642 places: items that are lost take all of them."""
    service = Service(configuration=RANKINGS, partitions=1)
    try:
        lists_end_short(service, short=642, full=637)
    finally:
        service.stop()


def test_what_one_list_found_unfit_is_not_read_again_for_the_next_and_stays_in_other_rankings():
    """As long as the order is the same: here a minute."""
    service = Service(configuration=RANKINGS, refresh_interval="1m")
    site = "/v1/s"
    try:
        cards(service, site, [f"card{n}" for n in range(8)], published_at=time.time() - 60)
        cards(service, site, ["old0", "old1"], published_at=time.time() - 7200)
        votes(service, site, {"old0": 2, "old1": 2} | {f"card{n}": 1 for n in range(8)})
        lost(service, site, 300)
        views = [{"type": "view", "item": item, "visitor": f"w{n}"} 
                 for item, times in (("old0", 4), ("old1", 4), ("card0", 3), ("card1", 3)) for n in range(times)]
        assert service.lines(f"{site}/events?wait=true", views).status == 200

        def read(path):
            before = service.item_reads()
            answer = service.get(f"{site}/{path}")
            return answer, service.item_reads() - before
        page, _ = read("items/other/page?related=0&recommendation=0&ranking=10&name=young")
        assert [entry["item"] for entry in page.json["ranking"]["items"]] == [f"card{n}" for n in range(8)]
        related, _ = read("items/other/related?limit=3")
        assert {"old0", "old1"} < set(ids(related)), "too old for one ranking only"
        first, reads = read("rankings/plain?limit=3")
        assert ids(first) == ["old0", "old1", "card0"] and reads >= 300
        second, reads = read("rankings/plain?limit=4")
        assert ids(second) == ["old0", "old1", "card0", "card1"] and reads < 30
    finally:
        service.stop()


def test_boost_lifts_an_item_beyond_the_best_256(lists, site):
    votes(lists, site, {f"i{n:03}": 5 if n < 270 else 4 for n in range(300)})
    hand(lists, site, "i290", boost=1000)
    assert ids(lists.get(f"{site}/rankings/plain?limit=2")) == ["i290", "i000"]
    assert ids(lists.get(f"{site}/rankings/hot?limit=1")) == ["i290"]
    hand(lists, site, "i290", boost=1000, lists=["related"])
    assert ids(lists.get(f"{site}/rankings/plain?limit=2")) == ["i000", "i001"]
    hand(lists, site, "i290", boost=1.5)
    hand(lists, site, "i295", boost=1.3)
    got = ids(lists.get(f"{site}/rankings/plain?limit=100"))
    assert got[:4] == ["i290", "i295", "i000", "i001"] and len(set(got)) == 100


def test_equal_scores_are_in_order_of_id_at_every_edge(lists, site):
    """More than any batch takes, and ids that do not come in the order of their references."""
    names = [f"{chr(97 + n % 26)}{n:03}" for n in range(240)]
    votes(lists, site, dict.fromkeys(names, 1))
    wanted = sorted(names)
    for limit in (1, 7, 16, 17, 18, 30, 100):
        assert ids(lists.get(f"{site}/rankings/plain?limit={limit}")) == wanted[:limit], limit
    without = "&".join(f"exclude={name}" for name in wanted[:100])
    assert ids(lists.get(f"{site}/rankings/plain?limit=50&{without}")) == wanted[100:150]


def test_equal_neighbours_are_in_order_of_id(lists, site):
    """Related: neighbours of one strength that no order of the popular ones names, as 300 others are read more."""
    now = time.time()
    names = [f"{chr(97 + n % 26)}{n:02}" for n in range(45)]
    rows = [{"type": "view", "item": item, "visitor": f"w{n}", "time": now - 5000 + step}
            for n, name in enumerate(names) for step, item in enumerate(("hub", name))]
    rows += [{"type": "view", "item": f"pop{n:03}", "visitor": f"x{n}-{k}", "time": now - 100} for n in range(300) for k in range(2)]
    assert lists.lines(f"{site}/events?wait=true", rows).json["rejected"] == []
    related = lists.get(f"{site}/items/hub/related?limit=40").json["items"]
    got = [entry["item"] for entry in related if entry["reason"] == "related"]
    assert len(got) == 40 and got == sorted(names)[:40]
    for limit in (3, 20):
        assert ids(lists.get(f"{site}/items/hub/related?limit={limit}")) == sorted(names)[:limit]


# ---- Floors, ages and categories

def test_a_floor_is_reached_by_that_many_events_and_no_fewer(lists, site):
    votes(lists, site, {"two": 2, "three": 3, "four": 4})
    assert ids(lists.get(f"{site}/rankings/floored")) == ["four", "three"]
    row = {"type": "unvote", "item": "three", "visitor": "v0"}
    assert lists.lines(f"{site}/events?wait=true", [row]).status == 200
    assert ids(lists.get(f"{site}/rankings/floored")) == ["four"]
    votes(lists, site, {"two": 3})
    assert ids(lists.get(f"{site}/rankings/floored")) == ["four", "two"]


def test_what_is_too_old_when_it_is_voted_on_is_never_ranked(lists, site):
    now = time.time()
    for name, age in (("fresh", 60), ("nearly", 3500), ("past", 3700), ("ancient", 10**7)):
        cards(lists, site, [name], published_at=now - age)
    cards(lists, site, ["undated"])
    votes(lists, site, {"fresh": 1, "nearly": 2, "past": 3, "ancient": 4, "undated": 5})
    assert ids(lists.get(f"{site}/rankings/young")) == ["undated", "nearly", "fresh"]
    assert ids(lists.get(f"{site}/rankings/plain")) == ["undated", "ancient", "past", "nearly", "fresh"]
    kept = places_in_redis(lists, "young")
    assert {"fresh", "nearly", "undated"} <= kept and not {"past", "ancient"} & kept


def test_a_pin_appears_only_in_categories_of_its_item(lists, site):
    cards(lists, site, ["a", "b"], categories=["x", "both"])
    cards(lists, site, ["c", "d"], categories=["y", "both"])
    votes(lists, site, {"a": 3, "b": 2, "c": 2, "d": 1})
    hand(lists, site, "d", pin=1)
    assert ids(lists.get(f"{site}/rankings/plain?category=x")) == ["a", "b"]
    assert ids(lists.get(f"{site}/rankings/plain?category=y")) == ["d", "c"]
    assert ids(lists.get(f"{site}/rankings/plain?category=both")) == ["d", "a", "b", "c"]
    assert ids(lists.get(f"{site}/rankings/plain")) == ["d", "a", "b", "c"]
    hand(lists, site, "e", pin=2)  # has no category at all
    votes(lists, site, {"e": 1})
    assert "e" not in ids(lists.get(f"{site}/rankings/plain?category=x"))
    assert ids(lists.get(f"{site}/rankings/plain"))[1] == "e"


def test_a_pages_ranking_has_no_other_categories_and_nothing_under_the_floor(lists, site):
    cards(lists, site, ["p0", "p2", "p4"], categories=["c0"])
    cards(lists, site, ["p1", "p3"], categories=["c1"])
    cards(lists, site, ["q0"], categories=["c0"])
    votes(lists, site, {"p4": 5, "p3": 4, "p2": 3, "p1": 3, "p0": 1})

    def ranking(query):
        answer = lists.get(f"{site}/items/other/page?related=0&recommendation=0&{query}")
        return [entry["item"] for entry in answer.json["ranking"]["items"]]
    assert ranking("ranking=8&name=floored&category=c0") == ["p4", "p2"]
    assert ranking("ranking=8&name=floored") == ["p4", "p3", "p1", "p2"]
    assert ranking("ranking=8&name=plain&category=nope") == []
    assert ranking("ranking=8&name=plain&category=c0") == ["p4", "p2", "p0", "q0"]


# ---- Editorial rules

def test_a_pin_beyond_the_limit_keeps_its_place_in_a_longer_list(lists, site):
    votes(lists, site, {"a": 5, "b": 4, "c": 3, "d": 2, "e": 1})
    hand(lists, site, "e", pin=4)
    assert ids(lists.get(f"{site}/rankings/plain?limit=3")) == ["a", "b", "c"]
    assert ids(lists.get(f"{site}/rankings/plain?limit=4")) == ["a", "b", "c", "e"]
    assert ids(lists.get(f"{site}/rankings/plain?limit=5")) == ["a", "b", "c", "e", "d"]
    assert reasons(lists.get(f"{site}/rankings/plain?limit=4"))["e"] == "pinned"
    hand(lists, site, "a", pin=5)
    short = lists.get(f"{site}/rankings/plain?limit=3")
    assert ids(short) == ["b", "c", "d"] and reasons(short)["b"] == "ranked"
    assert ids(lists.get(f"{site}/rankings/plain?limit=5")) == ["b", "c", "d", "e", "a"]


@pytest.mark.parametrize("name", ["plain", "hot"])
def test_boost_is_a_factor_on_the_score(lists, site, name):
    votes(lists, site, {"a": 7, "b": 5, "c": 3})

    def order(boost):
        hand(lists, site, "c", boost=boost)
        answer = lists.get(f"{site}/rankings/{name}")
        score = next(entry["score"] for entry in answer.json["items"] if entry["item"] == "c")
        assert score == pytest.approx(3 * boost, rel=0.01)
        return ids(answer)
    assert order(1.5) == ["a", "b", "c"]
    assert order(2) == ["a", "c", "b"]
    assert order(2.5) == ["c", "a", "b"]
    hand(lists, site, "a", boost=0.25)
    assert order(1) == ["b", "c", "a"]


@pytest.mark.parametrize("kind", ["ranking", "related", "recommendation"])
def test_a_rule_holds_for_the_kinds_of_list_that_it_names_and_no_other(lists, site, kind):
    names = [f"i{n}" for n in range(6)]
    cards(lists, site, names)
    now = time.time()
    rows = [{"type": "view", "item": name, "visitor": f"r{k}", "time": now - 9000 + k}
            for n, name in enumerate(names) for k in range(12 - n)]
    assert lists.lines(f"{site}/events?wait=true", rows).status == 200
    paths = {"ranking": f"{site}/rankings/hot?limit=6", "related": f"{site}/items/other/related?limit=6",
             "recommendation": f"{site}/me/recommendations?limit=6"}
    before = {name: ids(lists.get(path)) for name, path in paths.items()}
    assert all(order == names for order in before.values()), before
    hand(lists, site, "i4", boost=1000, lists=[kind])
    hand(lists, site, "i0", bury=True, lists=[kind])
    for name, path in paths.items():
        wanted = ["i4", "i1", "i2", "i3", "i5", "i0"] if name == kind else names
        assert ids(lists.get(path)) == wanted, name
    hand(lists, site, "i0", pin=2, lists=[kind])
    for name, path in paths.items():
        wanted = ["i4", "i0", "i1", "i2", "i3", "i5"] if name == kind else names
        assert ids(lists.get(path)) == wanted, name


@pytest.mark.parametrize("path", ["rankings/hot", "items/other/related", "me/recommendations"])
def test_an_editor_moves_what_a_short_list_would_not_read(lists, site, path):
    """Of 40 items a list of three reads the first few: a rule of the others, and their scores, hold all the same."""
    names = [f"i{n:02}" for n in range(40)]
    cards(lists, site, names)
    views = [{"type": "view", "item": name, "visitor": f"r{k}", "time": time.time() - 9000} for n, name in enumerate(names)
             for k in range(60 - n)]
    assert lists.lines(f"{site}/events?wait=true", views).json["rejected"] == []
    kinds = ["ranking", "related", "recommendation"]
    scores = {entry["item"]: entry["score"] for entry in lists.get(f"{site}/{path}?limit=40").json["items"]}
    assert list(scores) == names
    hand(lists, site, "i38", boost=1000, lists=kinds)
    hand(lists, site, "i00", boost=0.001, lists=kinds)
    hand(lists, site, "i36", pin=2, lists=kinds)
    short = lists.get(f"{site}/{path}?limit=3").json["items"]
    assert [entry["item"] for entry in short] == ["i38", "i36", "i01"]
    assert [entry["score"] for entry in short] == pytest.approx([1000 * scores["i38"], scores["i36"], scores["i01"]], rel=0.01)
    assert ids(lists.get(f"{site}/{path}?limit=40")) == ["i38", "i36", *names[1:36], "i37", "i39", "i00"]


# ---- Recommendations

def test_every_exclude_holds_for_recommendations(lists, site):
    cards(lists, site, [f"i{n}" for n in range(8)])
    votes(lists, site, {f"i{n}": 1 for n in range(8)})
    got = ids(lists.get(f"{site}/me/recommendations?limit=20&exclude=i1&exclude=i3&exclude=i5"))
    assert sorted(got) == ["i0", "i2", "i4", "i6", "i7"]


def test_what_was_read_long_ago_is_not_recommended_again(lists, site):
    cards(lists, site, [f"i{n}" for n in range(8)])
    now, day = time.time(), 86400
    rows = [{"type": "view", "item": item, "visitor": "reader", "time": now - age}
            for item, age in (("i0", 60), ("i1", 2 * day), ("i2", 4 * day), ("i3", 9 * day))]
    rows += [{"type": "view", "item": f"i{n}", "visitor": f"o{k}"} for n in range(8) for k in range(9 - n)]
    assert lists.lines(f"{site}/events?wait=true", rows).json["rejected"] == []
    answer = lists.keyed("GET", f"{site}/me/recommendations?limit=20", Engaged_Visitor="reader")
    assert sorted(ids(answer)) == ["i4", "i5", "i6", "i7"]


# ---- Items without a card

LISTS = ("rankings/plain?limit=100", "items/known00/related?limit=100", "rankings/plain?limit=100&format=html",
         "rankings/plain?limit=100&format=feed", "me/recommendations?limit=100", "items/nobody/page",
         "items/nobody/related?format=html", "items/nobody/related?format=feed")


def spam(service, site):
    votes(service, site, {"Buy pills": 9})
    rows = [{"type": "view", "item": item, "visitor": f"s{n}", "time": time.time() - 900 + step}
            for n in range(9) for step, item in enumerate(("known00", "Buy pills"))]
    assert service.lines(f"{site}/events?wait=true", rows).status == 200


def shows_spam(service, site):
    return {path: b"Buy pills" in service.get(f"{site}/{path}").body for path in LISTS}


def test_items_without_a_card_are_listed_until_the_site_has_20(lists, site):
    spam(lists, site)
    cards(lists, site, [f"known{n:02}" for n in range(19)])
    assert set(shows_spam(lists, site).values()) == {True}
    cards(lists, site, ["known19"])
    assert set(shows_spam(lists, site).values()) == {False}, shows_spam(lists, site)
    hand(lists, site, "Buy%20pills", pin=1)
    assert "Buy pills" not in ids(lists.get(f"{site}/rankings/plain")), "nor by a pin"
    assert lists.get(f"{site}/items/Buy%20pills").json["votes"]["up"] == 9, "its counts are there"
    assert lists.keyed("PUT", f"{site}/items/Buy%20pills", {"title": "Fine"}).status == 200
    wait_until(lambda: ids(lists.get(f"{site}/rankings/plain"))[0] == "Buy pills", 10, "the card is projected")
    assert lists.keyed("DELETE", f"{site}/items/known19").status == 204
    assert lists.keyed("DELETE", f"{site}/items/known18").status == 204
    votes(lists, site, {"unknown": 1})
    assert "unknown" in ids(lists.get(f"{site}/rankings/plain")), "19 again"


@pytest.mark.parametrize("choice, few, many", [("on", True, True), ("off", False, False)])
def test_list_unknown_on_and_off(choice, few, many):
    service = Service(configuration=RANKINGS, list_unknown=choice)
    try:
        spam(service, "/v1/s")
        assert (b"Buy pills" in service.get("/v1/s/rankings/plain").body) is few
        cards(service, "/v1/s", [f"known{n:02}" for n in range(25)])
        assert set(shows_spam(service, "/v1/s").values()) == {many}
    finally:
        service.stop()


def test_a_card_without_a_date_is_as_new_as_its_writing(service):
    site = "/v1/dates.example"
    assert service.keyed("PUT", f"{site}/items/dated", {"title": "t", "published_at": int(time.time()) - 86400}).status == 200
    assert service.keyed("PUT", f"{site}/items/undated", {"title": "t"}).status == 200
    assert service.keyed("PUT", f"{site}/items/ahead", {"title": "t", "published_at": int(time.time()) + 86400}).status == 200
    listed = service.get(f"{site}/items/hub/related").json["items"]
    assert [entry["item"] for entry in listed] == ["ahead", "undated", "dated"]
