# SPDX-License-Identifier: MIT
"""Readers who vote, have all their votes taken back by themselves (DELETE me) or by the publisher (a correction), and vote
again once that is accepted. Each round is one thread with a visitor of its own.

The rules, when no correction waits any more: `erased` no earlier vote is left, `kept` each later vote is there,
`corrected` each accepted correction is reported as done.
"""
import http.client
import json
import random
import threading
import time
import urllib.parse

from history import now
from service import KINDS, SECRET_KEY

SITE = "erasures.example"
THREADS = 4
BALLAST = 12000  # items, so that a scan takes a while
CAST, KEPT = 90, 3  # votes of a round, before and after; their items are asked for in one call
PATIENCE_S, PAUSE_S = 12.0, 0.1
SETTLE_S = 15.0
CARRIED_OUT_S = 10.0  # how long what is accepted may take


class Round:
    """What was acknowledged to one visitor, and when."""

    def __init__(self, visitor, items):
        self.visitor, self.cast, self.kept_items = visitor, items[:CAST], items[CAST:]
        self.begin = self.asked = self.end = now()
        self.accepted = self.asked_once = False
        self.correction = None  # its id; None: an erasure
        self.kept = []  # items of the votes that must be there


class Line:
    """Calls on a connection of their own; None when no whole answer came."""

    def __init__(self, port):
        self.port = port

    def call(self, method, path, body=None, visitor=None, kind="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        headers = {"Authorization": f"Bearer {SECRET_KEY}", "Content-Type": kind}
        if visitor:
            headers["Engaged-Visitor"] = visitor
        try:
            connection.request(method, f"/v1/{SITE}/{path}", body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException):
            return None, None
        finally:
            connection.close()

    def cast(self, visitor, items):
        """By bulk; true when all are acknowledged."""
        rows = [{"type": "vote", "item": item, "visitor": visitor, "kind": KINDS[0]} for item in items]
        body = "".join(json.dumps(row) + "\n" for row in rows)
        status, answer = self.call("POST", "events", body, kind="application/x-ndjson")
        return status == 200 and answer["accepted"] == len(items)

    def vote(self, visitor, item):
        path = f"items/{urllib.parse.quote(item, safe='')}/votes"
        return self.call("POST", path, json.dumps({"kind": KINDS[0]}), visitor)[0] == 200

    def held(self, visitor, items):
        """The items of these that hold a vote of the visitor; None without an answer."""
        query = urllib.parse.urlencode([("id", item) for item in items])
        status, answer = self.call("GET", f"me?{query}", visitor=visitor)
        return set(answer["votes"]) if status == 200 else None

    def corrections(self):
        status, answer = self.call("GET", "corrections")
        return {row["correction"]: row["state"] for row in answer["corrections"]} if status == 200 else None


class Eraser(threading.Thread):
    def __init__(self, port, number, seed, over):
        super().__init__(daemon=True)
        self.line, self.number, self.over = Line(port), number, over
        self.dice = random.Random(f"{seed} eraser {number}")
        self.rounds, self.made = [], 0

    def run(self):
        while not self.over.wait(PAUSE_S):
            self.turn()

    def turn(self):
        self.made += 1
        items = [f"ballast/{n}" for n in self.dice.sample(range(BALLAST), CAST + KEPT)]
        one = Round(f"e{self.number}-{self.made}", items)
        if not self.line.cast(one.visitor, one.cast):
            return  # some may still come true after all that follows
        self.rounds.append(one)
        self.take_back(one, by_publisher=self.dice.random() < 0.4)
        if one.accepted:
            one.kept = [item for item in one.kept_items if self.line.vote(one.visitor, item)]
        one.end = now()

    def take_back(self, one, by_publisher):
        """Until it is accepted. One without an answer may still be carried out later, and take what came after."""
        one.asked = now()
        for tries in range(60):
            if by_publisher:
                status, answer = self.line.call("POST", "corrections", json.dumps({"visitor": one.visitor}))
            else:
                status, answer = self.line.call("DELETE", "me", visitor=one.visitor)
            one.accepted = status == 202
            if one.accepted or self.over.is_set():
                break
            time.sleep(self.dice.uniform(0.02, 0.2))
        one.asked_once = one.accepted and tries == 0
        one.correction = answer["correction"] if one.accepted and by_publisher else None


class Erasures:
    """All of a run: begun before the faults, judged when the service is whole again."""

    def __init__(self, port, seed, over):
        self.line = Line(port)
        self.erasers = [Eraser(port, number, seed, over) for number in range(THREADS)]

    def start(self):
        items = [f"ballast/{n}" for n in range(BALLAST)]
        for begin in range(0, BALLAST, 4000):
            while not self.line.cast("ballast", items[begin:begin + 4000]):
                time.sleep(0.1)
        for eraser in self.erasers:
            eraser.start()

    def join(self):
        for eraser in self.erasers:
            eraser.join(60)

    def rounds(self, service):
        """Without those of which a restore or a failover that loses may have undone a part."""
        undone = [(begin, end or now()) for begin, _, _, end in service.voids]
        undone += [(begin - CARRIED_OUT_S, end) for begin, end, _ in service.losses]
        return [one for eraser in self.erasers for one in eraser.rounds
                if one.accepted and not any(one.begin < end and one.end > begin for begin, end in undone)]

    def judge(self, service, leave_out):
        """(rule, an item or None, text), when no correction waits any more, or SETTLE_S have passed."""
        end = now() + SETTLE_S
        while service.serving("engaged:correcting").hlen("engaged:correcting") and now() < end:
            time.sleep(0.1)
        rounds = self.rounds(service)
        states = self.line.corrections() or {}
        found = [broken for one in rounds for broken in self.faults_of(one, states)]
        print(f"erasures and corrections: {len(rounds)} judged, {sum(one.asked_once for one in rounds)} of them of one call")
        return [one for one in found if one[0] not in leave_out]

    def faults_of(self, one, states):
        held = self.line.held(one.visitor, one.cast + one.kept_items)
        if held is None:
            yield "erased", None, f"{one.visitor}: what it holds is not answered at the end"
            return
        left, lost = held & set(one.cast), set(one.kept) - held
        what = f"correction {one.correction}" if one.correction else "erasure"
        if left:
            yield "erased", min(left), f"{one.visitor}: {len(left)} of {CAST} votes of before its {what} are left"
        if lost and one.asked_once:
            yield "kept", min(lost), f"{one.visitor}: {len(lost)} votes that were given after its {what} was answered are gone"
        if one.correction and states.get(one.correction) != "done":
            yield "corrected", None, f"{one.visitor}: {what} is {states.get(one.correction, 'not told')}"
