# SPDX-License-Identifier: MIT
"""A Redis Cluster of real nodes for one test, on loopback: masters, a replica of each, and spare nodes that hold nothing.

`with Cluster() as cluster`: `cluster.url` is the setting of the service. A test does to the nodes what happens to nodes:
`node.kill()`, `freeze()`, `thaw()`, `restart()`; `cluster.failover`, `two_masters`, `cut` (with proxied=True), `add`,
`remove`, `node.shift_clock`; a slot moves by support/slot_move.py. Afterwards a test waits for a state, never for a time: `cluster.wait_ok()`.
"""
import contextlib
import os
import re
import struct
import subprocess
import sys

import redis
from redis.crc import key_slot

from support.ports import free_port
from support.program import BUILD, ROOT
from support.redis_server import RedisServer
from support.wait import wait_until

SLOTS = 16384
PROXY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tcp_proxy.py")
SETTINGS = {
    "cluster_enabled": "yes", "cluster_require_full_coverage": "no", "cluster_allow_reads_when_down": "yes",
    "cluster_allow_replica_migration": "no", "cluster_announce_ip": "127.0.0.1", "repl_diskless_sync_delay": 0,
    "repl_backlog_size": "16mb", "appendonly": "yes", "appendfsync": "everysec", "enable_debug_command": "local",
}


def slot_of(key):
    return key_slot(key.encode() if isinstance(key, str) else key)


class Node(RedisServer):
    """One redis-server of a Cluster. Its data stay from a kill to a restart. `port` is what it announces."""

    def __init__(self, cluster, number):
        self.number, self.cluster, self.id, self.password = number, cluster, None, cluster.password
        self.own_port, self.own_bus = free_port(), free_port()
        super().__init__(self.own_port, **SETTINGS, cluster_port=self.own_bus, cluster_node_timeout=cluster.node_timeout)
        self.settings.update(cluster.settings)
        if cluster.tls:
            self.speak_tls(*cluster.tls, tls_cluster="yes", tls_replication="yes")
        self.clock_path = os.path.join(self.directory, "clock")
        self.shift_clock(0)
        self.program = ("env", f"LD_PRELOAD={os.path.join(ROOT, BUILD, 'shifted_clock.so')}", f"SHIFTED_CLOCK={self.clock_path}",
                        "redis-server")
        self.bus = self.own_bus
        if cluster.proxied:
            self.port, self.bus = free_port(), free_port()
            self.settings.update(cluster_announce_port=self.port, cluster_announce_bus_port=self.bus,
                                 bind_source_addr=f"127.0.1.{number + 1}")  # so that a proxy knows who calls
        self.url = f"redis://127.0.0.1:{self.port}"

    def __repr__(self):
        return f"node {self.number} (port {self.port})"

    def start(self):
        if self.cluster.password:
            self.write_users()
        super().start()
        self.id = self.ask("CLUSTER", "MYID")
        return self

    def write_users(self):
        """Into a file, so that they are there from the first moment on, also after a restart."""
        path = os.path.join(self.directory, "users.acl")
        secret = ">" + self.cluster.password
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"user default on {secret} ~* &* +@all\n")
            if self.cluster.user:
                file.write(f"user {self.cluster.user} on {secret} {self.cluster.rights}\n")
        self.settings.update(aclfile=path, masterauth=self.cluster.password)

    def shift_clock(self, seconds):
        """From now on its clock is wrong by so much; its monotonic clock is right."""
        with open(self.clock_path, "r+b" if os.path.exists(self.clock_path) else "wb") as file:
            file.write(struct.pack("<q", seconds))

    def client(self, **more):
        """Straight to it, past its proxy; as the default user, who may do all."""
        return redis.Redis(port=self.own_port, password=self.password, **self.secured(), **more)

    def state(self):
        """Of the Cluster, as it sees it: "ok" or "fail"."""
        return re.search(r"cluster_state:(\w+)", self.ask("CLUSTER", "INFO")).group(1)

    def view(self):
        """What it says of each node, by id: a set of flags, the id of its master ("-": none), its slots (moving ones left out)."""
        rows = [line.split() for line in self.ask("CLUSTER", "NODES").splitlines()]
        return {row[0]: (set(row[2].split(",")), row[3], [word for word in row[8:] if "[" not in word]) for row in rows}


def slots_in(words):
    """"0-5460 7000" → the set of numbers."""
    found = set()
    for word in words:
        first, _, last = word.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


class Cluster:
    """`settings` are those of Redis, with _ for -, of each node. With a password the service logs in as `user`, if there is
    one; nodes do as the default user. `tls`: an authority, and the certificate of all nodes."""

    def __init__(self, masters=3, replicas=1, spares=0, node_timeout=1000, proxied=False, password=None, user=None,
                 rights="~* &* +@all", tls=None, **settings):
        self.node_timeout, self.proxied, self.settings = node_timeout, proxied, settings
        self.password, self.user, self.rights, self.tls = password, user, rights, tls
        count = masters * (1 + replicas) + spares
        self.nodes = [Node(self, number) for number in range(count)]
        self.first_masters, self.first_replicas = self.nodes[:masters], self.nodes[masters:masters * (1 + replicas)]
        self.spares = self.nodes[masters * (1 + replicas):]
        self.proxy, self.cuts = None, set()

    # ---- Begin and end

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def start(self):
        if self.proxied:
            self.start_proxy()
        for node in self.nodes:
            node.start()
        masters, replicas = self.first_masters, self.first_replicas
        for number, node in enumerate(masters + replicas):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, node in enumerate(masters):
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * SLOTS // len(masters), (number + 1) * SLOTS // len(masters) - 1)
        for node in (masters + replicas)[1:]:
            self.meet(node)
        for number, node in enumerate(replicas):
            self.replicate(node, masters[number % len(masters)])
        self.wait_ok()
        return self

    def start_proxy(self):
        pairs = [f"{front}:{back}:{node.number}" for node in self.nodes
                 for front, back in ((node.port, node.own_port), (node.bus, node.own_bus))]
        self.proxy = subprocess.Popen([sys.executable, PROXY, *pairs], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.proxy.stdout.readline() == "ready\n"

    def stop(self):
        for node in self.nodes:
            node.stop()
        if self.proxy:
            self.proxy.kill()
            self.proxy.wait()
            self.proxy.stdin.close()
            self.proxy.stdout.close()

    def meet(self, node):
        """It gets to know the others."""
        other = next(one for one in self.nodes if one is not node and one.can_answer())
        other.ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        wait_until(lambda: node.id in other.view() and other.id in node.view(), 20, f"{node} meets the others")

    def replicate(self, node, master):
        wait_until(lambda: "master" in node.view().get(master.id, [()])[0], 20, f"{node} knows {master}")
        node.ask("CLUSTER", "REPLICATE", master.id)

    # ---- Who is what

    @property
    def url(self):
        """The setting of the service; each node of the beginning is a seed."""
        login = f"{self.user or ''}:{self.password}@" if self.password else ""
        return f"cluster://{login}" + ",".join(f"127.0.0.1:{node.port}" for node in self.first_masters + self.first_replicas)

    def answering(self):
        return [node for node in self.nodes if node.can_answer()]

    def node_of(self, ident):
        return next((node for node in self.nodes if node.id == ident), None)

    def members(self, viewer=None):
        """Those that one of them names (other than handshakes)."""
        view = (viewer or self.viewer()).view()
        return [node for node in self.nodes if node.id in view and "handshake" not in view[node.id][0]]

    def viewer(self):
        """A node whose view counts: the one that can answer and knows most others; of several the one with the best state."""
        return max(self.answering(), key=lambda node: (len(node.view()), node.state() == "ok"))

    def owners(self, viewer=None):
        """The owner's id by slot, as a node sees it."""
        found = {}
        for ident, (flags, _, slots) in (viewer or self.viewer()).view().items():
            if "master" in flags:
                found.update(dict.fromkeys(slots_in(slots), ident))
        return found

    def masters(self):
        """Those that own slots, by number."""
        owning = set(self.owners().values())
        return [node for node in self.nodes if node.id in owning]

    def replicas_of(self, master):
        """Those that follow it and can answer."""
        view = self.viewer().view()
        return [node for node in self.answering() if node.id in view and view[node.id][1] == master.id]

    def owner(self, key_or_slot):
        slot = key_or_slot if isinstance(key_or_slot, int) else slot_of(key_or_slot)
        return self.node_of(self.owners().get(slot))

    # ---- Waiting

    def is_ok(self):
        """All that can answer say "ok", agree on who is what and on all slots, and each owner can answer as a master."""
        members = [(node, node.view()) for node in self.answering()]
        members = [(node, view) for node, view in members if len(view) > 1 or view[node.id][2]]  # no spares
        there = [node.id for node, _ in members]
        roles = [{ident: (*row[1:], "master" in row[0]) for ident, row in view.items() if ident in there} for _, view in members]
        if not roles or any(each != roles[0] or len(each) < len(there) for each in roles):
            return False
        owners = self.owners(members[0][0])
        return (len(owners) == SLOTS and all(node.state() == "ok" for node, _ in members)
                and all(node and node.is_master() for node in map(self.node_of, set(owners.values()))))

    def replicas_are_there(self):
        """Each that follows a master that can answer has its data."""
        for node in self.answering():
            info = node.ask("INFO", "replication")
            if info["role"] == "slave" and info["master_link_status"] != "up":
                return False
        return True

    def wait_ok(self, seconds=30, replicas=True):
        def good():
            try:
                return self.is_ok() and (not replicas or self.replicas_are_there())
            except redis.RedisError:
                return False

        wait_until(good, seconds, lambda: "the Cluster is not ok:\n" + self.describe(), pause=0.05)

    def describe(self):
        return "\n".join(f"{node}: {node.ask('CLUSTER', 'NODES') if node.can_answer() else 'does not answer'}" for node in self.nodes)

    # ---- What happens to it

    def failover(self, master, mode=None):
        """Its replica takes over: planned (None), "FORCE" or "TAKEOVER" (the master is not asked). Returns the new master."""
        replica = self.replicas_of(master)[0]
        replica.ask("CLUSTER", "FAILOVER", *([mode] if mode else []))
        wait_until(replica.is_master, 20, f"{replica} has taken over")
        return replica

    def two_masters(self, master):
        """Its replica takes over while the other nodes can't reach it; clients can. Both are masters until `heal()`, or until
        the node timeout is over. Returns the new master."""
        replica = self.replicas_of(master)[0]
        self.cut(master, "nodes")
        replica.ask("CLUSTER", "FAILOVER", "TAKEOVER")
        wait_until(replica.is_master, 20, f"{replica} has taken over")
        return replica

    def cut(self, node, off="all"):
        """No byte goes between it and "nodes", "clients" or "all"; connections stay open and silent."""
        self.cuts |= self.pairs(node, off)
        self.tell_proxy()

    def heal(self, node=None, off="all"):
        """It (or each node) is reached again. What was held arrives now."""
        self.cuts -= self.pairs(node, off) if node else set(self.cuts)
        self.tell_proxy()

    def pairs(self, node, off):
        others = [other.number for other in self.nodes if other is not node] if off != "clients" else []
        return {f"{node.number}-{other}" for other in [*others, *(["clients"] if off != "nodes" else [])]}

    @contextlib.contextmanager
    def kept_from_clients(self, node):
        """For a moment, where there are proxies."""
        if self.proxied:
            self.cut(node, "clients")
        try:
            yield
        finally:
            if self.proxied:
                self.heal(node, "clients")

    def tell_proxy(self):
        self.proxy.stdin.write(" ".join(sorted(self.cuts)) + "\n")
        self.proxy.stdin.flush()
        assert self.proxy.stdout.readline() == "taken\n"

    def add(self, node):
        """A spare becomes a member, without slots."""
        self.meet(node)
        self.wait_ok()

    def remove(self, node):
        """A member without slots goes, and is a spare again."""
        others = [other for other in self.members() if other is not node and other.can_answer()]
        for other in others:
            other.ask("CLUSTER", "FORGET", node.id)
        node.ask("CLUSTER", "RESET", "HARD")
        node.id = node.ask("CLUSTER", "MYID")

    def cli(self, *words, seconds=120):
        """redis-cli --cluster: its output. The first word is its command, the second the address of a node."""
        login = ["-a", self.password, "--no-auth-warning"] if self.password else []
        done = subprocess.run(["redis-cli", *login, "--cluster", *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False)
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    # ---- The data

    def call(self, command, key, *arguments, **more):
        """A command of one key, wherever the key is."""
        with contextlib.closing(self.owner(key).client(**more)) as client:
            return client.execute_command(command, key, *arguments)

    def scan(self, match="*"):
        """Each key of each master that can answer, with a client of that master."""
        for node in self.masters():
            if node.can_answer():
                with contextlib.closing(node.client()) as client:
                    for key in client.scan_iter(match, count=1000):
                        yield key, client
