# SPDX-License-Identifier: MIT
"""Calls to a Redis Cluster: writes that come together are one call for each partition, and one WAIT for each node."""
import pytest

from support.redis_cluster import Cluster
from support.service import WaitingService

WRITES, PARTITIONS, MASTERS = 640, 16, 3


@pytest.fixture(scope="module")
def cluster():
    with Cluster(masters=MASTERS, replicas=1) as nodes:
        yield nodes


def waits(cluster):
    return sum(node.ask("INFO", "commandstats").get("cmdstat_wait", {"calls": 0})["calls"] for node in cluster.first_masters)


def test_writes_that_come_together_are_a_call_for_each_partition_and_a_wait_for_each_node(cluster, ending):
    service = ending(WaitingService(redis=cluster.url, partitions=str(PARTITIONS), wait_replicas="1", workers="1",
                                    secret_key="k", rate_limits="off"))
    service.wait_taken()
    service.lines("/v1/s/events", [{"type": "vote", "item": f"first{n}", "visitor": "a"} for n in range(64)])
    before, waited = service.metrics(), waits(cluster)
    answer = service.lines("/v1/s/events", [{"type": "vote", "item": f"i{n}", "visitor": "a"} for n in range(WRITES)])
    assert answer.status == 200
    after = service.metrics()
    counted = {name: after[name] - before[name] for name in ("engaged_batched_writes_total", "engaged_write_batches_total")}
    turns = 6  # the body may come in pieces; one by one there were 640
    assert counted["engaged_batched_writes_total"] == WRITES
    assert PARTITIONS <= counted["engaged_write_batches_total"] <= turns * PARTITIONS, counted
    assert 1 <= waits(cluster) - waited <= turns * MASTERS, waits(cluster) - waited
