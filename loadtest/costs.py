# SPDX-License-Identifier: MIT
"""Scenarios of cost: idle connections, growth of the data, splits of voters' buckets, memory.

To add one: a function of plan and report, and a line in COSTS.
"""
import contextlib
import random
import re
import resource
import socket
import subprocess
import time

from bench import drive, status_kib, stopping
from client import ROOT
from latency import VOTE_WORK
from own import RedisServer, free_port, options_of, wait_until
from peers import Engaged
from report import median, percentile
from scenarios import HOT, add_reads


# ---- Idle connections

@contextlib.contextmanager
def idle_connections(port, count):
    """Each has had one answer, and is kept."""
    request = b"GET /healthz HTTP/1.1\r\nHost: load\r\n\r\n"
    connections = []
    try:
        for _ in range(count):
            connections.append(socket.create_connection(("127.0.0.1", port), 30))
            connections[-1].sendall(request)
        for connection in connections:
            connection.recv(4096)
        yield
    finally:
        for connection in connections:
            connection.close()


def idle(plan, report):
    """10,000 idle keep-alive connections: what they take, and whether they slow those that are not idle."""
    count = 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with stopping(Engaged(max_connections=count + 1000, idle_timeout="10m")) as (target,):
        add_reads(target)
        worker, work, pairs = target.pids()["worker"], {"TARGET": HOT}, []
        drive(target, 1, 64, work)
        before = status_kib(worker, "VmRSS")
        for _ in range(max(2, plan.pairs)):
            alone = drive(target, plan.seconds, 64, work)
            with idle_connections(target.port, count):
                taken = status_kib(worker, "VmRSS") - before
                pairs.append((drive(target, plan.seconds, 64, work), alone))
            time.sleep(0.5)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    ratio = median([among.rate / alone.rate for among, alone in pairs])
    tail = median([among.latency["p99"] / alone.latency["p99"] for among, alone in pairs])
    cpu = median([among.cpu["worker"] / alone.cpu["worker"] for among, alone in pairs])
    report.table(f"idle: {count:,} idle keep-alive connections beside 64 that read a ranking, {len(pairs)} pairs",
                 ["idle connections", "reads /s", "p99 ms", "worker µs a read"],
                 [[name, median([one[at].rate for one in pairs]), median([one[at].latency["p99"] for one in pairs]) / 1000,
                   median([one[at].cpu["worker"] for one in pairs])] for at, name in ((1, "none"), (0, f"{count:,}"))])
    report.say(f"\nThey take {taken / 1024:.1f} MiB of the worker; rate × {ratio:.2f}, p99 × {tail:.2f}, CPU a read × {cpu:.2f}.")
    report.aim("10,000 idle connections, MiB", taken / 1024, "<=", 40)
    report.aim("reads beside them, rate ÷ without", ratio, ">=", 0.9)
    report.aim("reads beside them, CPU ÷ without", cpu, "<=", 1.1)


# ---- Growth

def add_votes(target, items, each=1, chunk=10000, name="i"):
    """`each` votes on each item, by opaque visitors."""
    client = target.client()
    for begin in range(1, items + 1, chunk):
        rows = [{"type": "vote", "item": f"{name}{n}", "visitor": f"seed{n}-{m}"}
                for n in range(begin, min(items + 1, begin + chunk)) for m in range(each)]
        client.lines("/v1/load/events", rows)
    target.settle()


def growth(plan, report):
    """The cost of a vote and of a cached read by the number of items, all services open at once, taken by turns."""
    sizes = (10**3, 10**4, 10**5) if plan.quick else (10**3, 10**4, 10**5, 10**6)
    with stopping(*[Engaged() for _ in sizes]) as targets:
        for items, target in zip(sizes, targets):
            add_votes(target, items)
        votes, reads = {items: [] for items in sizes}, {items: [] for items in sizes}
        for _ in range(plan.pairs):
            for items, target in zip(sizes, targets):
                work = {**VOTE_WORK, **plan.work("visitors"), "ITEMS": items}
                votes[items].append(drive(target, plan.seconds, 64, work))
                reads[items].append(drive(target, plan.seconds, 64, {"TARGET": HOT}))

    costs = {items: (median([one.all_us() for one in votes[items]]),
                     median([one.cpu["worker"] for one in reads[items]])) for items in sizes}
    report.table(f"growth: votes spread evenly over all items, each voted on before; everysec, {plan.pairs} × {plan.seconds} s",
                 ["items", "votes /s", "Redis µs a vote", "CPU µs a vote, all processes", "reads /s", "worker µs a read"],
                 [[f"{items:,}", median([one.rate for one in votes[items]]), median([one.redis_us for one in votes[items]]),
                   costs[items][0], median([one.rate for one in reads[items]]), costs[items][1]] for items in sizes])
    least, most = sizes[0], sizes[-1]
    report.aim(f"growth: cost of a vote, {most:,} items ÷ {least:,}", costs[most][0] / costs[least][0], "<=", 1.5)
    report.aim(f"growth: cost of a read, {most:,} items ÷ {least:,}", costs[most][1] / costs[least][1], "<=", 1.15)
    report.plot("growth", "items", "µs", [
        ("a vote, all processes and Redis", sizes, [costs[items][0] for items in sizes]),
        ("a read from memory, worker", sizes, [costs[items][1] for items in sizes])], log_x=True, log_y=False)


# ---- Splits

def splits(plan, report):
    """How long Redis is blocked when a bucket of voters is split, by its own slow log and latency monitor."""
    votes = 20000 if plan.quick else 200000
    with open(f"{ROOT}/build/gen/scripts.c", encoding="utf-8") as file:
        sha = re.search(r'"split", .*"([0-9a-f]{40})"', file.read())[1]
    with stopping(Engaged()) as (target,):
        for name, value in (("slowlog-log-slower-than", "0"), ("slowlog-max-len", "100000"),
                            ("latency-monitor-threshold", "1")):
            target.redis.cli("CONFIG", "SET", name, value)
        client = target.client()
        for begin in range(0, votes, 10000):
            client.lines("/v1/load/events", [{"type": "vote", "item": f"hot{n % 4}", "visitor": f"v{n}"}
                                             for n in range(begin, begin + 10000)])
        target.settle()
        made = target.metrics()["engaged_bucket_splits_total"]
        slow = target.redis.cli("SLOWLOG", "GET", "100000").splitlines()
        lines = [int(slow[at - 2]) for at, line in enumerate(slow) if line.strip() == sha and slow[at - 1] == "EVALSHA"]
        monitor = target.redis.cli("LATENCY", "LATEST").split()
    over = [us for us in lines if us > 1000]
    report.table(f"splits: {votes:,} votes on four items at once, by Redis's slow log",
                 ["splits", "p50 µs", "p99 µs", "longest µs", "over 1 ms", "latency monitor (event, time, last ms, most ms)"],
                 [[str(made), median(lines), percentile(lines, 0.99), max(lines), str(len(over)), " ".join(monitor)]])
    report.aim("splits made", made, ">=", 4)
    report.aim("splits over 1 ms", len(over), "<=", 0)


# ---- Memory

def bill(target):
    """What `engaged memory` prints: kind -> (keys, bytes)."""
    text = subprocess.run([target.service.program, "memory", *options_of(target.service.settings)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=True).stdout
    rows = [(line[:24].strip(), line[24:].split()) for line in text.splitlines()[1:]]
    return {name: (int(row[0]), int(row[1])) for name, row in rows if len(row) >= 2}, int(rows[-1][1][-1])


def grown(target, what):
    """Bytes by kind that `what` adds, and what Redis says that it uses more (its log's pages are in both ends)."""
    before, used_before = bill(target)
    what(target)
    target.flush()
    target.settle()
    after, used = bill(target)
    added = {kind: after[kind][1] - before.get(kind, (0, 0))[1] for kind in after if kind != "all keys"}
    return added, used - used_before


def add_full_items(target, items):
    """Cards of 300 bytes, a vote each (more votes have a row of their own), 100 to 128 neighbours each."""
    draw, client = random.Random(5), target.client()
    client.lines("/v1/load/items", [{"item": f"full{n}", "title": f"{n:06}" + "t" * 94, "url": f"/{n:06}" + "u" * 93,
                                     "author": "a" * 16, "categories": ["news"]} for n in range(items)])
    add_votes(target, items - 1, 1, 1000, "full")
    for begin in range(0, 20 * items, 1000):
        client.lines("/v1/load/events", [{"type": "view", "item": f"full{draw.randrange(items)}", "visitor": f"reader{n}"}
                                         for n in range(begin, begin + 1000) for _ in range(6)])


def add_seldom(target, items):
    """No card, a view and a vote in its life."""
    for begin in range(0, items, 5000):
        target.client().lines("/v1/load/events", [{"type": kind, "item": f"seldom{n}", "visitor": f"once{n}"}
                                                  for n in range(begin, begin + 5000) for kind in ("view", "vote")])


ITEM_KINDS = ("items", "cards", "voters (buckets)", "sums", "neighbours")


def memory(plan, report):
    """Bytes a thing by `engaged memory`, beside the growth of Redis's used_memory."""
    hot, tens, full, seldom = (100000, 5000, 1000, 10000) if plan.quick else (400000, 50000, 2000, 100000)
    steps = [("hot: a vote on one of four items", hot, ("voters (buckets)",), 20,
              lambda target: [target.client().lines("/v1/load/events", [
                  {"type": "vote", "item": f"hot{n % 4}", "visitor": f"v{n}"} for n in range(begin, begin + 10000)])
                  for begin in range(0, hot, 10000)]),
             ("a vote where each item has ten", 10 * tens, ("items", "voters (buckets)"), 30,
              lambda target: add_votes(target, tens, 10, 1000, "ten")),
             ("an item all in: card of 300 bytes, 100 neighbours, a vote", full, ITEM_KINDS, 2500,
              lambda target: add_full_items(target, full)),
             ("an item seldom read: no card, a view, a vote", seldom, ITEM_KINDS, 500,
              lambda target: add_seldom(target, seldom))]
    rows = []
    with stopping(Engaged(neighbour_interval="1s")) as (target,):
        for what, count, kinds, most, step in steps:
            added, used = grown(target, step)
            each = sum(added.get(kind, 0) for kind in kinds) / count
            apart = ", ".join(f"{kind} {added[kind] / count:.0f}" for kind in added if abs(added[kind]) > count / 2)
            rows.append([what, f"{count:,}", each, apart, used / count, sum(added.values()) / count])
            report.aim(f"memory: {what}, bytes", each, "<=", most)
        total, used = bill(target)
        drive(target, 2, 64, {"WORK": "votes", "LAW": "zipf", **plan.work("visitors")})
        processes = {role: status_kib(pid, "VmRSS") / 1024 for role, pid in target.pids().items()}
    report.table("memory: by `engaged memory`; the last two columns are all that was added, by Redis's used_memory and by "
                 "the bill", ["what", "how many", "bytes each", "of these and besides, by kind", "used_memory each",
                              "bill each"], rows)
    report.say(f"\nAll keys {total['all keys'][1]:,} bytes, used_memory {used:,}. Processes after it all, resident: " +
               ", ".join(f"{role} {size:.1f} MiB" for role, size in processes.items()) +
               " (`body_cache` and `projector_cache` are part of it).")
    report.aim("memory: a worker, MiB", processes["worker"], "<=", 16)


# ---- Replicas

@contextlib.contextmanager
def with_replica(**settings):
    """A service whose Redis has a replica."""
    with stopping(Engaged(**settings)) as (target,):
        port = free_port()
        target.redis.cli("CONFIG", "SET", "port", str(port))
        with RedisServer(replicaof=f"127.0.0.1 {port}"):
            wait_until(lambda: "state=online" in target.redis.cli("INFO", "replication"), 30, "the replica is there")
            time.sleep(2)  # a heartbeat sees it
            yield target


def replicas(plan, report):
    """What a write costs that waits for a replica. Both have one; it runs on the same machine."""
    rows = []
    with with_replica() as alone, with_replica(wait_replicas=1) as waiting:
        for connections in (4, 64, 512):
            pairs = [[drive(target, plan.seconds, connections, {**VOTE_WORK, **plan.work("visitors")}) for target in (alone, waiting)]
                     for _ in range(max(2, plan.pairs))]
            for at, name in enumerate(("0", "1")):
                mine = [pair[at] for pair in pairs]
                rows.append([str(connections), name, median([one.rate for one in mine]),
                             median([one.latency["p50"] for one in mine]) / 1000, median([one.latency["p99"] for one in mine]) / 1000,
                             median([one.redis_us for one in mine]), median([one.cpu["worker"] for one in mine])])
            ratio = median([pair[1].rate / pair[0].rate for pair in pairs])
        report.say(f"\nOf {waiting.metrics()['engaged_wait_short_total']} WAITs fewer replicas than one had the writes.")
    report.table("replicas: votes that wait for a replica on the same machine, and that do not",
                 ["connections", "wait_replicas", "votes /s", "p50 ms", "p99 ms", "Redis µs a vote", "worker µs a vote"], rows)
    report.aim("512 connections, rate with wait_replicas = 1 ÷ without", ratio, ">=", 0.75)


COSTS = {"idle": idle, "growth": growth, "splits": splits, "memory": memory, "replicas": replicas}
