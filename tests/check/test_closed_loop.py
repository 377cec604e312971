# SPDX-License-Identifier: MIT
"""loadtest/closed_loop.c counts what a server has answered: whole answers, also those that come in pieces, and the bad ones."""
import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest

from support.accepting import accept_all
from support.program import ROOT

CONNECTIONS = 3
BODY = b"x" * 100_000


@pytest.fixture(scope="module")
def generator():
    subprocess.run(["make", "-s", "-C", ROOT, "build/closed_loop"], check=True)
    return os.path.join(ROOT, "build", "closed_loop")


class Server:
    """Answers each connection by turns: at once, head and body apart, and with 503."""

    def __init__(self):
        self.listener, self.asked, self.lock = socket.create_server(("127.0.0.1", 0)), [], threading.Lock()
        self.port = self.listener.getsockname()[1]
        accept_all(self.listener, self.serve)

    def serve(self, client):
        turn = 0
        with client, contextlib.suppress(OSError):  # the generator goes when its time is over
            while request := client.recv(65536):
                turn += 1
                with self.lock:
                    self.asked.append(request)
                self.answer(client, turn % 3)

    @staticmethod
    def answer(client, kind):
        status = b"503 Service Unavailable" if kind == 2 else b"200 OK"
        head = b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n" % (status, len(BODY))
        for piece in (head + BODY,) if kind == 0 else (head, BODY[:1], BODY[1:]):
            client.sendall(piece)


def test_it_counts_whole_answers_and_bad_ones(generator):
    server = Server()
    done = subprocess.run([generator, str(server.port), "0.5", str(CONNECTIONS), "/a?b=c"], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=60)
    server.listener.close()
    measured = json.loads(done.stdout.split("JSON ", 1)[1])
    assert set(server.asked) == {b"GET /a?b=c HTTP/1.1\r\nHost: load\r\n\r\n"}
    assert len(server.asked) - CONNECTIONS <= measured["requests"] <= len(server.asked)
    assert abs(measured["bad"] - measured["requests"] / 3) <= CONNECTIONS and measured["requests"] > 2 * CONNECTIONS
    assert measured["seconds"] >= 0.5 and 0 < measured["p50"] <= measured["p99"]


def test_it_says_that_a_server_has_gone(generator):
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
    done = subprocess.run([generator, str(listener.getsockname()[1]), "0.5", "1", "/"], stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr
