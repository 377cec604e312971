# SPDX-License-Identifier: MIT
"""Attacks on the counts, against the whole service; prints what was tried, what counted and what was refused.

`pytest -s tests/faults/test_attack.py` shows the table. The service stands behind a trusted proxy here (this test), so
that every attacker has an address of its own.
"""
import concurrent.futures
import hashlib
import http.client
import json
import os
import random

import pytest
import redis

from support.service import Service
from support.wait import wait_until

SHORT = bool(os.environ.get("SHORT_TESTS"))
ROWS = []


@pytest.fixture(scope="module")
def service():
    sites = "[site closed]\norigins = https://closed.example\nsecret_key = closed-key\n[site other]\nsecret_key = other-key\n"
    running = Service(trusted_proxies="127.0.0.1", workers=2, configuration=sites)
    yield running
    widths = [max(len(str(row[i])) for row in ROWS) for i in range(4)]
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


def note(attack, tried, counted, refused):
    if not ROWS:
        ROWS.append(("attack", "tried", "counted", "refused"))
    ROWS.append((attack, tried, counted, refused))


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


def test_one_network_with_fresh_tokens(service):
    attacker = Attacker(service, "198.51.100.2")
    tried = 1500 if SHORT else 8000
    answers = [attacker.call("POST", "/v1/s/items/fresh/votes") for _ in range(tried)]
    refused = [headers for status, headers, _ in answers if status == 429]
    counted = votes(service, "fresh")
    note("one network with fresh tokens", tried, counted, len(refused))
    assert counted == sum(status == 200 for status, _, _ in answers)
    if not SHORT:
        assert counted < 4500 and len(refused) > 3000
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
    """Whatever bytes a site or an item has, it reaches its own data only, and no byte of it stands in a key."""
    attacker, statuses = Attacker(service, "198.51.100.8"), []
    names = ["{e0}log", "..%2Fclosed%2Fitems%2Fa", "a%0d%0aSET%20x%201", "%7Be0%7Di0000000000000000", "a*", "[a]", "%00",
             "a%00b", "..", "%2e%2e", "%252e%252e", "closed/items/a", "a" * 600, "%ff%fe", "engaged:meta", "$(id)"]
    for name in names:
        for path in (f"/v1/s/items/{name}/votes", f"/v1/{name}/items/a/votes"):
            status, _, _ = attacker.call("POST", path)
            assert status in (200, 400, 404, 405), (path, status)
            statuses.append(status)
    keys = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock")).keys("*")
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


def test_erasures_are_scans_and_have_a_ceiling(service):
    attacker = Attacker(service, "198.51.100.9")
    token = attacker.token()
    statuses = [attacker.call("DELETE", "/v1/s/me", Engaged_Visitor=token)[0] for _ in range(200)]
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
    store = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))
    held = [service.log().encode()]
    for key in store.scan_iter(count=1000):
        held += [key, store.dump(key) or b""]
        kind = store.type(key)
        if kind == b"hash":
            held += [part for pair in store.hgetall(key).items() for part in pair]
        elif kind == b"stream":
            held += [value for _, entry in store.xrange(key) for value in entry.values()]
        elif kind == b"zset":
            held += store.zrange(key, 0, -1)
    with open(os.path.join(service.folder, "d", "appendonlydir", sorted(
            name for name in os.listdir(os.path.join(service.folder, "d", "appendonlydir")) if "incr" in name)[-1]), "rb") as file:
        held.append(file.read())
    everything = b"\0".join(held)
    for told in ("192.0.2.77", token, token[4:], "tellme", "reader.example", "Firefox",
                 hashlib.sha256(b"192.0.2.77").hexdigest()[:16]):
        assert told.encode() not in everything, told
    assert bytes([192, 0, 2, 77]) not in everything
