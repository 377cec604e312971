# SPDX-License-Identifier: MIT
"""Two services with the same rankings on one Redis: when one of them ends, a third with other rankings still waits for the
other one (lua/claim.lua, called as the services call it)."""
import pytest

from support.program import script_text
from support.redis_server import RedisServer

HOLDS = 5000
ONE, OTHER, THIRD = "1" * 16, "2" * 16, "3" * 16


@pytest.fixture(scope="module")
def server():
    with RedisServer() as running:
        yield running


@pytest.fixture
def call(server):
    server.client().delete("engaged:meta")
    script = server.client().register_script(script_text("claim"))

    def claim(plan, instance, now, release=False, generation=1):
        return script(["engaged:meta"], [plan, instance, generation, now, HOLDS, "release" if release else ""])

    return claim


def test_the_end_of_the_last_that_renewed_gives_the_record_to_the_other(call):
    for now in (0, 1000, 2000):
        assert call("plan", ONE, now) == 0 and call("plan", OTHER, now + 500) == 0
    assert call("plan", OTHER, 2600, release=True) == 0
    assert call("else", THIRD, 2700) == HOLDS - 700, "the first one renewed at 2000 and is at work"
    assert call("plan", ONE, 3000) == 0 and call("else", THIRD, 3100) == HOLDS - 100
    assert call("plan", ONE, 3200, release=True) == 0
    assert call("else", THIRD, 3200) == 0, "nobody is left"


def test_one_that_has_been_silent_for_long_does_not_get_it_back(call):
    assert call("plan", ONE, 0) == 0
    assert call("plan", OTHER, 100) == 0
    for now in range(1000, 7000, 1000):
        assert call("plan", OTHER, now) == 0
    call("plan", OTHER, 6500, release=True)
    assert call("else", THIRD, 6500) == 0


def test_one_that_has_ended_does_not_get_it_back(call):
    call("plan", ONE, 0), call("plan", OTHER, 500)
    call("plan", ONE, 600, release=True)
    assert call("else", THIRD, 700) == HOLDS - 200
    call("plan", OTHER, 800, release=True)
    assert call("else", THIRD, 800) == 0


def test_the_next_generation_of_one_service_gives_back_to_nobody(call):
    assert call("plan", ONE, 0) == 0 and call("plan", ONE, 1000, generation=2) == 0
    assert call("plan", ONE, 1100, release=True) == 0, "it is no longer the one before's"
    assert call("else", THIRD, 1200) == HOLDS - 200
    call("plan", ONE, 1300, release=True, generation=2)
    assert call("else", THIRD, 1300) == 0


def test_another_plan_does_not_inherit_who_was_before(call):
    call("plan", ONE, 0), call("plan", OTHER, 100)
    assert call("else", THIRD, 6000) == 0, "both were silent"
    call("else", THIRD, 6100, release=True)
    assert call("plan", ONE, 6100) == 0
    call("plan", ONE, 6200, release=True)
    assert call("else", THIRD, 6200) == 0
