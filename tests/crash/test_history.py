# SPDX-License-Identifier: MIT
"""What a history allows: the judge must not be wrong in either direction."""
from history import OK, REFUSED, UNKNOWN, Bounds, Call, vote_states


def call(want, begin, end, outcome=OK):
    made = Call(0, "vote", "v", "i", want)
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
