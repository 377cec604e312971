# SPDX-License-Identifier: MIT
"""A small load of votes and views on a service, and what must be true when it has ended.

A call that is not acknowledged is repeated until it is, so each voter's last vote is known. (A voter and an item belong to one
caller.) Other voters go on meanwhile. `judge` compares votes, views and a list with what was acknowledged.
"""
import collections
import contextlib
import json
import random
import threading
import time

from support.fault_service import FaultClient
from support.wait import wait_until

VIEW_WEIGHT = 0.1  # of the ranking "top"
SETTLE_S = 60  # a call that is repeated for so long has found a service that does not recover


class Caller(threading.Thread):
    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number, self.client = load, number, FaultClient(load.service.port)
        self.dice = random.Random(f"{load.site}:{number}")
        self.debts, self.problem = {}, None  # by item and visitor: what is not acknowledged yet

    def run(self):
        try:
            while not self.load.over.is_set():
                self.act()
                time.sleep(self.load.pause)
            self.settle()
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem

    def act(self):
        if self.debts and self.dice.random() < 0.3:
            what = self.debts.popitem()[1]
        else:
            what = self.choose()
        if what[1:] not in self.debts and not self.do(*what):
            self.debts[what[1:]] = what

    def choose(self):
        number = self.dice.randrange(self.load.visitors)
        kind = self.dice.choices(("view", "vote", "unvote"), (3, 5, 2))[0]
        return kind, self.dice.choice(self.load.items), f"{self.number}-{number}"

    def do(self, kind, item, visitor):
        """Whether it is acknowledged."""
        load, began = self.load, time.monotonic()
        if not getattr(self.client, kind)(load.site, item, visitor, *(["up"] if kind == "vote" else [])):
            load.refused.append((began, item, kind))
            return False
        held = (load.views if kind == "view" else load.votes).setdefault(item, set())
        held.discard(visitor) if kind == "unvote" else held.add(visitor)
        load.answered.append((time.monotonic(), item))
        return True

    def settle(self):
        end = time.monotonic() + SETTLE_S
        while self.debts:
            what = self.debts.popitem()[1]
            while not self.do(*what):
                assert time.monotonic() < end, f"{what} is not acknowledged"
                time.sleep(0.02)


class Load:
    """`with load.running():` something happens. Then `load.judge()`. Each load has a site of its own."""

    def __init__(self, service, site, items=60, callers=4, visitors=12, pause=0.003):
        self.service, self.site, self.items = service, site, [f"{site}{n}" for n in range(items)]
        self.count, self.visitors, self.pause = callers, visitors, pause
        self.votes, self.views = {}, {}  # by item: who votes for it, who has read it
        self.answered, self.refused = [], []  # when, and which item; of what was refused also what it was
        self.over = threading.Event()

    @contextlib.contextmanager
    def running(self):
        self.over.clear()
        callers = [Caller(self, number) for number in range(self.count)]
        for caller in callers:
            caller.start()
        try:
            yield self
        finally:
            self.over.set()
            for caller in callers:
                caller.join()
        assert not any(caller.problem for caller in callers), [caller.problem for caller in callers]

    def wait_acknowledged(self, count=100, seconds=60):
        """Until so many more calls are acknowledged."""
        before = len(self.answered)
        wait_until(lambda: len(self.answered) >= before + count, seconds, lambda: f"calls are not acknowledged\n{self.service.log()}")

    # ---- What must be true

    def get(self, path):
        status, text = FaultClient(self.service.port).call("GET", f"/v1/{self.site}/{path}")
        return json.loads(text) if status == 200 else None

    def states(self):
        """Votes and views of each item, as its call shows them; None as long as one cannot be had."""
        rows = {item: self.get(f"items/{item}") for item in self.items}
        return {item: (row["votes"]["up"], row["views"]) for item, row in rows.items()} if all(rows.values()) else None

    def ranked(self):
        answer = self.get(f"rankings/top?limit=100&exclude={time.monotonic_ns()}")
        return [(row["item"], row["score"]) for row in answer["items"]] if answer else None

    def expected(self):
        return {item: (len(self.votes.get(item, ())), len(self.views.get(item, ()))) for item in self.items}

    def judge(self, views_twice=False, lost_most=0, seconds=30):
        """Counts are what was acknowledged, and the list agrees with them. With `views_twice` a view that was refused, whose
        master was lost after it was projected, may count again when it is repeated (docs/cluster.md). Prints how many votes
        are lost: at most `lost_most`."""
        states = wait_until(lambda: self.agreeing(views_twice, lost_most), seconds,
                            lambda: f"{self.differences()}\n{self.service.log()[-3000:]}", pause=0.1)
        print(f"{len(self.answered)} calls were acknowledged, {len(self.refused)} refused, {self.lost(states)} votes are lost")

    def lost(self, states):
        return sum(abs(states[item][0] - votes) for item, (votes, _) in self.expected().items())

    def agreeing(self, views_twice, lost_most):
        """The states, if they are right."""
        states = self.states()
        again = collections.Counter(item for _, item, kind in self.refused if kind == "view" and views_twice)
        right = (states is not None and self.list_agrees(states) and self.lost(states) <= lost_most
                 and all(abs(states[item][1] - views) <= lost_most + again[item] and (states[item][1] >= views or lost_most)
                         for item, (_, views) in self.expected().items()))
        return states if right else None

    def list_agrees(self, states):
        ranked = self.ranked()
        scores = [score for _, score in ranked or []]
        sums = {item: votes + VIEW_WEIGHT * views for item, (votes, views) in states.items() if votes + views}
        return (ranked is not None and scores == sorted(scores, reverse=True) and {item for item, _ in ranked} == sums.keys()
                and all(abs(score - sums[item]) < 1e-6 for item, score in ranked))

    def differences(self):
        states, expected = self.states(), self.expected()
        if not states:
            return "items cannot be read"
        wrong = {item: {"is": states[item], "acknowledged": expected[item]} for item in self.items if states[item] != expected[item]}
        return f"votes, views: {wrong}\nlist: {self.ranked()}"
