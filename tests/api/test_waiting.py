# SPDX-License-Identifier: MIT
"""`?wait=true`: the projectors start at once, and a service that is told to end meanwhile ends cleanly."""
import contextlib
import http.client
import os
import signal
import statistics
import threading
import time

import pytest
import redis
from support.beside import Beside
from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

SITE = "/v1/paper.example"


@pytest.fixture
def slow():
    """Nothing is projected by itself for a second, no co-views for an hour."""
    running = Service(projection_interval="1s", neighbour_interval="1h", drain_timeout="1s")
    yield running
    if running.process.poll() is None:
        running.stop()


def view(number):
    return {"type": "view", "item": f"i{number % 3}", "visitor": f"v{number}"}


@pytest.mark.contract("POST /v1/{site}/events", "With ?wait=true the answer comes")
def test_it_is_projected_at_once_whatever_the_intervals(slow, before=0):
    took = []
    for number in range(8):
        began = time.monotonic()
        assert slow.lines(f"{SITE}/events?wait=true", [view(before + number)]).json["accepted"] == 1
        took.append(time.monotonic() - began)
        assert sum(slow.get(f"{SITE}/items/i{at}").json["views"] for at in range(3)) == before + number + 1
    assert statistics.median(took) < 0.4, took


def test_related_is_there_when_it_has_answered(slow):
    events = [{"type": "view", "item": item, "visitor": f"v{number}"} for number in range(5) for item in ("a", "b")]
    assert slow.lines(f"{SITE}/events?wait=true", events).json["accepted"] == 10
    rows = slow.get(f"{SITE}/items/a/related").json["items"]
    assert [(row["item"], row["reason"]) for row in rows] == [("b", "related")]


@pytest.mark.parametrize("first, second", [("sums", "neighbours"), ("neighbours", "sums")])
def test_both_projections_must_have_passed(slow, first, second):
    """The projector is frozen, and the test writes its offsets, one projection after the other."""
    store = redis.Redis(unix_socket_path=os.path.join(slow.folder, "d", "redis.sock"))
    assert slow.lines(f"{SITE}/events?wait=true", [view(0)]).json["accepted"] == 1
    tags = [key[:-3] for key in store.keys("*}log")]
    (lives,) = {position.split(b" ")[1] for tag in tags if (position := store.hget(tag + b"pos", "sums"))}
    (projector,) = slow.children("projector")
    os.kill(projector, signal.SIGSTOP)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(slow.lines(f"{SITE}/events?wait=true", [view(1)]).status))
    try:
        thread.start()
        wait_until(lambda: any(store.xlen(tag + b"log") for tag in tags))
        for projection in (first, second):
            thread.join(0.3)
            assert thread.is_alive()
            for tag in tags:
                for identity, _ in store.xrevrange(tag + b"log", count=1):
                    store.hset(tag + b"pos", projection, identity + b" " + lives)
        thread.join(5)
        assert answers == [200]
    finally:
        os.kill(projector, signal.SIGCONT)


def test_a_projector_that_was_started_again_is_woken_too(slow):
    (projector,) = slow.children("projector")
    os.kill(projector, signal.SIGKILL)
    wait_until(lambda: slow.children("projector") not in ([], [projector]))
    began = time.monotonic()
    assert slow.lines(f"{SITE}/events?wait=true", [view(0)]).json["accepted"] == 1
    assert time.monotonic() - began < 5


def test_after_redis_was_killed_it_is_woken_again(slow):
    store = redis.Redis(unix_socket_path=os.path.join(slow.folder, "d", "redis.sock"))
    os.kill(store.info("server")["process_id"], signal.SIGKILL)
    wait_until(lambda: slow.lines(f"{SITE}/events?wait=true", [view(0)]).json.get("accepted") == 1, 20)
    wait_until(lambda: store.pubsub_numsub("engaged:wake")[0][1] == 1)
    test_it_is_projected_at_once_whatever_the_intervals(slow, 1)


def test_it_listens_where_the_master_is(slow):
    """When the other connection was made again, so is this one."""
    store = redis.Redis(unix_socket_path=os.path.join(slow.folder, "d", "redis.sock"))

    def listener():
        return [client["id"] for client in store.client_list(_type="pubsub")]

    (before,) = wait_until(listener)
    time.sleep(2.5)
    assert listener() == [before]
    store.client_kill_filter(_type="normal")
    wait_until(lambda: store.pubsub_numsub("engaged:wake")[0][1] == 1 and listener() != [before])


def test_a_user_of_redis_who_may_not_listen_waits_for_the_interval(own):
    """The log says so once; the wait ends all the same, and with a password too."""
    with RedisServer() as server:
        server.client().execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "resetchannels")
        service = own(redis=f"redis://app:secret@127.0.0.1:{server.port}", secret="11" * 32, hash_key="22" * 32,
                      projection_interval="100ms", neighbour_interval="1h")
        for number in range(3):
            assert service.lines(f"{SITE}/events?wait=true", [view(number)]).json["accepted"] == 1
        assert service.log().count("who waits for the projections") == 1
        server.client().execute_command("ACL", "SETUSER", "app", "allchannels")
        server.client().client_kill_filter(_type="normal")
        wait_until(lambda: server.client().pubsub_numsub("engaged:wake")[0][1] == 1, 20)
        service.stop()


def test_many_wait_at_once(slow):
    with Beside(*(lambda number=number: slow.lines(f"{SITE}/events?wait=true", [view(number)]).status for number in range(40))) as all_wait:
        pass
    assert all_wait.results == [200] * 40
    assert sum(slow.get(f"{SITE}/items/i{at}").json["views"] for at in range(3)) == 40


def test_a_service_that_is_ended_while_somebody_waits_ends_cleanly(slow):
    """The projector is frozen, so the calls wait; their connections are cut when the drain is over."""
    (projector,) = slow.children("projector")
    os.kill(projector, signal.SIGSTOP)

    def post(number):
        with contextlib.suppress(OSError, http.client.HTTPException):
            slow.lines(f"{SITE}/events?wait=true", [view(number)])

    with Beside(*(lambda number=number: post(number) for number in range(5))):
        time.sleep(0.3)
        threading.Timer(1.4, os.kill, (projector, signal.SIGCONT)).start()
        slow.stop()


# ---- When Redis does not answer

@pytest.fixture
def frozen():
    """With a projector that may be frozen; Redis is thawed at the end."""
    running = Service(hang_timeout="0", redis_timeout="500ms")
    yield running
    for pid in (running.redis_pid(), *running.children("projector")):
        os.kill(pid, signal.SIGCONT)
    wait_until(running.is_ready, 20, running.log)
    running.stop()


@pytest.mark.parametrize("path, row", [("events", view(0)), ("import", {"type": "item", "item": "a", "title": "t"})])
def test_what_was_not_taken_is_not_called_accepted(frozen, path, row):
    os.kill(frozen.redis_pid(), signal.SIGSTOP)
    answer = frozen.lines(f"{SITE}/{path}?wait=true", [row, {**row, "item": "-"}])
    assert (answer.status, answer.json["accepted"]) == (200, 0), answer.body
    assert [line["code"] for line in answer.json["rejected"]] == ["unavailable", "bad_item"]


@pytest.mark.parametrize("rejected, words", [(0, "the lines are accepted, but"), (1, "some of the lines are accepted, but")])
def test_a_wait_that_fails_says_what_was_accepted(frozen, rejected, words):
    os.kill(frozen.children("projector")[0], signal.SIGSTOP)
    rows = [view(0)] + [{**view(1), "item": "-"}] * rejected
    with Beside(lambda: frozen.lines(f"{SITE}/events?wait=true", rows)) as waiting:
        wait_until(lambda: frozen.metrics()['engaged_views_total{result="counted"}'] == 1, 20, frozen.log)
        os.kill(frozen.redis_pid(), signal.SIGSTOP)
    (answer,) = waiting.results
    assert answer.status == 503 and answer.json["detail"].startswith(words), answer.body
