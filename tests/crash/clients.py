# SPDX-License-Identifier: MIT
"""Clients that vote, move, undo, view, publish and read, and record every call with its answer and its times."""
import http.client
import itertools
import json
import random
import select
import threading
import time
import urllib.parse
from datetime import datetime

import lives
from history import OK, REFUSED, UNKNOWN, Call, now
from service import KINDS, SECRET_KEY

SITE = "crash.example"
FLOOD_SITE, FLOOD_ITEMS = "flood.example", 300  # as flood.py asks for them
ITEMS = [f"item/{number}" for number in range(12)]
ITEM_WEIGHTS = [1 / (rank + 1) for rank in range(len(ITEMS))]
SEEDED_ITEMS, SEEDED = ITEMS[:3], 400  # voters: enough for several buckets, so that levels are guessed wrong
POOL = 60  # visitors of a client that are at work
PAUSE_S = 0.04  # between two calls of a client, on average
PATIENCE_S, IMPATIENCE_S = 12.0, 0.25
# Of a hundred calls.
WORK = {"vote": 45, "unvote": 14, "view": 21, "me": 7, "item": 6, "top": 4, "card": 1, "lives": 2}
STATUSES = {"vote": 200, "unvote": 200, "view": 202, "me": 200, "item": 200, "top": 200, "card": 200, "seed": 200,
            "life-view": 202, "life-vote": 200, "delete": 204, "life": 200, "life-top": 200}
HIDDEN = "the item is hidden"
WRITES = ("vote", "unvote", "view", "life-view", "life-vote", "delete")


def item_path(item, rest=""):
    site = lives.SITE if item.startswith(lives.PREFIX) else SITE
    return f"/v1/{site}/items/{urllib.parse.quote(item, safe='')}{rest}"


def me_path(items):
    return f"/v1/{SITE}/me?" + urllib.parse.urlencode([("id", item) for item in items])


def top_path(site=SITE):
    return f"/v1/{site}/rankings/top?limit=100"


def card(item, number):
    """Now and then without a category or an author, and of one in the place of another."""
    return {"title": f"{item}, edition {number}", "categories": [f"c{number % 4}", "all"][number % 3 == 0:number % 7],
            "author": f"Author {number % 5}" if number % 6 else ""}


# What each kind of call asks: method, path, body.
REQUESTS = {
    "vote": lambda call: ("POST", item_path(call.item, "/votes"), {"kind": call.want}),
    "unvote": lambda call: ("DELETE", item_path(call.item, "/votes"), None),
    "view": lambda call: ("POST", item_path(call.item, "/views"), {}),
    "me": lambda call: ("GET", me_path(ITEMS), None),
    "item": lambda call: ("GET", item_path(call.item), None),
    "top": lambda call: ("GET", top_path(), None),
    "card": lambda call: ("PUT", item_path(call.item), card(call.item, call.want)),
    "life-view": lambda call: ("POST", item_path(call.item, "/views"), {}),
    "life-vote": lambda call: ("POST", item_path(call.item, "/votes"), {"kind": call.want}),
    "delete": lambda call: ("DELETE", item_path(call.item), None),
    "life": lambda call: ("GET", item_path(call.item), None),
    "life-top": lambda call: ("GET", top_path(lives.SITE), None),
}
# What is kept of each answer.
def rows_of(answer):
    return {row["item"]: (row["votes"], row["views"], row["score"]) for row in answer["items"]}


ANSWERS = {
    "vote": lambda answer: (answer["votes"], answer["vote"]),
    "unvote": lambda answer: (answer["votes"], answer["vote"]),
    "view": lambda answer: answer["counted"],
    "life-view": lambda answer: answer["counted"],
    "me": lambda answer: (answer["votes"], answer["counts"]),
    "item": lambda answer: (answer["votes"], answer["views"]),
    "top": rows_of,
    "life": lambda answer: (answer["votes"], answer["views"]),
    "life-top": rows_of,
    "card": lambda answer: (answer["votes"], answer["views"]),
}


class Caller:
    """One connection. Every call is recorded, whatever becomes of it. `port`, a number or a function, says where to."""

    def __init__(self, port, number, calls):
        self.port = port if callable(port) else lambda: port
        self.number, self.calls = number, calls
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def do(self, what, visitor=None, item=None, want=None, patience=PATIENCE_S):
        call = Call(self.number, what, visitor, item, want, patience)
        method, path, body = REQUESTS[what](call)
        self.send(call, method, path, json.dumps(body) if body is not None else None)
        return call

    def send(self, call, method, path, body, kind="application/json"):
        call.begin = now()
        try:
            self.connect(call)
            self.ask(call, method, path, body, kind)
        except (OSError, http.client.HTTPException) as error:
            call.answer = type(error).__name__
            self.close()
        call.end = now()
        self.calls.append(call)

    def connect(self, call):
        port = self.port()
        if self.connection and (select.select([self.connection.sock], [], [], 0)[0] or self.connection.port != port):
            self.close()  # the service has closed it meanwhile: a browser sees that too, before it sends
        if self.connection:
            self.connection.sock.settimeout(call.patience)
            return
        call.outcome = REFUSED  # until there is a connection
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=call.patience)
        connection.connect()
        self.connection, call.outcome = connection, UNKNOWN

    def ask(self, call, method, path, body, kind):
        headers = {"Authorization": f"Bearer {SECRET_KEY}"}
        if body is not None:
            headers["Content-Type"] = kind
        if call.visitor:
            headers["Engaged-Visitor"] = call.visitor
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        text = response.read()
        if response.will_close:
            self.close()
        self.note(call, response, text)

    @staticmethod
    def note(call, response, text):
        call.status = response.status
        checked = response.getheader("Engaged-Checked-At")
        if checked:
            call.checked = datetime.fromisoformat(checked.replace("Z", "+00:00")).timestamp()
        if response.status == STATUSES[call.what]:
            call.outcome = OK
            call.answer = ANSWERS[call.what](json.loads(text)) if call.what in ANSWERS else text.decode()
        else:
            call.answer = text.decode(errors="replace")[:300]


class Client(threading.Thread):
    """Its visitors are its own: what each has done last is known here alone."""

    def __init__(self, service, number, seed, over):
        super().__init__(daemon=True)
        self.number, self.over = number, over
        self.dice = random.Random(f"{seed} {number}")
        self.calls = []
        self.caller = Caller(lambda: service.port_for(number), number, self.calls)
        self.names = itertools.count()
        self.visitors = []
        self.tastes = {}
        self.acknowledged = 0.0  # the begin of the last write that was,
        self.hidden = 0.0  # and of the last deletion that has hidden its item and could not wait for the projector
        self.broken = None
        self.lives = lives.Lives(number, self.dice, self.live)

    def run(self):
        try:
            while not self.over.is_set():
                self.step()
                self.over.wait(self.dice.expovariate(1 / PAUSE_S))
        except Exception as error:  # told by the run, in its own thread
            self.broken = f"client {self.number}: {error!r}"
            raise
        finally:
            self.caller.close()

    def last_call(self):
        return self.calls[-1].line(self.calls[-1].begin) if self.calls else f"client {self.number} has called nothing"

    def visitor(self):
        """Mostly one that has voted before; new ones push the oldest out."""
        if len(self.visitors) < 5 or self.dice.random() < 0.15:
            self.visitors.append(f"c{self.number}-v{next(self.names)}")
            del self.visitors[:-POOL]
        return self.dice.choice(self.visitors)

    def item(self, visitor):
        """Each visitor comes back to few items, so that votes are moved and undone."""
        if visitor not in self.tastes:
            self.tastes[visitor] = self.dice.choices(ITEMS, ITEM_WEIGHTS, k=3)
        return self.dice.choice(self.tastes[visitor])

    def step(self):
        what = self.dice.choices(list(WORK), list(WORK.values()))[0]
        if what == "lives":
            self.lives.turn()
            return
        visitor = self.visitor()
        item = self.item(visitor)
        want = self.dice.choice(KINDS) if what == "vote" else self.dice.randrange(1000) if what == "card" else None
        patience = IMPATIENCE_S if self.dice.random() < 0.03 else PATIENCE_S
        self.write_or_read(what, visitor, item, want, patience)

    def live(self, what, visitor, item, want, elsewhere):
        """The next call may reach another worker."""
        call = self.until_acknowledged(self.caller.do(what, visitor, item, want), 400)
        if elsewhere:
            self.caller.close()
        return call.outcome == OK

    def write_or_read(self, what, visitor, item, want, patience):
        call = self.caller.do(what, visitor, item, want, patience)
        # One in five unanswered writes is given up; the others are repeated, for a while.
        self.until_acknowledged(call, 0 if what not in WRITES or self.dice.random() < 0.2 else 40)

    def until_acknowledged(self, call, tries):
        while call.outcome != OK and tries and not self.over.is_set():
            tries -= 1
            time.sleep(self.dice.uniform(0.02, 0.15))
            call = self.caller.do(call.what, call.visitor, call.item, call.want)
            if call.what == "delete" and HIDDEN in str(call.answer):
                self.hidden = call.begin
        if call.what in WRITES and call.outcome == OK:
            self.acknowledged = call.begin
        return call


def send_card(caller, site, item, fields):
    """Whether it is acknowledged; the rules of the clients' own items leave it out."""
    call = Call("-", "card", patience=PATIENCE_S)
    caller.send(call, "PUT", f"/v1/{site}/items/{item}", json.dumps(fields))
    return call.outcome == OK


def all_in(bulk):
    return bulk.outcome == OK and not json.loads(bulk.answer)["rejected"]


def send_votes(caller, site, votes, tries=100, wait="true"):
    """By bulk, repeated until all are in, and projected; the call that brought them in."""
    rows = [{"type": "vote", "item": item, "visitor": visitor, "kind": kind} for visitor, item, kind in votes]
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    for _ in range(tries):
        bulk = Call("-", "seed", patience=PATIENCE_S)
        caller.send(bulk, "POST", f"/v1/{site}/events?wait={wait}", body, "application/x-ndjson")
        if all_in(bulk):
            break
        time.sleep(0.1)
    return bulk


def seed_votes(caller, seed):
    """Before the faults: votes, as the history knows them, and items for the flood of reads."""
    dice = random.Random(f"{seed} seeds")
    send_votes(caller, FLOOD_SITE, [("s", f"f{number}", KINDS[0]) for number in range(FLOOD_ITEMS)])
    votes = [(f"s-{number}", item, dice.choice(KINDS)) for item in SEEDED_ITEMS for number in range(SEEDED)]
    bulk = send_votes(caller, SITE, votes)
    for visitor, item, kind in votes:
        call = Call("-", "vote", visitor, item, kind)
        call.begin, call.end, call.outcome = bulk.begin, bulk.end, OK
        caller.calls.append(call)
