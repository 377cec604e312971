# SPDX-License-Identifier: MIT
"""What a line of the access log says of an answer: its end, its bytes and time, and whether the client got all of it."""
import http.client
import json
import os
import re
import signal
import socket
import time

import pytest

from support.wait import wait_until

LINE = re.compile(r" access: (\S+) (\S+) (\d+) (\d+) (\d+\.\d{3})( cut)?$")


def lines(service, path):
    found = [LINE.search(line) for line in service.log().splitlines() if " access: " in line]
    assert all(found), service.log()
    return [match.groups() for match in found if match[2] == path]


def line(service, path):
    """The one line of a path, when it is there."""
    wait_until(lambda: lines(service, path), 20, service.log)
    [only] = lines(service, path)
    return only


def fill(service, items=400):
    rows = [{"item": f"i{n}", "title": "t" * 200, "url": f"https://s.example/{n}/" + "u" * 200} for n in range(items)]
    assert service.lines("/v1/s/items", rows).status == 200


@pytest.fixture(scope="module")
def shared():
    from support.service import Service
    service = Service(access_log="on", request_timeout="1s", body_limit="64KiB")
    fill(service)
    yield service
    service.stop()


def test_an_export_has_its_bytes_and_its_time(shared):
    begun = time.monotonic()
    body = shared.keyed("GET", "/v1/s/export").body
    took = (time.monotonic() - begun) * 1000
    method, _, status, count, ms, cut = line(shared, "/v1/s/export")
    assert (method, status, int(count), cut) == ("GET", "200", len(body), None) and len(body) > 150000
    assert 0.2 < float(ms) <= took + 1, (ms, took)


def test_metrics_and_bodies_have_their_bytes(shared):
    text = shared.request("GET", "/metrics", port=shared.ops_port).body
    assert int(line(shared, "/metrics")[3]) == len(text)
    answer = shared.get("/v1/s/rankings/none")
    assert int(line(shared, "/v1/s/rankings/none")[3]) == len(answer.body)
    shared.request("HEAD", "/openapi.json")
    assert line(shared, "/openapi.json")[:4] == ("HEAD", "/openapi.json", "200", "0")


def test_a_line_comes_when_the_answer_ends_and_one_that_is_cut_off_says_so(own, tmp_path):
    """Over a Unix socket, as the kernel keeps little of it for a client that does not read."""
    service = own(access_log="on", publisher_listen=f"unix:{tmp_path}/s")
    rows = [{"item": f"i{n}", "title": "t" * 200, "url": f"https://s.example/{n}/" + "u" * 1000} for n in range(3000)]
    ask = b"%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/s")
        client.sendall(ask % b"POST /v1/s/items" + b"Content-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n" % len(body)
                       + body)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/s")
        client.sendall(ask % b"GET /v1/s/export" + b"\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        got = 0
        while got < 20000:
            got += len(client.recv(4096))
        service.get("/healthz")
        line(service, "/healthz")
        assert not lines(service, "/v1/s/export"), "it has not ended"
    method, _, status, count, _, cut = line(service, "/v1/s/export")
    assert (method, status, cut) == ("GET", "200", " cut") and 10000 < int(count) < len(body) / 2, count


def test_a_client_that_leaves_before_its_answer_is_told_apart_in_json(own):
    service = own(access_log="on", log_format="json", redis_timeout="60s", hang_timeout="0")
    os.kill(redis := service.redis_pid(), signal.SIGSTOP)
    try:
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(b"POST /v1/s/items/gone/votes HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            time.sleep(0.2)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset: it reads nothing more
        time.sleep(0.2)
    finally:
        os.kill(redis, signal.SIGCONT)
    assert service.post("/v1/s/items/stays/votes").status == 200
    rows = lambda: [json.loads(row) for row in service.log().splitlines() if "/v1/s/items/" in row]  # noqa: E731
    wait_until(lambda: len(rows()) == 2, 20, service.log)
    named = {row["path"][12:]: row for row in rows()}
    assert named["gone/votes"]["cut"] is True and named["gone/votes"]["bytes"] == 0
    assert "cut" not in named["stays/votes"] and named["stays/votes"]["bytes"] > 0


@pytest.mark.parametrize("path,head", [
    ("/v1/s/items/slow1/votes", "Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"),
    ("/v1/s/events?wait=true", "Authorization: Bearer k\r\nContent-Type: application/x-ndjson\r\nContent-Length: 50\r\n\r\n{"),
])
def test_a_body_that_comes_too_late_has_its_method_and_path_and_one_line(shared, path, head):
    with socket.create_connection(("127.0.0.1", shared.port), timeout=20) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}".encode())
        answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408"), answer
    path = path.split("?")[0]
    method, _, status, count, ms, _ = line(shared, path)
    assert (method, status) == ("POST", "408") and float(ms) >= 900 and int(count) == len(answer.split(b"\r\n\r\n")[1])
    assert shared.get("/healthz").status == 200
    assert len(lines(shared, path)) == 1


def test_a_head_that_never_came_whole_has_neither(shared):
    before = len(lines(shared, "-"))
    with socket.create_connection(("127.0.0.1", shared.port), timeout=20) as client:
        client.sendall(b"GET /secret HTTP/1.1\r\nHost")
        assert client.recv(4096).startswith(b"HTTP/1.1 408")
    wait_until(lambda: len(lines(shared, "-")) > before, 20, shared.log)
    assert lines(shared, "-")[-1][:3] == ("-", "-", "408") and "/secret" not in shared.log()


@pytest.mark.parametrize("path,shown", [
    ("/v1/s/items/p1;jsessionid=5AC6268DD8D4D5D1FDF5D41E9F2FD960", "/v1/s/items/p1"),
    ("/v1/s/items/p2;sid=1;v=2/related", "/v1/s/items/p2/related"),
    ("/v1/s/items/%2Fp3%3Bjsessionid%3DABC%2Fx", "/v1/s/items/%2Fp3%2Fx"),
    ("/v1/s/items/p4%3bPHPSESSID=abc;x=1/related", "/v1/s/items/p4/related"),
    ("/v1/s/items/p5;a/related", "/v1/s/items/p5;a/related"),
    ("/v1/s/items/p6;=a", "/v1/s/items/p6;=a"),
    ("/v1/s/items/p7;", "/v1/s/items/p7;"),
    ("/v1/s/items/p8%3", "/v1/s/items/p8%3"),
    ("/v1/s/items/p9;b=%2", "/v1/s/items/p9"),
    ("/v1/s/items/" + "q" * 800, "/v1/s/items/" + "q" * 488),
])
def test_ids_of_sessions_in_paths_are_left_out(shared, path, shown):
    shared.get(path)
    assert line(shared, shown)[0] == "GET"


def test_bytes_that_a_terminal_would_obey_are_not_written(shared):
    with socket.create_connection(("127.0.0.1", shared.port), timeout=20) as client:
        client.sendall(b"GET /\xc2\x9b31m\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        client.recv(4096)
    shared.get("/healthz")
    with open(shared.log_path, "rb") as file:
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", file.read())
