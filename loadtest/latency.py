# SPDX-License-Identifier: MIT
"""Scenarios of latency: by constant rate, under overload, until a vote is visible, and whether projecting keeps up.

To add one: a function of plan and report, and a line in LATENCIES.
"""
import math
import random
import threading
import time

from bench import descriptors, drive_closed, open_loop, status_kib, stopping
from peers import Engaged, Missing, NginxLua
from report import median, percentile
from scenarios import HOT, Watch, add_reads

VOTE_WORK = {"WORK": "votes", "LAW": "uniform"}
MANY = 512  # connections of a constant rate: more than are ever busy below the peak


def vote_requests(plan, count, kind="visitors"):
    draw = random.Random(7)
    with open(plan.file(kind), encoding="utf-8") as file:
        visitors = [line.strip() for line, _ in zip(file, range(10**5))]
    return [f"POST /v1/load/items/i{draw.randrange(plan.items)}/votes {draw.choice(visitors)}" for _ in range(count)]


def peak_of(target, plan, work, connections=64):
    """The best of some drives: with less than the peak there is no overload."""
    rates = []
    for _ in range(plan.pairs):
        rates.append(target.load(max(plan.seconds, 3), connections, {**work, "SEED": random.random()}).rate)
        target.settle()
    return max(rates)


def at_rate(target, rate, seconds, requests, connections=MANY):
    measured = open_loop(target.port, max(1, round(rate)), seconds, connections, requests)
    target.settle()
    return measured


def open_peer(report):
    try:
        return [NginxLua("everysec")]
    except Missing as missing:
        report.miss("nginx+Lua", f"{missing} is not installed")
        return []


def row(name, rate, measured):
    return [name, rate, measured["ok"] / measured["seconds"],
            *[measured["scheduled"][key] / 1000 for key in ("p50", "p99", "p99.9", "max")],
            str(measured["planned"] - measured["ok"])]


def open_loop_votes(plan, report):
    """p99 by constant rate at half the peer's peak, at half and at 90 % of the own; latency over rate as a plot."""
    rows, series, seconds = [], [], 2 if plan.quick else 5
    with stopping(Engaged(), *open_peer(report)) as targets:
        ours, peer = targets[0], targets[1] if len(targets) > 1 else None
        kinds = {target: "users" if target is peer else "visitors" for target in targets}
        requests = {target: vote_requests(plan, 200000, kinds[target]) for target in targets}
        peaks = {target: peak_of(target, plan, {**VOTE_WORK, **plan.work(kinds[target])}) for target in targets}
        if peer:
            pairs = [[at_rate(target, peaks[peer] / 2, seconds, requests[target]) for target in targets]
                     for _ in range(plan.pairs)]
            for at, target in enumerate(targets):
                rows += [row(f"{target.name}, half of {peer.name}'s peak", peaks[peer] / 2, pair[at]) for pair in pairs]
            report.aim("p99 at half of nginx+Lua's peak ÷ nginx+Lua's",
                       median([pair[0]["scheduled"]["p99"] / pair[1]["scheduled"]["p99"] for pair in pairs]), "<=", 0.5)
        for share in (0.5, 0.9):
            rows.append(row(f"engaged, {share:.0%} of its peak", share * peaks[ours],
                            at_rate(ours, share * peaks[ours], seconds, requests[ours])))
        shares = (0.25, 0.75) if plan.quick else (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
        for target in targets:
            points = [(share * peaks[target], at_rate(target, share * peaks[target], seconds, requests[target]))
                      for share in shares]
            series += [(f"{target.name}, {key}", [x for x, _ in points], [m["scheduled"][key] / 1000 for _, m in points])
                       for key in ("p50", "p99")]
    report.table(f"open-loop: votes spread evenly by constant rate, everysec, {seconds} s each; latency from the planned "
                 "instant", ["what", "offered /s", "answered /s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "not answered"],
                 rows)
    report.plot("latency-votes", "votes offered a second", "ms", series)


def open_loop_reads(plan, report):
    with stopping(Engaged()) as (target,):
        add_reads(target)
        peak = peak_of(target, plan, {"TARGET": HOT})
        rows = [row(f"ranking from memory, {share:.0%} of the peak", share * peak,
                    at_rate(target, share * peak, 2 if plan.quick else 5, [f"GET {HOT}"])) for share in (0.25, 0.5, 0.9)]
    report.table("open-loop-reads: a ranking from memory by constant rate; the generator shares the machine",
                 ["what", "offered /s", "answered /s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "not answered"], rows)


def overload(plan, report):
    """Over the limit a request gets 503 at once; accepted ones are answered in time; afterwards all is as before."""
    connections, seconds, rows, points = 8000, 2 if plan.quick else 5, [], []
    with stopping(Engaged()) as (target,):
        work, requests = {**VOTE_WORK, **plan.work("visitors")}, vote_requests(plan, 300000)
        peak = before = peak_of(target, plan, work, 1024)
        worker = target.pids()["worker"]
        for factor in (0.5, 1, 2) if plan.quick else (0.25, 0.5, 0.75, 0.9, 1, 1.1, 1.25, 1.5, 2):
            measured = at_rate(target, factor * peak, seconds, requests, connections)
            answered = measured["ok"] + measured["refused"]
            points.append((factor, measured, measured["refused"] / max(1, answered)))
            rows.append([f"{factor:.2f}", factor * peak, measured["ok"] / measured["seconds"],
                         f"{points[-1][2]:.1%}", *[measured["sent"][key] / 1000 for key in ("p50", "p99", "max")],
                         measured["refusal"]["p99"] / 1000, str(measured["unsent"] + measured["unanswered"]),
                         str(measured["failed"] + measured["broken"]), status_kib(worker, "VmRSS") / 1024,
                         str(descriptors(worker))])
        after = peak_of(target, plan, work, 1024)
        same = target.pids()["worker"] == worker
    report.table(f"overload: votes, everysec, {connections} connections, {seconds} s each; offered as a multiple of the peak "
                 "rate; latency from the sending", ["offered ×", "offered /s", "accepted /s", "503", "p50 ms", "p99 ms",
                                                    "max ms", "503's p99 ms", "unanswered", "broken", "worker MiB",
                                                    "descriptors afterwards"], rows)
    report.say(f"\nPeak before {before:,.0f}/s, afterwards {after:,.0f}/s; "
               f"{'the same worker' if same else 'the worker was started again'}.")
    report.aim("overload: rate afterwards ÷ before", after / before if same else 0, ">=", 0.9)
    report.aim("overload: p99 of accepted votes at twice the peak, ms", points[-1][1]["sent"]["p99"] / 1000, "<=", 2000)
    report.aim("overload: broken or unanswered at twice the peak",
               points[-1][1]["failed"] + points[-1][1]["broken"] + points[-1][1]["unanswered"], "<=", 0)
    report.aim("overload: p99 of a 503 at twice the peak, ms", points[-1][1]["refusal"]["p99"] / 1000, "<=", 100)
    xs = [factor for factor, _, _ in points]
    report.plot("overload", "offered rate as a multiple of the peak", "ms", [
        (f"accepted, {key}", xs, [m["sent"][key] / 1000 for _, m, _ in points]) for key in ("p50", "p99")] + [
        ("503 of answers, %", xs, [100 * share for _, _, share in points])], log_y=False)


def probe(target, numbers, tokens, delays, over):
    """Votes on a fresh item that has a category of its own, at any instant between two refreshes of that category's
    ranking, which is read all the time until the item is there."""
    client = target.client()
    while not over.is_set():
        path = f"/v1/load/rankings/hot?category=p{next(numbers)}"
        vote, vote_at, voted = path.replace("rankings/hot?category=p", "items/probe") + "/votes", random.random(), None
        begin = time.monotonic()
        while not client.get(path)["items"] and time.monotonic() - begin < 30:
            if voted is None and time.monotonic() - begin > vote_at:
                client.headers, voted = {"Engaged-Visitor": next(tokens)}, time.monotonic()
                client.call("POST", vote)
                client.headers = {}
            time.sleep(0.01)
        delays.append(time.monotonic() - voted)


class Numbers:
    """An iterator that threads may share."""

    def __init__(self, values):
        self.values, self.lock = iter(values), threading.Lock()

    def __next__(self):
        with self.lock:
            return next(self.values)


def visible(plan, report):
    """From a vote to its place in a ranking as it is read, while votes come as fast as they are taken."""
    seconds, threads, delays, over = 8 if plan.quick else 40, 8, [], threading.Event()
    with stopping(Engaged()) as (target,):
        with open(plan.file("visitors"), encoding="utf-8") as file:
            tokens = Numbers([line.strip() for line, _ in zip(file, range(10000))])
        target.client().lines("/v1/load/items", [{"item": f"probe{n}", "title": f"Probe {n}", "categories": [f"p{n}"]}
                                                 for n in range(4000)])
        numbers = Numbers(range(4000))
        probes = [threading.Thread(target=probe, args=(target, numbers, tokens, delays, over)) for _ in range(threads)]
        work, loads = {**VOTE_WORK, **plan.work("visitors")}, []
        loader = threading.Thread(target=lambda: loads.append(drive_closed(target.port, seconds, 64, work)))
        loader.start()
        time.sleep(1)
        for thread in probes:
            thread.start()
        loader.join()
        over.set()
        for thread in probes:
            thread.join()
    report.table(f"visible: from a vote to its place in a ranking as read, everysec, under {loads[0].rate:,.0f} votes/s "
                 "spread evenly, 64 connections; refresh_interval 1 s",
                 ["probes", "p50 s", "p99 s", "max s"],
                 [[str(len(delays)), median(delays), percentile(delays, 0.99), max(delays)]])
    report.aim("vote to visible, p99 s", percentile(delays, 0.99), "<=", 1.5)


def keeps_up(plan, report):
    """All that is accepted at the peak rate is projected as fast; the logs do not grow.

    A log keeps what the neighbours' projection has still before it, so their interval is a small part of the run.
    """
    lengths, over = [], threading.Event()
    interval = min(60, 60 * plan.minutes / 10)
    with stopping(Engaged(neighbour_interval=f"{interval * 1000:.0f}ms")) as (target,):
        target.flush()  # so that there are logs
        logs = target.redis.logs()

        def sample():
            while not over.wait(1):
                lengths.append((time.monotonic(), sum(int(target.redis.cli("XLEN", log)) for log in logs)))
        sampler = threading.Thread(target=sample)
        sampler.start()
        begin = time.monotonic()
        try:
            with Watch(target, 0.5) as watch:
                load = drive_closed(target.port, math.ceil(60 * plan.minutes), 64,
                           {"WORK": "writes", "LAW": "zipf", **plan.work("visitors")})
        finally:
            over.set()
            sampler.join()
    third = max(1, len(lengths) // 3)
    first, last = (max(length for _, length in part) for part in (lengths[:third], lengths[-third:]))
    lag = percentile(watch.lags, 0.99)
    report.table(f"keeps-up: four views for a vote, zipf, everysec, 64 connections, {plan.minutes:g} minutes, "
                 f"neighbour_interval {interval:g} s",
                 ["accepted /s", "lag p50 ms", "lag p99 ms", "lag max ms", "log entries, most in the first third",
                  "in the last third", "errors"],
                 [[load.rate, median(watch.lags), lag, max(watch.lags), first, last, str(load.bad)]])
    report.aim("keeps-up: lag of the sums, p99 ms", lag, "<=", 1500)
    report.aim("keeps-up: log entries, last third ÷ first third", last / max(1, first), "<=", 1.5)
    report.plot("keeps-up", "seconds", "ms; entries", [
        ("lag of the sums, ms", [0.5 * at for at in range(len(watch.lags))], [lag + 1 for lag in watch.lags]),
        ("entries in the logs", [moment - begin for moment, _ in lengths], [length + 1 for _, length in lengths])])


LATENCIES = {"open-loop": open_loop_votes, "open-loop-reads": open_loop_reads, "overload": overload, "visible": visible,
             "keeps-up": keeps_up}
