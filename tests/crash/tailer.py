# SPDX-License-Identifier: MIT
"""Reads every log during the run, from whichever Redis serves it, and keeps every entry that was ever seen.

An entry is `lost` while the log that is served does not have it, though that log still has an earlier one: a failover or
a restore has undone it. What lies before a log's first entry was trimmed, and its state stays as it was.

The tailer waits in XREAD, so it has an entry as soon as it is written. Whenever it has a new connection, when a life of
the log begins, and once in REREAD_S, it reads the whole log: another node may serve it.

Ids may come again. A life's first id is ahead of the clock and above the log's last id. When the last id is itself far ahead,
as the clock was once, the first id of the next life is that of the next millisecond. So what was written after a backup and
what is written after its restore have the same ids. Therefore XREAD reads on from the last id that the log says it has, never
from the highest one that was ever seen. What another history had under such ids is lost (Log.begin).
"""
import bisect
import contextlib
import itertools
import threading
from dataclasses import dataclass

import redis
from redis.crc import key_slot

from history import now
from packed import read_entry

BLOCK_MS, REREAD_S, PAUSE_S = 500, 2.0, 0.02
LIFE_BEGINS = bytes(8) + b"F"  # the entry that lua/open.lua writes
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


@dataclass
class Whole:
    """A log at one instant."""

    rows: list
    added: int  # entries that it ever had
    last: tuple  # the id of the last one, which may be trimmed
    life: bytes = b""
    began: tuple = (0, 0)  # the first id of this life


class Log:
    """All that was seen of one log."""

    def __init__(self, partition, key):
        self.partition, self.key = partition, key
        self.entries, self.order = {}, []  # by id; the ids, sorted
        self.replaced = []  # entries whose id another one has now
        self.fallen = []  # (id, the entries with a higher one that were there before it)
        self.missed = 0  # entries that were trimmed before they were seen
        self.position, self.lives = (0, 0), set()  # where XREAD reads on; the lives that were read
        self.lock = threading.Lock()

    def all(self):
        return [*self.entries.values(), *self.replaced]

    def take(self, ident, value):
        known = self.entries.get(ident)
        if known and known.value == value:
            known.lost = False
            return
        if known:
            known.lost = True
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
            self.position = rows[-1][0]

    def since(self, ident):
        return self.order[bisect.bisect_left(self.order, ident):]

    def begin(self, whole):
        """Before the first reading of a connection. All ids of the present life are from its first one on. If the life is a new
        one, what was seen of them before is of another history: the ids have come again, or will. A life that was there before
        is that of older data: its ids up to the last one are what they were."""
        with self.lock:
            for ident in self.since(whole.began) if whole.life not in self.lives else ():
                self.entries[ident].lost = True

    def take_whole(self, whole):
        with self.lock:
            first = whole.rows[0][0] if whole.rows else (whole.last[0], whole.last[1] + 1)
            there = {ident for ident, _ in whole.rows}
            for ident in self.since(first):
                self.entries[ident].lost = ident not in there
            for ident, value in whole.rows:
                self.take(ident, value)
            before = self.order[:bisect.bisect_left(self.order, first)]
            trimmed = sum(not self.entries[ident].lost for ident in before)
            self.missed = max(0, whole.added - len(whole.rows) - trimmed)
            self.position = whole.last
            self.lives.add(whole.life)


def rows_of(reply):
    return [(id_of(entry[0]), entry[1][1] if entry[1][0] == b"1" else b"") for entry in reply or [] if entry[1]]


class Link:
    """One connection, which is never made again by itself: all that comes by it is of one history, because a restore ends all
    connections before it takes the data away."""

    def __init__(self, client):
        self.connection = client.connection_pool.make_connection()

    def close(self):
        self.connection.disconnect()

    def ask(self, *commands):
        """The replies, of which one may be an error."""
        self.connection.send_packed_command(self.connection.pack_commands(commands))
        return [self.connection.read_response() for _ in commands]

    def is_settled(self):
        """Not while a master's data is still to come."""
        role = self.ask(("ROLE",))[0]
        return role[0] == b"master" or role[3] == b"connected"

    def read_whole(self, logs):
        """Each log as it is, all at one instant."""
        parts = [(("XRANGE", log.key, "-", "+"), ("XINFO", "STREAM", log.key), ("HGET", log.key[:-len("log")] + "pos", "life"))
                 for log in logs]
        replies = self.ask(("MULTI",), *itertools.chain(*parts), ("EXEC",))[-1]
        return [whole_of(*replies[at:at + 3]) for at in range(0, len(replies), 3)]

    def read_on(self, logs):
        """What comes in BLOCK_MS: (log, rows)."""
        by_key = {log.key: log for log in logs}
        after = ["%d-%d" % log.position for log in logs]
        reply = self.ask(("XREAD", "COUNT", 1000, "BLOCK", BLOCK_MS, "STREAMS", *by_key, *after))[0]
        return [(by_key[key.decode()], rows_of(entries)) for key, entries in reply or []]


def whole_of(entries, about, life):
    if isinstance(about, redis.ResponseError):
        if "no such key" not in str(about):
            raise about
        about = []
    about = dict(zip(about[::2], about[1::2]))
    began = int((life or b"").rpartition(b":")[2] or 0)
    return Whole(rows_of(entries), about.get(b"entries-added", 0), id_of(about.get(b"last-generated-id", b"0-0")), life or b"", (began, 0))


def read_first(link, logs):
    for log, whole in zip(logs, link.read_whole(logs)):
        log.begin(whole)
        log.take_whole(whole)


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
        with contextlib.closing(Link(self.find(self.logs[0].key))) as link:
            if not link.is_settled():
                return
            read_first(link, self.logs)
            while not self.over.is_set():
                self.read_on(link)
                for log, whole in zip(self.logs, link.read_whole(self.logs)):
                    log.take_whole(whole)

    def read_on(self, link):
        """Until it is time to read the whole logs again."""
        end, begins = now() + REREAD_S, False
        while now() < end and not begins and not self.over.is_set():
            for log, rows in link.read_on(self.logs):
                log.take_some(rows)
                begins |= any(value == LIFE_BEGINS for _, value in rows)


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
            with contextlib.closing(Link(self.find(tail.logs[0].key))) as link:
                read_first(link, tail.logs)

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
