# SPDX-License-Identifier: MIT
"""A master that is silent may fill half of a worker's queue with its writes: those of the others go on."""
import concurrent.futures
import time

import pytest

from support.fault_service import item_id
from support.redis_cluster import Cluster
from support.service import WaitingService

QUEUE, ITEMS, CALLERS = 64, 60, 150


@pytest.fixture(name="cluster", scope="module")
def cluster_of_module():
    with Cluster(replicas=0) as cluster:
        yield cluster


@pytest.fixture(name="service")
def service_of_test(cluster):
    service = WaitingService(redis=cluster.url, redis_queue=QUEUE, redis_timeout="8s", partitions=16, rate_limits="off")
    try:
        service.wait_taken(visitor="first", seconds=40)
        yield service
    finally:
        service.stop()


def items_by_master(cluster):
    found = {}
    for master in cluster.masters():
        with master.client() as client:
            found[master] = [item_id(client.get(key)) for key in client.scan_iter("{*}i*")]
    return found


def test_the_writes_of_the_others_go_on_while_one_is_silent(cluster, service):
    for number in range(ITEMS):
        assert service.vote("first", f"i{number}").status == 200
    silent = cluster.masters()[0]
    items = items_by_master(cluster)
    others = [item for master in items if master is not silent for item in items[master]]
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        silent.freeze()
        try:
            began = time.monotonic()
            waiting = [pool.submit(service.vote, f"w{number}", items[silent][number % len(items[silent])]) for number in range(CALLERS)]
            done, _ = concurrent.futures.wait(waiting, 2)
            assert {one.result().json["code"] for one in done} == {"overloaded"}, "its share is full"
            while time.monotonic() - began < 6:
                assert service.vote(f"v{time.monotonic()}", others[int(time.monotonic() * 1000) % len(others)]).status == 200
        finally:
            silent.thaw()
        assert {one.result().status for one in waiting} <= {200, 503}
