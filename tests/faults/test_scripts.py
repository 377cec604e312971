# SPDX-License-Identifier: MIT
"""Scripts of lua/ in states that a service seldom meets: other kinds of vote, many votes of one partition, versions."""
import contextlib
import json
import random
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
    control = struct.pack("<BHHH", 1, votes, 1, votes) + b"".join(
        struct.pack("<BH", 128 + (3 if number == first else 1), 0) for number in numbers)
    names = [b"\x01s" + struct.pack("<H", 8) + b"%08d" % number for number in numbers]
    entry = struct.pack("<d", 1700000000000) + b"".join(
        struct.pack("<cQQQBiBi", b"B", number, 5, 7 * number + 1, 0, 1000, 255, 0) for number in numbers)
    keys = [b"{e0}i%016x" % number for number in numbers] + [b"{e0}log"]
    return [len(keys), *keys, control, *names, entry]


def test_a_vote_costs_no_more_in_a_call_of_many():
    """Their records must not be joined one by one: twice as many votes took four times as long."""
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("vote"))

        def spent():
            """Of its processor, in µs: what it waits for one on a busy machine is none of it."""
            used = client.info("cpu")
            return 1e6 * (used["used_cpu_user_main_thread"] + used["used_cpu_sys_main_thread"])

        def cost(votes, first):
            before = spent()
            for call in range(4096 // votes):
                client.execute_command("EVALSHA", script, *batch(votes, first + call * votes))
            return (spent() - before) / 4096

        cost(64, 0)
        few = min(cost(64, 100000 * (1 + again)) for again in range(6))
        many = min(cost(1024, 1000000 * (1 + again)) for again in range(6))
        assert many < 3 * few, f"{many:.2f} µs a vote in a call of 1,024, {few:.2f} in one of 64"


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
            return client.execute_command("EVALSHA", script, 3, "sums", "floor", "pos", read, following, "", 1, 0, "5-0", 0, 0, 0, 0)

        assert commit(1, 2) == [0, b"0", 0] and not client.exists("sums"), "nothing was there: that is version 0"
        assert commit(0, largest) == [1, b"%d" % largest, 0]
        assert commit(largest - 1, 3) == [0, b"%d" % largest, 0] and client.hget("sums", "0") == b"5-0"
        assert commit(largest, 8) == [1, b"8", 0]
        assert client.hgetall("sums") == {b"version": b"8", b"0": b"5-0"}


def test_a_commit_is_of_the_life_in_which_it_was_read():
    """A partition that comes back without the last commit has an old version again, and lacks what was applied in between."""
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("commit"))

        def commit(life, following):
            return client.execute_command("EVALSHA", script, 3, "sums", "floor", "pos", 7, following, life, 1, 0, "5-0", 0, 0, 0, 0)

        client.hset("sums", "version", 7)
        client.hset("pos", "life", "ab:5")
        for other in ("", "ab", "ab:4", "ac:5"):
            assert commit(other, 8) == [0, b"7", 0] and client.hgetall("sums") == {b"version": b"7"}
        assert commit("ab:5", 8) == [1, b"8", 0] and client.hget("sums", "0") == b"5-0"


# ---- Lives

class Logs:
    """Two partitions of a Redis, and the scripts that open and trim their logs."""

    def __init__(self, client):
        self.client, self.keys = client, ["log0", "pos0", "log1", "pos1"]
        self.sha = {name: client.script_load(script_text(name)) for name in ("open", "trim")}

    def open(self, life, begin, *passed):
        return self.client.execute_command("EVALSHA", self.sha["open"], 4, *self.keys, life, begin, *passed)

    def trim(self, lives, life="", last=("9-9", "9-9")):
        return self.client.execute_command("EVALSHA", self.sha["trim"], 4, *self.keys, lives, life, *last)

    def last(self, number):
        return self.client.xinfo_stream(f"log{number}")["last-generated-id"].decode()

    def entries(self, number):
        return [entry.decode() for entry, _ in self.client.xrange(f"log{number}")]

    def position(self, number, **fields):
        self.client.hset(f"pos{number}", mapping=fields)


@pytest.fixture
def logs():
    with RedisServer() as server:
        yield Logs(server.client())


def test_a_log_is_opened_once_in_a_life_above_all_that_was_in_it(logs):
    opened, behind, digest = logs.open("aa", 5000)
    assert (opened, behind) == (2, 0) and logs.entries(0) == ["5000-0"] and logs.client.hget("pos0", "life") == b"aa:5000"
    assert logs.client.xrange("log0")[0][1] == {b"1": 8 * b"\0" + b"F"}
    assert logs.open("aa", 9000) == [0, 0, digest] and logs.entries(0) == ["5000-0"]
    logs.client.xadd("log0", {"1": "x"}, "7000-3")
    opened, behind, other = logs.open("ab", 6000)
    assert (opened, behind) == (2, 0) and other != digest
    assert (logs.last(0), logs.last(1)) == ("7001-0", "6000-0"), "above its last id, and not below the begin"
    assert logs.open("a", 1000)[0] == 2 and logs.last(0) == "7002-0", "a life is compared whole"
    logs.client.xtrim("log0", maxlen=0)
    assert logs.open("ac", 1000)[0] == 2 and logs.last(0) == "7003-0", "also above those that were trimmed"
    logs.client.delete("pos1")
    opened, _, last = logs.open("ac", 8000)
    assert opened == 1 and (logs.last(0), logs.last(1)) == ("7003-0", "8000-0") and last != other


def test_a_log_is_opened_in_the_life_that_its_redis_has_where_the_caller_only_believes_one(logs):
    """A replica of a Cluster may have been promoted since it was asked."""
    own = logs.client.info("replication")["master_replid"]
    assert logs.open("0" * 40 + "?", 5000)[0] == 2 and logs.client.hget("pos0", "life").decode() == f"{own}:5000"
    assert logs.open("1" * 40 + "?", 9000)[0] == logs.open(own, 9000)[0] == 0
    logs.client.acl_setuser("blind", enabled=True, nopass=True, commands=["+@all", "-info"], keys=["*"])
    logs.client.execute_command("AUTH", "blind", "")
    assert logs.open("ab?", 6000)[0] == 2 and logs.client.hget("pos0", "life") == b"ab:6000", "where Redis does not tell it"


@pytest.mark.parametrize("passed,raised", [("5000-0", None), ("4999-9", None), ("", None), ("5000-1", "5001-0"),
                                           ("6000-0", "6001-0"), ("6000-7", "6001-0")])
def test_a_log_must_lie_above_what_has_been_applied_of_it(logs, passed, raised):
    digest = logs.open("aa", 5000)[2]
    opened, behind, after = logs.open("aa", 100, passed, "")
    assert (opened, behind) == ((1, 1) if raised else (0, 0)) and (after == digest) == (not raised)
    assert (logs.last(0), logs.last(1)) == (raised or "5000-0", "5000-0")


def test_an_empty_log_gets_an_entry_where_a_position_needs_one(logs):
    logs.open("aa", 5000)
    assert logs.open("aa", 5000, "+", "4000-0+")[:2] == [0, 0]
    assert logs.entries(0) == logs.entries(1) == ["5000-0"], "there is one"
    logs.client.xtrim("log0", maxlen=0)
    logs.client.xtrim("log1", maxlen=0)
    assert logs.open("aa", 5000, "+", "4000-0")[:2] == [0, 0]
    assert len(logs.entries(0)) == 1 and not logs.entries(1)


def test_logs_are_opened_at_the_memory_limit_and_beside_a_foreign_key(logs):
    logs.client.set("pos1", "foreign")
    logs.client.config_set("maxmemory", 1)
    assert logs.open("aa", 5000)[:2] == [1, 0]
    assert logs.entries(0) == ["5000-0"] and not logs.client.exists("log1")
    logs.client.delete("pos1")
    logs.client.config_set("maxmemory", 0)
    logs.client.set("log1", "foreign")
    assert logs.open("aa", 5000)[:2] == [0, 0] and logs.client.hget("pos1", "life") is None


@pytest.mark.parametrize("sums,neighbours,left", [
    ("3-0 ab", "6-1 ab", ["6-0", "6-1", "6-2"]), ("6-1 ab", "3-0 ab", ["6-0", "6-1", "6-2"]),
    ("6-0 ab", "6-1 ab", ["6-1", "6-2"]), ("6-1 ab", "6-0 ab", ["6-1", "6-2"]), ("6-2 ab", "6-2 ab", []),
    ("0-0 ab", "6-1 ab", None), ("6-1 ab", "6-1 ac", None), ("6-1 ac", "6-1 ab", None), ("6-1 ac", "6-1 ac", None),
    ("6-1", "6-1", None), ("6-1 ab", None, None), (None, "6-1 ab", None), ("6-1 abc", "6-1 ab", None), ("x ab", "6-1 ab", None),
])
def test_a_log_is_trimmed_to_what_both_projections_have_passed_in_these_lives(logs, sums, neighbours, left):
    whole = ["1-0", "3-0", "6-0", "6-1", "6-2"]
    for entry in whole:
        logs.client.xadd("log0", {"1": "x"}, entry)
        logs.client.xadd("log1", {"1": "x"}, entry)
    logs.position(0, **{name: value for name, value in (("sums", sums), ("neighbours", neighbours)) if value})
    logs.position(1, sums="1-0 ab", neighbours="3-0 ab")
    assert logs.trim("ab", "another life") == 0 and logs.entries(0) == logs.entries(1) == whole
    life = logs.client.info("replication")["master_replid"]
    left = whole if left is None else left
    assert logs.trim("ab", life) == 1 + len(whole) - len(left)
    assert logs.entries(0) == left and logs.entries(1) == whole[1:], "each by its own"


@pytest.mark.parametrize("last,left", [("0-1", 5), ("3-0", 3), ("5-9", 3), ("6-0", 2), ("6-1", 1), ("7-0", 1)])
def test_a_log_is_trimmed_no_further_than_the_caller_allows(logs, last, left):
    for entry in ("1-0", "3-0", "6-0", "6-1", "6-2"):
        logs.client.xadd("log0", {"1": "x"}, entry)
    logs.position(0, sums="6-1 ab", neighbours="6-1 ab")
    logs.trim("ab", last=(last, "9-9"))
    assert len(logs.entries(0)) == left


def test_a_log_is_trimmed_where_redis_does_not_tell_its_life(logs):
    logs.client.xadd("log0", {"1": "x"}, "3-0")
    logs.position(0, sums="3-0 ab", neighbours="3-0 ab")
    assert logs.trim("ab") == 1 and not logs.entries(0)


# ---- Splitting

def record(buckets, voters, count):
    meta = b"\x01s\x01\0i" + b"\x037 1" + b"\x01\0c"
    inside = b"".join(struct.pack("<Q", voter) + vote for voter, vote in voters.items())
    return struct.pack("<BBBHHdII", 1, 3, 2, buckets, 23 + len(meta), 1.5, count, 7) + meta + inside


@pytest.mark.parametrize("count", [1, 33, 1300])
def test_splits_lose_no_voter_and_put_each_where_it_is_looked_for(count):
    """Linear hashing: with b buckets, L the largest power of two not above, bucket b - L is split by the next bit."""
    rng = random.Random(count)
    voters = {rng.randrange(2**64): struct.pack("<Bi", n % 2, n) for n in range(count)}
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("split"))
        client.set("i", record(0, voters, count))

        def split(buckets):
            level = 1
            while 2 * level <= max(buckets, 1):
                level *= 2
            source = buckets - level if buckets else 0
            return client.execute_command("EVALSHA", script, 3, "i", f"v:{source}", f"v:{buckets}", buckets, 2 * level, buckets), level

        for buckets in range(10):
            assert split(buckets)[0] == buckets + 1
            now, level = buckets + 1, 1
            while 2 * level <= now:
                level *= 2
            homes = [{} for _ in range(now)]
            for voter, vote in voters.items():
                home = voter % (2 * level)
                homes[home if home < now else home - level][struct.pack("<Q", voter)] = vote
            assert [client.hgetall(f"v:{n}") for n in range(now)] == homes, now
            assert client.get("i") == record(now, {}, count)
            assert split(buckets)[0] == now and client.get("i") == record(now, {}, count), "another was quicker"
        assert [client.hgetall(f"v:{n}") for n in range(now)] == homes
        client.delete("i")
        assert split(10)[0] == 0 and not client.exists("i"), "it is gone"


# ---- Editorial rules

def test_editorial_rules_that_have_ended_make_room_and_no_others():
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("editorial"))

        def put(field, value, now=1000, most=3):
            return client.execute_command("EVALSHA", script, 1, "e", field, now, most, value)

        assert [put("a", "0 {}"), put("b", "1000 {}"), put("c", "1001 {}")] == [1, 1, 1]
        assert put("b", "1000 {1}") == 1, "an existing one is set again, full or not"
        assert set(client.hkeys("e")) == {b"a", b"b", b"c"}
        assert put("d", "0 {}", now=999) == 0 and set(client.hkeys("e")) == {b"a", b"b", b"c"}, "none has ended"
        assert put("d", "0 {}") == 1 and client.hgetall("e") == {b"a": b"0 {}", b"c": b"1001 {}", b"d": b"0 {}"}
        assert put("x", "0 {}") == 0
        assert put("c", "") == 1 and set(client.hkeys("e")) == {b"a", b"d"}
        assert put("x", "0 {}") == 1 and put("y", "0 {}", now=5000) == 0 and client.hlen("e") == 3


def test_a_commit_beside_foreign_data_is_whole_and_asks_for_no_refill():
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("commit"))
        client.hset("pos", "plan", "p")
        client.set("foreign", "x")
        client.set("uniques", b"HYLL\1\0\0\0" + 8 * b"\0" + b"\xff")  # an invalid sketch
        client.rpush("list", "x")
        keys = ["sums", "floor", "pos", "s1", "s2", "good", "foreign", "uniques", "list"]
        commands = [("ZADD", 1, "-2", "b"), ("ZADD", 2, "-2", "b"), ("ZREM", 2, "c"), ("PFADD", 3, "v"), ("PFADD", 4, "v"), ("UNLINK", 4)]
        flat = [word for name, key, *words in commands for word in (name, key, len(words), *words)]
        rankings = [1, 10, "1:good", 0, "", 0, 2, 10, "1:foreign", 0, "-3", 0]
        assert client.execute_command("EVALSHA", script, len(keys), *keys, 0, 77, "", 2, 0, "5-0", 3, "6-1", 2, "one", "two", len(commands),
                                      *flat, 0, 2, *rankings) == [1, b"77", 0]
        assert client.hgetall("sums") == {b"version": b"77", b"0": b"5-0", b"3": b"6-1"}
        assert client.mget("s1", "s2", "foreign") == [b"one", b"two", b"x"]
        assert client.zrange("good", 0, -1, withscores=True) == [(b"b", -2)] and not client.exists("list")
        assert client.hget("pos", "plan") == b"p" and not client.exists("floor"), "nothing was cut, nothing is missing"
