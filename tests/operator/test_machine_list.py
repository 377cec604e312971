# SPDX-License-Identifier: MIT
"""The list of machines (lua/machines.lua, called as the services call it): who is alive, whose plan is projected, who works."""
import hashlib

import pytest

from support.program import script_text
from support.redis_server import RedisServer

ONE, OTHER, THIRD = "1" * 16, "2" * 16, "3" * 16
OLD, NEW, LAST = "aa" * 8, "bb" * 8, "cc" * 8
META, LIST = "engaged:meta", "engaged:machines{engaged:meta}"
TURNS = {"turn sums", "turn neighbours"}
DAY = 86400000
BEGIN = 1700000000000


@pytest.fixture(scope="module")
def server():
    with RedisServer() as running:
        yield running


@pytest.fixture
def client(server):
    server.client().flushall()
    return server.client(decode_responses=True)


@pytest.fixture
def call(client):
    script = client.register_script(script_text("machines"))

    def beat(instance, now, plan=OLD, release=False, generation=1, name=None, well=1, known="", waits="1"):
        told = script([META, LIST], [instance, generation, plan, BEGIN + now, 1, f"0.2 host{instance[0]}" if name is None else name,
                                     "release" if release else "", well, known, waits, "sums", "neighbours"])
        if release:
            return None
        return {"wait": told[0], "newest": told[1], "count": told[3], "untold": told[4], "untold_name": told[5], "known": told[6],
                "idle": told[7], "idle_name": told[8], "sums": told[9], "neighbours": told[11], "names": told[10::2]}

    return beat


def highest(projection, *instances):
    return max(instances, key=lambda instance: hashlib.sha1((projection + instance).encode()).hexdigest())


def test_the_living_share_the_projections_and_each_is_told_the_same(call):
    told = [call(one, now) for now in (0, 1000) for one in (ONE, OTHER, THIRD)]
    assert told[3] == told[4] == told[5]
    assert (told[5]["sums"], told[5]["neighbours"]) == (highest("sums", ONE, OTHER, THIRD), highest("neighbours", ONE, OTHER, THIRD))
    assert told[5]["count"] == 3 and told[5]["wait"] == 0 and told[5]["names"][0] == "host" + told[5]["sums"][0]


def test_one_that_is_silent_for_four_seconds_works_nothing_and_is_removed_after_a_minute(call, client):
    worker = highest("sums", ONE, OTHER)
    rest = {ONE: OTHER, OTHER: ONE}[worker]
    call(worker, 0)
    assert call(rest, 3999)["sums"] == worker and call(rest, 4000)["sums"] == rest
    assert client.hexists(LIST, worker)
    call(rest, 59999)
    assert client.hexists(LIST, worker)
    call(rest, 60000)
    assert not client.hexists(LIST, worker)


def test_a_clock_that_is_far_ahead_makes_nobody_live_longer(call):
    call(THIRD, 9 * DAY, plan=NEW)
    told = call(ONE, 0)
    assert (told["sums"], told["newest"], told["count"]) == (ONE, "", 1)


def test_who_ends_leaves_the_list_but_not_for_the_next_generation(call, client):
    call(ONE, 0), call(OTHER, 10)
    call(ONE, 20, generation=2)
    call(ONE, 30, release=True)
    assert client.hexists(LIST, ONE), "the next generation has renewed it"
    call(ONE, 40, release=True, generation=2)
    assert call(OTHER, 50)["sums"] == OTHER and client.hget(META, "projector") == OTHER + ":1"
    call(OTHER, 60, release=True)
    assert client.hgetall(META) == {} and set(client.hgetall(LIST)) == {"plan " + OLD, *TURNS}


def test_the_plan_that_was_defined_last_is_projected_while_somebody_has_it(call, client):
    call(ONE, 0)
    told = call(OTHER, 100, plan=NEW)
    assert (told["newest"], told["sums"], told["wait"]) == ("", OTHER, 1) and client.hget(META, "plan") == OLD
    assert call(ONE, 1000)["newest"] == OTHER and client.hget(META, "plan") == OLD
    assert call(OTHER, 1050, plan=NEW)["wait"] == 0 and client.hget(META, "plan") == NEW
    call(THIRD, 1100)  # starts with the old plan, which is known
    assert call(THIRD, 1200)["newest"] == OTHER and call(OTHER, 1300, plan=NEW)["sums"] == OTHER
    told = call(ONE, 5300)
    assert (told["newest"], told["count"]) == ("", 1) and client.hget(META, "plan") == OLD
    call(OTHER, 6000, plan=NEW)
    assert call(ONE, 6100)["newest"] == OTHER, "it is back"
    call(OTHER, 6200, plan=NEW, release=True)
    assert call(ONE, 6300)["newest"] == ""


def test_a_plan_that_is_new_after_the_clock_went_back_is_the_last_one(call):
    call(ONE, 10 * DAY)
    call(OTHER, 0, plan=NEW)
    assert call(ONE, 10)["newest"] == OTHER and call(OTHER, 20, plan=NEW)["newest"] == ""


def test_a_plan_follows_another_when_all_that_live_have_been_told(call):
    call(ONE, 0), call(OTHER, 10)
    assert call(THIRD, 100, plan=NEW)["wait"] == 1
    call(ONE, 1000)
    assert call(THIRD, 1100, plan=NEW)["wait"] == 1, "the other one may be at work"
    assert call(THIRD, 4009, plan=NEW)["wait"] == 1 and call(THIRD, 4010, plan=NEW)["wait"] == 0, "it is silent"


def stray(client, now, plan=OLD, instance="f" * 16):
    """A record that is fresh, of whoever never asks what the others have."""
    client.hset(LIST, instance, f"{BEGIN + now} 1 {plan} {plan} 1 1 0.1 stray")


def test_one_that_is_never_told_is_waited_for_as_long_as_the_caller_wants(call, client):
    stray(client, 0)
    told = call(ONE, 100, plan=NEW)
    assert (told["wait"], told["untold"], told["untold_name"]) == (1, 1, "stray") and not client.hget(META, "plan")
    told = call(ONE, 200, plan=NEW, waits="")
    assert (told["wait"], told["untold"], told["untold_name"]) == (0, 1, "stray") and client.hget(META, "plan") == NEW
    stray(client, 4000)
    assert call(OTHER, 4100, plan=NEW)["wait"] == 0, "the plan has begun, so nobody waits any more"
    call(ONE, 4200, plan=NEW, release=True), call(OTHER, 4300, plan=NEW, release=True)
    stray(client, 4400)
    assert call(ONE, 4500, plan=NEW)["wait"] == 1, "in between others may have worked the old one"


def test_of_several_that_are_not_told_one_is_named_always_the_same(call, client):
    call(OTHER, 0), call(ONE, 10), stray(client, 20)
    assert [(told["untold"], told["untold_name"]) for told in (call(THIRD, now, plan=NEW) for now in (100, 200))] == [(3, "host1")] * 2
    assert call(ONE, 300)["untold"] == 0, "its own plan is not the last one"


def test_a_list_of_before_learns_the_order_of_plans_from_who_remembers(call, client):
    """A Redis that was restored from an older snapshot, or emptied, in all orders in which machines may come back."""
    call(ONE, 0)
    snapshot = client.dump(LIST)
    call(OTHER, 1000, plan=NEW)
    known = call(OTHER, 2000, plan=LAST)["known"]
    assert known == f"{LAST} {BEGIN + 2000} {BEGIN + 2000},{NEW} {BEGIN + 1000} {BEGIN + 1000},{OLD} {BEGIN} {BEGIN},"
    for before in (snapshot, None):
        for first, second in ((OLD, LAST), (LAST, OLD), (NEW, LAST), (LAST, NEW)):
            client.flushall()
            if before:
                client.restore(LIST, 0, before)
            call(ONE, 5000, plan=first, known=known), call(OTHER, 5100, plan=second, known=known)
            has_last, other = (ONE, OTHER) if first == LAST else (OTHER, ONE)
            assert call(has_last, 6000, plan=LAST)["newest"] == "" and call(other, 6100, plan=min(first, second))["newest"] == has_last
            for replaced in (OLD, NEW):
                assert call(THIRD, 6200, plan=replaced)["newest"] == has_last, "it remembers nothing, as it has just started"
            assert call(THIRD, 6300, plan="dd" * 8)["newest"] == "", "what nobody knows is new"


def test_what_a_machine_remembers_brings_back_nothing_that_is_forgotten_or_wrong(call, client):
    call(ONE, 40 * DAY, known=f"{NEW} {BEGIN} {BEGIN + 9 * DAY},nonsense,{'cc' * 8} 99999999999999999 {BEGIN},zz 1 2,")
    assert [field for field in client.hgetall(LIST) if field.startswith("plan")] == ["plan " + OLD]
    assert call(ONE, 40 * DAY, known=f"{OLD} {BEGIN} {BEGIN + 40 * DAY},")["known"].startswith(f"{OLD} {BEGIN + 40 * DAY} "), "the later one is right"


def test_of_many_plans_the_last_ones_are_told(call):
    for number in range(20):
        told = call(ONE, number, plan=f"{number:016x}")
    assert [row.split()[0] for row in told["known"].split(",")[:-1]] == [f"{number:016x}" for number in range(19, 3, -1)]


def test_one_that_does_not_get_through_comes_after_the_others(call):
    worker = highest("sums", ONE, OTHER)
    rest = {ONE: OTHER, OTHER: ONE}[worker]
    call(rest, 0)
    assert call(worker, 100)["sums"] == worker
    assert call(worker, 1000, well=0)["sums"] == rest and call(rest, 1100)["sums"] == rest
    assert call(rest, 1200, well=0)["sums"] == worker, "if none does, as if all did"


@pytest.mark.parametrize("plan", [OLD, NEW])
def test_one_that_has_its_turn_and_does_not_ask_is_passed_over_until_it_does(call, client, plan):
    idle = highest("sums", ONE, OTHER, THIRD)
    rest = [one for one in (ONE, OTHER, THIRD) if one != idle]
    if plan == NEW:
        call(rest[0], -1000)
        client.hset(LIST, f"plan {NEW}", f"{BEGIN - 100} {BEGIN - 100}")
    for now in range(0, 80000, 500):
        stray(client, now, plan, idle)
        told = call(rest[now // 500 % 2], now + 10)
        at_work = (told["sums"], told["count"], told["idle"], told["idle_name"])
        if now < 4000:
            assert at_work == (idle, min(2 + (now > 0), 3), 0, ""), now
        else:
            assert at_work == (highest("sums", *rest), 2, 1, "stray"), now
    assert call(idle, 80100, plan)["sums"] == idle and call(rest[0], 80200)["sums"] == idle
    assert call(rest[0], 80300)["idle"] == 0 and not [field for field in client.hgetall(LIST) if field.startswith("passed")]


def test_one_that_stands_still_with_the_store_is_not_passed_over(call):
    call(ONE, 0), call(OTHER, 10)
    assert call(ONE, 9000)["idle"] == 0 and call(OTHER, 9010)["idle"] == 0
    assert call(ONE, 9020)["sums"] == highest("sums", ONE, OTHER)


def test_a_record_of_the_future_lives_no_longer_than_others(call, client):
    """Its machine died before the clock of Redis went back."""
    worker = highest("sums", ONE, OTHER)
    rest = {ONE: OTHER, OTHER: ONE}[worker]
    call(worker, 3900)
    assert call(rest, 0)["sums"] == worker and call(rest, 3900)["sums"] == worker and call(rest, 4000)["sums"] == rest
    call(worker, 30000)
    assert {call(rest, now)["sums"] for now in range(4100, 40000, 1000)} == {rest}


def test_a_plan_that_nobody_had_for_long_is_a_new_one(call):
    call(ONE, 0), call(OTHER, DAY, plan=NEW)
    assert call(ONE, DAY)["newest"] == OTHER
    call(OTHER, 40 * DAY, plan=NEW)
    assert call(ONE, 40 * DAY)["newest"] == "", "it was forgotten, so it was defined just now"


def test_a_program_that_knows_no_machines_is_waited_for(call, client):
    client.hset(META, mapping={"plan": OLD, "projector": THIRD + ":1", "projector-at": BEGIN})
    assert call(ONE, 1000, plan=NEW)["wait"] == 4000 and client.hget(META, "plan") == OLD
    assert call(ONE, 5000, plan=NEW)["wait"] == 0 and client.hget(META, "plan") == NEW
    client.hset(META, mapping={"plan": NEW, "projector": THIRD + ":1", "projector-at": BEGIN + 5100})
    assert call(ONE, 5200, plan=NEW)["wait"] == 0, "with the same plan both may work"


def test_a_projector_without_a_service_works_everything_and_is_in_no_list(call, client):
    told = call(ONE, 0, name="")
    assert (told["wait"], told["sums"], told["neighbours"], told["count"]) == (0, ONE, ONE, 0) and not client.exists(LIST)
    assert call(OTHER, 100, plan=NEW)["wait"] == 4900
    call(ONE, 200, name="", release=True)
    assert call(OTHER, 300, plan=NEW)["wait"] == 0


def test_what_else_is_in_the_list_is_removed_little_by_little(call, client):
    client.hset(LIST, mapping={f"junk{number}": "x" * 100 for number in range(250)} | {"plan zz": "1 2", OTHER: "1 2 3"})
    for second in range(3):
        assert call(ONE, 1000 * second)["sums"] == ONE
    assert set(client.hgetall(LIST)) == {ONE, "plan " + OLD, *TURNS}


def test_a_list_of_another_type_is_begun_anew(call, client):
    client.set(LIST, "x")
    assert call(ONE, 0)["sums"] == ONE and call(OTHER, 100)["count"] == 2
    client.set(LIST, "x")
    call(ONE, 200, release=True)
    assert client.hget(META, "projector") == OTHER + ":1"
    assert call(OTHER, 300)["sums"] == OTHER and OTHER in client.hgetall(LIST)
