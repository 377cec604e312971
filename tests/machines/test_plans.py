# SPDX-License-Identifier: MIT
"""Two services on one Redis whose rankings differ: those that were defined last are projected, the other service says so, and no
sum is ever wrong."""
import contextlib
import os
import signal
import time

import pytest
from support.fault_calls import OneWorker, call, serving
from support.machine_list import LIST, kept_fresh
from support.redis_server import Keeper, RedisServer
from support.service import Service
from support.wait import wait_until

KEYS = {"secret": "11" * 32, "hash_key": "22" * 32, "secret_key": "k"}
FAST, SLOW = "[ranking fast]\nhalf_life = 100d\nviews = 0\n", "[ranking slow]\nhalf_life = 3650d\nviews = 0\n"
WAITS = "projects other [ranking] sections on the same Redis"


@pytest.fixture
def server():
    with RedisServer() as running:
        yield running


@pytest.fixture
def own(server, ending):
    def start(configuration, **settings):
        return ending(Service(configuration=configuration, redis=server.url, **KEYS, **settings))

    return start


def vote(service, count, item="a", begin=0):
    for number in range(begin, begin + count):
        voted = service.keyed("POST", f"/v1/s/items/{item}/votes", Engaged_Visitor=f"v{number}")
        assert voted.status == 200


def scores(service, ranking):
    answer = service.get(f"/v1/s/rankings/{ranking}?limit=100")
    return {entry["item"]: round(entry["score"], 1) for entry in answer.json.get("items", [])}


def wait_for_score(service, ranking, score, item="a", seconds=12):
    wait_until(lambda: scores(service, ranking).get(item) == score, seconds,
               lambda: f"{scores(service, ranking)}, not {score}\n{service.log()}")


def plans(server):
    return {field for field in server.client().hgetall(LIST) if field.startswith(b"plan ")}


def waits(service):
    return WAITS.encode() in service.get("/readyz").body


def test_the_rankings_that_were_defined_last_are_projected_until_their_service_ends(own):
    first = own(FAST)
    vote(first, 10)
    wait_for_score(first, "fast", 10)
    second = own(SLOW)
    wait_until(lambda: waits(first), 5, first.log)
    wait_for_score(second, "slow", 10)
    assert WAITS in first.log() and first.get("/readyz").status == 200
    assert first.metrics()["engaged_projectors_waiting"] == 1 and second.metrics()["engaged_projectors_waiting"] == 0
    vote(first, 20, begin=10)
    wait_for_score(second, "slow", 30)
    assert not waits(second) and waits(first)
    second.stop()
    begun = time.monotonic()
    wait_for_score(first, "fast", 30)
    assert time.monotonic() - begun < 4, "it has left the list"
    assert not waits(first) and "the [ranking] sections of this machine are projected" in first.log()
    vote(first, 2, begin=30)
    wait_for_score(first, "fast", 32)


def stray(server, plan="aa" * 8):
    return kept_fresh(server.client(), "f" * 16, plan, name="stray (ffffffff)")


def test_a_record_that_is_never_told_keeps_new_rankings_back_for_ten_seconds(own, server):
    with stray(server):
        wait_until(lambda: server.client().hget(LIST, "f" * 16), 5, "it is there")
        begun = time.monotonic()
        service = own(FAST)
        vote(service, 10)
        wait_until(lambda: b"stray (ffffffff) is still to be told" in service.get("/readyz", port=service.ops_port).body, 5, service.log)
        assert service.metrics()["engaged_machines_untold"] == 1
        wait_for_score(service, "fast", 10, seconds=18)
        assert 9 < time.monotonic() - begun < 18
        assert b"; stray (ffffffff) was not waited for\n" in service.get("/readyz", port=service.ops_port).body
        assert b"stray" not in service.get("/readyz").body and b"; another was not waited for\n" in service.get("/readyz").body
        assert "without waiting longer for stray (ffffffff)" in service.log()
        begun = time.monotonic()
        second = own(FAST)
        wait_for_score(second, "fast", 10)
        vote(second, 5, begin=10)
        wait_for_score(second, "fast", 15)
        assert time.monotonic() - begun < 6, "they are projected already"
    wait_until(lambda: service.metrics()["engaged_machines_untold"] == 0, 10, service.log)
    assert b"not waited for" not in service.get("/readyz").body


def test_rankings_that_all_had_replaced_stay_so_when_an_older_redis_comes_back(ending):
    with Keeper() as server:
        def start(configuration):
            return ending(Service(configuration=configuration, redis=server.url, **KEYS))

        first = start(FAST)
        vote(first, 10)
        wait_for_score(first, "fast", 10)
        server.keep()
        for configuration, ranking in ((SLOW, "slow"), (SLOW + FAST, "fast")):
            first.configure(configuration)
            first.process.send_signal(signal.SIGHUP)
            wait_for_score(first, ranking, 10, seconds=20)
            wait_until(lambda: first.metrics()["engaged_machines"] == 1, 5, first.log)
        assert len(plans(server)) == 3
        server.start_again()
        wait_until(lambda: len(plans(server)) == 3, 15, lambda: f"{plans(server)}\n{first.log()}")
        second = start(SLOW)
        wait_until(lambda: waits(second), 5, lambda: second.get("/readyz").body)
        vote(second, 5, begin=20)
        wait_for_score(first, "slow", 15)
        wait_for_score(first, "fast", 15)
        assert not waits(first) and WAITS not in first.log()


def test_one_that_stands_still_and_goes_on_later_spoils_nothing(own):
    first = own(FAST)
    vote(first, 10)
    wait_for_score(first, "fast", 10)
    second = own(SLOW, hang_timeout="0")
    wait_for_score(second, "slow", 10)
    wait_until(lambda: waits(first), 5, first.log)
    (frozen,) = second.children("projector")
    vote(second, 5, begin=10)
    os.kill(frozen, signal.SIGSTOP)
    vote(second, 15, begin=15)
    wait_for_score(first, "fast", 30)
    os.kill(frozen, signal.SIGCONT)
    for number in range(30, 60):
        vote(first, 1, begin=number)
        vote(first, 1, item=f"b{number}", begin=number)
    wait_until(lambda: waits(first), 5, first.log)
    wait_for_score(second, "slow", 60)
    others = [f"b{number}" for number in range(30, 39)]  # partition by partition
    wait_until(lambda: [scores(second, "slow").get(item) for item in others] == [1] * 9, 5, lambda: scores(second, "slow"))
    assert not waits(second)


def test_a_reload_to_other_rankings_waits_for_nobody(own):
    service = own(FAST)
    vote(service, 10)
    wait_for_score(service, "fast", 10)
    for number in range(3):
        service.configure(SLOW if number % 2 == 0 else FAST)
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.log().count("have taken over") == number + 1, 15, service.log)
        begun = time.monotonic()
        vote(service, 10, begin=10 * (number + 1))
        wait_for_score(service, "slow" if number % 2 == 0 else "fast", 10 * (number + 2))
        assert time.monotonic() - begun < 3
    assert WAITS not in service.log()


def test_a_clean_end_leaves_no_claim_and_the_same_rankings_wait_for_nobody(own, server):
    first, second = own(FAST), own(FAST)
    vote(first, 10)
    wait_for_score(second, "fast", 10)
    assert WAITS not in first.log() + second.log()
    assert len(server.client().hget("engaged:meta", "plan")) == 16
    first.stop()
    vote(second, 10, begin=10)
    wait_for_score(second, "fast", 20)
    second.stop()
    assert not any(len(field) == 16 for field in server.client().hgetall(LIST))
    assert not {b"plan", b"projector", b"projector-at"} & set(server.client().hgetall("engaged:meta"))


def test_a_rebuild_that_another_plan_has_begun_meanwhile_is_left_to_it():
    with serving(OneWorker, configuration=FAST, partitions=1, log_level="info") as (redis, service):
        data, log = redis.client(), service.log
        service.start_projector()
        for number in range(3):
            assert call(service, "POST", f"/v1/s/items/i{number}/votes", visitor="v")[0] == 200
        wait_until(lambda: data.zcard(next(data.scan_iter("{e0}r*:fast:no-card"), "none")) == 3, 10, log)
        service.projectors.pop().kill()
        own_plan = data.hget("{e0}pos", "plan")
        data.hdel("{e0}pos", "plan")

        def another_begins(client, ask):
            """What lua/rebuild.lua does for another projector, while this one scans."""
            data.hset("{e0}sums", "version", 123)
            data.hset("{e0}pos", "begun", "another")
            client.sendall(ask())

        redis.rule("scan", another_begins, times=1, when=lambda words: b"{e*}s*" in words)
        service.start_projector()
        wait_until(lambda: data.hget("{e0}pos", "plan") == own_plan, 10, log)
        assert "another projector is at work" in log() and data.hget("{e0}pos", "begun") == own_plan
