# SPDX-License-Identifier: MIT
"""Exactly once, whatever is killed when.

Eight clients vote, move, undo and view, and items get deleted, while projectors are killed at random moments and at
every named step of a batch, workers are killed at random moments, and two projectors run of which one is stopped for
ten seconds. Afterwards each count is what was acknowledged, and each decayed sum in Redis is that of a straight
recomputation from the acknowledged events, to 1e-9 of the largest sum that the item has had.

Every client repeats what was not acknowledged until it is, with the same time: that must be safe. SHORT_TESTS=1
does a tenth of it.
"""
import math
import os
import random
import signal
import struct
import threading
import time

from support.fault_service import FaultService, item_id
from support.packed import unpack_sums
from support.redis_server import RedisServer
from support.wait import wait_until

SHORT = os.environ.get("SHORT_TESTS") == "1"
KILLS = 10 if SHORT else 100
STOPPED_S = 3 if SHORT else 10
CLIENTS = 8
ITEMS = 60
PLAIN_ITEMS = 20
GROUPS = 2  # of each client: items that only its own visitors read, for the co-views
GROUP_ITEMS = 20
GROUP_VIEWS = 35  # of each item: a table is halved after 400 updates
VISITORS = 30  # of each client
KINDS = ("up", "down", "odd")
# Steps of src/project/steps.def: those of every round, then those of a first one.
FAILPOINTS = ("read-logs-after", "read-chunk-after", "commit-chunk-before", "commit-chunk-after", "write-offsets-before",
              "write-offsets-after", "trim-logs-before", "trim-logs-after")
FAILPOINT_COUNTS = (1, 4) if SHORT else (1, 2, 3, 5, 8, 13)
FIRST_FAILPOINTS = ("read-offsets-after", "read-applied-after", "open-logs-before", "open-logs-after")
VIEWS = 8  # the signal of views among the sums; the kinds come before it
EPOCH = 1704067200  # 2024-01-01: where the exponents of decay begin
SITE = "kill.example"


BASE = int(time.time())


class Item:
    """What has been acknowledged about one item. Writers share it; who deletes it has it alone."""

    def __init__(self, name):
        self.name = name
        self.lock = threading.Condition()
        self.writers = 0
        self.deleting = False
        self.votes = {}  # visitor → (kind, time)
        self.views = []
        self.sums = {}  # (signal, half-life) → its sum now, as a weight at BASE
        self.largest = {}

    def __enter__(self):
        with self.lock:
            self.lock.wait_for(lambda: not self.deleting)
            self.writers += 1

    def __exit__(self, *_):
        with self.lock:
            self.writers -= 1
            self.lock.notify_all()

    def alone(self, do):
        with self.lock:
            self.lock.wait_for(lambda: not self.deleting)
            self.deleting = True
            self.lock.wait_for(lambda: self.writers == 0)
        try:
            do()
        finally:
            with self.lock:
                self.deleting = False
                self.lock.notify_all()

    @staticmethod
    def stays(old, kind, when, dated):
        """Of votes with times of their own the latest counts; of two in one second, the one that comes later."""
        if not dated:
            return old[0] == kind
        return when < old[1] or (when == old[1] and kind == old[0])

    def vote(self, visitor, kind, when, dated=True):
        with self.lock:
            old = self.votes.get(visitor)
            if old and self.stays(old, kind, when, dated):
                return
            if old:
                self.weigh(KINDS.index(old[0]), old[1], -1)
            self.votes[visitor] = (kind, when)
            self.weigh(KINDS.index(kind), when, 1)

    def unvote(self, visitor, when=BASE):
        with self.lock:
            old = self.votes.get(visitor)
            if old and when >= old[1]:
                del self.votes[visitor]
                self.weigh(KINDS.index(old[0]), old[1], -1)

    def view(self, when):
        with self.lock:
            self.views.append(when)
            self.weigh(VIEWS, when, 1)

    def forget(self):
        with self.lock:
            self.votes.clear()
            self.views.clear()
            self.sums.clear()

    def weigh(self, signal_number, when, sign):
        """Follows the largest sum there has been, for the tolerance."""
        for life in LIVES:
            key = signal_number, life
            self.sums[key] = self.sums.get(key, 0) + sign * weight(when, life)
            self.largest[key] = max(self.largest.get(key, 0), self.sums[key])

    def counts(self):
        with self.lock:
            votes = [kind for kind, _ in self.votes.values()]
            return {kind: votes.count(kind) for kind in KINDS}, len(self.views)


LIVES = []  # in seconds, filled from a packed state


def weight(when, life):
    return 2.0 ** ((when - BASE) / life)


class Group:
    """Items with so few neighbours and views that their tables are plain sums, in whatever order they are made."""

    def __init__(self, name):
        self.items = [f"{name}-{i}" for i in range(GROUP_ITEMS)]
        self.visitors = [f"{name}-v{i}" for i in range(4)]
        self.time = BASE - 60 * 86400
        self.views = dict.fromkeys(self.items, 0)
        self.history = {visitor: [] for visitor in self.visitors}
        self.tables = {item: {} for item in self.items}

    def view(self, item, visitor):
        recent = []
        for when, earlier in reversed(self.history[visitor][-16:]):
            if self.time - when <= 3 * 86400 and earlier != item and earlier not in [name for _, name in recent]:
                recent.append((when, earlier))
        for distance, (when, earlier) in enumerate(recent[:5], 1):
            strength = 2.0 ** (-(self.time - when) / (6 * 3600)) / distance
            self.add(earlier, item, strength)
            self.add(item, earlier, strength / 3)
        self.history[visitor].append((self.time, item))
        self.views[item] += 1

    def add(self, item, other, strength):
        self.tables[item][other] = self.tables[item].get(other, 0) + strength


class World:
    def __init__(self, service):
        self.service = service
        self.items = [Item(f"item {i}") for i in range(ITEMS)]
        self.plain = [Item(f"plain/{i}") for i in range(PLAIN_ITEMS)]
        self.over = threading.Event()
        self.broken = []
        self.done = 0
        self.repeated = 0


class Client(threading.Thread):
    """One connection; its visitors are its own, so that what each has done last is known here."""

    def __init__(self, world, number):
        super().__init__(daemon=True)
        self.world, self.number = world, number
        self.random = random.Random(number)
        self.http = world.service.client()
        # A visitor's views go forward in time, each further from the last than the view window.
        self.clock = {f"c{number}-v{i}": BASE - 100 * 86400 for i in range(VISITORS)}
        self.viewed = set()
        self.groups = [Group(f"c{number}-g{i}") for i in range(GROUPS)]

    def run(self):
        try:
            while not self.world.over.is_set():
                self.step()
                self.world.done += 1
        except Exception as error:  # told by the test, in its own thread
            self.world.broken.append(f"client {self.number}: {error!r}")
            raise

    def step(self):
        dice = self.random.random()
        if dice < 0.004:
            self.delete(self.random.choice(self.world.items))
        elif dice < 0.2:
            self.plain(self.random.choice(self.world.plain))
        elif dice < 0.35:
            self.group_view(self.random.choice(self.groups))
        else:
            self.event(self.random.choice(self.world.items))

    def until_acknowledged(self, call):
        for _ in range(4000):
            answer = call()
            if answer is not None:
                return answer
            self.world.repeated += 1
            time.sleep(0.01)
        raise AssertionError("never acknowledged")

    def event(self, item):
        visitor = self.random.choice(list(self.clock))
        when = BASE - self.random.randrange(3 * 86400)
        event = {"item": item.name, "visitor": visitor, "time": when}
        dice = self.random.random()
        if dice < 0.45:
            event.update(type="vote", kind=self.random.choice(KINDS))
        elif dice < 0.6:
            event.update(type="unvote")
        else:
            self.clock[visitor] += 2000 + self.random.randrange(60)
            event.update(type="view", time=self.clock[visitor])
        with item:
            self.until_acknowledged(lambda: self.http.events(SITE, [event]))
            if event["type"] == "vote":
                item.vote(visitor, event["kind"], when)
            elif event["type"] == "unvote":
                item.unvote(visitor, when)
            else:
                item.view(event["time"])

    def plain(self, item):
        """The browser's calls: the service sets the time, so these items are compared by count alone."""
        visitor = self.random.choice(list(self.clock))
        dice = self.random.random()
        with item:
            if dice < 0.5:
                kind = self.random.choice(KINDS)
                self.until_acknowledged(lambda: self.http.vote(SITE, item.name, visitor, kind))
                item.vote(visitor, kind, BASE, dated=False)
            elif dice < 0.8:
                self.until_acknowledged(lambda: self.http.unvote(SITE, item.name, visitor))
                item.unvote(visitor)
            elif (visitor, item.name) not in self.viewed:
                self.viewed.add((visitor, item.name))
                self.until_acknowledged(lambda: self.http.view(SITE, item.name, visitor))
                item.view(BASE)

    def group_view(self, group):
        name, visitor = self.random.choice(group.items), self.random.choice(group.visitors)
        if group.views[name] == GROUP_VIEWS:
            return
        group.time += 2000 + self.random.randrange(60)
        event = {"type": "view", "item": name, "visitor": visitor, "time": group.time}
        self.until_acknowledged(lambda: self.http.events(SITE, [event]))
        group.view(name, visitor)

    def delete(self, item):
        def do():
            time.sleep(0.02)
            self.until_acknowledged(lambda: self.http.delete(SITE, item.name))
            item.forget()
            time.sleep(0.02)  # the workers' clocks may differ by some milliseconds

        item.alone(do)


# ---- What Redis holds


def as_weight(log2_sum, life):
    return 2.0 ** (log2_sum - (BASE - EPOCH) / life)


def read_items(redis):
    """{id: (key's tag, reference, packed sums)} of all items that Redis knows."""
    found = {}
    for key in redis.scan_iter(match="{e*}i" + 16 * "?", count=1000):
        tag, ref = key.split(b"}i")
        found[item_id(redis.get(key))] = tag, ref, redis.get(tag + b"}s" + ref)
    return found


def settle(redis, partitions, seconds):
    """Waits until both projections have passed the last entry of each log."""
    end = time.time() + seconds
    behind = None
    while time.time() < end:
        behind = []
        for log in redis.scan_iter(match="{e*}log", count=1000):
            last = redis.xinfo_stream(log)["last-generated-id"]
            passed = redis.hmget(log[:-3] + b"pos", "sums", "neighbours")
            if any((position or b"").split(b" ")[0] != last for position in passed):
                behind.append((log, last, passed))
        if not behind:
            return
        time.sleep(0.05)
    raise AssertionError(f"not projected: {behind[:3]}")


def check_sums(item, packed):
    signals = unpack_sums(packed) if packed else {}
    votes = list(item.votes.values())
    events = {i: [when for name, when in votes if name == kind] for i, kind in enumerate(KINDS)}
    events[VIEWS] = item.views
    for number, times in events.items():
        count, sums = signals.get(number, (0, {}))
        assert count == len(times), (item.name, number, count, len(times))
        for life, log2_sum in sums.items():
            straight = math.fsum(weight(when, life) for when in times)
            largest = max(item.largest.get((number, life), 0), straight)
            assert abs(as_weight(log2_sum, life) - straight) <= 1e-9 * largest, (item.name, number, life)


def check_popularity(redis, world, clients, held):
    """The internal ranking of all items with views is ordered by their sums; the site's total is their sum."""
    life = 6 * 3600.0
    expected = {}
    for name, (_, _, packed) in held.items():
        if packed and VIEWS in unpack_sums(packed):
            expected[name] = unpack_sums(packed)[VIEWS][1][life]
    standing = {}
    for key in redis.scan_iter(match="{e*}r*:.popular*", count=1000):
        for member, score in redis.zrange(key, 0, -1, withscores=True):
            standing[member.decode()] = -score
    assert set(standing) == set(expected)
    for name, value in expected.items():
        assert abs(standing[name] - value) < 1e-9, name  # rankings round it
    total_count, total = 0, 0.0
    for key in redis.scan_iter(match="{e*}t" + 16 * "?", count=1000):
        count, sums = unpack_sums(redis.get(key))[VIEWS]
        total_count += count
        total += as_weight(sums[life], life)
    views = sum(len(item.views) for item in world.items + world.plain)
    views += sum(count for client in clients for group in client.groups for count in group.views.values())
    assert total_count == views
    straight = math.fsum(as_weight(value, life) for value in expected.values())
    largest = straight + sum(item.largest.get((VIEWS, life), 0) for item in world.items)
    assert abs(total - straight) <= 1e-9 * largest


def check_neighbours(redis, clients, held):
    names = {int(ref, 16): name for name, (_, ref, _) in held.items()}
    for group in (group for client in clients for group in client.groups):
        for item, expected in group.tables.items():
            tag, ref, _ = held.get(item, (b"", b"", None))
            packed = redis.get(tag + b"}n" + ref) if tag else None
            assert bool(packed) == bool(expected), item
            if not packed:
                continue
            form, _epoch, _updates, total, count = struct.unpack_from("<BdHdH", packed)
            assert form == 1 and len(packed) == 21 + 12 * count
            table = {names[other]: weight for other, weight in struct.iter_unpack("<Qf", packed[21:])}
            assert table.keys() == expected.keys(), item
            for other, strength in expected.items():
                assert abs(table[other] - strength) <= 1e-5 * strength, (item, other)
            assert abs(total - math.fsum(expected.values())) <= 1e-9 * total, item


def check_all(world, clients, redis):
    held = read_items(redis)
    http = world.service.client()
    wrong = []
    for item in world.items + world.plain:
        votes, views = item.counts()
        shown = http.item(SITE, item.name)
        if shown["votes"] != votes or shown["views"] != views:
            wrong.append((item.name, shown["votes"], votes, shown["views"], views))
    assert not wrong, wrong
    for item in world.items:
        check_sums(item, held.get(item.name, (None, None, None))[2])
    check_popularity(redis, world, clients, held)
    check_neighbours(redis, clients, held)


# ---- Who is killed when


def kill_projectors(service):
    dice = random.Random(1)
    for _ in range(KILLS):
        projector = service.start_projector()
        time.sleep(dice.uniform(0.03, 0.45))
        projector.kill()
        projector.wait()


def kill_workers(service):
    dice = random.Random(2)
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.03, 0.4))
        service.kill_worker(dice.randrange(2))


def kill_at_failpoints(service):
    for name in FAILPOINTS:
        for count in FAILPOINT_COUNTS:
            projector = service.start_projector(failpoint=f"{name}:{count}")
            assert projector.wait(timeout=30) == -signal.SIGKILL, name
    for name in FIRST_FAILPOINTS:
        assert service.start_projector(failpoint=f"{name}:1").wait(timeout=30) == -signal.SIGKILL, name


def stop_one_of_two(service):
    first, second = service.start_projector(), service.start_projector()
    time.sleep(1)
    os.kill(first.pid, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    os.kill(first.pid, signal.SIGCONT)
    time.sleep(2)
    for projector in first, second:
        assert projector.poll() is None
        projector.terminate()
        assert projector.wait(timeout=20) == 0


def find_lives(redis, service):
    """The half-lives that the service keeps, from a first state."""
    http = service.client()
    event = {"type": "view", "item": "first", "visitor": "first", "time": BASE}
    wait_until(lambda: http.events(SITE, [event]), 20, "the first view is never acknowledged")
    projector = service.start_projector()
    end = time.time() + 20
    while not LIVES and time.time() < end:
        for key in redis.scan_iter(match="{e*}s" + 16 * "?"):
            LIVES[:] = unpack_sums(redis.get(key))[VIEWS][1]
        time.sleep(0.02)
    projector.terminate()
    assert projector.wait(timeout=20) == 0
    assert LIVES
    first = Item("first")
    first.view(BASE)
    return first


def test_exactly_once_whatever_is_killed():
    with RedisServer() as server, FaultService(server, kinds=" ".join(KINDS), unknown_items_kept="0") as service:
        redis = server.client()
        first = find_lives(redis, service)
        world = World(service)
        world.items.append(first)
        clients = [Client(world, number) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        killer = threading.Thread(target=kill_projectors, args=[service])
        killer.start()
        kill_workers(service)
        killer.join()
        kill_at_failpoints(service)
        stop_one_of_two(service)
        last = service.start_projector()  # a deletion under way waits for one
        world.over.set()
        for client in clients:
            client.join(timeout=60)
        assert not world.broken, world.broken
        settle(redis, service.partitions, 60)
        print(f"{world.done} writes acknowledged, {world.repeated} repeated")
        assert world.done > 20 * KILLS and world.repeated > 0
        check_all(world, clients, redis)
        last.terminate()
        assert last.wait(timeout=20) == 0
