# SPDX-License-Identifier: MIT
"""Replays a log through the real service, at the log's own time, and compares windows and lists with exact_counts.py.

At each of some instants, and at least once a week, Redis gets that instant's clock, and the service is killed and started again, as a clock that jumps
would be doubted. Then all events up to the instant are sent; at the instants everything is asked for. Between two instants workers,
the projector and Redis are killed; a call that was not acknowledged is sent again. (The view window is a second, so a view
that is sent twice counts once.)

`Replay` does it, run.py and test_replay.py choose log, instants and settings. What was compared is counted in `tally`.
"""
import collections
import contextlib
import datetime
import http.client
import json
import os
import signal
import struct
import time

from exact_counts import DAY, WINDOWS, Calendar, Events
from support.processes import alive
from support.program import BUILD, ROOT
from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

KEPT = {"today": 35, "week": 12, "month": 24}  # periods that can be read
# name: window, weights
RANKINGS = {
    "most-read": ("24h", {"views": 1, "up": 0}), "read-7d": ("7d", {"views": 1, "up": 0}), "read-30d": ("30d", {"views": 1, "up": 0}),
    "liked-7d": ("7d", {"views": 0, "up": 1}), "mixed-24h": ("24h", {"views": 0.5, "up": 3}), "mixed-30d": ("30d", {"views": 1, "up": 10}),
    "day": ("today", {"views": 1, "up": 0}), "week": ("week", {"views": 1, "up": 2}), "month": ("month", {"views": 1, "up": 0})}
CHUNK, IDS = 400, 100
STOP = 7 * DAY


def configuration():
    return "".join(f"[ranking {name}]\ntype = window\nwindow = {window}\nviews = {weights['views']}\nvotes = {weights['up']}\n\n"
                   for name, (window, weights) in RANKINGS.items())


class ShiftedRedis(RedisServer):
    """With a clock that is set from outside, and data that outlive a kill."""

    def __init__(self):
        super().__init__(appendonly="yes", appendfsync="always", auto_aof_rewrite_min_size="4mb")  # small, as each kill has it read
        self.clock = os.path.join(self.directory, "clock")
        self.shift(0)
        self.program = ("env", f"LD_PRELOAD={os.path.join(ROOT, BUILD, 'shifted_clock.so')}", f"SHIFTED_CLOCK={self.clock}", "redis-server")

    def shift(self, seconds):
        with open(self.clock, "r+b" if os.path.exists(self.clock) else "wb") as file:
            file.write(struct.pack("<q", seconds))

    def restart(self):
        self.kill()
        try:
            return self.start()
        except AssertionError:  # it still reads its data
            wait_until(self.answers, 120, "redis-server does not answer")
            return self

    def set(self, instant):
        self.shift(instant - int(time.time()))


class ReplayService(Service):
    presets = {**Service.presets, "view_window": "1s", "rate_limits": "off", "workers": 2, "secret": "11" * 32, "hash_key": "22" * 32,
               "log_level": "error", "unknown_items_kept": "0", "list_unknown": "on"}

    def die(self):
        """At once, with its children."""
        pids = [*self.children("worker"), *self.children("projector")]
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not any(map(alive, pids)), 20, "its children live on")

    def kill_child(self, role, number):
        pids = self.children(role)
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids[number % len(pids)], signal.SIGKILL)


class Replay:
    """`events`: (time, "view", "vote" or "unvote", visitor, item), in order of time; one vote of a visitor on an item."""

    def __init__(self, events, zone, random, kills=0, depths=(10, 50), **settings):
        self.events, self.random, self.kills, self.depths, self.sent = events, random, kills, depths, 0
        self.exact = Events(Calendar(zone))
        self.items = sorted({item for _, _, _, item in events})
        self.tally = collections.Counter()
        self.redis = ShiftedRedis()
        self.clock = events[0][0]
        self.redis.set(self.clock)
        self.redis.start()
        self.service = None
        self.settings = {"redis": self.redis.url, "configuration": configuration(), "time_zone": zone, **settings}

    def close(self):
        if self.service:
            self.service.stop()
        self.redis.stop()

    # ---- Sending

    def start_at(self, instant):
        self.redis.set(instant)
        if self.service is None:
            self.service = ReplayService(**self.settings)
        else:
            self.service.die()
            self.service.start()

    def kill_one(self):
        victim = self.random.choice(("worker", "worker", "projector", "projector", "redis"))
        self.tally["killed: " + victim] += 1
        if victim == "redis":
            self.redis.restart()
        else:
            self.service.kill_child(victim, self.random.randrange(2))

    def send_once(self, rows):
        try:
            answer = self.service.lines("/v1/s/events?wait=true", rows)
        except (OSError, http.client.HTTPException, ValueError):
            return False
        if answer.status == 503:
            return False
        assert answer.status == 200, (answer.status, answer.body)
        refused = {row["code"] for row in answer.json["rejected"]}
        assert refused <= {"unavailable", "overloaded"}, answer.json
        return not refused

    def send(self, rows):
        wait_until(lambda: self.send_once(rows), 90, lambda: "not acknowledged:\n" + self.service.log()[-2000:], pause=0.1)

    def catch_up(self, instant):
        """Sends what happened up to the instant; some processes are killed meanwhile."""
        first = self.sent
        while self.sent < len(self.events) and self.events[self.sent][0] <= instant:
            when, kind, visitor, item = self.events[self.sent]
            getattr(self.exact, kind)(when, visitor, item)
            self.sent += 1
        due = self.events[first:self.sent]
        chunks = [due[i:i + CHUNK] for i in range(0, len(due), CHUNK)]
        fatal = set(self.random.choices(range(len(chunks)), k=self.kills)) if chunks else ()
        for number, chunk in enumerate(chunks):
            rows = [{"type": kind, "item": item, "visitor": visitor, "time": when} for when, kind, visitor, item in chunk]
            if number in fatal:
                self.kill_one()
            self.send(rows)

    # ---- Comparing

    def get(self, path):
        answer = wait_until(lambda: (got := self.service.get("/v1/s" + path)).status != 503 and got, 20, path)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json

    def compare_windows(self, now):
        query = "".join("&window=" + name for name in WINDOWS)
        for at in range(0, len(self.items), IDS):
            names = self.items[at:at + IDS]
            found = self.get("/items?" + "&".join("id=" + name for name in names) + query)["items"]
            for name, item in zip(names, found, strict=True):
                shown = {window: {key: value for key, value in counts.items() if key != "from"}
                         for window, counts in item["windows"].items()}
                expected = self.exact.windows(name, now)
                assert shown == expected, (now, name, shown, expected)
                self.tally["windows of items"] += len(expected)

    def compare_list(self, what, answer, values, limit):
        """Where the list says that it is exact, it is; in any case each score is right."""
        shown = [(entry["score"], entry["item"]) for entry in answer["items"]]
        best = [(value, item) for value, item in values[:limit]]
        self.tally[f"{what}: lists"] += 1
        self.tally[f"{what}: equal"] += shown == best
        if answer["exact"]:
            self.tally[f"{what}: exact"] += 1
            assert shown == best, (answer["computed_at"], answer["name"], shown, best)
        worth = {item: value for value, item in values}
        assert all(worth.get(item) == score for score, item in shown), (answer["name"], shown, best)
        assert shown == sorted(shown, key=lambda row: (-row[0], row[1].encode())), shown

    def compare_sliding(self, now):
        for name, (window, weights) in RANKINGS.items():
            if window in KEPT:
                continue
            begin, behind = self.exact.calendar.window(window, now)
            values = self.exact.values(weights, begin, behind)
            for limit in self.depths:
                answer = self.get(f"/rankings/{name}?limit={limit}")
                assert time_of(answer["from"]) == begin, (answer["from"], begin)
                self.compare_list(f"{window}, {limit} places", answer, values, limit)

    def compare_periods(self, now, pasts):
        """This period, and so many past ones at random."""
        for name, (kind, weights) in RANKINGS.items():
            if kind not in KEPT:
                continue
            known = self.exact.calendar.past(now, kind, KEPT[kind])
            for number in {0, *self.random.sample(range(1, KEPT[kind]), min(pasts, KEPT[kind] - 1))}:
                period, begin, behind = known[number]
                values = self.exact.values(weights, begin, behind)
                for limit in self.depths:
                    answer = self.get(f"/rankings/{name}?limit={limit}" + (f"&period={period}" if number else ""))
                    assert (answer["period"], time_of(answer["from"])) == (period, begin), (answer["period"], period)
                    self.compare_list(f"{'past ' if number else ''}{kind}, {limit} places", answer, values, limit)

    def compare(self, now, pasts=3):
        self.compare_windows(now)
        self.compare_sliding(now)
        self.compare_periods(now, pasts)
        self.tally["instants"] += 1

    def run(self, instants):
        for instant in instants:
            while self.clock + STOP < instant:  # so that what happens in a period is sent before it is closed
                self.go_to(self.clock + STOP)
            self.go_to(instant)
            self.compare(instant)

    def go_to(self, instant):
        self.clock = instant
        self.start_at(instant)
        self.catch_up(instant)

    def exact_share(self):
        """Of sliding lists."""
        lists, exact = (sum(count for what, count in self.tally.items() if what.endswith(": " + end) and what[0].isdigit())
                        for end in ("lists", "exact"))
        return exact / lists


def time_of(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def with_retractions(events, random, share):
    """Takes that share of the votes back, hours or weeks after they were cast."""
    more = [(when + int(random.expovariate(1 / (3 * DAY))) + 1, "unvote", visitor, item)
            for when, kind, visitor, item in events if kind == "vote" and random.random() < share]
    return sorted(events + more, key=lambda event: event[0])
