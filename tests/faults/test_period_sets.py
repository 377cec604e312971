# SPDX-License-Identifier: MIT
"""The sets of rankings by period, read in Redis, against all events counted by hand. After each write this must hold for
each partition, ranking and open period: a member's score is its weighted count there; what is no member has at most the
cut; the cut only rises."""
import contextlib
import json
import random
import time

from support.fault_service import FaultService
from support.period_ledger import CONFIGURATION, DAY, OPEN, SITE, Ledger, bound, day, open_periods, period_of, sets_of
from support.redis_server import RedisServer
from support.wait import wait_until


@contextlib.contextmanager
def serving(partitions=1, configuration=CONFIGURATION, **options):
    with RedisServer() as server:
        with FaultService(server, partitions=partitions, configuration=configuration, log_level="info", unknown_items_kept="0",
                          **options) as service:
            service.start_projector()
            yield Ledger(service, server.client()), service


def test_three_times_the_bound_and_members_that_go_one_by_one():
    noon, draw = int(time.time()) // DAY * DAY - DAY // 2, random.Random(17)
    items = [f"i{number:03}" for number in range(3 * bound(1))]
    with serving() as (ledger, _):
        rows = [(item, "up" if draw.random() < 0.4 else "view", noon + draw.randrange(3600), f"{item}v{number}")
                for item in items for number in range(draw.choice((1, 1, 2, 3, 5)))]
        draw.shuffle(rows)
        for first in range(0, len(rows), 200):
            ledger.add(*rows[first:first + 200])
            ledger.check(("day",))
        held, cut = ledger.check(("day",))["d", period_of("day", noon), True, ledger.tag_of(items[0])]
        assert cut > 0 and len(held) < len(items)
        for item in sorted(held)[::5]:
            for vote in [event for event in ledger.events[item] if event[0] == "up"]:
                ledger.take(item, vote)
                held, cut = ledger.check(("day",))["d", period_of("day", noon), True, ledger.tag_of(item)]
        ledger.check()
        # What was cut comes back with its whole count.
        out = next(item for item in items if item not in held and ledger.values("day", period_of("day", noon)).get(item))
        ledger.add(*[(out, "up", noon + 1, f"w{number}") for number in range(int(cut) + 1)])
        held, _ = ledger.check()["d", period_of("day", noon), True, ledger.tag_of(out)]
        assert out in held


def test_a_cut_set_that_loses_half_is_filled_anew():
    """All had their place; the better half leaves, and those that were cut come back."""
    noon = day(1)
    with serving(partitions=1) as (ledger, service):
        items = [f"i{number:03}" for number in range(2 * bound(1) + 30)]
        ledger.add(*[(item, "up", noon, f"{item}v{n}") for number, item in enumerate(items) for n in range(1 + (number < 100))])
        held, cut = ledger.check(("day",))["d", period_of("day", noon), True, ledger.tag_of(items[0])]
        assert cut == 1 and len(held) < len(items)
        for item in items[:100]:
            for vote in list(ledger.events[item]):
                ledger.take(item, vote)
        ledger.cuts.clear()
        wait_until(lambda: "rankings were refilled" in service.log(), 20, service.log)
        held, cut = ledger.check(("day",))["d", period_of("day", noon), True, ledger.tag_of(items[0])]
        assert cut == 0 and held.keys() == ledger.values("day", period_of("day", noon)).keys()


def test_a_rebuild_of_many_equal_items_leaves_no_set_short():
    """All have one view of yesterday, and a set is cut to them: those that have a place keep it. A set that had lost half would
    have all rankings rebuilt again and again."""
    noon = day(1)
    with serving(partitions=1) as (ledger, service):
        items = [f"i{number:03}" for number in range(4 * bound(1))]
        ledger.add(*[(item, "view", noon, f"{item}v") for item in items])
        ledger.cuts.clear()
        service.projectors[-1].terminate()
        assert service.projectors.pop().wait(30) == 0
        service.configure(CONFIGURATION + "[ranking all]\ntype = total\n")
        before = service.log().count("rankings were refilled")
        service.start_projector()
        wait_until(lambda: service.log().count("rankings were refilled") > before, 30)
        held, cut = ledger.check(("day",))["d", period_of("day", noon), True, ledger.tag_of(items[0])]
        assert cut > 0 and len(held) >= bound(1)
        assert ledger.client.hexists(next(ledger.client.scan_iter("{*}pos")), "plan"), "another rebuild is due"


def test_late_events_move_their_sets_while_these_are_open():
    with serving() as (ledger, _):
        ledger.add(("now", "view", int(time.time()), "v"))
        for grain, open_ones in OPEN.items():
            step = {"day": 1, "week": 7}.get(grain)
            ages = [step * (open_ones - 1), step * open_ones] if step else [700, 760]
            for number, age in enumerate(ages):
                ledger.add((f"{grain}-{number}", "up", day(age), "v"), (f"{grain}-{number}", "up", day(age, 60), "w"))
                ledger.check()
        held = {item: sets_of(ledger.client, item) for item in ledger.events}
        assert held["day-0"][f"d@{open_periods('day')[-1]}:no-card"] == 2
        assert not [name for name in held["day-1"] if name.startswith("d@")], held["day-1"]
        assert held["week-0"][f"w@{open_periods('week')[-1]}:no-card"] == 2
        assert not [name for name in held["week-1"] if name.startswith("w@")], held["week-1"]
        assert [name for name in held["month-0"] if name.startswith("m@")]
        assert held["month-1"] == {}
        # An event of today does not bring the closed ones back, a retraction of the last open day moves its set.
        for item in ("day-0", "day-1"):
            ledger.add((item, "view", int(time.time()), f"x{item}"))
            ledger.take(item, next(event for event in ledger.events[item] if event[2] == "w"))
            ledger.check()
        assert sets_of(ledger.client, "day-0")[f"d@{open_periods('day')[-1]}:no-card"] == 1


def test_a_card_moves_all_open_sets_and_a_deletion_leaves_all_that_can_be_read():
    with serving() as (ledger, service):
        client = ledger.client
        ledger.add(*[(item, "up", day(back), f"{item}{back}") for item in ("a", "b") for back in range(OPEN["day"])])
        ledger.check()
        assert len([name for name in sets_of(client, "a") if name.startswith("d@")]) == 35
        ledger.put("a", ["sea", "air"])
        ledger.check()
        held = sets_of(client, "a")
        assert not [name for name in held if name.endswith(":no-card")]
        by_category = [name for name in held if name.startswith("d@") and name.count(":") == 1]
        assert len(by_category) == 2 * 3, "of the last three days, of two categories"
        ledger.put("a", ["air"])
        ledger.check()
        assert len([name for name in sets_of(client, "a") if name.startswith("d@") and name.count(":") == 1]) == 3
        # A week that can be read but is no longer open has it, too.
        site, tag = ledger.site(), ledger.tag_of("a").decode()
        closed = period_of("week", day(7 * 11))
        client.zadd(f"{tag}r{site}:w@{closed}", {"a": -5, "b": -3})
        status, answer = service.client().call("DELETE", f"{SITE}/items/a")
        assert status == 204, answer
        ledger.add(("b", "up", int(time.time()), "behind"))
        assert sets_of(client, "a") == {}
        waiting = {key.decode() for key in client.zrange(f"{tag}periods", 0, -1) if b"}r" in key}
        assert waiting == {key.decode() for key in client.scan_iter("{*}r*@*", 1000)} - {f"{tag}r{site}:w@{closed}"}, "none that is empty"
        del ledger.events["a"], ledger.cards["a"]
        ledger.check()
        assert client.zscore(f"{tag}r{site}:w@{closed}", "b") == -3
        assert client.hget(f"{tag}pos", "plan"), "a set that is no longer open asks for no rebuild"
        ledger.add(("a", "up", day(1), "again"))
        ledger.check()


def test_events_in_any_order_with_rebuilds_and_killed_projectors_between():
    draw, visitors = random.Random(3), iter(range(1 << 30))
    items = [f"i{number}" for number in range(150)]
    with serving(partitions=4) as (ledger, service):
        ledger.add(*[(item, "view", day(draw.randrange(3)), f"v{next(visitors)}") for item in items])
        for number in range(12):
            rows = [(draw.choice(items), draw.choice(("up", "view")), day(draw.choice((0, 0, 1, 2, 20, 34, 35, 50)), draw.randrange(DAY // 2)),
                     f"v{next(visitors)}") for _ in range(60)]
            ledger.add(*rows)
            if number % 3 == 0:
                ledger.put(draw.choice(items), [draw.choice(("sea", "air"))])
            item = draw.choice(items)
            for vote in [event for event in ledger.events[item] if event[0] == "up"][:3]:
                ledger.take(item, vote)
            ledger.check(partitions=4)
            if number % 6 == 5:
                kept = ledger.client.zadd(f"{ledger.tag_of('i0').decode()}r{ledger.site()}:w@{period_of('week', day(7 * 8))}", {"old": -9}, nx=True)
                assert kept or number > 5
                service.projectors.pop().kill()
                for tag in {ledger.tag_of(item).decode() for item in items}:
                    ledger.client.hdel(f"{tag}pos", "plan")
                ledger.cuts.clear()
                service.start_projector()
                wait_until(lambda: all(ledger.client.hget(key, "plan") for key in ledger.client.scan_iter("{*}pos")), 20, service.log)
                ledger.check(partitions=4)
        closed = f"{ledger.tag_of('i0').decode()}r{ledger.site()}:w@{period_of('week', day(7 * 8))}"
        assert ledger.client.zscore(closed, "old") == -9, "a rebuild leaves what is not open alone"


def test_what_is_over_is_cut_and_what_can_no_longer_be_read_is_removed():
    """What waits is brought forward here, as if the days had passed."""
    with serving(partitions=1) as (ledger, service):
        client, least = ledger.client, bound(1)
        items = [f"i{number:03}" for number in range(least + 40)]
        for some in (items[:100], items[100:]):  # of what is written at once only the best `least` are sent
            ledger.add(*[(item, "view", day(2), f"{item}v{n}") for number, item in enumerate(some) for n in range(1 + number % 3)])
        ledger.put(items[0], ["sea"])
        tag, site = ledger.tag_of(items[0]).decode(), ledger.site()
        waiting = {key.decode() for key in client.zrange(f"{tag}periods", 0, -1)}
        assert waiting == {key.decode() for key in client.scan_iter("{*}r*@*", 1000)}, "each set waits"
        keys = [key for pattern in ("{*}r*@*", "{*}floor*", "{*}periods", "{*}r*:.*") for key in client.scan_iter(pattern, 1000)]
        assert {client.ttl(key) for key in keys} == {-1}, "a volatile-… policy of Redis must not take one without its cut"
        name = period_of("day", day(2))
        the_set, part = f"{tag}r{site}:d@{name}:no-card", next(key for key in waiting if f":d@{name}:" in key and "no-card" not in key)
        old = {f"{tag}r{site}:d@2020-02-29": "zset", f"{tag}floor@2020-02-29": "hash", f"{tag}r{site}:d@2020-02-29:no-card": "zset"}
        for key, kind in old.items():
            client.zadd(key, {"x": -1}) if kind == "zset" else client.hset(key, f"{site}:d", -1)
        assert client.zscore(f"{tag}periods", the_set) == client.zscore(f"{tag}periods", part) == day(-1, 0) * 1000
        assert client.zcard(the_set) > least
        service.projectors.pop().kill()
        client.zadd(f"{tag}periods", {**{key: 0 for key in old}, "of nobody": 0})
        service.start_projector()
        wait_until(lambda: not client.exists(*old), 20, service.log)
        assert client.zcount(f"{tag}periods", "-inf", time.time() * 1000) == 0 and client.exists(the_set, part) == 2
        ledger.check()
        assert len(ledger.site()) == 16


def test_an_item_that_gets_its_card_after_a_week_was_closed_keeps_its_place_there():
    """It stays in the set of the items without a card: its buckets are gone by then."""
    with serving() as (ledger, service):
        for number in range(25):  # so many that items without a card are not listed
            ledger.put(f"i{number}", ["sea"])
        ledger.add(("late", "up", day(0, 60), "v"), ("made-up", "up", day(0, 60), "v"))
        closed, tag, site = period_of("week", day(7 * 8)), ledger.tag_of("late").decode(), ledger.site()
        ledger.client.zadd(f"{tag}r{site}:w@{closed}:no-card", {"late": -5, "made-up": -9})
        ledger.client.zadd(f"{tag}r{site}:w@{closed}", {"i3": -2})
        ledger.client.hset(f"{tag}pos", "since", (day(7 * 9)) * 1000)

        def listed():
            status, body = service.client().call("GET", f"{SITE}/rankings/w?period={closed}")
            assert status == 200
            answer = json.loads(body)
            return [(entry["item"], entry["score"]) for entry in answer["items"]], answer["exact"]

        wait_until(lambda: listed() == ([("i3", 2)], True), 20, listed)
        ledger.put("late", ["sea"])
        wait_until(lambda: listed() == ([("late", 5), ("i3", 2)], True), 20, listed)


def test_another_grain_of_a_ranking_has_no_old_sets():
    with serving() as (ledger, service):
        ledger.add(("a", "up", day(0, 60), "v"), ("a", "up", day(1), "w"))

        def kinds():
            return {key.decode().split(":")[1] for key in ledger.client.scan_iter("{*}r*@*", 1000)}

        assert any(kind.startswith("d@") for kind in kinds())
        service.projectors.pop().kill()
        service.configure(CONFIGURATION.replace("window = 24h", "window = month"))
        service.start_projector()
        month = period_of("month", day(0, 60))
        wait_until(lambda: {kind for kind in kinds() if kind.startswith("d")} >= {f"d@{month}"}
                   and not any(kind == f"d@{period_of('day', day(0))}" for kind in kinds()), 20, kinds)
        assert ledger.client.zscore(f"{ledger.tag_of('a').decode()}r{ledger.site()}:d@{month}:no-card", "a") == -2.0 or day(1) // DAY != day(0) // DAY
