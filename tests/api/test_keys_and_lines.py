# SPDX-License-Identifier: MIT
"""The secret key is compared byte by byte; limits at their edges; lines of bulk calls, wherever the bytes are cut."""
import hashlib
import json
import math
import socket
import time

import pytest

from support.service import Service, free_port

S = "/v1/s"
KEY = "secret-key-0"


@pytest.fixture(scope="module")
def service():
    path = f"/tmp/engaged-keys-{free_port()}.conf"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"[site plain]\nsecret_key = {KEY}\n[site hashed]\nsecret_key = sha256:{hashlib.sha256(KEY.encode()).hexdigest()}\n"
                   "[site keyless]\norigins = https://x.example\n")
    running = Service(config=path, secret_key="", line_limit="1KiB")
    yield running
    running.stop()


# ---- The key

WRONG = [KEY + "x", KEY + "0", KEY + KEY, KEY[:-1], KEY[1:], KEY.upper(), "x" + KEY, KEY[:-1] + "1", "1" + KEY[1:], "", "x",
         KEY + "," + KEY, KEY + " x", "sha256:" + hashlib.sha256(KEY.encode()).hexdigest(),
         hashlib.sha256(KEY.encode()).hexdigest(), KEY + "\t0"]


@pytest.mark.parametrize("site", ["plain", "hashed"])
@pytest.mark.contract("Secret key", "With a wrong key it is 403")
def test_only_the_whole_key_opens(service, site):
    path = f"/v1/{site}/items/a"
    for key in (KEY, " " + KEY, KEY + " "):
        assert service.request("PUT", path, "{}", Authorization=f"Bearer {key}").status == 200, key
        assert service.request("PUT", path, "{}", Authorization=f"bearer {key}").status == 200, key
    for key in WRONG:
        answer = service.request("PUT", path, "{}", Authorization=f"Bearer {key}")
        assert answer.status == (403 if key else 401) or (key == "" and answer.status == 403), key
        assert answer.json["code"] in ("bad_key", "key_required")
        # nor is it a key where none is needed
        assert service.post(f"/v1/{site}/visitors", {"visitor": "own-id"}, Authorization=f"Bearer {key}").status == 401, key
    for field in (KEY, "Basic " + KEY, "Bearer" + KEY, "Token " + KEY):
        assert service.request("PUT", path, "{}", Authorization=field).json["code"] == "key_required", field


@pytest.mark.parametrize("site", ["keyless", "undeclared"])
def test_without_a_key_in_the_configuration_none_opens(service, site):
    for key in ("", "x", "k", KEY):
        assert service.request("PUT", f"/v1/{site}/items/a", "{}", Authorization=f"Bearer {key}").status in (401, 403)


# ---- Limits

@pytest.fixture
def start():
    services = []

    def one(**settings):
        services.append(Service(**{"trusted_proxies": "127.0.0.1", **settings}))
        return services[-1]

    yield one
    for running in services:
        running.stop()


def refused_vote(service, each):
    """The answer to the second of two votes, and how long both took. If that is as long as a vote has to wait, the second
    one was rightly taken: then again."""
    while True:
        began = time.monotonic()
        answers = [service.post(f"{S}/items/a/votes", X_Forwarded_For="192.0.2.1") for _ in range(2)]
        took = time.monotonic() - began
        if took < each:
            assert [answer.status for answer in answers] == [200, 429]
            return answers[1], took
        time.sleep(each)


@pytest.mark.parametrize("per_minute,seconds", [(40, 2), (60, 1), (25, 3), (600, 1), (1, 60)])
@pytest.mark.contract("405, 429 and 503", "A 429 has Retry-After")
def test_retry_after_is_rounded_up(start, per_minute, seconds):
    """Who waits that long gets through: never a second less."""
    service = start(votes_per_minute=per_minute, votes_burst=1)
    answer, took = refused_vote(service, 60 / per_minute)
    said = int(answer.headers["retry-after"])
    assert math.ceil(60 / per_minute - took) <= said <= seconds == math.ceil(60 / per_minute)
    if seconds <= 3:
        time.sleep(said)
        assert service.post(f"{S}/items/a/votes", X_Forwarded_For="192.0.2.1").status == 200


def test_a_burst_of_0_is_the_limit_of_a_minute(start):
    service = start(votes_per_minute=5, votes_burst=0)
    assert [service.post(f"{S}/items/a/votes", X_Forwarded_For="192.0.2.1").status for _ in range(6)] == [200] * 5 + [429]


def test_taking_back_has_the_visitors_limit_and_the_networks(start):
    service = start(visitor_votes_per_minute=6, visitor_votes_burst=4, votes_per_minute=6, votes_burst=6)
    visitors = [service.keyed("POST", S + "/visitors").json["visitor"] for _ in range(3)]

    def call(method, visitor):
        answer = service.request(method, f"{S}/items/a/votes", X_Forwarded_For="192.0.2.1", Engaged_Visitor=visitor)
        assert answer.status == 200 or (answer.json["code"] == "too_many_requests" and int(answer.headers["retry-after"]) >= 8)
        return answer.status

    assert [call("DELETE", visitors[0]) for _ in range(5)] == [200] * 4 + [429]
    assert [call("POST", visitors[0]), call("POST", visitors[1]), call("DELETE", visitors[1])] == [429, 200, 200]
    assert [call("DELETE", visitors[2]), call("POST", visitors[2])] == [429, 429]
    refused = service.metrics()
    assert refused['engaged_refused_total{by="visitor_votes"}'] == 2 and refused['engaged_refused_total{by="votes"}'] == 2


# ---- Lines

def bulk(service, parts, path="/v1/plain/items", pause=0.0):
    """Sends the body in chunks as they are given; the answer's JSON."""
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nTransfer-Encoding: chunked\r\n"
                       "Content-Type: application/x-ndjson\r\nConnection: close\r\n\r\n".encode())
        for part in parts:
            client.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            time.sleep(pause)
        client.sendall(b"0\r\n\r\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


def line(length, item="long"):
    """A card's line of so many bytes without its end."""
    start = f'{{"item":"{item}","title":"t"'.encode()
    return start + b" " * (length - len(start) - 1) + b"}"


def rejected(answer):
    return [(row["line"], row["code"]) for row in answer["rejected"]]


@pytest.mark.parametrize("length,code", [(1023, None), (1024, None), (1025, "too_large"), (5000, "too_large"), (100000, "too_large")])
@pytest.mark.parametrize("cut", [None, 1, 512, 1024, 1025])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_lines_length(service, length, code, cut, end):
    body = line(60) + b"\n" + line(length) + end
    if end:
        body += line(60) + b"\n" + b"{\n" + line(70)
    if cut == 1 and length > 2000:
        pytest.skip("too many pieces")
    parts = [body] if cut is None else [body[at:at + cut] for at in range(0, len(body), cut)]
    answer = bulk(service, parts)
    found = ([(2, code)] if code else []) + ([(4, "bad_json")] if end else [])
    assert rejected(answer) == found
    assert answer["accepted"] == (5 if end else 2) - len(found)


def test_after_a_long_line_the_next_ones_are_read_as_ever(service):
    body = b"\n".join([line(2000), line(1024, "a"), line(1025), line(900, "b"), line(3000), line(10, "c") + b"\r"])
    for cut in (7, 1000, 1023, 4096, 100000):
        answer = bulk(service, [body[at:at + cut] for at in range(0, len(body), cut)])
        assert rejected(answer) == [(1, "too_large"), (3, "too_large"), (5, "too_large")] and answer["accepted"] == 3, cut


def test_empty_lines_are_counted_and_passed_over(service):
    answer = bulk(service, [b"\n\r\n  \t\n", line(60), b"\n\n{\n\n", b"[]"])
    assert answer["accepted"] == 1 and rejected(answer) == [(6, "bad_json"), (8, "bad_field")]
    for nothing in ([], [b"\n"], [b"\n\n\n"], [b" "]):
        assert bulk(service, nothing) == {"accepted": 0, "rejected": []}


@pytest.mark.parametrize("count", [999, 1000, 1001, 2500])
def test_a_thousand_rejected_lines_are_named(service, count):
    answer = bulk(service, [(line(60) + b"\n") + b"{\n" * count])
    assert answer["accepted"] == 1 and len(answer["rejected"]) == min(count, 1000)
    assert rejected(answer) == [(n + 2, "bad_json") for n in range(min(count, 1000))]
    assert answer.get("rejected_count") == (count if count > 1000 else None)


def test_ten_thousand_lines_at_once_and_in_order(service):
    rows = [{"type": "view", "item": f"many{n % 7}", "visitor": f"v{n}"} if n % 100 else {"type": "x"} for n in range(10000)]
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    answer = bulk(service, [body[at:at + 50000] for at in range(0, len(body), 50000)], "/v1/plain/events?wait=true")
    assert answer["accepted"] == 9900
    assert [row["line"] for row in answer["rejected"]] == list(range(1, 10001, 100))
    assert sum(service.get(f"/v1/plain/items/many{n}").json["views"] for n in range(7)) == 9900


def test_a_body_that_is_cut_off_counts_its_whole_lines_and_is_an_error(service):
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        body = line(60, "cut1") + b"\n" + line(60, "cut2")[:30]
        client.sendall(f"POST /v1/plain/items HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 1000\r\n"
                       "Content-Type: application/x-ndjson\r\n\r\n".encode() + body)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert "title" in service.get("/v1/plain/items/cut1").json and "title" not in service.get("/v1/plain/items/cut2").json


@pytest.mark.contract("Secret key", "Without a key where one is needed", "With a wrong key it is 403")
@pytest.mark.contract("Bodies", "Any other type is 415")
def test_a_long_bulk_call_that_is_refused_reads_why(service):
    """The client sends all before it reads. A connection that is reset would take the answer from it."""
    body = (line(60) + b"\n") * 20000
    right, ndjson = {"Authorization": f"Bearer {KEY}"}, {"Content_Type": "application/x-ndjson"}
    for headers, refused in (({}, (401, "key_required")), ({"Authorization": "Bearer x"}, (403, "bad_key")),
                             ({**right, "Content_Type": "text/csv"}, (415, "unsupported_type"))):
        for path in ("/v1/plain/items", "/v1/plain/events", "/v1/plain/import"):
            answer = service.post(path, body, **{**ndjson, **headers})
            assert (answer.status, answer.json["code"]) == refused, path
    assert service.post("/v1/plain/items/a/votes", body).json["code"] == "too_large"
