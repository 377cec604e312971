# SPDX-License-Identifier: MIT
"""Partitions that fail apart: one that cannot be read or written holds no other back, and once it is back every entry of
every log that is still there is applied to every item that it names, once."""
import contextlib
import random
import time

import pytest

from support.log_writer import ITEMS, PARTITIONS, Projector, World, opened, others
from support.sharded_redis import CLUSTERDOWN, TRYAGAIN, ShardedRedis
from support.wait import wait_until


@contextlib.contextmanager
def projecting(moved=(), **settings):
    with ShardedRedis(moved, appendonly="no") as store, Projector(store, log_level="info", **settings) as service:
        service.start_projector()
        opened(store)
        yield store, service, World(store)


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
    with projecting(MOVED, log_kept="60s") as (store, service, world):
        world.write(100)
        world.settled()
        lose_the_tail(store, world, 200)
        world.settled()
        world.write(100, others(*MOVED))
        world.settled()
        assert "came back without" not in service.log()


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


def lost_further_than_logs_reach(store, world):
    """The second server is to come back without what was projected more than log_kept ago."""
    world.write(100)
    world.settled()
    store.keep()
    world.write(200)
    world.settled()
    wait_until(lambda: not any(map(world.log_length, others(*MOVED))), 20, "the logs of the others are trimmed")
    time.sleep(4)  # so that the last copy of the applied ids is older than log_kept


def said(service):
    """How often the loss of each partition was said."""
    return [service.log().count(f"sums: partition {number} came back") for number in range(PARTITIONS)]


EACH_ONCE = [int(number in MOVED) for number in range(PARTITIONS)]


def test_what_is_lost_because_it_was_rolled_back_further_than_logs_reach_is_said():
    with projecting(MOVED, log_kept="2s") as (store, service, world):
        lost_further_than_logs_reach(store, world)
        store.roll_back()
        wait_until(lambda: all(said(service)[number] for number in MOVED), 20, lambda: said(service))
        before = world.counted()
        world.write(50)
        wait_until(lambda: world.counted() != before, 10, "it goes on")
        assert said(service) == EACH_ONCE


def test_it_is_said_too_of_one_that_was_away_for_longer_than_log_kept():
    """It comes back later than the others, after which all is read again."""
    with projecting(MOVED, log_kept="2s") as (store, service, world):
        lost_further_than_logs_reach(store, world)
        store.fail(4)
        store.roll_back()
        wait_until(lambda: said(service)[1] and said(service)[6], 20, lambda: said(service))
        time.sleep(4)
        store.answer(4)
        wait_until(lambda: said(service)[4], 20, lambda: said(service))
        assert said(service) == EACH_ONCE


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
