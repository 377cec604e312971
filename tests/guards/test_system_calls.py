# SPDX-License-Identifier: MIT
"""System calls, by strace: of a read from memory, and of a batch of writes however many clients it has."""
import fcntl
import hashlib
import os
import re
import signal
import struct
import termios
import time
import urllib.parse

import pytest
import redis

from support.counted import HOT, PAGE, Counted, Wire, can_trace, request_of
from support.program import script_text
from support.wait import wait_until

READS, WRITES = ("read", "readv", "recvfrom", "recvmsg"), ("write", "writev", "sendto", "sendmsg")


def traced_calls(path):
    """But for the waiting: timers wake the loop all the time."""
    return [line for line in path.read_text(errors="replace").splitlines() if not line.startswith("epoll_")]


@pytest.fixture
def traced(tmp_path):
    if not can_trace():
        pytest.skip("left out: strace cannot trace here")
    # -D: the tracer is the grandchild, so that the service has its own pid
    service = Counted(["strace", "-D", "-ff", "-qq", "-s", "256", "-o", str(tmp_path / "trace")])
    try:
        service.worker_pid = service.worker()
        service.trace = lambda: traced_calls(tmp_path / f"trace.{service.worker_pid}")
        yield service
    finally:
        service.stop()


def settled(trace, wanted=0, seconds=60):
    """The trace once it has `wanted` lines and has stopped growing: strace writes a line after its call has returned."""
    end, before = time.monotonic() + seconds, -1
    while time.monotonic() < end:
        lines = trace()
        if len(lines) == before and before >= wanted:
            break
        before = len(lines)
        time.sleep(0.2)
    return lines


def calls_of(lines):
    return [(match.group(1), match.group(2)) for match in (re.match(r"(\w+)\((\d+)?", line) for line in lines) if match]


def connected(traced):
    """A connection, and the number that it has in the worker."""
    wire = Wire(traced.port)
    wire.call(request_of("GET", "/healthz"))
    accepted = [line for line in settled(traced.trace) if line.startswith("accept4(")]
    numbers = [int(line.rsplit("=", 1)[1]) for line in accepted if line.rsplit("=", 1)[1].strip().isdigit()]
    return wire, numbers[-1]


def count(traced, wire, number, data, replies, times):
    before = len(settled(traced.trace))
    for _ in range(times):
        wire.call(data, replies)
    calls = calls_of(settled(traced.trace, before + 2 * times)[before:])
    own = [name for name, first in calls if first == str(number)]
    others = [name for name, first in calls if first != str(number)]
    return [name for name in own if name in READS], [name for name in own if name in WRITES], \
        [name for name in own if name not in READS + WRITES], others


@pytest.mark.parametrize("path", [HOT, PAGE, "/v1/s/items/i7/related", "/v1/s/items/i7"])
def test_a_read_from_memory_is_one_read_and_one_write(traced, path):
    traced.fill()
    traced.get(path)
    wire, number = connected(traced)
    wire.call(request_of("GET", path))
    reads, writes, rest, others = count(traced, wire, number, request_of("GET", path), 1, 50)
    assert len(reads) == len(writes) == 50 and not rest, (reads, writes, rest)
    assert len(others) <= 10, others  # timers, once a second
    wire.close()


def test_sixteen_reads_in_a_piece_are_one_read_and_one_write(traced):
    traced.fill()
    wire, number = connected(traced)
    wire.call(request_of("GET", HOT))
    reads, writes, rest, others = count(traced, wire, number, 16 * request_of("GET", HOT), 16, 10)
    assert len(reads) == len(writes) == 10 and not rest, (reads, writes, rest)
    assert len(others) <= 10, others
    wire.close()


def script_calls(store, name):
    sha = hashlib.sha1(script_text(name)).hexdigest()
    return sum(sha.encode() in entry["command"] for entry in store.slowlog_get(100000))


def has_come(wire):
    """Whether all that was sent waits at the other end: on a busy machine it comes later than send() returns."""
    return struct.unpack("i", fcntl.ioctl(wire.socket, termios.TIOCOUTQ, bytes(4)))[0] == 0


@pytest.mark.parametrize("what, script", [("votes", "vote"), ("views", "view")])
def test_writes_that_come_together_are_one_write_to_redis_and_a_call_for_128(traced, what, script):
    clients = 200
    store = redis.Redis(unix_socket_path=f"{traced.folder}/d/redis.sock")
    store.config_set("slowlog-log-slower-than", 0)
    store.config_set("slowlog-max-len", 100000)
    wires = [Wire(traced.port) for _ in range(clients)]
    writes = [request_of("POST", f"/v1/s/items/{urllib.parse.quote(f'w{n}')}/{what}", f"Engaged-Visitor: {traced.token()}",
                         "Content-Length: 0") for n in range(clients)]
    for wire in wires:
        wire.call(request_of("GET", "/healthz"))
    before, counted = len(settled(traced.trace)), traced.metrics()
    store.slowlog_reset()
    os.kill(traced.worker_pid, signal.SIGSTOP)  # so that all have come when it looks
    wait_until(lambda: any("stopped by SIGSTOP" in line for line in traced.trace()[before:]))
    for wire, data in zip(wires, writes):
        wire.send(data)
    wait_until(lambda: all(has_come(wire) for wire in wires))
    os.kill(traced.worker_pid, signal.SIGCONT)
    for wire in wires:
        head, _ = wire.reply()
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")), head
        wire.close()
    lines = settled(traced.trace)[before:]
    to_redis = [line for line in lines if line.split("(", 1)[0] in WRITES and "EVALSHA" in line]
    assert len(to_redis) == 1, to_redis
    assert script_calls(store, script) == 2  # 128 and 72
    after = traced.metrics()
    batched = "engaged_batched_writes_total"
    assert after[batched] - counted[batched] == clients
    assert after["engaged_write_batches_total"] - counted["engaged_write_batches_total"] == 2
