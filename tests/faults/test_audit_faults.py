# SPDX-License-Identifier: MIT
"""The audit log when something dies or fails: no change is made without an entry, and no fault of the log costs a call more
than it must."""
import json
import time
import urllib.request

import pytest

from support.fault_calls import TIMEOUT_MS, OneWorker, call, is_refused_in_time, serving
from support.program import script_text
from support.redis_server import RedisServer
from support.scripted_redis import answer, be_silent
from support.wait import wait_until

RULE = '{"boost":2}'


@pytest.fixture
def bench():
    with serving(OneWorker) as (redis, service):
        yield redis, service


def entries(redis):
    """Of the only site, oldest first."""
    client = redis.client()
    keys = [key for key in client.keys("{e*}k*") if client.type(key) == b"stream"]
    return [json.loads(b"{" + fields[b"j"] + b"}") for key in keys for _, fields in client.xrange(key)]


def metrics(service):
    with urllib.request.urlopen(f"http://127.0.0.1:{service.ops_port}/metrics", timeout=20) as answer:
        return answer.read()


def send_and_kill(service, when, method, path, body):
    """The worker is killed as soon as `when` holds, before it can answer."""
    connection = service.client()
    connection.call("GET", "/readyz")
    connection.connection.request(method, "/v1/s" + path, body, {"Authorization": "Bearer publisher", **(
        {"Content-Type": "application/x-ndjson"} if method == "POST" else {})})
    wait_until(when, 5, "the call is under way")
    time.sleep(0.1)  # for what must not come
    service.kill_worker(0)
    wait_until(lambda: service.listens(service.workers[0]), 20, "the next worker is there")


def test_killed_before_the_entry_is_acknowledged_nothing_is_changed(bench):
    redis, service = bench
    redis.rule("audit", be_silent, times=1)
    send_and_kill(service, lambda: entries(redis), "PUT", "/items/a/editorial", RULE)
    assert "editorial" not in redis.counts and not redis.client().keys("{e*}e*")
    assert [(one["call"], one["item"], one["status"]) for one in entries(redis)] == [("PUT /v1/{site}/items/{item}/editorial", "a", None)]


@pytest.mark.contract("GET /v1/{site}/audit", "An entry is there before")
@pytest.mark.parametrize("method, path, body, script", [("PUT", "/items/a/editorial", RULE, "editorial"), ("POST", "/items", '{"item":"a"}\n', "put")])
def test_killed_after_the_change_the_entry_is_there_without_a_status(bench, method, path, body, script):
    redis, service = bench
    redis.rule(script, be_silent, times=1)
    send_and_kill(service, lambda: script in redis.counts and redis.client().keys("{e*}[ec]*"), method, path, body)
    found, = entries(redis)
    assert found["key"] == "secret_key" and found["status"] is None and found["call"].startswith(method), found
    wait_until(lambda: call(service, "GET", "/v1/s/audit")[0] == 200, 20, "it answers")
    assert json.loads(call(service, "GET", "/v1/s/audit")[2])["entries"][0]["status"] is None


def hold(client, ask):
    ask()
    time.sleep(TIMEOUT_MS / 1000 + 0.2)


@pytest.mark.parametrize("fault", [hold, answer(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n")], ids=["late", "refused"])
def test_an_entry_that_cannot_be_written_is_a_503_and_no_change(bench, fault):
    redis, service = bench
    redis.rule("audit", fault, times=1)
    assert is_refused_in_time(call(service, "PUT", "/v1/s/items/a/editorial", RULE))
    assert not redis.client().keys("{e*}e*") and "editorial" not in redis.counts
    wait_until(lambda: call(service, "PUT", "/v1/s/items/a/editorial", RULE)[0] == 200, 10, "it goes on")


def test_without_redis_a_change_is_refused_and_leaves_no_entry(bench):
    redis, service = bench
    redis.go_away()
    wait_until(lambda: call(service, "GET", "/readyz")[0] == 503, 10, "it has noticed")
    assert is_refused_in_time(call(service, "PUT", "/v1/s/items/a/editorial", RULE))
    redis.listen()
    wait_until(lambda: call(service, "PUT", "/v1/s/items/b/editorial", RULE)[0] == 200, 20, "it goes on")
    wait_until(lambda: [(one["item"], one["status"]) for one in entries(redis) if one["item"] == "b"] == [("b", 200)], 10, lambda: str(entries(redis)))
    assert not [one for one in entries(redis) if one["item"] == "a"]


def test_a_log_of_a_wrong_type_costs_no_change_and_is_told(bench):
    redis, service = bench
    assert call(service, "PUT", "/v1/s/items/a/editorial", RULE)[0] == 200
    key, = redis.client().keys("{e*}k*")
    redis.client().set(key, "x")
    redis.client().set(key + b":sums", "x")
    assert call(service, "DELETE", "/v1/s/items/a/editorial")[0] == 204
    assert call(service, "GET", "/v1/s/editorial")[0] == 200
    wait_until(lambda: "the audit log cannot be written: it lacks the key secret_key: DELETE /v1/{site}/items/{item}/editorial" in service.log(), 10, service.log)
    wait_until(lambda: b"\nengaged_audit_lost_total 2\n" in metrics(service), 10, lambda: metrics(service))
    status, _, text, _ = call(service, "GET", "/v1/s/audit")
    assert (status, json.loads(text)) == (200, {"entries": [], "sums": []})


def test_pages_of_entries_of_one_millisecond(bench):
    redis, service = bench
    assert call(service, "PUT", "/v1/s/items/a/editorial", RULE)[0] == 200
    wait_until(lambda: entries(redis)[0]["status"], 10, "it is whole")
    key, = redis.client().keys("{e*}k*")
    redis.client().delete(key)
    for number in range(3):
        redis.client().xadd(key, {"j": f'"item":"i{number}"'}, id=f"1795809239062-{number}")
    redis.client().xadd(key, {"x": "y"}, id="1795809239062-5")  # nobody knows what it is
    found, before = [], ""
    while before is not None:
        page = json.loads(call(service, "GET", f"/v1/s/audit?limit=2{before and '&before=' + before}")[2])
        found += [one["item"] for one in page["entries"]]
        before = page.get("next_before")
    assert found == ["i2", "i1", "i0"]


def test_at_the_memory_limit_what_may_be_done_has_its_entry(bench):
    redis, service = bench
    assert call(service, "PUT", "/v1/s/items/a/editorial", RULE)[0] == 200
    redis.client().config_set("maxmemory", "1mb")
    assert call(service, "DELETE", "/v1/s/items/a/editorial")[0] == 204
    wait_until(lambda: [one["status"] for one in entries(redis)] == [200, 204], 10, lambda: str(entries(redis)))


def test_of_the_counts_the_latest_are_kept():
    with RedisServer() as server:
        client = server.client()
        script = client.script_load(script_text("audit_counts"))

        def add(*sums, most=3):
            client.execute_command("EVALSHA", script, 1, "k", most, 0, 0, *(word for one in sums for word in one))

        add(("a", 2, 10, 30), ("b", 1, 20, 20))
        add(("a", 5, 25, 26), ("c", 1, 15, 15))
        assert client.hgetall("k") == {b"a": b"7 10 30", b"b": b"1 20 20", b"c": b"1 15 15"}
        add(("b", 1, 40, 50))
        add(("d", 1, 60, 60))
        assert client.hgetall("k") == {b"a": b"7 10 30", b"b": b"2 20 50", b"d": b"1 60 60"}, "c has not changed for the longest time"
        client.hset("k", "a", "nonsense")
        add(("a", 3, 1795809239062, 1795809239063))
        add(("d", 2**53 - 2, 60, 60))
        assert client.hgetall("k") == {b"a": b"3 1795809239062 1795809239063", b"b": b"2 20 50", b"d": b"9007199254740991 60 60"}
