# SPDX-License-Identifier: MIT
"""The rules of lists: age, category, author, spread, floor, filling. Each row of docs/api.md from outside."""
import signal
import time

import pytest
from support.contract import ids
from support.service import Service
from support.wait import wait_until

contract = pytest.mark.contract

ANN = 'Ann "The Pen" O\\Hara'
RULES = """
[ranking hot]

[ranking plain]
type = total
votes = 1
views = 0

[ranking young]
type = total
votes = 1
views = 0
max_age = 1h

[ranking two]
type = total
votes = 1
views = 0
category = sport
category = arts   and  life

[ranking kept_out]
type = total
votes = 1
views = 0
without_category = ads
without_category = arts and life
without_author = Robot

[ranking by]
type = total
votes = 1
views = 0
author = Ann "The Pen" O\\Hara
author = Bob

[ranking spread]
type = total
votes = 1
views = 0
per_category = 2
per_author = 3

[ranking short]
fill = none

[list related]
without_category = ads
floor = 2
per_author = 2

[list recommendation]
max_age = 7d
fill = none
"""


@pytest.fixture(scope="module")
def ruled():
    running = Service(configuration=RULES)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def plain():
    running = Service()
    yield running
    running.stop()


def reasons(answer):
    assert answer.status == 200, answer.body
    return [(entry["item"], entry["reason"]) for entry in answer.json["items"]]


def cards(service, site, **fields_of):
    """Cards by name: the title alone, or more fields."""
    rows = [{"item": name, "title": name, **fields} for name, fields in fields_of.items()]
    assert service.lines(f"{site}/items", rows).json["accepted"] == len(rows)


def events(service, site, rows):
    assert service.lines(f"{site}/events?wait=true", rows).json["rejected"] == []


def votes(service, site, **counts):
    events(service, site, [{"type": "vote", "item": item, "visitor": f"v{n}"} for item, count in counts.items() for n in range(count)])


def views(service, site, **counts):
    events(service, site, [{"type": "view", "item": item, "visitor": f"w-{item}-{n}"} for item, count in counts.items() for n in range(count)])


def read_together(service, site, *items, readers=1):
    events(service, site, [{"type": "view", "item": item, "visitor": f"r-{'-'.join(items)}-{n}"} for n in range(readers) for item in items])


def hand(service, site, item, **what):
    assert service.keyed("PUT", f"{site}/items/{item}/editorial", what).status == 200


# ---- Rules that look at one item, for a ranking

@contract("Rules of lists", "max_age leaves out")
def test_max_age_goes_by_the_publication(ruled, site):
    now = time.time()
    cards(ruled, site, old={"published_at": now - 3700}, fresh={"published_at": now - 3000}, undated={})
    votes(ruled, site, old=3, fresh=2, undated=1)
    assert ids(ruled.get(f"{site}/rankings/young")) == ["fresh", "undated"]
    assert ids(ruled.get(f"{site}/rankings/plain?max_age=1h")) == ["fresh", "undated"]
    assert ids(ruled.get(f"{site}/rankings/young?max_age=2h")) == ["old", "fresh", "undated"], "the parameter wins"
    assert ids(ruled.get(f"{site}/rankings/young?max_age=0")) == ["old", "fresh", "undated"]


@contract("Rules of lists", "max_age leaves out")
def test_max_age_goes_by_the_first_event_of_what_has_no_date(ruled, site):
    now = time.time()
    ages = {"minutes": 600, "hours": 5 * 3600, "days": 3 * 86400, "weeks": 25 * 86400, "months": 100 * 86400}
    events(ruled, site, [{"type": "vote", "item": item, "visitor": f"v{n}", "time": now - age * (n == 0)}
                         for number, (item, age) in enumerate(ages.items()) for n in range(9 - number)])
    cards(ruled, site, dated={"published_at": now - 60})
    events(ruled, site, [{"type": "vote", "item": "dated", "visitor": "w", "time": now - 9 * 86400}])
    for limit, there in (("2h", 1), ("1d", 2), ("7d", 3), ("30d", 4), ("200d", 5)):
        assert ids(ruled.get(f"{site}/rankings/plain?max_age={limit}")) == [*list(ages)[:there], "dated"], limit
    assert ids(ruled.get(f"{site}/rankings/young")) == ["minutes", "dated"]


@contract("Rules of lists", "category and author: only these")
def test_categories_and_authors_in_and_out(ruled, site):
    cards(ruled, site, s={"categories": ["x", "sport"], "author": "Bob"}, a={"categories": ["arts and life"], "author": "Robot"},
          ad={"categories": ["sport", "ads"], "author": ANN}, n={"categories": ["news"], "author": "Robot"}, none={"author": ANN})
    votes(ruled, site, s=5, a=4, ad=3, n=2, none=1)
    assert ids(ruled.get(f"{site}/rankings/two")) == ["s", "a", "ad"]
    assert ids(ruled.get(f"{site}/rankings/two?category=news")) == ["n"], "the parameter wins"
    assert ids(ruled.get(f"{site}/rankings/kept_out")) == ["s", "none"]
    assert ids(ruled.get(f"{site}/rankings/by")) == ["s", "ad", "none"]


def test_many_categories_are_one_order(ruled, site):
    """More than the first 256 entries of each."""
    cards(ruled, site, **{f"s{n:03}": {"categories": ["sport"]} for n in range(280)},
          **{f"a{n:03}": {"categories": ["arts and life"]} for n in range(20)})
    votes(ruled, site, **{f"s{n:03}": 2 for n in range(280)}, **{f"a{n:03}": 3 for n in range(10)}, **{f"a{n:03}": 1 for n in range(10, 20)})
    listed = ids(ruled.get(f"{site}/rankings/two?limit=100"))
    assert listed == [f"a{n:03}" for n in range(10)] + [f"s{n:03}" for n in range(90)]


@contract("Rules of lists", "per_category and per_author: at most")
def test_a_spread_list_is_full_and_has_at_most_so_many_of_a_kind(ruled, site):
    names = {f"i{n:03}": {"categories": ["c0" if n < 300 else f"c{n % 20}"], "author": f"a{n % 40}"} for n in range(360)}
    cards(ruled, site, **names)
    votes(ruled, site, **{name: 3 if number < 300 else 1 for number, name in enumerate(names)})
    listed = ids(ruled.get(f"{site}/rankings/spread?limit=30"))
    assert len(listed) == 30 and listed[:2] == ["i000", "i001"], "the best of its kind come first"
    for field in ("categories", "author"):
        kinds = [str(names[name][field]) for name in listed]
        assert max(kinds.count(kind) for kind in kinds) <= (2 if field == "categories" else 3)
    pages = [ids(ruled.get(f"{site}/rankings/spread?limit=8&offset={offset}")) for offset in (0, 8, 16, 24)]
    assert sum(pages, [])[:30] == listed, "pages of a list have its rules together"
    asked = ids(ruled.get(f"{site}/rankings/spread?limit=30&category=c0"))
    assert len(asked) == 30, "the category that is asked for is not limited"


def test_every_category_of_an_item_counts(ruled, site):
    cards(ruled, site, a={"categories": ["x", "y"]}, b={"categories": ["y"]}, c={"categories": ["z", "y"]}, d={"categories": ["z"]})
    votes(ruled, site, a=4, b=3, c=2, d=1)
    assert ids(ruled.get(f"{site}/rankings/spread")) == ["a", "b", "d"]


@contract("Rules of lists", "Pins and blocks win over the rules")
def test_pins_and_blocks_win(ruled, site):
    cards(ruled, site, a={"categories": ["x"]}, b={"categories": ["x"]}, c={"categories": ["x"]}, d={"categories": ["ads"]},
          e={"categories": ["y"], "published_at": time.time() - 7200})
    votes(ruled, site, a=5, b=4, c=3, d=2, e=1)
    hand(ruled, site, "d", pin=2)
    assert ids(ruled.get(f"{site}/rankings/kept_out")) == ["a", "d", "b", "c", "e"]
    hand(ruled, site, "c", pin=1)
    assert ids(ruled.get(f"{site}/rankings/spread")) == ["c", "d", "a", "e"], "a pinned item counts"
    hand(ruled, site, "e", pin=1)
    assert ids(ruled.get(f"{site}/rankings/young"))[0] in ("c", "e") and "e" in ids(ruled.get(f"{site}/rankings/young"))
    hand(ruled, site, "d", block=True)
    assert "d" not in ids(ruled.get(f"{site}/rankings/kept_out"))


# ---- Related and Recommendation

@contract("Rules of lists", "floor: the least evidence")
def test_floor_of_related_wants_co_readers(ruled, site):
    read_together(ruled, site, "hub", "often", readers=2)
    read_together(ruled, site, "hub", "once")
    related = dict(reasons(ruled.get(f"{site}/items/hub/related")))
    assert related["often"] == "related" and related["once"] == "popular"


def test_floor_of_recommendation(own):
    service = own(configuration="[list recommendation]\nfloor = 2\nfill = none\n")
    site = "/v1/s"
    read_together(service, site, "hub", "often", readers=2)
    read_together(service, site, "hub", "once")
    events(service, site, [{"type": "view", "item": "hub", "visitor": "me"}])
    token = service.keyed("POST", f"{site}/visitors", {"visitor": "me"}).json["visitor"]
    assert ids(service.get(f"{site}/me/recommendations", Engaged_Visitor=token)) == ["often"]


def test_rules_of_related_hold_for_what_fills_it_up(ruled, site):
    cards(ruled, site, hub={"categories": ["x"]}, ad={"categories": ["x", "ads"], "author": "A"},
          **{f"b{n}": {"categories": ["x"], "author": "B"} for n in range(4)}, last={"author": "C"})
    views(ruled, site, ad=9, b0=5, b1=4, b2=3)
    assert ids(ruled.get(f"{site}/items/hub/related")) == ["b0", "b1", "last"], "two of an author, no advertisement"
    assert ids(ruled.get(f"{site}/rankings/hot"))[0] == "ad", "each list has its own rules"


@contract("Rules of lists", "fill: what a list that is too short continues with")
def test_a_short_list_continues_with_the_category(plain, site):
    cards(plain, site, hub={"categories": ["sport", "x"]}, s1={"categories": ["sport"]}, s2={"categories": ["y", "sport"]},
          big={"categories": ["x"]}, news={"categories": ["x"], "published_at": "2026-01-02T00:00:00Z"}, near={"categories": ["x"]})
    views(plain, site, big=9, s1=1, s2=2)
    read_together(plain, site, "hub", "near")
    wanted = [("near", "related"), ("s2", "popular_in_category"), ("s1", "popular_in_category"), ("big", "popular"), ("news", "popular")]
    assert reasons(plain.get(f"{site}/items/hub/related")) == wanted
    page = plain.get(f"{site}/items/hub/page?related=3&ranking=0&recommendation=5").json
    assert [entry["item"] for entry in page["related"]["items"]] == ["near", "s2", "s1"]
    other = plain.get(f"{site}/items/other/related")
    assert [item for item, _ in reasons(other)][0] == "big" and {reason for _, reason in reasons(other)} == {"popular"}


def test_the_recommendation_of_a_page_continues_with_the_category(plain, site):
    cards(plain, site, hub={"categories": ["sport"]}, s1={"categories": ["sport"]}, big={})
    views(plain, site, big=9, s1=1)
    page = plain.get(f"{site}/items/hub/page?related=0&ranking=0&recommendation=5").json
    assert [(entry["item"], entry["reason"]) for entry in page["recommendation"]["items"]] == [("s1", "popular_in_category"), ("big", "popular")]


def test_fill_site_and_none(own):
    service = own(configuration="[list related]\nfill = site\n[list recommendation]\nfill = none\n[ranking hot]\nfill = none\n")
    site = "/v1/s"
    cards(service, site, hub={"categories": ["sport"]}, s1={"categories": ["sport"]}, big={})
    views(service, site, big=9, s1=1)
    read_together(service, site, "hub", "near")
    related = reasons(service.get(f"{site}/items/hub/related"))
    assert ("big", "popular") in related and related.index(("big", "popular")) < related.index(("s1", "popular"))
    page = service.get(f"{site}/items/hub/page?related=0&ranking=5&recommendation=5").json
    assert [entry["reason"] for entry in page["recommendation"]["items"]] == [], "two steps away is nothing"
    assert len(page["ranking"]["items"]) == 3, "its own entries only: not the item itself"
    token = service.keyed("POST", f"{site}/visitors", {"visitor": "r-hub-near-0"}).json["visitor"]
    assert ids(service.get(f"{site}/me/recommendations", Engaged_Visitor=token)) == []


@contract("Rules of lists", "category, author and max_age are parameters too")
def test_parameters_of_related_and_recommendation(plain, site):
    now = time.time()
    cards(plain, site, hub={"categories": ["sport"]},
          **{f"s{n}": {"categories": ["sport"], "published_at": now - 90000} for n in range(3)},
          **{f"n{n}": {"categories": ["news"], "published_at": now - 60} for n in range(3)})
    views(plain, site, s0=5, s1=4, n0=3, n1=2)
    assert reasons(plain.get(f"{site}/items/hub/related?category=news")) == [
        ("n0", "popular_in_category"), ("n1", "popular_in_category"), ("n2", "popular")]
    assert set(ids(plain.get(f"{site}/items/hub/related?max_age=1d"))) == {"n0", "n1", "n2"}
    assert set(ids(plain.get(f"{site}/items/hub/related?max_age=2d"))) == {"n0", "n1", "n2", "s0", "s1", "s2"}
    for path in ("me/recommendations", "items/hub/related"):
        assert ids(plain.get(f"{site}/{path}?category=nothing")) == []
        assert set(ids(plain.get(f"{site}/{path}?category=sport&limit=2"))) == {"s0", "s1"}
        assert set(ids(plain.get(f"{site}/{path}?max_age=1d&exclude=hub"))) == {"n0", "n1", "n2"}
    page = plain.get(f"{site}/items/hub/page?max_age=1d&category=sport").json
    assert set(entry["item"] for entry in page["related"]["items"]) == {"n0", "n1", "n2"}, "a page's category is its ranking's"
    assert page["ranking"]["items"] == []


@pytest.mark.parametrize("query", ["max_age=x", "max_age=", "max_age=-1d", "max_age=36501d", "max_age=1d&max_age=1d", "category=",
                                   "category=" + "c" * 65])
def test_wrong_parameters(plain, site, query):
    for path in ("rankings/hot", "items/a/related", "items/a/page", "me/recommendations"):
        answer = plain.get(f"{site}/{path}?{query}")
        assert (answer.status, answer.json["code"]) == (400, "repeated_parameter" if query.count("max_age") == 2 else "bad_parameter")


def test_one_body_for_each_age_however_it_is_spelled(own):
    service = own(refresh_interval="1m")

    def read(query):
        before = service.metrics()['engaged_body_reads_total{from="refresh"}']
        answer = service.get(f"/v1/s/items/a/related?{query}")
        return answer.headers["etag"], service.metrics()['engaged_body_reads_total{from="refresh"}'] - before
    cards(service, "/v1/s", old={"published_at": time.time() - 86400 * 2}, young={"published_at": time.time()})
    one, first = read("max_age=1d&limit=5")
    two, second = read("limit=5&max_age=24h")
    three, third = read("limit=5&max_age=0")
    four, fourth = read("limit=5")
    assert (first, second, third, fourth) == (1, 0, 1, 1) and one == two != three == four


def test_page_fragment_and_feed_have_the_same_rules(ruled, site):
    cards(ruled, site, good={"categories": ["x"], "author": "A"}, ad={"categories": ["ads"], "author": "B"})
    views(ruled, site, good=1, ad=2)
    for path in ("related?format=html", "related?format=feed", "related", "page?ranking=0&recommendation=0"):
        body = ruled.get(f"{site}/items/hub/{path}").body
        assert b"good" in body and b'"ad"' not in body and b">ad<" not in body, path


# ---- Never short

@contract("Rules of lists", "A list is not short while")
def test_rules_do_not_leave_a_list_short(ruled, site):
    """1,200 advertisements that are more popular, and newer, than the ten others."""
    cards(ruled, site, **{f"ad{n:04}": {"categories": ["ads"], "author": f"a{n}"} for n in range(600)},
          **{f"good{n}": {"categories": ["x"], "author": f"g{n}", "published_at": "2020-01-01T00:00:00Z"} for n in range(10)},
          **{f"new{n:04}": {"categories": ["ads"]} for n in range(600)})
    views(ruled, site, **{f"ad{n:04}": 2 for n in range(600)}, good0=1)
    listed = ids(ruled.get(f"{site}/items/hub/related"))
    assert sorted(listed) == [f"good{n}" for n in range(10)] and listed[0] == "good0"


def lists_end_short(service, site, count):
    cards(service, site, **{f"ad{n:04}": {"categories": ["ads"]} for n in range(count)},
          **{f"good{n}": {"published_at": "2020-01-01T00:00:00Z"} for n in range(5)})
    before = service.metrics()["engaged_lists_cut_total"]
    listed = ids(service.get(f"{site}/items/hub/related?limit=5"))
    return len(listed), service.metrics()["engaged_lists_cut_total"] - before


@contract("Rules of lists", "At most 2,000 candidates")
def test_at_most_2000_candidates_are_read_and_the_metrics_say_so(ruled):
    assert lists_end_short(ruled, "/v1/full.example", 1995) == (5, 0)
    assert lists_end_short(ruled, "/v1/short.example", 2000) == (0, 1)


def test_what_is_known_to_be_left_out_counts_as_read(own):
    service = own(configuration=RULES, refresh_interval="1m")
    assert lists_end_short(service, "/v1/short.example", 2000) == (0, 1)
    assert ids(service.get("/v1/short.example/items/hub/related?limit=6")) == []
    assert service.metrics()["engaged_lists_cut_total"] == 2


def test_what_rules_left_out_is_not_read_again_for_the_next_list(own):
    """As long as the order is the same: here a minute. Anybody may ask for another age or category each time."""
    service = own(refresh_interval="1m")
    site = "/v1/s"
    old, young = [f"old{n:03}" for n in range(200)], [f"young{n}" for n in range(5)]
    now = time.time()
    cards(service, site, **{name: {"published_at": now - 7200, "categories": ["x", "y"], "author": "A"} for name in old},
          **{name: {"published_at": now - 60} for name in young}, pinned={"published_at": now - 7200})
    votes(service, site, **{name: 3 for name in old}, **{name: 1 for name in young}, pinned=3)
    hand(service, site, "pinned", pin=2)

    def read(query):
        before = service.item_reads()
        answer = ids(service.get(f"{site}/rankings/top?{query}"))
        return answer, service.item_reads() - before
    wanted = [young[0], "pinned", *young[1:]]
    first, reads = read("limit=10&max_age=1h")
    assert first == wanted and reads >= 200
    for query in ("limit=10&max_age=50m", "limit=9&max_age=1h", "limit=6&max_age=1h"):
        again, reads = read(query)
        assert again == wanted and reads < 30, query
    everything, _ = read("limit=100")
    assert len(everything) == 100 and everything[0] == "old000"


def test_an_item_is_never_listed_under_itself(ruled, site):
    cards(ruled, site, hub={"categories": ["x"]}, other={"categories": ["x"]})
    views(ruled, site, hub=9, other=1)
    hand(ruled, site, "hub", pin=1, lists=["related", "recommendation", "ranking"])
    assert ids(ruled.get(f"{site}/items/hub/related?category=x")) == ["other"]
    page = ruled.get(f"{site}/items/hub/page").json
    assert "hub" not in str([page[kind]["items"] for kind in ("related", "ranking", "recommendation")])


# ---- The settings

@contract("Rules of lists", "A changed rule holds after a reload")
def test_changed_rules_hold_after_sighup(own):
    service = own(configuration="[list related]\ncategory = a\n")
    cards(service, "/v1/s", a={"categories": ["a"]}, b={"categories": ["b"]})
    assert ids(service.get("/v1/s/items/x/related")) == ["a"]
    service.configure("[list related]\ncategory = b\n")
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: ids(service.get("/v1/s/items/x/related")) == ["b"], 20, "the new rule holds")
    service.configure("[list related]\ncategory = b\nfill = nothing\n")
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "engaged.conf:3: fill:" in service.log(), 20, "the wrong rule is refused")
    assert ids(service.get("/v1/s/items/x/related")) == ["b"]


def test_a_feed_names_its_age(own):
    service = own(public_url="https://engaged.example")
    feed = service.get("/v1/s/items/a/related?format=feed&max_age=2h&category=x").json
    assert feed["feed_url"] == "https://engaged.example/v1/s/items/a/related?format=feed&limit=10&category=x&max_age=7200000ms"


def test_an_author_beyond_the_popular_and_the_newest_is_found(own):
    """One partition: it keeps 642 places of a ranking, up to twice as many before it is cut, and 2,276 newest cards."""
    service = own(configuration="[list related]\nauthor = Ann\n", partitions=1)
    site = "/v1/s"
    others, hers = [f"i{n:04}" for n in range(2400)], [f"z{n}" for n in range(5)]
    cards(service, site, **{name: {"published_at": "2020-01-01T00:00:00Z", "author": "Ann"} for name in hers})
    views(service, site, **{name: 1 for name in hers})
    cards(service, site, **{name: {"author": "Bob"} for name in others})
    votes(service, site, **{name: 2 for name in others})
    views(service, site, **{name: 2 for name in others})
    assert sorted(ids(service.get(f"{site}/items/hub/related"))) == hers
