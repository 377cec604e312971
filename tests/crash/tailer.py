# SPDX-License-Identifier: MIT
"""Reads every log during the run, from whichever Redis serves it, and keeps every entry that was ever seen.

An entry is `lost` while the log that is served does not have it, though that log still has an earlier one: a failover or
a restore has undone it. What lies before a log's first entry was trimmed, and its state stays as it was.

The tailer waits in XREAD, so it has an entry as soon as it is written. Whenever a connection ends, and once in REREAD_S,
it reads the whole log: another node may serve it, or another life has begun.
"""
import bisect
import contextlib
import threading

import redis
from redis.crc import key_slot

from history import now
from packed import read_entry

BLOCK_MS, REREAD_S, PAUSE_S = 500, 2.0, 0.02
SLOTS, LETTERS = 16384, 26


def suffix(attempt):
    text = ""
    while attempt:
        attempt -= 1
        text += chr(ord("a") + attempt % LETTERS)
        attempt //= LETTERS
    return text


def tag_of(partition, partitions):
    """As src/model/keys.c makes it: the first whose slot is in the partition's share."""
    attempt = 0
    while True:
        tag = f"e{partition}{suffix(attempt)}"
        if key_slot(tag.encode()) * partitions // SLOTS == partition:
            return f"{{{tag}}}"
        attempt += 1


def id_of(text):
    ms, _, seq = text.decode().partition("-")
    return int(ms), int(seq or 0)


class Seen:
    """An entry."""

    __slots__ = ("ident", "value", "when", "lost", "_entry")

    def __init__(self, ident, value):
        self.ident, self.value, self.when, self.lost, self._entry = ident, value, now(), False, None

    @property
    def entry(self):
        if self._entry is None:
            self._entry = read_entry(self.value)
        return self._entry


class Log:
    """All that was seen of one log."""

    def __init__(self, partition, key):
        self.partition, self.key = partition, key
        self.entries, self.order = {}, []  # by id; ids as they came, which must rise
        self.replaced = []  # entries whose id another one has now
        self.fallen = []  # (id, the entries with a higher one that were there before it)
        self.missed = 0  # entries that were trimmed before they were seen
        self.lock = threading.Lock()

    def all(self):
        return [*self.entries.values(), *self.replaced]

    def last(self):
        return self.order[-1] if self.order else (0, 0)

    def take(self, ident, value):
        known = self.entries.get(ident)
        if known and known.value == value:
            known.lost = False
            return
        if known:
            self.replaced.append(known)
            self.entries[ident] = Seen(ident, value)
            return
        if self.order and ident < self.order[-1]:
            at = bisect.bisect(self.order, ident)
            self.fallen.append((ident, [self.entries[later] for later in self.order[at:]]))
            self.order.insert(at, ident)
        else:
            self.order.append(ident)
        self.entries[ident] = Seen(ident, value)

    def take_some(self, rows):
        with self.lock:
            for ident, value in rows:
                self.take(ident, value)

    def take_whole(self, rows, added):
        """The whole log, and how many entries were ever added to it."""
        with self.lock:
            first = rows[0][0] if rows else None
            there = {ident for ident, _ in rows}
            for ident in self.order[bisect.bisect_left(self.order, first):] if rows else []:
                self.entries[ident].lost = ident not in there
            for ident, value in rows:
                self.take(ident, value)
            before = self.order[:bisect.bisect_left(self.order, first)] if rows else self.order
            trimmed = sum(not self.entries[ident].lost for ident in before)
            self.missed = max(0, added - len(rows) - trimmed)


def rows_of(reply):
    return [(id_of(ident), fields.get(b"1", b"")) for ident, fields in reply or [] if fields is not None]


class Tail(threading.Thread):
    """Follows some logs that one Redis serves. `find(key)` gives its client; it raises an error of Redis when there is none."""

    def __init__(self, logs, find, over):
        super().__init__(daemon=True)
        self.logs, self.find, self.over = logs, find, over
        self.broken = None

    def run(self):
        try:
            while not self.over.is_set():
                with contextlib.suppress(redis.RedisError, OSError, AttributeError):  # redis-py stumbles over a reset Unix socket
                    self.follow()
                self.over.wait(PAUSE_S)
        except Exception as error:  # told by the run
            self.broken = f"the tailer of {self.logs[0].key}: {error!r}"
            raise

    def follow(self):
        with contextlib.closing(self.find(self.logs[0].key)) as client:
            read_whole(client, self.logs)
            end = now() + REREAD_S
            while now() < end and not self.over.is_set():
                after = {log.key: "%d-%d" % log.last() for log in self.logs}
                by_key = {log.key: log for log in self.logs}
                for key, entries in client.xread(after, count=1000, block=BLOCK_MS) or []:
                    by_key[key.decode()].take_some(rows_of(entries))


def read_whole(client, logs):
    """Each log in one transaction: entries and how many there ever were."""
    for log in logs:
        with client.pipeline(transaction=True) as pipeline:
            pipeline.xrange(log.key)
            pipeline.exists(log.key)
            rows, exists = pipeline.execute()
            added = client.xinfo_stream(log.key).get("entries-added", 0) if exists else 0
        log.take_whole(rows_of(rows), added)


class Tailer:
    """Of all logs: one thread where one Redis serves them, else one for each log."""

    def __init__(self, partitions, find, by_log, over, voids=()):
        self.partitions, self.find, self.over, self.voids = partitions, find, over, voids
        self.logs = [Log(number, tag_of(number, partitions) + "log") for number in range(partitions)]
        self.of_several = by_log
        parts = [[log] for log in self.logs] if by_log else [self.logs]
        self.tails = [Tail(part, find, over) for part in parts]

    def start(self):
        for tail in self.tails:
            tail.start()

    def join(self):
        for tail in self.tails:
            tail.join(10)

    def complaints(self):
        return [tail.broken for tail in self.tails if tail.broken]

    def reread(self):
        """When all is quiet: what is lost now is lost for good."""
        for tail in self.tails:
            with contextlib.closing(self.find(tail.logs[0].key)) as client:
                read_whole(client, tail.logs)

    def missed(self):
        return sum(log.missed for log in self.logs)

    def is_undone(self, seen):
        """Perhaps, by a restore: the log that is served then may have been trimmed since."""
        return any(begin <= seen.when and (end is None or seen.when <= end) for begin, _, _, end in self.voids)

    def is_lost(self, seen):
        """Gone by a failover, or undone."""
        return seen.lost or self.is_undone(seen)

    def lost(self):
        """(log, entry) of each that is."""
        return [(log, seen) for log in self.logs for seen in log.all() if self.is_lost(seen)]
