# SPDX-License-Identifier: MIT
"""What the tools here share: a keep-alive HTTP client, and a service of their own on free ports."""
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Client:
    def __init__(self, url, key=None):
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def call(self, method, path, body=None, content_type=None):
        headers = dict(self.headers)
        if content_type:
            headers["Content-Type"] = content_type
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None

    def get(self, path):
        return self.call("GET", path)

    def lines(self, path, rows):
        body = "".join(json.dumps(row) + "\n" for row in rows)
        done = self.call("POST", path, body.encode(), "application/x-ndjson")
        if done["rejected"]:
            raise RuntimeError(f"rejected: {done['rejected'][:3]}")
        return done["accepted"]


class OwnService:
    """build/engaged with its data in a temporary folder; ends with the `with` block."""

    def __init__(self, program=None, **settings):
        self.program = program or f"{ROOT}/build/engaged"
        self.folder = tempfile.mkdtemp(prefix="engaged-")
        self.port, self.ops_port = free_port(), free_port()
        self.url, self.key = f"http://127.0.0.1:{self.port}", "loadtest"
        settings = {"redis": f"embedded:{self.folder}/d", "listen": f"127.0.0.1:{self.port}", "workers": "1",
                    "ops_listen": f"127.0.0.1:{self.ops_port}", "secret_key": self.key, **settings}
        self.options = [part for name, value in settings.items()
                        for part in ("--" + name.replace("_", "-"), str(value))]
        self.log = open(f"{self.folder}/log", "w", encoding="utf-8")
        self.process = subprocess.Popen([self.program, *self.options], stderr=self.log)

    def __enter__(self):
        for _ in range(200):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        self.__exit__(None, None, None)
        raise RuntimeError("the service does not start")

    def metrics(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.ops_port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            rows = [line.rsplit(" ", 1) for line in connection.getresponse().read().decode().splitlines()]
            return {name: int(value) for name, value in rows if not name.startswith("#")}
        finally:
            connection.close()

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
