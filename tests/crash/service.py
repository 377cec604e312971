# SPDX-License-Identifier: MIT
"""The service under test: the real supervisor with its embedded Redis, found and hurt from outside, process by process."""
import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import redis

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECRET_KEY = "publisher"
KINDS = ("up", "down", "odd")
REDIS_TIMEOUT_S = 1.0
WORKERS = 2
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "Assertion", "handle is still open")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_file(path):
    """Of /proc, where a process may go at any moment."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def parent_of(pid):
    fields = read_file(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields and fields[0] != b"Z" else 0


class CrashService:
    def __init__(self, program, **settings):
        self.folder = tempfile.mkdtemp(prefix="engaged-crash-")
        self.directory = os.path.join(self.folder, "d")
        self.log_path = os.path.join(self.folder, "log")
        self.program, self.process = program, None
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGED_")}
        self.port, self.ops_port = free_port(), free_port()
        self.settings = {"redis": f"embedded:{self.directory}", "listen": f"127.0.0.1:{self.port}",
                         "ops_listen": f"127.0.0.1:{self.ops_port}", "workers": WORKERS, "secret_key": SECRET_KEY,
                         "ceilings": "off", "kinds": " ".join(KINDS), "redis_timeout": f"{REDIS_TIMEOUT_S:g}s",
                         "projection_interval": "10ms", "neighbour_interval": "200ms", "refresh_interval": "200ms",
                         "log_level": "info", **settings}

    # ---- Life

    def start(self, **environment):
        options = [part for name, value in self.settings.items()
                   for part in ("--" + name.replace("_", "-"), str(value))]
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([self.program, *options], stderr=log, stdout=log,
                                            env={**self.environment, **environment})

    def stop(self):
        """A clean end, as an operator would: None, or what is wrong with it."""
        self.process.terminate()
        try:
            code = self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.kill_all()
            return "the supervisor does not end on SIGTERM"
        return f"the supervisor ends with {code}" if code else None

    def kill_all(self):
        """Only by pid, and Redis too: it outlives its supervisor."""
        victims = [*self.children("worker"), *self.children("projector"), self.redis_pid()]
        if self.process and self.process.poll() is None:
            victims.insert(0, self.process.pid)
        for pid in filter(None, victims):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return read_file(self.log_path).decode(errors="replace")

    def reports(self):
        """Lines that a sanitizer or an assertion wrote."""
        return [line for line in self.log().splitlines() if any(report in line for report in REPORTS)]

    # ---- Processes

    def children(self, role):
        mark = f"ENGAGED_ROLE={role}".encode()
        mine = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and parent_of(pid) == self.process.pid]
        return [pid for pid in mine if mark in read_file(f"/proc/{pid}/environ").split(b"\0")]

    def redis_pid(self):
        text = read_file(os.path.join(self.directory, "redis.pid")).strip()
        with contextlib.suppress(OSError, ValueError):
            pid = int(text)
            if parent_of(pid) and os.readlink(f"/proc/{pid}/cwd") == os.path.realpath(self.directory):
                return pid
        return None

    def pids(self, role):
        if role == "supervisor":
            return [self.process.pid] if self.process.poll() is None else []
        if role == "redis":
            return [pid for pid in [self.redis_pid()] if pid]
        return self.children(role)

    # ---- Redis

    def redis(self, timeout=2):
        path = os.path.join(self.directory, "redis.sock")
        return redis.Redis(unix_socket_path=path, socket_timeout=timeout, socket_connect_timeout=timeout)

    def redis_is_whole(self):
        try:
            return self.redis(1).role()[0] == b"master"
        except redis.RedisError:
            return False

    # ---- Wholeness

    def missing(self):
        """What is not there of all processes and a Redis that is a master."""
        if self.process.poll() is not None:
            return "the supervisor"
        if len(self.children("worker")) < WORKERS:
            return "a worker"
        if not self.children("projector"):
            return "the projector"
        return None if self.redis_is_whole() else "a Redis that answers as a master"

    def is_whole(self):
        """From here on the time to recover counts."""
        return self.missing() is None

    def wait_whole(self, seconds):
        return wait_until(self.is_whole, seconds)

    def is_ready(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def wait_until(true, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return False
