# SPDX-License-Identifier: MIT
"""What all connections together may hold for slow clients: incomplete requests, and answers that are not read."""
import time

import pytest

from wire import request

KB = 1024
ROOM = 32 * KB  # of a half head of 31,000 bytes


def half_head(wire, size=31000):
    """Nearly a whole head, whose last line never ends."""
    head = b"GET /hello HTTP/1.1\r\nHost: x\r\n"
    while len(head) < size - 1100:
        head += b"X-A: " + b"a" * 1000 + b"\r\n"
    wire.send(head + b"X-B: " + b"b" * (size - len(head) - 5))


def half_body(wire):
    wire.send(request("/length", "POST", fields=("Host: x", "Content-Length: 16000"), body=b"a" * 15000))


def settled(responder, opened):
    """Waits until all that was sent was read."""
    for _ in range(200):
        if responder.stats()["open"] <= opened:
            break
        time.sleep(0.01)
    time.sleep(0.05)


def test_the_edge(start):
    """So many fit; with one more the first of all is closed, with an answer that says why."""
    responder = start(held=8 * ROOM)
    wires = [responder.connect() for _ in range(9)]
    for wire in wires[:8]:
        half_head(wire)
    time.sleep(0.2)
    assert responder.stats()["refused"] == 0
    half_head(wires[8])
    answer = wires[0].answer()
    assert answer.status == 503 and "slow clients" in answer.text and answer["connection"] == "close"
    assert answer["retry-after"] == "1"
    time.sleep(0.1)
    assert responder.stats()["refused"] == 1
    for wire in wires[1:]:
        wire.send(b"\r\n\r\n")
        assert wire.answer().status == 200


def test_who_has_held_longest_goes_first_and_newcomers_are_served(start):
    responder = start(held=8 * ROOM)
    wires = []
    for _ in range(40):
        wires.append(responder.connect())
        half_head(wires[-1])
        assert responder.get().status == 200
    time.sleep(0.2)
    assert responder.stats()["refused"] == 32
    for wire in wires[:32]:
        assert wire.answer().status == 503
    for wire in wires[32:]:
        wire.send(b"\r\n\r\n")
        assert wire.answer().status == 200


def test_what_was_held_and_is_done_with_counts_no_more(start):
    responder = start(held=4 * ROOM)
    for _ in range(20):
        with responder.connect() as wire:
            half_head(wire)
            time.sleep(0.01)
            wire.send(b"\r\n\r\n")
            assert wire.answer().status == 200
    wires = [responder.connect() for _ in range(20)]
    for wire in wires:  # given up by the client
        half_head(wire)
        wire.reset()
        settled(responder, 1)
    assert responder.stats()["refused"] == 0


def test_half_bodies_count_too(start):
    responder = start(held=200 * KB)
    wires = [responder.connect() for _ in range(30)]
    for wire in wires:
        half_body(wire)
    time.sleep(0.2)
    refused = responder.stats()["refused"]
    assert 10 <= refused <= 22  # each holds 16 to 17 kB
    for wire in wires[:refused]:
        assert wire.answer().status == 503
    for wire in wires[refused:]:
        wire.send(b"a" * 1000)
        assert wire.answer().status == 200


def test_answers_that_are_not_taken_count_too(start):
    responder = start(held=4 * KB * KB, output=1 << 20)
    wires = [responder.connect(receive_buffer=4 * KB) for _ in range(16)]
    for wire in wires:
        wire.send(request("/big?bytes=8000000"))
        time.sleep(0.02)
    time.sleep(0.3)
    assert responder.stats()["refused"] >= 8
    assert responder.get().status == 200


def test_one_alone_may_hold_more(start):
    responder = start(held=1 * KB)
    with responder.connect() as wire:
        half_head(wire)
        time.sleep(0.1)
        wire.send(b"\r\n\r\n")
        assert wire.answer().status == 200


def test_memory_stays_bounded_under_a_thousand_half_heads(start):
    responder = start(held=4 * KB * KB)
    if responder.sanitized():
        pytest.skip("a sanitizer keeps what was freed")
    before, wires = responder.memory(), []
    for _ in range(900):
        wires.append(responder.connect())
        try:
            half_head(wires[-1])
        except OSError:
            pass
    time.sleep(0.3)
    assert responder.memory() - before < 12 * KB * KB  # without the bound 30 MB
    assert responder.stats()["refused"] >= 700
    for wire in wires:
        wire.socket.close()


def test_who_is_quick_or_silent_holds_nothing(start):
    responder = start(held=64 * KB)
    silent = [responder.connect() for _ in range(200)]
    for _ in range(3):
        for wire in silent:
            wire.send(request("/hello"))
        for wire in silent:
            assert wire.answer().status == 200
    assert responder.stats()["refused"] == 0
