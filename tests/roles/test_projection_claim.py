# SPDX-License-Identifier: MIT
"""Two services on one Redis whose rankings differ: one projects, the other waits and says so, and no sum is ever wrong."""
import os
import signal
import time

import pytest
from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

KEYS = {"secret": "11" * 32, "hash_key": "22" * 32, "secret_key": "k"}
FAST, SLOW = "[ranking fast]\nhalf_life = 100d\nviews = 0\n", "[ranking slow]\nhalf_life = 3650d\nviews = 0\n"
WAITS = "another service projects other [ranking] sections"


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


def waits(service):
    return WAITS.encode() in service.get("/readyz").body


def test_one_projects_the_other_waits_and_follows_when_it_has_ended(own):
    first = own(FAST)
    vote(first, 10)
    wait_for_score(first, "fast", 10)
    second = own(SLOW)
    wait_until(lambda: waits(second), 3, second.log)
    assert WAITS in second.log() and second.get("/readyz").status == 200
    assert second.metrics()["engaged_projectors_waiting"] == 1 and first.metrics()["engaged_projectors_waiting"] == 0
    vote(second, 20, begin=10)
    wait_for_score(first, "fast", 30)
    time.sleep(6)  # longer than a claim holds that is not renewed
    assert scores(second, "slow") == {} and waits(second) and not waits(first)
    first.stop()
    begun = time.monotonic()
    wait_for_score(second, "slow", 30)
    assert time.monotonic() - begun < 3, "it was given back"
    assert not waits(second) and "the other service has ended" in second.log()
    vote(second, 2, begin=30)
    wait_for_score(second, "slow", 32)


def test_one_that_is_killed_is_followed_after_five_seconds(own):
    first, second = own(FAST), own(SLOW)
    vote(first, 10)
    wait_for_score(first, "fast", 10)
    wait_until(lambda: waits(second), 3, second.log)
    first.process.kill()
    first.process.wait()
    begun = time.monotonic()
    wait_for_score(second, "slow", 10)
    assert 2.5 < time.monotonic() - begun < 9


def test_one_that_stands_still_and_goes_on_later_spoils_nothing(own):
    first, second = own(FAST, hang_timeout="0"), own(SLOW)
    vote(first, 10)
    wait_for_score(first, "fast", 10)
    (frozen,) = first.children("projector")
    vote(first, 5, begin=10)
    os.kill(frozen, signal.SIGSTOP)
    vote(first, 15, begin=15)
    wait_for_score(second, "slow", 30)
    os.kill(frozen, signal.SIGCONT)
    for number in range(30, 60):
        vote(second, 1, begin=number)
        vote(second, 1, item=f"b{number}", begin=number)
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
    assert not {b"plan", b"projector", b"projector-at"} & set(server.client().hgetall("engaged:meta"))
