# SPDX-License-Identifier: MIT
"""Request lines and fields: what is refused before it is parsed (rows 25, 26, 30 to 33, 36 of docs/faults.md), and the
table of what llhttp alone would let through. After every bad head comes a second request, which must never run."""
import pytest

from wire import request

NEXT = request("/hello?smuggled")


def one_answer(server, data, statuses):
    """Sends data and a request behind it: there is one answer, an error, and then the server closes."""
    with server.connect() as wire:
        wire.send(data + NEXT)
        answers = wire.answers()
    assert len(answers) == 1, answers
    assert answers[0].status in statuses, answers
    assert answers[0]["connection"] == "close"
    assert b"hello\n" != answers[0].body
    assert server.get().status == 200
    return answers[0]


def lines(*parts):
    return "\r\n".join(parts).encode("latin-1") + b"\r\n\r\n"


G = "GET /echo HTTP/1.1"
P = "POST /echo HTTP/1.1"
H = "Host: x"

BAD_400 = {
    # row 26: octets that do not belong
    "bare LF after the request line": b"GET /echo HTTP/1.1\nHost: x\r\n\r\n",
    "bare LF after a field": b"GET /echo HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "bare LF as last line": b"GET /echo HTTP/1.1\r\nHost: x\r\n\n",
    "only bare LF": b"GET /echo HTTP/1.1\nHost: x\n\n",
    "bare CR in a value": b"GET /echo HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
    "bare CR before the colon": b"GET /echo HTTP/1.1\r\nHost: x\r\nA\r: b\r\n\r\n",
    "CR CR LF": b"GET /echo HTTP/1.1\r\nHost: x\r\r\n\r\n",
    "bare CR ends the head": b"GET /echo HTTP/1.1\r\nHost: x\r\n\rX\r\n\r\n",
    "CVE-2023-30589": b"POST /echo HTTP/1.1\r\nHost: x\r\nX: \rxTransfer-Encoding: chunked\r\n\r\n",
    "CVE-2025-23167": b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\rX",
    "NUL in a value": lines(G, H, "A: b\0c"),
    "NUL in a name": lines(G, H, "A\0: b"),
    "NUL in the target": lines("GET /ec\0ho HTTP/1.1", H),
    "control in a value": lines(G, H, "A: b\x01c"),
    "DEL in a value": lines(G, H, "A: b\x7fc"),
    "obs-fold": lines(G, H, "A: b", " c"),
    "obs-fold by a tab": lines(G, H, "A: b", "\tc"),
    "obs-fold in Transfer-Encoding": lines(P, H, "Transfer-Encoding: chunked", " ,gzip"),
    "obs-fold in Content-Length": lines(P, H, "Content-Length: 1", " 2"),
    "leading space before the first field": lines(G, " Host: x"),
    "space before the colon": lines(G, H, "A : b"),
    "space before the colon of TE": lines(P, H, "Transfer-Encoding : chunked"),
    "space before the colon of CL": lines(P, H, "Content-Length : 3"),
    "tab before the colon": lines(G, H, "A\t: b"),
    "empty field name": lines(G, H, ": b"),
    "no colon": lines(G, H, "Abc"),
    "name is no token": lines(G, H, "A(b): c"),
    "name with an octet above 0x7f": lines(G, H, "\xe4: c"),
    # request lines
    "octet above 0x7f in the target": lines("GET /\xe4 HTTP/1.1", H),
    "tab in the target": lines("GET /a\tb HTTP/1.1", H),
    "space in the target": lines("GET /a b HTTP/1.1", H),
    "two spaces after the method": lines("GET  /echo HTTP/1.1", H),
    "two spaces before the version": lines("GET /echo  HTTP/1.1", H),
    "space after the version": lines("GET /echo HTTP/1.1 ", H),
    "leading space": lines(" GET /echo HTTP/1.1", H),
    "no target": lines("GET HTTP/1.1", H),
    "empty target": lines("GET  HTTP/1.1", H),
    "fragment in the target": lines("GET /echo#x HTTP/1.1", H),
    "target without slash": lines("GET echo HTTP/1.1", H),
    "asterisk with GET": lines("GET * HTTP/1.1", H),
    "target of another scheme": lines("GET ftp://x/echo HTTP/1.1", H),
    "HTTP/0.9 without version": lines("GET /echo"),
    "lower-case version": lines("GET /echo http/1.1", H),
    "HTTP/1.10": lines("GET /echo HTTP/1.10", H),
    "HTTP/11": lines("GET /echo HTTP/11", H),
    "RTSP/1.0": lines("GET /echo RTSP/1.0", H),
    "ICY/1.0": lines("SOURCE /echo ICE/1.0", H),
    "method with a colon": lines("GE:T /echo HTTP/1.1", H),
    # row 25: framing
    "CL with TE": lines(P, H, "Content-Length: 3", "Transfer-Encoding: chunked"),
    "CL with TE and its chunks": lines(P, H, "Content-Length: 3", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    "CL of nought with TE": lines(P, H, "Content-Length: 0", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "TE with CL": lines(P, H, "Transfer-Encoding: chunked", "Content-Length: 3"),
    "two CL": lines(P, H, "Content-Length: 3", "Content-Length: 4"),
    "two equal CL": lines(P, H, "Content-Length: 3", "Content-Length: 3"),
    "CL list": lines(P, H, "Content-Length: 3, 3"),
    "CL with plus": lines(P, H, "Content-Length: +3"),
    "CL negative": lines(P, H, "Content-Length: -1"),
    "CL hexadecimal": lines(P, H, "Content-Length: 0x3"),
    "CL empty": lines(P, H, "Content-Length:"),
    "CL with a space inside": lines(P, H, "Content-Length: 3 3"),
    "CL over 64 bits": lines(P, H, "Content-Length: 18446744073709551616"),
    "CL over 64 bits by far": lines(P, H, "Content-Length: " + "9" * 40),
    "TE chunked, gzip": lines(P, H, "Transfer-Encoding: chunked, gzip"),
    "TE gzip, chunked": lines(P, H, "Transfer-Encoding: gzip, chunked"),
    "TE chunked twice": lines(P, H, "Transfer-Encoding: chunked, chunked"),
    "TE chunked in two lines": lines(P, H, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "TE with a parameter": lines(P, H, "Transfer-Encoding: chunked;a=b"),
    "TE , chunked": lines(P, H, "Transfer-Encoding: , chunked"),
    "TE empty": lines(P, H, "Transfer-Encoding:"),
    "TE empty with CL": lines(P, H, "Transfer-Encoding:", "Content-Length: 3"),
    "TE in HTTP/1.0": lines("POST /echo HTTP/1.0", H, "Transfer-Encoding: chunked"),
    # row 31: Host
    "no Host": lines(G, "A: b"),
    "no field at all": lines(G),
    "two Hosts": lines(G, H, "Host: y"),
    "two equal Hosts": lines(G, H, H),
    "two Hosts in HTTP/1.0": lines("GET /echo HTTP/1.0", H, H),
    "Host with path": lines(G, "Host: x/y"),
    "Host with user": lines(G, "Host: user@x"),
    "Host with comma": lines(G, "Host: x, y"),
    "Host with space": lines(G, "Host: x y"),
    "Host empty": lines(G, "Host:"),
    "Host with a word as port": lines(G, "Host: x:http"),
    "Host with a long port": lines(G, "Host: x:123456"),
    "Host of only a port": lines(G, "Host: :80"),
    "Host with an open bracket": lines(G, "Host: [::1"),
    "absolute-form with user": lines("GET http://u@x/echo HTTP/1.1", H),
    "absolute-form without host": lines("GET http:///echo HTTP/1.1", H),
    "absolute-form without Host": lines("GET http://x/echo HTTP/1.1"),
    # row 23
    "endless empty lines": b"\r\n" * 1000 + request("/echo"),
    "bare LF as empty line": b"\n" + request("/echo"),
}


@pytest.mark.parametrize("name", BAD_400)
def test_bad_heads_are_400_and_close(server, name):
    one_answer(server, BAD_400[name], {400})


OTHERS = {
    # row 32
    "HTTP/2.0": (505, lines("GET /echo HTTP/2.0", H)),
    "HTTP/1.2": (505, lines("GET /echo HTTP/1.2", H)),
    "HTTP/0.9": (505, lines("GET /echo HTTP/0.9", H)),
    "HTTP/2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    # row 33
    "unknown method": (501, lines("BREW /echo HTTP/1.1", H)),
    "lower-case method": (501, lines("get /echo HTTP/1.1", H)),
    "very long method": (501, lines("M" * 5000 + " /echo HTTP/1.1", H)),
    "RTSP's method": (501, lines("DESCRIBE /echo HTTP/1.1", H)),
    "CONNECT": (501, lines("CONNECT x:443 HTTP/1.1", H)),
    # row 25
    "TE gzip": (501, lines(P, H, "Transfer-Encoding: gzip")),
    "TE xchunked": (501, lines(P, H, "Transfer-Encoding: xchunked")),
    "TE identity": (501, lines(P, H, "Transfer-Encoding: identity")),
    # row 29
    "CL of 64 bits": (413, lines(P, H, "Content-Length: 18446744073709551615")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_refusals_close(server, name):
    status, data = OTHERS[name]
    one_answer(server, data, {status})


GARBAGE = {
    "TLS hello": bytes.fromhex("16030100c8010000c40303") + bytes(range(180)),
    "SSH banner": b"SSH-2.0-OpenSSH_9.2\r\n",
    "NULs": b"\0" * 100,
    "text": b"what is this\r\n",
    "an answer": b"HTTP/1.1 200 OK\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "high octets": b"\xff\xfe" * 20,
    "comma first": b",,,,",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_row_32_garbage_is_answered_at_once_without_waiting_for_more(server, name):
    with server.connect(timeout=1) as wire:  # the request time-out is two seconds
        wire.send(GARBAGE[name])
        assert [answer.status for answer in wire.answers()] == [400]


def test_errors_survive_the_bytes_behind_them(server):
    """Row: an error is sticky, and a reset must not destroy its answer."""
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + b"x" * 50000)
        assert wire.answer().status == 400
        assert wire.rest() == b""


# ---- What passes

GOOD = {
    "plain": lines(G, H),
    "no space behind the colon": lines(G, "Host:x"),
    "spaces and tabs around a value": lines(G, "Host: \t x \t"),
    "empty value": lines(G, H, "A:"),
    "octets above 0x7f in a value": lines(G, H, "A: \xe4\xf6"),
    "tab inside a value": lines(G, H, "A: b\tc"),
    "what browsers send in targets": lines('GET /echo?a="b"<c>{d}|e^f`g\\h[] HTTP/1.1', H),
    "one empty line before": b"\r\n" + lines(G, H),
    "four empty lines before": b"\r\n" * 4 + lines(G, H),
    "Host with port": lines(G, "Host: x.example:8080"),
    "Host with an empty port": lines(G, "Host: x:"),
    "Host as IPv6": lines(G, "Host: [::1]:8080"),
    "Host as IPv4": lines(G, "Host: 127.0.0.1"),
    "CL of zero": lines(P, H, "Content-Length: 0"),
    "CL with leading zeros": lines(P, H, "Content-Length: 000"),
    "unknown Expect": lines(G, H, "Expect: wonders"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_heads_pass_and_the_next_request_too(server, name):
    with server.connect() as wire:
        wire.send(GOOD[name] + NEXT)
        assert wire.answer().status == 200
        assert wire.answer().body == b"hello\n"


def test_the_head_of_a_kept_body_is_alone(server):
    with server.connect() as wire:
        wire.send(lines("HEAD /cached HTTP/1.1", H) + NEXT)
        assert wire.answer("HEAD").status == 200 and wire.answer().body == b"hello\n"


def test_etags_go_by_the_content(server):
    with server.connect() as wire:
        wire.send(lines("GET /cached HTTP/1.1", H) + lines("GET /small HTTP/1.1", H))
        assert wire.answer()["etag"] != wire.answer()["etag"]


def test_http_1_0_without_host(server):
    with server.connect() as wire:
        wire.send(lines("GET /hello HTTP/1.0"))
        answer = wire.answer()
        assert answer.status == 200 and answer["connection"] == "close"
        assert wire.rest() == b""


def test_http_1_0_keep_alive(server):
    with server.connect() as wire:
        for _ in range(2):
            wire.send(lines("GET /hello HTTP/1.0", "Connection: keep-alive"))
            answer = wire.answer()
            assert answer.status == 200 and answer["connection"] == "keep-alive"


def test_connection_close_is_obeyed_and_what_follows_not_run(server):
    with server.connect() as wire:
        wire.send(lines(G, H, "Connection: close") + NEXT)
        answers = wire.answers()
    assert len(answers) == 1 and answers[0]["connection"] == "close"


@pytest.mark.parametrize("version, fields, stays", [
    ("1.1", ["Connection: keep-alive, CLOSE"], False), ("1.1", ["Connection: a", "connection: \tclose ,b"], False),
    ("1.1", ["Connection: closed, x-close"], True), ("1.1", ["Connection: ,,"], True), ("1.0", ["Connection: close"], False),
    ("1.0", ["Connection: x, Keep-Alive"], True), ("1.0", ["Connection: keep-alive", "Connection: close"], False),
    ("1.1", ["Proxy-Connection: close"], True), ("1.0", ["Proxy-Connection: keep-alive"], False),
    ("1.1", ["Upgrade: h2c", "Connection: upgrade"], True)])
def test_options_of_connection_are_a_list(server, version, fields, stays):
    with server.connect() as wire:
        wire.send(lines(f"GET /hello HTTP/{version}", H, *fields) + lines(G, H, "Connection: close"))
        assert [answer.status for answer in wire.answers()] == ([200, 200] if stays else [200])


def test_tabs_around_a_length_are_blanks(server):
    with server.connect() as wire:
        wire.send(lines("POST /length HTTP/1.1", H, "Content-Length: \t5\t") + b"12345" + lines(G, H, "Connection: close"))
        assert [answer.status for answer in wire.answers()] == [200, 200]


def test_row_31_absolute_form_is_served_by_its_own_host(server):
    with server.connect() as wire:
        wire.send(lines("GET http://other.example:81/echo?a=b HTTP/1.1", H))
        text = wire.answer().text
    assert "host: other.example:81\n" in text and "target: /echo?a=b\n" in text
    with server.connect() as wire:
        wire.send(lines("GET HTTP://other.example HTTP/1.1", H))
        assert wire.answer().status == 404  # the path is "/"


def test_row_33_known_methods_are_405_with_allow(server):
    for method in ("TRACE", "PROPFIND", "PATCH", "LOCK", "M-SEARCH"):
        with server.connect() as wire:
            wire.send(request(method=method) + NEXT)
            answer = wire.answer()
            assert (answer.status, answer["allow"]) == (405, "GET, HEAD, POST")
            assert wire.answer().body == b"hello\n"


def test_row_33_upgrade_is_ignored_and_the_next_request_served(server):
    for upgrade in ("websocket", "h2c"):
        with server.connect() as wire:
            wire.send(lines(G, H, "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AA"))
            wire.send(NEXT)
            assert wire.answer().status == 200
            assert wire.answer().body == b"hello\n"


def test_options_asterisk_reaches_the_application(server):
    with server.connect() as wire:
        wire.send(lines("OPTIONS * HTTP/1.1", H))
        assert wire.answer().status == 404  # the responder has no such route


def test_fields_reach_the_application_trimmed_and_joined(server):
    with server.connect() as wire:
        wire.send(lines(G, H, "cookie: a=1", "COOKIE:   b=2\t", "X-Other: y", "Cookie: c=3", "DNT: 1", "If-None-Match: x", "if-none-match:y"))
        text = wire.answer().text
    assert "cookie: a=1; b=2; c=3\n" in text and "if-none-match: x, y\n" in text and "dnt: 1\n" in text and "x-other" not in text.lower()


def test_many_repeated_fields_are_joined_within_the_bound(server):
    """Joining must not take memory by the square of their number."""
    with server.connect() as wire:
        wire.send(lines(G, H, *(f"X-Forwarded-For: {'1' * 250}" for _ in range(98))))
        assert wire.answer().text.count("1" * 250) == 98


# ---- Row 30: limits at their edges

def target_of(line_length):
    return "/echo?" + "a" * (line_length - len("GET /echo? HTTP/1.1"))


@pytest.mark.parametrize("length,status", [(8000, 200), (16383, 200), (16384, 200), (16385, 414), (30000, 414), (200000, 414)])
@pytest.mark.contract("Sizes", "A request line up to 16 KiB passes")
def test_row_30_request_line(server, length, status):
    with server.connect() as wire:
        try:
            wire.send(request(target_of(length)))
        except ConnectionError:
            pass
        assert wire.answer().status == status
        if status == 200:
            wire.send(NEXT)
            assert wire.answer().status == 200


def test_row_30_endless_request_line_is_refused_before_it_ends(server):
    with server.connect() as wire:
        wire.send(b"GET /" + b"a" * 16400)
        assert wire.answer().status == 414


def head_of(length):
    base = len(request(fields=("Host: x", "A: ")))
    return request(fields=("Host: x", "A: " + "b" * (length - base)))


@pytest.mark.parametrize("length,status", [(32767, 200), (32768, 200), (32769, 431), (60000, 431)])
@pytest.mark.contract("Sizes", "A head up to 32 KiB passes")
def test_row_30_head(server, length, status):
    assert len(head_of(length)) == length
    with server.connect() as wire:
        wire.send(head_of(length))
        assert wire.answer().status == status


def test_row_30_endless_field_is_refused_before_it_ends(server):
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 32768)
        assert wire.answer().status == 431


def test_row_30_longest_line_and_head_together(server):
    line = request(target_of(16384), fields=("Host: x",))
    with server.connect() as wire:
        wire.send(request(target_of(16384), fields=("Host: x", "A: " + "b" * (32768 - len(line) - 5))))
        assert wire.answer().status == 200


@pytest.mark.parametrize("count,status", [(99, 200), (100, 200), (101, 431), (500, 431)])
def test_row_30_number_of_fields(server, count, status):
    with server.connect() as wire:
        wire.send(request(fields=["Host: x"] + [f"A{i}: b" for i in range(count - 1)]))
        assert wire.answer().status == status


def test_row_30_cookie_of_6_kb(server):
    with server.connect() as wire:
        wire.send(request("/echo", fields=("Host: x", "Cookie: " + "c" * 6144)))
        assert "c" * 6144 in wire.answer().text


# ---- Row 36: paths are decoded exactly once

DECODED = {
    "%2e%2e": b"..",
    "%252e": b"%2e",
    "a%2Fb": b"a/b",
    "%c3%a4": "ä".encode(),
    "%7b%7d": b"{}",
    "plain": b"plain",
    "a+b": b"a+b",
}
BAD_ESCAPES = ["%00", "a%00b", "%", "%4", "%zz", "%4g", "abc%", "%-1", "% 1".replace(" ", "+")]


@pytest.mark.parametrize("escaped", DECODED)
def test_row_36_escapes_are_decoded_exactly_once(server, escaped):
    assert server.get("/decode/" + escaped).body == DECODED[escaped]


@pytest.mark.parametrize("escaped", BAD_ESCAPES)
def test_row_36_bad_escapes_and_nul_are_refused(server, escaped):
    assert server.get("/decode/" + escaped).status == 400


# ---- Pieces

def test_split_at_every_byte(server):
    data = request("/echo?a=b", method="POST", fields=("Host: x", "Cookie: c=1", "Content-Length: 5"), body=b"12345")
    for at in range(1, len(data)):
        with server.connect() as wire:
            wire.send(data[:at])
            wire.send(data[at:])
            text = wire.answer().text
        assert "body: 12345\n" in text and "cookie: c=1\n" in text and "target: /echo?a=b\n" in text


def test_byte_by_byte(server):
    chunked = request("/echo", method="POST", fields=("Host: x", "Transfer-Encoding: chunked"),
                      body=b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n")
    with server.connect() as wire:
        for byte in chunked + request("/hello"):
            wire.send(bytes([byte]))
        assert "body: abcde\n" in wire.answer().text
        assert wire.answer().body == b"hello\n"


def test_bad_heads_split_at_every_byte_are_refused_too(server):
    data = b"GET /echo HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n"
    for at in range(1, len(data) - 4):
        with server.connect() as wire:
            wire.send(data[:at])
            wire.send(data[at:])
            assert [answer.status for answer in wire.answers()] == [400], at


def test_a_cut_head_is_not_a_request(server):
    before = server.stats()["requests"]
    with server.connect() as wire:
        wire.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n")
        wire.shut()
        assert [answer.status for answer in wire.answers()] == [400]
    assert server.stats()["requests"] == before + 1  # the question itself


def test_half_closing_clients_get_their_answers(server):
    """PL-08: the client ends its side behind its last request."""
    with server.connect() as wire:
        wire.send(request("/slow?ms=50") + request("/hello"))
        wire.shut()
        answers = wire.answers()
    assert [answer.status for answer in answers] == [200, 200]
