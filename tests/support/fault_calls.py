# SPDX-License-Identifier: MIT
"""Calls to a service whose Redis is at fault: each on a connection of its own, with the time that it took."""
import contextlib
import http.client
import json
import socket
import time

from support.fault_service import FaultService
from support.scripted_redis import ScriptedRedis
from support.wait import wait_until

TIMEOUT_MS = 500


class OneWorker(FaultService):
    worker_count = 1


@contextlib.contextmanager
def serving(kind=FaultService, server=ScriptedRedis, **settings):
    with server() as redis, kind(redis, redis_timeout=f"{TIMEOUT_MS}ms", **settings) as service:
        yield redis, service


def call(service, method, path, body=None, visitor=None):
    """Status, headers, body and how long it took; on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    headers = {"Authorization": "Bearer publisher", **({"Engaged-Visitor": visitor} if visitor else {})}
    began = time.monotonic()
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        text = reply.read()
        return reply.status, dict(reply.getheaders()), text, time.monotonic() - began
    finally:
        connection.close()


def vote(service, item, visitor):
    return call(service, "POST", f"/v1/s/items/{item}/votes", visitor=visitor)


def ups(service, item, visitor="a witness"):
    """The count after one more vote. Each worker has its own connection: one may be back while another still waits."""
    taken = []

    def try_once():
        status, _, text, _ = vote(service, item, visitor)
        if status == 200:
            taken.append(json.loads(text)["votes"]["up"])
        return taken
    wait_until(try_once, 5, "a vote is taken")
    return taken[0]


def is_refused_in_time(reply):
    status, headers, _, took = reply
    return status == 503 and "Retry-After" in headers and took < TIMEOUT_MS / 1000 + 0.6


def send_vote(service, visitor, item="a"):
    client = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    client.sendall(f"POST /v1/s/items/{item}/votes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer publisher\r\n"
                   f"Engaged-Visitor: {visitor}\r\nContent-Length: 0\r\n\r\n".encode())
    return client, time.monotonic()


def read_status(sent):
    client, began = sent
    with client:
        head = client.recv(4096)
        return int(head.split()[1]), time.monotonic() - began
