# SPDX-License-Identifier: MIT
"""What people do to the Redis of a running service, and what is expected: what /readyz and the log say, what callers see
meanwhile, and what holds when the cause is gone. Always: 503 at worst, every call is answered, bodies in memory are
served, nothing acknowledged is lost, and the service recovers by itself."""
import contextlib
import dataclasses
import os
import resource
import socket
import threading
import time
from collections.abc import Callable

import pytest
import redis
from support.accepting import accept_all
from support.ports import free_port
from support.redis_server import RedisServer
from support.service import WaitingService
from support.wait import wait_until

SECONDS = 30
READERS = 5
KEPT, FROM_ZERO = "kept", "from zero"


class World:
    """A Redis of the test's own, and a service on it that has taken votes and a view."""

    def __init__(self, ending, options):
        self.server = RedisServer(appendonly="yes", enable_debug_command="yes", enable_protected_configs="yes", **options).start()
        self.client, self.port = self.server.client(), self.server.port
        self.stack = contextlib.ExitStack()
        self.service = ending(WaitingService(redis=self.server.url, redis_timeout="1s", view_window="1h"))
        self.service.wait_taken()
        for n in range(READERS - 1):
            assert self.service.vote(f"v{n}").status == 200
        assert self.service.keyed("POST", "/v1/s/items/a/views", Engaged_Visitor="v").json["counted"]
        wait_until(lambda: self.views() == 1 and self.top() == READERS, SECONDS, "not projected")
        wait_until(lambda: self.service.metrics()["engaged_redis_memory_bytes"], SECONDS, "not looked at")

    def views(self):
        return self.service.get("/v1/s/items/a").json["views"]

    def top(self):
        items = self.service.get("/v1/s/rankings/top").json["items"]
        return items[0]["votes"]["up"] if items else 0

    def config(self, **settings):
        for name, value in settings.items():
            self.client.config_set(name.replace("_", "-"), value)

    def drop_all(self):
        self.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


@dataclasses.dataclass
class Row:
    name: str
    do: Callable
    undo: Callable
    readyz: str  # what it says; "ready": nothing is seen of it
    status: int = 503  # of /readyz
    logged: str = ""
    writes: tuple = (503,)  # what callers of votes see
    after: str = KEPT
    options: dict = dataclasses.field(default_factory=dict)


def restart(world):
    with contextlib.suppress(redis.RedisError):
        world.client.shutdown(nosave=True)
    world.server.process.wait(30)


def start_again(world):
    world.server.start()


def limit_files(world):
    """As a full disk: what is appended fails. A write beyond the limit is an error, as Redis was told to pass over the signal."""
    size = max(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(world.server.directory) for name in names)
    resource.prlimit(world.server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    with contextlib.suppress(redis.ResponseError):  # a write of the service may have met the limit before
        world.client.set("filler", "x" * (1 << 20))


def free_files(world):
    resource.prlimit(world.server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def fail_snapshots(world):
    os.mkdir(os.path.join(world.server.directory, "a-folder"))
    world.config(save="3600 1", dbfilename="a-folder")
    world.client.bgsave()
    wait_until(lambda: world.client.info("persistence")["rdb_last_bgsave_status"] != "ok", 10, "the snapshot succeeds")


def mend_snapshots(world):
    world.config(dbfilename="dump.rdb")
    world.client.bgsave()


def run_for_ever(world):
    world.config(busy_reply_threshold=50)

    def run():
        with contextlib.suppress(redis.RedisError):
            redis.Redis(port=world.port).eval("while true do end", 0)

    thread = threading.Thread(target=run)
    thread.start()
    world.stack.callback(thread.join)


def swap(world):
    world.client.swapdb(0, 1)


def forget_and_drop(world):
    world.config(requirepass="another")
    world.drop_all()


def fill_connections(world):
    world.config(maxclients=1)
    world.drop_all()


def open_connections(world):
    world.config(maxclients=1000)


def watch_without_reading(world):
    monitor = world.stack.enter_context(socket.create_connection(("127.0.0.1", world.port)))
    monitor.sendall(b"MONITOR\r\n")


def votes_until(world, seconds, act):
    """Votes of one reader while something is done again and again: their statuses."""
    end, statuses = time.monotonic() + seconds, set()
    while time.monotonic() < end:
        act()
        statuses.add(world.service.vote("v0").status)
    return statuses


def flush_scripts(world):
    assert votes_until(world, 1, world.client.script_flush) == {200}


def drop_again_and_again(world):
    assert votes_until(world, 1, world.drop_all) <= {200, 503}


def take_place_of_record(world):
    world.kept_record = world.client.hgetall("engaged:meta")
    world.client.set("engaged:meta", "ours now")


def give_record_back(world):
    world.client.delete("engaged:meta")
    world.client.hset("engaged:meta", mapping=world.kept_record)


def record_other_partitions(world):
    world.client.hset("engaged:meta", "partitions", 8)


def record_right_partitions(world):
    world.client.hset("engaged:meta", "partitions", 16)


def add_a_kind(world):
    """As another service that knows one more would record it; and long enough for them to look."""
    world.client.hset("engaged:meta", "kinds", "up down")
    time.sleep(7)


def nothing(world):
    """The cause is gone by itself."""


TABLE = [
    Row("stopped, and started again on its data", restart, start_again, "connection refused", logged="connection refused"),
    Row("killed, and started again on its data", lambda w: w.server.kill(), start_again, "connection refused"),
    Row("its disk is full", limit_files, free_files, "MISCONF", status=200, logged="error: redis: MISCONF",
        options={"program": ("sh", "-c", 'trap "" XFSZ; exec redis-server "$@"', "sh")}),
    Row("its snapshots fail", fail_snapshots, mend_snapshots, "MISCONF", status=200, logged="error: redis: MISCONF"),
    Row("its memory is full", lambda w: w.config(maxmemory="1mb"), lambda w: w.config(maxmemory=0), "OOM", status=200,
        logged="error: redis: OOM"),
    Row("too few replicas", lambda w: w.config(min_replicas_to_write=1), lambda w: w.config(min_replicas_to_write=0),
        "NOREPLICAS", status=200, logged="error: redis: NOREPLICAS"),
    Row("somebody's script runs for ever", run_for_ever, lambda w: w.client.script_kill(), "BUSY", status=200,
        logged="BUSY"),
    Row("its password changes", forget_and_drop, lambda w: w.config(requirepass=""), "NOAUTH", logged="NOAUTH"),
    Row("made a replica", lambda w: w.client.replicaof("127.0.0.1", free_port()), lambda w: w.client.replicaof("NO", "ONE"),
        "a replica, not a master", logged="a replica, not a master"),
    Row("no more connections are taken", fill_connections, open_connections, "max number of clients", logged="max number"),
    Row("all are paused", lambda w: w.client.execute_command("CLIENT", "PAUSE", 4000, "ALL"), nothing, "no answer in time",
        logged="silent"),
    Row("it sleeps", lambda w: threading.Thread(target=lambda: redis.Redis(port=w.port).execute_command("DEBUG SLEEP", 4)).start(),
        nothing, "no answer in time", logged="silent"),
    Row("all is flushed", lambda w: w.client.flushall(), nothing, "ready", status=200, writes=(200, 503), after=FROM_ZERO),
    Row("another database takes its place", swap, swap, "ready", status=200, writes=(200, 503)),
    Row("connections are closed under load", drop_again_and_again, nothing, "ready", status=200, writes=(200, 503)),
    Row("scripts are flushed under load", flush_scripts, nothing, "ready", status=200, writes=(200,)),
    Row("append-only is turned off", lambda w: w.config(appendonly="no"), lambda w: w.config(appendonly="yes"), "ready",
        status=200, logged="appendonly was turned off", writes=(200,)),
    Row("idle connections are closed soon", lambda w: w.config(timeout=1), lambda w: w.config(timeout=0), "ready", status=200,
        writes=(200, 503)),
    Row("it goes on under another replication id", lambda w: w.client.execute_command("DEBUG", "CHANGE-REPL-ID"), nothing,
        "ready", status=200, writes=(200,)),
    Row("its clients may hold next to nothing", lambda w: w.config(client_output_buffer_limit="normal 1 0 0"),
        lambda w: w.config(client_output_buffer_limit="normal 0 0 0"), "ready", status=200, writes=(200, 503)),
    Row("its logs are deleted by hand", lambda w: w.client.delete(*w.client.keys("{e*log*")), nothing, "ready", status=200,
        writes=(200, 503)),
    Row("a MONITOR that nobody reads", watch_without_reading, nothing, "ready", status=200, writes=(200,)),
    Row("all is loaded again", lambda w: w.client.execute_command("DEBUG", "RELOAD"), nothing, "ready", status=200,
        writes=(200, 503)),
    Row("another program takes the place of its record", take_place_of_record, give_record_back, "engaged:meta is another",
        logged="engaged:meta is another"),
    Row("its record says other partitions", record_other_partitions, record_right_partitions, "partitions: the data has 8",
        logged="partitions: the data has 8"),
    Row("another service adds a kind of vote", add_a_kind, lambda w: w.client.hset("engaged:meta", "kinds", "up"), "ready",
        status=200, writes=(200,)),
    Row("its record is deleted", lambda w: w.client.delete("engaged:meta"), nothing, "ready", status=200, writes=(200,)),
]


def is_said(world, row):
    if row.status == 200 and row.readyz != "ready":
        world.service.vote("v", "other")  # Redis's own words come with a refusal
    status, text = world.service.trouble()
    return status == row.status and row.readyz in text


def meanwhile(world, row):
    """Every call is answered, writes as the row says, what is in memory at once."""
    for n in range(3):
        vote = world.service.vote("v", f"other{n}")
        assert vote.status in row.writes, (vote.status, vote.body)
        assert vote.status == 200 or vote.headers["retry-after"]
        if vote.status == 503 and row.status == 200 and row.readyz != "ready":
            assert row.readyz in vote.json.get("detail", ""), vote.body
    assert world.service.get("/v1/s/rankings/top").status == 200
    assert world.service.get("/healthz").status == 200


@pytest.mark.parametrize("row", TABLE, ids=[row.name.replace(" ", "-").replace(",", "") for row in TABLE])
def test_what_people_do_to_redis(ending, row):
    world = World(ending, row.options)
    world.stack.callback(world.server.stop)
    with world.stack:
        row.do(world)
        wait_until(lambda: is_said(world, row), SECONDS, lambda: f"{world.service.trouble()}\n{world.service.log()}")
        wait_until(lambda: row.logged in world.service.log(), SECONDS, world.service.log)
        meanwhile(world, row)
        row.undo(world)
        holds(world, row)


def holds(world, row):
    """The cause is gone: it takes votes, and has lost none."""
    voted = world.service.wait_taken(SECONDS, visitor="one more").json["votes"]["up"]
    kept = row.after == KEPT
    assert voted == (READERS + 1 if kept else 1), (voted, world.service.log())
    again = world.service.vote("afterwards").json["votes"]["up"]
    assert again == voted + 1
    counted = world.service.keyed("POST", "/v1/s/items/a/views", Engaged_Visitor="v").json["counted"]
    assert counted is not kept  # its history is there
    wait_until(lambda: world.views() == 1 and world.top() == again, SECONDS,
               lambda: f"{world.views()} {world.top()} {again}\n{world.service.log()}")
    wait_until(lambda: world.client.hget("engaged:meta", "partitions") == b"16", SECONDS, "no record")
    wait_until(lambda: world.service.trouble() == (200, "ready\n"), SECONDS, world.service.trouble)


# ---- At the start: what the setting `redis` may name by mistake (more in tests/roles/test_handshake.py)

class Talker:
    """A listener at the port that says something to each client and reads on."""

    def __init__(self, says):
        self.says, self.listener = says, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        accept_all(self.listener, self.serve)

    def serve(self, client):
        with client, contextlib.suppress(OSError):
            client.recv(4096)
            client.sendall(self.says)
            while client.recv(4096):
                pass

    def close(self):
        self.listener.close()


WRONG = [
    ("an HTTP server", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "not Redis's protocol"),
    ("a mail server", b"220 mail.example ESMTP\r\n", "not Redis's protocol"),
    ("a Redis in protected mode", b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n", "protected mode"),
    ("one that says nothing", b"", "no answer in time"),
]


@pytest.mark.parametrize("says,words", [row[1:] for row in WRONG], ids=[row[0].replace(" ", "-") for row in WRONG])
def test_what_listens_there_and_is_no_redis_is_named(ending, says, words):
    with contextlib.closing(Talker(says)) as talker:
        service = ending(WaitingService(redis=f"redis://127.0.0.1:{talker.port}", redis_timeout="1s"))
        service.wait_named(words)
        assert words in service.log() and service.vote("v").status == 503


def test_keys_of_another_program_are_left_alone_and_one_in_our_place_is_named(ending):
    with RedisServer() as server:
        client = server.client()
        client.mset({f"session:{n}": f"theirs {n}" for n in range(100)})
        client.zadd("ranking", {"a": 1})
        client.set("engaged:meta", "a note")
        service = ending(WaitingService(redis=server.url))
        service.wait_named("engaged:meta is another program's")
        assert client.get("engaged:meta") == b"a note" and client.dbsize() == 102
        client.delete("engaged:meta")
        service.wait_taken()
        assert client.mget([f"session:{n}" for n in range(100)]) == [f"theirs {n}".encode() for n in range(100)]
        assert service.keyed("POST", "/v1/s/corrections", {"visitor": "taker"}).status == 202  # scans all keys
        wait_until(lambda: service.get("/v1/s/items/a").json["votes"]["up"] == 0, SECONDS, service.log)
        assert client.zscore("ranking", "a") == 1
