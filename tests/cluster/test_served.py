# SPDX-License-Identifier: MIT
"""The service on a Redis Cluster of real nodes: votes, views and lists, while masters die, change and give slots away.

Callers repeat what was not acknowledged. So afterwards each item has exactly one vote and one view of each visitor.
"""
import collections
import http.client
import json
import random
import subprocess
import threading
import time

import pytest

from support.program import PROGRAM, options_of
from support.redis_cluster import Cluster, slot_of
from support.service import Service
from support.slot_move import SlotMove
from support.wait import wait_until

KEY = "0123456789abcdef" * 4
ITEMS, AT_ONCE = 24, 4
TAG_OF_3 = "{e3d}log"  # with 16 partitions


class Readers:
    """Threads whose visitors each vote for and view some items, until they are told to stop."""

    def __init__(self, service):
        self.service, self.over, self.odd = service, False, []
        self.votes, self.repeats, self.lock = collections.Counter(), collections.Counter(), threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(AT_ONCE)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for thread in self.threads:
            thread.join(60)

    def call(self, connection, path, **headers):
        headers = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            connection.request("POST", path, body="{}", headers=headers)
            answer = connection.getresponse()
            status, body = answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            status, body = 0, b""
        return status, body

    def until(self, connection, path, item=None, **headers):
        while True:
            status, body = self.call(connection, path, **headers)
            if 200 <= status < 300:
                return body
            with self.lock:
                self.repeats[item] += 1
            if status not in (0, 503):
                self.odd.append((path, status, body))
            time.sleep(0.02)

    def run(self, number):
        chance = random.Random(number)
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30)
        while not self.over:
            visitor = json.loads(self.until(connection, "/v1/s/visitors"))["visitor"]
            for item in chance.sample(range(ITEMS), 6):
                self.until(connection, f"/v1/s/items/i{item}/votes", item, Engaged_Visitor=visitor)
                self.until(connection, f"/v1/s/items/i{item}/views", item, Engaged_Visitor=visitor)
                with self.lock:
                    self.votes[item] += 1
        connection.close()

    def some_more(self):
        """Waits until each partition has taken something since now."""
        before = sum(self.votes.values())
        wait_until(lambda: sum(self.votes.values()) > before + 100, 40, "votes are taken")

    def counts(self):
        found = {}
        for item in range(ITEMS):
            answer = self.service.get(f"/v1/s/items/i{item}")
            found[item] = (answer.json["votes"].get("up"), answer.json["views"]) if answer.status == 200 else (None, 0)
        return found

    def judge(self, failover=False):
        """In a failover a view may be projected and then lost, if it was not acknowledged: it counts again when repeated."""
        assert not self.odd, self.odd[:5]

        def is_right(item, counts):
            twice = self.repeats[item] if failover else 0
            return counts[0] == self.votes[item] <= counts[1] <= self.votes[item] + twice

        wait_until(lambda: all(is_right(*row) for row in self.counts().items()), 30,
                   lambda: f"{self.counts()}, wanted {self.votes}, repeated {self.repeats}")


@pytest.fixture(name="cluster", scope="module")
def cluster_of_module():
    with Cluster() as cluster:
        yield cluster


def serve(cluster, **settings):
    return Service(redis=cluster.url, secret=KEY, hash_key=KEY, partitions=16, visitor_window_items=1024, **settings)


@pytest.fixture(name="service")
def service_of_test(cluster, ending):
    for node in cluster.masters():
        node.ask("FLUSHALL")
    return ending(serve(cluster))


def metric(service, name):
    lines = service.get("/metrics", port=service.ops_port).body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_votes_views_and_lists_are_served(service):
    with Readers(service) as readers:
        readers.some_more()
    readers.judge()
    ranked = service.get("/v1/s/rankings/hot?limit=50")
    assert ranked.status == 200 and len(ranked.json["items"]) > 10, ranked.body
    assert service.get("/v1/s/items/i1/related").status == 200
    assert service.get("/readyz").body == b"ready\n" and metric(service, "engaged_partitions_unserved") == 0


def test_a_master_dies_and_its_replica_takes_over(cluster, service):
    with Readers(service) as readers:
        readers.some_more()
        dead = cluster.owner(TAG_OF_3)
        dead.kill()
        wait_until(lambda: b"partitions are not served" in service.get("/readyz").body, 10, "readyz names the partitions")
        wait_until(lambda: service.get("/readyz").body == b"ready\n", 30, "the replica has taken over")
        readers.some_more()
        dead.restart()
        cluster.wait_ok()
    readers.judge(failover=True)
    assert metric(service, "engaged_lives_total") > 0


def test_a_planned_failover_costs_nothing(cluster, service):
    with Readers(service) as readers:
        readers.some_more()
        cluster.failover(cluster.owner(TAG_OF_3))
        readers.some_more()
    readers.judge()
    cluster.wait_ok()


@pytest.mark.parametrize("tool", ["backup", "restore"])
def test_a_cluster_is_not_taken_for_the_one_node_of_its_address(service, tmp_path, tool):
    options = options_of(service.settings)
    done = subprocess.run([PROGRAM, tool, str(tmp_path / "file"), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60, check=False)
    assert done.returncode and "a Cluster has no one file" in done.stdout, done.stdout
    assert not list(tmp_path.iterdir())


def test_settings_that_contradict_the_data_are_named_and_nothing_is_written(cluster, service):
    def vote():
        return service.request("POST", "/v1/s/items/a/votes", {}).status

    assert vote() == 200
    cluster.call("HSET", "engaged:meta", "partitions", 3)
    wait_until(lambda: b"the data has 3, the setting says 16" in service.get("/readyz").body, 30, "readyz names it")
    assert vote() == 503
    cluster.call("HSET", "engaged:meta", "partitions", 16)
    wait_until(lambda: service.get("/readyz").status == 200 and vote() == 200, 30, "it serves again")


def test_a_slot_moves_and_comes_back(cluster, service):
    with Readers(service) as readers:
        readers.some_more()
        source = cluster.owner(TAG_OF_3)
        target = next(node for node in cluster.masters() if node is not source)
        move = SlotMove(cluster, slot_of(TAG_OF_3), target).begin()
        move.some(20)
        wait_until(lambda: metric(service, "engaged_redirects_total") > 0, 20, "a node refuses")
        move.finish()
        readers.some_more()
        SlotMove(cluster, slot_of(TAG_OF_3), source).begin().finish()
        readers.some_more()
    readers.judge()
    cluster.wait_ok()
