# SPDX-License-Identifier: MIT
"""The real service, on free ports, with an embedded Redis in a temporary folder. `stop` asserts a clean end."""
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from support.ports import free_port
from support.reports import reports_in

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", "build")
PROGRAM = os.path.join(ROOT, BUILD, "engaged")


def script_text(name):
    """A script of lua/ as the build embeds it: what its head includes goes before it."""
    with open(os.path.join(ROOT, "lua", f"{name}.lua"), "rb") as file:
        text = file.read()
    parts = re.findall(rb"^-- include: (\w+)$", text, re.M)
    return b"".join(script_text(part.decode()) for part in parts) + text


class Answer:
    def __init__(self, response, body):
        self.status, self.body = response.status, body
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    @property
    def json(self):
        return json.loads(self.body)


class Service:
    """With BARE_SERVICE=1 without a supervisor, as its children can't be watched by valgrind: see BareService."""

    wrapper, environment = (), None  # a tool to run it under; its environment

    def __new__(cls, *_, **__):
        bare = os.environ.get("BARE_SERVICE") and cls is Service
        return object.__new__(BareService if bare else cls)

    def __init__(self, **settings):
        self.folder = tempfile.mkdtemp(prefix="engaged-")
        self.port, self.ops_port = free_port(), free_port()
        self.settings = {"redis": f"embedded:{self.folder}/d", "listen": f"127.0.0.1:{self.port}", "workers": 1,
                         "ops_listen": f"127.0.0.1:{self.ops_port}", "secret_key": "k", "refresh_interval": "0",
                         "neighbour_interval": "0", "projection_interval": "5ms", **settings}
        self.log_path = os.path.join(self.folder, "log")
        self.start()

    def start(self):
        options = [part for name, value in self.settings.items()
                   for part in ("--" + name.replace("_", "-"), str(value))]
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([*self.wrapper, PROGRAM, *options], stderr=log,
                                            env=self.environment)
        self.wait_ready()

    def wait_ready(self):
        for _ in range(400):
            if self.process.poll() is not None:
                break
            try:
                if self.get("/readyz").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.025)
        self.process.terminate()
        raise AssertionError("not ready:\n" + self.log())

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def request(self, method, path, body=None, port=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.request("POST", path, body, **headers)

    def keyed(self, method, path, body=None, **headers):
        return self.request(method, path, body, Authorization="Bearer k", **headers)

    def lines(self, path, rows):
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        return self.keyed("POST", path, text.encode(), Content_Type="application/x-ndjson")

    def metrics(self):
        text = self.request("GET", "/metrics", port=self.ops_port).body.decode()
        rows = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: int(value) for name, value in rows}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        log = self.log()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert code == 0, log
        assert not reports_in(log), log


class BareService(Service):
    """A Redis, one worker and a projector, children of the test."""

    def start(self):
        port = free_port()
        named = {"redis_timeout": "20s", "secret": "11" * 32, "hash_key": "22" * 32, **self.settings, "redis": f"redis://127.0.0.1:{port}"}
        environment = {**os.environ, **{f"ENGAGED_{name.upper()}": str(value) for name, value in named.items()}}
        self.redis = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir",
                                       self.folder], stdout=subprocess.DEVNULL)
        self.processes = []
        for role in ("worker", "projector"):
            with open(self.log_path, "a", encoding="utf-8") as log:
                self.processes.append(subprocess.Popen([PROGRAM], stderr=log,
                                                       env={**environment, "ENGAGED_ROLE": role}))
        self.process = self.processes[0]
        self.wait_ready()

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(60) for process in self.processes]
        self.redis.kill()
        self.redis.wait()
        log = self.log()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert codes == [0, 0], (codes, log)
        assert not reports_in(log), log
