# SPDX-License-Identifier: MIT
"""Export and import: a round trip is exact, into an empty store and over the same data."""
import json
import os
import signal
import time

import pytest
import redis

from support.contract import load
from support.service import Service
from support.wait import wait_until

KEY = "5a" * 32


@pytest.fixture
def pair():
    """Two services with stores of their own and the same hash key."""
    both = [Service(kinds="up down", hash_key=KEY, secret="6b" * 32) for _ in range(2)]
    yield both
    for one in both:
        one.stop()


def export(service, site):
    answer = service.keyed("GET", f"{site}/export")
    assert answer.status == 200 and answer.headers["content-type"] == "application/x-ndjson"
    lines = answer.body.decode().splitlines()
    end = json.loads(lines.pop())
    assert end["type"] == "end" and end["items"] == sum('"type":"item"' in line for line in lines)
    return sorted(lines)


def fill(service, site):
    now = int(time.time())
    cards = [{"item": f"i{n}", "title": f"Title \"{n}\"", "url": f"/{n}", "categories": ["news", f"c{n % 3}"],
              "published_at": now - n, "base": {"views": 1000 + n, "votes": {"down": n}}} for n in range(30)]
    assert service.lines(f"{site}/items", cards).json["accepted"] == 30
    events = [{"type": "vote", "item": "i0", "visitor": f"v{n}", "time": now - 5 * n,
               "kind": "down" if n % 5 == 0 else "up"} for n in range(900)]
    events += [{"type": "view", "item": f"i{n % 33}", "visitor": f"v{n % 70}", "time": now - 100 * n} for n in range(600)]
    assert service.lines(f"{site}/events?wait=true", events).json["accepted"] == 1500
    assert service.keyed("PUT", f"{site}/items/i7/editorial", {"pin": 2, "note": "the desk"}).status == 200


def take(service, site, lines):
    answer = service.keyed("POST", f"{site}/import?wait=true", "\n".join(lines).encode(),
                           Content_Type="application/x-ndjson")
    assert answer.status == 200 and answer.json == {"accepted": len(lines), "rejected": []}, answer.body[:500]


def without_clock(answer):
    """Scores fall as time passes: one order and the same counts, scores nearly the same."""
    rows = answer.json["items"]
    return [{key: value for key, value in row.items() if key != "score"} for row in rows]


def test_round_trip_into_an_empty_store(pair):
    old, new = pair
    site = "/v1/paper.example"
    fill(old, site)
    fill(old, "/v1/other.example")
    lines = export(old, site)
    take(new, site, lines)
    assert export(new, site) == lines
    for path in ("rankings/hot?limit=40", "rankings/top?limit=40", "rankings/week?category=c1&limit=40"):
        assert without_clock(new.get(f"{site}/{path}")) == without_clock(old.get(f"{site}/{path}"))
    assert new.get(f"{site}/items/i0").json == old.get(f"{site}/items/i0").json
    assert new.get("/v1/other.example/items/i0").json["views"] == 0
    # who has voted still has
    again = new.keyed("POST", f"{site}/items/i0/votes", {"kind": "up"}, Engaged_Visitor="v1").json
    assert again["votes"] == old.get(f"{site}/me?id=i0").json["counts"]["i0"]


def test_taken_twice_is_taken_once(pair):
    one = pair[0]
    site = "/v1/paper.example"
    fill(one, site)
    lines = export(one, site)
    take(one, site, lines)
    take(one, site, lines)
    assert export(one, site) == lines


def test_lines_that_are_not_right(service, site):
    lines = ['{"type":"item","item":"a","view_sums":"zz"}', '{"type":"item","item":"a","visitor_sketch":"00ff"}',
             '{"type":"vote","item":"a","voter":"12","kind":"up","time":1}', '{"type":"what"}', 'nothing', '{}',
             '{"type":"vote","item":"a","voter":"0000000000000012","kind":"sideways","time":1}',
             '{"type":"editorial","item":"a","pin":0}', '{"type":"item","item":"b","view_sums":"07"}',
             '{"type":"item","item":"good","title":"Good"}']
    answer = service.keyed("POST", f"{site}/import", "\n".join(lines).encode(), Content_Type="application/x-ndjson")
    assert answer.json["accepted"] == 1
    assert [row["line"] for row in answer.json["rejected"]] == list(range(1, 10))
    assert service.get(f"{site}/items/good").json["title"] == "Good"
    assert "title" not in service.get(f"{site}/items/a").json


def voters_in_buckets(service, site):
    """Votes on one item until its voters stand in four buckets; who has voted."""
    store = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))
    voters = []

    def vote_again():
        rows = [{"type": "vote", "item": "big", "visitor": f"b{len(voters) + n}"} for n in range(100)]
        assert service.lines(f"{site}/events?wait=true", rows).json["accepted"] == 100
        voters.extend(row["visitor"] for row in rows)
        return sum(1 for _ in store.scan_iter("*}v*", count=1000)) >= 4
    wait_until(vote_again, 30, "the buckets do not split")
    return voters


def test_all_buckets_of_an_items_voters_are_told(pair):
    old, new = pair
    site = "/v1/paper.example"
    voters = voters_in_buckets(old, site)
    lines = export(old, site)
    assert sum('"type":"vote"' in line for line in lines) == len(voters)
    take(new, site, lines)
    assert new.get(f"{site}/items/big").json["votes"]["up"] == len(voters)


def test_own_votes_are_found_in_every_bucket_by_a_worker_that_knows_none(pair):
    service = pair[0]
    site = "/v1/paper.example"
    voters = voters_in_buckets(service, site)
    (worker,) = service.children("worker")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: service.is_ready() and worker not in service.children("worker"), 20)
    for voter in voters[::len(voters) // 20]:
        (worker,) = service.children("worker")
        own = service.keyed("POST", f"{site}/me", {"visitor": voter, "ids": ["big"]}).json
        assert own["votes"] == {"big": "up"}


def test_an_item_without_base_counts_keeps_those_that_are_there(service, site):
    assert service.keyed("PUT", f"{site}/items/a", {"title": "Old", "base": {"views": 7, "votes": {"up": 5}}}).status == 200
    take(service, site, ['{"type":"item","item":"a","title":"New"}'])
    shown = service.get(f"{site}/items/a").json
    assert (shown["title"], shown["views"], shown["votes"]["up"]) == ("New", 7, 5)


def test_a_vote_of_the_future_is_refused(service, site):
    line = '{"type":"vote","item":"a","voter":"0000000000000012","kind":"up","time":%d}'
    rows = [line % (time.time() + ahead) for ahead in (86400, -86400)]
    answer = service.keyed("POST", f"{site}/import", "\n".join(rows).encode(), Content_Type="application/x-ndjson").json
    assert answer == {"accepted": 1, "rejected": [{"line": 1, "code": "bad_time"}]}


def test_they_need_the_key(service, site):
    assert service.get(f"{site}/export").status == 401
    assert service.post(f"{site}/import", b"", Content_Type="application/x-ndjson").status == 401


@pytest.mark.contract("GET /v1/{site}/rankings/{ranking}", "After an import whose hours or days are not known")
def test_lists_by_window_after_an_import_of_another_zone_are_not_exact(service, site, ending):
    """What was viewed before has no place in any set there, and the counts of its days are null."""
    load(service, site, [{"type": "view", "item": "a", "visitor": f"v{number}"} for number in range(3)])
    lines, another = export(service, site), ending(Service(kinds="up down", time_zone="Pacific/Auckland"))
    load(another, "/v1/other.example", [{"type": "view", "item": "b", "visitor": "v"}])
    wait_until(lambda: another.get(f"{site}/rankings/most-read").json["exact"], 20)
    for _ in range(2):
        take(another, site, lines)
        answer = another.get(f"{site}/rankings/most-read")
        assert (answer.json["items"], answer.json["exact"]) == ([], False)
    load(another, site, [{"type": "view", "item": "c", "visitor": "v"}])
    assert another.get(f"{site}/rankings/most-read").json["exact"] is False
    assert another.get("/v1/other.example/rankings/most-read").json["exact"] is True, "nothing was imported there"
    take(service, site, lines)
    assert service.get(f"{site}/rankings/most-read").json["exact"] is True
