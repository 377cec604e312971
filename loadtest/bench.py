# SPDX-License-Identifier: MIT
"""The tools of a measurement: a Redis, the load generators, and the processor time of each process."""
import contextlib
import json
import os
import resource
import shutil
import subprocess
import tempfile

from client import ROOT
from own import RedisServer

TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
PROGRAMS = os.path.join(ROOT, "build")


def cpu_us(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def status_kib(pid, name):
    """A line of /proc/PID/status: VmRSS, RssAnon, VmHWM."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def as_embedded(tree):
    """The settings of a revision's embedded Redis; but it never rewrites its log while it is measured."""
    with open(f"{tree}/deploy/redis.conf", encoding="utf-8") as file:
        lines = [line.split(None, 1) for line in file if line.strip() and not line.startswith("#")]
    return {**{name.replace("-", "_"): "" if value.strip() == '""' else value.strip() for name, value in lines},
            "auto_aof_rewrite_percentage": "0", "maxclients": "4000"}


AS_EMBEDDED = as_embedded(ROOT)


class Redis(RedisServer):
    def __init__(self, fsync="everysec", data=None, tree=ROOT, **more):
        """`data`: a folder with the log of another one, whose data it begins with. `tree`: whose settings it has."""
        super().__init__(unix=True, **{**as_embedded(tree), "appendfsync": fsync, **more})
        if data:
            shutil.copytree(data, f"{self.directory}/appendonlydir")
        self.start()

    def cli(self, *command):
        done = subprocess.run(["redis-cli", "-s", self.socket, *command], stdout=subprocess.PIPE, check=True)
        return done.stdout.decode(errors="replace").strip()

    def info(self, section):
        return dict(line.strip().split(":", 1) for line in self.cli("INFO", section).splitlines() if ":" in line)

    def figures(self):
        used, disk, stats = self.info("cpu"), self.info("persistence"), self.info("stats")
        return {"cpu": 1e6 * (float(used["used_cpu_user"]) + float(used["used_cpu_sys"])), "aof": int(disk["aof_current_size"]),
                "commands": int(stats["total_commands_processed"]), "trips": int(stats["total_reads_processed"])}

    def logs(self):
        """Keys of the service's logs; walks over all keys."""
        return [key for key in self.cli("--scan", "--pattern", "{e*}log").split() if self.cli("TYPE", key) == "stream"]

    def load_script(self):
        with open(f"{ROOT}/loadtest/yardstick_vote.lua", encoding="utf-8") as file:
            return self.cli("SCRIPT", "LOAD", file.read())


class Result:
    """One drive: requests, rate, latencies in µs, and µs of each process a request."""

    def __init__(self, measured, requests):
        self.requests, self.rate = requests, requests / measured["seconds"]
        self.latency = {name: measured[name] for name in ("p50", "p99", "p99.9")
                        if measured.get(name, -1) >= 0}
        self.bad = measured.get("bad", 0) + measured.get("broken", 0)
        self.cpu, self.redis_us, self.aof_bytes, self.commands, self.trips, self.extra = {}, None, None, None, None, {}
        self.generator = None  # µs a request, % of a core

    def all_us(self):
        """Processor time a request, of all processes and Redis."""
        return sum(self.cpu.values()) + (self.redis_us or 0)


def spent_by_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e6 * (used.ru_utime + used.ru_stime)


def drive_closed(port, seconds, connections, work):
    """A closed loop of one thread. wrk draws the requests; what is always the same read is asked for at less cost, unless
    `work` names a GENERATOR."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s",
               f"{ROOT}/loadtest/traffic.lua", f"http://127.0.0.1:{port}/"]
    if work.get("WORK", "read") == "read" and work.get("DEPTH", 1) == 1 and work.get("GENERATOR") != "wrk":
        command = [f"{PROGRAMS}/closed_loop", str(port), str(seconds), str(connections), work["TARGET"]]
    before = spent_by_children()
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True,
                          env={**os.environ, **{name: str(value) for name, value in work.items()}}).stdout
    spent = spent_by_children() - before
    measured = json.loads(text.split("JSON ", 1)[1].splitlines()[0])
    result = Result(measured, measured["requests"])
    result.generator = spent / result.requests, spent / measured["seconds"] / 1e4
    return result


def open_loop(port, rate, seconds, connections, requests):
    """`requests`: lines "METHOD TARGET [VISITOR]"; returns what loadtest/open_loop.c prints."""
    with tempfile.NamedTemporaryFile("w", prefix="engaged-requests-") as file:
        file.writelines(line + "\n" for line in requests)
        file.flush()
        done = subprocess.run([f"{PROGRAMS}/open_loop", str(port), str(rate), str(seconds), str(connections), file.name],
                              stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def drive(target, seconds, connections, work):
    """One measured load on a target (peers.py); what it still has to do afterwards counts."""
    redis, pids = getattr(target, "redis", None), target.pids()
    stored = redis.figures() if redis else None
    spent = {role: cpu_us(pid) for role, pid in pids.items()}
    result = target.load(seconds, connections, work)
    target.settle()
    result.cpu = {role: (cpu_us(pid) - spent[role]) / result.requests for role, pid in pids.items()}
    if redis:
        now = redis.figures()
        result.redis_us, result.aof_bytes, result.commands, result.trips = (
            (now[name] - stored[name]) / result.requests if name in now else None for name in ("cpu", "aof", "commands", "trips"))
    return result


@contextlib.contextmanager
def stopping(*things):
    try:
        yield things
    finally:
        for thing in reversed(things):
            thing.stop()
