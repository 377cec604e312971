# SPDX-License-Identifier: MIT
"""A Redis that has lost its latest writes (a restore, a failover, a power cut): what it still holds is projected exactly
once, and no new entry is taken for an old one."""
import contextlib
import json
import os
import re
import signal
import time

import pytest

from support.fault_service import FaultService
from support.processes import stat_fields
from support.redis_server import Keeper
from support.wait import wait_until

SITE = "/v1/s"


@contextlib.contextmanager
def serving(partitions=4, **settings):
    with Keeper() as server, FaultService(server, partitions=partitions, log_level="info", **settings) as service:
        service.start_projector()
        yield server, service


def call(service, method, path, body=None, **options):
    """Repeated until it is accepted, because a connection that was cut may not be back yet."""
    answered = []

    def is_taken():
        with contextlib.suppress(OSError):
            answered[:] = [service.client().call(method, path, body, **options)]
        return answered and answered[0][0] < 500

    wait_until(is_taken, 15, lambda: f"{method} {path}: {answered}")
    return json.loads(answered[0][1]) if answered[0][1] else None


def events(service, rows, wait=False):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    done = []

    def is_taken():
        done[:] = [call(service, "POST", f"{SITE}/events{'?wait=true' if wait else ''}", text, kind="application/x-ndjson")]
        return done[0]["accepted"] == len(rows)

    wait_until(is_taken, 15, lambda: done)


def view(item, visitor, when=None):
    return {"type": "view", "item": item, "visitor": visitor, **({"time": when} if when else {})}


def views(service, item):
    return call(service, "GET", f"{SITE}/items?id={item}&id=-{time.monotonic_ns()}")["items"][0]["views"]


def related(service, item):
    """No body that is in memory already."""
    path = f"{SITE}/items/{item}/related?limit=20&exclude={time.monotonic_ns()}"
    return {one["item"]: one["reason"] for one in call(service, "GET", path)["items"]}


def positions(client):
    return {key: client.hgetall(key) for key in client.scan_iter("{*}pos")}


@pytest.mark.parametrize("way", ["start_again", "replace"])
def test_coviews_in_a_log_that_comes_back_are_learned(way):
    """The projection of neighbours had passed them in the life that was lost, and was idle when they came back."""
    with serving(neighbour_interval="1h") as (server, service):
        now = time.time()
        events(service, [view("c", "first")], wait=True)
        events(service, [view(item, f"v{n}", now - 60 + 10 * at) for n in range(50) for at, item in enumerate("ab")])
        wait_until(lambda: views(service, "b") == 50, 10, "sums are projected, neighbours are not")
        assert related(service, "a").get("b") == "popular"
        server.keep()
        events(service, [view("c", "w")], wait=True)
        assert related(service, "a").get("b") == "related"
        getattr(server, way)()
        events(service, [view("c", f"x{n}") for n in range(20)])
        wait_until(lambda: views(service, "c") >= 21, 10, lambda: f"views of c: {views(service, 'c')}")
        assert views(service, "b") == 50
        events(service, [view("c", "y")], wait=True)
        wait_until(lambda: related(service, "a").get("b") == "related", 5, lambda: f"related of a: {related(service, 'a')}")
        assert views(service, "b") == 50


def test_positions_hold_in_the_lives_in_which_they_were_reached():
    with serving() as (server, service):
        events(service, [view("a", f"v{n}") for n in range(10)], wait=True)
        before = positions(server.client())
        assert len(before) == 4
        for held in before.values():
            assert held[b"life"].decode().split(":")[0] == server.client().info("replication")["master_replid"]
            assert len({held[field].split(b" ")[1] for field in (b"sums", b"neighbours")}) == 1, held
        server.keep()
        server.start_again()
        wait_until(lambda: all(after[b"life"] != before[key][b"life"] and after[b"sums"].split(b" ")[1] != before[key][b"sums"].split(b" ")[1]
                               for key, after in positions(server.client()).items()), 15, "reached again in the new life")
        assert views(service, "a") == 10


def test_no_id_of_a_later_life_is_below_any_id_of_an_earlier_one():
    def last_ids(client):
        return {key: [int(part) for part in client.xinfo_stream(key)["last-generated-id"].split(b"-")] for key in client.scan_iter("{*}log")}

    with serving() as (server, service):
        events(service, [view("a", f"v{n}") for n in range(10)], wait=True)
        server.keep()
        events(service, [view(f"i{n}", f"w{n}") for n in range(100)], wait=True)
        lost, began = last_ids(server.client()), time.time()
        server.start_again()
        events(service, [view(f"j{n}", f"x{n}") for n in range(100)], wait=True)
        after = last_ids(server.client())
        assert all(after[key] > lost[key] for key in lost), (lost, after)
        assert all(ms > (began + 50) * 1000 for ms, _ in after.values()), "ahead of any clock that is less than a minute off"
        assert sum(views(service, f"j{n}") for n in range(100)) == 100 and views(service, "a") == 10


def test_data_that_is_flushed_under_the_service_does_not_stop_the_count():
    """The logs' ids begin again, below the offsets that the projections remember."""
    with serving() as (server, service):
        events(service, [view("a", f"v{n}") for n in range(10)], wait=True)
        server.client().flushall()
        wait_until(lambda: len(positions(server.client())) == 4, 5, "the logs are opened again")
        events(service, [view("a", f"w{n}") for n in range(10)])
        wait_until(lambda: views(service, "a") == 10, 10, lambda: f"views of a: {views(service, 'a')}")


def test_a_position_of_format_2_is_read_as_none_and_the_marks_tell_what_is_applied():
    with serving(neighbour_interval="1h") as (server, service):
        client = server.client()
        events(service, [view("c", "first")], wait=True)
        events(service, [view(item, f"v{n}") for n in range(10) for item in "ab"])
        wait_until(lambda: views(service, "b") == 10, 10, "sums are projected")
        service.projectors[-1].kill()
        service.projectors[-1].wait()
        events(service, [view("b", f"w{n}") for n in range(10)])
        for key, held in positions(client).items():
            client.hset(key, mapping={field: held[field].split(b" ")[0] for field in (b"sums", b"neighbours") if field in held})
        service.start_projector()
        wait_until(lambda: views(service, "b") == 20, 10, lambda: f"views of b: {views(service, 'b')}")
        events(service, [view("c", "w")], wait=True)
        assert (views(service, "a"), views(service, "b")) == (10, 20)
        assert related(service, "a").get("b") == "related"
        assert all(b" " in held[b"sums"] for held in positions(client).values())


@pytest.mark.parametrize("partitions,target", [(4, 2), (4, 3), (200, 2), (200, 64), (200, 199)])
def test_a_log_that_is_behind_its_marks_is_raised_and_that_is_counted(partitions, target):
    """Data was lost and the clocks differ by more than a minute: new entries must not be taken as projected already."""
    with serving(partitions) as (server, service):
        client = server.client()
        events(service, [view("a", f"v{n}") for n in range(10)], wait=True)
        ahead = f"{int(time.time() * 1000) + 3600000}-5"
        tags = {int(re.match(rb"{e(\d+)", key)[1]): key[:-3] for key in client.scan_iter("{*}pos", 1000)}
        client.hset(tags[target] + b"sums", "1", ahead)
        client.client_kill_filter(_type="normal", skipme=True)
        wait_until(lambda: "raised" in service.log(), 10, "said so")
        assert client.xinfo_stream(tags[1] + b"log")["last-generated-id"] > ahead.encode()
        events(service, [view(f"i{n}", f"w{n}") for n in range(200)], wait=True)
        assert sum(views(service, f"i{n}") for n in range(200)) == 200


def test_a_projector_that_slept_through_a_restore_projects_what_came_back():
    """It remembers positions that lie beyond entries which are there again, and ids are handed out a second time."""
    with serving() as (server, service):
        events(service, [view("a", "first")], wait=True)
        projector = service.projectors[-1].pid
        os.kill(projector, signal.SIGSTOP)
        for n in range(20):
            events(service, [view("b", f"v{5 * n + i}") for i in range(5)])
        server.keep()
        os.kill(projector, signal.SIGCONT)
        for n in range(20):
            events(service, [view(f"lost{n}", f"w{n}")], wait=n == 19)
        assert views(service, "b") == 100
        os.kill(projector, signal.SIGSTOP)
        server.replace()
        for n in range(60):
            events(service, [view("c", f"x{n}")])
        os.kill(projector, signal.SIGCONT)
        wait_until(lambda: (views(service, "b"), views(service, "c")) == (100, 60), 10,
                   lambda: f"b: {views(service, 'b')} of 100, c: {views(service, 'c')} of 60")
        events(service, [view("c", "last")], wait=True)
        assert (views(service, "b"), views(service, "c"), views(service, "lost7")) == (100, 61, 0)


def versions(client):
    return {key: client.hget(key, "version") for key in client.scan_iter("{*}sums")}


def test_a_projector_that_slept_before_a_commit_through_a_restore_writes_nothing_of_what_was_undone():
    """The version that it has read is there again, in another life."""
    with serving(neighbour_interval="1h") as (server, service):
        client = server.client()
        events(service, [view("a", "first")], wait=True)
        service.projectors[-1].terminate()
        service.projectors[-1].wait()
        server.keep()
        kept = versions(client)
        projector = service.start_projector("commit-chunk-before:1:stop")
        events(service, [view("a", "undone")])
        wait_until(lambda: stat_fields(projector.pid)[:1] == [b"T"], 10, "it has not come to the commit")
        assert versions(client) == kept
        lives = {key: held[b"life"] for key, held in positions(client).items()}
        server.replace()
        wait_until(lambda: all(held[b"life"] != lives[key] for key, held in positions(client).items()), 10, "the logs are not opened")
        assert versions(client) == kept, "nobody has written meanwhile"
        projector.send_signal(signal.SIGCONT)
        events(service, [view("b", "second")], wait=True)
        assert (views(service, "a"), views(service, "b")) == (1, 1)
