# SPDX-License-Identifier: MIT
"""Scenarios that set the service beside its peers, in alternating drives of the same run.

To add one: a line in PAIRED. Its aims are ratios of rates, the service's over the peer's.
"""
import os
import threading
import time
from dataclasses import dataclass, field

from bench import Redis, drive, stopping
from peers import PEERS, Engaged, Missing
from report import median, percentile, spread
import tail

HOT = "/v1/load/rankings/hot?limit=10"
RELATED = "/v1/load/items/i7/related?limit=10"
SERIES = "/v1/load/series?step=hour"
PAGE = "/v1/load/items/i7/page?related=8&ranking=10&recommendation=8"
WINDOW = "/v1/load/rankings/most-read?limit=10"
STATIC, VOTING = ("nginx static", "bare responder"), ("nginx+Lua", "webdis", "fastify+ioredis", "redis-benchmark")


@dataclass
class Scenario:
    name: str
    what: str
    work: dict
    peers: tuple = ()
    aims: dict = field(default_factory=dict)  # peer: least ratio
    fsync: str = "everysec"
    connections: int = 64
    seed: str = ""  # of SEEDS
    settings: dict = field(default_factory=dict)  # of the service
    items: int = 10**6
    limits: dict = field(default_factory=dict)  # most of a column: LIMITS; "bare cpu": times the bare responder's
    cheaper: dict = field(default_factory=dict)  # peer: how many times our processor time it has to take


SPREAD, ZIPF = {"WORK": "votes", "LAW": "uniform"}, {"WORK": "votes", "LAW": "zipf"}
TAIL = {"WORK": "tail", "LAW": "turns"}
PAIRED = [
    Scenario("ranking", "a ranking of 10 from memory", {"TARGET": HOT}, STATIC, {"nginx static": 1.3}, seed="reads",
             limits={"bare cpu": 1.3}),
    Scenario("related", "Related of an item from memory", {"TARGET": RELATED}, STATIC, {"nginx static": 1.3},
             seed="reads", limits={"bare cpu": 1.3}),
    Scenario("page", "a page of 8 + 10 + 8 entries from memory", {"TARGET": PAGE}, STATIC, {"nginx static": 1.3},
             seed="reads", limits={"bare cpu": 1.3}),
    Scenario("page-wrk", "the same by wrk, which spends more on it than the service", {"TARGET": PAGE, "GENERATOR": "wrk"}, STATIC,
             seed="reads"),
    Scenario("window", "the 10 most read of 24 hours from memory", {"TARGET": WINDOW}, STATIC, {"nginx static": 1.3}, seed="windows",
             limits={"bare cpu": 1.3}),
    Scenario("window-cold", "the same, read from Redis and counted each time", {"TARGET": WINDOW}, seed="windows", connections=1,
             settings={"refresh_interval": "0"}),
    Scenario("ranking-cold", "a ranking of 10, read from Redis each time", {"TARGET": HOT}, seed="windows", connections=1,
             settings={"refresh_interval": "0"}),
    Scenario("offset-cold", "its last page, at offset 490", {"TARGET": HOT + "&offset=490"}, seed="windows", connections=1,
             settings={"refresh_interval": "0"}),
    Scenario("series", "the site's views and votes by hour from memory", {"TARGET": SERIES}, STATIC, {"nginx static": 1.3}, seed="reads",
             limits={"bare cpu": 1.3}),
    Scenario("pipelined", "the ranking, 16 requests in a write", {"TARGET": HOT, "DEPTH": 16}, STATIC,
             {"bare responder": 0.6}, seed="reads"),
    Scenario("tail-page", "a page of 8 + 8 + 8 entries of the long tail", {**TAIL, "TARGET": tail.PAGE}, STATIC[:1], {"nginx static": 0.2},
             seed="tail", items=tail.ITEMS, limits={"worker": 50, "redis": 12, "p99 ms": 20}),
    Scenario("tail-page-second", "the same, states kept for a second at most", {**TAIL, "TARGET": tail.PAGE}, STATIC[:1], seed="tail",
             items=tail.ITEMS, settings={"redis_tracking": "off"}),
    Scenario("tail-related", "8 Related of the long tail", {**TAIL, "TARGET": tail.RELATED}, STATIC[:1], {"nginx static": 0.3},
             seed="tail", items=tail.ITEMS),
    Scenario("tail-fragment", "the same as HTML", {**TAIL, "TARGET": tail.FRAGMENT}, STATIC[:1], {"nginx static": 0.3},
             seed="tail", items=tail.ITEMS),
    Scenario("tail-item", "an item of the long tail", {**TAIL, "TARGET": ""}, STATIC[:1], {"nginx static": 0.3},
             seed="tail", items=tail.ITEMS),
    Scenario("votes-spread", "votes spread evenly", SPREAD, VOTING, {"nginx+Lua": 2, "webdis": 2}, limits={"redis": 14},
             cheaper={"nginx+Lua": 2.2}),
    Scenario("votes-zipf", "votes by a zipf law", ZIPF, VOTING, {"nginx+Lua": 2.5, "webdis": 2.5}, limits={"redis": 8},
             cheaper={"nginx+Lua": 2.0}),
    Scenario("votes-cards", "the same on 10,000 articles with cards, in 20 categories", ZIPF, seed="cards", items=10000),
    Scenario("votes-always", "votes spread evenly", SPREAD, VOTING[:2], {"nginx+Lua": 2, "webdis": 2}, "always",
             limits={"redis": 14}),
    Scenario("votes-always-1024", "votes spread evenly", SPREAD, VOTING[:2], {"nginx+Lua": 2, "webdis": 2}, "always", 1024,
             limits={"redis": 14}),
    Scenario("undo", "votes and their undoing by turns, zipf; the peer's are votes", {"WORK": "undo", "LAW": "zipf"},
             VOTING[:1]),
    Scenario("views", "views by visitors with five earlier items, zipf; the peer's are votes",
             {"WORK": "views", "LAW": "zipf"}, VOTING[:2], {"nginx+Lua": 1, "webdis": 1}, seed="readers"),
    Scenario("me", "own vote and 8 recommendations in one call, zipf: nothing of it is in memory", {"WORK": "me", "LAW": "zipf"}, seed="reads",
             items=1000),
    Scenario("mixed", "90 % pages of a thousand items, 8 % views, 2 % votes, zipf; nginx: always one page",
             {"WORK": "mixed", "LAW": "zipf"}, STATIC[:1], seed="reads", items=1000),
    Scenario("mixed-long-tail", "the same over a million items: most pages are not in memory",
             {"WORK": "mixed", "LAW": "zipf"}, seed="reads"),
]


def add_reads(target):
    """Enough for full lists: 1,000 cards of some 100 bytes, readers who share articles, votes."""
    client = target.client()
    client.lines("/v1/load/items", [
        {"item": f"i{n}", "title": f"The title of article {n:03}", "url": f"/articles/{n:03}"} for n in range(1000)])
    client.lines("/v1/load/events?wait=true", [
        {"type": kind, "item": f"i{(reader * 7 + step) % 40}", "visitor": f"r{reader}"}
        for reader in range(200) for step in range(6) for kind in ("view", "vote")])


def add_cards(target):
    """10,000 articles with a category each."""
    for begin in range(0, 10000, 5000):
        target.client().lines("/v1/load/items", [{"item": f"i{n}", "title": f"Article {n}", "url": f"/articles/{n}", "categories": [f"c{n % 20}"]}
                                                 for n in range(begin, begin + 5000)])


def add_windows(target):
    """Two days with 20,000 items each: the sets of both are full in every partition."""
    client, now = target.client(), int(time.time())
    for begin in range(0, 20000, 5000):
        client.lines("/v1/load/events?wait=true", [
            {"type": "view", "item": f"i{item}", "visitor": f"r{reader}", "time": now - ago - item}
            for item in range(begin, begin + 5000) for ago in (0, 86400 - 25000) for reader in range(1 + 400 // (1 + item % 977))])


def add_readers(target, plan):
    """Five views of each visitor."""
    done = 0
    while done < 5 * plan.readers:
        done += target.load(3, 64, {**plan.work("readers"), "WORK": "views", "LAW": "zipf"}).requests
    target.flush()


SEEDS = {"": lambda target, plan: None, "reads": lambda target, plan: add_reads(target), "readers": add_readers,
         "windows": lambda target, plan: add_windows(target), "cards": lambda target, plan: add_cards(target), "tail": lambda target, plan: None}
STORED = {"tail": tail.stored}  # what Redis holds from the start


def open_service(scenario, plan):
    """The service with the data of the scenario."""
    stored = STORED.get(scenario.seed)
    tree = os.path.dirname(os.path.dirname(plan.program))
    redis = Redis(scenario.fsync, stored and stored(plan.program), tree)
    target = Engaged(scenario.fsync, plan.program, redis, **scenario.settings)
    try:
        SEEDS[scenario.seed](target, plan)
    except Exception:
        target.stop()
        raise
    target.flush_after = scenario.work.get("WORK") in ("views", "mixed")
    return target


class Watch:
    """Samples the lag of the sums, in ms, while it is open."""

    def __init__(self, target, pause=0.25):
        self.lags, self.target, self.pause, self.over = [], target, pause, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(self.pause):
            self.lags.append(self.target.lag("sums") * 1000)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def reply_of(target, path):
    """All bytes of a shared read's reply, as the bare responder sends them."""
    connection = target.client().connection
    connection.request("GET", path)
    time.sleep(1.2)  # of the second refresh: what stays
    connection.getresponse().read()
    connection.request("GET", path)
    answer = connection.getresponse()
    head = "".join(f"{name}: {value}\r\n" for name, value in answer.getheaders())
    return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + answer.read()


def open_peers(scenario, reply, report):
    """A peer that is not there is named."""
    peers = []
    try:
        for name in scenario.peers:
            try:
                peers.append(PEERS[name](reply if name in STATIC else scenario.fsync))
            except Missing as missing:
                report.miss(name, f"{missing} is not installed")
    except Exception:
        for peer in peers:
            peer.stop()
        raise
    return peers


def measure(scenario, target, peers, plan):
    """Results of each target, in order; one round of all after the other."""
    results = {one.name: [] for one in (target, *peers)}
    for _ in range(plan.pairs):
        for one in (target, *peers):
            work = {**scenario.work, **plan.work(visitors_of(scenario, one is target)), "ITEMS": scenario.items}
            if one is not target:
                results[one.name].append(drive(one, plan.seconds, scenario.connections, peer_work(scenario, work)))
                continue
            results[one.name].append(drive_service(one, plan, scenario, work))
    return results


def visitors_of(scenario, ours=True):
    """Which file of them; reads need none."""
    if scenario.work.get("WORK", "read") in ("read", "tail"):
        return None
    return "users" if not ours else "readers" if scenario.seed == "readers" else "visitors"


def drive_service(target, plan, scenario, work):
    """With how many of its bodies came from memory, and the lag of what was written."""
    before = target.metrics()
    with Watch(target) as watch:
        result = drive(target, plan.seconds, scenario.connections, work)
    after = target.metrics()
    hits, misses = (after[name] - before[name] for name in BODY_READS)
    if scenario.seed == "tail":
        result.extra["hits"] = 100 * hits / max(1, hits + misses)
    if visitors_of(scenario):
        result.extra["lag"] = percentile(watch.lags or [0], 0.99)
    return result


def peer_work(scenario, work):
    """Peers that vote know only votes; nginx knows only its file."""
    if scenario.peers[0] in STATIC:
        return {**{name: work[name] for name in ("TARGET", "DEPTH", "GENERATOR") if name in work}, "WORK": "read"}
    return {**work, "WORK": "votes"}


BODY_READS = [f'engaged_body_reads_total{{from="{place}"}}' for place in ("memory", "refresh")]
COLUMNS = ["target", "/s", "engaged ÷ it (min–max)", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs a request", "Redis µs", "all µs",
           "Redis commands", "Redis reads", "AOF bytes", "lag p99 ms", "bodies from memory %", "generator µs", "generator, % of a core",
           "errors"]


def row_of(name, results, ours):
    def middle(values):
        known = [value for value in values if value is not None]
        return median(known) if known else None
    ratios = [own.rate / other.rate for own, other in zip(ours, results)]
    cpu = ", ".join(f"{role} {median([one.cpu.get(role, 0) for one in results]):.1f}" for role in results[0].cpu)
    latency = [middle([one.latency.get(key) for one in results]) for key in ("p50", "p99", "p99.9")]
    return [f"**{name}**" if results is ours else name, middle([one.rate for one in results]),
            "" if results is ours else spread(ratios), *[value and value / 1000 for value in latency], cpu,
            *[middle([figure(one) for one in results]) for figure in FIGURES], str(sum(one.bad for one in results))]


FIGURES = [lambda one: one.redis_us, lambda one: one.all_us(), lambda one: one.commands, lambda one: one.trips,
           lambda one: one.aof_bytes, lambda one: one.extra.get("lag"), lambda one: one.extra.get("hits"),
           lambda one: one.generator and one.generator[0], lambda one: one.generator and one.generator[1]]
LIMITS = {"redis": ("Redis µs a request", lambda one: one.redis_us), "worker": ("worker µs a request", lambda one: one.cpu["worker"]),
          "p99 ms": ("p99 ms", lambda one: one.latency["p99"] / 1000)}


def middles(figure, *sides):
    return [median([figure(one) for one in side]) for side in sides]


def check_aims(scenario, results, report):
    ours = results["engaged"]
    for peer, least in scenario.aims.items():
        if results.get(peer):
            ratio = median([own.rate / other.rate for own, other in zip(ours, results[peer])])
            report.aim(f"{scenario.name}: rate ÷ {peer}", ratio, ">=", least, *middles(lambda one: one.rate, ours, results[peer]))
    for peer, least in scenario.cheaper.items():
        if results.get(peer):
            ratio = median([other.all_us() / own.all_us() for own, other in zip(ours, results[peer])])
            report.aim(f"{scenario.name}: µs of {peer} and its Redis ÷ all of ours", ratio, ">=", least,
                       *middles(lambda one: one.all_us(), ours, results[peer]))
    for name, (what, figure) in LIMITS.items():
        if name in scenario.limits:
            report.aim(f"{scenario.name}: {what}", median([figure(one) for one in ours]), "<=", scenario.limits[name])
    if "bare cpu" in scenario.limits and results.get("bare responder"):
        ratio = median([own.cpu["worker"] / bare.cpu["bare responder"]
                        for own, bare in zip(ours, results["bare responder"])])
        report.aim(f"{scenario.name}: CPU a request ÷ bare responder's", ratio, "<=", scenario.limits["bare cpu"],
                   *middles(lambda one: sum(one.cpu.values()), ours, results["bare responder"]))


def run_paired(scenario, plan, report):
    with stopping(open_service(scenario, plan)) as (target,):
        path = scenario.work.get("TARGET", PAGE)
        if scenario.seed == "tail":
            path = tail.mean_path(target, path)
            report.say(f"\n{scenario.name}: {tail.full_lists(target)}")
        reply = reply_of(target, path) if scenario.peers and scenario.peers[0] in STATIC else b""
        with stopping(*open_peers(scenario, reply, report)) as peers:
            results = measure(scenario, target, peers, plan)
    size = f", {len(reply)} bytes with the head" if reply else ""
    report.table(f"{scenario.name}: {scenario.what}{size}; {scenario.fsync}, {scenario.connections} connections, "
                 f"{plan.pairs} × {plan.seconds} s", COLUMNS,
                 [row_of(name, rows, results["engaged"]) for name, rows in results.items()])
    check_aims(scenario, results, report)
