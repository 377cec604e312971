# SPDX-License-Identifier: MIT
"""A connection that asks thousands of times a second: requests are sent in bundles, answers are read as they come."""
import json
import socket


class Wire:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 16)

    def send(self, calls):
        """Of (method, path, headers) each."""
        self.socket.sendall(b"".join(
            (f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
             + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode()
            for method, path, headers in calls))

    def answer(self):
        """Status, headers in lower case, body."""
        status, headers = int(self.file.readline().split()[1]), {}
        while (line := self.file.readline().rstrip()):
            name, _, value = line.partition(b":")
            headers[name.decode().lower()] = value.strip().decode()
        return status, headers, self.file.read(int(headers.get("content-length", 0)))

    def ask(self, calls):
        self.send(calls)
        return [self.answer() for _ in calls]

    def one(self, method, path, **headers):
        status, named, body = self.ask([(method, path, {k.replace("_", "-"): v for k, v in headers.items()})])[0]
        return status, named, json.loads(body) if body else None

    def close(self):
        self.file.close()
        self.socket.close()
