# SPDX-License-Identifier: MIT
"""The real service, on free ports, with an embedded Redis in a temporary folder. `stop` asserts a clean end."""
import http.client
import json
import os
import signal

from support.launch import Launch, end, status_at
from support.ports import free_port
from support.program import BUILD, PROGRAM, ROOT
from support.redis_server import RedisServer
from support.wait import wait_until

__all__ = ["BUILD", "PROGRAM", "ROOT", "Answer", "BareService", "Service", "WaitingService", "free_port"]


class Answer:
    def __init__(self, response, body):
        self.status, self.body = response.status, body
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    @property
    def json(self):
        return json.loads(self.body)


def metric_value(text):
    """A whole number where it is one; ages are not."""
    return int(text) if text.isdigit() else float(text)


class Service(Launch):
    """With BARE_SERVICE=1 without a supervisor, as its children can't be watched by valgrind: see BareService."""

    presets = {"workers": 1, "secret_key": "k", "refresh_interval": "0", "neighbour_interval": "0",
               "projection_interval": "5ms"}

    def __new__(cls, *_, **__):
        bare = os.environ.get("BARE_SERVICE") and cls is Service
        return object.__new__(BareService if bare else cls)

    def __init__(self, environment=None, **settings):
        super().__init__(**settings)
        self.environment = environment or {}
        self.start()

    def start(self):
        self.process = self.spawn(**self.environment)
        self.wait_ready([self.process])

    def is_ready(self):
        try:
            return self.get("/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def request(self, method, path, body=None, port=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=120)
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
        return {name: metric_value(value) for name, value in rows}

    def metric_sum(self, family):
        """Of a metric with labels."""
        return sum(value for name, value in self.metrics().items() if name.partition("{")[0] == family)

    def item_reads(self):
        """How many states of items were asked for, of Redis or of memory."""
        return self.metric_sum("engaged_item_reads_total")

    def stop(self):
        self.judge(end(self.process))


class WaitingService(Service):
    """One that is alive and need not be ready, with a Redis that the test gives it."""

    presets = {**Service.presets, "secret": "11" * 32, "hash_key": "22" * 32}

    def is_ready(self):
        return status_at(self.port, "/healthz") == 200

    def trouble(self):
        """What /readyz says: its status and its text."""
        answer = self.get("/readyz")
        return answer.status, answer.body.decode()

    def vote(self, visitor, item="a"):
        return self.keyed("POST", f"/v1/s/items/{item}/votes", Engaged_Visitor=visitor)

    def wait_named(self, words, seconds=20):
        """Until /readyz refuses and says so."""
        wait_until(lambda: (found := self.trouble())[0] == 503 and words in found[1], seconds,
                   lambda: f"{words}: {self.trouble()}\n{self.log()}")

    def wait_taken(self, seconds=20, visitor="taker"):
        """Until it is ready and takes a vote, which is the answer."""
        return wait_until(lambda: self.trouble()[0] == 200 and (vote := self.vote(visitor)).status == 200 and vote, seconds,
                          lambda: f"{self.trouble()}\n{self.log()}")


class BareService(Service):
    """A Redis, one worker and a projector, children of the test."""

    def start(self):
        self.redis = RedisServer().start()
        self.settings = {"redis_timeout": "20s", "secret": "11" * 32, "hash_key": "22" * 32, **self.settings,
                         "redis": self.redis.url}
        self.processes = [self.spawn(role) for role in ("worker", "projector")]
        self.process = self.processes[0]
        self.wait_ready(self.processes)

    def stop(self):
        worker, projector = end(*self.processes, seconds=60)
        codes = [worker, 0 if projector == -signal.SIGTERM else projector]  # it may only have begun
        self.redis.stop()
        self.judge(codes)
