# SPDX-License-Identifier: MIT
"""While Redis 7 moves a partition, calls with keys on both nodes are refused by TRYAGAIN: only what they are about waits."""
import concurrent.futures
import time

import pytest

from support.fault_calls import TIMEOUT_MS, OneWorker, call, serving, vote
from support.fault_service import item_id
from support.scripted_redis import after, answer
from support.wait import wait_until

TRYAGAIN = answer(b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n")
COUNT = 40


def key_of_item(redis, name):
    with redis.client() as client:
        return next(key for key in client.scan_iter("{*}i*") if item_id(client.get(key)) == name)


def key_of_history(redis):
    with redis.client() as client:
        return next(iter(client.scan_iter("{*}h*")))


def view(service, item, visitor):
    return call(service, "POST", f"/v1/s/items/{item}/views", "{}", visitor=visitor)


@pytest.fixture(scope="module")
def served():
    with serving(OneWorker) as both:
        yield both


@pytest.fixture
def service(served):
    redis, service = served
    redis.obey_redis()
    yield service
    redis.obey_redis()


@pytest.fixture
def redis(served):
    return served[0]


def together(redis, script, calls):
    """The replies of calls whose writes come while a first batch is under way, so that they travel together."""
    redis.rule(script, after(0.3), times=1)
    with concurrent.futures.ThreadPoolExecutor(len(calls) + 1) as pool:
        first = pool.submit(*calls[0])
        wait_until(lambda: redis.rules[-1][2] == 0, 10, "the first call is under way")
        others = [pool.submit(*one) for one in calls[1:]]
        return [one.result() for one in (first, *others)]


def votes_of(service, name, visitor="witness"):
    status, _, text, _ = vote(service, name, visitor)
    assert status == 200, text
    return text


def test_a_refused_item_waits_and_the_others_of_its_batch_do_not(redis, service):
    assert vote(service, "stuck", "first")[0] == 200
    key = key_of_item(redis, "stuck")
    redis.rule("vote", TRYAGAIN, when=lambda arguments: key in arguments)
    counted = redis.counts["vote"]
    replies = together(redis, "vote", [(vote, service, f"stuck-{n}", "v") for n in range(COUNT)] + [(vote, service, "stuck", "v")])
    assert [status for status, *_ in replies] == [200] * COUNT + [503]
    assert replies[-1][1]["Retry-After"] == "1" and replies[-1][3] >= TIMEOUT_MS / 1000 * 0.9
    assert max(took for *_, took in replies[:-1]) < replies[-1][3], "nobody waits for the refused item"
    assert redis.counts["vote"] - counted < 2 * COUNT + 40, "no storm: it rests longer and longer"
    redis.obey_redis()
    assert b'"up":2' in votes_of(service, "stuck"), "the refused vote is not counted"


def test_what_is_refused_for_a_while_counts_once(redis, service):
    names = [f"while-{n}" for n in range(COUNT)]
    until = time.monotonic() + TIMEOUT_MS / 1000 / 4 + 0.3
    redis.rule("vote", after(0.3), times=1)
    redis.rule("vote", TRYAGAIN, when=lambda arguments: time.monotonic() < until)
    assert vote(service, "while-first", "v")[0] == 200
    with concurrent.futures.ThreadPoolExecutor(COUNT) as pool:
        replies = list(pool.map(lambda name: vote(service, name, "v"), names))
    assert {status for status, *_ in replies} == {200}
    assert all(b'"up":2' in votes_of(service, name) for name in names)


def test_a_refused_visitor_waits_and_the_others_do_not(redis, service):
    assert view(service, "seen", "stuck")[0] == 202
    key = key_of_history(redis)
    redis.rule("view", TRYAGAIN, when=lambda arguments: key in arguments)
    calls = [(view, service, f"v{n}", f"reader{n}") for n in range(COUNT)] + [(view, service, "other", "stuck")]
    replies = together(redis, "view", calls)
    assert [status for status, *_ in replies] == [202] * COUNT + [503]
    redis.obey_redis()
    assert view(service, "other", "stuck")[0] == 202


def test_votes_of_a_refused_item_keep_their_order(redis, service):
    """Vote, retract and vote of one visitor, sent one after the other while the item is refused: the last one counts."""
    assert vote(service, "order", "first")[0] == 200
    key = key_of_item(redis, "order")
    until = time.monotonic() + TIMEOUT_MS / 1000 / 2
    redis.rule("vote", TRYAGAIN, when=lambda arguments: key in arguments and time.monotonic() < until)
    turns = [("POST", "votes"), ("DELETE", "votes")] * 3
    with concurrent.futures.ThreadPoolExecutor(len(turns)) as pool:
        sent = []
        for method, what in turns:
            sent.append(pool.submit(call, service, method, f"/v1/s/items/order/{what}", None, "v"))
            time.sleep(0.02)
        replies = [one.result() for one in sent]
    assert [status for status, *_ in replies] == [200] * len(turns)
    assert b'"up":2' in votes_of(service, "order"), "the last turn took the vote back"
