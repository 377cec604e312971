# SPDX-License-Identifier: MIT
"""A service whose processes may be killed one by one, and a client that tells what was acknowledged from what wasn't.

Workers and projectors are children of the test, without a supervisor, so that they die and come back as fast as the
test likes. (A child dies with the thread that started it: start those that are to stay from the main thread.)
"""
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

import redis

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, os.environ.get("BUILD", "build"), "engaged")
SECRET_KEY = "publisher"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(true, seconds, what):
    end = time.time() + seconds
    while time.time() < end:
        if true():
            return
        time.sleep(0.02)
    raise AssertionError(what() if callable(what) else what)


def item_id(packed):
    """The id in an item's record (src/model/item.h); None when it is none."""
    if packed[:1] != b"\x01":
        return None
    site_at = 15 + 4 * packed[2]
    id_at = site_at + 1 + packed[site_at]
    return packed[id_at + 2:id_at + 2 + int.from_bytes(packed[id_at:id_at + 2], "little")].decode()


def descriptors(process):
    """What each open descriptor of a process is; they come and go meanwhile."""
    names = []
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{process.pid}/fd"):
            with contextlib.suppress(OSError):
                names.append(os.readlink(f"/proc/{process.pid}/fd/{number}"))
    return names


class RedisServer:
    def __enter__(self):
        self.port = free_port()
        self.directory = tempfile.mkdtemp(prefix="engaged-redis-")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.directory]
        self.process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        wait_until(self.answers, 10, "redis-server does not answer")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def answers(self):
        try:
            return self.client().ping()
        except redis.ConnectionError:
            return False

    def client(self):
        return redis.Redis(port=self.port)


class FaultService:
    partitions = 16
    worker_count = 2

    def __init__(self, server, **settings):
        self.port, self.ops_port = free_port(), free_port()
        self.partitions = settings.get("partitions", self.partitions)
        self.settings = {
            "listen": f"127.0.0.1:{self.port}",
            "ops_listen": f"127.0.0.1:{self.ops_port}",
            "redis": f"redis://127.0.0.1:{server.port}",
            "partitions": self.partitions,
            "secret": "11" * 32,
            "hash_key": "22" * 32,
            "secret_key": SECRET_KEY,
            "ceilings": "off",
            "refresh_interval": "0",
            "neighbour_interval": "0",
            "projection_interval": "20ms",
            "log_level": "warn",
            **settings,
        }
        self.workers, self.projectors = [], []

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        try:
            self.workers = [self.start("worker") for _ in range(self.worker_count)]
            wait_until(lambda: all(self.listens(worker) for worker in self.workers), 20, "a worker does not listen")
            for _ in range(8 * self.worker_count):  # by chance this one, by chance that one
                wait_until(self.is_ready, 20, "the service does not get ready")
        except BaseException:
            self.__exit__(True)
            raise
        return self

    def __exit__(self, *failure):
        projectors = [projector for projector in self.projectors if projector.poll() is None]
        for process in self.workers + projectors:
            process.terminate()
        codes = [self.end(worker) for worker in self.workers]
        codes += [0 if code == -signal.SIGTERM else code for code in map(self.end, projectors)]  # one may only have begun
        self.log.seek(0)
        text = self.log.read().decode(errors="replace")
        self.log.close()
        if failure and failure[0]:
            print(text[-4000:])
            return
        for report in ("Sanitizer", "runtime error", "Assertion", "handle is still open"):
            assert report not in text, text[-8000:]
        assert set(codes) == {0}, (codes, text[-4000:])

    def listens(self, process):
        """Whether it has a socket of its own at the service's port: only then has it also set up its signals."""
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file]
        inodes = {row[9] for row in rows if row[1].endswith(f":{self.port:04X}") and row[3] == "0A"}
        return bool(inodes & {name[8:-1] for name in descriptors(process) if name.startswith("socket:[")})

    @staticmethod
    def end(process):
        try:
            return process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def start(self, role, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGED_")}
        named = {f"ENGAGED_{name.upper()}": str(value) for name, value in self.settings.items()}
        environment = {**kept, **named, "ENGAGED_ROLE": role, **environment}
        return subprocess.Popen([PROGRAM], env=environment, stderr=self.log)

    def start_projector(self, failpoint=None):
        environment = {"ENGAGED_FAILPOINT": failpoint} if failpoint else {}
        projector = self.start("projector", **environment)
        self.projectors = [held for held in self.projectors if held.poll() is None] + [projector]
        return projector

    def kill_worker(self, number):
        self.workers[number].kill()
        self.workers[number].wait()
        self.workers[number] = self.start("worker")

    def is_ready(self):
        try:
            return self.client().call("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

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
