# SPDX-License-Identifier: MIT
"""Attacks on the counts of a whole service. Prints what was tried, what counted, what was refused, and how many bytes more
Redis holds.

`pytest -s tests/faults/test_attack.py` shows the table. The test acts as a trusted proxy,
so every attacker has an address of its own.
"""
import concurrent.futures
import contextlib
import hashlib
import http.client
import json
import os
import random
import resource
import socket
import time

import pytest
import redis

from support.colliding import colliding
from support.processes import children, resident_bytes
from support.program import BUILD
from support.service import Service
from support.wait import comes_true, wait_until
from support.wire import Wire

SHORT = bool(os.environ.get("SHORT_TESTS"))
ROWS = []


@pytest.fixture(scope="module")
def service():
    sites = "[site closed]\norigins = https://closed.example\nsecret_key = closed-key\n[site other]\nsecret_key = other-key\n"
    running = Service(trusted_proxies="127.0.0.1", workers=2, configuration=sites)
    yield running
    widths = [max(len(str(row[i])) for row in ROWS) for i in range(5)]
    print("\n\n" + "\n".join("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) for row in ROWS))
    running.stop()


class Attacker:
    """One connection, from one address."""

    def __init__(self, service, address):
        self.service = service
        self.address = address
        self.connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)

    def call(self, method, path, body=None, **headers):
        named = {"X-Forwarded-For": self.address, **{k.replace("_", "-"): v for k, v in headers.items()}}
        self.connection.request(method, path, json.dumps(body) if isinstance(body, dict) else body, named)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, dict(answer.getheaders()), text

    def token(self, site="s"):
        return json.loads(self.call("POST", f"/v1/{site}/visitors")[2])["visitor"]


def store(service):
    return redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))


def used(service):
    """Bytes that Redis holds, once the projections are done."""
    service.lines("/v1/s/events?wait=true", [{"type": "unvote", "item": "nothing", "visitor": "nobody"}])
    return store(service).info("memory")["used_memory"]


@pytest.fixture(autouse=True)
def bytes_before(service):
    note.service, note.before = service, used(service)


def note(attack, tried, counted, refused, grown=None):
    """`grown`: bytes, when they are not those that Redis holds more since the test began."""
    if not ROWS:
        ROWS.append(("attack", "tried", "counted", "refused", "bytes"))
    ROWS.append((attack, tried, counted, refused, used(note.service) - note.before if grown is None else grown))


def votes(service, item, site="s"):
    return service.get(f"/v1/{site}/me?id={item}").json["counts"][item]["up"]


def test_one_visitor_in_a_loop(service):
    attacker = Attacker(service, "198.51.100.1")
    token = attacker.token()
    answers = [attacker.call("POST", "/v1/s/items/loop/votes", Engaged_Visitor=token)[0] for _ in range(500)]
    views = [json.loads(attacker.call("POST", "/v1/s/items/loop/views", Engaged_Visitor=token)[2]) for _ in range(300)]
    note("one visitor in a loop, votes", 500, votes(service, "loop"), answers.count(429))
    note("one visitor in a loop, views", 300, sum(v["counted"] for v in views), 299)
    assert votes(service, "loop") == 1 and answers.count(429) > 0 and set(answers) <= {200, 429}
    assert sum(v["counted"] for v in views) == 1


def test_a_loop_over_many_items_by_one_visitor(service):
    """Each item once, and no more of them than a window holds."""
    attacker = Attacker(service, "198.51.100.10")
    token = attacker.token()
    begin, tried = time.monotonic(), 0
    counted = []
    for _ in range(3):
        for n in range(200):
            counted.append(json.loads(attacker.call("POST", f"/v1/s/items/loop-{n}/views", Engaged_Visitor=token)[2])["counted"])
            tried += 1
    seconds = time.monotonic() - begin
    note("one visitor in a loop over 200 items, views", tried, sum(counted), counted.count(False))
    assert 120 <= sum(counted) <= min(128, 121 + 2 * seconds)


def test_one_network_with_tokens_gathered_before(service):
    """The tokens come from elsewhere; one address votes with all of them."""
    attacker, tried = Attacker(service, "198.51.100.11"), 500 if SHORT else 2000
    tokens = [service.keyed("POST", "/v1/s/visitors").json["visitor"] for _ in range(tried)]
    begin = time.monotonic()
    statuses = [attacker.call("POST", "/v1/s/items/pipelined/votes", Engaged_Visitor=token)[0] for token in tokens]
    seconds = time.monotonic() - begin
    note("one IPv4 address on one article, pipelined tokens", tried, votes(service, "pipelined"), statuses.count(429))
    assert votes(service, "pipelined") == statuses.count(200) <= 121 + seconds
    assert Attacker(service, "198.51.101.11").call("POST", "/v1/s/items/pipelined/votes")[0] == 200


def test_the_subnets_of_one_ipv6_network(service):
    """A /48 has 65,536 of them, and each may be a network of its own."""
    attacker, tried = Attacker(service, ""), 1500 if SHORT else 6000
    begin, statuses = time.monotonic(), []
    for n in range(tried):
        attacker.address = f"2001:db8:77:{n * 7 % 65536:x}::{n + 1 & 0xffff:x}"
        statuses.append(attacker.call("POST", "/v1/s/items/slash48/votes")[0])
    seconds = time.monotonic() - begin
    counted = votes(service, "slash48")
    note("one IPv6 /48, each vote from a subnet of its own", tried, counted, statuses.count(429))
    assert counted == statuses.count(200) and 960 <= counted <= 961 + 8 * seconds
    attacker.address = "2001:db8:78::1"
    assert attacker.call("POST", "/v1/s/items/slash48/votes")[0] == 200


def test_forty_tokens_of_one_network_on_one_related_list(service):
    """Thirty readers each, of as many networks, went from the article to five others; forty tokens of one network went to the
    attacker's, all at once. All of their views count; the list stays the readers'."""
    site, readers = "related", 30
    for item in ("article", "pushed", *(f"good-{n}" for n in range(5))):
        service.keyed("PUT", f"/v1/{site}/items/{item}", {"title": item})

    def read(address, *items):
        attacker = Attacker(service, address)
        token = attacker.token(site)
        return [json.loads(attacker.call("POST", f"/v1/{site}/items/{item}/views", Engaged_Visitor=token)[2])["counted"]
                for item in items]
    for n in range(readers):
        for good in range(5):
            assert read(f"10.{n}.{good}.1", "article", f"good-{good}") == [True, True]
    counted = sum(sum(read("198.51.100.12", "article", "pushed")) for _ in range(40))
    note("forty tokens of one network on one Related list, views", 80, counted, 80 - counted)
    assert counted == 80
    wait_until(lambda: service.get(f"/v1/{site}/items/pushed").json["views"] == 40, 10, "all views are projected")
    time.sleep(0.2)  # co-views come by the other projection
    listed = [row["item"] for row in service.get(f"/v1/{site}/items/article/related?limit=6").json["items"]]
    assert sorted(listed[:5]) == [f"good-{n}" for n in range(5)] and listed[5] == "pushed", listed


@pytest.mark.parametrize("site, counts", [("news.example", False), ("closed", False), ("s", True)])
def test_pages_of_others_and_hotlinked_images(service, site, counts):
    """Each reader of a foreign page comes from another network, so no limit of networks helps; the check of the origin does. A
    site whose name is no host and that lists no origins takes them, as the start says."""
    foreign = {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site", "Content_Type": "text/plain"}
    tried = 0
    for n in range(25):
        reader = Attacker(service, f"203.0.{n}.13")
        for method, path, headers in (("POST", "votes", foreign), ("POST", "views", foreign),
                                      ("GET", "view.gif", {"Referer": "https://evil.example/page",
                                                           "Sec_Fetch_Site": "cross-site"}),
                                      ("GET", "view.gif", {"Sec_Fetch_Site": "cross-site"})):
            status, answered, _ = reader.call(method, f"/v1/{site}/items/foreign/{path}", **headers)
            assert status in ((200, 202) if counts or path == "view.gif" else (403,)), (path, status)
            assert counts or ("Engaged-Visitor" not in answered and "Set-Cookie" not in answered)
            tried += 1
    def all_counted():
        item = service.get(f"/v1/{site}/items/foreign").json
        return item["votes"]["up"] + item["views"]
    if counts:
        wait_until(lambda: all_counted() >= 75, 10, "votes, views and images of pages count")
    time.sleep(0.2)  # what should not count has its time to
    counted = all_counted()
    note(f"foreign pages and hotlinked images, site {site}", tried, counted, tried - counted)
    assert counted == (75 if counts else 0)  # an image without a page never does


def test_one_network_with_fresh_tokens(service):
    attacker = Attacker(service, "198.51.100.2")
    tried, begin = 1500 if SHORT else 8000, time.monotonic()
    answers = [attacker.call("POST", "/v1/s/items/fresh/votes") for _ in range(tried)]
    refused = [headers for status, headers, _ in answers if status == 429]
    counted = votes(service, "fresh")
    note("one network with fresh tokens", tried, counted, len(refused))
    assert counted == sum(status == 200 for status, _, _ in answers)
    assert counted <= 121 + time.monotonic() - begin
    if not SHORT:
        assert len(refused) > 7000
        assert all(int(headers["Retry-After"]) >= 1 and "Set-Cookie" not in headers for headers in refused)
    # a neighbour is not made to pay
    assert Attacker(service, "198.51.100.3").call("POST", "/v1/s/items/fresh/votes")[0] == 200


def test_forged_headers_of_proxies(service):
    """Whatever the client writes, the proxy appends its real address: that one pays."""
    attacker = Attacker(service, "198.51.100.4")
    tried = 2000 if SHORT else 8000
    statuses = []
    for n in range(tried):
        statuses.append(attacker.call("POST", "/v1/s/visitors", X_Forwarded_For=f"10.{n % 256}.{n // 256}.9, 198.51.100.4",
                                      Forwarded=f"for=192.0.2.{n % 256}")[0])
    note("forged headers of proxies, new visitors", tried, statuses.count(201), statuses.count(429))
    assert set(statuses) <= {201, 429}
    if not SHORT:
        assert statuses.count(429) > tried // 2


def test_tokens_from_another_site_and_made_up_ones(service):
    attacker = Attacker(service, "198.51.100.5")
    foreign, good = attacker.token("t"), attacker.token()
    draw = random.Random(7)
    tried, bodies = 0, set()
    for n in range(400):
        forged = foreign if n == 0 else good[:-1] + ("A" if good[-1] != "A" else "B") if n == 1 else \
            "ev1." + "".join(draw.choice("abcdefghijklmnopqrstuvwxyzABCDEF0123456789-_") for _ in range(48))
        for where in ({"Engaged_Visitor": forged}, {"body": {"visitor": forged}}):
            status, headers, text = attacker.call("POST", "/v1/s/items/token/votes", **where)
            assert status == 401 and "Engaged-Visitor" not in headers and "Set-Cookie" not in headers
            bodies.add(text)
            tried += 1
    note("tokens of another site and a dictionary of tokens", tried, votes(service, "token"), tried)
    assert votes(service, "token") == 0 and len(bodies) == 1  # one answer, whatever was wrong


def test_beacons_from_a_foreign_origin(service):
    attacker = Attacker(service, "198.51.100.6")
    token = attacker.token("closed")
    refused = 0
    for origin in ("https://evil.example", "null", "https://closed.example.evil.example", "http://closed.example",
                   "https://closed.example:8443", "HTTPS://CLOSED.EXAMPLE/"):
        for path in ("votes", "views"):
            status, headers, _ = attacker.call("POST", f"/v1/closed/items/o/{path}", {"visitor": token}, Origin=origin,
                                               Content_Type="text/plain")
            assert status == 403 and "Engaged-Visitor" not in headers and "Set-Cookie" not in headers
            assert "Access-Control-Allow-Credentials" not in headers  # it may read why, no more
            assert headers["Vary"] == "Origin"
            refused += 1
    note("beacons from foreign origins", refused, votes(service, "o", "closed"), refused)
    assert votes(service, "o", "closed") == 0
    assert attacker.call("POST", "/v1/closed/items/o/votes", {"visitor": token}, Origin="https://closed.example")[0] == 200


def test_a_key_of_the_wrong_site(service):
    attacker, tried = Attacker(service, "198.51.100.7"), 0
    for method, path, body in (("PUT", "items/a", {"title": "x"}), ("DELETE", "items/a", None),
                               ("PUT", "items/a/editorial", {"pin": 1}), ("GET", "editorial", None),
                               ("GET", "export", None), ("POST", "import", ""), ("POST", "items", ""),
                               ("POST", "events", ""), ("GET", "corrections", None),
                               ("POST", "corrections", {"item": "a"})):
        for key in ("other-key", "k", "", "closed-key "[:-2]):
            status, _, _ = attacker.call(method, f"/v1/closed/{path}", body, Authorization=f"Bearer {key}",
                                         Content_Type="application/x-ndjson" if body == "" else "application/json")
            assert status in (401, 403), (method, path, key)
            tried += 1
    note("keys of the wrong site", tried, 0, tried)
    export = service.request("GET", "/v1/closed/export", Authorization="Bearer closed-key").body
    assert b'"item":"a"' not in export and b"editorial" not in export and b'"type":"end"' in export


def test_names_that_reach_for_others(service):
    """Whatever bytes a site or an item has, it reaches its own data only, and no byte of it is in a key."""
    attacker, statuses = Attacker(service, "198.51.100.8"), []
    names = ["{e0}log", "..%2Fclosed%2Fitems%2Fa", "a%0d%0aSET%20x%201", "%7Be0%7Di0000000000000000", "a*", "[a]", "%00",
             "a%00b", "..", "%2e%2e", "%252e%252e", "closed/items/a", "a" * 600, "%ff%fe", "engaged:meta", "$(id)"]
    for name in names:
        for path in (f"/v1/s/items/{name}/votes", f"/v1/{name}/items/a/votes"):
            status, _, _ = attacker.call("POST", path)
            assert status in (200, 400, 404, 405), (path, status)
            statuses.append(status)
    keys = store(service).keys("*")
    for key in keys:
        assert all(32 < byte < 127 for byte in key) and b"closed/" not in key and b"$(" not in key and b"SET" not in key
    note("names that reach for others (as ids of their own)", len(statuses), statuses.count(200),
         len(statuses) - statuses.count(200))
    assert service.request("GET", "/v1/closed/items/a").json["views"] == 0


def test_made_up_items(service):
    tried = 3000 if SHORT else 100000
    addresses = 1 if SHORT else 4

    def flood(number):
        attacker = Attacker(service, f"203.0.113.{number}")
        token = attacker.token()
        return [attacker.call("POST", f"/v1/s/items/made-up-{number}-{n}/votes", Engaged_Visitor=token)[0]
                for n in range(tried // addresses)]
    with concurrent.futures.ThreadPoolExecutor(addresses) as pool:
        statuses = [status for part in pool.map(flood, range(addresses)) for status in part]
    note("made-up items", len(statuses), statuses.count(200), statuses.count(429))
    assert set(statuses) <= {200, 429} and statuses.count(200) < len(statuses) / 4


def test_made_up_items_and_sites_leave_nothing(service):
    """As they are forty days later: by events of that time, then the service's walk over all items."""
    items, sites = (600, 50) if SHORT else (3000, 200)
    other = Service(view_window="1ms", unknown_items_kept="0")
    try:
        data = store(other)

        def held(rankings=True):
            """Without histories, which expire, and the logs, which are trimmed now or a moment later."""
            keys = [key for key in data.scan_iter("*", count=1000) if b"}h" not in key and not key.endswith(b"}log")]
            keys = [key for key in keys if rankings or b"}r" not in key]  # of one site they are bounded, whatever comes
            return sum(data.memory_usage(key, samples=0) or 0 for key in keys)

        def views(site, rows):
            rows = [{"type": "view", "item": item, "visitor": visitor, "time": at} for item, visitor, at in rows]
            assert other.lines(f"/v1/{site}/events?wait=true", rows).json["accepted"] == len(rows)
        now = int(time.time())
        views("s", [(f"real-{n}", f"v{visitor}", now - n) for n in range(100) for visitor in range(7)])
        before, before_apart = held(), held(rankings=False)
        views("s", [(f"made-up-{n}", f"v{n % 7}", now - 40 * 86400 + n) for n in range(items)])
        of_items, of_items_apart = held() - before, held(rankings=False) - before_apart
        for n in range(sites):
            views(f"made-up-{n}", [("x", "v", now - 40 * 86400)])
        of_sites = held() - before - of_items
        other.process.terminate()
        assert other.process.wait(30) == 0
        other.settings["unknown_items_kept"] = "30d"
        other.start()  # a walk begins a second later
        wait_until(lambda: other.metrics()["engaged_forgotten_items_total"] == items + sites, 60, "all are removed")
        # what stays is bounded: rankings that have grown keep their form, and the floors of those that were cut
        wait_until(lambda: held() - before < (of_items + of_sites) / 8, 10, lambda: f"{held() - before} bytes are left")
        left = held() - before
    finally:
        other.stop()
    note("made-up items, until they are removed", items, items, 0, of_items_apart)
    note("their places in the site's rankings, which are bounded", items, items, 0, of_items - of_items_apart)
    note("made-up sites, until they are removed", sites, sites, 0, of_sites)
    note("made-up items and sites, after their removal", items + sites, 0, items + sites, left)
    assert of_items_apart < 400 * items and of_items - of_items_apart < 1 << 20 and of_sites < 1300 * sites


def test_wrong_keys(service):
    attacker, tried, begin = Attacker(service, "198.51.100.13"), 1000, time.monotonic()
    statuses = [attacker.call("GET", "/v1/closed/editorial", Authorization=f"Bearer guess-{n}")[0] for n in range(tried)]
    note("wrong keys, one after the other", tried, 0, tried)
    assert set(statuses) == {403, 429} and statuses.count(403) <= 61 + (time.monotonic() - begin) / 2
    assert attacker.call("GET", "/v1/closed/editorial", Authorization="Bearer closed-key")[0] == 200  # nobody shuts it out


def test_half_heads(service):
    """Each alone is within its limits; together they have one, and readers are served meanwhile."""
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 500
    tried, workers = min(1000 if SHORT else 10000, room), children(service.process.pid, "worker")
    before, held = sum(map(resident_bytes, workers)), []
    text = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 3000 + b"\r\n"
    text += (b"X-B: " + b"b" * 3500 + b"\r\n") * 7 + b"X-C: "
    reader = Attacker(service, "198.51.100.15")
    for n in range(tried):
        held.append(socket.create_connection(("127.0.0.1", service.port)))
        with contextlib.suppress(OSError):
            held[-1].sendall(text)
        if n % 1000 == 0:
            assert reader.call("POST", "/v1/s/items/half/views")[0] == 202
    grown = sum(map(resident_bytes, workers)) - before
    least, open_ones = tried - 2 * (16 << 20) // len(text), set(held)
    for one in held:
        one.setblocking(False)

    def are_closed():
        """The last ones may still be on their way to a busy service."""
        open_ones.difference_update([one for one in open_ones if is_answered(one)])
        return tried - len(open_ones) >= least

    comes_true(are_closed, 20)
    closed = tried - len(open_ones)
    for one in held:
        one.close()
    note("half heads of 27 kB at once (bytes: of the workers)", tried, tried - closed, closed, grown)
    assert len(workers) == 2 and workers == children(service.process.pid, "worker")
    assert BUILD != "build" or grown < 2 * (16 << 20) + 4096 * tried + (8 << 20)
    assert closed >= least
    assert reader.call("POST", "/v1/s/items/half/views")[0] == 202


def is_answered(connection):
    try:
        return connection.recv(100)[:13] == b"HTTP/1.1 503 "
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_names_made_to_collide(service):
    """tests/api/test_hash_flooding.py measures what they cost; here they are 8,192 among others."""
    ids, wire = [one.decode() for one in colliding()], Wire(service.port)
    statuses = []
    for at in range(0, len(ids), 32):
        statuses += [status for status, _, _ in wire.ask([("GET", f"/v1/s/items/{one}", {}) for one in ids[at:at + 32]])]
    wire.close()
    note("names made to collide, read", len(ids), statuses.count(200), 0)
    assert statuses == [200] * len(ids)


def test_erasures_are_scans_and_have_a_rate_limit(service):
    token = Attacker(service, "198.51.100.9").token()

    def erase(_):  # the 202 comes when the second is over
        return Attacker(service, "198.51.100.9").call("DELETE", "/v1/s/me", Engaged_Visitor=token)[0]
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(erase, range(200)))
    note("erasures, each of them a scan", 200, statuses.count(202), statuses.count(429))
    assert set(statuses) == {202, 429} and statuses.count(202) < 80


def test_what_counted_can_be_taken_back(service):
    cast = 40
    for n in range(cast):
        assert Attacker(service, f"198.51.100.{100 + n}").call("POST", "/v1/s/items/fresh/votes")[0] == 200
    before = votes(service, "fresh")
    assert before >= cast
    answer = service.keyed("POST", "/v1/s/corrections", {"item": "fresh", "note": "the attack"})
    assert answer.status == 202
    wait_until(lambda: votes(service, "fresh") == 0, 30, "taken back")
    note("… and taken back by a correction", before, votes(service, "fresh"), before)


def test_nothing_about_a_person_is_kept(service):
    """No address, token or user agent is in Redis, whole or hashed without a key, nor in the log."""
    attacker = Attacker(service, "192.0.2.77")
    token = attacker.token()
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0 tellme"
    for path in ("votes", "views"):
        attacker.call("POST", f"/v1/s/items/private/{path}", Engaged_Visitor=token, User_Agent=agent,
                      Referer="https://reader.example/")
    attacker.call("POST", "/v1/s/items/private/votes", {"visitor": token + "x"}, User_Agent=agent)
    attacker.call("GET", "/v1/s/nothing%zz", User_Agent=agent)
    data = store(service)
    held = [service.log().encode()]
    for key in data.scan_iter(count=1000):
        held += [key, data.dump(key) or b""]
        kind = data.type(key)
        if kind == b"hash":
            held += [part for pair in data.hgetall(key).items() for part in pair]
        elif kind == b"stream":
            held += [value for _, entry in data.xrange(key) for value in entry.values()]
        elif kind == b"zset":
            held += data.zrange(key, 0, -1)
    with open(os.path.join(service.folder, "d", "appendonlydir", sorted(
            name for name in os.listdir(os.path.join(service.folder, "d", "appendonlydir")) if "incr" in name)[-1]), "rb") as file:
        held.append(file.read())
    everything = b"\0".join(held)
    for told in ("192.0.2.77", token, token[4:], "tellme", "reader.example", "Firefox",
                 hashlib.sha256(b"192.0.2.77").hexdigest()[:16]):
        assert told.encode() not in everything, told
    assert bytes([192, 0, 2, 77]) not in everything
