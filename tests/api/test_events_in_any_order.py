# SPDX-License-Identifier: MIT
"""Bulk votes with times of their own end the same in any order of their lines: the latest vote of a visitor on an item
holds. A retraction leaves nothing that a later line could be compared with."""
import calendar
import itertools
import json
import time

import pytest

from support.service import Service
from support.wait import wait_until

S = "/v1/s"
NOW = int(time.time()) - 10
CROWD = 150  # so many voters are in buckets, not in the item


@pytest.fixture(scope="module")
def service():
    one = Service(kinds="up down", configuration="[ranking hot]\nhalf_life = 1h\nvotes = up:1 down:1\nviews = 0\n")
    yield one
    one.stop()


def event(item, kind, ago, visitor="v"):
    row = {"item": item, "visitor": visitor} | ({} if ago is None else {"time": NOW - ago})
    return row | ({"type": "unvote"} if kind is None else {"type": "vote", "kind": kind})


def send(service, rows):
    answer = service.lines(S + "/events?wait=true", rows)
    assert (answer.status, answer.json) == (200, {"accepted": len(rows), "rejected": []})


def test_lines_of_one_body_without_a_time_are_decided_in_their_order(service):
    rows = []
    for n in range(40):
        rows += [event(f"turn {n}", "up", None), event(f"turn {n}", None, None), event(f"turn {n}", "down", None), event(f"turn {n}", None, None)]
        rows += [event(f"turn {n}", "up", None)] if n % 2 else []
    send(service, rows)
    for n in range(40):
        assert service.get(f"{S}/me?id=turn%20{n}").json["counts"][f"turn {n}"] == {"up": n % 2, "down": 0}


def fill(service, item):
    """Other voters before, so that all of the item's voters go by buckets."""
    send(service, [event(item, "down", 5000, f"crowd {n}") for n in range(CROWD)])


def stands(service, items):
    """For each item (kind, seconds ago) of the votes that count, without the crowd's."""
    rows = [json.loads(line) for line in service.keyed("GET", S + "/export").body.splitlines()]
    found = {item: [] for item in items}
    for row in rows:
        if row["type"] == "vote" and row["item"] in found:
            when = time.strptime(row["time"][:19], "%Y-%m-%dT%H:%M:%S")
            found[row["item"]].append((row["kind"], NOW - calendar.timegm(when)))
    for item, votes in found.items():
        while len(votes) > 1 and ("down", 5000) in votes:
            votes.remove(("down", 5000))
        found[item] = votes
    return found


def counts(service, item):
    return service.get(f"{S}/me?id={item}").json["counts"][item]


EVENTS = [("up", 9000), ("down", 4000), ("up", 3000), ("up", 2000), ("down", 100)]


@pytest.mark.parametrize("crowd", [False, True])
@pytest.mark.parametrize("chosen", [EVENTS[:2], EVENTS[:3], EVENTS[:4], EVENTS[1:], [("up", 9000), ("up", 100)]])
def test_the_latest_vote_counts_in_any_order_of_lines(service, crowd, chosen):
    name = f"{'crowd' if crowd else 'few'}-{len(chosen)}-{chosen[0][1]}-{chosen[-1][1]}"
    orders = list(itertools.permutations(chosen))[::3 if crowd else 1]
    items = [f"{name}-{n}" for n in range(len(orders))]
    for item in items if crowd else ():
        fill(service, item)
    for step in range(len(chosen)):  # lines of one call may be of one batch: half of the items get all at once
        send(service, [event(item, *order[step]) for item, order in list(zip(items, orders, strict=True))[::2]])
    send(service, [event(item, *one) for item, order in list(zip(items, orders, strict=True))[1::2] for one in order])
    latest = min(chosen, key=lambda one: one[1])
    assert stands(service, items) == dict.fromkeys(items, [latest])
    expected = {"up": 0, "down": CROWD * crowd}
    expected[latest[0]] += 1
    assert [counts(service, item) for item in items] == [expected] * len(items)
    scores = [row["score"] for row in service.get(f"{S}/rankings/hot?limit=100").json["items"] if row["item"] in items]
    assert scores and max(scores) - min(scores) < 1e-9 * max(scores)


@pytest.mark.parametrize("crowd", [False, True])
@pytest.mark.contract("POST /v1/{site}/events", "Of one visitor's votes on an item")
def test_a_retraction_takes_back_what_is_not_later(service, crowd):
    cases = [([("up", 9000), (None, 100)], []), ([("up", 100), (None, 9000)], [("up", 100)]), ([("up", 100), (None, 100)], []),
             ([("up", 100), (None, 101)], [("up", 100)]), ([(None, 100), ("up", 9000)], [("up", 9000)]),  # nothing was left of it
             ([("up", 100), (None, None)], []), ([("up", 100), (None, 9000), ("down", 50)], [("down", 50)])]
    items = [f"undo-{crowd}-{n}" for n in range(len(cases))]
    for item in items if crowd else ():
        fill(service, item)
    for step in range(3):
        send(service, [event(item, *lines[step]) for item, (lines, _) in zip(items, cases, strict=True) if step < len(lines)])
    found = stands(service, items)
    assert {item: [one for one in found[item] if one[1] != 5000] for item in items} == {item: left for item, (_, left) in zip(items, cases, strict=True)}


@pytest.mark.parametrize("crowd", [False, True])
@pytest.mark.contract("POST /v1/{site}/events", "Of one visitor's votes on an item", "Without a time it is now")
def test_edges_of_a_second_and_votes_without_a_time(service, crowd):
    cases = [([("up", 100), ("down", 101)], ("up", 100)), ([("up", 100), ("down", 99)], ("down", 99)),
             ([("up", 100), ("down", 100)], ("down", 100)), ([("down", 100), ("up", 100)], ("up", 100)),  # of one second: the later line
             ([("up", 100), ("up", 100)], ("up", 100)), ([("up", 100), ("up", None)], ("up", 100))]  # again changes nothing
    items = [f"edge-{crowd}-{n}" for n in range(len(cases))]
    for item in items if crowd else ():
        fill(service, item)
    for step in range(2):
        send(service, [event(item, *lines[step]) for item, (lines, _) in zip(items, cases, strict=True)])
    assert stands(service, items) == {item: [left] for item, (_, left) in zip(items, cases, strict=True)}


def test_a_vote_of_this_moment_is_later_than_all_and_stays_when_older_lines_come(service):
    for item in ("now-few", "now-crowd"):
        if item == "now-crowd":
            fill(service, item)
        send(service, [event(item, "up", 100)])
        assert service.keyed("POST", f"{S}/items/{item}/votes", {"kind": "down"}, Engaged_Visitor="v").json["vote"] == "down"
        send(service, [event(item, "up", 50), event(item, None, 50)])
        assert service.keyed("GET", f"{S}/me?id={item}", Engaged_Visitor="v").json["votes"] == {item: "down"}


def test_the_same_lines_again_change_nothing(service):
    items, rows = ["again"], [event("again", *one) for one in EVENTS]
    send(service, rows)
    before = service.metrics()
    votes = stands(service, items)
    send(service, rows)
    send(service, rows[::-1])
    after = service.metrics()
    changed = 'engaged_votes_total{result="changed"}'
    assert stands(service, items) == votes and after[changed] == before[changed]


@pytest.mark.contract("POST /v1/{site}/events", "An item without a card and with fewer than three events")
def test_events_of_long_ago_stay_with_items_that_have_a_card_or_three_events(own):
    """An hour between two walks over all items is a second where items are kept for some minutes."""
    service = own(unknown_items_kept="10m")
    service.keyed("PUT", S + "/items/card", {"title": "t"})
    rows = [{"type": "vote", "item": item, "visitor": visitor, "time": NOW - 400 * 86400}
            for item, visitors in (("card", "a"), ("three", "abc"), ("two", "ab")) for visitor in visitors]
    assert service.lines(S + "/events?wait=true", rows).json["accepted"] == 6
    wait_until(lambda: service.metrics()["engaged_forgotten_items_total"], 20, "an item is removed")
    assert {item: service.get(f"{S}/items/{item}").json["votes"]["up"] for item in ("card", "three", "two")} == {"card": 1, "three": 3, "two": 0}
