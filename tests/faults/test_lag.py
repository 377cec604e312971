# SPDX-License-Identifier: MIT
"""The projection's lag in /metrics says most when it matters: while the projector stands still, is gone or cannot write."""
import os
import signal
import time

import pytest

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
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for projector in service.children("projector"):
            os.kill(projector, signal.SIGKILL)
        time.sleep(0.005)
    assert lag(service) > 2
    wait_until(lambda: lag(service) < 1, 20, lambda: lag(service))
