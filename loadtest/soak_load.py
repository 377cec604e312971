# SPDX-License-Identifier: MIT
"""The load of soak.py: callers that know what each of their calls must be answered and what must be counted in the end,
and a crowd of connections that come, stall, wait and break off."""
import collections
import http.client
import json
import random
import socket
import struct
import threading
import time

SITE, ITEMS, CATEGORIES = "/v1/soak", [f"item-{n}" for n in range(200)], ["news", "sport", "arts"]
KINDS = ("up", "down")
VISITORS, BULK_VISITORS, BULK_LINES = 120, 30, 20
BULK_SINCE_S, BULK_STEP_S = 100 * 86400, 2000  # bulk views go forward, each further from the last than the view window
CROWD = 40
# Of a hundred calls or so.
WORK = {"vote": 22, "unvote": 8, "view": 22, "page": 10, "ranking": 10, "related": 8, "me": 5, "recommendations": 3, "item": 3,
        "bulk": 2, "card": 2, "mint": 1, "bad": 6, "aborted": 5, "export": 0.05}
# Each is refused with this status; None: the connection is closed after it.
BAD = [(b"GET /v1/soak/rankings/none HTTP/1.1\r\nHost: x\r\n\r\n", 404), (b"nonsense\r\n\r\n", 400),
       (b"POST /v1/soak/items/a/votes HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{", 400),
       (b"POST /v1/soak/items/a/votes HTTP/1.1\r\nHost: x\r\nEngaged-Visitor: ev1.forged\r\nContent-Length: 0\r\n\r\n", 401),
       (b"PUT /v1/soak/items/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 401),
       (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
       (b"POST /v1/soak/items/a/votes HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n", 413)]


class Caller(threading.Thread):
    def __init__(self, service, number, rate, over):
        super().__init__(daemon=True)
        self.port, self.key, self.number, self.rate, self.over = service.port, service.key, number, rate, over
        self.dice = random.Random(number)
        self.connection = None
        self.done, self.wrong = collections.Counter(), []
        self.votes, self.views = {}, collections.Counter()  # what must be counted
        self.refused, self.doubts = 0, collections.Counter()  # 503s; calls on an item of which one may come true late
        self.clock = {f"bulk-{number}-{n}": time.time() - BULK_SINCE_S for n in range(BULK_VISITORS)}
        self.visitors = [f"v-{number}-{n}" for n in range(VISITORS)]

    def run(self):
        next_at = time.monotonic()
        try:
            while not self.over.is_set():
                what = self.dice.choices(list(WORK), WORK.values())[0]
                getattr(self, what)()
                self.done[what] += 1
                next_at += self.dice.expovariate(self.rate)
                time.sleep(max(0, min(next_at - time.monotonic(), 1)))
        except Exception as error:  # told by the main thread
            self.wrong.append(f"caller {self.number}, {what}: {error!r}")

    # ---- One call

    def call(self, method, path, status, body=None, visitor=None, kind="application/json"):
        """Until it is answered as it must be: while Redis is frozen 503 is the promised answer."""
        for _ in range(100):
            answered, text = self.once(method, path, body, visitor, kind)
            if answered != 503 or self.over.is_set():
                break
            self.refused += 1
            self.doubts.update(item for item in ITEMS if f"/{item}/" in path or f'"{item}"' in str(body))
            time.sleep(0.2)
        if answered != status:
            raise AssertionError(f"{method} {path}: {answered} {text}")
        return text

    def once(self, method, path, body, visitor, kind):
        if self.connection and self.dice.random() < 0.05:
            self.connection.close()
            self.connection = None
        self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": kind, **({"Engaged-Visitor": visitor} if visitor else {})}
        self.connection.request(method, SITE + path, json.dumps(body) if isinstance(body, dict) else body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        is_json = "json" in answer.getheader("Content-Type", "") and text[-1:] == b"}"
        return answer.status, json.loads(text) if is_json else text

    def metrics(self, ops_port):
        """Of all processes; for the main thread."""
        connection = http.client.HTTPConnection("127.0.0.1", ops_port, timeout=30)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}

    def draw(self):
        return self.dice.choice(self.visitors), ITEMS[min(int(self.dice.paretovariate(0.7)) - 1, len(ITEMS) - 1)]

    # ---- Kinds of work

    def vote(self):
        visitor, item = self.draw()
        kind = self.dice.choice(KINDS)
        assert self.call("POST", f"/items/{item}/votes", 200, {"kind": kind}, visitor)["vote"] == kind
        self.votes[visitor, item] = kind

    def unvote(self):
        visitor, item = self.dice.choice(list(self.votes)) if self.votes and self.dice.random() < 0.8 else self.draw()
        assert self.call("DELETE", f"/items/{item}/votes", 200, visitor=visitor)["vote"] is None
        self.votes.pop((visitor, item), None)

    def view(self):
        visitor, item = self.draw()
        self.views[item] += self.call("POST", f"/items/{item}/views", 202, {}, visitor)["counted"]

    def page(self):
        self.call("GET", f"/items/{self.draw()[1]}/page", 200)

    def ranking(self):
        name, category = self.dice.choice(["hot", "day", "week", "rising", "top", "most-read"]), self.dice.choice(["", *CATEGORIES])
        form = self.dice.choice(["json", "html", "feed"])
        self.call("GET", f"/rankings/{name}?limit=10&format={form}" + (f"&category={category}" if category else ""), 200)

    def related(self):
        self.call("GET", f"/items/{self.draw()[1]}/related?limit=10", 200)

    def me(self):
        visitor, item = self.draw()
        with_list = json.dumps({"ids": [item], "recommendations": 8, "exclude": [item]})
        asked = self.dice.choice([("GET", f"/me?id={item}", 200, None), ("POST", "/me", 200, with_list)])
        votes = self.call(*asked, visitor=visitor)["votes"]
        assert self.doubts[item] or votes.get(item) == self.votes.get((visitor, item)), (visitor, item, votes)

    def recommendations(self):
        self.call("GET", "/me/recommendations", 200, visitor=self.draw()[0])

    def item(self):
        self.call("GET", f"/items/{self.draw()[1]}", 200)

    def card(self):
        item = self.draw()[1]
        self.call("PUT", f"/items/{item}", 200, {"title": f"Title of {item}, {self.dice.random()}", "url": f"/{item}",
                                                 "categories": self.dice.sample(CATEGORIES, 2)})

    def mint(self):
        self.call("POST", "/visitors", 201)

    def export(self):
        assert b'"type":"end"' in self.call("GET", "/export", 200)

    def bulk(self):
        rows = []
        for visitor in self.dice.sample(list(self.clock), BULK_LINES):
            item, kind = self.draw()[1], self.dice.choice(["view", "vote", "unvote"])
            self.clock[visitor] += BULK_STEP_S if kind == "view" else 0
            if self.clock[visitor] > time.time():
                continue
            rows.append({"type": kind, "item": item, "visitor": visitor})
            if kind == "view":
                rows[-1]["time"] = self.clock[visitor]
        answer = self.call("POST", "/events", 200, "".join(json.dumps(row) + "\n" for row in rows), kind="application/x-ndjson")
        assert answer["accepted"] == len(rows), answer
        for row in rows:
            self.note_bulk(row["type"], row["visitor"], row["item"])

    def note_bulk(self, kind, visitor, item):
        if kind == "view":
            self.views[item] += 1
        elif kind == "vote":
            self.votes[visitor, item] = KINDS[0]
        else:
            self.votes.pop((visitor, item), None)

    def bad(self):
        text, status = self.dice.choice(BAD)
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
            client.sendall(text)
            answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 %d" % status), (text[:60], answer[:100])

    def aborted(self):
        """A vote whose answer nobody waits for, then the same again: one vote. These visitors never undo."""
        visitor, item = f"gone-{self.number}-{self.dice.randrange(30)}", self.draw()[1]
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
            client.sendall(f"POST {SITE}/items/{item}/votes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\n"
                           f"Engaged-Visitor: {visitor}\r\nContent-Length: 0\r\n\r\n".encode())
            if self.dice.random() < 0.5:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.call("POST", f"/items/{item}/votes", 200, visitor=visitor)
        self.votes[visitor, item] = KINDS[0]


class Crowd(threading.Thread):
    """Connections that say nothing, or half a head, or ask and don't read; each is given up after a while."""

    def __init__(self, port, over):
        super().__init__(daemon=True)
        self.port, self.over = port, over

    def run(self):
        dice, crowd = random.Random("crowd"), collections.deque()
        words = [b"", b"GET /healthz HT", b"GET /v1/soak/rankings/top HTTP/1.1\r\nHost: x\r\n\r\n"]
        while not self.over.wait(0.1):
            try:
                crowd.append(socket.create_connection(("127.0.0.1", self.port), timeout=5))
                crowd[-1].sendall(dice.choice(words))
            except OSError:
                continue
            if len(crowd) > CROWD:
                crowd.popleft().close()
        for client in crowd:
            client.close()


def expected_counts(callers):
    votes, views, doubts = collections.Counter(), collections.Counter(), collections.Counter()
    for caller in callers:
        doubts.update(caller.doubts)
        votes.update((item, kind) for (_, item), kind in caller.votes.items())
        views.update(caller.views)
    return votes, views, doubts


def is_within(shown, wanted, doubt):
    pairs = [(shown[1], wanted[1]), *((shown[0][kind], wanted[0][kind]) for kind in KINDS)]
    return all(abs(is_shown - is_wanted) <= doubt for is_shown, is_wanted in pairs)


def shown_counts(caller, item):
    shown = caller.call("GET", f"/items/{item}", 200)
    return shown["votes"], shown["views"]


def check_counts(service, callers):
    """What each item shows, when all is projected, must be what its visitors hold."""
    votes, views, doubts = expected_counts(callers)
    witness = Caller(service, "witness", 1, threading.Event())
    last = json.dumps({"type": "view", "item": "last", "visitor": "witness"}) + "\n"
    witness.call("POST", "/events?wait=true", 200, last, kind="application/x-ndjson")
    end = time.monotonic() + 20
    for item in ITEMS:
        wanted = {kind: votes[item, kind] for kind in KINDS}, views[item]
        while not is_within(shown := shown_counts(witness, item), wanted, doubts[item]) and time.monotonic() < end:
            time.sleep(0.3)  # a read may still get the body of before, and asks for the next one
        if not is_within(shown, wanted, doubts[item]):
            yield f"{item}: {shown[0]} and {shown[1]} views, must be {wanted[0]} and {wanted[1]} (in doubt {doubts[item]})"
    print(f"{sum(votes.values())} votes and {sum(views.values())} views compared, item by item; {sum(doubts.values())} calls in doubt after a 503")
