# SPDX-License-Identifier: MIT
"""An export holds all that was acknowledged before it was asked for, or its last line says that it does not."""
import json
import os
import signal
import socket
import time

import pytest

from support.service import Service
from support.wait import wait_until

SITE = "/v1/paper.example"
KEY = "5a" * 32


@pytest.fixture
def start():
    services = []

    def start_one(**settings):
        services.append(Service(hash_key=KEY, secret="6b" * 32, **settings))
        return services[-1]

    yield start_one
    for service in services:
        service.stop()


def export(service):
    return service.keyed("GET", f"{SITE}/export").body.decode().splitlines()


def take(service, lines):
    answer = service.keyed("POST", f"{SITE}/import?wait=true", "\n".join(lines).encode(), Content_Type="application/x-ndjson")
    assert answer.json["rejected"] == [], answer.body


def test_views_that_were_just_acknowledged_are_in_it(start):
    service, other = start(projection_interval="1s", neighbour_interval="60s"), start()
    for number in range(200):
        answer = service.keyed("POST", f"{SITE}/items/a/views", {}, Engaged_Visitor=f"v{number}")
        assert answer.json["counted"], answer.body
    lines = export(service)
    assert json.loads(lines[-1]) == {"type": "end", "items": 1}
    take(other, lines[:-1])
    item = other.get(f"{SITE}/items/a").json
    assert item["views"] == 200 and 196 <= item["visitors"] <= 204, item


def test_without_a_projector_it_is_refused_and_not_short(start):
    service = start(hang_timeout="0")
    (projector,) = service.children("projector")
    os.kill(projector, signal.SIGSTOP)
    try:
        service.keyed("POST", f"{SITE}/items/a/views", {}, Engaged_Visitor="v")
        answer = service.keyed("GET", f"{SITE}/export")
        assert answer.status == 503 and "not projected" in answer.json["detail"], answer.body
    finally:
        os.kill(projector, signal.SIGCONT)
    assert json.loads(export(service)[-1])["type"] == "end"


class SlowReader:
    """Takes the head of an export, then the rest when the test says so."""

    def __init__(self, service):
        self.wire = socket.create_connection(("127.0.0.1", service.port), 30)
        self.wire.sendall(f"GET {SITE}/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nConnection: close\r\n\r\n".encode())
        self.got = self.wire.recv(4096)

    def rest(self):
        while piece := self.wire.recv(1 << 16):
            self.got += piece
        self.wire.close()
        return self.got


def stands_still(service):
    """No read of the export is under way: only then can Redis go unnoticed."""
    before = service.metrics()["engaged_http_sent_bytes_total"]
    time.sleep(0.4)
    return service.metrics()["engaged_http_sent_bytes_total"] - before < 100000  # /metrics itself


def test_a_redis_that_restarts_in_the_middle_ends_it_with_an_error(start):
    """A cursor of before means nothing to a Redis with another hash seed: what it skips would be missing without a word."""
    service = start()
    cards = [{"item": f"i{number}", "title": "t" * 480, "url": "/" + "u" * 1500} for number in range(12000)]
    assert service.lines(f"{SITE}/items", cards).json["accepted"] == 12000
    reader = SlowReader(service)
    wait_until(lambda: stands_still(service), 20, "the export does not wait for its reader")
    killed = service.redis_pid()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: service.redis_pid() not in (killed, None), 20, "Redis was not killed")
    wait_until(lambda: service.get("/readyz").status == 200, 20, service.log)
    text = reader.rest()
    assert text.count(b'"type":"item"') < 12000
    assert b'{"type":"error"' in text[-200:] and b'"type":"end"' not in text[-200:], text[-300:]
