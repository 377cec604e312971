# SPDX-License-Identifier: MIT
"""The tailer has each entry of a log whose ids come again: Redis gets older data and gives the ids of what was undone once more."""
import contextlib
import threading

import pytest
import redis

import tailer
from support.redis_server import RedisServer
from support.wait import wait_until
from tailer import LIFE_BEGINS, Log, Tail, Whole

LOG, POS = "{e0}log", "{e0}pos"
SYNC_AT_ONCE = {"repl_diskless_sync_delay": 0}


def begin_life(client, life, ms):
    client.hset(POS, "life", f"{life}:{ms}")
    client.xadd(LOG, {"1": LIFE_BEGINS}, id=f"{ms}-0")


def add(client, ident, value):
    client.xadd(LOG, {"1": value}, id="%d-%d" % ident)


def is_replica(client):
    return client.info("replication").get("master_link_status") == "up"


def copy_of(server, copy):
    copy.client().replicaof("127.0.0.1", server.port)
    wait_until(lambda: is_replica(copy.client()), 20, "the copy has not come")
    copy.client().replicaof("NO", "ONE")


def put_back(server, copy):
    """As `engaged restore` does it."""
    client = server.client()
    client.replicaof("127.0.0.1", copy.port)
    client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    wait_until(lambda: is_replica(client), 20, "the data has not come")
    client.replicaof("NO", "ONE")


@pytest.fixture(name="tailed")
def make_tailed(monkeypatch):
    """A server, an empty copy, and a log that is followed; nobody reads it anew because time has passed."""
    monkeypatch.setattr(tailer, "REREAD_S", 3600)
    over = threading.Event()
    with RedisServer(**SYNC_AT_ONCE) as server, RedisServer(**SYNC_AT_ONCE) as copy:
        log = Log(0, LOG)
        tail = Tail([log], lambda _key: redis.Redis(port=server.port, socket_timeout=5), over)
        tail.start()
        yield server, copy, log
        over.set()
        tail.join()
        assert not tail.broken


def has(log, ident, value):
    return ident in log.entries and log.entries[ident].value == value


def test_ids_that_come_again_after_a_restore(tailed):
    server, copy, log = tailed
    client = server.client()
    begin_life(client, "first", 5)
    copy_of(server, copy)
    begin_life(client, "undone", 6)
    for number in (1, 2, 3):
        add(client, (6, number), f"undone {number}")
    wait_until(lambda: has(log, (6, 3), b"undone 3"), 20, "the tailer does not follow")
    undone = [log.entries[6, number] for number in (1, 2, 3)]
    put_back(server, copy)
    begin_life(client, "second", 6)
    add(client, (6, 1), "again")
    wait_until(lambda: has(log, (6, 1), b"again"), 20, "an id that came again is not seen")
    client.xtrim(LOG, maxlen=0)
    add(client, (6, 2), "again")
    wait_until(lambda: has(log, (6, 2), b"again"), 20, "the tailer does not follow any more")
    with contextlib.closing(tailer.Link(client)) as link:
        tailer.read_first(link, [log])
    assert all(seen.lost for seen in undone) and not log.entries[6, 1].lost and log.missed == 0


def read(log, rows, added, last, life):
    """By a new connection."""
    whole = Whole(rows, added, last, life.encode(), (int(life.rpartition(":")[2]), 0))
    log.begin(whole)
    log.take_whole(whole)


def test_what_was_trimmed_unseen_is_counted_where_ids_come_again():
    log = Log(0, LOG)
    read(log, [((6, 0), LIFE_BEGINS), ((6, 1), b"undone 1"), ((6, 2), b"undone 2")], 3, (6, 2), "undone:6")
    read(log, [], 3, (6, 2), "second:6")  # as many entries, of which nobody has seen one
    assert all(seen.lost for seen in log.all()) and log.missed == 3


def test_a_life_that_goes_on_loses_nothing():
    log = Log(0, LOG)
    read(log, [((6, 0), LIFE_BEGINS), ((6, 1), b"trimmed since")], 2, (6, 1), "same:6")
    read(log, [], 2, (6, 1), "same:6")
    assert not any(seen.lost for seen in log.all()) and log.missed == 0


def test_what_an_older_life_had_when_it_comes_back_is_not_lost():
    log = Log(0, LOG)
    read(log, [((5, 0), LIFE_BEGINS), ((5, 1), b"trimmed since")], 2, (5, 1), "first:5")
    read(log, [((5, 2), b"kept"), ((6, 0), LIFE_BEGINS), ((6, 1), b"undone")], 5, (6, 1), "undone:6")
    read(log, [((5, 2), b"kept")], 3, (5, 2), "first:5")
    assert {ident for ident, seen in log.entries.items() if seen.lost} == {(6, 0), (6, 1)} and log.missed == 0
    read(log, [((6, 1), b"again")], 5, (6, 1), "second:6")
    assert log.missed == 1, "the beginning of the second life was trimmed before it was seen"
