# SPDX-License-Identifier: MIT
"""What a vote costs Redis in a Cluster, beside one Redis, in alternating drives of the same run.

All are reached by TCP. The service has its presets: 16 partitions in one Redis, 64 in a Cluster. The Cluster with 16
partitions shows what the number costs: a call goes to one partition, so more partitions make more and smaller calls. The
processor time is of all redis-server processes of a target, replicas too.
"""
import subprocess

from bench import AS_EMBEDDED, cpu_us, drive, stopping
from own import Cluster, RedisServer
from peers import Engaged
from report import median, spread

CONNECTIONS = (64, 1024)
MOST = 1.3  # times the Redis µs a vote of one Redis, at the most connections
SETTINGS = {**AS_EMBEDDED, "appendfsync": "everysec"}


class Nodes:
    """All redis-server processes of a target, as peers.Engaged wants its Redis."""

    def __init__(self, server, nodes):
        self.server, self.nodes, self.url = server, nodes, server.url

    def figures(self):
        return {"cpu": sum(cpu_us(node.process.pid) for node in self.nodes),
                "aof": sum(node.ask("INFO", "persistence")["aof_current_size"] for node in self.nodes)}

    def scripts(self):
        """How many scripts the masters were sent. A replica gets their effects."""
        return sum(node.ask("INFO", "commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
                   for node in self.nodes if node.is_master())

    def stop(self):
        self.server.stop()


def one_redis():
    server = RedisServer(**SETTINGS)
    return Nodes(server.start(), [server])


def a_cluster(replicas):
    cluster = Cluster(masters=3, replicas=replicas, node_timeout=15000, **SETTINGS)
    for node in cluster.nodes:
        node.program = ("redis-server",)  # without the clock that tests shift
    return Nodes(cluster.__enter__(), cluster.nodes)


def knows_waiting(program):
    done = subprocess.run([program, "--help"], stdout=subprocess.PIPE, text=True, check=True)
    return "--wait-replicas " in done.stdout


def targets_of(program):
    """Name, how its Redis is started, settings. A program that can't wait for replicas is not asked to."""
    waits = knows_waiting(program)
    never = {"wait_replicas": "0"} if waits else {}
    yield "one Redis", one_redis, {}
    yield "3 masters", lambda: a_cluster(0), never
    yield "3 masters, 16 partitions", lambda: a_cluster(0), {"partitions": "16", **never}
    if waits:
        yield "3 masters, 3 replicas, wait_replicas = 1", lambda: a_cluster(1), {"wait_replicas": "1"}


def open_target(start, program, settings):
    redis = start()
    return Engaged(program=program, redis=redis, max_connections=str(CONNECTIONS[-1] + 1000), **settings)  # stops it, if it can't start


def measure(plan, targets, connections):
    """Results of each target; one round of all after the other."""
    results = [[] for _ in targets]
    for _ in range(plan.pairs):
        for target, rows in zip(targets, results):
            before = target.redis.scripts()
            rows.append(drive(target, plan.seconds, connections, {"WORK": "votes", "LAW": "uniform", **plan.work("visitors")}))
            rows[-1].extra["scripts"] = (target.redis.scripts() - before) / rows[-1].requests
    return results


def row_of(name, rows, base):
    def middle(of):
        return median([of(row) for row in rows])
    ratios = [row.redis_us / other.redis_us for row, other in zip(rows, base)]
    cpu = ", ".join(f"{role} {middle(lambda row, it=role: row.cpu.get(it, 0)):.1f}" for role in rows[0].cpu)
    return [name, middle(lambda row: row.rate), middle(lambda row: row.latency.get("p50", 0)) / 1000,
            middle(lambda row: row.latency.get("p99", 0)) / 1000, middle(lambda row: row.redis_us),
            "" if rows is base else spread(ratios), middle(lambda row: 1 / row.extra["scripts"]), cpu,
            str(sum(row.bad for row in rows))]


COLUMNS = ["Redis", "votes /s", "p50 ms", "p99 ms", "Redis µs a vote", "÷ one Redis (min–max)", "votes a script",
           "CPU µs a vote", "errors"]


def cluster(plan, report):
    """Votes with one Redis and with Clusters."""
    named = list(targets_of(plan.program))
    if not knows_waiting(plan.program):
        report.say("\n(This program has no wait_replicas: the row with replicas is left out.)")
    opened = []
    try:
        for _, start, settings in named:
            opened.append(open_target(start, plan.program, settings))
        for target in opened:
            drive(target, 1, 64, {"WORK": "votes", "LAW": "uniform", **plan.work("visitors")})
        for connections in CONNECTIONS:
            results = measure(plan, opened, connections)
            report.table(f"cluster: votes spread evenly, everysec, by TCP, {connections} connections, {plan.pairs} × {plan.seconds} s", COLUMNS,
                         [row_of(name, rows, results[0]) for (name, _, _), rows in zip(named, results)])
    finally:
        with stopping(*opened):
            pass
    for (name, _, _), rows in list(zip(named, results))[1:2]:
        ratio = median([row.redis_us / other.redis_us for row, other in zip(rows, results[0])])
        report.aim(f"cluster: Redis µs a vote, {name} ÷ one Redis, {CONNECTIONS[-1]} connections", ratio, "<=", MOST)


CLUSTER = {"cluster": cluster}
