# SPDX-License-Identifier: MIT
"""Bounds of a connection at their edges: empty lines, slow uploads, what comes after the last answer, chunks too large."""
import email.utils
import time

import pytest

from support.wait import wait_until
from wire import request


@pytest.mark.parametrize("count,status", [(0, 200), (1, 200), (4, 200), (5, 400)])
def test_a_few_empty_lines_before_a_request(server, count, status):
    for pause in (False, True):
        with server.connect() as wire:
            if pause:
                for _ in range(count):
                    wire.send(b"\r\n")
                    time.sleep(0.005)
                try:
                    wire.send(request("/hello"))
                except OSError:
                    pass
            else:
                wire.send(b"\r\n" * count + request("/hello"))
            assert wire.answer().status == status
            if status == 200:  # counted again before each request
                wire.send(b"\r\n" * count + request("/hello"))
                assert wire.answer().status == 200


def test_the_date_is_that_of_the_answer(server):
    first = server.get()["date"]
    wait_until(lambda: server.get()["date"] != first, 20)
    said = email.utils.parsedate_to_datetime(server.get()["date"]).timestamp()
    assert abs(said - time.time()) < 5


def test_the_head_of_a_stream_has_no_chunks(server):
    with server.connect() as wire:
        wire.send("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n" "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (wire.answer("HEAD").status, wire.answer().status) == (200, 200)


def upload(length):
    return request("/upload", "POST", fields=("Host: x", f"Content-Length: {length}"))


def test_a_long_upload_may_take_long_when_a_kilobyte_comes_in_time(start):
    responder = start(request_timeout=400)
    with responder.connect() as wire:
        wire.send(upload(20 * 1100))
        for _ in range(20):
            wire.send(b"x" * 1100)
            time.sleep(0.08)
        assert wire.answer().status == 200


def test_one_that_drips_is_ended(start):
    """Some bytes again and again are not enough: 1 kB has to come within the request's time."""
    responder = start(request_timeout=400)
    with responder.connect() as wire:
        wire.send(upload(10000))
        try:
            for _ in range(20):  # 1,000 bytes in all
                wire.send(b"x" * 50)
                time.sleep(0.05)
        except OSError:
            pass
        wire.socket.settimeout(0.2)  # the answer is there already
        assert wire.answer().status == 408
    assert responder.stats()["timeouts"] == 1


def test_what_comes_after_the_last_answer_is_dropped_up_to_a_bound(server):
    spent = []
    for size in (1000, 300000):
        with server.connect() as wire:
            began = time.monotonic()
            wire.send(request("/last"))
            assert wire.answer().status == 200
            try:
                for _ in range(size // 1000):
                    wire.send(b"x" * 1000)
            except OSError:
                pass
            try:
                while time.monotonic() - began < 3:
                    wire.send(b"x")
                    time.sleep(0.02)
            except OSError:
                pass
            spent.append(time.monotonic() - began)
    assert 0.7 < spent[0] < 2.5 and spent[1] < 0.6, spent


@pytest.mark.parametrize("size,refused", [(b"4000", False), (b"4001", True), (b"ffffff", True)])
def test_a_chunk_over_the_limit_is_refused_by_its_size(server, size, refused):
    """Before any of it has come."""
    with server.connect(timeout=1) as wire:
        wire.send(request("/length", "POST", fields=("Host: x", "Transfer-Encoding: chunked"), body=size + b"\r\n"))
        if refused:
            assert wire.answer().status == 413
        else:
            wire.send(b"x" * 0x4000 + b"\r\n0\r\n\r\n")
            assert wire.answer().text == f"{0x4000}\n"


def test_a_stream_of_nothing_but_overhead_is_refused(server):
    """Chunks of one byte pass; a body whose extensions outweigh it by far does not."""
    with server.connect() as wire:
        wire.send(request("/upload", "POST", fields=("Host: x", "Transfer-Encoding: chunked"),
                          body=b"1\r\nx\r\n" * 30000 + b"0\r\n\r\n"))
        assert wire.answer().status == 200
    with server.connect() as wire:
        try:
            wire.send(request("/upload", "POST", fields=("Host: x", "Transfer-Encoding: chunked"),
                              body=b"1;" + b"e" * 100 + b"\r\nx\r\n"))
            for _ in range(3000):
                wire.send(b"1;" + b"e" * 100 + b"\r\nx\r\n")
        except OSError:
            pass
        assert wire.answer().status == 413


def test_the_number_of_connections_at_its_edge(start):
    """With all of them busy one more is 503; with one idle that one makes room."""
    responder = start(connections=4)
    wires = [responder.connect() for _ in range(4)]
    for wire in wires:
        wire.send(request("/slow?ms=600"))
    time.sleep(0.1)
    with responder.connect() as wire:
        wire.send(request("/hello"))
        assert wire.answer().status == 503
    for wire in wires:
        assert wire.answer().status == 200
    with responder.connect() as wire:  # the first is the longest idle one
        wire.send(request("/hello"))
        assert wire.answer().status == 200
        assert not wires[0].is_open() and all(other.is_open(0.02) for other in wires[1:])
