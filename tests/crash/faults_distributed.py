# SPDX-License-Identifier: MIT
"""What happens to the nodes of a Cluster and to a group of sentinels, one line each (docs: CONTRIBUTING.md). `service.hit` is
what the present fault has struck.

A fault that may lose what was acknowledged says so by `service.begin_loss`: from a moment before it until all is whole again,
the partitions of that master may lose writes, and nothing else may.
"""
import contextlib
import signal
import threading

import redis

from fault import Fault
from support.slot_move import SlotMove, move_slot

HEAL_S = 30
SHIFTS_S = (-120, 120, -30)
KEYS_AT_ONCE = 20
RESHARD_MOST = 2000  # slots
KEY_PAUSE_S = 0.0005
WATCH_S, QUIET_MS = 0.005, 800  # shorter than after what sentinels call a node down


def nodes_of(service, role, dice):
    """A master, its replica, or both."""
    master = dice.choice(service.masters())
    replica = service.cluster.replicas_of(master)[0]
    return {"master": [master], "replica": [replica], "both": [master, replica]}[role]


def kill(role):
    def do(service, dice):
        service.hit = nodes_of(service, role, dice)
        for node in service.hit:
            node.kill()
    return do


def restart(service, _):
    for node in service.hit:
        node.restart()


def freeze(service, dice):
    """Mostly for longer than the node timeout: it wakes as a master, and another one is there."""
    service.hit = nodes_of(service, "master", dice)
    for node in service.hit:
        node.freeze()


def thaw(service, _):
    for node in service.hit:
        node.thaw()


def failover(mode):
    def do(service, dice):
        master = dice.choice(service.masters())
        if mode:
            service.begin_loss(service.partitions_of(master))
        try:
            service.cluster.failover(master, mode)
        except (redis.RedisError, AssertionError):
            return False  # refused, or given up after five seconds: nothing has changed
        return True
    return do


def two_masters(service, dice):
    master = dice.choice(service.masters())
    service.begin_loss(service.partitions_of(master))
    service.cluster.two_masters(master)


def cut(service, dice):
    """From the other nodes, from clients, or from both."""
    master = dice.choice(service.masters())
    service.begin_loss(service.partitions_of(master))
    service.cluster.cut(master, dice.choice(["nodes", "clients", "all"]))


def heal_cut(service, _):
    service.cluster.heal()


# ---- Slots


def some_partition(service, dice):
    """A partition, and a master that does not have it."""
    partition = dice.choice(sorted(set().union(*(service.partitions_of(node) for node in service.masters()))))
    owner = service.cluster.owner(service.slot(partition))
    return partition, dice.choice([node for node in service.masters() if node is not owner])


def begin_move(service, dice):
    """Some of the keys, one at a time; then it stands still."""
    partition, target = some_partition(service, dice)
    move = SlotMove(service.cluster, service.slot(partition), target, KEY_PAUSE_S).begin()
    keys = move.source.ask("CLUSTER", "COUNTKEYSINSLOT", move.slot)
    left = int(dice.uniform(0, 1) * keys)
    while left > 0:
        left -= move.some(min(left, KEYS_AT_ONCE)) or left
    service.hit = move


def end_move(service, dice):
    """To its end, or given up. Not by `redis-cli --cluster fix`: it makes one node the owner before it has all keys, so that
    clients meet items without their votes, and then stops where it finds a key on both nodes."""
    move = service.hit
    if dice.random() < 0.7:
        move.finish()
    else:
        move.give_up()


def reshard(service, dice):
    """As an operator does it: the lowest slots of a node, by redis-cli, up to that of its first partition."""
    source, target = dice.sample(service.masters(), 2)
    first = min(service.slot(partition) for partition in service.partitions_of(source))
    owners = service.cluster.owners()
    count = sum(owners.get(slot) == source.id for slot in range(first + 1))
    if count > RESHARD_MOST:
        return False  # empty ones, after other moves: that takes longer than it shows
    arguments = ["--cluster-from", source.id, "--cluster-to", target.id, "--cluster-slots", count, "--cluster-yes"]
    return told_to_reshard(service, f"127.0.0.1:{source.own_port}", arguments)


def told_to_reshard(service, address, arguments):
    """False if redis-cli, which asks each node for its own slots, refuses to begin: on a busy machine some learn late of a move."""
    for _ in range(3):
        try:
            service.cluster.cli("reshard", address, *arguments)
            return True
        except AssertionError as error:
            if "before resharding" not in str(error):
                raise
        service.cluster.wait_ok()
    return False


def spare_shard(service):
    """The two spare nodes, the master first when they are members."""
    members = service.cluster.members()
    spares = service.cluster.spares
    there = [node for node in spares if node in members]
    return sorted(there, key=lambda node: not node.is_master())


def add_nodes(service, dice):
    """The spare nodes become a master with a replica, and get some partitions."""
    if spare_shard(service):
        return False
    cluster, (master, replica) = service.cluster, service.cluster.spares
    wanted = [some_partition(service, dice)[0] for _ in range(3)]
    cluster.add(master)
    cluster.add(replica)
    cluster.replicate(replica, master)
    cluster.wait_ok(HEAL_S)
    for partition in sorted(set(wanted)):
        move_slot(cluster, service.slot(partition), master, KEY_PAUSE_S)
    return True


def remove_nodes(service, dice):
    """Their slots go back, and they are forgotten."""
    there = spare_shard(service)
    if len(there) < 2:
        return False
    cluster, (master, replica) = service.cluster, there
    others = [node for node in service.masters() if node is not master]
    for slot in sorted(slot for slot, owner in cluster.owners().items() if owner == master.id):
        move_slot(cluster, slot, dice.choice(others), KEY_PAUSE_S)
    cluster.remove(replica)
    cluster.remove(master)
    return True


# ---- Clocks


def skew_clock(service, dice):
    """A replica's clock goes wrong, and it becomes the master."""
    master, replica = nodes_of(service, "both", dice)
    service.hit = [replica]
    replica.shift_clock(dice.choice(SHIFTS_S))
    try:
        service.cluster.failover(master)
    except (redis.RedisError, AssertionError):
        return False
    return True


def right_clock(service, _):
    """It is right again while it is a master; ids go on from the last one."""
    for node in service.hit:
        node.shift_clock(0)


CLUSTER = [
    Fault("kill-master", kill("master"), restart, (0.5, 8), stretch=1),
    Fault("kill-replica", kill("replica"), restart, (0.5, 4), stretch=1),
    Fault("kill-both", kill("both"), restart, (0.5, 4), stretch=1),
    Fault("freeze-master", freeze, thaw, (1, 7), stretch=1),
    Fault("failover", failover(None)),
    Fault("failover-force", failover("FORCE")),
    Fault("failover-takeover", failover("TAKEOVER")),
    Fault("two-masters", two_masters, heal_cut, (0.5, 2), stretch=1),
    Fault("cut", cut, heal_cut, (0.5, 6), stretch=1),
    Fault("move-slot", begin_move, end_move, (0, 4), stretch=1),
    Fault("reshard", reshard),
    Fault("add-node", add_nodes),
    Fault("remove-node", remove_nodes),
    Fault("skewed-clock", skew_clock, right_clock, (0.5, 3), stretch=1),
]


# ---- Sentinel


def kill_member(choose, number=signal.SIGKILL):
    def do(service, dice):
        service.hit = [dice.choice(choose(service.sentinels))]
        for member in service.hit:
            (member.freeze if number == signal.SIGSTOP else member.kill)()
    return do


def master(group):
    return [group.master()]


def replicas(group):
    return group.replicas()


def sentinels(group):
    return group.sentinels


@contextlib.contextmanager
def late_to_speak(nodes):
    """Each of them that becomes a master answers nobody for a while. So a sentinel learns of it late, and two masters take writes."""
    over, quiet = threading.Event(), set()

    def watch():
        while not over.wait(WATCH_S):
            for node in nodes:
                with contextlib.suppress(redis.RedisError):
                    if node not in quiet and node.is_master():
                        quiet.add(node)
                        node.ask("CLIENT", "PAUSE", QUIET_MS)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def switch(service, _):
    """A planned one; what the master has acknowledged is with its replica."""
    with late_to_speak(service.sentinels.replicas()):
        service.sentinels.failover()


SENTINEL = [
    Fault("kill-master", kill_member(master), restart, (0.5, 8), stretch=1),
    Fault("freeze-master", kill_member(master, signal.SIGSTOP), thaw, (0.5, 8), stretch=1),
    Fault("kill-replica", kill_member(replicas), restart, (0.5, 4), stretch=1),
    Fault("kill-sentinel", kill_member(sentinels), restart, (0.5, 6), stretch=1),
    Fault("freeze-sentinel", kill_member(sentinels, signal.SIGSTOP), thaw, (0.5, 6), stretch=1),
    Fault("switch", switch),
]
