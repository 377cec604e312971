# SPDX-License-Identifier: MIT
"""What is scanned in a Cluster, master by master: erasures, corrections, rebuilds and exports miss no key, also while a
master is replaced, a slot moves, or a move is given up."""
import contextlib
import json
import os
import signal
import threading

import pytest
import redis

from support.beside import Beside
from support.processes import children
from support.redis_cluster import Cluster, slot_of
from support.service import Service
from support.slot_move import SlotMove
from support.wait import wait_until

KEY = "0123456789abcdef" * 4
SITE = "/v1/s.example"
ITEMS = 9000
PARTITION = "{e3d}"  # number 3 of 16
FIRST, LAST = "{e1ba}", "{e14ma}"  # on the master that is scanned first, and on the one that is last; {e0} and {e15la} stay


@pytest.fixture(name="cluster", scope="module")
def cluster_of_module():
    with Cluster(node_timeout=2000) as cluster:
        yield cluster


@pytest.fixture(name="service")
def service_of_test(cluster, ending):
    for node in cluster.masters():
        node.ask("FLUSHALL")
    return ending(Service(redis=cluster.url, secret=KEY, hash_key=KEY, partitions=16))


def cast(service, visitor, items):
    rows = [{"type": "vote", "item": f"i{n}", "visitor": visitor} for n in range(items)]
    left = rows
    while left:  # a part may be refused while something moves
        answer = service.lines(f"{SITE}/events", left).json
        left = [left[one["line"] - 1] for one in answer["rejected"]]


def votes_of(service):
    """All votes that are held, by the export; each once, as an export may give an item twice."""
    def whole():
        lines = service.keyed("GET", f"{SITE}/export").body.decode().splitlines()
        return lines if lines and json.loads(lines[-1])["type"] == "end" else None

    lines = wait_until(whole, 60, "an export is whole")
    return len({line for line in lines if '"type":"vote"' in line})


def rows(service):
    answer = service.keyed("GET", f"{SITE}/corrections")
    return answer.json["corrections"] if answer.status == 200 else None


def is_done(service):
    found = rows(service)
    return found and all(row["state"] == "done" for row in found)


def taken(service):
    return service.metrics()["engaged_corrected_votes_total"]


class Correction:
    """All votes of "bad" are taken back; in the block the scan is in its middle."""

    def __init__(self, service, way="correction"):
        self.service, self.way = service, way

    def ask(self):
        if self.way == "correction":
            self.service.keyed("POST", f"{SITE}/corrections", {"visitor": "bad"})
        else:
            self.service.keyed("DELETE", f"{SITE}/me", Engaged_Visitor="bad")

    def __enter__(self):
        self.thread = threading.Thread(target=self.ask)
        before = taken(self.service)
        self.thread.start()
        wait_until(lambda: taken(self.service) - before > 0.05 * ITEMS, 60, pause=0.002)
        assert taken(self.service) - before < 0.9 * ITEMS
        return self

    def __exit__(self, kind, *_):
        self.thread.join()
        if not kind:
            wait_until(lambda: is_done(self.service) and not self.service.metrics()["engaged_corrections_running"], 90,
                       lambda: f"{rows(self.service)}")


def test_an_erasure_and_a_correction_reach_the_items_of_all_masters(service):
    for way in ("correction", "erasure"):
        cast(service, "bad", ITEMS)
        cast(service, "good", 300)
        with Correction(service, way):
            pass
        assert votes_of(service) == 300
    (row,) = rows(service)
    assert row["retracted"] == ITEMS and row["scanned"] >= ITEMS


def test_a_master_that_is_replaced_within_the_scan(service, cluster):
    cast(service, "bad", ITEMS)
    cast(service, "good", 300)
    with Correction(service):
        cluster.failover(cluster.owner(PARTITION))
    cluster.wait_ok()
    assert votes_of(service) == 300


@pytest.mark.parametrize("tag, near", [(LAST, "{e0}"), (FIRST, "{e15la}")])
def test_a_slot_that_moves_within_the_scan(service, cluster, tag, near):
    """Its keys leave a node that is not scanned yet for one that has been scanned, or the other way."""
    cast(service, "bad", ITEMS)
    cast(service, "good", 300)
    with Correction(service):
        SlotMove(cluster, slot_of(tag), cluster.owner(near)).begin().finish()
    assert votes_of(service) == 300


def test_a_move_that_is_stopped_keeps_the_scan_waiting(service, cluster):
    """While some keys of a slot are on the other side nobody says that a correction is done."""
    cast(service, "bad", ITEMS)
    source = cluster.owner(PARTITION)
    target = next(node for node in cluster.masters() if node is not source)
    move = SlotMove(cluster, slot_of(PARTITION), target).begin()
    assert move.some(100) == 100
    with Beside(lambda: service.keyed("POST", f"{SITE}/corrections", {"visitor": "bad"})):
        wait_until(lambda: "moved while their keys were read" in service.log(), 60, service.log)
    before = taken(service)
    wait_until(lambda: (rows(service) or [{"scanned": 0}])[0]["scanned"] > 1.5 * ITEMS / 3, 60, lambda: str(rows(service)))
    assert not is_done(service), (before, rows(service))
    move.finish()
    wait_until(lambda: is_done(service), 60, lambda: str(rows(service)))
    assert votes_of(service) == 0


def test_a_projector_that_is_killed_within_the_scan_goes_on_where_it_was(service):
    cast(service, "bad", ITEMS)
    with Correction(service):
        wait_until(lambda: taken(service) > 0.6 * ITEMS, 60, pause=0.002)
        (projector,) = children(service.process.pid, "projector")
        os.kill(projector, 9)
    assert votes_of(service) == 0
    (row,) = rows(service)
    assert row["retracted"] >= 0.9 * ITEMS and ITEMS <= row["scanned"] < 1.5 * ITEMS, row


RANKING = "[ranking {}]\ntype = total\nvotes = up:1\n"
RANKED = 400  # 25 of each partition: less than a ranking keeps


def ranked(cluster, name):
    """The members of all sets of a ranking, but for those that are on a node that does not own them yet."""
    count = 0
    for key, client in cluster.scan(f"{{e*}}r????????????????:{name}:no-card"):
        with contextlib.suppress(redis.ResponseError):
            count += client.zcard(key)
    return count


def test_a_rebuild_reaches_the_states_of_all_masters_while_a_slot_moves(cluster, ending):
    """Of a ranking that is new, and of one that comes back after items were deleted."""
    for node in cluster.masters():
        node.ask("FLUSHALL")
    service = ending(Service(configuration=RANKING.format("a"), redis=cluster.url, secret=KEY, hash_key=KEY, partitions=16))
    cast(service, "one", RANKED)
    wait_until(lambda: ranked(cluster, "a") == RANKED, 60, lambda: str(ranked(cluster, "a")))
    target = next(node for node in cluster.masters() if node is not cluster.owner(FIRST))
    move = SlotMove(cluster, slot_of(FIRST), target).begin()
    assert move.some(30) == 30

    service.configure(RANKING.format("b"))
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "have taken over" in service.log(), 60, service.log)
    wait_until(lambda: ranked(cluster, "b") > 0.5 * RANKED, 30, lambda: f"{ranked(cluster, 'b')}\n{service.log()}")  # of the others
    move.finish()
    wait_until(lambda: ranked(cluster, "b") == RANKED, 90, lambda: f"{ranked(cluster, 'b')}\n{service.log()}")
    assert service.keyed("DELETE", f"{SITE}/items/i7").status == 204
    wait_until(lambda: ranked(cluster, "b") == RANKED - 1, 30)

    service.configure(RANKING.format("a"))
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: ranked(cluster, "a") == RANKED - 1, 90, lambda: f"{ranked(cluster, 'a')}\n{service.log()}")
