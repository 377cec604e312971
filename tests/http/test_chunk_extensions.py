# SPDX-License-Identifier: MIT
"""Chunk extensions (RFC 9112, 7.1.1): the server knows none, so it ignores all, wherever the bytes are cut."""
import time

import pytest

from wire import request

GOOD = [b";a", b";a=b", b';a="b"', b';a="b;c=\\"d\\""', b"; a=b", b" ; a=b", b"\t;\ta\t=\tb\t", b";a = b", b";a=b;c=d",
        b';a="x y";b;c="\xc3\xa4"', b';a="\r"'.replace(b"\r", b"\\;"), b";5", b';a="5"', b";a=" + b"e" * 8000,
        b';x="' + b"\\\"" * 2000 + b'"']
BAD = [b" ", b"\t", b" 5", b" a", b";\0", b";a=\x01", b";a=\x80", b';a="\x7f"', b';a="b', b';a="b\\"', b";a\rb", b";a\nb",
       b';"\n"', b';a="\r\n"', b"x", b",", b'"a"', b";(a)", b";a=b/c", b";a=[b]"]
SIZES = {"/echo": "body: hello world\n", "/upload": None}


def post(target, body):
    return request(target, "POST", fields=("Host: x", "Transfer-Encoding: chunked"), body=body)


def body(extension):
    return b"5%s\r\nhello\r\n006%s\r\n world\r\n0%s\r\nTrailer: t\r\n\r\n" % (extension, extension, extension)


@pytest.mark.parametrize("extension", GOOD)
@pytest.mark.contract("Texts", "Chunk extensions that are not known")
def test_they_are_passed_over(server, extension):
    with server.connect() as wire:
        wire.send(post("/echo", body(extension)) + request("/hello"))
        assert "body: hello world\n" in wire.answer().text
        assert wire.answer().body == b"hello\n"
        wire.send(post("/upload", body(extension)) + request("/hello"))
        assert wire.answer().status == 200
        assert wire.answer().body == b"hello\n"


@pytest.mark.parametrize("extension", [one for one in GOOD if len(one) < 100])
@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_in_pieces(server, extension, step):
    with server.connect() as wire:
        sent = post("/echo", body(extension)) + request("/hello")
        head = sent.index(b"\r\n\r\n") + 4
        wire.send(sent[:head])
        for at in range(head, len(sent), step):
            wire.send(sent[at:at + step])
            time.sleep(0.0005)
        assert "body: hello world\n" in wire.answer().text
        assert wire.answer().body == b"hello\n"


@pytest.mark.parametrize("extension", BAD)
@pytest.mark.parametrize("target", ["/echo", "/upload"])
@pytest.mark.parametrize("template", [b"5%s\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n3%s\r\nabc\r\n0\r\n\r\n",
                                      b"5\r\nhello\r\n0%s\r\n\r\n"])
def test_what_is_none_is_refused(server, extension, target, template):
    with server.connect() as wire:
        wire.send(post(target, template % extension) + request("/hello"))
        answers = wire.answers()
    assert len(answers) == 1 and answers[0].status == 400 and answers[0]["connection"] == "close", answers


@pytest.mark.parametrize("length,status", [(0, 200), (16384 + 16384 - 100, 200), (3 * 16384 + 100, 413)])
def test_their_length_has_a_bound(server, length, status):
    """Of a body that is pipelined: 16 kB besides what the body itself may have, looked at after each read of 16 kB."""
    with server.connect() as wire:
        wire.send(post("/length", b"5;a=" + b"e" * length + b"\r\nhello\r\n0\r\n\r\n"))
        assert [answer.status for answer in [wire.answer()]] == [status]


def test_many_chunks_with_extensions(server):
    with server.connect() as wire:
        wire.send(post("/length", b"".join(b"1;n=%d\r\n%c\r\n" % (n, 97 + n % 26) for n in range(1000)) + b"0;end\r\n\r\n"))
        assert wire.answer().text == "1000\n"


def test_a_body_that_nobody_reads_may_have_them(server):
    with server.connect() as wire:
        wire.send(post("/cached", body(b'; a="b"')) + request("/hello"))
        assert wire.answer().status == 200
