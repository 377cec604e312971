# SPDX-License-Identifier: MIT
"""The projection on a Redis Cluster of real nodes: no partition waits for another's master, and a master that comes back
without what was projected to it gets it again. The test is its own worker (support/log_writer.py)."""
import contextlib
import json
import time

import pytest
import redis

from support.fault_calls import OneWorker
from support.log_writer import PARTITIONS, Projector, World, opened
from support.redis_cluster import Cluster
from support.wait import comes_true, wait_until


class Store:
    """For the writer of the logs. The owners are those of the last `look`."""

    def __init__(self, cluster):
        self.cluster, self.port, self.world, self.by_node, self.homes = cluster, 0, World(self), {}, {}

    def clients(self):
        return [self.client_of(node) for node in self.cluster.masters()]

    def client_of(self, node):
        if node not in self.by_node:
            self.by_node[node] = node.client(retry_on_timeout=True)
        return self.by_node[node]

    def look(self):
        owners = {}
        for partition in range(PARTITIONS):
            owners[partition] = self.cluster.owner(self.world.key(partition, b"log"))
        self.homes = owners

    def client(self, partition):
        return self.client_of(self.homes[partition])

    def of(self, node):
        return [partition for partition, home in self.homes.items() if home is node]

    def of_others(self, node):
        return [partition for partition, home in self.homes.items() if home is not node]


@contextlib.contextmanager
def projecting(masters=3, settings=None, **options):
    with Cluster(masters, appendfsync="always", **options) as cluster:
        store = Store(cluster)
        with Projector(store, redis=cluster.url, log_level="info", redis_timeout="500ms", **(settings or {})) as service:
            service.start_projector()
            opened(store)
            store.look()
            store.world.write(100)
            store.world.settled()
            yield cluster, store, store.world, service


def one_with(cluster, key, has):
    return next(node for node in cluster.first_masters if (node is cluster.owner(key)) == has)


@pytest.mark.parametrize("end,back,has_meta", [("kill", "restart", False), ("freeze", "thaw", False), ("kill", "restart", True)])
def test_the_projection_of_the_others_goes_on_while_a_master_is_away(end, back, has_meta):
    with projecting(replicas=0, node_timeout=60000) as (cluster, store, world, _):
        node = one_with(cluster, "engaged:meta", has_meta)
        away, rest = store.of(node), store.of_others(node)
        assert away and rest
        world.write(50)
        getattr(node, end)()
        began = time.monotonic()
        while time.monotonic() - began < (7 if has_meta else 2):  # a claim on the projection holds for less than 7 s
            world.write(50, rest)
            world.settled(rest)
        length = sum(map(world.log_length, rest))
        assert length >= 250, "nothing is trimmed that the master misses"
        getattr(node, back)()
        cluster.wait_ok()
        world.settled()
        world.write(50)
        world.settled()


def test_a_projector_that_starts_while_a_master_is_away():
    with projecting(replicas=0, node_timeout=60000) as (cluster, store, world, service):
        node = one_with(cluster, "engaged:meta", False)
        rest = store.of_others(node)
        world.write(50)
        node.kill()
        service.projectors[0].kill()
        service.projectors[0].wait()
        world.write(100, rest)
        service.start_projector()
        world.settled(rest)
        node.restart()
        cluster.wait_ok()
        world.settled()


def test_a_target_that_forgets_gets_it_again_from_the_logs_of_others():
    """Two masters at once: what the old one has taken meanwhile is lost when it becomes a replica."""
    with projecting(node_timeout=5000, proxied=True) as (cluster, store, world, _):
        node = cluster.first_masters[0]
        rest = store.of_others(node)
        cluster.cut(node, "nodes")
        world.write(200, rest)
        world.settled(range(PARTITIONS))
        replica = cluster.replicas_of(node)[0]
        replica.ask("CLUSTER", "FAILOVER", "TAKEOVER")
        wait_until(replica.is_master, 20, "taken over")
        mine = store.of(node)
        cluster.heal()
        cluster.wait_ok()
        store.look()
        assert all(store.homes[partition] is replica for partition in mine)
        world.settled()
        world.write(100)
        world.settled()


def test_planned_failovers_of_all_masters_lose_and_double_nothing():
    with projecting() as (cluster, store, world, _):
        for node in list(cluster.first_masters):
            world.write(30)
            cluster.failover(node)
            cluster.wait_ok()
            store.look()
            world.write(30)
        world.settled()


def test_a_master_that_is_killed_while_it_is_written_is_replaced():
    with projecting() as (cluster, store, world, _):
        node = cluster.first_masters[0]
        world.write(100)
        world.settled()
        with contextlib.suppress(redis.RedisError):
            node.kill()
        world.write(100, store.of_others(node))
        world.settled(store.of_others(node))
        cluster.wait_ok(replicas=False)
        store.look()
        world.settled(seconds=40)
        world.write(100)
        world.settled()


OTHER = "[ranking other]\ntype = total\n"


def test_other_rankings_are_filled_where_masters_answer_and_later_where_one_comes_back():
    def plans(world, partitions):
        return {world.store.client(partition).hget(world.key(partition, b"pos"), "plan") for partition in partitions}

    with projecting(replicas=0, node_timeout=60000) as (cluster, store, world, service):
        node = one_with(cluster, "engaged:meta", False)
        rest = store.of_others(node)
        before = plans(world, range(PARTITIONS))
        assert len(before) == 1 and before != {None}
        service.projectors[0].terminate()
        service.projectors[0].wait()
        node.kill()
        with Projector(store, redis=cluster.url, log_level="info", redis_timeout="500ms", configuration=OTHER) as other:
            other.start_projector()
            wait_until(lambda: not plans(world, rest) & {None, *before}, 20, lambda: plans(world, rest))
            world.write(50, rest)
            world.settled(rest)
            node.restart()
            cluster.wait_ok()
            wait_until(lambda: len(plans(world, range(PARTITIONS)) - {None, *before}) == 1 == len(plans(world, range(PARTITIONS))), 90,
                       lambda: plans(world, range(PARTITIONS)))
            world.settled()
            for partition in range(PARTITIONS):
                ranking, = store.client(partition).keys(world.key(partition, b"r*:other*"))
                assert store.client(partition).zcard(ranking) == sum(item % PARTITIONS == partition for item in range(1, 41))


def test_waiting_for_the_projection_while_a_master_is_away():
    """What is acknowledged where masters answer is projected and waited for; what needs all partitions is 503 until all answer."""
    with Cluster(3, replicas=0, node_timeout=60000, appendfsync="always") as cluster, \
            OneWorker(store := Store(cluster), redis=cluster.url, redis_timeout="500ms", partitions=PARTITIONS) as service:
        service.start_projector()
        client = service.client()
        items = [f"i{number}" for number in range(12)]
        for item in items:
            wait_until(lambda item=item: client.vote("s", item, "first", "up"), 20, "a vote")
        for partition in range(PARTITIONS):  # the projector has read the lives of all, the worker has not asked for any
            wait_until(lambda: cluster.call("HGET", store.world.key(partition, b"pos"), "neighbours"), 20, "an offset")
        one_with(cluster, "engaged:meta", False).kill()

        def waited(item, visitor):
            body = json.dumps({"type": "vote", "kind": "up", "item": item, "visitor": visitor}) + "\n"
            status, answer = client.call("POST", "/v1/s/events?wait=true", body, "application/x-ndjson")
            return status == 200 and json.loads(answer)["accepted"] == 1

        served = [item for item in items if comes_true(lambda item=item: client.vote("s", item, "second", "up"), 3)]
        assert served and len(served) < len(items)
        for item in served:
            wait_until(lambda item=item: waited(item, "third"), 20, item)
        assert not any(waited(item, "third") for item in items if item not in served)
        assert client.call("DELETE", client.path("s", served[0]))[0] == 503
        for node in cluster.first_masters:
            if not node.can_answer():
                node.restart()
        cluster.wait_ok()
        wait_until(lambda: client.delete("s", served[0]), 20, "deleted")
        for item in items:
            wait_until(lambda item=item: waited(item, "fourth"), 20, item)
