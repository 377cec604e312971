# SPDX-License-Identifier: MIT
"""The service under test: the real supervisor with its embedded Redis; its processes are found and killed or frozen from outside."""
import contextlib
import os
import signal
import struct
import subprocess
import threading

import redis

from history import now
from support import processes
from support.launch import Launch
from support.program import BUILD, ROOT, options_of
from support.reports import reports_in
from tailer import Tailer
from yardstick import Yardstick

SECRET_KEY = "publisher"
KINDS = ("up", "down", "odd")
REDIS_TIMEOUT_S = 1.0
WORKERS = 2
PARTITIONS = 16  # the preset


class CrashService(Launch):
    presets = {"workers": WORKERS, "secret_key": SECRET_KEY, "rate_limits": "off",
               "redis_timeout": f"{REDIS_TIMEOUT_S:g}s", "projection_interval": "10ms", "neighbour_interval": "200ms",
               "refresh_interval": "200ms", "log_level": "info",
               "corrections_kept": 100000,  # a run of ten minutes makes more than the preset keeps
               "secret": "5e" * 32, "hash_key": "a7" * 32}  # a second machine needs them

    name = "all"  # of the table of faults (faults.py)
    by_log = False  # whether the logs are on several Redis
    whole_s = 15  # a supervisor waits up to 5 s before it starts again what died often

    def __init__(self, program, **settings):
        self.kinds = list(KINDS)  # a fault adds others, for which nobody votes
        super().__init__(self.configuration(), **settings)
        self.program, self.process = program, None
        self.directory = os.path.join(self.folder, "d")
        self.losses = []  # [begin, end, partitions]: what these acknowledged meanwhile may be lost
        self.hit = None  # what the present fault has struck
        self.second = None  # another machine on the same store, for a while (faults_machines.py)
        self.away = ()  # the ports of machines that a balancer would leave out
        self.takeovers = []  # [begin, end, done]: how long nothing was projected after a machine had gone
        self.voids = []  # what was in place at the first of (begin, end, begin, end) is so again after the last
        self.clock_path = os.path.join(self.folder, "clock")
        self.shift_clock(0)
        self.over = threading.Event()
        self.yardstick = Yardstick(self.all_pids, self.over)
        self.tailer = Tailer(PARTITIONS, self.serving, self.by_log, self.over, self.voids)

    def configuration(self, kinds=None, more=""):
        return f"kinds = {' '.join(kinds or self.kinds)}\n{more}"

    def shift_clock(self, seconds):
        """Of Redis alone (shifted_clock.c)."""
        with open(self.clock_path, "r+b" if os.path.exists(self.clock_path) else "wb") as file:
            file.write(struct.pack("<q", seconds))

    def store_address(self):
        """Of what both machines have."""
        return f"unix:{self.directory}/redis.sock"

    def port_for(self, number):
        """Of the machine to which a balancer sends this client."""
        ports = [machine.port for machine in (self, self.second) if machine and machine.port not in self.away]
        return ports[number % len(ports)] if ports else self.port

    # ---- Life

    def end_losses(self):
        """All is whole again."""
        for loss in self.losses:
            loss[1] = loss[1] or now()

    def prepare(self):
        """What must run before it starts."""

    def start(self, **environment):
        """Also for a program that is built elsewhere: the preloaded library is that of the tree."""
        library = os.path.join(ROOT, BUILD, "shifted_clock.so")
        sanitizer = "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")
        self.process = self.spawn(LD_PRELOAD=library, SHIFTED_CLOCK=self.clock_path, ASAN_OPTIONS=sanitizer, **environment)

    def tool(self, name, *arguments):
        """engaged backup and the like; True when it says 0."""
        command = [self.program, name, *arguments, *options_of(self.settings)]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120).returncode == 0

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
        if self.second:
            self.second.kill()
            self.second.remove()
        victims = [*self.children("worker"), *self.children("projector"), self.redis_pid()]
        if self.process and self.process.poll() is None:
            victims.insert(0, self.process.pid)
        for pid in filter(None, victims):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()

    def reports(self):
        return reports_in(self.log())

    # ---- Processes

    def redis_pid(self):
        return processes.redis_pid(self.directory)

    def pids(self, role):
        if role == "supervisor":
            return [self.process.pid] if self.process.poll() is None else []
        if role == "redis":
            return [pid for pid in [self.redis_pid()] if pid]
        return self.children(role)

    def all_pids(self):
        second = self.second  # the nemesis takes it away
        return [pid for role in ("supervisor", "worker", "projector", "redis") for pid in self.pids(role)] + (second.pids() if second else [])

    # ---- Redis

    def redis(self, timeout=2):
        path = os.path.join(self.directory, "redis.sock")
        return redis.Redis(unix_socket_path=path, socket_timeout=timeout, socket_connect_timeout=timeout)

    def serving(self, _key):
        """A client of the Redis that serves a key."""
        return self.redis()

    def all_redis(self):
        """A client of each."""
        return [self.redis()]

    def redis_missing(self):
        try:
            return None if self.redis(1).role()[0] == b"master" else "a Redis that is a master"
        except (redis.RedisError, AttributeError):  # the client stumbles over a Unix socket that is reset
            return "a Redis that answers"

    # ---- Wholeness

    def missing(self):
        """What is not there of all processes and of what Redis must be."""
        if self.process.poll() is not None:
            return "the supervisor"
        if len(self.children("worker")) < WORKERS:
            return "a worker"
        if not self.children("projector"):
            return "the projector"
        return self.redis_missing()

    def is_whole(self):
        """From here on the time to recover counts."""
        return self.missing() is None

    def wait_whole(self, seconds):
        return self.yardstick.comes_true(self.is_whole, seconds)
