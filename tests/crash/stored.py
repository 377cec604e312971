# SPDX-License-Identifier: MIT
"""What Redis holds when all is quiet, of all partitions: items, voters, sums, totals, rankings, applied ids, offsets."""
import contextlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from packed import VOTE, Sums, read_item, read_sums
from tailer import id_of, tag_of

AT_ONCE, SCANNED_AT_ONCE = 1000, 5000
PROJECTIONS = ("sums", "near")


@dataclass
class Part:
    """A partition."""

    number: int
    items: dict = field(default_factory=dict)  # by reference
    sums: dict = field(default_factory=dict)  # by reference
    voters: dict = field(default_factory=lambda: defaultdict(Counter))  # in buckets: by reference, kinds
    totals: dict = field(default_factory=dict)  # by site's reference
    rankings: dict = field(default_factory=dict)  # by key after the tag: {item's id: score}
    cutoffs: dict = field(default_factory=dict)
    period_cutoffs: dict = field(default_factory=dict)  # by the period's name
    applied: dict = field(default_factory=dict)  # by projection: {source: id}
    offsets: dict = field(default_factory=dict)  # by projection: id
    last: tuple = (0, 0)  # id of the log
    began: tuple = (0, 0)  # the first id of the present life


def numbers(fields):
    return {int(name): id_of(value) for name, value in fields.items() if name.isdigit()}


def offset_of(text):
    return id_of(text.split()[0]) if text else (0, 0)


def scan(client):
    """All names of keys by their tag. SCAN may give one twice."""
    names = defaultdict(set)
    for key in client.scan_iter("{e*", count=SCANNED_AT_ONCE):
        tag, brace, name = key.decode().partition("}")
        names[tag + brace].add(name)
    return names


def read_part(client, names, number, partitions):
    part, tag = Part(number), tag_of(number, partitions)
    keys = defaultdict(set)
    for name in names[tag]:
        keys[name[0] if len(name) > 16 else name].add(name)
    read_strings(client, part, tag, keys)
    for name in keys["v"]:
        kinds = [value[0] for value in client.hgetall(tag + name).values() if len(value) == VOTE]
        part.voters[int(name[1:17], 16)].update(kinds)
    for name in keys["r"]:
        part.rankings[name] = {member.decode(): score for member, score in client.zrange(tag + name, 0, -1, withscores=True)}
    part.cutoffs = {name.decode(): float(value) for name, value in client.hgetall(tag + "floor").items()}
    for name in (name for name in names[tag] if name.startswith("floor@")):
        part.period_cutoffs[name[6:]] = {field.decode(): float(value) for field, value in client.hgetall(tag + name).items()}
    part.applied = {name: numbers(client.hgetall(tag + name)) for name in PROJECTIONS}
    positions = client.hgetall(tag + "pos")
    part.offsets = {name: offset_of(positions.get(other)) for name, other in zip(PROJECTIONS, (b"sums", b"neighbours"))}
    part.began = int(positions.get(b"life", b":0").rpartition(b":")[2] or 0), 0
    if keys["log"]:
        part.last = id_of(client.xinfo_stream(tag + "log")["last-generated-id"])
    return part


def read_strings(client, part, tag, keys):
    for letter, read, into in (("i", read_item, part.items), ("s", read_sums, part.sums), ("t", read_sums, part.totals)):
        names = sorted(keys[letter])
        for begin in range(0, len(names), AT_ONCE):
            some = names[begin:begin + AT_ONCE]
            for name, packed in zip(some, client.mget([tag + name for name in some])):
                if packed is not None:
                    into[int(name[1:], 16)] = read(packed)


def sums_of(part, item):
    return part.sums.get(item) or Sums()


def read_parts(service):
    """Of each partition, from the Redis that serves it. Each Redis is looked through once."""
    parts, scanned = [], {}
    for log in service.tailer.logs:
        with contextlib.closing(service.serving(log.key)) as client:
            address = str(client.connection_pool.connection_kwargs)
            scanned[address] = scanned.get(address) or scan(client)
            parts.append(read_part(client, scanned[address], log.partition, service.tailer.partitions))
    return parts
