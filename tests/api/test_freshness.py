# SPDX-License-Identifier: MIT
"""How old a body may be when it is sent, and what its ETag says."""
import gzip
import os
import signal
import time

import pytest
import redis

from support.beside import Beside
from support.scripted_redis import ScriptedRedis, after
from support.service import Service
from support.wait import wait_until

SITE = "/v1/s"
EXACT = {"refresh_interval": "1s", "projection_interval": "5ms", "neighbour_interval": "0"}


@pytest.fixture(scope="module")
def fresh():
    running = Service(**EXACT)
    rows = [{"item": f"i{n}", "title": f"Title {n}", "url": f"https://example.org/{n}"} for n in range(12)]
    assert running.lines(f"{SITE}/items", rows).json["accepted"] == 12
    events = [{"type": "vote", "item": f"i{n}", "visitor": f"v{k}"} for n in range(12) for k in range(14 - n)]
    assert running.lines(f"{SITE}/events?wait=true", events).json["rejected"] == []
    yield running
    running.stop()


def vote(service, item, visitor, kind="vote", **fields):
    row = {"type": kind, "item": item, "visitor": visitor, **fields}
    assert service.lines(f"{SITE}/events?wait=true", [row]).json["rejected"] == []


def ups(answer):
    assert answer.status == 200
    return answer.json["votes"]["up"]


def timed(service, path, **headers):
    began = time.monotonic()
    answer = service.get(path, **headers)
    return answer, time.monotonic() - began


def is_late(took):
    """The refresh took longer than anybody waits for it: on a machine this busy the old body is right."""
    return took > 0.18


# ---- Age

@pytest.mark.contract("Shared reads", "A body whose last check is older than stale_limit")
def test_an_article_that_is_seldom_read_shows_what_was_there_two_seconds_ago(fresh):
    path = f"{SITE}/items/i1"
    votes = ups(fresh.get(path))
    for n in range(4):
        answer, took = timed(fresh, path)
        assert ups(answer) == votes + n or is_late(took), (n, votes, answer.json)
        vote(fresh, "i1", f"seldom{n}")
        time.sleep(3)


def test_between_refresh_interval_and_stale_limit_the_old_body_is_sent_at_once(fresh):
    """Tried with a frozen Redis: a reader who does not wait gets the answer at once."""
    path = f"{SITE}/items/i2"
    pid = fresh.redis_pid()
    fresh.get(path)
    time.sleep(1.3)
    os.kill(pid, signal.SIGSTOP)
    try:
        answer, took = timed(fresh, path)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert answer.status == 200 and took < 0.15, took


@pytest.mark.contract("Shared reads", "A body whose last check is older than stale_limit",
                      "It does not wait while Redis is known to be away")
def test_a_slow_redis_is_waited_for_250_ms_by_one_and_then_by_nobody(fresh):
    path, other = f"{SITE}/items/i3", f"{SITE}/items/i4"
    pid = fresh.redis_pid()
    first = ups(fresh.get(path))
    fresh.get(other)
    time.sleep(2.3)
    os.kill(pid, signal.SIGSTOP)
    try:
        answer, took = timed(fresh, path)
        assert ups(answer) == first and 0.1 < took < 0.6, took
        for again in (path, other):
            answer, took = timed(fresh, again)
            assert answer.status == 200 and took < 0.1, (again, took)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: fresh.get("/readyz").status == 200, 10, "ready again")


@pytest.mark.contract("Shared reads", "It does not wait while Redis is known to be away")
def test_nobody_waits_for_a_redis_that_is_away():
    service = Service(**EXACT)
    try:
        for n in range(6):
            assert service.get(f"{SITE}/items/a{n}").status == 200
        time.sleep(2.3)
        pid = service.redis_pid()
        os.kill(pid, signal.SIGSTOP)  # so that it is not started again: away as long as we like
        wait_until(lambda: service.get("/readyz").status == 503, 10, "Redis is known to be away")
        for n in range(6):
            answer, took = timed(service, f"{SITE}/items/a{n}")
            assert answer.status == 200 and took < 0.15, (n, took)
            time.sleep(0.3)
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: service.get("/readyz").status == 200, 10, "ready again")
    finally:
        service.stop()


@pytest.mark.parametrize("limit, refreshed", [("1h", False), ("0", True)])
def test_stale_limit_is_a_setting(limit, refreshed):
    """Never less than twice refresh_interval: with 0 an age of 1.5 intervals is still fine."""
    service = Service(**EXACT, stale_limit=limit)
    try:
        path = f"{SITE}/items/a"
        for wait, wanted in ((1.4, 0), (2.6, 1 if refreshed else 0)):
            fresh_path = f"{path}-{wait}"
            assert ups(service.get(fresh_path)) == 0
            vote(service, f"a-{wait}", "v")
            time.sleep(wait)
            answer, took = timed(service, fresh_path)
            assert ups(answer) == wanted or is_late(took), wait
    finally:
        service.stop()


def test_with_refresh_interval_0_a_read_sees_what_was_acknowledged_before_it():
    """Also while a refresh is under way that began before: the first GET's reply is from before the vote, and comes late."""
    keys = {"secret": "11" * 32, "hash_key": "22" * 32}
    with ScriptedRedis() as scripted:
        slow = Service(**keys, redis=f"redis://127.0.0.1:{scripted.port}")
        direct = Service(**keys, redis=f"redis://127.0.0.1:{scripted.redis.port}")
        try:
            path = f"{SITE}/items/a"
            assert direct.post(f"{SITE}/items/a/votes").status == 200
            assert ups(slow.get(path)) == 1

            def late(client, ask):
                reply = ask()
                time.sleep(0.6)
                client.sendall(reply)
            scripted.rule("mget", late, times=1)  # record, card and sums of an item
            with Beside(lambda: ups(slow.get(path))) as early:
                time.sleep(0.2)
                assert direct.post(f"{SITE}/items/a/votes").status == 200
                assert ups(slow.get(path)) == 2
            assert early.results == [1]
        finally:
            for service in (direct, slow):
                service.stop()


# ---- ETag

def test_the_gzip_form_says_too_when_it_was_looked_at(fresh):
    def compressed():
        return fresh.get(f"{SITE}/rankings/hot?limit=6", Accept_Encoding="gzip").headers
    first = compressed()
    assert first["content-encoding"] == "gzip"
    wait_until(lambda: compressed()["engaged-checked-at"] > first["engaged-checked-at"], 15, "a later check")
    assert compressed()["etag"] == first["etag"]


@pytest.mark.contract("Shared reads", "The ETag is made of order, counts and cards")
def test_the_etag_is_the_same_on_all_machines_over_one_redis_and_over_equal_data():
    keys = {"hash_key": "22" * 32, "secret": "11" * 32, "unknown_items_kept": "0"}  # of long ago, without cards
    one, apart = Service(**EXACT, **keys), Service(**EXACT, **keys)
    other = Service(**EXACT, **keys, redis=f"unix:{one.folder}/d/redis.sock")
    try:
        for service in (one, apart):
            rows = [{"type": kind, "item": f"i{n}", "visitor": f"v{k}", "time": 1_750_000_000 + n} for kind in ("vote", "view")
                    for n in range(6) for k in range(n + 1)]
            assert service.lines(f"{SITE}/events?wait=true", rows).json["rejected"] == []
        for path in (f"{SITE}/rankings/hot", f"{SITE}/rankings/top?limit=3", f"{SITE}/items/i2/related"):
            answers = [service.get(path) for service in (one, other, apart) if not time.sleep(0.01)]
            assert len({answer.json["computed_at"] for answer in answers}) > 1 and len(answers[0].json["items"]) >= 3
            tags = {answer.headers["etag"] for answer in answers}
            assert len(tags) == 1 and answers[0].headers["etag"].startswith('W/"'), (path, tags)
    finally:
        for service in (other, one, apart):
            service.stop()


def later(service, path, is_right):
    """The answer once it has been refreshed."""
    def looked():
        time.sleep(0.3)
        answer = service.get(path)
        return answer if is_right(answer) else None
    return wait_until(looked, 15, f"{path} does not change")


@pytest.mark.contract("Shared reads", "A refresh that changes no order")
def test_a_refresh_that_changes_nothing_keeps_body_and_etag_and_says_when_it_looked(fresh):
    path = f"{SITE}/rankings/hot?limit=7"
    first = fresh.get(path)
    second = later(fresh, path, lambda answer: answer.headers["engaged-checked-at"] > first.headers["engaged-checked-at"])
    assert (second.headers["etag"], second.body) == (first.headers["etag"], first.body)
    assert second.json["computed_at"] == first.json["computed_at"] <= first.headers["engaged-checked-at"]
    unchanged = fresh.get(path, If_None_Match=first.headers["etag"])
    assert unchanged.status == 304 and unchanged.headers["engaged-checked-at"] >= second.headers["engaged-checked-at"]


@pytest.mark.contract("Shared reads", "The ETag is made of order, counts and cards")
def test_the_etag_changes_with_a_count_an_order_and_a_card(fresh):
    path, seen = f"{SITE}/rankings/top?limit=5", []

    def changed():
        seen.append(later(fresh, path, lambda answer: answer.headers["etag"] not in seen).headers["etag"])
    changed()
    vote(fresh, "i0", "one more")  # a count, not the order
    changed()
    for n in range(3):
        vote(fresh, "i4", f"lift{n}")  # the order too
    changed()
    assert fresh.keyed("PUT", f"{SITE}/items/i3", {"title": "Another title"}).status == 200
    changed()
    vote(fresh, "i3", "x")
    vote(fresh, "i3", "x", "unvote")
    time.sleep(1.2)
    later(fresh, path, lambda answer: answer.headers["etag"] == seen[-1])  # all is as it was


def test_the_etag_changes_with_a_reason(fresh):
    path = f"{SITE}/rankings/top?limit=1"
    before = fresh.get(path)
    item = before.json["items"][0]["item"]
    assert fresh.keyed("PUT", f"{SITE}/items/{item}/editorial", {"pin": 1}).status == 200
    pinned = later(fresh, path, lambda answer: answer.json["items"][0]["reason"] == "pinned")
    assert fresh.keyed("DELETE", f"{SITE}/items/{item}/editorial").status == 204
    assert pinned.json["items"][0]["item"] == item and pinned.headers["etag"] != before.headers["etag"]


def test_a_score_alone_makes_a_new_body_but_no_new_etag(fresh):
    path = f"{SITE}/rankings/hot?limit=6"

    def entry(answer):
        return next(one for one in answer.json["items"] if one["item"] == "i0")
    votes = entry(fresh.get(path))["votes"]["up"]
    vote(fresh, "i0", "yesterday's", time=time.time() - 3 * 3600)
    first = later(fresh, path, lambda answer: entry(answer)["votes"]["up"] == votes + 1)
    time.sleep(1.2)
    first = later(fresh, path, lambda answer: answer.headers["engaged-checked-at"] > first.headers["engaged-checked-at"])
    vote(fresh, "i0", "today's")
    vote(fresh, "i0", "yesterday's", "unvote")
    score = entry(first)["score"]
    second = later(fresh, path, lambda answer: score + 0.4 < entry(answer)["score"] < score + 0.6)
    assert entry(second)["votes"]["up"] == votes + 1 and second.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("form, status", [("{}", 304), ("{strong}", 304), ('"x", {}', 304), ('W/"x",{strong} , "y"', 304), ("*", 304),
                                          ('"x"', 200), ('W/"x"', 200), ("", 200), ("{half}", 200), ("{bare}", 200)])
@pytest.mark.contract("Shared reads", "If-None-Match that names it")
def test_if_none_match_compares_weakly(fresh, form, status):
    tag = fresh.get(f"{SITE}/rankings/day").headers["etag"]
    text = form.format(tag, strong=tag[2:], half=tag[:-2] + '"', bare=tag[3:-1])
    answer = fresh.get(f"{SITE}/rankings/day", If_None_Match=text)
    assert answer.status == status and (answer.body == b"") is (status == 304)
    packed = fresh.get(f"{SITE}/rankings/day", If_None_Match=text, Accept_Encoding="gzip")
    assert packed.status == status and packed.headers["etag"] == tag


# ---- gzip

@pytest.mark.parametrize("accepts, packed", [
    ("gzip", True), ("GZip", True), ("x-gzip", True), ("deflate, gzip;q=0.5", True), ("gzip;q=0.001", True), ("*", True),
    ("gzip;q=1, *;q=0", True), ("gzip; q=0", False), ("gzip;q=0", False), ("gzip;q=0.0", False), ("gzip;Q=0.000", False),
    ("gzip;q=0, *", False), ("*;q=0", False), ("identity", False), ("br", False), ("gzipped", False), ("", False)])
@pytest.mark.contract("Shared reads", "The body is gzip when that is accepted", "Vary is Accept-Encoding")
def test_gzip_is_sent_when_accepted_and_every_answer_varies_by_that(fresh, accepts, packed):
    path = f"{SITE}/rankings/week"
    plain = fresh.get(path)
    answer = fresh.get(path, Accept_Encoding=accepts)
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(answer.body) if packed else answer.body) == plain.body
    unchanged = fresh.get(path, Accept_Encoding=accepts, If_None_Match=plain.headers["etag"])
    assert unchanged.status == 304
    for one in (plain, answer, unchanged):
        assert one.headers["vary"] == "Accept-Encoding"


# ---- HEAD of an export

def test_head_of_an_export_reads_nothing(fresh):
    store = redis.Redis(unix_socket_path=os.path.join(fresh.folder, "d", "redis.sock"))

    def scans():
        time.sleep(0.3)  # a walk that nobody waits for would have begun
        return store.info("commandstats").get("cmdstat_scan", {"calls": 0})["calls"]
    before = scans()
    head = fresh.keyed("HEAD", f"{SITE}/export")
    assert head.status == 200 and head.body == b"" and head.headers["content-type"] == "application/x-ndjson"
    assert fresh.request("HEAD", f"{SITE}/export").status == 401
    assert scans() == before
    assert fresh.keyed("GET", f"{SITE}/export").body.count(b"\n") > 12
    assert scans() > before
