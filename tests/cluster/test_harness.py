# SPDX-License-Identifier: MIT
"""The helpers of these tests do to real nodes what they say (support/redis_cluster.py, slot_move.py, sentinels.py)."""
import contextlib
import os
import time

import pytest
import redis

from support.redis_cluster import Cluster, slot_of
from support.sentinels import Sentinels
from support.slot_move import SlotMove, move_slot
from support.wait import wait_until

# What it tries is no C: under sanitizers it would be the same.
pytestmark = pytest.mark.skipif(bool(os.environ.get("SHORT_TESTS")), reason="nothing of the program")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(spares=1, proxied=True, password="s:e", user="engaged") as cluster:
        yield cluster


def fill(cluster, tag, count=20):
    for number in range(count):
        cluster.call("SET", f"{{{tag}}}{number}", number)
    return slot_of(f"{{{tag}}}")


def values(cluster, tag, count=20):
    return [int(cluster.call("GET", f"{{{tag}}}{number}") or -1) for number in range(count)]


def other_than(cluster, node):
    return next(master for master in cluster.masters() if master is not node)


def test_a_master_that_is_killed_is_replaced_and_returns_as_a_replica(cluster):
    cluster.wait_ok()
    old = cluster.owner("killed")
    new, = cluster.replicas_of(old)
    old.kill()
    wait_until(new.is_master, 20, "the replica takes over")
    cluster.wait_ok()
    assert cluster.owner("killed") is new and cluster.replicas_of(new) == []
    old.restart()
    cluster.wait_ok()
    assert cluster.replicas_of(new) == [old]


def test_a_master_that_was_frozen_returns_as_a_replica(cluster):
    cluster.wait_ok()
    old = cluster.owner("frozen")
    new, = cluster.replicas_of(old)
    old.freeze()
    wait_until(new.is_master, 20, "the replica takes over")
    old.thaw()
    cluster.wait_ok()
    assert cluster.owner("frozen") is new and cluster.replicas_of(new) == [old]


@pytest.mark.parametrize("mode", [None, "FORCE", "TAKEOVER"])
def test_a_replica_takes_over(cluster, mode):
    cluster.wait_ok()
    old = cluster.owner("over")
    new = cluster.failover(old, mode)
    cluster.wait_ok()
    assert cluster.owner("over") is new is not old


def test_two_masters_take_writes_at_once_and_one_loses_its_own(cluster):
    cluster.wait_ok()
    old = cluster.owner("twice")
    cluster.call("SET", "twice", "before")
    new = cluster.two_masters(old)
    with redis.Redis(port=old.port, password="s:e") as client:  # clients reach it through its proxy
        client.set("twice", "lost")
    new.ask("SET", "twice", "kept")
    cluster.heal()
    cluster.wait_ok()
    assert cluster.owner("twice") is new and cluster.call("GET", "twice") == b"kept"


def test_a_node_that_is_cut_off_is_silent_for_all_and_is_replaced(cluster):
    cluster.wait_ok()
    old = cluster.owner("cut")
    new, = cluster.replicas_of(old)
    with redis.Redis(port=old.port, username="engaged", password="s:e", socket_timeout=0.5) as client:
        client.ping()
        cluster.cut(old)
        with pytest.raises(redis.TimeoutError):
            client.ping()
        wait_until(new.is_master, 20, "the replica takes over")
        wait_until(lambda: old.state() == "fail", 20, "the one that is alone knows it")
        cluster.heal()
        cluster.wait_ok()
        assert client.ping()
    assert cluster.owner("cut") is new


def test_a_slot_moves_key_by_key_and_back(cluster):
    cluster.wait_ok()
    slot = fill(cluster, "moves")
    source = cluster.owner(slot)
    target = other_than(cluster, source)
    move = SlotMove(cluster, slot, target).begin()
    assert move.some(7) == 7
    with contextlib.closing(source.client()) as client, pytest.raises(redis.ResponseError, match="TRYAGAIN"):
        client.mget(*(f"{{moves}}{number}" for number in range(20)))
    move.finish()
    assert cluster.owner(slot) is target and values(cluster, "moves") == list(range(20))
    move_slot(cluster, slot, source)
    assert cluster.owner(slot) is source and values(cluster, "moves") == list(range(20))


def test_a_move_that_is_given_up_leaves_all_where_it_was(cluster):
    cluster.wait_ok()
    slot = fill(cluster, "stays")
    source = cluster.owner(slot)
    move = SlotMove(cluster, slot, other_than(cluster, source)).begin()
    move.some(7)
    move.give_up()
    assert cluster.owner(slot) is source and values(cluster, "stays") == list(range(20))


def test_redis_cli_ends_a_move_that_stopped_in_the_middle_and_moves_slots(cluster):
    cluster.wait_ok()
    slot = fill(cluster, "fixed")
    source = cluster.owner(slot)
    target = other_than(cluster, source)
    SlotMove(cluster, slot, target).begin().some(7)
    cluster.cli("fix", f"127.0.0.1:{source.port}")
    cluster.wait_ok()
    target, source = sorted((source, target), key=lambda node: node is cluster.owner(slot), reverse=True)  # it decides where
    assert cluster.owner(slot) is target and values(cluster, "fixed") == list(range(20))
    cluster.cli("reshard", f"127.0.0.1:{source.port}", "--cluster-from", target.id, "--cluster-to", source.id, "--cluster-slots", 3,
                "--cluster-yes")
    cluster.wait_ok()
    assert values(cluster, "fixed") == list(range(20))


def test_a_node_joins_takes_a_slot_and_leaves(cluster):
    cluster.wait_ok()
    spare = cluster.spares[0]
    slot = fill(cluster, "joins")
    source = cluster.owner(slot)
    for _ in range(2):  # it may join again
        cluster.add(spare)
        move_slot(cluster, slot, spare)
        assert cluster.owner(slot) is spare and values(cluster, "joins") == list(range(20))
        move_slot(cluster, slot, source)
        cluster.remove(spare)
        assert spare not in cluster.members() and values(cluster, "joins") == list(range(20))


def test_keys_of_all_masters_are_scanned(cluster):
    cluster.wait_ok()
    for number in range(30):
        cluster.call("SET", f"scanned{number}", 1)
    assert len({cluster.owner(f"scanned{number}") for number in range(30)}) == 3
    assert {key for key, _ in cluster.scan("scanned*")} == {b"scanned%d" % number for number in range(30)}


def test_one_node_has_a_wrong_clock(cluster):
    cluster.wait_ok()
    wrong = cluster.masters()[1]
    wrong.shift_clock(-300)
    behind = {node.number: round((int(node.ask("TIME")[0]) - time.time()) / 100) for node in cluster.masters()}
    wrong.shift_clock(0)
    assert behind.pop(wrong.number) == -3 and set(behind.values()) == {0}


def test_sentinels_name_the_replica_when_the_master_is_gone():
    with Sentinels(password="p", sentinel_password="q") as group:
        old = group.master()
        old.freeze()
        new = group.wait_switch(old)
        assert new is not old and group.master() is new
        old.restart()
        group.wait_ok()
        assert not old.is_master() and group.failover() is old
        group.sentinels[0].kill()
        group.wait_ok()
        group.sentinels[0].restart()
        group.wait_ok()
        assert set(group.named().values()) == {old}
