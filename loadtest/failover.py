#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make failover: what goes on while one of three masters of a Redis Cluster is dead, and when the dead third is back.

Each turn kills a master under a load of votes, the same number of callers for each third of the items. Printed are, of each turn,
the share of its votes a second that each living third keeps meanwhile, and the time from the kill until the replica is a master, and
until the first vote is acknowledged again in the dead third.
"""
import argparse
import statistics
import threading
import time

import own  # noqa: F401  pylint: disable=unused-import  (the path of tests/support)
from support.fault_service import FaultClient, FaultService, item_id
from support.redis_cluster import Cluster
from support.wait import wait_until

CALLERS, ITEMS, BEFORE_S, AFTER_S = 4, 90, 2, 2
BETWEEN_S = 0.01  # of the votes of a caller


class Caller(threading.Thread):
    """Votes on the items of one master, a hundred times a second."""

    def __init__(self, port, items, number):
        super().__init__(daemon=True)
        self.client, self.items, self.number = FaultClient(port), items, number
        self.acknowledged, self.over = [], False

    def run(self):
        count, due = 0, time.monotonic()
        while not self.over:
            count, due = count + 1, max(due + BETWEEN_S, time.monotonic() - BETWEEN_S)
            time.sleep(max(0, due - time.monotonic()))
            if self.client.vote("s", self.items[count % len(self.items)], f"{self.number}-{count}", "up"):
                self.acknowledged.append(time.monotonic())


def items_by_master(cluster):
    """Of what was voted on."""
    found = {}
    for key, client in cluster.scan("{e*}i*"):
        found.setdefault(cluster.owner(key), []).append(item_id(client.get(key)))
    return found


def rate(callers, begin, end):
    return sum(begin <= at < end for caller in callers for at in caller.acknowledged) / (end - begin)


def turn(cluster, service):
    """Shares that the living thirds keep, and seconds until the dead one is back."""
    owned = items_by_master(cluster)
    dead = max(owned, key=lambda node: len(owned[node]))
    thirds = {node: [Caller(service.port, items, f"{time.monotonic_ns()}{n}") for n in range(CALLERS)] for node, items in owned.items()}
    for caller in [caller for callers in thirds.values() for caller in callers]:
        caller.start()
    begin = time.monotonic()
    time.sleep(BEFORE_S)
    killed = time.monotonic()
    dead.kill()
    replica = cluster.replicas_of(dead)[0]
    wait_until(replica.is_master, 60, "its replica takes over")
    taken = time.monotonic()
    wait_until(lambda: any(at > killed + 0.1 for caller in thirds[dead] for at in caller.acknowledged), 60, "the third is back")
    time.sleep(AFTER_S)
    for caller in [caller for callers in thirds.values() for caller in callers]:
        caller.over = True
        caller.join()
    back = min(at for caller in thirds[dead] for at in caller.acknowledged if at > killed + 0.1)
    living = [callers for node, callers in thirds.items() if node is not dead]
    shares = [rate(callers, killed, back) / rate(callers, begin + 0.5, killed) for callers in living]
    dead.restart()
    cluster.wait_ok()
    return shares, taken - killed, back - killed, sum(rate(callers, begin + 0.5, killed) for callers in thirds.values())


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--turns", type=int, default=5)
    options.add_argument("--node-timeout", type=int, default=5000)
    chosen = options.parse_args()
    with Cluster(node_timeout=chosen.node_timeout) as cluster:
        with FaultService(cluster.nodes[0], redis=cluster.url, redis_timeout="2s", projection_interval="100ms") as service:
            service.start_projector()
            client = FaultClient(service.port)
            for number in range(ITEMS):
                wait_until(lambda: client.vote("s", f"i{number}", "first", "up"), 20, "a first vote")
            backs, kept = [], []
            for number in range(chosen.turns):
                shares, taken, back, votes = turn(cluster, service)
                backs.append(back)
                kept += shares
                print(f"turn {number + 1}: {votes:.0f} votes/s before; the living thirds keep {' and '.join(f'{100 * s:.0f} %' for s in shares)}; "
                      f"the dead one has a master after {taken:.2f} s and is back after {back:.2f} s", flush=True)
    print(f"node timeout {chosen.node_timeout} ms, {chosen.turns} turns: the living thirds keep {100 * statistics.median(kept):.0f} % of their "
          f"votes (median; least {100 * min(kept):.0f} %); the dead third is back after {statistics.median(backs):.1f} s "
          f"(median; longest {max(backs):.1f} s)")


main()
