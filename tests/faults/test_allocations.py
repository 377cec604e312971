# SPDX-License-Identifier: MIT
"""Row 20 of docs/faults.md: every allocation of a request's life fails once, one after the other. The request is
answered with 503, or as ever, or its connection is closed; the process goes on, and what is counted is exact.

ALL_ALLOCATIONS=1 tries each of them, and three in a row; else some of the many are left out.
"""
import http.client
import json
import mmap
import os
import random
import re
import struct
import tempfile
import time

import pytest

from support.fault_service import FaultService
from support.program import PROGRAM
from support.redis_server import RedisServer
from support.wait import wait_until

ALL = os.environ.get("ALL_ALLOCATIONS") == "1"
BEFORE_MAIN = 20  # about so many allocations of the loader and the sanitizers, which may hang without memory
FIRST, SAMPLED = 10, 10  # of each kind, when not all are tried
SANITIZED = "address" in PROGRAM  # whose runtime may abort without memory
LEFT, STAY, SEEN, HITS = range(4)


class Orders:
    """The file that failing_malloc.c maps too."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="engaged-orders-")
        self.file.write(bytes(32))
        self.file.flush()
        self.leaks = tempfile.NamedTemporaryFile(prefix="engaged-leaks-")  # of glibc, when it has no memory
        self.leaks.write(b"leak:_dl_map_object_deps\nleak:dl_open_worker\n")
        self.leaks.flush()
        self.map = mmap.mmap(self.file.fileno(), 32)

    def put(self, index, value):
        struct.pack_into("<q", self.map, 8 * index, value)

    def get(self, index):
        return struct.unpack_from("<q", self.map, 8 * index)[0]

    def fail(self, number, stay=1):
        self.put(STAY, stay)
        self.put(SEEN, 0)
        self.put(HITS, 0)
        self.put(LEFT, number)

    def end(self):
        self.put(LEFT, 0)
        return self.get(HITS)

    def environment(self):
        return {"LSAN_OPTIONS": f"print_suppressions=0:suppressions={self.leaks.name}", "LD_PRELOAD": os.path.join(os.path.dirname(PROGRAM), "failing_malloc.so"), "FAILING_MALLOC": self.file.name,
                "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}


class FailingService(FaultService):
    """One worker, whose allocations fail by order; a projector whose do not."""
    worker_count = 1
    partitions = 2

    def __init__(self, server, orders, **settings):
        super().__init__(server, redis_timeout="2s", refresh_interval="100ms", kinds="up down", **settings)
        self.orders = orders

    def spawn(self, role, **environment):
        return super().spawn(role, **environment, **(self.orders.environment() if role == "worker" else {}))


def ask(service, method, path, body=None, visitor=None, **headers):
    """The answer's status and body; None when the connection was closed without one."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    kind = "application/x-ndjson" if body and body.endswith("\n") else "application/json"
    named = {"Authorization": "Bearer publisher", "Content-Type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
    if visitor:
        named["Engaged-Visitor"] = visitor
    try:
        connection.request(method, "/v1/s" + path if not path.startswith("//") else path[1:], body, named)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (ConnectionError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def spelling(n):
    """All with the same id."""
    return "".join("%7A" if n >> bit & 1 else "z" for bit in range(12))


def events(n, prefix="e"):
    return lines(*({"type": kind, "item": f"{prefix}{item}", "visitor": f"{prefix}{n}", "time": 1.7e9 + 10000 * n}
                   for kind in ("view", "vote") for item in (1, 2)))


def export_line(n):
    return lines({"type": "item", "item": f"x{n}", "title": "X"}, {"type": "editorial", "item": f"x{n}", "pin": 2})


# Kind: (status, the n-th request). Each has its own visitor, item or question, so nothing is in memory yet but where said.
REQUESTS = {
    "vote": (200, lambda n: ("POST", "/items/voted/votes", '{"kind":"up"}', f"v{n}")),
    "vote of a new visitor": (200, lambda n: ("POST", "/items/minted/votes")),
    "vote on a new item": (200, lambda n: ("POST", f"/items/new-{n}/votes", None, "v")),
    "undo": (200, lambda n: ("DELETE", "/items/undone/votes", None, f"v{n}")),
    "view": (202, lambda n: ("POST", "/items/viewed/views", "{}", f"v{n}")),
    "image": (200, lambda n: ("GET", "/items/seen/view.gif")),
    "visitor": (201, lambda n: ("POST", "/visitors")),
    "ranking in memory": (200, lambda n: ("GET", "/rankings/top")),
    "ranking by a new spelling": (200, lambda n: ("GET", f"/rankings/top?exclude={spelling(n)}")),
    "ranking": (200, lambda n: ("GET", f"/rankings/top?exclude=not-{n}")),
    "ranking of a category": (200, lambda n: ("GET", f"/rankings/hot?category=news&format=html&exclude=not-{n}")),
    "ranking of a new site": (200, lambda n: ("GET", f"//v1/site-{n}/rankings/hot?format=feed")),
    "related": (200, lambda n: ("GET", f"/items/i1/related?exclude=not-{n}")),
    "item": (200, lambda n: ("GET", f"/items/other-{n}")),
    "items": (200, lambda n: ("GET", f"/items?id=i1&id=i2&id=more-{n}")),
    "page": (200, lambda n: ("GET", f"/items/i1/page?exclude=not-{n}")),
    "me": (200, lambda n: ("GET", "/me?id=i1&id=i2", None, "reader 1")),
    "me with recommendations": (200, lambda n: ("POST", "/me", '{"ids":["i1","i2"],"recommendations":5,"exclude":["i3"]}', "reader 1")),
    "recommendations": (200, lambda n: ("GET", "/me/recommendations", None, "reader 1")),
    "card": (200, lambda n: ("PUT", "/items/carded", json.dumps({"title": f"T{n}", "categories": ["a", "b"], "author": "A"}))),
    "cards": (200, lambda n: ("POST", "/items", lines({"item": f"c{n}", "title": "C"}, {"item": "c", "title": f"C{n}"}))),
    "events": (200, lambda n: ("POST", "/events", events(n))),
    "events, projected": (200, lambda n: ("POST", "/events?wait=true", events(n, "p"))),
    "editorial": (200, lambda n: ("PUT", "/items/i1/editorial", json.dumps({"boost": 1 + n, "note": "n"}))),
    "editorial list": (200, lambda n: ("GET", "/editorial")),
    "correction": (202, lambda n: ("POST", "/corrections", json.dumps({"visitor": f"nobody {n}", "note": "n"}))),
    "corrections": (200, lambda n: ("GET", "/corrections")),
    "export": (200, lambda n: ("GET", "/export")),
    "import": (200, lambda n: ("POST", "/import", export_line(n))),
    "erasure": (202, lambda n: ("DELETE", "/me", None, f"forgotten {n}")),
    "deletion": (204, lambda n: ("DELETE", f"/items/gone-{n}")),
    "readiness": (200, lambda n: ("GET", "//readyz")),
    "widget": (200, lambda n: ("GET", "//widget.js")),
    "unknown": (404, lambda n: ("GET", "//nothing")),
    "bad body": (400, lambda n: ("POST", "/items/a/votes", '{"kind":[')),
}
# What comes before it, unharmed.
BEFORE = {"undo": (200, lambda n: ("POST", "/items/undone/votes", '{"kind":"up"}', f"v{n}")),
          "deletion": (200, lambda n: ("PUT", f"/items/gone-{n}", '{"title":"T"}'))}
UNLIKE = {"corrections", "export"}  # one answer is not like the next: what was asked for before goes on


@pytest.fixture(scope="module")
def service():
    orders = Orders()
    with RedisServer() as server, FailingService(server, orders) as running:
        running.start_projector()
        rows = [{"item": f"i{n}", "title": f"Title {n}", "url": f"/{n}", "categories": ["news", f"c{n}"]} for n in range(30)]
        assert ask(running, "POST", "/items", lines(*rows))[0] == 200
        rows = [{"type": kind, "item": f"i{n}", "visitor": f"reader {m}"} for m in range(6) for n in range(12 - m)
                for kind in ("view", "vote")]
        assert ask(running, "POST", "/events?wait=true", lines(*rows))[0] == 200
        yield running


def tries(most, sampled=SAMPLED):
    """(which allocation fails, how many in a row): all, or the first ones and some others."""
    if ALL:
        return [(n, stay) for n in range(1, most + 1) for stay in (1, 3)]
    some = range(1, most + 1)
    if most > FIRST + sampled:
        some = [*range(1, FIRST + 1), *sorted(random.Random(most).sample(range(FIRST + 1, most + 1), sampled))]
    return [(n, 1 if n % 3 else 3) for n in some]


def is_whole(answer, status):
    """Each line of a bulk call may be refused by itself; an export says at its end that it is whole."""
    if answer is None or answer[0] != status:
        return False
    if answer[1].startswith(b'{"accepted"'):
        return not json.loads(answer[1])["rejected"]
    return not answer[1].startswith(b'{"type":"item"') or answer[1].rstrip().rsplit(b"\n", 1)[-1].startswith(b'{"type":"end"')


def until_answered(service, status, request):
    answers = []

    def once():
        answers.append(ask(service, *request))
        return is_whole(answers[-1], status)
    wait_until(once, 10, lambda: f"not as before: {answers[-3:]}")
    return answers[-1]


def until_projected(service):
    until_answered(service, 200, ("POST", "/events?wait=true", lines({"type": "view", "item": "fence", "visitor": "fence"})))


def content(answer):
    """What of an answer does not change from one question to the next."""
    text = re.sub(rb'"(computed_at|score)":[^,}]*,', b"", answer[1])
    return re.sub(rb"(other|more|site)-\d+", rb"\1", text)


def walk(service, kind):
    """Yields what was acknowledged, after each allocation has failed: (number of the request, its body)."""
    status, request = REQUESTS[kind]
    orders, worker, hit = service.orders, service.workers[0], 0
    before_status, before = BEFORE.get(kind, (200, lambda n: ("GET", "//healthz")))
    until_projected(service)
    time.sleep(0.3)  # longer than refresh_interval: what is read from now on knows all that was projected
    until_answered(service, before_status, before(0))
    first = until_answered(service, status, request(0))
    until_answered(service, before_status, before(1))
    orders.fail(10**9)
    yield 1, until_answered(service, status, request(1))[1]
    most = orders.get(SEEN) + 2
    for number, (failing, stay) in enumerate(tries(most), 2):
        until_answered(service, before_status, before(number))
        orders.fail(failing, stay)
        answer = ask(service, *request(number))
        hit += orders.end()
        said = f"{kind}, allocation {failing} of {most}: {answer}"
        assert answer is None or answer[0] in (status, 503), said
        assert worker.poll() is None, f"{said}, the worker has ended with {worker.poll()}"
        if not is_whole(answer, status):
            answer = until_answered(service, status, request(number))
        elif request(number)[0] == "GET" and status == 200 and kind not in UNLIKE:
            assert content(answer) == content(first), f"{said}, not {first}"
        yield number, answer[1]
    assert hit >= 1 or kind == "ranking in memory" or most <= 6, f"none of {most} was hit"


@pytest.mark.parametrize("kind", REQUESTS)
def test_row_20_a_failing_allocation_is_503_and_the_worker_goes_on_and_counts_right(service, kind):
    if service.workers[0].poll() is not None:  # of the test before
        service.kill_worker(0)
        wait_until(service.is_ready, 20, "no worker")
    acknowledged = list(walk(service, kind))
    if kind in COUNTED:
        until_projected(service)
        wait_until(lambda: COUNTED[kind](service, acknowledged), 5, f"what was acknowledged is not there: {kind}")


# ---- What must be there in the end: each call was repeated until it was acknowledged

def shown(service, item):
    return json.loads(until_answered(service, 200, ("GET", f"/items/{item}"))[1])


def ids_of_corrections(service):
    listed = json.loads(until_answered(service, 200, ("GET", "/corrections"))[1])["corrections"]
    return {row["correction"] for row in listed}


def bulk_is_counted(prefix):
    def check(service, acknowledged):
        both = [shown(service, f"{prefix}{n}") for n in (1, 2)]
        count = len(acknowledged) + 1  # and the very first
        return all(item["votes"]["up"] == item["views"] == count for item in both)
    return check


COUNTED = {
    "vote": lambda service, done: shown(service, "voted")["votes"] == {"up": len(done) + 1, "down": 0},
    "undo": lambda service, done: shown(service, "undone")["votes"] == {"up": 0, "down": 0},
    "view": lambda service, done: shown(service, "viewed")["views"] == len(done) + 1,
    "vote on a new item": lambda service, done: all(shown(service, f"new-{n}")["votes"]["up"] == 1 for n, _ in done),
    "card": lambda service, done: shown(service, "carded")["title"] == f"T{done[-1][0]}",
    "cards": lambda service, done: all(shown(service, f"c{n}")["title"] == "C" for n, _ in done),
    "import": lambda service, done: all(shown(service, f"x{n}")["title"] == "X" for n, _ in done),
    "events": bulk_is_counted("e"),
    "events, projected": bulk_is_counted("p"),
    "correction": lambda service, done: {json.loads(body)["correction"] for _, body in done} <= ids_of_corrections(service),
    "editorial": lambda service, done: b'"boost":%d,' % (1 + done[-1][0]) in ask(service, "GET", "/editorial")[1],
    "deletion": lambda service, done: all("title" not in shown(service, f"gone-{n}") for n, _ in done),
}


# ---- The projector: it may end and is started again, but nothing is lost and nothing counts twice

class FailingProjector(FaultService):
    worker_count = 1

    def __init__(self, server, orders):
        super().__init__(server, redis=server.url, refresh_interval="0", projection_interval="5ms")
        self.orders = orders

    def spawn(self, role, **environment):
        return super().spawn(role, **environment, **(self.orders.environment() if role == "projector" else {}))

    def keep_projecting(self):
        code = self.projectors[-1].poll()
        if code is not None:
            assert code > 0, f"the projector has ended with {code}"
            self.start_projector()


def write_one(service, number):
    """A vote and a view on the one item, and on a new one."""
    for item in ("all", f"one-{number}"):
        until_answered(service, 200, ("POST", f"/items/{item}/votes", None, f"v{number}"))
        until_answered(service, 202, ("POST", f"/items/{item}/views", "{}", f"v{number}"))


def is_projected(service, item, count):
    top = json.loads(until_answered(service, 200, ("GET", "/rankings/top?limit=100"))[1])["items"]
    row = next((row for row in top if row["item"] == item), {"score": 0, "votes": {"up": 0}, "views": 0})
    whole = row["votes"]["up"] == row["views"] == count
    return whole and abs(row["score"] - 1.1 * count) < 1e-6  # the preset weight of a view is a tenth


def test_row_20_a_failing_allocation_of_the_projector_loses_and_doubles_nothing():
    orders = Orders()
    with RedisServer() as server, FailingProjector(server, orders) as service:
        service.start_projector()
        write_one(service, 0)
        wait_until(lambda: is_projected(service, "all", 1), 10, lambda: f"not projected: {ask(service, 'GET', '/rankings/top')}")
        orders.fail(10**9)
        write_one(service, 1)
        wait_until(lambda: is_projected(service, "all", 2), 10, "projected")
        most, hit = orders.get(SEEN) + 20, 0
        for number, (failing, stay) in enumerate(tries(most, 15), 2):
            orders.fail(failing, stay)
            write_one(service, number)
            wait_until(lambda: orders.get(HITS) == stay or service.projectors[-1].poll() is not None, 10, "the order is met")
            hit += orders.end()
            service.keep_projecting()
        wait_until(lambda: is_projected(service, "all", number + 1), 20,
                   lambda: f"{number + 1} are not {ask(service, 'GET', '/rankings/top')}")
        # A partition that the projector was refused is left behind for a while.
        wait_until(lambda: all((one["votes"]["up"], one["views"]) == (1, 1)
                               for one in (shown(service, f"one-{n}") for n in range(number + 1))), 20, "each new one")
        time.sleep(0.2)
        assert is_projected(service, "all", number + 1) and hit > 10
        service.keep_projecting()
        service.projectors[-1].terminate()
        assert service.projectors[-1].wait(20) == 0


@pytest.mark.skipif(SANITIZED, reason="AddressSanitizer itself breaks when a thread starts without memory")
def test_row_20_a_projector_without_memory_in_its_first_round_loses_and_doubles_nothing():
    """Fresh each time, so that also those allocations fail that are made once and kept; its start may fail altogether. Redis is
    reached by a Unix socket: libuv aborts when it can't start the thread that looks up an address."""
    orders = Orders()
    with RedisServer(unix=True) as server, FailingProjector(server, orders) as service:
        orders.fail(10**9)
        write_one(service, 0)
        projector = service.start_projector()
        wait_until(lambda: is_projected(service, "all", 1), 10, "projected")
        most = orders.get(SEEN)
        for number, (failing, _) in enumerate(tries(most, 60), 1):
            projector.kill()
            projector.wait()
            write_one(service, number)
            orders.fail(max(BEFORE_MAIN, most - failing))  # the last ones first: those before are of its start
            projector = service.start_projector()
            wait_until(lambda: is_projected(service, "all", number + 1) or projector.poll() is not None, 10,
                       lambda: f"{number + 1} are not {ask(service, 'GET', '/rankings/top')}")
            orders.end()
            if projector.poll() is not None:
                assert projector.poll() > 0, f"allocation {most - failing}: ended with {projector.poll()}"
                projector = service.start_projector()
                wait_until(lambda: is_projected(service, "all", number + 1), 10, f"{number + 1} after its end")
        wait_until(lambda: all(is_projected(service, f"one-{n}", 1) for n in range(number + 1)), 5, "each new one")
