# SPDX-License-Identifier: MIT
"""What happens to the nodes of a Redis Cluster, row by row, while visitors vote and read (support/cluster_load.py). Afterwards
every acknowledged vote counts once, so does every view, and the list agrees."""
import itertools
import time

import pytest

from support.cluster_load import Load
from support.fault_service import FaultService, item_id
from support.redis_cluster import Cluster, slot_of
from support.slot_move import SlotMove, move_slot
from support.wait import wait_until

NODE_TIMEOUT_MS = 1000


@pytest.fixture(scope="module")
def cluster():
    with Cluster(spares=1, proxied=True, node_timeout=NODE_TIMEOUT_MS) as cluster:
        yield cluster


def start(cluster, **settings):
    return FaultService(cluster.nodes[0], redis=cluster.url, redis_timeout="500ms", log_level="info", **settings)


@pytest.fixture(scope="module")
def service(cluster):
    with start(cluster) as service:
        service.start_projector()
        yield service


SITES = itertools.count()


def make_whole(cluster):
    cluster.heal()
    for node in cluster.nodes:
        node.thaw()
        if not node.can_answer():
            node.restart()
    cluster.wait_ok()


def waits_for_replicas(cluster, service):
    """Whether the service has heard that each master has its replica again. Until then it acknowledges without one, and a
    master that dies takes that with it (docs/cluster.md)."""
    log = service.log()
    return all(log.count(f"redis {master}: 0 of 1 replicas") == log.count(f"redis {master}: the replicas are there again")
               for master in cluster.masters())


@pytest.fixture
def load(cluster, service):
    cluster.wait_ok()
    wait_until(lambda: waits_for_replicas(cluster, service), what=lambda: f"the service hears of the replicas\n{service.log()}")
    yield Load(service, f"s{next(SITES)}")
    make_whole(cluster)


@pytest.fixture
def strict_load(cluster):
    """On a service that acknowledges nothing without a replica, from its first moment on."""
    cluster.wait_ok()
    with start(cluster, wait_replicas_strict="on") as service:
        service.start_projector()
        yield Load(service, f"s{next(SITES)}")
        make_whole(cluster)


def busiest(cluster):
    return cluster.owner("{e0}log")


def partition_slots(cluster, node):
    """Slots of a node that hold data."""
    keys = [key for key in node.client().scan_iter("{e*}log", count=1000)]
    return sorted(slot_of(key) for key in keys)


def items_of_others(cluster, node):
    """Items whose partitions are on the other masters."""
    keys = ((key, client) for key, client in cluster.scan("{e*}i*") if cluster.owner(key) is not node)
    return {item_id(client.get(key)) for key, client in keys}


def other_than(cluster, node):
    return next(master for master in cluster.masters() if master is not node)


def wait_replaced(old, new):
    wait_until(new.is_master, 30, f"{new} takes over from {old}")


# ---- Nodes that die

def test_a_master_is_killed(cluster, load):
    old = busiest(cluster)
    new, = cluster.replicas_of(old)
    with load.running():
        load.wait_acknowledged(200)
        others = items_of_others(cluster, old)
        old.kill()
        began = time.monotonic()
        wait_replaced(old, new)
        load.wait_acknowledged()
        assert sum(at > began and item in others for at, item in load.answered) > 10, "the others go on"
        old.restart()
        cluster.wait_ok()
        load.wait_acknowledged()
    load.judge()


def test_a_change_goes_on_while_the_node_of_its_sites_audit_log_is_away(cluster, service, load):
    """It is told in the service's own log; afterwards the audit log goes on."""
    client, site = service.client(), load.site
    assert client.acknowledged(200, "PUT", f"/v1/{site}/items/first", "{}")
    old = next(cluster.owner(key) for key, at in cluster.scan("{e*}k*") if at.type(key) == b"stream" and b'"first"' in at.xrange(key)[-1][1][b"j"])
    there = next(f"i{n}" for n in range(100) if client.acknowledged(200, "PUT", f"/v1/{site}/items/i{n}", "{}") and f"i{n}" in items_of_others(cluster, old))
    new, = cluster.replicas_of(old)
    old.kill()
    wait_until(lambda: client.acknowledged(200, "PUT", f"/v1/{site}/items/{there}", '{"title":"meanwhile"}') and "the audit log cannot be written" in service.log(),
               20, service.log)
    wait_replaced(old, new)

    def last():
        found = client.acknowledged(200, "PUT", f"/v1/{site}/items/last", "{}") and client.acknowledged(200, "GET", f"/v1/{site}/audit")
        return found and found["entries"][0].get("item") == "last"

    wait_until(last, 30, service.log)
    old.restart()
    cluster.wait_ok()


def test_a_master_is_frozen_and_wakes_when_it_has_been_replaced(cluster, load):
    old = busiest(cluster)
    new, = cluster.replicas_of(old)
    with load.running():
        load.wait_acknowledged()
        old.freeze()
        wait_replaced(old, new)
        load.wait_acknowledged()
        old.thaw()
        cluster.wait_ok()
        load.wait_acknowledged()
    load.judge()


def test_a_replica_is_killed(cluster, load):
    replica, = cluster.replicas_of(busiest(cluster))
    with load.running():
        load.wait_acknowledged()
        replica.kill()
        load.wait_acknowledged()
        replica.restart()
        cluster.wait_ok()
        load.wait_acknowledged()
    load.judge()


@pytest.mark.parametrize("mode", [None, "FORCE", "TAKEOVER"], ids=["planned", "forced", "taken over"])
def test_a_replica_takes_over(cluster, load, mode):
    with load.running():
        load.wait_acknowledged()
        cluster.failover(busiest(cluster), mode)
        load.wait_acknowledged()
        cluster.wait_ok()
    load.judge(views_twice=mode is not None, lost_most=0 if mode is None else 50)  # the master is not waited for


def test_two_masters_at_once(cluster, strict_load):
    """The old one hears nothing of the new one, and takes writes until the node timeout is over. What it took is lost. But
    its replica has not got it, so it was not acknowledged. Without wait_replicas_strict it may have been: a master that has just
    taken over waits for no replica until INFO has told of one, a second later (docs/cluster.md)."""
    old, load = busiest(cluster), strict_load
    with load.running():
        load.wait_acknowledged()
        cluster.two_masters(old)
        wait_until(lambda: len(load.refused) >= 20, 30, "writes that no replica has are refused")
        load.wait_acknowledged(30)
        cluster.heal()
        cluster.wait_ok()
        load.wait_acknowledged()
    load.judge(views_twice=True)


def test_a_master_is_cut_off_from_all(cluster, load):
    old = busiest(cluster)
    new, = cluster.replicas_of(old)
    with load.running():
        load.wait_acknowledged()
        cluster.cut(old)
        wait_replaced(old, new)
        load.wait_acknowledged()
        cluster.heal()
        cluster.wait_ok()
        load.wait_acknowledged()
    load.judge()


@pytest.mark.parametrize("shift_s", [-40, 3600])
def test_the_clock_of_a_node_is_wrong_when_it_takes_over(cluster, load, shift_s):
    """Behind: ids of the log that follow the clock would be ids that were given already. Ahead: the service's clock does not
    follow one of three."""
    old = busiest(cluster)
    new, = cluster.replicas_of(old)
    new.kill()
    new.shift_clock(shift_s)
    new.start()
    cluster.wait_ok()
    with load.running():
        load.wait_acknowledged()
        cluster.failover(old)
        load.wait_acknowledged(200)
        cluster.wait_ok()
        cluster.failover(new)
        load.wait_acknowledged(200)
    new.kill()
    new.shift_clock(0)
    new.start()
    cluster.wait_ok()
    load.judge()


# ---- Slots that move

def test_a_slot_moves_key_by_key_stopped_in_the_middle(cluster, load):
    source = busiest(cluster)
    slot = partition_slots(cluster, source)[0]
    target = other_than(cluster, source)
    with load.running():
        move = SlotMove(cluster, slot, target, pause=0.002).begin()
        load.wait_acknowledged()
        move.some(10)
        load.wait_acknowledged(200)  # stopped: some voters wait, the others go on
        move.finish()
        load.wait_acknowledged()
    assert cluster.owner(slot) is target
    load.judge()
    with load.running():
        move_slot(cluster, slot, source, pause=0.001)
        load.wait_acknowledged()
    load.judge()


def test_a_move_is_given_up(cluster, load):
    source = busiest(cluster)
    slot = partition_slots(cluster, source)[0]
    with load.running():
        move = SlotMove(cluster, slot, other_than(cluster, source)).begin()
        move.some(20)
        load.wait_acknowledged(200)
        move.give_up()
        load.wait_acknowledged()
    assert cluster.owner(slot) is source
    load.judge()


def test_redis_cli_moves_slots(cluster, load):
    source = busiest(cluster)
    target, lowest = other_than(cluster, source), min(slot for slot, owner in cluster.owners().items() if owner == source.id)
    slot = partition_slots(cluster, source)[0]
    with load.running():
        for one, other in ((source, target), (target, source)):
            moved = sorted(number for number, owner in cluster.owners().items() if owner == one.id)
            cluster.cli("reshard", f"127.0.0.1:{one.port}", "--cluster-from", one.id, "--cluster-to", other.id,
                        "--cluster-slots", moved.index(slot) + 1, "--cluster-yes")
            cluster.wait_ok()
            load.wait_acknowledged()
            assert cluster.owner(slot) is other
    assert lowest <= slot
    load.judge()


def test_a_node_joins_takes_partitions_and_leaves(cluster, load):
    spare, source = cluster.spares[0], busiest(cluster)
    slots = partition_slots(cluster, source)[:2]
    with load.running():
        cluster.add(spare)
        for slot in slots:
            move_slot(cluster, slot, spare)
        load.wait_acknowledged()
        for slot in slots:
            move_slot(cluster, slot, source)
        cluster.remove(spare)
        load.wait_acknowledged()
    load.judge()
