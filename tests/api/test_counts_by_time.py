# SPDX-License-Identifier: MIT
"""Counts by hour, day and month, as Redis holds them, against a count of all events by hand: of each item and of the site, after
events in any order, retractions, changes of mind, deletion, correction, and export and import."""
import json
import os
import random
import time
from collections import Counter, defaultdict

import pytest
import redis
from support.packed import GRAINS, month_of, unpack_state
from support.service import Service
from support.wait import wait_until

HOUR, DAY = 3600, 86400
VIEWS = 8
KINDS = {"up": 0, "down": 1}
KEPT = {"hour": 48, "day": 37, "month": 36}
SITE = "/v1/paper.example"
SECRETS = {"hash_key": "5a" * 32, "secret": "6b" * 32}


def numbers(seconds):
    seconds = int(seconds)
    return {"hour": seconds // HOUR, "day": seconds // DAY, "month": month_of(seconds // DAY)}


class World:
    """A service, and what it was told."""

    def __init__(self):
        self.service = Service(kinds="up down", view_window="0", rate_limits="off", list_unknown="on", **SECRETS)
        self.events = defaultdict(list)  # by item: signal, time; what was taken back is gone
        self.newest = {}
        self.votes = {}  # by item and visitor: kind, time

    def note(self, item, signal, when):
        self.events[item].append((signal, when))
        self.newest[item] = max(self.newest.get(item, 0), when)

    def send(self, rows):
        answer = self.service.lines(f"{SITE}/events?wait=true", rows).json
        assert answer == {"accepted": len(rows), "rejected": []}, answer

    def view(self, item, when):
        self.note(item, VIEWS, when)
        return {"type": "view", "item": item, "visitor": f"v{random.random()}", "time": when}

    def vote(self, item, visitor, kind, when):
        before = self.votes.get((item, visitor))
        assert before is None or before[1] < when
        if before:
            self.events[item].remove((KINDS[before[0]], before[1]))
        self.note(item, KINDS[kind], when)
        self.votes[item, visitor] = kind, when
        return {"type": "vote", "item": item, "visitor": visitor, "kind": kind, "time": when}

    def unvote(self, item, visitor, when):
        kind, cast = self.votes.pop((item, visitor))
        self.events[item].remove((KINDS[kind], cast))
        return {"type": "unvote", "item": item, "visitor": visitor, "time": when}

    def expected(self, items):
        """Of these items together, as one would count them."""
        newest = numbers(max(self.newest[item] for item in items))
        found = defaultdict(lambda: {grain: Counter() for grain in GRAINS})
        for signal, when in [event for item in items for event in self.events[item]]:
            for grain, number in numbers(when).items():
                if newest[grain] - number < KEPT[grain]:
                    found[signal][grain][number] += 1
        return {signal: {grain: dict(counts) for grain, counts in grains.items()} for signal, grains in found.items()
                if any(grains.values())}


@pytest.fixture(name="world", scope="module")
def shared_world():
    one = World()
    yield one
    one.service.stop()


def store_of(service):
    return redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))


def held(service, item):
    store, name = store_of(service), b"\x0dpaper.example" + bytes([len(item), 0]) + item.encode()
    for key in store.scan_iter("*}i" + 16 * "?", count=1000):
        packed = store.get(key) or b""
        if name in packed:
            sums = store.get(key.replace(b"}i", b"}s"))
            return unpack_state(sums)[1] if sums else {}
    return {}


def held_of_sites(service):
    """The sum over the partitions of the totals of all sites: there is one."""
    store, found = store_of(service), defaultdict(lambda: {grain: Counter() for grain in GRAINS})
    for key in store.scan_iter("*}t" + 16 * "?", count=1000):
        for signal, grains in unpack_state(store.get(key))[1].items():
            for grain, counts in grains.items():
                found[signal][grain].update(counts)
    return {signal: {grain: dict(counts) for grain, counts in grains.items()} for signal, grains in found.items()}


def random_rows(world, dice, items, count):
    rows, now = [], int(time.time())
    for step in range(count):
        item, chance = dice.choice(items), dice.random()
        ago = int(dice.choice([3, 60, 50 * 24, 1200 * 24]) * HOUR * dice.random())
        voters = [name for name in world.votes if name[0] == item]
        if chance < 0.5:
            rows.append(world.view(item, now - ago))
        elif chance < 0.8 or not voters:
            rows.append(world.vote(item, f"r{step}-{len(world.votes)}", dice.choice(["up", "down"]), now - ago))
        elif chance < 0.9:
            item, visitor = dice.choice(voters)
            kind, cast = world.votes[item, visitor]
            if cast + 5 < now:
                rows.append(world.vote(item, visitor, dice.choice(["up", "down"]), dice.randrange(cast + 1, now)))
        else:
            rows.append(world.unvote(*dice.choice(voters), now))
    return rows


def test_events_in_any_order_are_counted_in_their_own_hour_day_and_month(world):
    dice, items = random.Random(17), [f"any{n}" for n in range(8)]
    for _ in range(6):
        world.send(random_rows(world, dice, items, 150))
        for item in items:
            assert held(world.service, item) == world.expected([item]), item
    # The site keeps by its own newest event, of each partition: what is kept in an item's series and recent enough.
    site, now = held_of_sites(world.service), numbers(time.time())
    for signal, grains in world.expected(list(world.events)).items():
        for grain in GRAINS:
            recent = {number: count for number, count in site[signal][grain].items() if number > now[grain] - KEPT[grain] + 2}
            wanted = {number: count for number, count in grains[grain].items() if number > now[grain] - KEPT[grain] + 2}
            assert {n: recent.get(n, 0) for n in wanted} == wanted, (signal, grain)


def test_edges_of_what_is_kept(world):
    """48 hours, 37 days and 36 months of the newest event, which the others follow or precede."""
    newest = int(time.time()) - 5
    hour, day = newest // HOUR * HOUR, newest // DAY * DAY
    times = [newest, hour - 47 * HOUR, hour - 47 * HOUR - 1, day - 36 * DAY, day - 36 * DAY - 1, newest - 34 * 31 * DAY, newest - 38 * 31 * DAY]
    for item, order in (("edge1", times), ("edge2", list(reversed(times)))):
        for when in order:
            world.send([world.view(item, when)])
        assert held(world.service, item) == world.expected([item]), item


def test_of_a_site_nothing_goes_with_an_item(world):
    now = int(time.time())
    world.send([world.view("gone", now - 10), world.vote("gone", "g1", "up", now - 9), world.vote("gone", "g2", "up", now - 8)])
    before = held_of_sites(world.service)
    assert world.service.keyed("DELETE", f"{SITE}/items/gone").status == 204
    wait_until(lambda: held(world.service, "gone") == {})
    after = held_of_sites(world.service)
    assert all(after[signal][grain].get(number, 0) >= count for signal, grains in before.items() for grain, counts in grains.items()
               for number, count in counts.items())
    world.events["gone"] = []
    world.votes = {name: vote for name, vote in world.votes.items() if name[0] != "gone"}
    world.send([world.view("gone", now)])  # a new item, that keeps nothing of the one before
    assert held(world.service, "gone") == {VIEWS: {grain: {number: 1} for grain, number in numbers(now).items()}}


def test_a_correction_takes_back_of_the_hour_of_the_vote(world):
    now, when = int(time.time()), int(time.time()) - 30 * HOUR
    world.send([world.vote("cheated", "cheat", "up", when), world.vote("cheated", "other", "up", now - 5)])
    before = held_of_sites(world.service)
    answer = world.service.keyed("POST", f"{SITE}/corrections", {"visitor": "cheat", "note": "a cheat"})
    assert answer.status in (200, 202), answer.body
    world.unvote("cheated", "cheat", now)
    wait_until(lambda: held(world.service, "cheated") == world.expected(["cheated"]))
    after = held_of_sites(world.service)
    for grain, number in numbers(when).items():
        assert after[0][grain].get(number, 0) == before[0][grain][number] - 1, grain


def export(service):
    lines = service.keyed("GET", f"{SITE}/export").body.decode().splitlines()
    assert json.loads(lines.pop())["type"] == "end"
    return sorted(lines)


def take(service, lines):
    answer = service.keyed("POST", f"{SITE}/import?wait=true", "\n".join(lines).encode(), Content_Type="application/x-ndjson")
    assert answer.json == {"accepted": len(lines), "rejected": []}, answer.json


def test_export_import_and_export_again_are_equal(world):
    """Also of items that keep old events alone, and of a repetition; the other site's counts are those of its items."""
    now = int(time.time())
    world.send([world.view("old", now - 500 * DAY)] + [world.vote("old", f"o{n}", "up", now - 499 * DAY) for n in range(3)])  # fewer would be forgotten
    lines, another = export(world.service), Service(kinds="up down", **SECRETS)
    try:
        for _ in range(2):
            take(another, lines)
            assert export(another) == lines
            items = [item for item in world.events if world.events[item]]
            for item in items:
                assert held(another, item) == held(world.service, item) == world.expected([item]), item
            site, recent = held_of_sites(another), numbers(now)["hour"] - 40
            wanted = world.expected(items)[VIEWS]["hour"]
            assert {n: c for n, c in site[VIEWS]["hour"].items() if n > recent} == {n: c for n, c in wanted.items() if n > recent}
    finally:
        another.stop()


def test_an_import_of_hours_that_cannot_be_is_refused(world):
    """The newest hour a day ahead; more views in an hour than there are; a bucket that is cut off."""
    now = int(time.time())
    world.send([world.view("given", now), world.view("given", now)])
    line = next(json.loads(line) for line in export(world.service) if '"item":"given"' in line)
    packed = bytes.fromhex(line["view_sums"])
    # Newest hour and day, what an export says of its days, signal, an hour and a day with their counts less 2.
    at, signal = len(packed) - 21, len(packed) - 5
    assert packed[signal] == 16 * VIEWS + 8 + 3, packed[at:].hex()
    ahead = (int.from_bytes(packed[at:at + 3], "little") + 24 * 8).to_bytes(3, "little")
    for wrong in (packed[:at] + ahead + packed[at + 3:], packed[:signal + 2] + b"\1" + packed[signal + 3:], packed[:-1], packed + b"\0"):
        answer = world.service.lines(f"{SITE}/import?wait=true", [{**line, "view_sums": wrong.hex()}]).json
        assert answer["rejected"] == [{"line": 1, "code": "bad_field"}], (answer, wrong.hex())
    assert world.service.lines(f"{SITE}/import?wait=true", [line]).json["rejected"] == []
    assert held(world.service, "given") == world.expected(["given"])


def test_an_import_from_another_zone_begins_days_and_months(world):
    now = int(time.time())
    world.send([world.view("elsewhere", now - 60), world.vote("elsewhere", "e1", "up", now - 50)])
    lines = [line for line in export(world.service) if '"item":"elsewhere"' in line]
    another = Service(kinds="up down", time_zone="Pacific/Auckland", **SECRETS)
    try:
        for _ in range(2):
            take(another, lines)
            series = held(another, "elsewhere")
            assert series[VIEWS] == {"hour": {(now - 60) // HOUR: 1}, "day": {}, "month": {}}
            assert sum(series[0]["day"].values()) == 1  # votes come one by one, with their times
        take(world.service, sorted(export(another)))  # and back: what is not known stays so
        assert held(world.service, "elsewhere")[VIEWS] == series[VIEWS]
    finally:
        another.stop()
