# SPDX-License-Identifier: MIT
"""Faults of Redis, by their row in docs/faults.md: the real service with a scripted Redis."""
import datetime
import json
import math
import threading
import time

import pytest

from support.beside import Beside
from support.fault_calls import TIMEOUT_MS, OneWorker, call, is_refused_in_time, read_status, send_vote, serving, ups, vote
from support.fault_service import FaultService
from support.launch import end
from support.ports import free_port
from support.redis_server import RedisServer
from support.scripted_redis import after, answer, be_silent, cut_in_the_middle, reset
from support.wait import wait_until


def warm(service, paths):
    """Until both workers have it in memory; the first answers may take longer than redis_timeout on a busy machine."""
    for path in paths * 40:
        wait_until(lambda: call(service, "GET", path)[0] == 200, 10, f"{path} is read")


def seconds(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def test_row_03_redis_refuses_from_the_start_the_service_is_alive_and_waits():
    nowhere = RedisServer()
    service = FaultService(nowhere)
    worker = service.spawn("worker")
    try:
        wait_until(lambda: alive(service), 10, "it comes up")
        ready = call(service, "GET", "/readyz")
        assert ready[0] == 503 and b"connect" in ready[2] or b"wait" in ready[2]
        for reply in (vote(service, "a", "v"), call(service, "GET", "/v1/s/rankings/top")):
            assert reply[0] == 503 and "Retry-After" in reply[1]
        time.sleep(2)
        lines = [line for line in service.log().splitlines() if "redis:" in line]
        assert 1 <= len(lines) <= 10, lines  # 50 ms doubling: a line a step
        with nowhere:
            wait_until(service.is_ready, 5, "ready within 5 s of Redis's coming")
            assert vote(service, "a", "v")[0] == 200
    finally:
        service.judge(end(worker))


def alive(service):
    try:
        return call(service, "GET", "/healthz")[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize("fault", [be_silent, reset, cut_in_the_middle], ids=["silent", "reset", "cut"])
def test_row_04_a_connection_that_is_silent_or_reset_is_made_anew_and_nobody_hangs(fault):
    with serving() as (redis, service):
        assert vote(service, "a", "v0")[0] == 200
        connects = redis.connects
        redis.rule(None, fault)
        with Beside(*(lambda n=n: vote(service, f"i{n}", "v") for n in range(8))) as callers:
            pass
        assert len(callers.results) == 8 and all(is_refused_in_time(reply) for reply in callers.results), callers.results
        time.sleep(1)
        redis.obey_redis()
        wait_until(service.is_ready, 5, "again within 5 s")
        wait_until(lambda: vote(service, "a", "v1")[0] == 200, 5, "and counts")
        assert redis.connects > connects


def test_row_05_a_late_reply_is_never_another_requests():
    with serving(OneWorker) as (redis, service):
        assert ups(service, "other") == 1
        connects = redis.connects
        redis.rule("view", after(0.3), times=1)  # heard in time: so the connection is not silent as a whole …
        redis.rule("vote", after(0.4), times=1)  # … and this one behind it comes too late
        late = []
        callers = [threading.Thread(target=lambda: call(service, "POST", "/v1/s/items/slow/views", visitor="v")),
                   threading.Thread(target=lambda: late.append(vote(service, "slow", "v")))]
        for caller in callers:
            caller.start()
            time.sleep(0.05)
        time.sleep(0.5)
        for n in range(20):
            reply = vote(service, f"own{n}", "v")
            assert reply[0] == 200 and json.loads(reply[2])["item"] == f"own{n}", reply
            assert json.loads(reply[2])["votes"] == {"up": 1}
        for caller in callers:
            caller.join()
        assert is_refused_in_time(late[0]) and redis.connects == connects
        assert ups(service, "slow") == 2  # the late one was counted, once


def test_row_06_noscript_is_not_seen():
    with serving() as (redis, service):
        for n in range(5):
            redis.client().script_flush()
            assert vote(service, "a", f"v{n}")[0] == 200
        assert ups(service, "a") == 6


def test_row_07_a_demoted_master_is_left_and_taken_again():
    """Sentinel itself waits for its own issue; what a worker does about READONLY and ROLE does not."""
    with serving() as (redis, service):
        assert vote(service, "a", "v0")[0] == 200
        service.client().call("GET", "/v1/s/rankings/top")
        connects = redis.connects
        redis.client().execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
        assert is_refused_in_time(vote(service, "a", "v1"))
        wait_until(lambda: "not a master" in service.log(), 5, "said so")
        assert is_refused_in_time(vote(service, "a", "v1"))
        redis.client().execute_command("REPLICAOF", "NO", "ONE")
        wait_until(lambda: vote(service, "a", "v1")[0] == 200, 5, "within seconds")
        assert redis.connects > connects and ups(service, "a") == 3


@pytest.mark.parametrize("error", ["OOM command not allowed", "MISCONF Redis is configured to save", "BUSY Redis is busy",
                                   "LOADING Redis is loading", "NOREPLICAS Not enough good replicas"])
def test_row_09_when_redis_cannot_write_writes_are_503_and_reads_go_on(error):
    with serving(refresh_interval="1s") as (redis, service):
        assert vote(service, "a", "v0")[0] == 200
        warm(service, ["/v1/s/rankings/top"])
        redis.rule("vote", answer(f"-{error}\r\n".encode()))
        assert is_refused_in_time(vote(service, "a", "v1"))
        assert call(service, "GET", "/v1/s/rankings/top")[0] == 200
        redis.obey_redis()
        assert vote(service, "a", "v2")[0] == 200 and ups(service, "a") == 3


def test_row_09_no_memory_in_the_middle_of_a_call_leaves_nothing_half_written():
    with serving() as (redis, service):
        assert vote(service, "a", "v0")[0] == 200
        redis.client().config_set("maxmemory", "1mb")
        for n in range(5):
            assert is_refused_in_time(vote(service, "a", f"w{n}"))
            assert is_refused_in_time(vote(service, f"b{n}", "w"))
        redis.client().config_set("maxmemory", "0")
        assert ups(service, "a") == 2 and ups(service, "b0") == 1


def test_row_10_paused_writes_meet_their_deadline_and_a_bounded_queue():
    with serving(redis_queue=64) as (redis, service):
        assert vote(service, "a", "v0")[0] == 200
        redis.client().execute_command("CLIENT", "PAUSE", "1500", "WRITE")
        sent = [send_vote(service, f"p{n}") for n in range(400)]
        replies = [read_status(client) for client in sent]
        assert {status for status, _ in replies} == {503}
        shed = [took for status, took in replies]
        assert max(shed) < TIMEOUT_MS / 1000 + 1
        wait_until(lambda: vote(service, "a", "v1")[0] == 200, 5, "goes on")


def test_row_11_over_the_queues_bound_the_rest_is_503_at_once_and_the_accepted_are_counted():
    with serving(redis_queue=64) as (redis, service):
        assert vote(service, "a", "v0")[0] == 200
        redis.rule("vote", after(0.1))  # ten batches a second: far less than is offered
        sent = [send_vote(service, f"o{n}") for n in range(600)]
        replies = [read_status(client) for client in sent]
        accepted, refused = ([took for status, took in replies if status == wanted] for wanted in (200, 503))
        assert len(accepted) + len(refused) == 600 and len(accepted) >= 64 and len(refused) > 100, (len(accepted), len(refused))
        assert max(accepted) < TIMEOUT_MS / 1000 + 0.8
        redis.obey_redis()
        total = ups(service, "a")
        assert min(vote(service, "a", "a witness")[3] for _ in range(10)) < 0.3, "full speed again, without a restart"
        assert len(accepted) + 2 <= total <= 602  # a refused one that had been sent may count, once


def test_row_12_a_repeated_vote_or_retraction_changes_nothing():
    with serving() as (_, service):
        for _ in range(3):
            assert json.loads(vote(service, "a", "v")[2])["votes"] == {"up": 1}
        for _ in range(3):
            reply = call(service, "DELETE", "/v1/s/items/a/votes", visitor="v")
            assert reply[0] == 200 and json.loads(reply[2])["votes"] == {"up": 0}


def test_row_13_votes_of_one_visitor_at_once_count_once():
    with serving() as (_, service):
        replies = [read_status(client) for client in [send_vote(service, "same") for _ in range(60)]]
        assert {status for status, _ in replies} == {200} and ups(service, "a") == 2


def test_row_14_a_view_sent_twice_counts_once():
    with serving() as (_, service):
        service.start_projector()
        for _ in range(5):
            assert call(service, "POST", "/v1/s/items/a/views", visitor="v")[0] == 202
        def views():
            return json.loads(call(service, "GET", "/v1/s/items/a")[2])["views"]
        wait_until(lambda: views() > 0, 10, "projected")
        time.sleep(0.2)
        assert views() == 1


def test_row_16_a_clock_that_steps_keeps_scores_finite_and_the_order():
    with serving(projection_interval="5ms") as (redis, service):
        service.start_projector()
        for n in range(6):
            for m in range(n + 1):
                assert vote(service, f"i{n}", f"v{m}")[0] == 200
        now = int(time.time())
        for step in (-3600, 3600, -86400 * 400, 0):
            redis.obey_redis()
            text = str(now + step).encode()
            redis.rule("time", answer(b"*2\r\n$%d\r\n%s\r\n$1\r\n0\r\n" % (len(text), text)))
            time.sleep(1.2)
            vote(service, "i0", f"at{step}")
            time.sleep(0.2)
            items = json.loads(call(service, "GET", "/v1/s/rankings/hot")[2])["items"]
            scores = [item["score"] for item in items]
            assert len(items) == 6 and all(isinstance(score, (int, float)) and math.isfinite(score) and score >= 0 for score in scores)
            assert scores == sorted(scores, reverse=True)
        redis.obey_redis()


@pytest.mark.parametrize("raw", [b"$2147483647\r\nx", b"*1000000000\r\n", b"*1\r\n" * 100, b"nonsense\r\n", b"$-7\r\n", b":12",
                                 b"\x00\xff\r\n"],
                         ids=["huge bulk", "huge array", "deep", "nonsense", "bad length", "unended", "binary"])
def test_row_20_a_reply_that_is_none_is_503_and_the_process_goes_on(raw):
    with serving() as (redis, service):
        redis.rule("vote", answer(raw))
        for n in range(3):
            assert is_refused_in_time(vote(service, "a", f"v{n}"))
        redis.obey_redis()
        wait_until(service.is_ready, 5, "ready again")
        wait_until(lambda: vote(service, "a", "v")[0] == 200, 5, "counts")


@pytest.mark.parametrize("raw", [b"*0\r\n", b"$0\r\n\r\n", b":1\r\n", b"*2\r\n$1\r\nx\r\n$0\r\n\r\n", b"+OK\r\n", b"$-1\r\n"])
def test_row_20_a_reply_of_another_shape_is_an_error_of_that_call_alone(raw):
    with serving() as (redis, service):
        redis.rule("vote", answer(raw), times=1)
        assert vote(service, "a", "v")[0] in (500, 503)
        assert vote(service, "a", "v")[0] == 200


def test_redis_away_reads_go_on_from_memory_dated_and_no_herd_comes_after():
    with serving(refresh_interval="1s") as (redis, service):
        service.start_projector()
        assert vote(service, "a", "v")[0] == 200
        time.sleep(0.3)
        paths = [f"/v1/s/rankings/{name}?limit={limit}" for name in ("hot", "top", "day") for limit in (5, 10)]
        warm(service, paths)
        time.sleep(1.2)
        redis.rule(None, reset)
        wait_until(lambda: not service.is_ready(), 5, "Redis is away")
        away_at = time.time()
        wait_until(lambda: time.time() - away_at > 2, 5, "bodies have grown old")
        for path in paths * 4:  # both workers, each with a body of its own
            status, _, text, took = call(service, "GET", path)
            assert status == 200 and took < 0.3, (path, status, took)
            assert seconds(json.loads(text)["computed_at"]) <= away_at, "dated by when it was computed"
        assert is_refused_in_time(vote(service, "a", "w"))
        ready = call(service, "GET", "/readyz")
        assert ready[0] == 503 and json.loads(ready[2])["detail"]
        redis.counts.clear()
        redis.obey_redis()
        connects = redis.connects
        wait_until(service.is_ready, 5, "ready within 5 s")
        stop = time.monotonic() + 1
        while time.monotonic() < stop:
            for path in paths:
                assert call(service, "GET", path)[0] == 200
        assert redis.connects - connects <= 3 * 2 + 2, "one for each process, one that was under way, and one of each worker that listens"
        tops = redis.counts.get("zrange", 0)
        assert tops <= 2 * len(paths) * 16 * 3, f"{tops}: a list is asked for once a second by each worker"
