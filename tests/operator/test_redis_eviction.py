# SPDX-License-Identifier: MIT
"""A Redis that would evict votes gets none: the service checks its policy on connecting and later (redis_eviction)."""
import pytest
from support.redis_server import RedisServer
from support.service import WaitingService
from support.wait import wait_until

LOOKED = 20  # seconds: they look every five


@pytest.fixture
def server():
    with RedisServer(maxmemory="64mb") as server:
        yield server


def started(ending, server, **settings):
    return ending(WaitingService(redis=server.url, **settings))


def writes_of(service):
    """Each call that writes, with its status."""
    line = b'{"type":"view","item":"b","visitor":"u"}\n'
    calls = [service.vote("w"), service.keyed("DELETE", "/v1/s/items/a/votes", Engaged_Visitor="w"),
             service.keyed("POST", "/v1/s/items/a/views", Engaged_Visitor="w"),
             service.keyed("PUT", "/v1/s/items/a", {"title": "t"}), service.keyed("DELETE", "/v1/s/items/a"),
             service.keyed("PUT", "/v1/s/items/a/editorial", {"block": True}),
             service.keyed("POST", "/v1/s/corrections", {"visitor": "w"})]
    bulk = [service.keyed("POST", f"/v1/s/{path}", text, Content_Type="application/x-ndjson").json for path, text in
            (("events", line), ("import", b'{"type":"item","item":"c"}\n'), ("items", b'{"item":"d","title":"t"}\n'))]
    return [call.status for call in calls], [entry["code"] for answer in bulk for entry in answer["rejected"]]


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_policy_that_throws_votes_away_is_refused_and_named(ending, server, policy):
    server.client().config_set("maxmemory-policy", policy)
    service = started(ending, server)
    wait_until(lambda: f"maxmemory-policy is {policy}" in service.trouble()[1], LOOKED, service.trouble)
    assert service.trouble()[0] == 503 and "noeviction" in service.trouble()[1]
    refused = service.vote("v")
    assert refused.status == 503 and policy in refused.json["detail"] and refused.headers["retry-after"]
    assert service.get("/v1/s/rankings/top").status == 200  # reads go on
    assert f"error: redis: maxmemory-policy is {policy}" in service.log()
    server.client().config_set("maxmemory-policy", "noeviction")
    service.wait_taken()


def test_every_write_is_503_while_connected_too_and_nothing_is_lost_when_it_is_taken_again(ending, server):
    service = started(ending, server)
    service.wait_taken()
    assert service.vote("before").json["votes"]["up"] == 2
    server.client().config_set("maxmemory-policy", "allkeys-lru")
    wait_until(lambda: service.trouble()[0] == 503, LOOKED, service.trouble)
    statuses, codes = writes_of(service)
    assert set(statuses) == {503} and codes == ["unavailable"] * 3, (statuses, codes)
    server.client().config_set("maxmemory-policy", "noeviction")
    service.wait_taken()
    assert service.vote("after").json["votes"]["up"] == 3  # taker, before, after: the refused did nothing
    assert writes_of(service) == ([200, 200, 202, 200, 204, 200, 202], [])


def test_without_a_limit_or_by_decision_they_are_taken(ending, server):
    server.client().config_set("maxmemory", 0)
    server.client().config_set("maxmemory-policy", "allkeys-lru")  # evicts nothing without a limit
    started(ending, server).wait_taken()
    server.client().config_set("maxmemory", "64mb")
    service = started(ending, server, redis_eviction="accept")
    service.wait_taken()
    wait_until(lambda: "redis_eviction = accept" in service.log(), LOOKED, service.log)


def test_a_volatile_policy_costs_histories_only_and_is_warned_of(ending, server):
    client = server.client()
    client.config_set("maxmemory-policy", "volatile-lru")
    service = started(ending, server)
    service.wait_taken()
    assert service.keyed("POST", "/v1/s/items/a/views", Engaged_Visitor="v").json["counted"]
    assert "warn: redis: maxmemory-policy is volatile-lru" in service.log()
    volatile = {key for key in client.keys() if client.ttl(key) >= 0}
    client.set("filler", b"x" * (1 << 20))
    client.config_set("maxmemory", client.info("memory")["used_memory"] - (1 << 19))  # evicts all it may, then 503
    wait_until(lambda: not any(client.exists(key) for key in volatile), 10, "nothing was evicted")
    assert service.vote("w").status == 503
    client.config_set("maxmemory", 0)
    assert service.vote("w").json["votes"]["up"] == 2  # the vote of before is still there
    assert len(volatile) == 1, volatile  # one history


def test_without_the_right_to_config_the_policy_is_seen(ending, server):
    client = server.client()
    client.execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all", "-config", "-acl")
    client.config_set("maxmemory-policy", "allkeys-lru")
    service = ending(WaitingService(redis=f"redis://u:p@127.0.0.1:{server.port}"))
    wait_until(lambda: "allkeys-lru" in service.trouble()[1], LOOKED, service.trouble)
    assert service.vote("v").status == 503


def test_a_user_who_may_not_ask_is_served_and_the_log_says_what_is_not_seen(ending, server):
    server.client().execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all", "-config", "-info")
    service = ending(WaitingService(redis=f"redis://u:p@127.0.0.1:{server.port}"))
    service.wait_taken()
    assert "whether it evicts keys" in service.log()


def test_what_was_seen_of_the_redis_before_is_not_held_against_one_that_may_not_be_asked(ending, server):
    client, url = server.client(), f"redis://u:p@127.0.0.1:{server.port}"
    client.execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all")
    client.config_set("maxmemory-policy", "allkeys-lru")
    service = ending(WaitingService(redis=url))
    service.wait_named("allkeys-lru")
    client.execute_command("ACL", "SETUSER", "u", "-info")
    client.config_set("maxmemory-policy", "noeviction")
    client.execute_command("CLIENT", "KILL", "USER", "u")  # as after a failover
    service.wait_taken()
    assert "whether it evicts keys, and when it restarts, cannot be seen" in service.log()
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.execute_command("ACL", "SETUSER", "u", "+info")
    service.wait_named("allkeys-lru")


def test_what_was_evicted_is_counted_and_said(ending, server):
    client = server.client()
    client.config_set("maxmemory-policy", "allkeys-random")
    service = started(ending, server, redis_eviction="accept")
    service.wait_taken()
    wait_until(lambda: "engaged_redis_memory_limit_bytes" in service.metrics(), LOOKED, "metrics")
    assert service.metrics()["engaged_redis_evicted_keys_total"] == 0
    used = client.info("memory")["used_memory"]
    for n in range(200):
        client.set(f"filler {n}", b"x" * (1 << 14))
    client.config_set("maxmemory", used + (1 << 20))
    client.set("more", b"x")
    evicted = wait_until(lambda: client.info("stats")["evicted_keys"], 10, "Redis evicts nothing")
    client.config_set("maxmemory", 0)
    evicted = client.info("stats")["evicted_keys"]
    wait_until(lambda: service.metrics()["engaged_redis_evicted_keys_total"] == evicted, LOOKED, service.metrics)
    assert "error: redis: it has thrown away" in service.log()
    client.config_resetstat()  # as after a restart: what was counted stays, and is added to (or passed by one big look)
    client.config_set("maxmemory", client.info("memory")["used_memory"] - (1 << 17))
    client.set("more", b"x")
    again = wait_until(lambda: client.info("stats")["evicted_keys"], 10, "Redis evicts nothing")
    client.config_set("maxmemory", 0)
    again = client.info("stats")["evicted_keys"]
    wait_until(lambda: service.metrics()["engaged_redis_evicted_keys_total"] in (evicted + again, again), LOOKED,
               service.metrics)
