# SPDX-License-Identifier: MIT
"""DELETE of an item lifts an editor's pin, boost and burial with it, and keeps a block: "a block holds everywhere"."""
import signal
import os

import pytest
import redis

from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

SOON, LONG_AGO = "2099-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z"
ODD = ['a","block":true', 'a\\","block":true,"pin":5', ',"pin":7,"boost":1,', 'x,', '"', "caf\u00e9"]


@pytest.fixture(scope="module")
def service():
    one = Service(hang_timeout="60s")
    yield one
    one.stop()


def quoted(item):
    return "".join(f"%{byte:02X}" for byte in item.encode())


def mark(service, site, item, **hand):
    answer = service.keyed("PUT", f"/v1/{site}/items/{quoted(item)}/editorial", hand)
    assert answer.status == 200
    return answer.json


def marks(service, site):
    return {row["item"]: row for row in service.keyed("GET", f"/v1/{site}/editorial").json["editorial"]}


def listed(service, site):
    return [row["item"] for row in service.get(f"/v1/{site}/rankings/top").json["items"]]


def test_a_thousand_rules_are_in_force_and_no_more(service):
    site = "full.example"
    mark(service, site, "first", pin=1)
    store = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))
    key = next(key for key in store.scan_iter("*e" + 16 * "?", count=1000, _type="hash")
               if any(b'"first"' in rule for rule in store.hvals(key)))
    rule = '0 {"item":"other","pin":2,"bury":false,"block":false,"lists":["ranking"],"set_at":"2020-01-01T00:00:00.000Z"}'
    store.hset(key, mapping={f"{n:016x}": rule for n in range(1, 1000)})
    assert store.hlen(key) == 1000
    refused = service.keyed("PUT", f"/v1/{site}/items/second/editorial", {"pin": 3})
    assert (refused.status, refused.json["code"]) == (409, "editorial_full")
    assert mark(service, site, "first", pin=2)["pin"] == 2  # it has its place already
    store.hset(key, f"{1:016x}", "1" + rule[1:])  # one that ended in 1970 makes room
    assert mark(service, site, "second", pin=3)["pin"] == 3 and store.hlen(key) == 1000


@pytest.mark.contract("DELETE /v1/{site}/items/{item}", "An editor's pin, boost and bury go too")
def test_a_block_stays_and_one_vote_does_not_bring_the_item_back(service):
    site = "block.example"
    service.keyed("PUT", f"/v1/{site}/items/good", {"title": "Good"})
    mark(service, site, "spam", block=True)
    assert service.keyed("DELETE", f"/v1/{site}/items/spam").status == 204
    assert service.post(f"/v1/{site}/items/spam/votes").status == 200
    assert service.post(f"/v1/{site}/items/good/votes").status == 200
    wait_until(lambda: "good" in listed(service, site), 20)
    assert listed(service, site) == ["good"] and marks(service, site)["spam"]["block"]
    assert service.keyed("DELETE", f"/v1/{site}/items/spam/editorial").status == 204  # its own DELETE ends it
    wait_until(lambda: sorted(listed(service, site)) == ["good", "spam"], 20)


@pytest.mark.parametrize("item", ["plain", *ODD])
def test_a_deletion_keeps_only_the_block_of_a_rule(service, item):
    site = f"odd{ODD.index(item) if item in ODD else 'plain'}.example"
    whole = mark(service, site, item, pin=3, boost=2.5, bury=True, block=True, lists=["related", "ranking"], until=SOON, note='n,"pin":9,"block":true')
    assert service.keyed("DELETE", f"/v1/{site}/items/{quoted(item)}").status == 204
    del whole["pin"], whole["boost"]
    assert marks(service, site) == {item: whole | {"bury": False}}
    assert service.keyed("DELETE", f"/v1/{site}/items/{quoted(item)}").status == 204  # again is fine
    assert marks(service, site) == {item: whole | {"bury": False}}


@pytest.mark.parametrize("hand", [{"pin": 1}, {"boost": 1e-3}, {"boost": 1000}, {"bury": True}, {"pin": 100, "boost": 3, "bury": True},
                                  {"pin": 1, "note": ',"block":true', "block": False}])
@pytest.mark.contract("DELETE /v1/{site}/items/{item}", "An editor's pin, boost and bury go too")
def test_without_a_block_nothing_stays(service, hand):
    for number, item in enumerate(["plain", *ODD]):
        site = f"none{number}.example"
        mark(service, site, item, **hand)
        mark(service, site, "other", **hand)
        assert service.keyed("DELETE", f"/v1/{site}/items/{quoted(item)}").status == 204
        assert set(marks(service, site)) == {"other"}


@pytest.mark.parametrize("boost", [0.001, 1, 1.5, 123.456, 1e3, 0.1 + 0.2])
def test_a_block_with_any_boost_is_valid_afterwards(service, boost):
    site = "boost.example"
    mark(service, site, "a", boost=boost, block=True)
    assert service.keyed("DELETE", f"/v1/{site}/items/a").status == 204
    row = marks(service, site)["a"]
    assert row["block"] and "boost" not in row and "pin" not in row


def test_a_block_that_has_ended_goes(service):
    mark(service, "ended.example", "a", block=True, until=LONG_AGO)
    mark(service, "ended.example", "b", block=True, until=SOON)
    before = service.keyed("GET", "/v1/ended.example/export").body.count(b'"editorial"')
    for item in "ab":
        assert service.keyed("DELETE", f"/v1/ended.example/items/{item}").status == 204
    assert set(marks(service, "ended.example")) == {"b"} and before >= 1


def test_a_deletion_that_does_not_get_through_has_lifted_the_pin_before():
    service = Service(redis_timeout="300ms", hang_timeout="0")
    projectors = service.children("projector")
    try:
        service.keyed("PUT", "/v1/s/items/a", {"title": "A"})
        mark(service, "s", "a", pin=1, block=True)
        for pid in projectors:
            os.kill(pid, signal.SIGSTOP)
        assert service.post("/v1/s/items/a/views").json["counted"]
        assert service.keyed("DELETE", "/v1/s/items/a").status == 503
        assert "pin" not in marks(service, "s")["a"] and marks(service, "s")["a"]["block"]
    finally:
        for pid in projectors:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: service.keyed("DELETE", "/v1/s/items/a").status == 204, 20)
    service.stop()


def test_at_the_memory_limit_the_block_stays_too():
    with RedisServer() as redis:
        service = Service(redis=redis.url, secret="11" * 32, hash_key="22" * 32)
        try:
            mark(service, "s", "a", pin=1, block=True)
            mark(service, "s", "b", pin=1)
            redis.client().config_set("maxmemory", 1)
            for item in "ab":
                wait_until(lambda item=item: service.keyed("DELETE", f"/v1/s/items/{item}").status == 204, 20)
            assert set(marks(service, "s")) == {"a"} and "pin" not in marks(service, "s")["a"]
        finally:
            redis.client().config_set("maxmemory", 0)
            service.stop()
