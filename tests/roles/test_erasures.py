# SPDX-License-Identifier: MIT
"""Erasures and corrections whose scan is interrupted, many of them at once, and the limits of their records."""
import concurrent.futures
import contextlib
import json
import os
import signal
import threading
import time

import pytest
import redis as redis_client

from support import processes
from support.wait import wait_until


def redis_of(service):
    return redis_client.Redis(unix_socket_path=f"{service.folder}/d/redis.sock")


def cast(service, site, visitors, items):
    rows = [{"type": "vote", "item": f"i{n}", "visitor": visitor} for n in range(items) for visitor in visitors]
    for at in range(0, len(rows), 20000):
        assert service.lines(f"{site}/events", rows[at:at + 20000]).json["accepted"] == len(rows[at:at + 20000])


def votes_of(service, site):
    """All votes that are held, by the export."""
    lines = service.keyed("GET", f"{site}/export").body.decode().splitlines()
    assert json.loads(lines[-1])["type"] == "end", lines[-1]
    return sum('"type":"vote"' in line for line in lines)


def counted(service, site, items=300):
    """The same by this moment's counts: an export waits for the projections, which Redis refuses at its limit."""
    ids = [[f"i{n}" for n in range(at, at + 100)] for at in range(0, items, 100)]
    answers = [service.get(f"{site}/me?" + "&".join(f"id={one}" for one in some)).json["counts"] for some in ids]
    return sum(count["up"] for answer in answers for count in answer.values())


def corrections(service, site):
    return service.keyed("GET", f"{site}/corrections").json["corrections"]


def is_done(service, site):
    answer = service.keyed("GET", f"{site}/corrections")
    return answer.status == 200 and all(row["state"] == "done" for row in answer.json["corrections"])


def none_wait(service):
    """By the records, and by the metric, which is set when they are read."""
    try:
        left = redis_of(service).hlen("engaged:correcting")
    except redis_client.RedisError:
        return False
    answer = service.request("GET", "/metrics", port=service.ops_port)
    return not left and answer.status == 200 and b"engaged_corrections_running 0" in answer.body


@contextlib.contextmanager
def frozen_projector(service):
    pid = projector_of(service)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


ITEMS = 24000


def ask_to_take_back(service, site, way):
    if way == "correction":
        service.keyed("POST", f"{site}/corrections", {"visitor": "bad"})
    else:
        service.keyed("DELETE", f"{site}/me", Engaged_Visitor="bad")


@pytest.mark.parametrize("way", ["correction", "erasure"])
def test_a_redis_that_is_killed_within_a_scan_leaves_no_vote(own, way):
    """Each Redis has another seed: the cursor of the one before means other keys."""
    service, site = own(), "/v1/s.example"
    cast(service, site, ["bad"], ITEMS)
    cast(service, site, ["good"], 300)
    asked = threading.Thread(target=lambda: ask_to_take_back(service, site, way))  # answered within a second or so
    asked.start()
    taken = lambda: service.metrics()["engaged_corrected_votes_total"]  # noqa: E731
    wait_until(lambda: taken() > 0.1 * ITEMS, 60, pause=0.002)
    before = taken()
    os.kill(service.redis_pid(), signal.SIGKILL)
    assert before < ITEMS, "the scan had ended before Redis was killed"
    asked.join()
    wait_until(lambda: service.get("/readyz").status == 200, 30)
    wait_until(lambda: none_wait(service) and is_done(service, site), 60)
    assert votes_of(service, site) == 300
    if way == "correction":
        (row,) = corrections(service, site)
        assert row["state"] == "done" and row["scanned"] >= 0.9 * ITEMS and 0.9 * ITEMS <= row["retracted"] <= ITEMS


def test_a_projector_that_is_killed_within_a_scan_goes_on_where_it_was(own):
    """Who came during the scan is not taken for one who was there from its beginning."""
    service, site = own(), "/v1/s.example"
    cast(service, site, ["bad", "late"], ITEMS)
    late = threading.Thread(target=lambda: service.keyed("DELETE", f"{site}/me", Engaged_Visitor="late"))
    asked = threading.Thread(target=lambda: ask_to_take_back(service, site, "correction"))
    asked.start()
    wait_until(lambda: service.metrics()["engaged_corrected_votes_total"] > 0.2 * ITEMS, 60, pause=0.002)
    late.start()
    wait_until(lambda: redis_of(service).hlen("engaged:correcting") >= 5, 10, pause=0.002)
    wait_until(lambda: service.metrics()["engaged_corrected_votes_total"] > 0.5 * ITEMS, 60, pause=0.005)
    note = redis_of(service).hget("engaged:correcting", "pass")
    os.kill(projector_of(service), signal.SIGKILL)
    late.join()
    asked.join()
    wait_until(lambda: is_done(service, site) and none_wait(service), 60)
    assert votes_of(service, site) == 0
    (row,) = corrections(service, site)
    assert note and row["retracted"] >= 0.9 * ITEMS
    assert 0.9 * ITEMS <= row["scanned"] < 1.3 * ITEMS  # not all from the beginning
    assert redis_of(service).hlen("engaged:correcting") == 0


def erase(service, site, visitors):
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        statuses = list(pool.map(
            lambda visitor: service.keyed("DELETE", f"{site}/me", Engaged_Visitor=visitor).status, visitors))
    assert set(statuses) == {202}


def test_many_erasures_are_one_pass_and_keep_no_correction_waiting(own):
    service, site = own(), "/v1/s.example"
    cast(service, site, ["bad"], 5000)
    cast(service, site, [f"v{n}" for n in range(40)], 60)  # in buckets
    visitors = [f"v{n}" for n in range(40)] + [f"nobody{n}" for n in range(360)]
    scanned = service.metrics()["engaged_correction_scanned_total"]
    erase(service, site, visitors)
    began = time.monotonic()
    assert service.keyed("POST", f"{site}/corrections", {"visitor": "bad"}).status == 202
    wait_until(lambda: is_done(service, site), 20)
    took = time.monotonic() - began
    wait_until(lambda: none_wait(service), 20)
    assert votes_of(service, site) == 0
    scanned = service.metrics()["engaged_correction_scanned_total"] - scanned
    assert scanned < 30 * 5000, scanned  # 401 scans would be two millions
    assert took < 15


def test_many_who_voted_on_one_item_are_found_in_all_of_its_buckets(own):
    """3,000 votes are more buckets than are read at once, and 800 of their visitors too many to ask for one by one."""
    service, site = own(hang_timeout="0"), "/v1/s.example"
    rows = [{"type": "vote", "item": "i0", "visitor": f"v{n}"} for n in range(3000)]
    rows += [{"type": "vote", "item": f"i{n % 300}", "visitor": f"w{n}"} for n in range(1, 4000)]
    assert service.lines(f"{site}/events?wait=true", rows).json["accepted"] == 6999
    with frozen_projector(service):  # so that all are in one pass
        erase(service, site, [f"v{n}" for n in range(0, 3000, 4)] + [f"w{n}" for n in range(1, 51)])
    wait_until(lambda: none_wait(service), 30)
    assert votes_of(service, site) == 6999 - 750 - 50
    held = service.get(f"{site}/me?id=i0").json["counts"]["i0"]["up"]
    assert held == 3000 - 750 + 13


def test_two_corrections_of_one_visitor_in_one_pass_take_both_spans(own):
    service, site = own(hang_timeout="0"), "/v1/s.example"
    t0 = int(time.time()) - 1000
    rows = [{"type": "vote", "item": f"i{n}", "visitor": "v", "time": t0 + n} for n in range(300)]
    assert service.lines(f"{site}/events", rows).json["accepted"] == 300
    with frozen_projector(service):
        for begin, end in ((0, 100), (150, 250), (240, 260)):
            body = {"visitor": "v", "from": t0 + begin, "to": t0 + end}
            assert service.keyed("POST", f"{site}/corrections", body).status == 202
    wait_until(lambda: is_done(service, site), 20)
    assert votes_of(service, site) == 90
    assert sum(row["retracted"] for row in corrections(service, site)) == 210


def test_an_items_correction_goes_before_a_long_pass_ends_and_sites_take_turns(own):
    service, a, b = own(corrections_waiting="200"), "/v1/a.example", "/v1/b.example"
    cast(service, a, ["bad"], ITEMS)
    cast(service, b, [f"v{n}" for n in range(50)], 2)
    bodies = [{"item": f"i{n}"} for n in range(100)]
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda body: service.keyed("POST", f"{a}/corrections", body).status, bodies))
    assert answers == [202] * 100
    assert service.keyed("POST", f"{a}/corrections", {"visitor": "bad"}).status == 202
    assert service.keyed("POST", f"{b}/corrections", {"item": "i0"}).status == 202
    wait_until(lambda: is_done(service, b), 10)
    assert corrections(service, b)[0]["retracted"] == 50
    wait_until(lambda: is_done(service, a), 60)
    assert votes_of(service, a) == 0 and votes_of(service, b) == 50


def projector_of(service):
    (pid,) = processes.children(service.process.pid, "projector")
    return pid


def test_an_erasure_forgets_both_histories_of_views(own):
    service, site = own(), "/v1/s.example"
    histories = lambda letter: list(redis_of(service).scan_iter("*}" + letter + 16 * "?", count=1000))  # noqa: E731
    for opt_out in ("0", "1"):
        viewed = service.keyed("POST", f"{site}/items/i{opt_out}/views", Engaged_Visitor="v", Sec_GPC=opt_out)
        assert viewed.status == 202 and viewed.json["counted"]
    assert len(histories("h")) == len(histories("a")) == 1
    assert service.keyed("DELETE", f"{site}/me", Engaged_Visitor="v").status == 202
    wait_until(lambda: none_wait(service) and not histories("h") + histories("a"), 20)


def test_as_many_corrections_of_a_site_wait_as_may_and_the_next_is_429(own):
    service, a, b = own(corrections_waiting=3, hang_timeout="0"), "/v1/a.example", "/v1/b.example"
    with frozen_projector(service):
        post = lambda site: service.keyed("POST", f"{site}/corrections", {"item": "a"})  # noqa: E731
        assert [post(a).status for _ in range(3)] == [202] * 3
        answer = post(a)
        assert answer.status == 429 and answer.json["code"] == "too_many_requests"
        assert int(answer.headers["retry-after"]) >= 1
        assert post(b).status == 202 and len(corrections(service, a)) == 3
        assert service.keyed("DELETE", f"{a}/me", Engaged_Visitor="v").status == 202  # a reader's own counts for its network
    wait_until(lambda: is_done(service, a) and is_done(service, b) and none_wait(service), 20)
    assert post(a).status == 202
    wait_until(lambda: is_done(service, a) and none_wait(service), 20)
    assert redis_of(service).hgetall("engaged:correcting") == {}


def old_record(number, days):
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - days * 86400))
    identifier = f"{number:032x}"
    return identifier, json.dumps({"correction": identifier, "kind": "item", "state": "done", "site": "s.example",
                                   "item": "a", "to": at, "requested_at": at, "done_at": at, "scanned": 1,
                                   "retracted": 0})


def test_records_that_are_old_or_too_many_go_and_the_list_never_shows_them(own):
    """What version 2 left there: it kept all of them for ever."""
    service, site = own(corrections_kept=1000, corrections_kept_for="90d"), "/v1/s.example"
    rows = dict(old_record(n, 1 + n / 10000) for n in range(1500))
    rows.update(old_record(n, 89.9) for n in range(1500, 1503))
    rows.update(old_record(n, 90.1) for n in range(1503, 1600))
    redis_of(service).hset("engaged:corrected", mapping=rows)
    listed = corrections(service, site)
    assert {row["correction"] for row in listed} == {f"{n:032x}" for n in range(1000)}
    assert service.keyed("POST", f"{site}/corrections", {"item": "a"}).status == 202
    wait_until(lambda: redis_of(service).hlen("engaged:corrected") == 1000, 20)
    listed = corrections(service, site)
    assert len(listed) == 1000 and listed[-1]["correction"] not in rows
    other = own(corrections_kept_for="1h")
    redis_of(other).hset("engaged:corrected", mapping=dict([old_record(1, 0.04), old_record(2, 0.05)]))
    assert [row["correction"] for row in corrections(other, site)] == [f"{1:032x}"]


def test_what_version_2_left_waiting_is_carried_out(own):
    """Its `to` was the last moment of the span, its cursor of a Redis that may be another."""
    service, site = own(), "/v1/s.example"
    t0 = int(time.time()) - 100
    rows = [{"type": "vote", "item": "a", "visitor": f"v{n}", "time": t0 + n / 10} for n in range(40)]
    assert service.lines(f"{site}/events", rows).json["accepted"] == 40
    stamp = lambda s: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(s)) + ".500Z"  # noqa: E731
    record = {"correction": "ab" * 16, "kind": "item", "state": "running", "site": "s.example", "item": "a",
              "from": stamp(t0 + 1), "to": stamp(t0 + 2), "requested_at": stamp(t0), "scanned": 0, "retracted": 0,
              "visitor": "0" * 16, "cursor": "7"}
    redis_of(service).hset("engaged:correcting", "ab" * 16, json.dumps(record))
    wait_until(lambda: corrections(service, site) and is_done(service, site), 20)
    assert corrections(service, site)[0]["retracted"] == 20  # seconds 1 and 2, whole
    assert votes_of(service, site) == 20


def test_an_erasure_that_version_2_left_within_its_scan_is_done_from_the_beginning(own):
    service, site = own(hang_timeout="0"), "/v1/s.example"
    cast(service, site, ["v", "w"], 2000)
    with frozen_projector(service):
        assert service.keyed("DELETE", f"{site}/me", Engaged_Visitor="v").status == 202
        redis = redis_of(service)
        records = {key: value for key, value in redis.hgetall("engaged:correcting").items() if len(key) == 32}
        ((identifier, text),) = records.items()
        record = json.loads(text)
        del record["format"]
        record.update(cursor="1024", scanned=1000, retracted=1000, to=record["requested_at"])
        redis.hset("engaged:correcting", identifier, json.dumps(record))
    wait_until(lambda: redis_of(service).hlen("engaged:correcting") == 0, 20)
    assert votes_of(service, site) == 2000


@pytest.mark.parametrize("inside_or_buckets", ["inside", "buckets"])
def test_an_erasure_is_taken_and_carried_out_when_redis_is_full(own, inside_or_buckets):
    service, site = own(), "/v1/s.example"
    cast(service, site, ["v", "w"], 300)
    if inside_or_buckets == "buckets":
        cast(service, site, [f"x{n}" for n in range(60)], 3)
    redis = redis_of(service)
    redis.config_set("maxmemory", "1mb")
    assert service.keyed("POST", f"{site}/items/a/votes", Engaged_Visitor="new").status == 503
    assert service.keyed("DELETE", f"{site}/me", Engaged_Visitor="v").status == 202
    wait_until(lambda: none_wait(service) and redis.hlen("engaged:correcting") == 0, 20)
    others = 180 if inside_or_buckets == "buckets" else 0
    assert counted(service, site) == 300 + others
    assert service.keyed("DELETE", f"{site}/items/i9/votes", Engaged_Visitor="w").json["votes"] == {"up": 0}
    assert service.keyed("POST", f"{site}/corrections", {"item": "i0"}).status == 202
    wait_until(lambda: is_done(service, site), 20)
    redis.config_set("maxmemory", "0")
    assert counted(service, site) == 300 + others - 1 - 1 - others // 3
