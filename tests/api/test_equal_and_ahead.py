# SPDX-License-Identifier: MIT
"""Equal scores are ordered by id, whatever order their events came in; no call accepts a time in the future."""
import json
import struct
import time

import pytest


def listed(service, site, ranking):
    return [row["item"] for row in service.get(f"{site}/rankings/{ranking}?limit=10").json["items"] if row["reason"] == "ranked"]


@pytest.mark.parametrize("ranking", ["hot", "day", "week"])
def test_the_same_events_in_another_order_are_an_equal_score(service, site, ranking):
    now = time.time()
    times = [now - 7 * number * number - number / 3 for number in range(1, 15)]
    orders = {"b": times, "a": times[::-1], "c": times[::2] + times[1::2], "d": times[7:] + times[:7]}
    for item, order in orders.items():
        for number, moment in enumerate(order):
            rows = [{"type": "view", "item": item, "visitor": f"{item}{number}", "time": moment}]
            assert service.lines(f"{site}/events?wait=true", rows).json["accepted"] == 1
    assert listed(service, site, ranking) == ["a", "b", "c", "d"]


def take(service, site, *lines):
    answer = service.keyed("POST", f"{site}/import?wait=true", "".join(json.dumps(line) + "\n" for line in lines).encode(),
                           Content_Type="application/x-ndjson")
    assert answer.status == 200
    return [row["code"] for row in answer.json["rejected"]]


@pytest.mark.parametrize("ahead, codes", [(50, []), (75, ["bad_time"]), (64 * 365 * 86400, ["bad_time"])])
def test_an_import_takes_votes_up_to_a_minute_ahead(service, site, ahead, codes):
    vote = {"type": "vote", "item": "a", "voter": "0123456789abcdef", "kind": "up", "time": time.time() + ahead}
    assert take(service, site, vote) == codes
    assert service.get(f"{site}/items/a").json["votes"]["up"] == (0 if codes else 1)


def sums_of_views(count, moment):
    """Packed as src/model/sums.h says: one half-life of three hours, all events at one instant."""
    half_life = 3 * 3600 * 1000
    exponent = (moment * 1000 - 1704067200000) / half_life
    return (struct.pack("<BBB d Q", 1, 1, 1, 0, half_life) + struct.pack("<B Q", 8, count) + struct.pack("<d", exponent)).hex()


@pytest.mark.parametrize("ahead, codes", [(-3600, []), (30, []), (120, ["bad_field"]), (64 * 365 * 86400, ["bad_field"])])
def test_an_import_takes_no_sums_of_views_of_the_future(service, site, ahead, codes):
    line = {"type": "item", "item": "a", "title": "A", "view_sums": sums_of_views(1, time.time() + ahead)}
    assert take(service, site, line) == codes
    assert service.get(f"{site}/items/a").json["views"] == (0 if codes else 1)


@pytest.mark.parametrize("views, status", [(2**52, 200), (2**52 + 1, 400), (2**53, 400)])
def test_a_base_count_stays_a_whole_number_to_a_browser(service, site, views, status):
    assert service.keyed("PUT", f"{site}/items/a", {"title": "A", "base": {"views": views}}).status == status
