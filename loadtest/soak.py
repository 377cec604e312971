#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make soak SECONDS=3600: a mixed load at a moderate rate on a service of its own, for long; fails when memory or
descriptors of any process grow after the warm-up, a call is not answered as it must be, or a count is wrong at the end."""
import argparse
import collections
import os
import signal
import statistics
import sys
import threading
import time

from own import OwnService
from soak_load import Caller, Crowd, check_counts

CLIENTS = 4
SAMPLE_S = 5
WARM_UP = 0.25  # of the run
# The most by which the line fitted through the samples after the warm-up may rise over the rest of the run, and by which
# the highest sample may exceed the first of them.
RISE_MIB, PEAK_MIB = {"supervisor": 1, "worker": 4, "projector": 4, "redis": 4}, 16
RISE_DESCRIPTORS, DESCRIPTORS_MOST = 4, 200
REFUSED_SHARE = 0.005  # of all calls: Redis may be blocked for a moment on a machine that others use
MIB = 1 << 20


def role_of(pid, supervisor):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        parent = int(file.read().rpartition(")")[2].split()[1])
    if parent != supervisor:
        return None
    with open(f"/proc/{pid}/environ", "rb") as file:
        roles = [part[13:].decode() for part in file.read().split(b"\0") if part.startswith(b"ENGAGED_ROLE=")]
    return roles[0] if roles else "redis"


def processes_of(service):
    """Name to pid: the supervisor, its workers, its projector, its Redis."""
    found = {"supervisor": service.process.pid}
    for pid in sorted(map(int, filter(str.isdigit, os.listdir("/proc")))):
        try:
            role = role_of(pid, service.process.pid)
        except OSError:
            continue
        if role:
            found[f"{role} {sum(name.startswith(role) for name in found)}" if role == "worker" else role] = pid
    return found


def measure(pid):
    """Resident bytes, descriptors, seconds of processor."""
    with open(f"/proc/{pid}/statm", encoding="utf-8") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    spent = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return resident, len(os.listdir(f"/proc/{pid}/fd")), spent


class Samples:
    def __init__(self, service, seconds):
        self.service, self.seconds, self.began = service, seconds, time.monotonic()
        self.processes = processes_of(service)
        self.rows = collections.defaultdict(list)  # name: (time, resident, descriptors, seconds of processor)
        self.gauges = collections.defaultdict(list)  # metric: (time, value)

    def take(self, caller):
        now = time.monotonic() - self.began
        for name, pid in self.processes.items():
            self.rows[name].append((now, *measure(pid)))
        for name, value in caller.metrics(self.service.ops_port).items():
            self.gauges[name].append((now, value))

    def after_warm_up(self, rows):
        return [row for row in rows if row[0] >= WARM_UP * self.seconds]


def rise(rows, column):
    """The rise of the fitted line from the first sample to the last."""
    times, values = [row[0] for row in rows], [row[column] for row in rows]
    if len(rows) < 3:
        return 0.0
    line = statistics.linear_regression(times, values)
    return line.slope * (times[-1] - times[0])


def judge_process(name, rows):
    """A row of the table, and what is wrong."""
    resident = [row[1] / MIB for row in rows]
    grown, opened, most = rise(rows, 1) / MIB, rise(rows, 2), max(row[2] for row in rows)
    bound = RISE_MIB[name.split()[0]]
    share = (rows[-1][3] - rows[0][3]) / (rows[-1][0] - rows[0][0])
    text = (f"| {name} | {resident[0]:.1f} | {resident[-1]:.1f} | {max(resident):.1f} | {grown:+.2f} (at most {bound}) | "
            f"{rows[0][2]} | {most} | {opened:+.1f} | {100 * share:.1f} |")
    wrong = [f"{name}: {what}" for what, bad in (
        (f"memory rises by {grown:.2f} MiB", grown > bound),
        (f"memory has a peak {max(resident) - resident[0]:.1f} MiB over the warm-up's", max(resident) - resident[0] > PEAK_MIB),
        (f"descriptors rise by {opened:.1f}", opened > RISE_DESCRIPTORS),
        (f"{most} descriptors", most > DESCRIPTORS_MOST)) if bad]
    return text, wrong


def judge_gauges(samples):
    for metric, bound in (("engaged_redis_memory_bytes", RISE_MIB["redis"]), ("engaged_body_cache_bytes", RISE_MIB["worker"])):
        rows = samples.after_warm_up(samples.gauges[metric])
        grown = rise(rows, 1) / MIB
        print(f"{metric}: {rows[0][1] / MIB:.2f} MiB after the warm-up, {rows[-1][1] / MIB:.2f} at the end, "
              f"fitted {grown:+.2f} (at most {bound})")
        if grown > bound:
            yield f"{metric} rises by {grown:.2f} MiB"
    restarts = samples.gauges["engaged_process_restarts_total"][-1][1]
    if restarts or processes_of(samples.service) != samples.processes:
        yield f"{restarts} processes were started again"


def judge(samples):
    wrong = []
    print("\n| process | MiB after warm-up | at the end | highest | fitted rise, MiB | descriptors | most | fitted rise | "
          "% of a core |\n|---|---|---|---|---|---|---|---|---|")
    for name, rows in samples.rows.items():
        text, faults = judge_process(name, samples.after_warm_up(rows))
        print(text)
        wrong += faults
    print()
    return wrong + list(judge_gauges(samples))


def log_lines(service):
    with open(f"{service.folder}/log", encoding="utf-8") as file:
        return file.read().splitlines()


def soak(service, seconds, rate):
    over = threading.Event()
    said_before = len(log_lines(service))
    callers = [Caller(service, number, rate / CLIENTS, over) for number in range(CLIENTS)]
    threads = [*callers, Crowd(service.port, over)]
    samples = Samples(service, seconds)
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end and not any(caller.wrong for caller in callers):
        samples.take(callers[0])
        time.sleep(SAMPLE_S)
    over.set()
    for thread in threads:
        thread.join()
    samples.take(callers[0])
    wrong = [line for caller in callers for line in caller.wrong] + judge(samples)
    done = sum((caller.done for caller in callers), collections.Counter())
    refused = sum(caller.refused for caller in callers)
    if refused > REFUSED_SHARE * done.total():
        wrong.append(f"{refused} answers were 503")
    print(f"{done.total()} calls in {time.monotonic() - samples.began:.0f} s, {refused} more were 503: " + ", ".join(f"{count} {what}" for what, count in done.most_common()))
    if not wrong:
        wrong = list(check_counts(service, callers))
    return wrong + [line for line in log_lines(service)[said_before:] if " error: " in line]


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--rate", type=float, default=150, help="calls a second")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the service ends with it
    # Bulk views are of 100 days ago: an item that has one or two of them and no card yet would be removed by the first walk.
    with OwnService(workers="2", kinds="up down", unknown_items_kept="0") as service:
        wrong = soak(service, chosen.seconds, chosen.rate)
    for line in wrong[:20]:
        print(f"wrong: {line}")
    print("soak: " + ("nothing grows, all counts are right" if not wrong else f"{len(wrong)} things are wrong"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
