# SPDX-License-Identifier: MIT
"""How much slower the machine is than one that the run has for itself. The kernel counts of each thread how long it ran and how
long it was ready and waited for a processor (/proc/PID/schedstat). A thread that runs a tenth of the time in which it could
makes what takes a second take ten. The judge allows more time by this measure alone."""
import bisect
import contextlib
import os
import threading
import time

from history import now

EVERY_S, AROUND_S = 0.5, 1.0
LEAST_S = 0.02  # of running: less says nothing


def times_of(path):
    """Seconds that a thread ran and that it waited; (0, 0) where the kernel does not count."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
        ran, waited = file.read().split()[:2]
        return int(ran) / 1e9, int(waited) / 1e9
    return 0.0, 0.0


def threads_of(pid):
    with contextlib.suppress(OSError):
        return [f"/proc/{pid}/task/{thread}/schedstat" for thread in os.listdir(f"/proc/{pid}/task")]
    return []


class Yardstick(threading.Thread):
    """`pids()` gives the processes that serve; the run's `own` are added."""

    def __init__(self, pids, over, own=(os.getpid(),)):
        super().__init__(daemon=True)
        self.pids, self.over, self.own = pids, over, own
        self.last, self.ran, self.waited = {}, 0.0, 0.0
        self.at, self.sums = [now()], [(0.0, 0.0)]

    def run(self):
        while not self.over.wait(EVERY_S):
            self.measure()

    def measure(self):
        before, self.last = self.last, {}
        for path in (path for pid in [*self.own, *self.pids()] for path in threads_of(pid)):
            ran, waited = self.last[path] = times_of(path)
            known = before.get(path, (ran, waited))
            self.ran += max(0.0, ran - known[0])
            self.waited += max(0.0, waited - known[1])
        self.sums.append((self.ran, self.waited))
        self.at.append(now())

    def comes_true(self, true, seconds, fixed=0, pause=0.02):
        """As support/wait.py has it. The seconds are those of a machine that the run has for itself, but for the fixed ones."""
        begin = now()
        while not (value := true()) and now() - begin < fixed + seconds * self.slower(begin, now()):
            time.sleep(pause)
        return value

    def slower(self, begin, end):
        """By what factor, in this window and a second around it; 1: not at all."""
        first = max(0, bisect.bisect_right(self.at, begin - AROUND_S) - 1)
        last = min(len(self.sums) - 1, bisect.bisect_left(self.at, end + AROUND_S))
        ran, waited = (after - before for before, after in zip(self.sums[first], self.sums[last]))
        return 1 + waited / max(ran, LEAST_S)
