# SPDX-License-Identifier: MIT
"""The projection's lag in /metrics grows while the projector is frozen, is gone or cannot write."""
import os
import signal
import threading
import time

import pytest

from support.scripted_redis import ScriptedRedis, after
from support.service import Service
from support.wait import wait_until

LAG = 'engaged_projection_lag_seconds{projection="%s"}'


@pytest.fixture
def service():
    running = Service(hang_timeout="0", projection_interval="50ms")
    wait_until(lambda: lag(running) < 0.5, 10, lambda: lag(running))
    yield running
    running.stop()


def lag(service, projection="sums"):
    return service.metrics()[LAG % projection]


def test_it_is_near_nothing_while_all_is_projected(service):
    service.lines("/v1/s/events?wait=true", [{"type": "view", "item": "a", "visitor": "v"}])
    for projection in ("sums", "neighbours"):
        wait_until(lambda projection=projection: lag(service, projection) < 1.5, 10, lambda: lag(service))


def test_it_stays_near_nothing_while_nothing_happens_and_the_neighbours_wait_for_their_interval():
    service = Service(neighbour_interval="60s", projection_interval="50ms")
    try:
        for number in range(3):
            service.lines("/v1/s/events?wait=true", [{"type": "view", "item": "a", "visitor": f"v{number}"}])
            time.sleep(1)
            assert lag(service) < 0.9 and lag(service, "neighbours") < 0.9
        service.lines("/v1/s/events", [{"type": "view", "item": "a", "visitor": "w"}])
        wait_until(lambda: lag(service, "neighbours") > 1.5, 10, "an entry that waits for its interval has no age")
        assert lag(service) < 0.9
    finally:
        service.stop()


def test_it_does_not_fall_between_two_batches_of_what_has_piled_up():
    views = 40000  # with their long ids more than a batch takes
    with ScriptedRedis() as redis:
        service = Service(redis=f"redis://127.0.0.1:{redis.port}", neighbour_interval="1h", projection_interval="1s", secret="11" * 32,
                          hash_key="22" * 32)
        try:
            service.lines("/v1/s/events?wait=true", [{"type": "view", "item": "a", "visitor": "v"}])
            time.sleep(2)  # the neighbours have looked again, and wait for an hour now
            for begin in range(0, views, 10000):
                service.lines("/v1/s/events", [{"type": "view", "item": f"{n % 997:0200}", "visitor": f"v{n // 6}"}
                                               for n in range(begin, begin + 10000)])
            wait_until(lambda: lag(service) < 1.5 < lag(service, "neighbours"), 60, "the sums are projected, the neighbours wait")
            redis.rule("xrange", after(0.03))
            waiter = threading.Thread(target=service.lines, args=("/v1/s/events?wait=true", [{"type": "view", "item": "a", "visitor": "w"}]))
            waiter.start()
            seen = []  # of the neighbours: the events that are projected, and the lag
            while waiter.is_alive():
                metrics = service.metrics()
                seen.append((metrics['engaged_projected_events_total{projection="neighbours"}'], metrics[LAG % "neighbours"]))
        finally:
            service.stop()
    early = [at for (_, at), (then, _) in zip(seen, seen[1:]) if then < seen[-1][0] and at < 0.5]
    assert not early, f"{len(early)} of {len(seen)} say that nothing waits"


def test_it_grows_while_redis_does_not_answer(service):
    with open(f"{service.folder}/d/redis.pid", encoding="ascii") as file:
        redis = int(file.read())
    os.kill(redis, signal.SIGSTOP)
    try:
        time.sleep(4)
        assert lag(service) > 3 and lag(service, "neighbours") > 3
    finally:
        os.kill(redis, signal.SIGCONT)
    wait_until(lambda: lag(service) < 1, 20, lambda: lag(service))


def test_it_grows_while_the_projector_stands_still_and_falls_when_it_goes_on(service):
    (projector,) = service.children("projector")
    os.kill(projector, signal.SIGSTOP)
    try:
        began = time.monotonic()
        service.post("/v1/s/items/a/votes")
        time.sleep(3)
        stood = time.monotonic() - began
        assert stood - 1 < lag(service) < stood + 1.5
        assert lag(service, "neighbours") > stood - 1
    finally:
        os.kill(projector, signal.SIGCONT)
    wait_until(lambda: lag(service) < 1, 10, lambda: lag(service))


def test_it_does_not_begin_at_nothing_with_a_projector_that_is_killed_again_and_again(service):
    end = time.monotonic() + 20
    while lag(service) < 2 and time.monotonic() < end:
        for _ in range(20):
            for projector in service.children("projector"):
                os.kill(projector, signal.SIGKILL)
            time.sleep(0.005)
    assert lag(service) > 1.9
    wait_until(lambda: lag(service) < 1, 20, lambda: lag(service))
