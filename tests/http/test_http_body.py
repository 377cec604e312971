# SPDX-License-Identifier: MIT
"""Bodies: framing, limits, refusal, uploads of any length (rows 27, 28, 29, 35 of docs/faults.md)."""
import time

import pytest

from wire import request

NEXT = request("/hello?smuggled")
LIMIT = 16384
SLACK = 16384
CHUNKED = ("Host: x", "Transfer-Encoding: chunked")


def post(target, body, *fields):
    return request(target, "POST", fields=("Host: x", f"Content-Length: {len(body)}", *fields), body=body)


def chunked(target, body):
    return request(target, "POST", fields=CHUNKED, body=body)


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


END = b"0\r\n\r\n"


# ---- Row 28

BAD_CHUNKS = {
    "size is no number": b"xyz\r\nabc\r\n",
    "size is negative": b"-3\r\nabc\r\n",
    "size with plus": b"+3\r\nabc\r\n",
    "size with 0x": b"0x3\r\nabc\r\n",
    "size empty": b"\r\nabc\r\n",
    "size with a leading space": b" 3\r\nabc\r\n",
    "size over 64 bits": b"fffffffffffffffff\r\nabc\r\n",
    "size of 64 bits": b"ffffffffffffffff\r\nabc\r\n",
    "size ended by a bare LF": b"3\nabc\r\n",
    "size ended by CR and another octet": b"3\rXabc\r\n",
    "data longer than the size": b"3\r\nabcd\r\n",
    "data not ended by CR LF": b"3\r\nabcXX0\r\n\r\n",
    "data ended by a bare LF": b"3\r\nabc\n0\r\n\r\n",
    "data ended by CR and another octet": b"3\r\nabc\rX0\r\n\r\n",
    "quoted pair in an extension": b'3;a="\\\r\n"\r\nabc\r\n',
    "NUL in an extension": b"3;a=\0\r\nabc\r\n",
    "trailer with a bare LF in its name": b"3\r\nabc\r\n0\r\nA\nb: c\r\n\r\n",
}


@pytest.mark.parametrize("target", ["/echo", "/upload"])
@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_row_28_malformed_chunks(server, target, name):
    with server.connect() as wire:
        wire.send(chunked(target, BAD_CHUNKS[name]))
        wire.send(NEXT)
        answers = wire.answers()
    assert len(answers) == 1 and answers[0].status in (400, 413), answers
    assert answers[0]["connection"] == "close"


@pytest.mark.parametrize("target", ["/echo", "/upload"])
def test_row_28_huge_extension(server, target):
    with server.connect() as wire:
        wire.send(chunked(target, b"3;a=" + b"e" * 50000))
        answers = wire.answers()
    assert [answer.status for answer in answers] == [413]


@pytest.mark.parametrize("target", ["/echo", "/upload"])
def test_row_28_endless_trailers(server, target):
    with server.connect() as wire:
        wire.send(chunked(target, b"3\r\nabc\r\n0\r\n" + b"Trailer: value\r\n" * 4000))
        answers = wire.answers()
    assert [answer.status for answer in answers] == [413]


def test_trailers_are_dropped(server):
    with server.connect() as wire:
        wire.send(chunked("/echo", b"3\r\nabc\r\n0\r\nCookie: evil\r\nContent-Length: 9\r\nHost: y\r\n\r\n") + NEXT)
        text = wire.answer().text
        assert "body: abc\n" in text and "evil" not in text and "host: x\n" in text
        assert wire.answer().body == b"hello\n"


def test_extensions_are_passed_over(server):
    with server.connect() as wire:
        wire.send(chunked("/echo", chunk(b"abc", b";name=value") + chunk(b"de", b';q="x y"') + END) + NEXT)
        assert "body: abcde\n" in wire.answer().text
        assert wire.answer().body == b"hello\n"


# ---- Row 29

@pytest.mark.parametrize("length", [0, 1, LIMIT - 1, LIMIT])
def test_row_29_bodies_up_to_the_limit_pass(server, length):
    with server.connect() as wire:
        wire.send(post("/length", b"x" * length))
        assert wire.answer().text == f"{length}\n"
        wire.send(chunked("/length", (chunk(b"y" * length) if length else b"") + END))
        assert wire.answer().text == f"{length}\n"


def test_row_29_announced_bodies_over_the_limit_are_refused_before_they_come(server):
    with server.connect(timeout=1) as wire:
        wire.send(request("/length", "POST", fields=("Host: x", f"Content-Length: {LIMIT + 1}")))
        assert [answer.status for answer in wire.answers()] == [413]


def test_row_29_chunked_bodies_over_the_limit(server):
    with server.connect() as wire:
        wire.send(chunked("/length", chunk(b"y" * LIMIT) + chunk(b"z")))
        assert [answer.status for answer in wire.answers()] == [413]


def test_row_29_endless_chunks_take_no_memory(server):
    before = server.memory()
    with server.connect() as wire:
        wire.send(chunked("/length", b""))
        try:
            for _ in range(2000):
                wire.send(chunk(b"y" * 16000))
        except ConnectionError:
            pass
    assert server.memory() < before + (8 << 20)
    assert server.get().status == 200


def test_row_29_a_refused_client_that_goes_on_sending_still_reads_its_answer(server):
    with server.connect() as wire:
        wire.send(request("/length", "POST", fields=("Host: x", "Content-Length: 1000000")) + b"x" * 60000)
        assert wire.answer().status == 413


# ---- Row 27: bodies where none is wanted

@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "POST", "PATCH"])
@pytest.mark.parametrize("target", ["/nowhere", "/hello", "/made", "/cached", "/204"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_row_27_unwanted_bodies_are_never_run(server, method, target, framing):
    inner = request("/hello?inner")
    fields = ("Host: x", f"Content-Length: {len(inner)}") if framing == "length" else CHUNKED
    before = server.stats()["requests"]
    with server.connect() as wire:
        wire.send(request(target, method, fields=fields, body=inner if framing == "length" else chunk(inner) + END))
        answer = wire.answer(to=method)
        assert answer.status in (200, 204, 404, 405)
        wire.shut()
        assert wire.rest() == b""
    assert server.stats()["requests"] == before + 2


def test_row_27_a_small_refused_body_leaves_the_connection_open(server):
    with server.connect() as wire:
        wire.send(post("/nowhere", b"x" * 60000))
        assert wire.answer().status == 404
        wire.send(NEXT)
        assert wire.answer().body == b"hello\n"


def test_row_27_a_refused_body_that_comes_late_is_dropped(server):
    with server.connect() as wire:
        wire.send(request("/nowhere", "POST", fields=("Host: x", "Content-Length: 30")))
        assert wire.answer().status == 404
        wire.send(b"y" * 30)
        wire.send(NEXT)
        assert wire.answer().body == b"hello\n"


def test_row_27_a_large_refused_body_closes(server):
    with server.connect() as wire:
        wire.send(request("/nowhere", "POST", fields=("Host: x", "Content-Length: 70000")))
        answer = wire.answer()
        assert (answer.status, answer["connection"]) == (404, "close")


def test_row_27_get_with_a_body_over_the_limit(server):
    with server.connect() as wire:
        wire.send(request("/hello", fields=("Host: x", "Content-Length: 99999999")))
        assert [answer.status for answer in wire.answers()] == [413]


# ---- Row 35

EXPECT = "Expect: 100-continue"


@pytest.mark.parametrize("expect", [EXPECT, "expect: 100-Continue"])
def test_row_35_continue_comes_at_once(server, expect):
    with server.connect(timeout=1) as wire:
        wire.send(request("/echo", "POST", fields=("Host: x", expect, "Content-Length: 3")))
        assert wire.answer().status == 100
        wire.send(b"abc" + NEXT)
        assert "body: abc\n" in wire.answer().text
        assert wire.answer().body == b"hello\n"


def test_row_35_none_when_the_body_is_there_already(server):
    with server.connect() as wire:
        wire.send(request("/echo", "POST", fields=("Host: x", EXPECT, "Content-Length: 3"), body=b"abc"))
        assert wire.answer().status == 200


def test_row_35_none_to_http_1_0(server):
    with server.connect() as wire:
        wire.send(request("/echo", "POST", "HTTP/1.0", fields=("Host: x", EXPECT, "Content-Length: 3")))
        assert wire.is_open(0.2) and not wire.held
        wire.socket.settimeout(5)
        wire.send(b"abc")
        assert wire.answer().status == 200


def test_row_35_none_for_a_body_to_be_refused(server):
    for target, length, status in (("/echo", LIMIT + 1, 413), ("/nowhere", 3, 404), ("/made", 3, 200)):
        with server.connect(timeout=1) as wire:
            wire.send(request(target, "POST", fields=("Host: x", EXPECT, f"Content-Length: {length}")))
            answers = wire.answers()  # it closes: what comes next may be the body or not
            assert [answer.status for answer in answers] == [status]


def test_row_35_none_for_a_request_without_body(server):
    with server.connect() as wire:
        wire.send(request("/echo", fields=("Host: x", EXPECT)))
        assert wire.answer().status == 200


def test_row_35_the_body_of_a_refused_expect_is_never_run(server):
    before = server.stats()["requests"]
    with server.connect() as wire:
        wire.send(request("/nowhere", "POST", fields=("Host: x", EXPECT, f"Content-Length: {len(NEXT)}")))
        assert wire.answer().status == 404
        wire.send(NEXT)
        assert wire.rest() == b""
    assert server.stats()["requests"] == before + 2


# ---- A refused body is read while it comes: else its sender is reset, and never reads why

@pytest.mark.parametrize("length", [65537, 100_000, 1_000_000, 20_000_000])
@pytest.mark.parametrize("target,status", [("/echo", 413), ("/nowhere", 404)])
def test_who_sends_all_before_reading_gets_the_answer(server, target, status, length):
    for _ in range(5):
        with server.connect() as wire:
            wire.send(request(target, "POST", fields=("Host: x", f"Content-Length: {length}")) + b"x" * length)
            assert [answer.status for answer in wire.answers()] == [status]


def test_who_sends_slowly_before_reading_gets_the_answer(server):
    with server.connect() as wire:
        wire.send(request("/echo", "POST", fields=("Host: x", "Content-Length: 500000")))
        for _ in range(6):
            wire.send(b"x" * 50_000)
            time.sleep(0.5)
        wire.send(b"x" * 200_000)
        assert [answer.status for answer in wire.answers()] == [413]


@pytest.mark.parametrize("pause,least,most", [(0.2, 8, 14), (0.005, 8, 14), (1.6, 1.5, 5)])
def test_nobody_is_listened_to_for_long_after_the_last_answer(server, pause, least, most):
    """Whoever sends on is cut off after ten seconds, whoever is silent after one."""
    begin = time.monotonic()
    with server.connect() as wire, pytest.raises((BrokenPipeError, ConnectionResetError)):
        wire.send(request("/echo", "POST", fields=("Host: x", "Content-Length: 100000000")))
        while time.monotonic() - begin < most + 5:
            wire.send(b"x")
            time.sleep(pause)
    assert least < time.monotonic() - begin < most


# ---- Uploads: streams of any length

def test_uploads_of_any_length(server):
    line = b"x" * 63 + b"\n"
    with server.connect() as wire:
        wire.send(request("/upload", "POST", fields=("Host: x", f"Content-Length: {64 * 300000}")))
        for _ in range(3000):
            wire.send(line * 100)
        assert wire.answer().text == "19200000 bytes, 300000 lines\n"
        wire.send(chunked("/upload", chunk(line * 1000) * 50 + END) + NEXT)
        assert wire.answer().text == "3200000 bytes, 50000 lines\n"
        assert wire.answer().body == b"hello\n"


def test_uploads_in_tiny_chunks(server):
    with server.connect() as wire:
        wire.send(chunked("/upload", chunk(b"\n") * 20000 + END))
        assert wire.answer().text == "20000 bytes, 20000 lines\n"


def test_uploads_are_held_back_when_the_application_pauses(start):
    server = start()
    before = server.memory()
    with server.connect() as wire:
        wire.send(request("/upload?pause=1000", "POST", fields=("Host: x", f"Content-Length: {100 << 20}")))
        wire.socket.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 100 << 20:
                wire.socket.send(b"x" * 65536)
                sent += 65536
                time.sleep(0.001)
    assert server.memory() < before + (8 << 20) + (300 << 20 if server.sanitized() else 0)


def test_a_paused_upload_loses_nothing(server):
    data = b"".join(b"%d\n" % i for i in range(20000))
    with server.connect() as wire:
        wire.send(chunked("/upload?pause=1", b"".join(chunk(data[i:i + 900]) for i in range(0, len(data), 900)) + END) + NEXT)
        assert wire.answer().text == f"{len(data)} bytes, 20000 lines\n"
        assert wire.answer().body == b"hello\n"


def test_a_pause_longer_than_the_request_time_out_is_not_the_clients_fault(start):
    server = start(request_timeout=200)
    with server.connect() as wire:
        wire.send(post("/upload?pause=600", b"x" * 10))
        assert wire.answer().text == "10 bytes, 0 lines\n"


def test_an_early_answer_ends_the_upload(server):
    with server.connect() as wire:
        wire.send(request("/upload?early=1000", "POST", fields=("Host: x", "Content-Length: 10000000")) + b"x" * 30000)
        answer = wire.answer()
        assert (answer.status, answer["connection"]) == (422, "close")
        assert wire.rest() == b""
    with server.connect() as wire:
        wire.send(chunked("/upload?early=5", chunk(b"x" * 10) + END) + NEXT)
        assert [answer.status for answer in wire.answers()] == [422]


def test_cut_uploads_are_told(start):
    server = start()
    upload = request("/upload", "POST", fields=("Host: x", "Content-Length: 100")) + b"x" * 50
    with server.connect() as wire:  # the client ends its side
        wire.send(upload)
        wire.shut()
        assert [answer.status for answer in wire.answers()] == [400]
    wire = server.connect()  # the client resets
    wire.send(upload)
    time.sleep(0.05)
    wire.reset()
    with server.connect() as wire:  # the client sends nonsense
        wire.send(chunked("/upload", b"3\r\nabc\r\nxyz\r\n"))
        assert [answer.status for answer in wire.answers()] == [400]
    with server.connect() as wire:  # the client is silent
        wire.send(upload)
        assert [answer.status for answer in wire.answers()] == [408]
    paused = server.connect()  # the application has paused, the client resets
    paused.send(request("/upload?pause=100", "POST", fields=("Host: x", "Content-Length: 100000")) + b"x" * 50000)
    time.sleep(0.05)
    paused.reset()
    time.sleep(1)
    assert server.stats()["cuts"] == 5
