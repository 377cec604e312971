# SPDX-License-Identifier: MIT
"""Calls of lua/vote.lua, put together as store/vote_writes.c does it, and their results. A vote is a dictionary; vote_of makes one."""
import struct

UNCHANGED, CHANGED, RETRY, CLASH, BROKEN, NO_CARD, CHANGED_TOLD = range(7)
STORED = CHANGED
NO_KIND = 255
NO_VOTE = struct.pack("<Bi", NO_KIND, 0)
NOW = 1700000000000
SITE_REF = 5
SITE = b"s"


def packed_name(name):
    return bytes([len(SITE)]) + SITE + struct.pack("<H", len(name)) + name


def call_of(votes, partitions, kinds):
    """As store/vote_writes.c puts it together."""
    votes.sort(key=lambda vote: (vote["item"].ref % partitions, vote["item"].ref))
    items, logs, buckets, names, entries, only, control = [], [], [], [], [], [], b""
    before = None
    for vote in votes:
        item = vote["item"]
        begins_group = before is None or item.ref % partitions != before.ref % partitions
        begins_item = begins_group or item is not before
        before = item
        if begins_item:
            items.append(item.tag(partitions) + b"i%d" % item.ref)
        named = begins_item or vote["name"] != names[-1]
        if named:
            names.append(vote["name"])
        if begins_group:
            logs.append(item.tag(partitions) + b"log")
            entries.append(struct.pack("<d", NOW))
        if vote["buckets"]:
            buckets.append(item.tag(partitions) + b"v%d:%d" % (item.ref, vote["voter"] % vote["buckets"]))
        if vote["only"]:
            only.append(vote["only"])
        in_buckets = any(other["buckets"] for other in votes if other["item"].ref % partitions == item.ref % partitions)
        flags = begins_item + 2 * begins_group + 4 * vote["needs_card"] + 8 * vote.get("dated", False) + 16 * bool(vote["only"]) \
            + 32 * (vote["kind"] == NO_KIND) + 64 * (begins_group and in_buckets) + 128 * named
        control += struct.pack("<BH", flags, vote["buckets"])
        entries[-1] += b"B" + struct.pack("<QQQ", item.ref, SITE_REF, vote["voter"]) + vote["packed"] + NO_VOTE
    keys = items + logs + buckets
    return keys, [struct.pack("<BHHH", kinds, len(items), len(logs), len(names)) + control, *names, *entries, *only]


def results_of(reply, kinds):
    """Of each vote: status, kind now (None: as asked), buckets, voters and counts."""
    data, at, results = reply[0], 0, []
    while at < len(data):
        if data[at] == STORED:
            fields = struct.unpack_from(f"<BBBHHd{kinds}I", data, at)
            at += 15 + 4 * kinds
            assert fields[1] < 2 and fields[2] == kinds, "no base, and no kind that the caller does not know"
            results.append((CHANGED, None, fields[3], sum(fields[6:]), *fields[6:]))
        else:
            fields = struct.unpack_from(f"<BBII{kinds}Q", data, at)
            at += 10 + 8 * kinds
            results.append((CHANGED if fields[0] == CHANGED_TOLD else fields[0], *fields[1:]))
    return results


def vote_of(item, voter, kind, **more):
    return {"item": item, "name": packed_name(item.name), "voter": voter, "kind": kind, "buckets": item.buckets, "needs_card": False,
            "packed": struct.pack("<Bi", kind, 0 if kind == NO_KIND else 9), "only": b"", **more}
