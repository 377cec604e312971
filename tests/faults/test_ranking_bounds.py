# SPDX-License-Identifier: MIT
"""Rankings with more items than a partition keeps: which items are cut off, which may come in later, and when the ranking
is rebuilt. The right ranking is known, because each item has one event at a time of its own."""
import contextlib
import json
import math
import random
import signal
import time

import pytest

from support.fault_service import FaultService
from support.redis_server import RedisServer
from support.wait import wait_until

SITE = "/v1/s"
HOT = "[ranking hot]\ntype = decayed\nhalf_life = 3h\nvotes = 1\nviews = 0\n"
BEGAN = int(time.time()) - 10 * 86400
ITEMS = 1800


def bound(depth, partitions):
    """ranking_bound in src/model/ranking.c"""
    mean = depth / partitions
    return int(mean + 6 * math.sqrt(mean) + 8)


@contextlib.contextmanager
def serving(partitions=1, projector=True):
    with RedisServer() as server:
        with FaultService(server, partitions=partitions, configuration=HOT, log_level="info", unknown_items_kept="0") as service:
            if projector:
                service.start_projector()
            yield server.client(), service


def name(number):
    return f"i{number:04}"


def post(service, path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    status, answer = service.client().call("POST", f"{SITE}/{path}", text, "application/x-ndjson")
    assert status == 200 and json.loads(answer)["accepted"] == len(rows), answer[:500]


def votes(service, numbers, kind="vote", wait=True):
    """The later the number, the later the vote, and the better its item."""
    post(service, "events?wait=true" if wait else "events", [{"type": kind, "item": name(n), "visitor": "v", "time": BEGAN + 60 * n} for n in numbers])


def cards(service, numbers):
    post(service, "items", [{"item": name(n), "title": name(n), "categories": ["c"]} for n in numbers])


def partition_of(client):
    """The partition of each item, by the key of its record."""
    found = {}
    for key in client.scan_iter("{*}i*", 1000):
        packed = client.get(key)
        site_at = 15 + 4 * packed[2]
        at = site_at + 1 + packed[site_at]
        found[packed[at + 2:at + 2 + int.from_bytes(packed[at:at + 2], "little")].decode()] = key.split(b"}")[0]
    return found


def check_set(client, key, present, least):
    """The set of one partition: of what is there (numbers), all that is better than the cutoff, nothing that is worse."""
    held = {member.decode(): -score for member, score in client.zrange(key, 0, -1, withscores=True)}
    tag, rest = key.split(b"}r")
    cutoff = client.hget(tag + b"}floor", rest)
    cutoff = -float(cutoff) if cutoff else -math.inf
    assert len(held) <= 2 * least
    assert len(held) >= min(least, len(present)) // 2
    best = sorted(present, reverse=True)[:len(held)]
    assert set(held) == {name(n) for n in best}, "the best are there"
    values = [held[name(n)] for n in best]
    assert values == sorted(values, reverse=True)
    left_out = [n for n in present if name(n) not in held]
    if left_out:
        # One unit of time is a known step of the value: 60 s of a half-life of 3 h.
        value_of_best_out = values[0] - (best[0] - max(left_out)) * 60 / 10800
        assert cutoff >= value_of_best_out - 1e-6, "nothing better than the cutoff is left out"
    if values:
        assert cutoff <= values[-1] + 1e-6, "nothing worse than the cutoff is there"
    return held, cutoff


def check_all(client, present, partitions, category=False):
    homes = partition_of(client)
    least = bound(200 if category else 500, partitions)
    keys = [key for key in client.scan_iter("{*}r*:hot*", 1000)
            if category == (key.count(b":") == 2 and not key.endswith(b":no-card"))]
    found = {}
    for key in keys:
        found[key] = check_set(client, key, [n for n in present if homes[name(n)] == key.split(b"}")[0]], least)
    return found


def listed(service, limit=100, **query):
    path = f"{SITE}/rankings/hot?limit={limit}&exclude={time.monotonic_ns()}" + "".join(f"&{k}={v}" for k, v in query.items())
    status, answer = service.client().call("GET", path)
    assert status == 200, answer
    return [one["item"] for one in json.loads(answer)["items"]]


def test_a_ranking_that_outgrows_twice_its_bound_is_cut_to_the_best():
    numbers = list(range(ITEMS))
    random.Random(5).shuffle(numbers)
    with serving() as (client, service):
        for first in range(0, ITEMS, 300):
            votes(service, numbers[first:first + 300])
            (held, cutoff), = check_all(client, numbers[:first + 300], 1).values()
            assert (cutoff > -math.inf) == (first + 300 > 2 * bound(500, 1)), (first, cutoff)
        assert len(held) < ITEMS
        assert listed(service) == [name(n) for n in range(ITEMS - 1, ITEMS - 101, -1)]
        # Behind the cutoff, exactly at it, and before it.
        worst = min(int(item[1:]) for item in held)
        votes(service, [ITEMS + 5])
        (after, _), = check_all(client, numbers + [ITEMS + 5], 1).values()
        assert set(after) - set(held) == {name(ITEMS + 5)}
        post(service, "events?wait=true", [{"type": "vote", "item": "behind", "visitor": "v", "time": BEGAN + 60 * worst - 90},
                                           {"type": "vote", "item": "before", "visitor": "v", "time": BEGAN + 60 * worst + 30}])
        members = client.zrange(next(client.scan_iter("{*}r*:hot*")), 0, -1)
        assert b"before" in members and b"behind" not in members
        # An item of the ranking that gets worse leaves it.
        votes(service, [ITEMS + 5], "unvote")
        post(service, "events?wait=true", [{"type": "vote", "item": name(ITEMS + 5), "visitor": "v", "time": BEGAN}])
        assert name(ITEMS + 5).encode() not in client.zrange(next(client.scan_iter("{*}r*:hot*")), 0, -1)


def test_of_more_candidates_than_the_bound_in_one_commit_only_the_best_are_written():
    """88 items a partition in a category whose bound is 41: nothing is written to be cut off at once."""
    numbers = list(range(ITEMS))
    with serving(partitions=16, projector=False) as (client, service):
        cards(service, numbers)
        shuffled = numbers[::2] + numbers[1::2]
        votes(service, shuffled[:1400], wait=False)
        service.start_projector()
        post(service, "events?wait=true", [])
        wait_until(lambda: sum(client.xlen(log) for log in client.scan_iter("{*}log")) == 0, 20, "all is projected")
        found = check_all(client, shuffled[:1400], 16, category=True)
        assert len(found) == 16
        sizes = [len(held) for held, _ in found.values()]
        assert sizes.count(bound(200, 16)) >= 8 and max(sizes) < 70, f"most by one commit: {sizes}"
        assert all(cutoff > -math.inf for _, cutoff in found.values())
        votes(service, shuffled[1400:])
        check_all(client, numbers, 16, category=True)
        check_all(client, numbers, 16)
        assert listed(service, category="c") == [name(n) for n in range(ITEMS - 1, ITEMS - 101, -1)]


def test_a_cut_ranking_that_loses_half_is_filled_anew_from_all_states():
    numbers = list(range(ITEMS))
    with serving() as (client, service):
        least = bound(500, 1)
        votes(service, numbers[::-1])
        (held, cutoff), = check_all(client, numbers, 1).values()
        assert cutoff > -math.inf and len(held) == least, "what came after the cut is worse"
        # One more than half of the bound: nothing happens yet.
        stay = -(-least // 2)
        leaving = sorted(held)[stay:]
        votes(service, [int(item[1:]) for item in leaving], "unvote")
        time.sleep(0.5)
        assert service.log().count("rankings were refilled") == 0
        votes(service, [int(sorted(held)[0][1:])], "unvote")
        wait_until(lambda: service.log().count("rankings were refilled") == 1, 15, service.log)
        gone = {int(item[1:]) for item in leaving} | {int(sorted(held)[0][1:])}
        rest = [n for n in numbers if n not in gone]
        (held, _), = check_all(client, rest, 1).values()
        assert len(held) >= least and len(rest) > 1000, "of more than one page of states"
        assert listed(service) == [name(n) for n in sorted(rest, reverse=True)[:100]]
        # A second one has to wait for a minute: it is not forgotten when the projector ends meanwhile.
        votes(service, range(2 * ITEMS, 2 * ITEMS + 400))
        present = rest + list(range(2 * ITEMS, 2 * ITEMS + 400))
        (held, cutoff), = check_all(client, present, 1).values()
        assert cutoff > -math.inf
        leaving = sorted(held)[least // 2 - 1:]
        votes(service, [int(item[1:]) for item in leaving], "unvote")
        assert client.hget("{e0}pos", "plan") is None
        service.projectors[-1].terminate()
        assert service.projectors.pop().wait(30) == 0
        service.start_projector()
        wait_until(lambda: service.log().count("rankings were refilled") == 2, 15, service.log)
        check_all(client, sorted(set(present) - {int(item[1:]) for item in leaving}), 1)


CHANGES = {
    "a shorter half-life": ("half_life = 3h", "half_life = 1h", ["new", "old"]),
    "a longer half-life": ("half_life = 3h", "half_life = 24h", ["old", "new"]),
    "another weight": ("views = 0", "views = 100", ["read", "old", "new"]),
    "another type with the same half-life": ("type = decayed", "type = rising", ["new", "old"]),
    "another type": ("type = decayed\nhalf_life = 3h", "type = total", ["old", "new"]),
    "a floor": ("views = 0", "views = 0\nfloor = 2", ["old"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_new_definition_rewrites_the_ranking_without_any_event(change):
    """Six votes of six hours ago, or one of now: by a half-life of three hours the six are worth 1.5."""
    before, after, expected = CHANGES[change]
    with serving() as (client, service):
        now = time.time()
        rows = [{"type": "vote", "item": "old", "visitor": f"v{n}", "time": now - 6 * 3600} for n in range(6)]
        rows += [{"type": "vote", "item": "new", "visitor": "v0", "time": now - 60}]
        rows += [{"type": "view", "item": "read", "visitor": f"v{n}", "time": now - 60} for n in range(3)]
        post(service, "events?wait=true", rows)

        def ranked(with_scores=False):
            return [member if with_scores else member.decode() for key in client.scan_iter("{*}r*:hot*")
                    for member in client.zrange(key, 0, -1, withscores=with_scores)]

        assert ranked() == ["old", "new"]
        scores = ranked(with_scores=True)
        service.projectors[-1].terminate()
        assert service.projectors.pop().wait(30) == 0
        service.configure(HOT.replace(before, after))
        service.start_projector()
        wait_until(lambda: ranked() == expected and ranked(with_scores=True) != scores, 15, ranked)
        assert service.projectors[-1].poll() is None


REBUILD_STEPS = ("rebuild-probe-after", "rebuild-begin-before", "rebuild-begin-after", "sweep-rankings-before",
                 "sweep-rankings-after", "scan-states-after", "read-chunk-after", "commit-chunk-after", "rebuild-done-before",
                 "rebuild-done-after")


def test_a_rebuild_that_is_killed_at_any_step_is_made_by_the_next_projector():
    """One ranking goes and another comes, so that sets are swept too; each time the half-life is another."""
    with serving() as (client, service):
        now = time.time()
        votes_of = {"old": 6, "new": 1}
        rows = [{"type": "vote", "item": item, "visitor": f"v{n}", "time": now - (6 * 3600 if item == "old" else 60)}
                for item, count in votes_of.items() for n in range(count)]
        post(service, "events?wait=true", rows)
        service.projectors[-1].terminate()
        assert service.projectors.pop().wait(30) == 0

        def score_names():
            return {key.decode().split(":")[1] for key in client.scan_iter("{*}r*:*") if client.type(key) == b"zset"}

        for number, step in enumerate(REBUILD_STEPS):
            service.configure(f"[ranking r{number}]\ntype = decayed\nhalf_life = {number + 4}h\nvotes = 1\nviews = 0\n")
            assert service.start_projector(failpoint=f"{step}:1").wait(30) == -signal.SIGKILL, step
            projector = service.start_projector()
            wait_until(lambda: f"r{number}" in score_names() and not score_names() & {"hot", f"r{number - 1}"}, 20,
                       lambda: (step, score_names()))
            (key,) = [key for key in client.scan_iter(f"{{*}}r*:r{number}*") if client.type(key) == b"zset"]
            order = ["old", "new"] if 6 * 0.5 ** (6 / (number + 4)) > 1 else ["new", "old"]
            wait_until(lambda: [member.decode() for member in client.zrange(key, 0, -1)] == order, 20, lambda: (step, key))
            projector.terminate()  # it may only have begun, where the killed one had written everything
            assert service.projectors.pop().wait(30) in (0, -signal.SIGTERM)


def test_an_age_that_is_newly_given_rewrites_the_ranking():
    with serving() as (client, service):
        post(service, "items", [{"item": "a", "title": "a", "published_at": time.time() - 7200}, {"item": "b", "title": "b", "published_at": time.time() - 60}])
        votes_of = [{"type": "vote", "item": item, "visitor": "v"} for item in "ab"]
        post(service, "events?wait=true", votes_of)

        def ranked():
            return {member.decode() for key in client.scan_iter("{*}r*:hot") for member in client.zrange(key, 0, -1)}

        assert ranked() == {"a", "b"}
        service.projectors[-1].terminate()
        assert service.projectors.pop().wait(30) == 0
        service.configure(HOT + "oldest_age = 1h\n")
        service.start_projector()
        wait_until(lambda: ranked() == {"b"}, 15, ranked)
