# SPDX-License-Identifier: MIT
"""Votes are taken back: those of a visitor, those on an item in a span of time, and by a visitor's own erasure."""
import concurrent.futures
import datetime
import json
import time

import pytest

from support.wait import wait_until


def votes(service, site, item):
    return service.get(f"{site}/me?id={item}").json["counts"][item]


def wait_until_done(service, site):
    for _ in range(1200):  # sanitizers and valgrind are slow
        rows = service.keyed("GET", f"{site}/corrections").json["corrections"]
        if rows and all(row["state"] == "done" for row in rows):
            return rows
        time.sleep(0.05)
    raise AssertionError(rows)


def test_votes_of_a_visitor_are_taken_back(service, site):
    rows = [{"type": "vote", "item": f"i{n}", "visitor": visitor} for n in range(700) for visitor in ("bad", "good")]
    assert service.lines(f"{site}/events", rows).json["accepted"] == 1400
    answer = service.keyed("POST", f"{site}/corrections", {"visitor": "bad", "note": "a script"})
    assert answer.status == 202 and answer.json["correction"]
    (row,) = wait_until_done(service, site)
    assert row["correction"] == answer.json["correction"] and row["retracted"] == 700 and row["note"] == "a script"
    assert "visitor" not in row and row["kind"] == "visitor"
    assert votes(service, site, "i0") == votes(service, site, "i699") == {"up": 1, "down": 0}
    # it is no ban: who votes again counts again
    service.keyed("POST", f"{site}/items/i0/votes", Engaged_Visitor="bad")
    assert votes(service, site, "i0")["up"] == 2


def test_votes_of_an_item_in_a_span_are_taken_back(service, site):
    now = int(time.time())
    rows = [{"type": "vote", "item": "a", "visitor": f"v{n}", "time": now - 3600 + n} for n in range(1000)]
    rows += [{"type": "vote", "item": "b", "visitor": "v1", "time": now - 3000}]
    assert service.lines(f"{site}/events", rows).json["accepted"] == 1001
    assert service.keyed("POST", f"{site}/corrections", {"item": "a", "from": now - 3600 + 100,
                                                         "to": now - 3600 + 900}).status == 202
    (row,) = wait_until_done(service, site)
    assert row["retracted"] == 800 and row["item"] == "a"
    assert votes(service, site, "a")["up"] == 200 and votes(service, site, "b")["up"] == 1
    time.sleep(0.3)
    top = service.get(f"{site}/rankings/top").json["items"]
    assert top[0]["item"] == "a" and top[0]["score"] == 200


@pytest.mark.parametrize("body, code", [({}, "bad_field"), ({"item": "a", "visitor": "b"}, "bad_field"),
                                        ({"item": "-"}, "bad_item"), ({"visitor": "ev1.x"}, "bad_visitor"),
                                        ({"item": "a", "from": 2, "to": 1}, "bad_time"),
                                        ({"item": "a", "from": 2, "to": 2}, "bad_time"),
                                        ({"item": "a", "from": 2.1, "to": 2.9}, "bad_time"),  # no whole second
                                        ({"item": "a", "to": 0}, "bad_time"),
                                        ({"item": "a", "from": 4000000000}, "bad_time"),
                                        ({"item": "a", "what": 1}, "unknown_parameter")])
def test_a_correction_that_is_not_right(service, site, body, code):
    answer = service.keyed("POST", f"{site}/corrections", body)
    assert answer.status in (400, 401) and answer.json["code"] == code
    assert service.keyed("GET", f"{site}/corrections").json == {"corrections": []}


def test_erasure_forgets_history_and_takes_votes_back(service, site, token):
    assert service.post(f"{site}/items/a/votes", Engaged_Visitor=token).status == 200
    assert service.post(f"{site}/items/a/views", Engaged_Visitor=token).json["counted"]
    assert service.post(f"{site}/items/b/views", Engaged_Visitor=token).json["counted"]
    assert service.request("DELETE", f"{site}/me", Engaged_Visitor="ev1.forged").status == 401
    assert service.request("DELETE", f"{site}/me").json == {"erasure": None}  # nobody is known: nothing to forget
    answer = service.request("DELETE", f"{site}/me", Engaged_Visitor=token)
    assert answer.status == 202 and answer.headers["cache-control"] == "no-store"
    for _ in range(100):
        if votes(service, site, "a")["up"] == 0:
            break
        time.sleep(0.05)
    assert service.get(f"{site}/me?id=a", Engaged_Visitor=token).json == {"votes": {}, "counts": {"a": {"up": 0, "down": 0}}}
    assert service.get(f"{site}/items/a").json["views"] == 1  # past views stay counted
    read = service.get(f"{site}/me/recommendations", Engaged_Visitor=token).json["items"]
    assert {entry["item"] for entry in read} == {"a", "b"}  # nothing is known to have been read
    assert service.keyed("GET", f"{site}/corrections").json == {"corrections": []}


def second(text):
    """The Unix seconds of a time in an answer."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_votes_that_are_given_after_an_erasure_was_answered_stay(service, site):
    tokens = [service.post(f"{site}/visitors").json["visitor"] for _ in range(8)]
    for number, token in enumerate(tokens):
        time.sleep(0.11 * (number % 3))
        assert service.post(f"{site}/items/a/votes", Engaged_Visitor=token).status == 200
        assert service.request("DELETE", f"{site}/me", Engaged_Visitor=token).status == 202
        assert service.post(f"{site}/items/b/votes", Engaged_Visitor=token).status == 200
    wait_until(lambda: votes(service, site, "a")["up"] == 0, what="votes are left of readers that were forgotten")
    time.sleep(1.2)  # another pass may still come over what must stay
    assert votes(service, site, "a") == {"up": 0, "down": 0} and votes(service, site, "b") == {"up": 8, "down": 0}


@pytest.mark.parametrize("to", [None, 4000000000])  # a span of the future ends when it was asked for
def test_votes_that_are_given_after_a_correction_was_answered_stay(service, site, to):
    for n in range(5):
        service.keyed("POST", f"{site}/items/a/votes", Engaged_Visitor=f"bad{n}")
    body = {"item": "a", **({"to": to} if to else {})}
    assert service.keyed("POST", f"{site}/corrections", body).status == 202
    for n in range(30):
        assert service.keyed("POST", f"{site}/items/a/votes", Engaged_Visitor=f"good{n}").json["vote"] == "up"
    (row,) = wait_until_done(service, site)
    assert row["retracted"] == 5 and votes(service, site, "a")["up"] == 30
    assert abs(second(row["to"]) - second(row["requested_at"])) <= 1.1 and second(row["to"]) % 1 == 0


def test_a_span_is_whole_seconds_from_its_begin_to_before_its_end(service, site):
    t0 = int(time.time()) - 100
    rows = [{"type": "vote", "item": "a", "visitor": f"v{n}", "time": t0 + n / 10} for n in range(40)]
    assert service.lines(f"{site}/events", rows).json["accepted"] == 40
    assert service.keyed("POST", f"{site}/corrections", {"item": "a", "from": t0 + 1.5, "to": t0 + 2.5}).status == 202
    (row,) = wait_until_done(service, site)
    assert row["retracted"] == 10  # of second t0 + 1
    assert (second(row["from"]), second(row["to"])) == (t0 + 1, t0 + 2)
    left = service.keyed("GET", f"{site}/export").body.decode().splitlines()
    times = sorted(int(second(json.loads(line)["time"])) - t0 for line in left if '"type":"vote"' in line)
    assert times == [0] * 10 + [2] * 10 + [3] * 10


def test_a_span_of_a_visitor_leaves_its_votes_at_the_edges(service, site):
    t0 = int(time.time()) - 1000
    rows = [{"type": "vote", "item": f"i{n}", "visitor": "v", "time": t0 + n} for n in range(10)]
    rows += [{"type": "vote", "item": f"i{n}", "visitor": "other", "time": t0 + n} for n in range(10)]
    assert service.lines(f"{site}/events", rows).json["accepted"] == 20
    assert service.keyed("POST", f"{site}/corrections", {"visitor": "v", "from": t0 + 3, "to": t0 + 7}).status == 202
    (row,) = wait_until_done(service, site)
    assert row["retracted"] == 4
    ids = "&".join(f"id=i{n}" for n in range(10))
    counts = service.get(f"{site}/me?{ids}").json["counts"]
    assert [counts[f"i{n}"]["up"] for n in range(10)] == [2, 2, 2, 1, 1, 1, 1, 2, 2, 2]


def test_all_buckets_of_an_item_are_corrected_and_no_other_item(service, site):
    """10,000 votes are some eighty buckets: several pages."""
    rows = [{"type": "vote", "item": "hot", "visitor": f"v{n}"} for n in range(10000)]
    rows += [{"type": "vote", "item": "beside", "visitor": f"v{n}"} for n in range(100)]
    assert service.lines(f"{site}/events?wait=true", rows).json["accepted"] == 10100
    assert service.keyed("POST", f"{site}/corrections", {"item": "hot"}).status == 202
    (row,) = wait_until_done(service, site)
    assert row["retracted"] == 10000 and row["scanned"] >= 10000 // 256
    assert votes(service, site, "hot")["up"] == 0 and votes(service, site, "beside")["up"] == 100
    left = service.keyed("GET", f"{site}/export").body.decode()
    assert left.count('"item":"hot"') <= 1 and left.count('"type":"vote"') == 100


def test_visitors_with_votes_in_buckets_are_found_by_one_and_by_many(service, site):
    """Few that are to be found are asked for one by one, of many all buckets are read: both must find all."""
    rows = [{"type": "vote", "item": f"i{n}", "visitor": f"v{m}"} for n in range(3) for m in range(600)]
    rows += [{"type": "vote", "item": f"few{n}", "visitor": f"v{m}"} for n in range(300) for m in range(n % 5)]
    assert service.lines(f"{site}/events?wait=true", rows).json["accepted"] == len(rows)
    assert service.keyed("POST", f"{site}/corrections", {"visitor": "v0"}).status == 202
    wait_until_done(service, site)
    assert votes(service, site, "i0")["up"] == votes(service, site, "i2")["up"] == 599
    for m in (1, 2):
        assert service.keyed("DELETE", f"{site}/me", Engaged_Visitor=f"v{m}").status == 202
    bodies = [{"visitor": f"v{m}"} for m in range(3, 90)]
    answers = together(lambda body: service.keyed("POST", f"{site}/corrections", body).status, bodies)
    assert answers == [202] * 87
    wait_until_done(service, site)
    wait_until(lambda: service.metrics()["engaged_corrections_running"] == 0)
    assert [votes(service, site, f"i{n}")["up"] for n in range(3)] == [510] * 3
    assert all(votes(service, site, f"few{n}")["up"] == 0 for n in range(0, 300, 7))


def test_the_same_visitor_of_another_site_keeps_its_votes(service, site):
    other = site.replace("site-", "other-")
    for where in (site, other):
        rows = [{"type": "vote", "item": "a", "visitor": visitor} for visitor in ("bad", *(f"v{n}" for n in range(50)))]
        rows += [{"type": "vote", "item": "b", "visitor": "bad"}]
        assert service.lines(f"{where}/events", rows).json["accepted"] == 52
    assert service.keyed("POST", f"{site}/corrections", {"visitor": "bad"}).status == 202
    (row,) = wait_until_done(service, site)
    assert row["retracted"] == 2 and service.keyed("GET", f"{other}/corrections").json == {"corrections": []}
    assert votes(service, site, "a")["up"] == 50 and votes(service, site, "b")["up"] == 0
    assert votes(service, other, "a")["up"] == 51 and votes(service, other, "b")["up"] == 1


def test_corrections_are_told_in_the_order_in_which_they_came(service, site):
    bodies = [{"item": "a", "note": "first"}, {"visitor": "v", "note": "second"}, {"item": "b", "note": "third"}]
    for body in bodies:
        assert service.keyed("POST", f"{site}/corrections", body).status == 202
    rows = wait_until_done(service, site)
    assert [row["note"] for row in rows] == ["first", "second", "third"]
    assert all(row["requested_at"] <= row["done_at"] for row in rows)


def together(function, arguments):
    with concurrent.futures.ThreadPoolExecutor(max(1, len(arguments))) as pool:
        return list(pool.map(function, arguments))
