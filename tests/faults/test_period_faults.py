# SPDX-License-Identifier: MIT
"""docs/faults.md, the rows of periods: what becomes of their sets when a clock, a process or Redis fails around their
end."""
import contextlib
import time

from support.fault_service import FaultClient, FaultService
from support.period_ledger import CONFIGURATION, DAY, Ledger, bound, day, period_of, sets_of
from support.redis_server import Keeper, RedisServer
from support.scripted_redis import ScriptedRedis, shift
from support.service import Service
from support.wait import wait_until


class Whole(Service):
    """Its clock is that of its Redis from the first answer on."""

    def client(self):
        return FaultClient(self.port)


@contextlib.contextmanager
def whole(redis):
    service = Whole(redis=f"redis://127.0.0.1:{redis.port}", partitions=1, configuration=CONFIGURATION, unknown_items_kept="0",
                    secret="11" * 32, hash_key="22" * 32, secret_key="publisher")
    yield Ledger(service, redis.client())
    service.stop()


def test_a_clock_that_jumps_over_the_ends_of_periods_and_comes_back_leaves_no_set_short():
    """Periods are ended by a clock that is 40 days ahead. What it has removed is filled up again."""
    with ScriptedRedis() as redis:
        with whole(redis) as ledger:
            ledger.add(*[(item, "up", day(back), f"{item}{back}") for item in ("a", "b") for back in (0, 1, 2, 20, 34)])
            ledger.put("a", ["sea"])
            ledger.check()
        before = {item: sets_of(ledger.client, item) for item in ("a", "b")}
        assert sum(name.startswith("d@") for name in before["a"]) == 5 + 3
        shift(redis, 40 * DAY)
        with whole(redis):
            wait_until(lambda: not [name for name in sets_of(ledger.client, "a") if name.startswith("d@")], 20)
        redis.obey_redis()
        with whole(redis) as again:
            wait_until(lambda: {item: sets_of(ledger.client, item) for item in ("a", "b")} == before, 10,
                       lambda: f"{before} {sets_of(ledger.client, 'a')}")
            ledger.cuts.clear()
            ledger.service = again.service
            ledger.add(("b", "up", day(0, 60), "after"))
            ledger.check()


@contextlib.contextmanager
def processes(server):
    with FaultService(server, partitions=1, configuration=CONFIGURATION, log_level="info", unknown_items_kept="0") as service:
        service.start_projector()
        yield Ledger(service, server.client()), service


def later(ledger, rows):
    """Events that are accepted while nobody projects."""
    ledger.post("events", [{"type": "view", "item": item, "visitor": visitor, "time": second} for item, second, visitor in rows])
    for item, second, visitor in rows:
        ledger.events[item].append(("view", second, visitor))


def test_a_period_that_ends_while_the_projector_is_away_and_one_that_dies_before_it_is_cut():
    """A day is over for the windows after three. Its events still count, then its set is cut to its bound."""
    noon, items = day(4), [f"i{number:03}" for number in range(bound(1) + 40)]
    with RedisServer() as server, processes(server) as (ledger, service):
        ledger.add(("i000", "up", noon, "first"), ("i000", "up", day(0, 60), "today"))
        tag, site = ledger.tag_of("i000").decode(), ledger.site()
        the_set = f"{tag}r{site}:d@{period_of('day', noon)}:no-card"
        service.projectors.pop().kill()
        rows = [[(item, noon + 1, f"{item}v{n}") for number, item in enumerate(some) for n in range(1 + number % 3)]
                for some in (items[:100], items[100:])]  # of more in one commit only the best would be sent
        later(ledger, rows[0])
        for failpoint in ("commit-chunk-before:1", "commit-chunk-after:2", "find-due-after:1", "end-periods-before:1"):
            projector = service.start_projector(failpoint)
            if failpoint == "commit-chunk-after:2":
                wait_until(lambda: ledger.client.zcard(the_set) >= 100, 20, service.log)
                later(ledger, rows[1])
            assert projector.wait(30) < 0, failpoint
            ledger.client.zadd(f"{tag}periods", {the_set: 0})  # as if they had gone before that day was over
        assert ledger.client.zcard(the_set) == len(items), "it is not cut yet"
        service.start_projector()
        wait_until(lambda: ledger.client.zcard(the_set) == bound(1), 20, service.log)
        ledger.check()
        assert ledger.client.zcount(f"{tag}periods", "-inf", time.time() * 1000) == 0
        late = next(item for item in items if ledger.client.zscore(the_set, item) is None)
        ledger.add(*[(late, "up", noon + 2, f"{late}w{n}") for n in range(4)])
        ledger.check()
        assert ledger.client.zscore(the_set, late) is not None, "an event of a day that is open moves its set, also late"


def test_a_restore_takes_sets_and_counts_back_together():
    with Keeper() as server, processes(server) as (ledger, service):
        ledger.add(*[(f"i{number}", "up", day(number % 3), f"v{number}") for number in range(40)])
        ledger.put("i0", ["sea"])
        kept = {item: list(events) for item, events in ledger.events.items()}
        server.keep()
        ledger.add(*[(f"i{number}", "up", day(number % 5), f"w{number}") for number in range(20, 60)])
        ledger.put("i1", ["sea"])
        ledger.check()
        server.start_again()
        ledger.events.clear()
        ledger.events.update(kept)
        del ledger.cards["i1"]
        ledger.cuts.clear()
        service.wait_all_ready()
        moment = day(0, 60)
        ledger.post("events", [{"type": "vote", "item": "i2", "visitor": "after", "time": moment}])
        ledger.events["i2"].append(("up", moment, "after"))
        ledger.add(("i3", "up", moment, "behind it"))
        ledger.check()
        assert ledger.client.exists(*[key for key in ledger.client.scan_iter("{*}r*@*:no-card", 1000)])
