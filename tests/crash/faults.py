# SPDX-License-Identifier: MIT
"""The faults, one line each, and the nemesis that draws them from a seeded deck.

A fault begins, holds for some time, and is healed. Its time to recover begins when all processes are there
again and Redis answers as a master.
"""
import contextlib
import itertools
import os
import random
import signal
import threading
import time
from dataclasses import dataclass

import redis

from edits import edit_unprojected
from fault import Fault, ask, nothing, shoot, thaw
from faults_distributed import CLUSTER, SENTINEL
from faults_machines import MACHINES
from history import now
from probes import start_flood
from support.wait import comes_true

HEAL_S = 10
STEPS = itertools.cycle(("write-offsets-before", "commit-chunk-after", "read-logs-after", "write-offsets-after", "trim-logs-before",
                         "trim-logs-after", "read-chunk-after", "commit-chunk-before"))
LONG_RUN_S = 60
KINDS_MOST = 8  # of votes
BEHIND_SLOWER = 4
RECOVER_S = 5.0  # docs/faults.md: within 5 s of Redis's return


def undo(*command):
    """The same, until Redis takes it: another fault may hold it down."""
    def do(service, dice):
        comes_true(lambda: ask(*command)(service, dice), HEAL_S)
    return do


def end_supervisor(service, dice):
    """Gone for a moment, and started again on the same folder."""
    service.process.wait(40)
    time.sleep(dice.uniform(0, 0.5))
    service.start()


def kill_everything(service, _):
    pids = [*service.pids("redis"), service.process.pid]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def restart_with_failpoint(service, dice):
    """From here on every projector kills itself at a named step of its batches (project/steps.def)."""
    service.process.terminate()
    service.process.wait(40)
    service.start(ENGAGED_FAILPOINT=f"{next(STEPS)}:{dice.randint(2, 20)}")


def restart(service, dice):
    service.process.terminate()
    end_supervisor(service, dice)


def start_busy_script(service, dice):
    """A loop of one to six seconds. Mostly it becomes known as busy early, so that others see BUSY, and it may be killed."""
    seconds = dice.uniform(1, 6)
    loop = f"local till = os.clock() + {seconds:.2f} while os.clock() < till do end"

    def run():
        with contextlib.suppress(redis.RedisError):
            service.redis(20).eval(loop, 0)

    if dice.random() < 0.7:
        ask("CONFIG", "SET", "busy-reply-threshold", "300")(service, dice)
    threading.Thread(target=run, daemon=True).start()


# What a new process refuses: each in the next reload of that kind.
MANY_HALF_LIVES = "".join(f"[ranking r{n}]\nhalf_life = {n + 1}h\n" for n in range(20))
WRONG = itertools.cycle(({"more": "partitions = 8\n"}, {"kinds": ("odd", "up", "down")}, {"more": "redis_queue = 1\n"},
                         {"more": MANY_HALF_LIVES}))


def hang_up(service):
    if service.process.poll() is None:
        service.process.send_signal(signal.SIGHUP)


def reload_wrong(service, _):
    service.configure(service.configuration(**next(WRONG)))
    hang_up(service)


def configure_right(service, _):
    service.configure(service.configuration())


def reload_with_another_kind(service, _):
    """Kinds are never taken away: a few such reloads, then no more."""
    if len(service.kinds) == KINDS_MOST:
        return False
    service.kinds.append(f"more{len(service.kinds)}")
    service.configure(service.configuration())
    hang_up(service)
    return True


def backup(service, _):
    begin = now()
    path = os.path.join(service.folder, f"backup-{len(service.voids)}.rdb")
    if not service.tool("backup", path):
        return False
    service.voids.append([begin, now(), None, None])
    return True


def freeze_and_backup(service, dice):
    """So that the backup holds a log that is not projected."""
    shoot("projector", signal.SIGSTOP)(service, dice)
    time.sleep(dice.uniform(0, 1))
    try:
        return backup(service, dice)
    finally:
        thaw("projector")(service, dice)


def restore(service, _):
    """Until it succeeds: what was acknowledged since the backup is gone then."""
    if not service.voids or service.voids[-1][3]:
        return
    path = os.path.join(service.folder, f"backup-{len(service.voids) - 1}.rdb")
    service.voids[-1][2] = now()
    if not comes_true(lambda: service.tool("restore", path), HEAL_S):
        raise RuntimeError("engaged restore does not succeed")
    service.voids[-1][3] = now()


def begin_flood(service, _):
    service.flood = start_flood(service.port)


def end_flood(service, _):
    service.flood.kill()
    service.flood.wait()


SHIFTS_S = itertools.cycle((86400, -3600, 30, 3600, -30))


def shift_clock(service, _):
    service.shift_clock(next(SHIFTS_S))


def unshift_clock(service, _):
    service.shift_clock(0)


FAULTS = [
    Fault("kill-worker", shoot("worker", signal.SIGKILL)),
    Fault("kill-projector", shoot("projector", signal.SIGKILL)),
    Fault("kill-in-step", restart_with_failpoint, restart, (1, 3), down=True),
    Fault("kill-supervisor", shoot("supervisor", signal.SIGKILL), end_supervisor, down=True),
    Fault("kill-redis", shoot("redis", signal.SIGKILL)),
    Fault("kill-everything", kill_everything, end_supervisor, down=True),
    Fault("freeze-worker", shoot("worker", signal.SIGSTOP), thaw("worker"), (0.2, 4)),
    Fault("freeze-projector", shoot("projector", signal.SIGSTOP), thaw("projector"), (0.2, 4)),
    Fault("freeze-supervisor", shoot("supervisor", signal.SIGSTOP), thaw("supervisor"), (0.2, 4)),
    Fault("freeze-redis", shoot("redis", signal.SIGSTOP), thaw("redis"), (0.2, 4)),
    Fault("terminate", shoot("supervisor", signal.SIGTERM), end_supervisor, down=True),
    Fault("reload", shoot("supervisor", signal.SIGHUP)),
    Fault("drop-links", ask("CLIENT", "KILL", "TYPE", "normal")),
    Fault("flush-scripts", ask("SCRIPT", "FLUSH")),
    Fault("rewrite-log", ask("BGREWRITEAOF")),
    Fault("out-of-memory", ask("CONFIG", "SET", "maxmemory", "1"), undo("CONFIG", "SET", "maxmemory", "0"), (0.2, 3)),
    # The master is a closed port: nothing is ever copied from it, so the data stays.
    Fault("read-only", ask("REPLICAOF", "127.0.0.1", "1"), undo("REPLICAOF", "NO", "ONE"), (0.2, 3)),
    Fault("pause-writes", ask("CLIENT", "PAUSE", "60000", "WRITE"), undo("CLIENT", "UNPAUSE"), (0.2, 3)),
    Fault("busy-script", start_busy_script, ask("SCRIPT", "KILL"), (0.5, 3)),
    Fault("reload-wrong", reload_wrong, configure_right, (0.5, 3)),
    Fault("reload-kinds", reload_with_another_kind),
    Fault("edit-unprojected", edit_unprojected),
    Fault("flood", begin_flood, end_flood, (2, 4)),
    # A step that lasts for ten seconds is believed.
    Fault("clock", shift_clock, unshift_clock, (0.3, 4), stretch=1),
    Fault("restore", freeze_and_backup, restore, (0.3, 2)),
    *MACHINES,
]
BY_NAME = {fault.name: fault for fault in FAULTS}
# Those of processes and connections strike before any Redis.
ANYWHERE = ("kill-worker", "kill-projector", "kill-in-step", "kill-supervisor", "freeze-worker", "freeze-projector",
            "freeze-supervisor", "terminate", "reload", "reload-wrong", "reload-kinds", "drop-links", "flush-scripts", "edit-unprojected", "flood")
TABLES = {"all": FAULTS, "cluster": CLUSTER + [BY_NAME[name] for name in ANYWHERE],
          "sentinel": SENTINEL + [BY_NAME[name] for name in ANYWHERE]}
# What may strike while another fault holds.
SUDDEN = ("kill-worker", "kill-projector", "kill-redis", "drop-links", "flush-scripts")


def is_named(fault, word):
    """By its name or its first part: "freeze"."""
    return fault.name == word or fault.name.startswith(f"{word}-")


def chosen(text, left_out=()):
    """The table's name and its faults: of "all", "cluster", "sentinel", or of names. Names are looked for in the first table that
    has all; "cluster:kill-master" is of that table."""
    table, _, words = text.rpartition(":")
    words = [] if words == "none" else words.split(",")
    for name, faults in TABLES.items():
        if table in ("", name) and all(word == name or any(is_named(fault, word) for fault in faults) for word in words):
            found = [fault for fault in faults if any(word == name or is_named(fault, word) for word in words)]
            return name, [fault for fault in found if fault.name not in left_out]
    known = "; ".join(f"{name}: {', '.join(fault.name for fault in faults)}" for name, faults in TABLES.items())
    raise ValueError(f"no such faults: {text}; there are {known}")


@dataclass
class Strike:
    """One fault as it happened."""

    name: str
    begin: float
    healed: float = 0.0  # all was whole again
    recovered: float = 0.0  # every client has had a write of after that acknowledged
    unserved: str = ""  # what a client waited for that was not, within its time
    skipped: bool = False
    freezes: bool = False  # a worker, or the supervisor while one is dead: what it holds waits as long
    ended: float = 0.0  # the fault itself
    down: bool = False


class Nemesis:
    def __init__(self, service, clients, options):
        self.service, self.clients, self.margin = service, clients, options.margin
        self.faults = chosen(options.faults, options.leave_out.split(","))[1]
        self.dice = random.Random(f"{options.seed} nemesis")
        self.deck, self.strikes, self.complaints = [], [], []

    def draw(self):
        if not self.deck:
            self.deck = list(self.faults)
            self.dice.shuffle(self.deck)
        return self.deck.pop()

    def torment(self, until):
        while self.faults and now() < until:
            time.sleep(self.dice.uniform(0.1, 0.8))
            self.strike(self.draw(), until)

    def strike(self, fault, until):
        strike = Strike(fault.name, now(), freezes=fault.name in ("freeze-worker", "freeze-machine"), down=fault.down)
        self.strikes.append(strike)
        self.service.hit = None
        try:
            strike.skipped = fault.begin(self.service, self.dice) is False
            self.hold(fault, until)
            strike.ended = now()
            fault.end(self.service, self.dice)
        except (redis.RedisError, AssertionError) as error:
            self.complaints.append(f"{fault.name} cannot be done: {error}")
        if not self.service.wait_whole(self.service.whole_s):
            self.complaints.append(f"{fault.name}: {self.service.missing()} is missing after {self.service.whole_s} s")
        strike.healed = now()
        self.service.end_losses()
        served = self.service.yardstick.comes_true(lambda: not self.unserved_since(strike.healed), self.margin, RECOVER_S)
        strike.recovered = now()
        if not served:
            seconds = strike.recovered - strike.healed
            strike.unserved = f"after {seconds:.1f} s not served: {'; '.join(self.unserved_since(strike.healed))}"

    def hold(self, fault, until):
        """Sometimes another fault strikes meanwhile."""
        low, high = fault.hold
        seconds = self.dice.uniform(low, high)
        if until - now() > LONG_RUN_S and self.dice.random() < 0.1:
            seconds *= fault.stretch
        second = BY_NAME[self.dice.choice(SUDDEN)]
        if seconds > 0 and second in self.faults and self.dice.random() < 0.25:
            time.sleep(seconds / 2)
            self.strikes.append(Strike(f"{second.name} (during)", now(), now(), now()))
            self.strikes[-1].skipped = second.begin(self.service, self.dice) is False
            if (fault.name, second.name) == ("freeze-worker", "kill-worker"):
                self.strikes[-2].down = True
            elif (fault.name, second.name) == ("freeze-supervisor", "kill-worker"):
                self.strikes[-2].freezes = True  # nobody starts the worker anew
            seconds /= 2
        time.sleep(seconds)

    def unserved_since(self, instant):
        """The last call of each client that has had no write acknowledged. A deletion is refused as long as the projector is behind
        by more than redis_timeout: on a machine that is many times slower than alone it may be so all the time."""
        slow = self.service.yardstick.slower(instant, now()) > BEHIND_SLOWER
        return [client.last_call() for client in self.clients
                if client.is_alive() and max(client.acknowledged, client.hidden if slow else 0.0) <= instant]
