# SPDX-License-Identifier: MIT
"""What a history allows: the judge accepts each possible state and refuses each impossible one."""
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

import judge
from clients import HIDDEN, ITEMS
from faults import Nemesis, Strike, chosen
from history import OK, REFUSED, UNKNOWN, Bounds, Call, note_losses, now, still_true, vote_states
from lives import END, Life, in_doubt
from yardstick import Yardstick


def call(want, begin, end, outcome=OK):
    made = Call(0, "vote", "v", ITEMS[0], want)
    made.begin, made.end, made.outcome = begin, end, outcome
    return made


def bounds(*histories, kind="up"):
    made = Bounds()
    for calls in histories:
        made.add(vote_states(calls), kind)
    made.sort()
    return lambda begin, end: (made.least(begin, end), made.most(begin, end))


def test_acknowledged_vote_is_there_after_its_end_and_not_before_its_begin():
    allowed = bounds([call("up", 10, 12)])
    assert [allowed(8, 9), allowed(9, 11), allowed(13, 14)] == [(0, 0), (0, 1), (1, 1)]


def test_moved_vote_is_in_doubt_only_while_it_is_moved():
    allowed = bounds([call("up", 1, 2), call("down", 10, 12)])
    assert [allowed(3, 9), allowed(9, 11), allowed(13, 14)] == [(1, 1), (0, 1), (0, 0)]


def test_unknown_vote_may_come_true_at_any_time_later():
    calls = [call("up", 1, 2, UNKNOWN), call("down", 3, 4)]
    assert bounds(calls)(50, 51) == (0, 1)
    assert bounds(calls, kind="down")(50, 51) == (0, 1)
    assert vote_states(calls)[-1][1] == {"up", "down"}


def test_repeated_vote_is_certain_when_one_answer_came():
    assert bounds([call("up", 1, 2, UNKNOWN), call("up", 3, 4)])(5, 6) == (1, 1)


def test_refused_call_has_done_nothing():
    assert bounds([call("up", 1, 2, REFUSED)])(3, 4) == (0, 0)


def test_many_voters_are_summed():
    assert bounds([call("up", 1, 2)], [call("up", 1, 9)], [call("up", 8, 9)])(3, 4) == (1, 2)


def step(what, begin, end, outcome=OK, visitor=None, client=0):
    made = Call(client, what, visitor, "life/0/1", "up" if what == "life-vote" else None)
    made.begin, made.end, made.outcome = begin, end, outcome
    return made


def test_after_a_deletion_only_what_came_later_counts():
    life = Life([step("life-view", 1, 2, visitor="a"), step("life-vote", 2, 3, visitor="a"), step("delete", 4, 5),
                 step("life-view", 6, 7, visitor="b")])
    assert life.views() == (1, 1) and life.ups() == (0, 0)


def test_a_view_is_asked_for_until_it_is_acknowledged_and_counts_once():
    calls = [step("life-view", 1, 2, UNKNOWN, "a"), step("life-view", 3, 4, visitor="a")]
    assert Life(calls).views() == (1, 1) and Life(calls[:1]).views() == (0, 1)
    assert Life([*calls, step("delete", 5, 6), step("life-view", 7, 8, visitor="b")]).views() == (1, 2)


def test_a_deletion_without_an_answer_may_come_at_any_time_until_all_is_quiet():
    calls = [step("delete", 1, 2, UNKNOWN), step("delete", 3, 4), step("life-view", 5, 6, visitor="a"),
             step("life-vote", 7, 8, visitor="a")]
    assert Life(calls).views() == (0, 1) and Life(calls).ups() == (0, 1) and in_doubt(calls) == ["life/0/1"]
    calls += [step("delete", 20, 21, client=END), step("life-view", 22, 23, visitor="b")]
    assert Life(calls).views() == (1, 1) and Life(calls).ups() == (0, 0) and in_doubt(calls) == []


def test_a_restore_undoes_what_came_after_its_backup():
    calls = [call("up", begin, begin + 1) for begin in (1, 9.5, 12, 19.5, 30)] + [call("up", 13, 14, UNKNOWN)]
    kept = still_true(calls, [[10, 11, 20, 21]])
    assert [(one.begin, one.outcome) for one in kept] == [(1, OK), (9.5, UNKNOWN), (19.5, UNKNOWN), (30, OK), (13, UNKNOWN)]


def judged(rule, calls=(), strikes=(), alive=(), slower=1):
    calls = [call("up", 0, 1), *calls]
    return list(rule(judge.History(calls, list(strikes), 1.5, alive=alive, slower=lambda begin, end: slower)))


def test_somebody_must_answer_but_when_nobody_is_left():
    assert not judged(judge.check_alive, alive=[0, 1.9, 3.8]) and judged(judge.check_alive, alive=[0, 1.9, 4.2])
    assert not judged(judge.check_alive, alive=[0, 4], strikes=[Strike("terminate", 1, 3, down=True)])
    assert judged(judge.check_alive, alive=[0, 4], strikes=[Strike("reload-wrong", 1, 3)])


@pytest.mark.parametrize("slower, within", [(1, True), (1, False), (4, True), (4, False)])
def test_a_slower_machine_moves_each_deadline_by_its_margin_alone(slower, within):
    more = 1.5 * slower + (-0.1 if within else 0.1)
    late, old = call("up", 10, 10 + judge.REDIS_TIMEOUT_S + more), call("up", 49, 50)
    old.what, old.checked = "item", 50 - judge.UNREAD_S - judge.FRESH_S - judge.REDIS_TIMEOUT_S - more
    strike = Strike("kill-redis", 60, 61, recovered=61 + judge.RECOVER_S + more)
    assert bool(judged(judge.check_deadlines, [late], slower=slower)) != within
    assert bool(judged(judge.check_staleness, [old], slower=slower)) != within
    assert bool(judged(judge.check_recovery, strikes=[strike], slower=slower)) != within
    alive = [0, max(judge.ALIVE_S, 1.5 * slower) + (-0.1 if within else 0.1)]
    assert bool(judged(judge.check_alive, alive=alive, slower=slower)) != within


def test_two_processes_on_one_processor_are_measured_as_slower():
    """And one that sleeps does not wait."""
    processor = min(os.sched_getaffinity(0))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    sleeper = subprocess.Popen(["sleep", "100"])
    try:
        for process in busy:
            os.sched_setaffinity(process.pid, {processor})
        time.sleep(0.3)  # they have begun
        half, none = (Yardstick(lambda pids=pids: pids, threading.Event(), own=()) for pids in ([one.pid for one in busy], [sleeper.pid]))
        begin = now()
        for _ in range(4):
            half.measure()
            none.measure()
            time.sleep(0.2)
        assert half.slower(begin, now()) > 1.6 and none.waited < half.waited / 4
    finally:
        for process in (*busy, sleeper):
            process.kill()
            process.wait()


@pytest.mark.parametrize("took, done, wrong", [(6.4, True, False), (6.6, True, True), (3, False, True)])
def test_a_machine_that_has_gone_is_replaced_in_time(took, done, wrong):
    history = judge.History([call("up", 0, 1)], [], 1.5, takeovers=[[10, 10 + took, done]])
    assert bool(list(judge.check_takeover(history))) == wrong


@pytest.mark.parametrize("slower, acknowledged, hidden, served", [(1, 11, 0, True), (1, 9, 11, False), (9, 9, 11, True), (9, 9, 9, False)])
def test_a_deletion_that_waits_for_the_projector_is_served_only_by_a_slow_machine(slower, acknowledged, hidden, served):
    client = SimpleNamespace(acknowledged=acknowledged, hidden=hidden, is_alive=lambda: True, last_call=lambda: "delete")
    service = SimpleNamespace(yardstick=SimpleNamespace(slower=lambda begin, end: slower))
    nemesis = Nemesis(service, [client], SimpleNamespace(margin=1, faults="none", leave_out="", seed=1))
    assert (nemesis.unserved_since(10) == []) == served


def test_a_flood_of_reads_may_cost_two_writes_of_a_hundred():
    def writes(refused):
        found = [call("up", 11 + n / 100, 11.5 + n / 100) for n in range(100)]
        for one in found[:refused]:
            one.status, one.outcome = 503, UNKNOWN
        return found

    flood = Strike("flood", 10, 14, ended=13)
    assert not judged(judge.check_flood, writes(2), [flood]) and judged(judge.check_flood, writes(3), [flood])
    assert not judged(judge.check_flood, writes(50), [flood, Strike("kill-redis (during)", 11, 12)])
    hidden = writes(50)
    for one in hidden[:50]:
        one.what, one.answer = "delete", f"{HIDDEN}, but its counts are not erased yet"
    assert not judged(judge.check_flood, hidden, [flood]), "they were written, and wait for the projection"


def test_an_answer_dated_ahead_is_found():
    made = Call(0, "item", item="i", visitor=None)
    made.begin, made.end, made.outcome, made.answer, made.checked = 5, 6, OK, ({}, 0), 7
    assert not judged(judge.check_clock, [made])
    made.checked = 8.5
    assert judged(judge.check_clock, [made])


def losing(calls, losses, partition=0):
    note_losses(calls, losses, lambda _: partition)
    return calls


def test_vote_that_a_failover_may_have_lost_is_there_or_what_was_before_it():
    calls = losing([call("up", 1, 2), call("down", 10, 12), call(None, 13, 14)], [[11, 15, {0}]])
    assert vote_states(calls)[-1][1] == {"up", "down", None}
    assert vote_states([*calls, call("odd", 20, 21)])[-1][1] == {"odd"}  # it does not come true later


def test_vote_of_another_partition_or_of_before_the_failover_is_certain():
    calls = [call("up", 1, 2), call("down", 10, 12)]
    assert vote_states(losing(calls, [[11, 15, {1, 2}]]))[-1][1] == {"down"}
    assert vote_states(losing(calls, [[13, 15, {0}]]))[-1][1] == {"down"}
    assert vote_states(losing(calls, [[11, 15, {1}]], partition=None))[-1][1] == {"up", "down"}


def test_view_that_a_failover_may_have_lost_may_count_twice_or_not_at_all():
    calls = [view("a", 1), view("b", 10), view("b", 20)]
    note_losses(calls, [[9, 12, {0}]], lambda _: None)
    least, most = judge.views_expected(judge.History(calls, [], 1))
    assert (least[ITEMS[0]], most[ITEMS[0]]) == (2, 3)
    note_losses(calls, [[9, 30, {0}]], lambda _: None)
    least, most = judge.views_expected(judge.History(calls, [], 1))
    assert (least[ITEMS[0]], most[ITEMS[0]]) == (1, 3)


def view(visitor, when):
    made = Call(0, "view", visitor, ITEMS[0])
    made.begin, made.end, made.outcome = when, when + 1, OK
    return made


def test_faults_are_chosen_from_the_first_table_that_has_them():
    assert chosen("all")[0] == "all" and chosen("none") == ("all", [])
    assert [fault.name for fault in chosen("kill-worker,kill-redis")[1]] == ["kill-worker", "kill-redis"]
    assert [name for name, _ in map(chosen, ("cluster", "two-masters,kill-worker", "kill-sentinel", "sentinel:kill-master"))] == [
        "cluster", "cluster", "sentinel", "sentinel"]
    assert [fault.name for fault in chosen("sentinel:freeze")[1]] == [
        "freeze-master", "freeze-sentinel", "freeze-worker", "freeze-projector", "freeze-supervisor"]
