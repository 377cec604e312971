# SPDX-License-Identifier: MIT
"""A bulk call before a Redis that is slow: it takes longer, and no line is lost because others lie before it in the queue."""
import time

import pytest

from support.beside import Beside
from support.redis_server import RedisServer
from support.scripted_redis import ScriptedRedis, after
from support.wait import wait_until

CARD_SECONDS, CARDS = 0.009, 700  # a Redis whose disk syncs so long


def service_of(own, redis, **settings):
    return own(redis=f"redis://127.0.0.1:{redis.port}", secret="11" * 32, hash_key="22" * 32, **settings)


def card(number):
    return {"item": f"i{number}", "title": f"Article {number}"}


@pytest.mark.parametrize("text", ["", "x" * 300], ids=["short", "long"])
def test_each_card_is_stored_though_each_takes_long(own, text):
    """All of them in the queue are 6.3 s of it, twice `redis_timeout`: then half of them would be too late. Short lines come by hundreds in one read."""
    with ScriptedRedis() as redis:
        service = service_of(own, redis, redis_timeout="3s")
        redis.rule("put", after(CARD_SECONDS))
        cards = [{**card(number), "image": f"https://e.example/{text}"} for number in range(CARDS)]
        answer = service.lines("/v1/s/items", cards).json
        assert answer["accepted"] >= CARDS * 3 / 4, answer  # a machine that is busy with other tests may itself stand still
        redis.obey_redis()
        wait_until(lambda: service.keyed("GET", "/v1/s/export").body.count(b'"title":') >= answer["accepted"], 20)


@pytest.mark.contract("Bodies", "A bulk call is taken as fast as Redis answers")
def test_a_pause_of_redis_costs_only_what_was_under_way_and_then_it_goes_on(own):
    with ScriptedRedis() as redis:
        service = service_of(own, redis, redis_timeout="1s")
        redis.rule("put", after(2.5), times=1, when=lambda words: b"i300" in b" ".join(words))
        redis.rule("put", after(0.001))
        answer = service.lines("/v1/s/items", [card(number) for number in range(3 * CARDS)]).json
        lost = [row["line"] for row in answer["rejected"]]
        assert answer["accepted"] + len(lost) == 3 * CARDS and 0 < len(lost) < CARDS and lost[-1] < 3 * CARDS, answer


def test_a_service_that_ends_while_a_bulk_call_waits_for_redis_ends_well(own):
    """The call has an entry of the audit log, which Redis cannot take either."""
    with RedisServer() as server:
        service = own(redis=server.url, secret="11" * 32, hash_key="22" * 32, redis_timeout="500ms", drain_timeout="200ms")

        def send():
            try:
                service.lines("/v1/s/items", [card(number) for number in range(100 * CARDS)])
            except OSError:
                pass  # cut off

        with Beside(send):
            time.sleep(0.3)
            server.kill()
            time.sleep(3)
            service.process.terminate()
            assert service.process.wait(30) == 0, service.log()
