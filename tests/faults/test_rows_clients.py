# SPDX-License-Identifier: MIT
"""Faults of clients and of the machine, by their row in docs/faults.md: sockets that reset, stall, flood or never read."""
import os
import resource
import socket
import struct
import time

import pytest

from support.fault_calls import OneWorker, call, send_vote, serving, ups, vote
from support.processes import cpu_seconds, descriptors, resident_bytes
from support.redis_server import RedisServer
from support.scripted_redis import ScriptedRedis, after
from support.wait import wait_until

GET = b"GET /v1/s/rankings/top HTTP/1.1\r\nHost: x\r\n\r\n"


def connect(service):
    client = socket.create_connection(("127.0.0.1", service.port), timeout=10)
    return client


def ended_by(client, seconds):
    """What came until the other side closed; None when it did not."""
    client.settimeout(seconds)
    text = b""
    try:
        while piece := client.recv(65536):
            text += piece
    except TimeoutError:
        return None
    except ConnectionError:
        pass
    return text


def is_answered(client):
    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    return client.recv(4096).startswith(b"HTTP/1.1 200")


def test_row_19_without_descriptors_it_serves_who_is_there_and_takes_others_when_some_are_free():
    with serving(OneWorker) as (_, service):
        held, worker = connect(service), service.workers[0].pid
        assert is_answered(held)
        before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        most = len(descriptors(worker)) + 20
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (most, before[1]))
        crowd = [connect(service) for _ in range(200)]
        wait_until(lambda: len(descriptors(worker)) == most, 10, lambda: f"{descriptors(worker)} of {most}")
        spent = cpu_seconds(worker)
        time.sleep(1)
        assert cpu_seconds(worker) - spent < 0.5, "it spins"
        assert len(descriptors(worker)) == most and is_answered(held)
        for client in crowd:
            client.close()
        wait_until(lambda: call(service, "GET", "/healthz")[0] == 200, 5, "new ones again")
        assert is_answered(held)
        held.close()


class FewFiles(OneWorker):
    wrapper = ("prlimit", "--nofile=128:")


def test_a_limit_of_descriptors_at_the_start_leaves_some_for_redis_and_files():
    with serving(FewFiles) as (redis, service):
        worker = service.workers[0].pid
        crowd = [connect(service) for _ in range(200)]
        assert all(is_answered(client) for client in crowd[-90:]), "of too many idle ones the oldest go"
        assert len(descriptors(worker)) <= 120
        redis.go_away()
        wait_until(lambda: not service.is_ready(), 5, "Redis is away")
        redis.listen()
        wait_until(service.is_ready, 10, "it connects to Redis again")
        for client in crowd:
            client.close()


def test_row_21_clients_that_reset_while_their_answer_is_due_harm_nobody():
    with serving() as (redis, service):
        redis.rule("vote", after(0.1), times=20)
        for n in range(60):
            client, _ = send_vote(service, f"r{n}")
            time.sleep(0.005)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        redis.obey_redis()
        assert 1 <= ups(service, "a") <= 61


def test_row_22_clients_that_never_read_are_cut_off_and_take_bounded_memory(monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "quarantine_size_mb=1")  # what was freed is no memory taken
    with serving(OneWorker, RedisServer, send_timeout="1s", refresh_interval="1s") as (_, service):
        for n in range(50):
            assert vote(service, f"item-with-a-long-name-{n}", "v")[0] == 200
        memory = resident_bytes(service.workers[0].pid)
        clients = []
        for _ in range(20):
            client = connect(service)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(0.2)
            try:
                for _ in range(2000):
                    client.sendall(GET * 20)
            except (TimeoutError, ConnectionError):
                pass
            clients.append(client)
        assert resident_bytes(service.workers[0].pid) - memory < 20 * (3 << 20)
        assert call(service, "GET", "/v1/s/rankings/top")[0] == 200
        time.sleep(2.5)
        clients[0].settimeout(5)
        with pytest.raises(ConnectionError):
            while clients[0].recv(65536):
                clients[0].sendall(GET)
            raise ConnectionResetError("closed")
        for client in clients:
            client.close()


SLOW = {
    "a slow head": [b"G", b"E", b"T", b" ", b"/", b"h", b"e", b"a", b"l", b"t", b"h", b"z", b" ", b"H", b"T"],
    "a slow body": [b"POST /v1/s/items/a/votes HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n"] + [b"{"] + [b" "] * 15,
    "silence": [],
}


@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW.keys())
def test_row_23_slow_clients_end_within_the_bound_and_others_are_unharmed(pieces):
    with serving(request_timeout="1s", idle_timeout="1s") as (_, service):
        client = connect(service)
        began = time.monotonic()
        for piece in pieces:
            try:
                client.sendall(piece)
            except ConnectionError:
                break
            time.sleep(0.2)
            assert call(service, "GET", "/healthz")[3] < 0.3
            if time.monotonic() - began > 2:
                break
        answer = ended_by(client, 4)
        assert answer is not None and time.monotonic() - began < 5
        assert (b" 408 " in answer) == bool(pieces), answer


def test_row_23_endless_empty_lines_are_400():
    with serving() as (_, service):
        client = connect(service)
        client.sendall(b"\r\n" * 8)
        assert b" 400 " in ended_by(client, 5)


def test_row_24_of_too_many_idle_connections_the_oldest_go_and_new_clients_are_served():
    with serving(OneWorker, max_connections=32) as (_, service):
        crowd = [connect(service) for _ in range(100)]
        assert call(service, "GET", "/healthz")[0] == 200
        assert ended_by(crowd[0], 3) == b"", "the oldest was closed"
        crowd[-1].sendall(GET)
        assert crowd[-1].recv(4096).startswith(b"HTTP/1.1 200"), "the newest was not"


def test_row_34_deep_pipelining_is_answered_in_order():
    with serving(server=RedisServer) as (_, service):
        client = connect(service)
        client.sendall(b"".join(b"GET /v1/s/items/i%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(500)) +
                       b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = ended_by(client, 10)
        at = [text.find(b'"i%d"' % n) for n in range(500)]
        assert all(a >= 0 for a in at) and at == sorted(at) and text.endswith(b"ok\n")


def test_row_11_memory_and_descriptors_stay_bounded_under_a_crowd():
    with serving(OneWorker, max_connections=200, redis_queue=64) as (redis, service):
        redis.rule("vote", after(0.05))
        worker = service.workers[0]
        memory = resident_bytes(worker.pid)
        for _ in range(4):
            crowd = [send_vote(service, f"v{n}") for n in range(400)]
            assert len(os.listdir(f"/proc/{worker.pid}/fd")) < 200 + 64 + 32
            for client, _ in crowd:
                client.close()
        redis.obey_redis()
        wait_until(lambda: vote(service, "a", "v")[0] == 200, 5, "as before")
        assert resident_bytes(worker.pid) - memory < 16 << 20
