# SPDX-License-Identifier: MIT
"""A projector alone, and a test that is its own worker: it appends views to the logs and keeps each entry, so it knows what
every item must have. `store` has clients() of all servers, and client(partition) of the one that has a partition."""
import random
import struct
import time

from support.fault_service import FaultService
from support.packed import unpack_sums
from support.wait import wait_until

PARTITIONS = 8
ITEMS = 40


class Projector(FaultService):
    worker_count = 0
    partitions = PARTITIONS


class World:
    """Appends entries, each with the view of some items, to the logs. Items are numbers: n lies in the partition n mod 8."""

    def __init__(self, store):
        self.store, self.dice = store, random.Random(7)
        self.tags, self.entries, self.lost, self.visitor = {}, {}, set(), 0

    def key(self, partition, rest):
        if not self.tags:
            for client in self.store.clients():
                for key in client.scan_iter("{*}pos", 1000):
                    self.tags[int(key[2:key.index(b"}")].rstrip(b"abcdefghijklmnopqrstuvwxyz"))] = key[:-3]
        return self.tags[partition] + rest

    def write(self, count, logs=range(PARTITIONS)):
        for _ in range(count):
            self.append(self.dice.choice(list(logs)), self.dice.sample(range(1, ITEMS + 1), 3))

    def append(self, log, items, times=1):
        """An entry, in which each item is viewed, some times."""
        pipeline = self.store.client(log).pipeline(transaction=False)
        for _ in range(times):
            value = struct.pack("<d", time.time() * 1000)
            for item in items:
                self.visitor += 1
                value += b"W" + struct.pack("<QQd", item, self.visitor, time.time() * 1000) + b"\x01s"
                value += struct.pack("<H", len(b"%d" % item)) + b"%d" % item + b"\0"
            pipeline.xadd(self.key(log, b"log"), {b"1": value})
        self.entries |= {(log, entry): items for entry in pipeline.execute()}

    def expected(self, logs=range(PARTITIONS), lost=False):
        """The counts when the entries of these logs are projected."""
        counts = dict.fromkeys(range(1, ITEMS + 1), 0)
        for name, items in self.entries.items():
            for item in items:
                counts[item] += name[0] in logs and (lost or name not in self.lost)
        return counts

    def counted(self, partitions=range(PARTITIONS)):
        counts = {}
        for item in range(1, ITEMS + 1):
            if item % PARTITIONS in partitions:
                packed = self.store.client(item % PARTITIONS).get(self.key(item % PARTITIONS, b"s%016x" % item))
                counts[item] = max((count for count, _ in unpack_sums(packed).values()), default=0) if packed else 0
        return counts

    def wrong(self, partitions=range(PARTITIONS)):
        """Items of these partitions whose counts are not what the entries of these partitions' logs say."""
        counted, least, most = self.counted(partitions), self.expected(partitions), self.expected(lost=True)
        return {item: (count, least[item], most[item]) for item, count in counted.items() if not least[item] <= count <= most[item]}

    def settled(self, partitions=range(PARTITIONS), seconds=20):
        wait_until(lambda: not self.wrong(partitions), seconds, lambda: f"item: (counted, least, most) {self.wrong(partitions)}")

    def log_length(self, partition):
        return self.store.client(partition).xlen(self.key(partition, b"log"))


def opened(store):
    """Waits until all logs are."""
    wait_until(lambda: sum(len(list(client.scan_iter("{*}pos", 1000))) for client in store.clients()) == PARTITIONS, 20,
               "the logs are not opened")


def others(*partitions):
    return [number for number in range(PARTITIONS) if number not in partitions]
