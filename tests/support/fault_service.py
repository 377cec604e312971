# SPDX-License-Identifier: MIT
"""A service whose processes may be killed one by one, and a client that tells what was acknowledged from what wasn't.

Workers and projectors are children of the test, without a supervisor, so that they die and come back as fast as the
test likes. (A child dies with the thread that started it: start those that are to stay from the main thread.)
"""
import http.client
import json
import signal
import urllib.parse

from support.launch import Launch, end
from support.processes import descriptors
from support.wait import wait_until

SECRET_KEY = "publisher"


def item_id(packed):
    """The id in an item's record (src/model/item.h); None when it has none."""
    if packed[:1] != b"\x01":
        return None
    site_at = 15 + 4 * packed[2]
    id_at = site_at + 1 + packed[site_at]
    return packed[id_at + 2:id_at + 2 + int.from_bytes(packed[id_at:id_at + 2], "little")].decode()


class FaultService(Launch):
    partitions = 16
    worker_count = 2
    presets = {"secret": "11" * 32, "hash_key": "22" * 32, "secret_key": SECRET_KEY, "rate_limits": "off",
               "refresh_interval": "0", "neighbour_interval": "0", "projection_interval": "20ms", "log_level": "warn"}

    def __init__(self, server, **settings):
        self.partitions = settings.get("partitions", self.partitions)
        super().__init__(**{"redis": f"redis://127.0.0.1:{server.port}", "partitions": self.partitions, **settings})
        self.workers, self.projectors = [], []

    def __enter__(self):
        try:
            self.workers = [self.spawn("worker") for _ in range(self.worker_count)]
            wait_until(lambda: all(self.listens(worker) for worker in self.workers), 20, "a worker does not listen")
            self.wait_all_ready()
        except BaseException:
            self.__exit__(True)
            raise
        return self

    def __exit__(self, *failure):
        projectors = [projector for projector in self.projectors if projector.poll() is None]
        codes = end(*self.workers, *projectors)
        # A projector may only have begun.
        codes[len(self.workers):] = [0 if code == -signal.SIGTERM else code for code in codes[len(self.workers):]]
        if failure and failure[0]:
            print(self.log()[-4000:])
            self.remove()
        else:
            self.judge(codes)

    def listens(self, process):
        """Whether it has a socket of its own at the service's port: only then has it also set up its signals."""
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file]
        inodes = {row[9] for row in rows if row[1].endswith(f":{self.port:04X}") and row[3] == "0A"}
        return bool(inodes & {name[8:-1] for name in descriptors(process.pid) if name.startswith("socket:[")})

    def wait_all_ready(self):
        """Each worker has a connection to Redis of its own, and a call reaches by chance this one or that one."""
        for _ in range(8 * self.worker_count):
            wait_until(self.is_ready, 20, "the service does not get ready")

    def start_projector(self, failpoint=None):
        environment = {"ENGAGED_FAILPOINT": failpoint} if failpoint else {}
        projector = self.spawn("projector", **environment)
        self.projectors = [held for held in self.projectors if held.poll() is None] + [projector]
        return projector

    def kill_worker(self, number):
        self.workers[number].kill()
        self.workers[number].wait()
        self.workers[number] = self.spawn("worker")

    def client(self):
        return FaultClient(self.port)


class FaultClient:
    """Calls return None when they were not acknowledged: to be repeated until they are."""

    def __init__(self, port):
        self.port = port
        self.connection = None

    def call(self, method, path, body=None, kind="application/json", visitor=None):
        if not self.connection:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Authorization": f"Bearer {SECRET_KEY}"}
        if body is not None:
            headers["Content-Type"] = kind
        if visitor:
            headers["Engaged-Visitor"] = visitor
        try:
            self.connection.request(method, path, body=body, headers=headers)
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def acknowledged(self, expected, *arguments, **options):
        """The answer's JSON (or True), or None."""
        try:
            status, text = self.call(*arguments, **options)
        except (OSError, http.client.HTTPException):
            return None
        if status == 503:
            return None
        assert status == expected, (arguments, status, text)
        return json.loads(text) if text else True

    @staticmethod
    def path(site, item, rest=""):
        return f"/v1/{site}/items/{urllib.parse.quote(item, safe='')}{rest}"

    def events(self, site, events):
        body = "".join(json.dumps(event) + "\n" for event in events)
        answer = self.acknowledged(200, "POST", f"/v1/{site}/events", body, "application/x-ndjson")
        if answer is None:
            return None
        refused = {entry["code"] for entry in answer["rejected"]}
        assert refused <= {"unavailable", "overloaded"}, answer
        return None if refused else answer

    def vote(self, site, item, visitor, kind):
        body = json.dumps({"kind": kind})
        return self.acknowledged(200, "POST", self.path(site, item, "/votes"), body, visitor=visitor)

    def unvote(self, site, item, visitor):
        return self.acknowledged(200, "DELETE", self.path(site, item, "/votes"), visitor=visitor)

    def view(self, site, item, visitor):
        return self.acknowledged(202, "POST", self.path(site, item, "/views"), "{}", visitor=visitor)

    def delete(self, site, item):
        return self.acknowledged(204, "DELETE", self.path(site, item))

    def item(self, site, item):
        return self.acknowledged(200, "GET", self.path(site, item))
