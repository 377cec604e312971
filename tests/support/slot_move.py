# SPDX-License-Identifier: MIT
"""A slot of a Cluster that moves to another node, key by key, as redis-cli does it; a test may stop anywhere in between.

    move = SlotMove(cluster, slot, target).begin()
    move.some(10)               # ten keys have moved: stopped in the middle
    move.finish()               # all move, and the target owns the slot; or
    move.give_up()              # what has moved returns, and the source keeps the slot
"""
import contextlib
import time

from support.wait import wait_until

TIMEOUT_MS = 5000


class SlotMove:
    def __init__(self, cluster, slot, target, pause=0):
        self.cluster, self.slot, self.target, self.pause = cluster, slot, target, pause
        self.source = cluster.owner(slot)
        self.moved = 0

    def set_slot(self, node, *words):
        node.ask("CLUSTER", "SETSLOT", self.slot, *words)

    def begin(self):
        assert self.source is not self.target, f"{self.source} has slot {self.slot}"
        self.set_slot(self.target, "IMPORTING", self.source.id)
        self.set_slot(self.source, "MIGRATING", self.target.id)
        return self

    def send(self, source, target, most):
        """Moves up to so many keys, one at a time. Returns how many."""
        login = ["AUTH", self.cluster.password] if self.cluster.password else []
        with contextlib.closing(source.client()) as client:
            keys = client.execute_command("CLUSTER", "GETKEYSINSLOT", self.slot, most)
            for key in keys:
                client.execute_command("MIGRATE", "127.0.0.1", target.own_port, "", 0, TIMEOUT_MS, *login, "KEYS", key)
                time.sleep(self.pause)
        return len(keys)

    def some(self, count):
        """Moves so many keys. Returns how many there were."""
        moved = self.send(self.source, self.target, count)
        self.moved += moved
        return moved

    def send_all(self, source, target):
        while self.send(source, target, 100):
            pass

    def finish(self):
        """The target hears of it first: until the source does, it sends callers there by ASK."""
        self.send_all(self.source, self.target)
        for node in (self.target, self.source, *self.cluster.masters()):
            self.set_slot(node, "NODE", self.target.id)
        self.wait_owner(self.target)

    def give_up(self):
        """A node that moves a slot takes no keys back. When it does not move it any more it takes those that have left for
        absent; so proxies keep callers away until all are back. Without proxies nobody must write meanwhile."""
        with self.cluster.kept_from_clients(self.source):
            self.set_slot(self.source, "STABLE")
            self.send_all(self.target, self.source)
            self.set_slot(self.target, "STABLE")
        self.wait_owner(self.source)

    def wait_owner(self, node):
        wait_until(lambda: all(self.cluster.owners(viewer).get(self.slot) == node.id for viewer in self.cluster.members()
                               if viewer.can_answer()), 20, f"all say that {node} has slot {self.slot}")


def move_slot(cluster, slot, target, pause=0):
    """From its owner to another node, whole."""
    SlotMove(cluster, slot, target, pause).begin().finish()
