# SPDX-License-Identifier: MIT
"""Reads what the service has packed (src/model/item.h, sums.h, entry.h), in a reader of its own: it shares no code with it."""
import math
import struct
from dataclasses import dataclass, field

from support.packed import unpack_state

VIEWS = 8  # the signal of views; the kinds of vote come before it
NO_KIND = 255
VOTER, VOTE = 13, 5  # bytes
COVIEW_OLDEST_MS = 3 * 86400 * 1000


class Reader:
    def __init__(self, packed):
        self.packed, self.at = packed, 0

    def read(self, form):
        values = struct.unpack_from("<" + form, self.packed, self.at)
        self.at += struct.calcsize("<" + form)
        return values if len(values) > 1 else values[0]

    def text(self, form):
        size = self.read(form)
        self.at += size
        return self.packed[self.at - size:self.at]

    def is_done(self):
        return self.at >= len(self.packed)


@dataclass
class Item:
    name: tuple  # site, id
    buckets: int
    votes: list  # by kind
    voters: list  # kinds, of those inside
    has_card: bool
    has_base: bool
    categories: tuple = ()
    author: str = ""


def read_item(packed):
    reader = Reader(packed)
    _, flags, kinds, buckets, voters_at, _ = reader.read("BBBHHd")
    votes = list(struct.unpack_from(f"<{kinds}I", packed, reader.at))
    reader.at += 4 * kinds
    name = reader.text("B").decode(), reader.text("H").decode()
    reader.text("B")
    categories, _, author = reader.text("H").decode().partition("\x1e")
    voters = [packed[at + 8] for at in range(voters_at, len(packed), VOTER)] if buckets == 0 else []
    return Item(name, buckets, votes, voters, bool(flags & 1), bool(flags & 2),
                tuple(categories.split("\x1f")) if categories else (), author)


@dataclass
class Sums:
    counts: dict = field(default_factory=dict)  # by signal
    sums: dict = field(default_factory=dict)  # by half-life in ms: by signal
    series: dict = field(default_factory=dict)  # by signal: by grain: by number

    def count(self, signal):
        return self.counts.get(signal, 0)


def read_sums(packed):
    found = Sums()
    if not packed:
        return found
    reader = Reader(packed)
    _, lives, signals, _ = reader.read("BBBd")
    lives = [reader.read("Q") for _ in range(lives)]
    for _ in range(signals):
        signal, found.counts[signal] = reader.read("BQ")
        for life in lives:
            found.sums.setdefault(life, {})[signal] = reader.read("d")
    found.series = unpack_state(packed)[1]
    return found


def log2_of_sum(parts):
    """Of 2^a + 2^b …, with numbers that overflow."""
    most = max(parts)
    return most + math.log2(sum(2.0 ** (part - most) for part in parts))


# ---- Log entries


@dataclass
class View:
    item: int
    name: tuple
    visitor: int
    recent: list  # items that co-views touch


@dataclass
class Entry:
    views: list = field(default_factory=list)
    votes: list = field(default_factory=list)  # item, kind (None: taken back)
    reset: set = field(default_factory=set)  # items whose sums a script has set
    touched: tuple = field(default_factory=lambda: (set(), set()))  # items: by sums, by neighbours


def read_vote(reader, entry):
    item, _, _, kind, _, _, _ = reader.read("QQQBiBi")
    entry.votes.append((item, None if kind == NO_KIND else kind))
    entry.touched[0].add(item)


def read_view(reader, entry):
    item, visitor, when = reader.read("QQd")
    name, count = (reader.text("B").decode(), reader.text("H").decode()), reader.read("B")
    before = [reader.read("Qd") for _ in range(count)]
    recent = [other for other, time in before if other != item and 0 <= when - time <= COVIEW_OLDEST_MS]
    entry.views.append(View(item, name, visitor, recent))
    entry.touched[0].add(item)
    entry.touched[1].update([*recent, item] if recent else [])


def read_erasure(reader, entry):
    item = reader.read("Q")
    texts = [reader.text(form) for form in "BHHHH"]
    entry.reset.add(item)
    entry.touched[0].add(item)
    if texts[-1]:
        table = Reader(texts[-1])
        for _ in range(table.read("BdHdH")[-1]):
            entry.touched[1].add(table.read("Qf")[0])


def read_set(reader, entry):
    item = reader.read("Q")
    before, now = [reader.text(form) for form in "BHHH"][2:]
    entry.touched[0].add(item)
    if before or now:
        entry.reset.add(item)


def read_card(reader, entry):
    entry.touched[0].add(reader.read("Q"))
    reader.text("H")


RECORDS = {"B": read_vote, "W": read_view, "E": read_erasure, "S": read_set, "C": read_card, "F": lambda *_: None}


def read_entry(value):
    reader, entry = Reader(value), Entry()
    reader.read("d")
    while not reader.is_done():
        RECORDS[chr(reader.read("B"))](reader, entry)
    return entry
