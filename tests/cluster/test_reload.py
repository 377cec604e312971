# SPDX-License-Identifier: MIT
"""A reload while a master of a Cluster is away: the new processes can read no list, so those before go on serving what they have."""
import signal
import time

import pytest

from support.redis_cluster import Cluster
from support.service import Service
from support.wait import wait_until

KEY = "0123456789abcdef" * 4
SITE = "/v1/s.example"
READS = [f"{SITE}/rankings/hot", f"{SITE}/items/i1/page"]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(replicas=0) as cluster:
        yield cluster


def statuses(service):
    return {path: service.get(path).status for path in READS}


@pytest.fixture
def service(cluster, ending):
    service = ending(Service(configuration="", redis=cluster.url, secret=KEY, hash_key=KEY, partitions=16))
    assert service.lines(f"{SITE}/events?wait=true", [{"type": "vote", "item": f"i{number}", "visitor": "v"} for number in range(40)]).json["accepted"] == 40
    wait_until(lambda: set(statuses(service).values()) == {200}, 10, lambda: statuses(service))
    return service


def reload(service, timeout):
    service.configure(f"reload_timeout = {timeout}\n")
    service.process.send_signal(signal.SIGHUP)


def has_taken_over(service):
    return "have taken over" in service.log()


def test_lists_are_served_as_before_until_the_master_is_back(cluster, service):
    away = cluster.masters()[1]
    away.kill()
    wait_until(lambda: service.metrics()["engaged_partitions_unserved"] > 0, 20, service.log)
    assert set(statuses(service).values()) == {200}
    reload(service, "45s")
    until = time.monotonic() + 4
    while time.monotonic() < until:
        assert set(statuses(service).values()) == {200}, (statuses(service), service.log())
        time.sleep(0.1)
    assert not has_taken_over(service)
    away.start()
    wait_until(lambda: has_taken_over(service), 30, service.log)
    wait_until(lambda: set(statuses(service).values()) == {200}, 10, lambda: statuses(service))


def test_a_master_that_stays_away_keeps_no_reload_back_for_ever(cluster, service):
    away = cluster.masters()[1]
    away.kill()
    try:
        wait_until(lambda: service.metrics()["engaged_partitions_unserved"] > 0, 20, service.log)
        reload(service, "6s")
        wait_until(lambda: has_taken_over(service), 60, service.log)
        assert "without waiting longer for masters that are away" in service.log()
    finally:
        away.start()
        cluster.wait_ok()
