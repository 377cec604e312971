# SPDX-License-Identifier: MIT
"""The files of nginx in deploy/, as they are: a whole bulk call of the publisher, and as many readers as a site has at once."""
import contextlib
import os
import re
import socket

import pytest

from support.launch import status_at
from support.machine import Machine
from support.ports import free_port
from support.program import ROOT
from support.proxies import nginx_of
from support.redis_server import RedisServer

FILES = ("deploy/machines/nginx.conf", "deploy/container/nginx.conf")
READERS = 700  # the preset of nginx is 512 connections, to readers and to the service together


@pytest.fixture(scope="module", name="machine")
def _machine():
    with RedisServer() as server:
        one = Machine(server.url, "trusted_proxies = 127.0.0.1\n")
        yield one
        one.conclude(None, None, None)


@pytest.fixture(params=FILES)
def port(request, machine, tmp_path):
    with open(os.path.join(ROOT, request.param), encoding="utf-8") as file:
        text = file.read()
    at = free_port()
    for pattern, words in ((r"server (?:10\.0\.0\.1\d|engaged):8080", f"server 127.0.0.1:{machine.port}"),
                           (r"listen 80;", f"listen 127.0.0.1:{at};"), (r"proxy_cache_path \S+", f"proxy_cache_path {tmp_path}/cache")):
        text = re.sub(pattern, words, text)
    with nginx_of(tmp_path, text, lambda: status_at(at) == 200):
        yield at


def test_a_bulk_call_of_many_cards_passes(port):
    lines = b"".join(b'{"item":"i%d","title":"%s"}\n' % (number, b"t" * 400) for number in range(7000))
    assert 2_000_000 < len(lines) < 16_000_000
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as client:
        client.sendall(b"POST /v1/s/items HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer k\r\nContent-Type: application/x-ndjson\r\n"
                       b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(lines) + lines)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert b'"accepted":7000' in answer, answer[:300]


@pytest.mark.parametrize("path", FILES)
def test_it_starts_where_only_debian_has_made_folders(path):
    """nginx makes the last folder of a path and no other: what lies in its own package's cache folder does not start with Debian's."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        for folder in re.findall(r"proxy_cache_path (\S+)", file.read()):
            assert os.path.dirname(folder) == "/var/cache"


def test_many_readers_at_once_are_answered(port):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=30))) for _ in range(READERS)]
        for client in clients:
            client.sendall(b"GET /v1/s/rankings/hot HTTP/1.1\r\nHost: s\r\n\r\n")
        assert {client.recv(12) for client in clients} == {b"HTTP/1.1 200"}
