# SPDX-License-Identifier: MIT
"""lua/vote.lua does the same as a model in Python, byte by byte: replies, records and log entries. Random batches use items
with few and with many voters, with cards and base counts, with more and fewer kinds, corrupt ones and wrong types."""
import os
import random
import struct

import pytest

from support.program import script_text
from support.redis_server import RedisServer
from support.vote_calls import (BROKEN, CHANGED, CLASH, NO_CARD, NO_KIND, NO_VOTE, NOW, RETRY, SITE_REF, UNCHANGED, call_of, packed_name,
                                results_of, vote_of)

# What it tries is no C: under sanitizers it would be the same.
pytestmark = pytest.mark.skipif(bool(os.environ.get("SHORT_TESTS")), reason="nothing of the program")


class Item:
    def __init__(self, ref, buckets=0, has_card=False, base=(), kinds=2):
        self.ref, self.buckets, self.has_card, self.base = ref, buckets, has_card, list(base)
        self.name = b"item %d" % ref
        self.counts, self.voters, self.exists, self.foreign = [0] * kinds, {}, False, False

    def tag(self, partitions):
        return b"{e%d}" % (self.ref % partitions)

    def record(self):
        base = b" ".join(b"%d" % number for number in self.base)
        meta = packed_name(self.name) + bytes([len(base)]) + base + b"\0\0"
        flags = self.has_card + 2 * bool(self.base)
        kinds = len(self.counts)
        inside = b"" if self.buckets else b"".join(struct.pack("<Q", voter) + vote for voter, vote in self.voters.items())
        return struct.pack("<BBBHHd", 1, flags, kinds, self.buckets, 15 + 4 * kinds + len(meta), 0) \
            + struct.pack(f"<{kinds}I", *self.counts) + meta + inside

    def bucket(self, voter):
        return voter % self.buckets

    def decide(self, vote, kinds):
        """Status, kind now, and the log's record or None."""
        if self.foreign:
            return BROKEN, NO_KIND, None
        if vote["name"] != packed_name(self.name):
            return CLASH, NO_KIND, None
        if vote["buckets"] != self.buckets:
            return RETRY, NO_KIND, None
        if vote["needs_card"] and not self.has_card:
            return NO_CARD, NO_KIND, None
        held, kind = self.voters.get(vote["voter"]), vote["kind"]
        if kind == NO_KIND:
            if held is None or (vote["only"] and vote["only"] != held):
                return UNCHANGED, held[0] if held else NO_KIND, None
            del self.voters[vote["voter"]]
        else:
            if held and held[0] == kind:
                return UNCHANGED, kind, None
            self.counts += [0] * (kinds - len(self.counts))  # the record is written again
            self.voters.pop(vote["voter"], None)  # the latest is the last
            self.voters[vote["voter"]] = vote["packed"]
            self.counts[kind] += 1
        self.counts += [0] * (kinds - len(self.counts))
        if held:
            self.counts[held[0]] -= 1
        record = b"B" + struct.pack("<QQQ", self.ref, SITE_REF, vote["voter"]) + vote["packed"] + (held or NO_VOTE)
        return CHANGED, kind, record

    def shown(self, kinds):
        if self.foreign:
            return (0, 0, *[0] * kinds)
        base = self.base[1:] + [0] * kinds
        counts = self.counts + [0] * kinds
        return (self.buckets, sum(self.counts), *[counts[i] + base[i] for i in range(kinds)])


def make_vote(rng, item, kinds):
    kind = rng.choice([NO_KIND, *range(kinds)])
    time = 0 if kind == NO_KIND else rng.randrange(1, 50)
    vote = {"item": item, "name": packed_name(item.name), "voter": 2**40 + rng.randrange(40), "kind": kind,
            "buckets": item.buckets, "needs_card": rng.random() < 0.1, "packed": struct.pack("<Bi", kind, time), "only": b""}
    if kind == NO_KIND and rng.random() < 0.3:
        vote["only"] = item.voters.get(vote["voter"], b"\0\1\0\0\0") if rng.random() < 0.6 else b"\1\2\0\0\0"
    if rng.random() < 0.03:
        vote["name"] = packed_name(b"another")
    if rng.random() < 0.03:
        vote["buckets"] = 0 if item.buckets else 1
    return vote


def expected_of(votes, partitions, kinds):
    results, records = [], {}
    for vote in votes:
        item = vote["item"]
        status, kind, record = item.decide(vote, kinds)
        if record:
            item.exists = True
            records.setdefault(item.tag(partitions) + b"log", []).append(record)
        results.append((status, kind, *item.shown(kinds)))
    return results, records


def check_stored(client, items, partitions):
    for item in items:
        tag = item.tag(partitions)
        if item.foreign:
            continue
        assert client.get(tag + b"i%d" % item.ref) == (item.record() if item.exists else None), item.name
        for number in range(item.buckets):
            expected = {struct.pack("<Q", voter): vote for voter, vote in item.voters.items() if item.bucket(voter) == number}
            assert client.hgetall(tag + b"v%d:%d" % (item.ref, number)) == expected, (item.name, number)


@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_random_batches_are_decided_stored_and_logged_as_the_model_says(kinds):
    rng, partitions = random.Random(kinds), 3
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("vote"))
        items = [Item(ref, buckets=(0, 0, 2)[ref % 3] if ref > 3 else 1, has_card=ref % 2, base=[7, 100, 50] if ref % 4 in (1, 2) else [],
                      kinds=2 if ref % 5 == 0 else kinds) for ref in range(1, 13)]
        for item in items:
            if len(item.counts) == 2:  # by one who knows the second kind
                item.voters, item.counts = {999: b"\1\5\0\0\0"}, [0, 1]
            if item.voters and item.buckets:
                client.hset(item.tag(partitions) + b"v%d:%d" % (item.ref, item.bucket(999)), struct.pack("<Q", 999), item.voters[999])
            item.exists = bool(item.buckets or item.has_card or item.base or item.voters)
            if item.exists:
                client.set(item.tag(partitions) + b"i%d" % item.ref, item.record())
        items.append(Item(13))
        items[-1].foreign = True
        client.rpush(items[-1].tag(partitions) + b"i13", "x")
        for _ in range(400):
            votes = [make_vote(rng, rng.choice(items), kinds) for _ in range(rng.choice([1, 3, 30]))]
            keys, arguments = call_of(votes, partitions, kinds)
            logged = {key: client.xlen(key) for key in (b"{e%d}log" % n for n in range(partitions))}
            results, records = expected_of(votes, partitions, kinds)
            reply = client.execute_command("EVALSHA", script, len(keys), *keys, *arguments)
            told = results_of(reply, kinds)
            assert [one if one[1] is not None else (one[0], asked[1], *one[2:]) for one, asked in zip(told, results)] == results
            ids = reply[1].split(b" ")[:-1]
            groups = [key for key in keys if key.endswith(b"log")]
            assert len(ids) == len(groups)
            for key, entry in zip(groups, ids):
                assert bool(entry) == (key in records)
                if entry:
                    (last, fields), = client.xrevrange(key, count=1)
                    assert last == entry and fields == {b"1": struct.pack("<d", NOW) + b"".join(records[key])}
            for key, length in logged.items():
                assert client.xlen(key) == length + (key in records)
            check_stored(client, items, partitions)
        assert all(item.voters for item in items[:-1]), "all were voted on"


def statuses(reply, count):
    told = [one[0] for one in results_of(reply, 2)]
    assert len(told) == count
    return told


@pytest.fixture
def call():
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("vote"))

        def run(*votes):
            keys, arguments = call_of(list(votes), 2, 2)
            return client.execute_command("EVALSHA", script, len(keys), *keys, *arguments)

        yield client, run


def test_a_voter_is_found_at_the_beginning_of_an_entry_only(call):
    """Voters are found as texts in a text: the bytes of one may also occur where one entry ends and the next begins."""
    client, run = call
    item = Item(2)
    first = int.from_bytes(b"ABCDEFGH", "little")
    assert statuses(run(vote_of(item, first, 0), vote_of(item, 77, 0)), 2) == [CHANGED, CHANGED]
    record = client.get(b"{e0}i2")
    inside = record[-26:]
    assert inside[:8] == b"ABCDEFGH"
    for at in (1, 3, 5, 8, 12):
        across = int.from_bytes(inside[at:at + 8], "little")
        assert statuses(run(vote_of(item, across, NO_KIND)), 1) == [UNCHANGED], at
        assert statuses(run(vote_of(item, across, 1)), 1) == [CHANGED], at
        assert statuses(run(vote_of(item, across, NO_KIND)), 1) == [CHANGED], at
        assert client.get(b"{e0}i2") == record
    assert client.xlen(b"{e0}log") == 1 + 2 * 5


def test_votes_of_a_partition_whose_log_is_foreign_change_nothing_and_others_are_counted(call):
    client, run = call
    client.set(b"{e0}log", "foreign")
    reply = run(vote_of(Item(2), 1, 0), vote_of(Item(4), 1, 0), vote_of(Item(3), 1, 0))
    assert statuses(reply, 3) == [BROKEN, BROKEN, CHANGED] and reply[1].split(b" ")[0] == b""
    assert not client.exists(b"{e0}i2", b"{e0}i4") and client.exists(b"{e1}i3")


def test_a_record_that_was_cut_anywhere_fails_its_vote_and_stays(call):
    client, run = call
    item = Item(2)
    whole = item.record()
    for length in range(1, len(whole)):
        client.set(b"{e0}i2", whole[:length])
        assert statuses(run(vote_of(item, 1, 0)), 1)[0] in (BROKEN, CLASH), length
        assert client.get(b"{e0}i2") == whole[:length]
    assert client.xlen(b"{e0}log") == 0


def test_with_a_foreign_log_no_bucket_is_touched(call):
    client, run = call
    client.set(b"{e0}log", "foreign")
    item = Item(2, buckets=2)
    client.set(b"{e0}i2", item.record())
    reply = run(vote_of(Item(4), 1, 0), vote_of(item, 4, 0), vote_of(item, 5, NO_KIND))
    assert statuses(reply, 3) == [BROKEN] * 3
    assert client.get(b"{e0}i2") == item.record() and sorted(client.keys()) == [b"{e0}i2", b"{e0}log"]


def test_a_bucket_that_is_foreign_spoils_its_votes_alone(call):
    client, run = call
    item = Item(2, buckets=2)
    client.set(b"{e0}i2", item.record())
    client.set(b"{e0}v2:0", "foreign")
    reply = run(vote_of(item, 4, 0), vote_of(item, 5, 0), vote_of(item, 6, NO_KIND))
    assert statuses(reply, 3) == [BROKEN, CHANGED, BROKEN]
    assert client.hgetall(b"{e0}v2:1") == {struct.pack("<Q", 5): b"\0\t\0\0\0"} and client.get(b"{e0}v2:0") == b"foreign"
    client.hset(b"{e0}v2:1", struct.pack("<Q", 7), b"torn")
    assert statuses(run(vote_of(item, 7, 0)), 1) == [BROKEN]


def test_of_needs_card_a_card_is_asked_not_a_base(call):
    client, run = call
    for ref, has_card, base, expected in ((2, False, [1, 2, 3], NO_CARD), (4, True, [1, 2, 3], CHANGED), (6, True, [], CHANGED),
                                          (8, False, [], NO_CARD)):
        item = Item(ref, has_card=has_card, base=base)
        client.set(b"{e0}i%d" % ref, item.record())
        assert statuses(run(vote_of(item, 1, 0, needs_card=True)), 1) == [expected], ref
    assert statuses(run(vote_of(Item(10), 1, 0, needs_card=True)), 1) == [NO_CARD] and not client.exists(b"{e0}i10")
