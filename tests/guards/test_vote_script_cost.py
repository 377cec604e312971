# SPDX-License-Identifier: MIT
"""What a batch of votes costs Redis: its commands, and its instructions beside those of the load test's yardstick, which is
one script call a vote. Both run in the same redis-server, so the ratio hardly depends on which one that is."""
import os
import random
import shutil
import struct

import pytest

from support.program import ROOT, script_text
from support.redis_server import RedisServer
from support.vote_calls import STORED, UNCHANGED, call_of, packed_name, results_of, vote_of

VOTES, PARTITIONS, CALLS = 32, 16, 150
INSTRUCTIONS_MOST = 0.42  # of the yardstick's vote; 0.39 when it was recorded


class Item:
    def __init__(self, number, buckets=0):
        self.ref, self.name, self.buckets = number * 0x9E3779B97F4A7C15 % 2**64, b"i%d" % number, buckets

    def tag(self, partitions):
        return b"{e%d}" % (self.ref % partitions)


def batch(rng, items):
    keys, arguments = call_of([vote_of(item, rng.randrange(2**63), 0) for item in items], PARTITIONS, 1)
    return [len(keys), *keys, *arguments]


def test_a_batch_is_one_mget_one_mset_and_an_entry_for_each_log():
    rng = random.Random(1)
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("vote"))
        items = [Item(number) for number in range(VOTES)]
        logs = len({item.ref % PARTITIONS for item in items})

        def commands_of(batch_items, call=None, expected=None):
            client.config_resetstat()
            reply = client.execute_command("EVALSHA", script, *(call or batch(rng, batch_items)))
            assert [result[0] for result in results_of(reply, 1)] == (expected or [STORED] * len(batch_items))
            stats = client.info("commandstats")
            return {name[len("cmdstat_"):]: one["calls"] for name, one in stats.items() if name not in ("cmdstat_evalsha", "cmdstat_config|resetstat")}

        assert commands_of(items) == {"mget": 1, "exists": 1, "mset": 1, "xadd": logs}, "of new items"
        assert commands_of(items) == {"mget": 1, "mset": 1, "xadd": logs}, "of items that are there"
        hot = Item(99, buckets=2)
        name = packed_name(hot.name)
        client.set(hot.tag(PARTITIONS) + b"i%d" % hot.ref, struct.pack("<BBBHHdI", 1, 0, 1, 2, 19 + len(name) + 3, 0, 40) + name + bytes(3))
        assert commands_of([hot, hot]) == {"mget": 1, "mset": 1, "xadd": 1, "xlen": 1, "hsetnx": 2}, "of an item with buckets"
        again = batch(rng, [hot])
        client.execute_command("EVALSHA", script, *again)
        assert commands_of([hot], again, [UNCHANGED]) == {"mget": 1, "xlen": 1, "hsetnx": 1, "hget": 1}, "of a vote made again"


def instructions(folder, calls):
    """Of a redis-server that lives for these calls, by callgrind."""
    profile = folder / f"counts{len(os.listdir(folder))}"
    server = RedisServer(unix=True, program=("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={profile}", "redis-server"), hz=1)
    with server:
        client = server.client()
        for script, arguments in calls:
            client.execute_command(*([b"EVALSHA", script, *arguments] if arguments else [b"SCRIPT", b"LOAD", script]))
        client.shutdown(nosave=True)
        server.process.wait()
    with open(profile, encoding="utf-8", errors="replace") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(("summary:", "totals:")))


def test_a_vote_costs_redis_less_than_half_of_the_yardsticks(tmp_path):
    if not shutil.which("valgrind"):
        pytest.skip("left out: no valgrind")
    rng = random.Random(2)
    with open(os.path.join(ROOT, "loadtest", "yardstick_vote.lua"), "rb") as file:
        yardstick = file.read()

    def each(text, made):
        """Instructions of one of `made` calls: a server's beginning and its end are in both counts."""
        with RedisServer() as server:
            script = server.client().script_load(text)
        few = [(text, None)] + [(script, arguments) for arguments in made[:len(made) // 5]]
        rest = [(script, arguments) for arguments in made[len(made) // 5:]]
        return (instructions(tmp_path, few + rest) - instructions(tmp_path, few)) / len(rest)

    ours = each(script_text("vote"), [batch(rng, [Item(rng.randrange(5000)) for _ in range(VOTES)]) for _ in range(CALLS)]) / VOTES
    theirs = each(yardstick, [[4, b"v:%d" % item, b"i:%d" % item, b"hot", b"day", b"u%d" % voter, b"i%d" % item, 1735689600]
                              for item, voter in ((rng.randrange(5000), rng.randrange(10**6)) for _ in range(20 * CALLS))])
    assert ours <= INSTRUCTIONS_MOST * theirs, f"{ours:,.0f} instructions of Redis a vote, the yardstick {theirs:,.0f}"
    print(f"{ours:,.0f} instructions of Redis a vote, the yardstick {theirs:,.0f}: {ours / theirs:.3f}")
