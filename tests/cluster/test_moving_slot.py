# SPDX-License-Identifier: MIT
"""Scripts while a Redis Cluster moves their slot (MIGRATING). A key that has moved, or that a script has emptied there, is
gone to the other node, and a command that asks for it is an error in the middle of the script. Each call of a real service
is repeated there: it does the same as elsewhere, or nothing at all, wherever its keys are."""
import collections
import glob
import json
import os
import re
import socket
import struct
import threading
import time

import pytest
import redis

from support.fault_service import FaultService
from support.program import ROOT, script_text
from support.redis_cluster import Cluster, slot_of
from support.redis_server import RedisServer
from support.wait import wait_until

TAG = "{e0}"  # of the only partition
# What makes a key that is not there, so that a script that names it begins. An item can't be made up.
FILLED = ((r"\}(v\w+:|e|floor|pos|sums|near)", "HSET", b"8 bytes.", b"5byte"), (r"\}(r|dead|gone|periods)", "ZADD", 0, b"8 bytes."),
          (r"\}log", "XADD", "0-1", "1", b"\0" * 8 + b"F"), (r"\}u", "PFADD", "x"), (r"\}[cnhast]", "SET", ""),
          (r"^engaged:machines", "HSET", b"0123456789abcdef", b"1 1 1 1 1 1 0.2.0 gone"))
# Which of the keys that a call names, and that exist, have moved to the other node.
PLACES = {"all there": lambda keys: [], "half there": lambda keys: keys[1::2], "the other half there": lambda keys: keys[::2],
          "none there": lambda keys: keys}


class MovingSlot:
    """Two nodes; a slot of the first moves to the second whenever that is said."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.clients = {node: node.client() for node in cluster.nodes}

    def hold(self, slot, data):
        """These data alone, on the slot's owner."""
        self.slot, self.source = slot, self.cluster.first_masters[slot >= 8192]
        self.target = next(node for node in self.cluster.nodes if node is not self.source)
        self.client, self.other = self.clients[self.source], self.clients[self.target]
        for node in self.cluster.nodes:
            node.ask("CLUSTER", "SETSLOT", slot, "STABLE")
            self.clients[node].flushall()
        each(self.client, [("RESTORE", key, life, dump) for key, (dump, life) in data.items()])

    def begin(self, moved=()):
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.source.id)
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.target.id)
        if moved:
            self.client.execute_command("MIGRATE", "127.0.0.1", self.target.port, "", 0, 5000, "KEYS", *moved)

    def call(self, *words, moved=()):
        """The reply of a script while the slot moves; it is asked of the other node if the first says so."""
        self.begin(moved)
        try:
            return self.client.execute_command(*words)
        except redis.ResponseError as error:
            return self.call_there(*words) if str(error).startswith("ASK") else error

    def call_there(self, *words):
        try:
            return each(self.other, [("ASKING",), words])[1]
        except redis.ResponseError as error:
            return error

    def load(self, text):
        return [client.script_load(text) for client in self.clients.values()][0]

    def contents(self):
        """Of both nodes; no key is on both."""
        here, there = contents(self.client, self.slot), contents(self.other, self.slot, asking=True)
        assert not here.keys() & there.keys()
        return {**here, **there}


@pytest.fixture(scope="module")
def moving():
    with Cluster(masters=2, replicas=0, appendonly="no") as cluster:
        yield MovingSlot(cluster)


def keys_in(client, slot):
    return [key for key in client.scan_iter("*", count=10000) if slot_of(key) == slot]


def dumps(client, slot):
    keys = keys_in(client, slot)
    replies = each(client, [(name, key) for key in keys for name in ("DUMP", "PTTL")])
    return {key: (dump, max(life, 0)) for key, dump, life in zip(keys, replies[::2], replies[1::2])}


READ = {b"string": ("GET",), b"hash": ("HGETALL",), b"stream": ("XRANGE", "-", "+"), b"zset": ("ZRANGE", 0, -1, "WITHSCORES")}


def each(client, commands):
    """The replies, also of keys that a node only begins to have."""
    with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return pipeline.execute()


def contents(client, slot, asking=False):
    """What every key holds, and whether it ends; of streams without ids, which are made of the time."""
    keys, before = keys_in(client, slot), [("ASKING",)] if asking else []
    step = len(before) + 1
    kinds = each(client, [part for key in keys for part in (*before, ("TYPE", key))])[step - 1::step]
    reads = [(name, key, *more) for key, (name, *more) in zip(keys, map(READ.get, kinds))]
    held = each(client, [part for read in reads for part in (*before, read)])[step - 1::step]
    lives = each(client, [part for key in keys for part in (*before, ("PTTL", key))])[step - 1::step]
    bare = [[fields for _, fields in one] if kind == b"stream" else one for kind, one in zip(kinds, held)]
    return {key: (one, life > 0) for key, one, life in zip(keys, bare, lives)}


def compare(moving, name, reply, plain):
    """`plain`: content before and after the same call on a Redis that moves nothing."""
    now, (unchanged, changed) = moving.contents(), plain
    if isinstance(reply, redis.RedisError):
        assert now == unchanged, f"{name} is half written: {reply}\n{difference(unchanged, now)}"
        assert "TRYAGAIN" in str(reply), f"{name}: {reply}"
    else:
        assert now == changed, f"{name} answers {reply}\n{difference(changed, now)}"


def difference(one, other):
    return {key: (one.get(key), other.get(key)) for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


# ---- All that a service calls

NAMES = {os.path.basename(path)[:-4] for path in glob.glob(f"{ROOT}/lua/*.lua")}
PARTS = {part.decode() for name in NAMES for part in re.findall(rb"^-- include: (\w+)$", script_text(name), re.M)}
SCRIPTS = {script_text(name): name for name in NAMES - PARTS}
WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')


class Monitor(threading.Thread):
    """Every command that Redis carries out, in order, but for those of scripts."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(b"MONITOR\r\n")
        self.commands = []
        self.start()

    def run(self):
        for line in self.socket.makefile("rb"):
            if b" lua]" not in line:
                words = [word.decode("unicode_escape").encode("latin1") for word in WORD.findall(line)]
                if words:
                    self.commands.append(words)


RANKINGS = "[ranking hot]\n[ranking top]\ntype = total\n[ranking seen]\ntype = window\n"
WRITES = {b"set", b"hset", b"hdel", b"del", b"unlink", b"xadd", b"xtrim", b"hincrby", b"setnx"}


def events(service, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    status, answer = service.client().call("POST", "/v1/s/events?wait=true", text, "application/x-ndjson")
    assert status == 200 and json.loads(answer)["accepted"] == len(rows), answer


def call(service, method, path, body=None):
    status, answer = service.client().call(method, f"/v1/s/{path}", body)
    assert status < 300, (method, path, status, answer)
    return answer


def correct(service):
    """Votes are taken back, also those in buckets, and the records of it are kept."""
    events(service, votes("vote", "crowd", range(40)))
    call(service, "POST", "corrections", json.dumps({"visitor": "v1"}))
    call(service, "POST", "corrections", json.dumps({"item": "crowd", "from": 1, "to": int(time.time()) + 1000}))

    def states():
        return {row["state"] for row in json.loads(call(service, "GET", "corrections"))["corrections"]}

    wait_until(lambda: states() == {"done"}, 30, "all is corrected")


def votes(kind, item, voters):
    return [{"type": kind, "item": item, "visitor": f"v{n}"} for n in voters]


def work(service):
    for item in ("crowd", "few", "gone"):
        call(service, "PUT", f"items/{item}", json.dumps({"title": item, "categories": ["news"]}))
    events(service, votes("vote", "few", range(3)) + votes("vote", "gone", range(3)))
    events(service, [{"type": "view", "item": item, "visitor": f"v{n}"} for n in range(4) for item in ("crowd", "few", "gone")])
    events(service, votes("unvote", "few", range(3)) + votes("unvote", "gone", range(3)) + votes("vote", "other", range(3)))
    events(service, votes("vote", "crowd", range(40)))  # so many that they leave the record
    events(service, votes("unvote", "crowd", range(40)) + votes("vote", "crowd", range(50, 53)))  # the bucket is emptied between
    events(service, votes("unvote", "crowd", range(50, 53)) + votes("unvote", "other", range(3)) + votes("vote", "few", [1]))
    call(service, "PUT", "items/few", json.dumps({"title": "again", "categories": ["sea"], "published_at": 1700000000}))
    call(service, "PUT", "items/few/editorial", json.dumps({"pin": 1}))
    events(service, [{"type": "view", "item": "few", "visitor": f"v{n}", "time": time.time() - 86400} for n in range(4)])
    call(service, "PUT", "items/few/editorial", json.dumps({"pin": 2}))
    for again in range(3):
        events(service, votes("vote", "crowd", range(3)) + votes("unvote", "few", range(3)))
        events(service, votes("unvote", "crowd", range(3)) + votes("vote", "few", range(3)))
    events(service, [{"type": "view", "item": item, "visitor": "w", "time": time.time() - 10 * 86400} for item in ("few", "other")])
    exported = call(service, "GET", "export")
    call(service, "DELETE", "items/few/editorial")
    call(service, "DELETE", "items/gone")
    status, _ = service.client().call("POST", "/v1/s/import", exported, "application/x-ndjson")
    assert status == 200
    correct(service)


def end_periods(service, client):
    """The projector looks for what is over when it starts."""
    service.projectors.pop().kill()
    service.start_projector()
    wait_until(lambda: client.zcount(f"{TAG}periods", "-inf", time.time() * 1000) == 0, 20, "what is over has ended")


@pytest.fixture(scope="module")
def calls():
    """What a service asks of Redis, from its start on."""
    with RedisServer() as server:
        monitor = Monitor(server.port)
        with FaultService(server, partitions=1, projection_interval="200ms", configuration=RANKINGS) as service:
            service.start_projector()
            work(service)
            end_periods(service, server.client())
        server.client().echo("the end")
        wait_until(lambda: monitor.commands and monitor.commands[-1][-1:] == [b"the end"], 20, "all commands are seen")
        yield monitor.commands


def fill(client, keys):
    """Makes the keys of a call that are not there. Returns whether there were any."""
    commands = [(name, key, *more) for key in set(keys) if not client.exists(key)
                for name, *more in [next((rest for pattern, *rest in FILLED if re.search(pattern, key.decode())), [None])] if name]
    each(client, commands)
    return bool(commands)


def repeat(moving, plain, filled, name, words):
    """One call in each place that its keys may have, and once more with keys that it did not find. Returns where it was
    carried out."""
    keys = words[3:3 + int(words[2])]
    if not keys:
        return ["nowhere"]
    slot = slot_of(keys[0])
    before, unchanged = dumps(plain, slot), contents(plain, slot)
    plain.execute_command(*words)
    changed, done = contents(plain, slot), []
    there = sorted({key for key in keys if key in before}, key=keys.index)

    def one_way(place, data, moved, plain):
        moving.hold(slot, data)
        reply = moving.call(*words, moved=moved)
        compare(moving, f"{name}, {place}", reply, plain)
        if not isinstance(reply, redis.RedisError):
            done.append(place)

    for place, moved in PLACES.items():
        one_way(place, before, moved(there), (unchanged, changed))
    filled.flushall()
    each(filled, [("RESTORE", key, life, dump) for key, (dump, life) in before.items()])
    if fill(filled, keys):
        more, unchanged = dumps(filled, slot), contents(filled, slot)
        filled.execute_command(*words)
        one_way("filled", more, (), (unchanged, contents(filled, slot)))
    return done


def test_what_a_service_calls_is_done_whole_or_not_at_all_while_the_slot_moves(moving, calls):
    with RedisServer() as server, RedisServer() as another:
        plain, filled, names, done = server.client(), another.client(), {}, {}
        for words in calls:
            name = words[0].lower()
            if name == b"script":
                names[plain.script_load(words[2]).encode()] = SCRIPTS[words[2]]
                moving.load(words[2])
                filled.script_load(words[2])
            elif name == b"evalsha":
                done.setdefault(names[words[1]], []).extend(repeat(moving, plain, filled, names[words[1]], words))
            elif name in WRITES:
                plain.execute_command(*words)
    print({name: collections.Counter(places) for name, places in done.items()})
    assert NAMES - PARTS == set(done), "each script needs a call in work()"
    assert all(done.values()), f"never carried out while the slot moves: {[name for name in done if not done[name]]}"


# ---- What seldom comes together

def voter(number):
    return struct.pack("<Q", number)


def item(buckets, count, name=b"\x01s\x01\0i"):
    meta = name + b"\0\0\0"
    return struct.pack("<BBBHHdI", 1, 0, 1, buckets, 19 + len(meta), 0, count) + meta


def the_same_while_it_moves(moving, name, keys, arguments, prepare):
    with RedisServer() as plain:
        client, slot = plain.client(), slot_of(keys[0])
        prepare(client)
        before, unchanged = dumps(client, slot), contents(client, slot)
        moving.hold(slot, before)
        moving.load(script_text(name))
        command = ["EVALSHA", client.script_load(script_text(name)), len(keys), *keys, *arguments]
        reply = moving.call(*command)
        expected = client.execute_command(*command)
        compare(moving, name, reply, (unchanged, contents(client, slot)))
        assert reply == expected, reply
        return {key: held for key, (held, _) in moving.contents().items()}


def test_rare_calls_are_carried_out_whole_while_the_slot_moves(moving):
    old, new = f"{TAG}v1:0", f"{TAG}v1:1"

    def all_move(client):
        client.set(f"{TAG}i1", item(1, 3))
        client.hset(old, mapping={voter(n): b"\0\1\0\0\0" for n in (1, 3, 5)})
        client.hset(new, b"x", b"y")

    after = the_same_while_it_moves(moving, "split", [f"{TAG}i1", old, new], [1, 2, 1], all_move)
    assert old.encode() not in after and len(after[new.encode()]) == 4

    def all_ended(client):
        client.hset(f"{TAG}e1", mapping={"a": '1000 {"pin":1}', "b": '1000 {"pin":2}'})

    after = the_same_while_it_moves(moving, "editorial", [f"{TAG}e1"], ["c", 2000, 2, "0 {}"], all_ended)
    assert after[f"{TAG}e1".encode()] == {b"c": b"0 {}"}


def test_a_ranking_that_could_not_be_written_is_filled_anew(moving):
    """Should a key go in the middle all the same: its plan is forgotten, so that nothing is missing for good."""
    keys = [f"{TAG}sums", f"{TAG}floor", f"{TAG}pos", f"{TAG}r1:top"]
    script = moving.load(script_text("commit"))

    def commit(*commands):
        moving.hold(slot_of(TAG), {})
        moving.client.hset(keys[0], "version", 7)
        moving.client.hset(keys[1], "other", 1)
        moving.client.hset(keys[2], mapping={"plan": "p", "life": "l"})
        moving.client.zadd(keys[3], {"a": -1})
        flat = [word for name, *words in commands for word in (name, 1, len(words), *words)]
        return moving.call("EVALSHA", script, 4, *keys, 7, 99, "l", 0, 0, len(commands), *flat, 0, 1, 1, 10, "1:top", 0, "", 0)

    assert commit(("ZADD", "-2", "b"), ("ZREM", "a")) == [1, b"99", 0]
    assert moving.client.zrange(keys[3], 0, -1) == [b"b"] and moving.client.hget(keys[2], "plan") == b"p"
    assert commit(("ZREM", "a"), ("ZADD", "-2", "b")) == [1, b"99", 1]
    assert moving.client.hget(keys[0], "version") == b"99" and moving.client.hget(keys[2], "plan") is None


def test_what_enters_a_ranking_is_written_before_what_leaves_it():
    with RedisServer() as server, FaultService(server, partitions=1, projection_interval="200ms") as service:
        service.start_projector()
        events(service, [{"type": "vote", "item": "a", "visitor": "v"}])
        watched = socket.create_connection(("127.0.0.1", server.port))
        watched.sendall(b"MONITOR\r\n")
        lines = watched.makefile("rb")
        events(service, [{"type": "unvote", "item": "a", "visitor": "v"}, {"type": "vote", "item": "b", "visitor": "v"}])
        watched.shutdown(socket.SHUT_RD)
        order = [line.split(b'"')[1] for line in lines if b"[0 lua]" in line and b':top:no-card"' in line and b'"Z' in line]
        assert [name for name in order if name in (b"ZADD", b"ZREM")] == [b"ZADD", b"ZREM"], order


@pytest.mark.parametrize("limit,count", [(8, 20), (512, 20)])
def test_a_bucket_that_shrinks_is_compact_again(limit, count):
    """Whose encoding has outgrown the compact one: it takes four times the memory."""
    with RedisServer() as server:
        client = server.client()
        client.config_set("hash-max-listpack-entries", 8)
        client.set(f"{TAG}i1", item(1, count))
        client.hset(f"{TAG}v1:0", mapping={voter(n): b"\0\1\0\0\0" for n in range(count)})
        assert client.object("encoding", f"{TAG}v1:0") == b"hashtable"
        client.config_set("hash-max-listpack-entries", limit)
        reply = client.execute_command("EVALSHA", client.script_load(script_text("split")), 3, f"{TAG}i1", f"{TAG}v1:0", f"{TAG}v1:1",
                                       1, 2, 1)
        assert reply == 2
        assert {int.from_bytes(field, "little") for field in client.hkeys(f"{TAG}v1:0")} == set(range(0, count, 2))
        assert {int.from_bytes(field, "little") for field in client.hkeys(f"{TAG}v1:1")} == set(range(1, count, 2))
        assert client.object("encoding", f"{TAG}v1:0") == (b"hashtable" if limit < count / 2 else b"listpack")
