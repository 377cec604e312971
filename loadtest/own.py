# SPDX-License-Identifier: MIT
"""A service on free ports for one tool, and what else the tools use of tests/support."""
import http.client
import os
import sys

from client import ROOT

sys.path.append(os.path.join(ROOT, "tests"))
from support.launch import Launch, end  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.program import options_of  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402
from support.service import metric_value  # noqa: E402
from support.wait import wait_until  # noqa: E402

__all__ = ["OwnService", "RedisServer", "free_port", "options_of", "wait_until"]


class OwnService(Launch):
    """build/engaged with its data in a temporary folder; ends with the `with` block."""

    presets = {"workers": "1", "secret_key": "loadtest"}

    def __init__(self, program=None, **settings):
        super().__init__(**settings)
        self.program = program or f"{ROOT}/build/engaged"
        self.url, self.key = f"http://127.0.0.1:{self.port}", "loadtest"
        self.process = self.spawn()

    def __enter__(self):
        self.wait_ready([self.process])
        return self

    def metrics(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.ops_port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            rows = [line.rsplit(" ", 1) for line in connection.getresponse().read().decode().splitlines()]
            return {name: metric_value(value) for name, value in rows if not name.startswith("#")}
        finally:
            connection.close()

    def __exit__(self, *_):
        end(self.process)
        self.remove()
