# SPDX-License-Identifier: MIT
"""docs/api.md, rankings of the type window, from outside: dated events are sent, and the lists compared with what the
events themselves say. tests/windows replays a whole log."""
import datetime
import time

import pytest

from support.contract import ids, load
from support.service import Service
from support.wait import wait_until

contract = pytest.mark.contract
HOUR, DAY = 3600, 86400
KEPT = {"day": 35, "week": 12, "month": 24}
RANKINGS = """
[ranking most-read]
type = window
window = 24h
views = 1
votes = 0

[ranking liked]
type = window
window = 7d
views = 0
votes = up:2 down:0.5

[ranking long]
type = window
window = 30d
views = 1
votes = 0

[ranking day]
type = window
window = today
views = 1
votes = 0

[ranking week]
type = window
window = week
views = 1
votes = 0

[ranking month]
type = window
window = month
views = 1
votes = 0

[ranking floored]
type = window
window = 24h
views = 1
votes = 0
floor = 3

[ranking young]
type = window
window = 24h
views = 1
votes = 0
oldest_age = 7d

[ranking top]
type = total
"""


@pytest.fixture(scope="module")
def service():
    running = Service(configuration=RANKINGS, kinds="up down", view_window="0", unknown_items_kept="0")
    yield running
    running.stop()


@pytest.fixture
def now():
    """A time that is not in the last minute of an hour: the window moves then."""
    wait_until(lambda: time.time() % HOUR < HOUR - 60, 90, pause=1)
    return int(time.time())


def views(item, count, when=None):
    return [{"type": "view", "item": item, "visitor": f"v{number}", **({"time": when} if when else {})} for number in range(count)]


def votes(item, kind, count, when):
    return [{"type": "vote", "item": item, "visitor": f"v{number}", "kind": kind, "time": when} for number in range(count)]


def cards(service, site, *rows):
    answer = service.lines(f"{site}/items", [{"title": row["item"], **row} for row in rows])
    assert answer.json == {"accepted": len(rows), "rejected": []}


def scores(answer):
    assert answer.status == 200, answer.body
    return [(entry["item"], entry["score"]) for entry in answer.json["items"]]


def refused(answer, status, code, why=""):
    assert (answer.status, answer.json["code"]) == (status, code) and why in answer.json.get("detail", ""), answer.body


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def day(when):
    return datetime.datetime.utcfromtimestamp(when).date()


def name(date, kind):
    if kind == "week":
        year, week, _ = date.isocalendar()
        return f"{year}-W{week:02}"
    return date.isoformat() if kind == "day" else f"{date.year:04}-{date.month:02}"


def midnight(date):
    return int(datetime.datetime(date.year, date.month, date.day, tzinfo=datetime.timezone.utc).timestamp())


def begin(date, kind):
    """Of the period in which the day lies."""
    return midnight({"day": date, "week": date - datetime.timedelta(date.weekday()), "month": date.replace(day=1)}[kind])


def ago(date, kind, count):
    """A day of the period so many before."""
    if kind != "month":
        return date - datetime.timedelta(count * (7 if kind == "week" else 1))
    months = date.year * 12 + date.month - 1 - count
    return datetime.date(months // 12, months % 12 + 1, 1)


# ---- Sliding windows

@contract("GET /v1/{site}/rankings/{ranking}", "In a ranking of type window the score is the weighted count")
def test_a_sliding_window_counts_what_lies_in_it(service, site, now):
    first = (now - DAY) // HOUR * HOUR
    load(service, site, views("a", 3) + views("a", 5, first - 1) + views("b", 2, first) + views("b", 2, now - HOUR) + views("c", 1, first) + views("old", 9, first - 1))
    answer = service.get(f"{site}/rankings/most-read")
    assert scores(answer) == [("b", 4), ("a", 3), ("c", 1)]
    assert moment(answer.json["from"]) == first and abs(moment(answer.json["computed_at"]) - time.time()) < 30
    assert answer.json["exact"] is True and "period" not in answer.json and "half_life" not in answer.json
    assert [answer.json[key] for key in ("list", "kind", "name")] == ["ranking:most-read", "ranking", "most-read"]
    assert {entry["reason"] for entry in answer.json["items"]} == {"ranked"}


def test_windows_of_days_begin_at_midnight_and_weigh_kinds(service, site, now):
    first = midnight(day(now - 7 * DAY))
    load(service, site, votes("a", "up", 2, first) + votes("a", "down", 0, first) + votes("b", "down", 7, now - DAY) + votes("c", "up", 9, first - 1))
    answer = service.get(f"{site}/rankings/liked")
    assert scores(answer) == [("a", 4), ("b", 3.5)] and moment(answer.json["from"]) == first
    first = midnight(day(now - 30 * DAY))
    load(service, site, views("x", 2, first) + views("y", 3, first - 1) + views("y", 1, now - 9 * DAY))
    answer = service.get(f"{site}/rankings/long")
    assert scores(answer) == [("x", 2), ("y", 1)] and moment(answer.json["from"]) == first


def test_a_vote_that_is_taken_back_no_longer_counts(service, site, now):
    load(service, site, votes("a", "up", 3, now - 2 * DAY) + votes("b", "up", 2, now - 6 * DAY))
    assert scores(service.get(f"{site}/rankings/liked")) == [("a", 6), ("b", 4)]
    load(service, site, [{"type": "unvote", "item": "a", "visitor": f"v{number}", "time": now} for number in (0, 2)])
    assert scores(service.get(f"{site}/rankings/liked")) == [("b", 4), ("a", 2)]


# ---- Exact

def many(service, site, items, when, high=()):
    """So many items with a view each, and a few with more; no card, so all are in the sets of items without one."""
    rows = [row for number in range(items) for row in views(f"i{number:04}", 1, when)]
    for item, count in high:
        rows += views(item, count, when)
    load(service, site, rows)


@contract("GET /v1/{site}/rankings/{ranking}", '"exact":true says that nothing is missing', "exact is false where that isn't certain")
def test_a_list_is_exact_down_to_what_was_left_out(service, site, now):
    many(service, site, 1500, now - HOUR, [(f"h{number:02}", 3 + number) for number in range(20)])
    answer = service.get(f"{site}/rankings/most-read?limit=20")
    assert answer.json["exact"] is True
    assert scores(answer) == [(f"h{number:02}", 3 + number) for number in reversed(range(20))]
    long = service.get(f"{site}/rankings/most-read?limit=40")
    assert long.json["exact"] is False and scores(long)[:20] == scores(answer), "1500 items with one view do not all have a place"
    assert service.get(f"{site}/rankings/day?limit=40&period={name(day(now - HOUR), 'day')}").json["exact"] is False


def test_a_list_that_a_rule_leaves_short_is_not_exact(service, site, now):
    load(service, site, views("a", 3) + views("b", 2) + views("c", 4))
    answer = service.get(f"{site}/rankings/most-read")
    assert scores(answer) == [("c", 4), ("a", 3), ("b", 2)] and answer.json["exact"] is True
    answer = service.get(f"{site}/rankings/floored")
    assert scores(answer) == [("c", 4), ("a", 3)] and answer.json["exact"] is False
    answer = service.get(f"{site}/rankings/floored?limit=2")
    assert scores(answer) == [("c", 4), ("a", 3)] and answer.json["exact"] is True, "it is full"
    cards(service, site, {"item": "a", "published_at": now - 8 * DAY}, {"item": "b"})
    answer = wait_until(lambda: (got := service.get(f"{site}/rankings/young")) and len(got.json["items"]) == 2 and got, 20)
    assert ids(answer) == ["c", "b"] and answer.json["exact"] is False


@contract("GET /v1/{site}/rankings/{ranking}", "A week that had ended five weeks before the ranking was defined")
def test_a_week_that_was_over_before_the_ranking_was_defined_is_not_exact(service, site, now):
    """Its events came, or might have come, while there was no set that they could move."""
    load(service, site, views("late", 3, now - 8 * 7 * DAY) + views("open", 2, now - 4 * 7 * DAY))
    for weeks, expected in ((8, []), (5, []), (4, [("open", 2)])):
        answer = service.get(f"{site}/rankings/week?period={name(day(now - weeks * 7 * DAY), 'week')}")
        assert (scores(answer), answer.json["exact"]) == (expected, weeks == 4)


# ---- Periods

@contract("GET /v1/{site}/rankings/{ranking}", "The list of a period (today, week, month) names it", "?period=2026-11-25 answers the list of that day")
@pytest.mark.parametrize("kind, sliding", [("day", "most-read"), ("week", "liked"), ("month", "long")])
def test_each_period_has_its_list(service, site, now, kind, sliding):
    today, what = day(now), f"{site}/rankings/{kind}"
    rows, expected = [], {}
    for number in (0, 1, KEPT[kind] - 1):
        date = ago(today, kind, number)
        if kind == "month" or number < (35 if kind == "day" else 5):  # of others nothing was sent while they were open
            when = max(begin(date, kind), 1)
            rows += views("first", 2 + number, when) + views(f"only{number}", 1, when)
            rows += votes(f"only{number}", "up", 1, when)
            expected[number] = [("first", 2 + number), (f"only{number}", 1)]
    load(service, site, rows)
    answer = service.get(what)
    assert scores(answer)[0][0] == "first" and answer.json["period"] == name(today, kind) and answer.json["exact"] is True
    for number in (0, 1, KEPT[kind] - 1):
        date = ago(today, kind, number)
        answer = service.get(f"{what}?period={name(date, kind)}")
        assert scores(answer) == expected.get(number, []), (number, answer.json)
        assert (answer.json["period"], moment(answer.json["from"])) == (name(date, kind), begin(date, kind))
        sliding_one = service.get(f"{site}/rankings/{sliding}?period={name(date, kind)}")
        assert sliding_one.json["period"] == name(date, kind) and "exact" in sliding_one.json
    for number in (-1, KEPT[kind]):
        date = ago(today, kind, number)
        refused(service.get(f"{what}?period={name(date, kind)}"), 404, "unknown_period")


@contract("GET /v1/{site}/rankings/{ranking}", "A period that is over and no longer kept, or has not begun, is 404 unknown_period",
          "A period of another kind than the ranking's")
def test_periods_that_there_are_not(service, site, now):
    today = day(now)
    for ranking, other, why in (("day", "week", "this ranking has days"), ("week", "day", "has weeks"), ("month", "day", "has months"),
                                ("most-read", "month", "has days"), ("top", "day", "only a ranking of the type window")):
        refused(service.get(f"{site}/rankings/{ranking}?period={name(today, other)}"), 400, "bad_parameter", why)
    for text in ("", "today", "2026-02-30", "2026-W54", "2026-13", "2026-1-1", "2026-11-26T18", "-2026-01-01", "2026-11-26%00", "26-11-26"):
        refused(service.get(f"{site}/rankings/day?period={text}"), 400, "bad_parameter")
    for text in ("0001-01-01", "9999-12-31"):
        refused(service.get(f"{site}/rankings/day?period={text}"), 404, "unknown_period")
    refused(service.get(f"{site}/rankings/day?period={today}&period={today}"), 400, "repeated_parameter")
    for asked in ("category=city", "author=Ann"):
        refused(service.get(f"{site}/rankings/day?period={today}&{asked}"), 400, "bad_parameter", "for the whole site only")
    refused(service.get(f"{site}/rankings/none?period={today}"), 404, "unknown_ranking")
    assert service.keyed("GET", f"{site}/rankings/day?period={today}").status == 200, "it is known with the key"
    refused(service.keyed("GET", f"{site}/items/a/related?period={today}"), 400, "unknown_parameter")


def test_a_late_event_and_a_retraction_move_a_past_period(service, site, now):
    when = midnight(day(now - 20 * DAY)) + HOUR
    past = f"{site}/rankings/day?period={day(when)}"
    load(service, site, views("a", 2, when))
    assert scores(service.get(past)) == [("a", 2)]
    load(service, site, views("b", 3, when))
    assert scores(service.get(past)) == [("b", 3), ("a", 2)]
    assert service.keyed("DELETE", f"{site}/items/b").status == 204
    wait_until(lambda: scores(service.get(past)) == [("a", 2)], 20)


# ---- As for other rankings

@contract("GET /v1/{site}/rankings", "A ranking of type window has its window there")
def test_the_windows_are_among_the_rankings(service, site):
    rows = {row["name"]: row for row in service.get(f"{site}/rankings").json["rankings"]}
    assert rows["most-read"] == {"name": "most-read", "type": "window", "window": "24h"}
    assert rows["month"] == {"name": "month", "type": "window", "window": "month"}
    assert rows["top"] == {"name": "top", "type": "total"}


def test_categories_and_exclusions(service, site, now):
    cards(service, site, {"item": "a", "categories": ["city", "sport"]}, {"item": "b", "categories": ["sport"]}, {"item": "c"})
    load(service, site, views("a", 2, now - HOUR) + views("b", 4, now - DAY) + views("c", 9))
    for ranking in ("most-read", "week" if day(now).weekday() else "most-read"):
        answer = service.get(f"{site}/rankings/{ranking}?category=sport")
        assert scores(answer) == [("b", 4), ("a", 2)] and answer.json["exact"] is True, ranking
        assert answer.json["list"] == f"ranking:{ranking}:sport"
    assert scores(service.get(f"{site}/rankings/most-read?category=city")) == [("a", 2)]
    assert scores(service.get(f"{site}/rankings/most-read?exclude=c&limit=1")) == [("b", 4)]


def test_rules_of_editors(service, site):
    def rule(item, **what):
        assert service.keyed("PUT", f"{site}/items/{item}/editorial", what).status == 200

    load(service, site, [row for number in range(6) for row in views(f"i{number}", 10 - number)])
    rule("i5", boost=3)
    rule("i0", bury=True)
    rule("i1", block=True)
    rule("i4", pin=2)
    answer = service.get(f"{site}/rankings/most-read")
    assert scores(answer) == [("i5", 15), ("i4", 6), ("i2", 8), ("i3", 7), ("i0", 10)]
    assert [entry["reason"] for entry in answer.json["items"]].count("pinned") == 1


def test_a_boost_of_an_item_that_may_be_left_out_is_not_exact(service, site, now):
    many(service, site, 1500, now - HOUR, [("best", 5)])
    assert service.get(f"{site}/rankings/most-read?limit=1").json["exact"] is True
    for number in range(0, 1500, 100):  # one at least has no place in its set
        assert service.keyed("PUT", f"{site}/items/i{number:04}/editorial", {"boost": 9}).status == 200
    assert service.get(f"{site}/rankings/most-read?limit=1").json["exact"] is False


def test_formats_and_the_page(service, site):
    cards(service, site, {"item": "a", "url": "https://news.example/a"}, {"item": "b"})
    load(service, site, views("a", 2) + views("b", 1))
    fragment = service.get(f"{site}/rankings/most-read?format=html").body.decode()
    assert fragment.index('data-item="a"') < fragment.index('data-item="b"')
    feed = service.get(f"{site}/rankings/day?format=feed&period={day(time.time())}").json
    assert [(item["id"], item["_engaged"]["score"]) for item in feed["items"]] == [("a", 2), ("b", 1)]
    page = service.get(f"{site}/items/a/page?name=most-read&related=0&recommendation=0").json
    assert [entry["item"] for entry in page["ranking"]["items"]] == ["b"] and page["ranking"]["from"]


def test_the_etag_changes_with_the_count(service, site, now):
    load(service, site, views("a", 2, now - 2 * DAY))
    first = service.get(f"{site}/rankings/most-read")
    assert first.json["items"] == [] and first.json["exact"] is True
    again = service.get(f"{site}/rankings/most-read", If_None_Match=first.headers["etag"])
    assert again.status == 304
    load(service, site, views("a", 1))
    other = service.get(f"{site}/rankings/most-read", If_None_Match=first.headers["etag"])
    assert scores(other) == [("a", 1)] and other.headers["etag"] != first.headers["etag"]
