# SPDX-License-Identifier: MIT
"""Votes taken back: of a visitor, of an item in a span, and a visitor's own erasure."""
import time

import pytest


def votes(service, site, item):
    return service.get(f"{site}/me?id={item}").json["counts"][item]


def wait_until_done(service, site):
    for _ in range(200):
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
                                                         "to": now - 3600 + 899}).status == 202
    (row,) = wait_until_done(service, site)
    assert row["retracted"] == 800 and row["item"] == "a"
    assert votes(service, site, "a")["up"] == 200 and votes(service, site, "b")["up"] == 1
    time.sleep(0.3)
    top = service.get(f"{site}/rankings/top").json["items"]
    assert top[0]["item"] == "a" and top[0]["score"] == 200


@pytest.mark.parametrize("body, code", [({}, "bad_field"), ({"item": "a", "visitor": "b"}, "bad_field"),
                                        ({"item": "-"}, "bad_item"), ({"visitor": "ev1.x"}, "bad_visitor"),
                                        ({"item": "a", "from": 2, "to": 1}, "bad_time"),
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
