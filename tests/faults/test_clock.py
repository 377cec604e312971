# SPDX-License-Identifier: MIT
"""Redis's clock jumps: for some seconds, for good, and by a little."""
import email.utils
import json
import time

from support.fault_calls import OneWorker, call, serving, vote
from support.scripted_redis import shift
from support.wait import wait_until


def ahead(service):
    """How far the time in an answer's head is ahead of ours."""
    date = call(service, "GET", "/healthz")[1]["Date"]
    return email.utils.parsedate_to_datetime(date).timestamp() - time.time()


def counted(service, visitor="v"):
    return json.loads(call(service, "POST", "/v1/s/items/a/views", "{}", visitor=visitor)[2])["counted"]


def test_a_jump_of_some_seconds_and_back_changes_nothing():
    with serving(OneWorker, view_window="2s") as (redis, service):
        service.start_projector()
        assert counted(service)
        shift(redis, 86400)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert -2 < ahead(service) < 1
            time.sleep(0.2)
        assert counted(service)  # the window is over
        token = json.loads(call(service, "POST", "/v1/s/visitors")[2])["visitor"]
        redis.obey_redis()
        time.sleep(2.2)
        assert -2 < ahead(service) < 1 and counted(service)
        service.kill_worker(0)
        wait_until(service.is_ready, 10)
        assert vote(service, "a", token)[0] == 200
        service.kill_worker(0)
        shift(redis, -86400)  # also one that is there when a process begins
        wait_until(service.is_ready, 10)
        time.sleep(1.5)
        assert -2 < ahead(service) < 1 and vote(service, "b", token)[0] == 200
        assert service.log().count("not followed") <= 6


def test_a_step_that_stays_is_followed_and_the_way_back_too():
    with serving(OneWorker, view_window="2s") as (redis, service):
        shift(redis, 3600)
        time.sleep(8)
        assert -2 < ahead(service) < 1
        wait_until(lambda: 3598 < ahead(service) < 3601, 6)
        redis.obey_redis()
        wait_until(lambda: -2 < ahead(service) < 1, 14)  # and does not stop for an hour
        assert counted(service, "w")
        time.sleep(2.2)
        assert counted(service, "w")


def test_a_little_is_followed_at_once_and_never_turns_the_clock_back():
    with serving(OneWorker) as (redis, service):
        shift(redis, 4)
        wait_until(lambda: ahead(service) > 2, 3)
        redis.obey_redis()
        latest = 0
        end = time.monotonic() + 5
        while time.monotonic() < end:
            now = ahead(service) + time.time()
            assert now >= latest - 0.001
            latest = now
            time.sleep(0.05)
        assert -2 < ahead(service) < 1
