# SPDX-License-Identifier: MIT
"""What TLS to Redis costs: the same service over rediss:// beside redis://, in alternating drives of the same run. Each Redis is on
this machine, so its processor time with TLS counts too. Cold pages are read from Redis each time."""
import tempfile

from bench import AS_EMBEDDED, cpu_us, drive, stopping
from own import Authority, RedisServer
from peers import Engaged
from report import median, spread
from scenarios import add_reads

COLD = {"refresh_interval": "0", "body_cache": "1MiB", "item_cache": "1MiB"}
PAGE = "/page?related=8&ranking=8&recommendation=8"
# Name, work, whose visitors, settings of the service.
LOADS = (("votes, spread evenly", {"WORK": "votes", "LAW": "uniform"}, "visitors", {}),
         ("cold pages of 8 + 8 + 8 entries", {"WORK": "tail", "LAW": "turns", "TARGET": PAGE, "ITEMS": 1000}, None, COLD))
TURNS, SECONDS = 9, 2  # short turns: the machine is the same for both
COLUMNS = ["load", "Redis", "/s", "÷ redis:// (min–max)", "p50 ms", "p99 ms", "worker µs", "projector µs", "Redis µs", "errors"]


class Server(RedisServer):
    """As peers.Engaged wants its Redis."""

    def figures(self):
        return {"cpu": cpu_us(self.process.pid)}


def open_target(program, authority, settings):
    server = Server(**AS_EMBEDDED, appendfsync="everysec")
    if authority:
        server.speak_tls(authority, authority.issue("redis"))
        settings = {**settings, "redis_ca": authority.certificate}
    target = Engaged(program=program, redis=server.start(), **settings)  # stops it, if it can't start
    add_reads(target)
    return target


def measure(plan, turns, targets, work, visitors):
    results = [[] for _ in targets]
    for _ in range(turns):
        for target, rows in zip(targets, results):
            rows.append(drive(target, SECONDS, 64, {**plan.work(visitors), **work}))
    return results


def row_of(load, name, rows, base):
    def middle(of):
        return median([of(row) for row in rows])
    ratios = [row.rate / other.rate for row, other in zip(rows, base)]
    return [load, name, middle(lambda row: row.rate), "" if rows is base else spread(ratios),
            middle(lambda row: row.latency.get("p50", 0)) / 1000, middle(lambda row: row.latency.get("p99", 0)) / 1000,
            middle(lambda row: row.cpu["worker"]), middle(lambda row: row.cpu.get("projector", 0)), middle(lambda row: row.redis_us),
            str(sum(row.bad for row in rows))]


def tls(plan, report):
    """Votes and cold pages by TLS and without."""
    table, turns = [], 1 if plan.quick else TURNS
    with tempfile.TemporaryDirectory(prefix="engaged-tls-") as folder:
        authority = Authority(folder)
        for load, work, visitors, settings in LOADS:
            with stopping(open_target(plan.program, None, settings)) as (plain,), \
                    stopping(open_target(plan.program, authority, settings)) as (secured,):
                results = measure(plan, turns, (plain, secured), work, visitors)
            table += [row_of(load, name, rows, results[0]) for name, rows in zip(("redis://", "rediss://"), results)]
    report.table(f"tls: everysec, 64 connections, {turns} × {SECONDS} s", COLUMNS, table)


TLS = {"tls": tls}
