# SPDX-License-Identifier: MIT
"""Scripts of lua/ in states that a service seldom meets: other kinds of vote, many votes of one partition, versions."""
import contextlib
import json
import struct
import time

import pytest

from support.fault_service import FaultClient, FaultService
from support.ports import free_port
from support.program import script_text
from support.redis_server import RedisServer
from support.wait import wait_until


@contextlib.contextmanager
def two_generations():
    """A worker that knows one kind, and one of the next configuration, which has added one."""
    with RedisServer() as server, FaultService(server, partitions=2, kinds="up") as service:
        service.start_projector()
        row = json.dumps({"type": "view", "item": "first", "visitor": "v"})
        status, _ = service.client().call("POST", "/v1/s/events?wait=true", row, "application/x-ndjson")
        assert status == 200, "the projector knows the kinds of before"
        yield server, service


def add_kind(service):
    port, before = free_port(), service.settings
    service.settings = {**before, "kinds": "up down", "listen": f"127.0.0.1:{port}", "ops_listen": f"127.0.0.1:{free_port()}"}
    service.workers.append(service.spawn("worker"))
    service.settings = before
    newer = FaultClient(port)

    def is_ready():
        with contextlib.suppress(OSError):
            return newer.call("GET", "/readyz")[0] == 200

    wait_until(is_ready, 20, "the worker of the next generation is ready")
    return newer


@pytest.mark.parametrize("voters", [3, 60], ids=["in the record", "in buckets"])
def test_workers_of_before_a_kind_was_added_go_on_with_its_items(voters):
    with two_generations() as (_, service):
        older = service.client()
        for n in range(voters):
            assert older.vote("s", "a", f"v{n}", "up")["votes"] == {"up": n + 1}
        newer = add_kind(service)
        assert newer.vote("s", "a", "x", "down")["votes"] == {"up": voters, "down": 1}
        assert newer.vote("s", "a", "y", "down")["votes"] == {"up": voters, "down": 2}
        assert older.vote("s", "a", "z", "up")["votes"] == {"up": voters + 1}
        assert older.vote("s", "a", "x", "up")["votes"] == {"up": voters + 2}
        assert newer.item("s", "a")["votes"] == {"up": voters + 2, "down": 1}
        assert older.unvote("s", "a", "y")["votes"] == {"up": voters + 2}
        assert older.unvote("s", "a", "v0")["votes"] == {"up": voters + 1}
        assert newer.vote("s", "a", "w", "down")["votes"] == {"up": voters + 1, "down": 1}
        assert newer.vote("s", "b", "w", "down")["votes"] == {"up": 0, "down": 1}
        assert older.vote("s", "b", "w", "up")["votes"] == {"up": 1}
        assert newer.item("s", "b")["votes"] == {"up": 1, "down": 0}

        def ranked():
            return json.loads(newer.call("GET", f"/v1/s/rankings/top?limit=2&exclude={time.monotonic_ns()}")[1])["items"]

        wait_until(lambda: [one["votes"] for one in ranked()] == [{"up": voters + 1, "down": 1}, {"up": 1, "down": 0}], 10, ranked)


def test_an_older_worker_that_reads_the_vote_of_a_kind_that_it_does_not_know_shows_none():
    with two_generations() as (_, service):
        older, newer = service.client(), add_kind(service)
        assert newer.vote("s", "a", "x", "down")["vote"] == "down"
        path = "/v1/s/items/a/votes"
        status, answer = older.call("POST", path, json.dumps({"kind": "up"}), visitor="y")
        assert status == 200 and json.loads(answer)["vote"] == "up"
        status, answer = older.call("GET", "/v1/s/me?id=a", visitor="x")
        assert status == 200 and json.loads(answer) == {"votes": {}, "counts": {"a": {"up": 1}}}, answer


# ---- Cost of many votes of one partition

def batch(votes, first):
    """The call of so many fresh votes on as many items of one partition: KEYS and ARGV of lua/vote.lua."""
    numbers = range(first, first + votes)
    arguments = []
    for number in numbers:
        name = b"\x01s" + struct.pack("<H", 8) + b"%08d" % number
        flags = 3 if number == first else 1
        arguments += [name, struct.pack("<BHcQQBi", flags, 0, b"V", number, 7 * number + 1, 0, 1000)]
    keys = [b"{e0}i%016x" % number for number in numbers] + [b"{e0}log"]
    return [len(keys), *keys, 1700000000000, 1, votes, 1, *arguments]


def test_a_vote_costs_no_more_in_a_call_of_many():
    """Their records must not be joined one by one: twice as many votes took four times as long."""
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("vote"))

        def cost(votes, first):
            client.config_resetstat()
            for call in range(10):
                client.execute_command("EVALSHA", script, *batch(votes, first + call * votes))
            return client.info("commandstats")["cmdstat_evalsha"]["usec"] / (10 * votes)

        cost(64, 0)
        few = min(cost(64, 10000 * (1 + again)) for again in range(6))
        many = min(cost(1024, 1000000 * (1 + again)) for again in range(6))
        assert many < 1.5 * few, f"{many:.2f} µs a vote in a call of 1,024, {few:.2f} in one of 64"


# ---- Versions

def test_no_two_contents_of_a_partition_share_a_version():
    """Numbers that count up would: after data was lost another projector's eighth commit is not ours."""
    with RedisServer() as server, FaultService(server, partitions=1) as service:
        service.start_projector()
        client, seen = server.client(), {b"sums": [], b"near": []}

        def version(key):
            return client.hget(b"{e0}" + key, "version")

        for n in range(12):
            before = {key: version(key) for key in seen}
            rows = [{"type": "view", "item": item, "visitor": f"v{n}"} for item in ("a", f"b{n}")]
            body = "".join(json.dumps(row) + "\n" for row in rows)
            assert service.client().call("POST", "/v1/s/events?wait=true", body, "application/x-ndjson")[0] == 200
            for key, versions in seen.items():
                assert version(key) != before[key], key
                versions.append(int(version(key)))
        for versions in seen.values():
            assert len(set(versions)) == len(versions) and all(1 <= one <= 2**52 for one in versions)
            assert max(versions) > 2**45, "they are random"
            assert not set(versions) & {one + 1 for one in versions}


def test_a_version_is_compared_as_it_stands():
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("commit"))
        largest = 2**52

        def commit(read, following):
            return client.execute_command("EVALSHA", script, 3, "sums", "floor", "pos", read, following, 1, 0, "5-0", 0, 0, 0)

        assert commit(1, 2) == [0, b"0", 0, 0] and not client.exists("sums"), "nothing was there: that is version 0"
        assert commit(0, largest) == [1, b"%d" % largest, 0, 0]
        assert commit(largest - 1, 3) == [0, b"%d" % largest, 0, 0] and client.hget("sums", "0") == b"5-0"
        assert commit(largest, 8) == [1, b"8", 0, 0]
        assert client.hgetall("sums") == {b"version": b"8", b"0": b"5-0"}
