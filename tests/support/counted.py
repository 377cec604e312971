# SPDX-License-Identifier: MIT
"""A service that is quiet enough for its work to be counted, and a connection that sends it exact bytes."""
import shutil
import socket
import subprocess

from support.service import Service

HOT = "/v1/s/rankings/hot"
PAGE = "/v1/s/items/i7/page?related=8&ranking=10&recommendation=8"
# Nothing is refreshed while it is counted, votes have no limit, and nothing is too slow under a tool.
QUIET = {"refresh_interval": "1h", "neighbour_interval": "1h", "projection_interval": "50ms", "rate_limits": "off",
         "hang_timeout": "0", "redis_timeout": "30s"}


class Counted(Service):
    """The service under a tool, or with more in its environment."""

    def __init__(self, wrapper=(), **settings):
        self.wrapper = wrapper
        super().__init__(**{**QUIET, **settings})

    def worker(self):
        [pid] = self.children("worker")
        return pid

    def fill(self):
        """Lists of ten and a page of 8 + 10 + 8."""
        self.lines("/v1/s/items", [{"item": f"i{n}", "title": f"The title of article {n:03}"} for n in range(60)])
        self.lines("/v1/s/events?wait=true", [{"type": "view", "item": f"i{n}", "visitor": f"v{m}"}
                                              for m in range(12) for n in range(60)])

    def token(self):
        return self.post("/v1/s/visitors").json["visitor"]


def request_of(method, path, *fields):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: guard", *fields, "", ""]).encode()


class Wire:
    """One kept connection; a call returns when all replies are there."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.rest = b""

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        piece = self.socket.recv(65536)
        assert piece, "the service closed the connection"
        self.rest += piece

    def reply(self):
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        wanted = length[0] if length else 0
        while len(self.rest) < wanted:
            self.more()
        body, self.rest = self.rest[:wanted], self.rest[wanted:]
        return head, body

    def call(self, data, replies=1):
        self.send(data)
        return [self.reply() for _ in range(replies)]

    def close(self):
        self.socket.close()


def can_trace():
    """strace may be absent, or not allowed in a container."""
    return bool(shutil.which("strace")) and subprocess.run(["strace", "-o", "/dev/null", "true"],
                                                           stderr=subprocess.DEVNULL).returncode == 0
