# SPDX-License-Identifier: MIT
"""Scripts while a Redis Cluster moves their slot (MIGRATING): a key that a script has emptied there is gone to the other
node, and a command that asks for it again is an error in the middle of the script. The test repeats each call of a real
service there: it does the same as elsewhere, or nothing at all."""
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
from support.ports import free_port
from support.program import ROOT, script_text
from support.redis_server import RedisServer
from support.wait import wait_until

TAG = "{e0}"  # of the only partition


class ClusterNode(RedisServer):
    def __init__(self):
        port = 0
        while not 1024 < port < 55000:  # the bus is 10,000 above
            port = free_port()
        super().__init__(port, cluster_enabled="yes", cluster_require_full_coverage="no")

    def ask(self, *words):
        return self.client().execute_command(*words)

    def id(self):
        return self.ask("CLUSTER", "MYID").decode()


class MovingSlot:
    """Two nodes; the first has all slots, and moves the one of our keys to the second whenever that is said."""

    def __enter__(self):
        self.source, self.target = ClusterNode().__enter__(), ClusterNode().__enter__()
        self.slot = self.source.ask("CLUSTER", "KEYSLOT", TAG)
        self.source.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        self.source.ask("CLUSTER", "MEET", "127.0.0.1", self.target.port)
        wait_until(lambda: all(self.knows(*pair) for pair in ((self.source, self.target), (self.target, self.source))), 20, "they have met")
        wait_until(lambda: "cluster_state:ok" in str(self.source.ask("CLUSTER", "INFO")), 20, "the cluster is up")
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.source.id())
        self.client = self.source.client()
        return self

    def __exit__(self, *failure):
        self.source.__exit__()
        self.target.__exit__()

    @staticmethod
    def knows(one, other):
        return other.id() in str(one.ask("CLUSTER", "NODES"))

    def hold(self, data):
        self.client.execute_command("CLUSTER", "SETSLOT", self.slot, "STABLE")
        self.client.execute_command("FLUSHALL")
        for key, dump in data.items():
            self.client.restore(key, 0, dump)

    def call(self, *words):
        """The reply of a script while the slot moves."""
        self.client.execute_command("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.target.id())
        try:
            return self.client.execute_command(*words)
        except redis.RedisError as error:
            return error


def dumps(client):
    return {key: client.dump(key) for key in client.scan_iter(f"{TAG}*")}


def contents(client):
    """What every key holds; of streams without ids, which are made of the time."""
    read = {b"string": client.get, b"hash": client.hgetall, b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
            b"stream": lambda key: [fields for _, fields in client.xrange(key)]}
    return {key: read[client.type(key)](key) for key in client.scan_iter(f"{TAG}*")}


def compare(moving, name, before, reply, plain):
    """`plain`: content before and after the same call on a Redis that moves nothing."""
    now, (unchanged, changed) = contents(moving.client), plain
    if isinstance(reply, redis.RedisError):
        assert now == unchanged, f"{name} is half written: {reply}\n{difference(unchanged, now)}"
        assert re.match("TRYAGAIN|ASK|MOVED", str(reply)), f"{name}: {reply}"
    else:
        assert now == changed, f"{name} answers {reply}\n{difference(changed, now)}"


def difference(one, other):
    return {key: (one.get(key), other.get(key)) for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


# ---- All that a service calls

NAMES = [os.path.basename(path)[:-4] for path in glob.glob(f"{ROOT}/lua/*.lua")]
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
            if b"[0 lua]" not in line:
                words = [word.decode("unicode_escape").encode("latin1") for word in WORD.findall(line)]
                if words:
                    self.commands.append(words)


WRITES = {b"set", b"hset", b"hdel", b"del", b"unlink", b"xadd", b"xtrim", b"hincrby", b"setnx"}


def events(service, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    status, answer = service.client().call("POST", "/v1/s/events?wait=true", text, "application/x-ndjson")
    assert status == 200 and json.loads(answer)["accepted"] == len(rows), answer


def call(service, method, path, body=None):
    status, answer = service.client().call(method, f"/v1/s/{path}", body)
    assert status < 300, (method, path, status, answer)
    return answer


def work(service):
    def votes(kind, item, voters):
        return [{"type": kind, "item": item, "visitor": f"v{n}"} for n in voters]

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
    exported = call(service, "GET", "export")
    call(service, "DELETE", "items/few/editorial")
    call(service, "DELETE", "items/gone")
    status, _ = service.client().call("POST", "/v1/s/import", exported, "application/x-ndjson")
    assert status == 200


def test_what_a_service_calls_is_done_whole_or_not_at_all_while_the_slot_moves():
    with RedisServer() as server, MovingSlot() as moving, RedisServer() as plain:
        monitor = Monitor(server.port)
        with FaultService(server, partitions=1, projection_interval="200ms") as service:
            service.start_projector()
            work(service)
        time.sleep(0.2)
        client, names, done = plain.client(), {}, {}
        for words in monitor.commands:
            name = words[0].lower()
            if name == b"script":
                sha = client.script_load(words[2])
                names[sha.encode()] = next(name for name in NAMES if script_text(name) == words[2])
                moving.client.script_load(words[2])
            elif name == b"evalsha" and any(TAG.encode() in word for word in words[3:]):
                client.hset(f"{TAG}floor", "another", 1)  # so that commits find all of their keys
                before, unchanged = dumps(client), contents(client)
                moving.hold(before)
                reply = moving.call(*words)
                client.execute_command(*words)
                compare(moving, names[words[1]], before, reply, (unchanged, contents(client)))
                done.setdefault(names[words[1]], []).append(not isinstance(reply, redis.RedisError))
            elif name in WRITES:
                client.execute_command(*words)
        assert set(done) >= {"commit", "delete", "editorial", "import", "open", "put", "split", "trim", "view", "vote"}, done
        for name in ("commit", "editorial", "open", "put", "trim", "vote"):
            assert any(done[name]), f"{name}: {done[name]}"


# ---- What seldom comes together

def voter(number):
    return struct.pack("<Q", number)


def item(buckets, count, name=b"\x01s\x01\0i"):
    meta = name + b"\0\0\0"
    return struct.pack("<BBBHHdI", 1, 0, 1, buckets, 19 + len(meta), 0, count) + meta


def the_same_while_it_moves(moving, name, keys, arguments, prepare):
    with RedisServer() as plain:
        client = plain.client()
        prepare(client)
        before, unchanged = dumps(client), contents(client)
        moving.hold(before)
        command = ["EVALSHA", client.script_load(script_text(name)), len(keys), *keys, *arguments]
        moving.client.script_load(script_text(name))
        reply = moving.call(*command)
        expected = client.execute_command(*command)
        compare(moving, name, before, reply, (unchanged, contents(client)))
        assert reply == expected, reply
        return contents(client)


def test_rare_calls_are_carried_out_whole_while_the_slot_moves():
    with MovingSlot() as moving:
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


def test_a_ranking_that_could_not_be_written_is_filled_anew():
    """Should a key go in the middle all the same: its plan is forgotten, so that nothing is missing for good."""
    with MovingSlot() as moving:
        keys = [f"{TAG}sums", f"{TAG}floor", f"{TAG}pos", f"{TAG}r1:top"]
        script = moving.client.script_load(script_text("commit"))

        def commit(*commands):
            moving.client.execute_command("CLUSTER", "SETSLOT", moving.slot, "STABLE")
            moving.client.flushall()
            moving.client.hset(keys[0], "version", 7)
            moving.client.hset(keys[1], "other", 1)
            moving.client.hset(keys[2], mapping={"plan": "p", "life": "l"})
            moving.client.zadd(keys[3], {"a": -1})
            flat = [word for name, *words in commands for word in (name, 1, len(words), *words)]
            return moving.call("EVALSHA", script, 4, *keys, 7, 99, 0, 0, len(commands), *flat, 1, 1, 10, "1:top", "")

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
