# SPDX-License-Identifier: MIT
"""A long import waits for the projections once a second. So a line replaces all that was acknowledged a while before it,
and nothing of that is added later."""
import json
import socket
import time

from support.service import Service
from support.wait import wait_until


def test_views_that_come_while_an_import_goes_on_are_not_added_to_what_it_sets():
    service = Service(projection_interval="1s")
    try:
        sums = Sums(service)
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as wire:
            wire.sendall(b"POST /v1/s/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Type: application/x-ndjson\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n")
            send(wire, {"type": "item", "item": "first", "title": "First"})
            wait_until(lambda: service.get("/v1/s/items/first").json.get("title") == "First", 30)
            items = [f"i{n}" for n in range(3)]
            for item in items:
                time.sleep(1.05)  # the gate of the line before has shut
                for _ in range(3):
                    assert service.post(f"/v1/s/items/{item}/views").json["counted"]
                send(wire, sums.line(item))
                wait_until(lambda item=item: service.get(f"/v1/s/items/{item}").json.get("title") == "T", 30)
            wire.sendall(b"0\r\n\r\n")
            answer = wire.recv(65536)
            assert b" 200 OK" in answer and b'"accepted":4,"rejected":[]' in answer, answer
        assert service.lines("/v1/s/events?wait=true", []).status == 200
        service.lines("/v1/s/events?wait=true", [{"type": "view", "item": "fence", "visitor": "f"}])
        assert {item: service.get(f"/v1/s/items/{item}").json["views"] for item in items} == dict.fromkeys(items, 2)
    finally:
        service.stop()


def send(wire, row):
    text = json.dumps(row).encode() + b"\n"
    wire.sendall(b"%x\r\n%s\r\n" % (len(text), text))


class Sums:
    """A line of an export of an item with two views, for other items."""

    def __init__(self, service):
        rows = [{"type": "view", "item": "made", "visitor": str(n)} for n in range(2)]
        assert service.lines("/v1/made/events?wait=true", rows).json["accepted"] == 2
        self.row = json.loads(service.keyed("GET", "/v1/made/export").body.splitlines()[0])
        assert self.row["view_sums"]

    def line(self, item):
        return self.row | {"item": item, "title": "T"}
