# SPDX-License-Identifier: MIT
"""A Cluster that answers by rules: several scripted nodes (scripted_redis.py) before one real node, which has all slots.

The nodes share their data. Which of them owns what is said by `cluster.ranges`, which each of them answers to CLUSTER SLOTS.
"""
from support.redis_cluster import SLOTS, Cluster, slot_of
from support.scripted_redis import ScriptedRedis

HALF = SLOTS // 2


def encode(value):
    """A reply: lists, numbers, texts, None."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, str):
        return b"$%d\r\n%s\r\n" % (len(value.encode()), value.encode())
    return b"*%d\r\n" % len(value) + b"".join(map(encode, value))


def error(text):
    return f"-{text}\r\n".encode()


def slot_in(words):
    """Of the first key of a command; None: it has none."""
    name = words[0].lower()
    if name in (b"evalsha", b"eval"):
        return slot_of(words[3]) if int(words[2]) else None
    if name in (b"cluster", b"info", b"role", b"time", b"script", b"asking", b"ping", b"auth", b"client", b"config", b"wait", b"scan",
                b"publish", b"command", b"readonly"):
        return None
    return slot_of(words[1]) if len(words) > 1 else None


class ScriptedNode(ScriptedRedis):
    def __init__(self, cluster, number, host):
        self.cluster, self.redis, self.id = cluster, cluster.real.nodes[0], f"{number + 1:040x}"
        self.begin(host)

    def address(self):
        return self.host, self.port

    def own_answer(self, words):
        if [word.lower() for word in words[:2]] == [b"cluster", b"slots"]:
            return self.cluster.map_told_by(self)
        return None

    def names(self, *wanted):
        """The commands that it has got, in order; of those names."""
        return [name for _, name, _ in self.seen if name in wanted]


def named(owner):
    """Endpoint, port, id and what else is told of a node."""
    endpoint, port, name = (*owner.address(), owner.id) if isinstance(owner, ScriptedNode) else owner
    return [endpoint, port, name, []]


class ScriptedCluster:
    """`real`: a Cluster with one node. `ranges`: first slot, last slot, and a node, or what stands for one: endpoint, port,
    id. A node that is in `views` answers its own ranges."""

    def __init__(self, real, hosts=("127.0.0.1", "127.0.0.1")):
        self.real = real
        self.nodes = [ScriptedNode(self, number, host) for number, host in enumerate(hosts)]
        self.ranges = [(0, HALF - 1, self.nodes[0]), (HALF, SLOTS - 1, self.nodes[1])]
        self.views = {}
        self.told = (None, b"")  # the ranges that were asked for last, and the answer: one of many ranges takes long to make

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.go_away()

    def new_node(self, host="127.0.0.1"):
        self.nodes.append(ScriptedNode(self, len(self.nodes), host))
        return self.nodes[-1]

    def map_told_by(self, viewer):
        ranges = self.views.get(viewer, self.ranges)
        of, answer = self.told
        if of is not ranges:
            answer = encode([[first, last, named(owner)] for first, last, owner in ranges])
            self.told = (ranges, answer)
        return answer

    def give_all_to(self, node):
        self.ranges = [(0, SLOTS - 1, node)]

    @property
    def url(self):
        return "cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    def asked_for_maps(self):
        return sum(len(node.names("cluster")) for node in self.nodes)


# ---- What a node does with a command: see scripted_redis.py

def refuse(text):
    """The error, for commands that have a key; {slot} is that key's."""
    def act(client, ask):
        slot = slot_in(ask.words)
        client.sendall(ask() if slot is None else error(text.format(slot=slot)))
    return act


def send_to(node, kind="MOVED"):
    return refuse(f"{kind} {{slot}} {node.host}:{node.port}")


def in_slot(slot):
    """For a rule's `when`."""
    return lambda words: slot_in(words) == slot
