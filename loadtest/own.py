# SPDX-License-Identifier: MIT
"""A service on free ports for one tool, and what else the tools use of tests/support."""
import http.client
import os
import re
import subprocess
import sys

from client import ROOT

sys.path.append(os.path.join(ROOT, "tests"))
from support.certificates import Authority  # noqa: E402
from support.launch import Launch, end  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.program import options_of  # noqa: E402
from support.redis_cluster import Cluster  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402
from support.service import metric_value  # noqa: E402
from support.wait import wait_until  # noqa: E402

__all__ = ["Authority", "Cluster", "OwnService", "RedisServer", "free_port", "options_of", "wait_until"]


def by_known_names(program, settings):
    """The settings by the names that this program's --help has: an older one has older names."""
    known = subprocess.run([program, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    with open(f"{ROOT}/src/ops/settings_renamed.def", encoding="utf-8") as file:
        older = {now: old for old, now in re.findall(r"^RENAMED\((\w+), (\w+)\)", file.read(), re.M)}
    return {name if f"--{name.replace('_', '-')} " in known else older.get(name, name): value for name, value in settings.items()}


class OwnService(Launch):
    """build/engaged with its data in a temporary folder; ends with the `with` block."""

    presets = {"workers": "1", "secret_key": "loadtest"}

    def __init__(self, program=None, **settings):
        self.program = program or f"{ROOT}/build/engaged"
        super().__init__(**by_known_names(self.program, settings))
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
