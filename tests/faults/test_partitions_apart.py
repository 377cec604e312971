# SPDX-License-Identifier: MIT
"""Partitions that fail apart: one that cannot be read or written holds no other back, and once it is back every entry of
every log that is still there is applied to every item that it names, once.

The test is its own worker: it appends views to the logs and keeps each entry, so it knows what every item must have.
"""
import contextlib
import random
import struct
import time

import pytest

from support.fault_service import FaultService
from support.sharded_redis import CLUSTERDOWN, TRYAGAIN, ShardedRedis
from support.wait import wait_until
from test_projection_kill import unpack_sums

PARTITIONS = 8
VIEWS = 254  # the signal's number in a packed state
ITEMS = 40


class Projector(FaultService):
    worker_count = 0
    partitions = PARTITIONS


class World:
    """Appends entries, each with the view of some items, to the logs. Items are numbers: n lies in the partition n mod 8."""

    def __init__(self, store):
        self.store, self.dice = store, random.Random(7)
        self.tags, self.entries, self.lost, self.visitor = {}, {}, set(), 0

    def key(self, partition, rest):
        if not self.tags:
            for server in self.store.servers:
                for key in server.client().scan_iter("{*}pos"):
                    self.tags[int(key[2:key.index(b"}")].rstrip(b"abcdefghijklmnopqrstuvwxyz"))] = key[:-3]
        return self.tags[partition] + rest

    def write(self, count, logs=range(PARTITIONS)):
        for _ in range(count):
            self.append(self.dice.choice(list(logs)), self.dice.sample(range(1, ITEMS + 1), 3))

    def append(self, log, items, times=1):
        """An entry, in which each item is viewed, some times."""
        pipeline = self.store.client(log).pipeline(transaction=False)
        for _ in range(times):
            value = struct.pack("<d", time.time() * 1000)
            for item in items:
                self.visitor += 1
                value += b"W" + struct.pack("<QQd", item, self.visitor, time.time() * 1000) + b"\x01s"
                value += struct.pack("<H", len(b"%d" % item)) + b"%d" % item + b"\0"
            pipeline.xadd(self.key(log, b"log"), {b"1": value})
        self.entries |= {(log, entry): items for entry in pipeline.execute()}

    def expected(self, logs=range(PARTITIONS), lost=False):
        """The counts when the entries of these logs are projected."""
        counts = dict.fromkeys(range(1, ITEMS + 1), 0)
        for name, items in self.entries.items():
            for item in items:
                counts[item] += name[0] in logs and (lost or name not in self.lost)
        return counts

    def counted(self):
        counts = {}
        for item in range(1, ITEMS + 1):
            packed = self.store.client(item % PARTITIONS).get(self.key(item % PARTITIONS, b"s%016x" % item))
            counts[item] = max((count for count, _ in unpack_sums(packed).values()), default=0) if packed else 0
        return counts

    def wrong(self, partitions=range(PARTITIONS)):
        counted, least, most = self.counted(), self.expected(partitions), self.expected(lost=True)
        return {item: (counted[item], least[item], most[item]) for item in counted
                if item % PARTITIONS in partitions and not least[item] <= counted[item] <= most[item]}

    def settled(self, partitions=range(PARTITIONS), seconds=20):
        wait_until(lambda: not self.wrong(partitions), seconds, lambda: f"item: (counted, least, most) {self.wrong(partitions)}")

    def log_length(self, partition):
        return self.store.client(partition).xlen(self.key(partition, b"log"))


@contextlib.contextmanager
def projecting(moved=(), **settings):
    with ShardedRedis(moved, appendonly="no") as store, Projector(store, log_level="info", **settings) as service:
        service.start_projector()
        world = World(store)
        wait_until(lambda: sum(len(list(server.client().scan_iter("{*}pos"))) for server in store.servers) == PARTITIONS, 20,
                   "the logs are not opened")
        yield store, service, world


def others(*partitions):
    return [number for number in range(PARTITIONS) if number not in partitions]


@pytest.mark.parametrize("error", [TRYAGAIN, CLUSTERDOWN])
def test_a_partition_that_fails_holds_no_other_back(error):
    with projecting() as (store, _, world):
        world.write(50)
        world.settled()
        store.fail(3, error=error)
        world.write(200)
        world.settled(others(3))
        before = world.counted()
        store.answer(3)
        world.settled()
        assert any(before[item] < count for item, count in world.expected().items() if item % PARTITIONS == 3)


def test_a_projector_that_starts_while_a_partition_fails_projects_the_others():
    with projecting() as (store, service, world):
        world.write(50)
        world.settled()
        store.fail(5)
        world.write(100)
        world.settled(others(5))
        service.projectors[0].kill()
        service.projectors[0].wait()
        world.write(100)
        service.start_projector()
        world.settled(others(5))
        store.answer(5)
        world.settled()
        world.write(20)
        world.settled()


def test_nothing_is_trimmed_that_a_failing_partition_needs():
    with projecting() as (store, _, world):
        world.write(100)
        world.settled()
        wait_until(lambda: not any(map(world.log_length, range(PARTITIONS))), 10, "what all have is trimmed")
        store.fail(2)
        world.write(100)
        world.settled(others(2))
        time.sleep(0.5)  # some rounds, in which it could be trimmed
        assert sum(map(world.log_length, range(PARTITIONS))) > 50
        store.answer(2)
        world.settled()
        wait_until(lambda: not any(map(world.log_length, range(PARTITIONS))), 10, "what all have is trimmed")


def test_partitions_that_fail_by_turns():
    dice = random.Random(3)
    with projecting() as (store, service, world):
        for turn in range(12):
            store.errors = dict.fromkeys(dice.sample(range(PARTITIONS), dice.randrange(4)), TRYAGAIN)
            world.write(30)
            if turn % 4 == 2:
                service.projectors[-1].kill()
                service.projectors[-1].wait()
                service.start_projector()
            time.sleep(dice.uniform(0, 0.4))
        store.errors = {}
        world.settled()


def test_a_life_that_begins_unseen_ends_what_was_read_before():
    """Another process has opened the log of a partition in another life; this one has not noticed it."""
    with projecting() as (store, service, world):
        world.write(100)
        world.settled()
        for partition in range(PARTITIONS):
            store.client(partition).hset(world.key(partition, b"pos"), "life", f"unseen:{partition}")
            world.write(20)
        world.settled()
        assert "does not answer" not in service.log()


# ---- A target that comes back without its last writes, while the logs of others are as they were

MOVED = (1, 4, 6)


def lose_the_tail(store, world, writes):
    """Writes that are projected and then lost on the second server; those of its own logs are gone with them."""
    store.keep()
    world.settled()
    held = set(world.entries)
    world.write(writes)
    world.settled()
    world.lost |= {name for name in set(world.entries) - held if name[0] in MOVED}
    store.roll_back()


def test_a_target_that_forgets_gets_what_the_logs_of_others_have():
    with projecting(MOVED, log_kept="60s") as (store, _, world):
        world.write(100)
        world.settled()
        lose_the_tail(store, world, 200)
        world.settled()
        world.write(100, others(*MOVED))
        world.settled()


def test_a_projector_that_ends_with_the_target_that_forgets():
    with projecting(MOVED, log_kept="60s") as (store, service, world):
        world.write(100)
        world.settled()
        service.projectors[0].kill()
        service.projectors[0].wait()
        service.start_projector()
        lose_the_tail(store, world, 200)
        service.projectors[-1].kill()
        service.projectors[-1].wait()
        service.start_projector()
        world.settled()


def test_logs_are_kept_for_log_kept_after_they_were_projected():
    with projecting(log_kept="3s") as (store, service, world):
        world.write(100)
        world.settled()
        began = time.monotonic()
        kept = sum(map(world.log_length, range(PARTITIONS)))
        assert kept >= 100
        wait_until(lambda: sum(map(world.log_length, range(PARTITIONS))) < kept, 20, "the logs are trimmed")
        assert time.monotonic() - began > 1.5


def test_large_logs_are_warned_of():
    with projecting(log_kept="1m", log_kept_bytes="1MiB") as (store, service, world):
        service.projectors[0].kill()
        service.projectors[0].wait()
        for log in range(PARTITIONS):
            world.append(log, range(1, ITEMS + 1), times=100)
        service.start_projector()
        wait_until(lambda: "more than log_kept_bytes" in service.log(), 20, "said so")
