# SPDX-License-Identifier: MIT
"""States of items that one page has read serve the others for a second: what that saves, and what it must not change."""
import datetime
import json
import time

import pytest

from support.contract import ids
from support.service import Service
from support.wait import wait_until

SITE = "/v1/s"
ITEMS = 30
MEMORY, REDIS = ('engaged_item_reads_total{from="%s"}' % place for place in ("memory", "redis"))


def fill(service, items=ITEMS, url="/"):
    rows = [{"item": f"i{n}", "title": f"Title {n}", "url": f"{url}{n}"} for n in range(items)]
    assert service.lines(f"{SITE}/items", rows).json["accepted"] == items
    votes = [{"type": kind, "item": f"i{n}", "visitor": f"v{k}"} for n in range(items) for k in range(3) for kind in ("vote", "view")]
    assert service.lines(f"{SITE}/events?wait=true", votes).json["rejected"] == []


@pytest.fixture(scope="module")
def service():
    running = Service(refresh_interval="1s", rate_limits="off", redis_tracking="off")  # else faults/test_tracking.py
    fill(running)
    yield running
    running.stop()


def test_what_one_list_has_read_serves_the_next(service):
    for _ in range(5):  # a busy machine may need more than a second for two reads
        service.get(f"{SITE}/rankings/top?limit=20&exclude=first-{time.time()}")
        before = service.metrics()
        assert len(ids(service.get(f"{SITE}/rankings/top?limit=20&exclude=second-{time.time()}"))) == 20
        after = service.metrics()
        if after[MEMORY] - before[MEMORY] >= 20 and after[REDIS] == before[REDIS]:
            return
    raise AssertionError((before, after))


def test_a_body_is_as_old_as_the_oldest_state_in_it(service):
    """Each body is made for the first time. One that lacks a vote says that it is from before the vote."""
    late = 0
    for n in range(10):
        service.get(f"{SITE}/items/i3/page?exclude=warm{n}")
        assert service.lines(f"{SITE}/events?wait=true", [{"type": "vote", "item": "i3", "visitor": f"w{n}"}]).json["accepted"] == 1
        known = time.time()
        time.sleep(0.2)
        answer = service.get(f"{SITE}/items/i3/page?exclude=cold{n}")
        checked = datetime.datetime.fromisoformat(answer.headers["engaged-checked-at"].replace("Z", "+00:00")).timestamp()
        votes = answer.json["item"]["votes"]["up"]
        late += votes != 4 + n
        assert votes == 4 + n or checked < known + 0.1, (n, votes, checked, known)
        assert known - checked < 5
    print("came from before the vote:", late)


def test_a_card_and_a_deletion_are_seen_at_once_where_they_were_made(service):
    def shown(n):
        return {entry["item"]: entry.get("title") for entry in service.get(f"{SITE}/rankings/top?limit=40&exclude=x{n}").json["items"]}
    assert shown(0)["i7"] == "Title 7"
    assert service.keyed("PUT", f"{SITE}/items/i7", {"title": "New", "url": "/7"}).status == 200
    assert shown(1)["i7"] == "New"
    assert service.keyed("DELETE", f"{SITE}/items/i7").status == 204
    assert "i7" not in shown(2)
    assert service.get(f"{SITE}/items/i7").json["votes"] == {"up": 0}


def test_with_refresh_interval_0_nothing_is_kept(own):
    apart = own(refresh_interval="0")
    fill(apart, 10)
    for n in range(3):
        assert len(ids(apart.get(f"{SITE}/rankings/top?exclude=x{n}"))) == 10
    metrics = apart.metrics()
    assert metrics[MEMORY] == 0 and metrics["engaged_item_cache_bytes"] == 0 and metrics[REDIS] >= 30


def test_its_memory_is_bounded(own):
    """Cards of several kilobytes: all items are many times the bound."""
    apart = own(refresh_interval="1s", item_cache="1MiB", rate_limits="off")
    fill(apart, 600, "/" + "long" * 450)
    for n in range(600):
        assert apart.get(f"{SITE}/items/i{n}").json["title"] == f"Title {n}"
    metrics = apart.metrics()
    assert 900 << 10 < metrics["engaged_item_cache_bytes"] <= 1 << 20, metrics["engaged_item_cache_bytes"]


def test_visitors_are_counted_again_when_something_was_counted(service):
    """As long as the sums are the same bytes they are not."""
    assert service.get(f"{SITE}/items/i9").json["visitors"] == 3
    views = [{"type": "view", "item": "i9", "visitor": f"new{n}"} for n in range(2)]
    assert service.lines(f"{SITE}/events?wait=true", views).json["rejected"] == []
    wait_until(lambda: service.get(f"{SITE}/items/i9").json["visitors"] == 5, 20, "two more visitors")


def test_an_import_that_changes_the_visitors_alone_is_seen(service):
    """Of the same sums, in a state that was read before."""
    views = [{"type": "view", "item": "many", "visitor": f"one{n}"} for n in range(9)]
    assert service.lines(f"{SITE}/events?wait=true", views).json["rejected"] == []
    lines = [json.loads(line) for line in service.keyed("GET", f"{SITE}/export").body.splitlines()]
    many, few = (next(line for line in lines if line.get("item") == item) for item in ("many", "i8"))
    wait_until(lambda: service.get(f"{SITE}/items/i8").json["visitors"] == 3, 20, "the item has a state in memory")
    for sketch, visitors in ((many["visitor_sketch"], 9), (few["visitor_sketch"], 3)):
        answer = service.lines(f"{SITE}/import?wait=true", [{**few, "visitor_sketch": sketch}, {"type": "end", "items": 1}])
        assert answer.json["rejected"] == [], answer.body
        wait_until(lambda: service.get(f"{SITE}/items/i8").json["visitors"] == visitors, 10, lambda: service.get(f"{SITE}/items/i8").body)


def up(service, path):
    return service.get(f"{SITE}/items/{path}").json["item"]["votes"]["up"]


def seen_by_both(service, n):
    """A state is some 0.3 s old, and has got a vote since. What a body that is new and one that is refreshed show of it then;
    None where the machine was so slow that the state may be older than a second."""
    old = service.get(f"{SITE}/items/i11/page?exclude=old{n}")
    time.sleep(1.05)  # it wants to be refreshed, and its states are too old for any body
    began, votes = time.monotonic(), up(service, f"i11/page?exclude=read{n}")
    assert service.lines(f"{SITE}/events", [{"type": "vote", "item": "i11", "visitor": f"z{n}"}]).json["accepted"] == 1
    time.sleep(0.3)
    new = up(service, f"i11/page?exclude=new{n}")
    asked = service.get(f"{SITE}/items/i11/page?exclude=old{n}")  # sent as it is, and refreshed then

    def refreshed():
        now = service.get(f"{SITE}/items/i11/page?exclude=old{n}")
        return now if now.headers["engaged-checked-at"] > asked.headers["engaged-checked-at"] else None
    assert asked.headers["engaged-checked-at"] == old.headers["engaged-checked-at"]
    shown = wait_until(refreshed, 20, "the body is not refreshed").json["item"]["votes"]["up"]
    return (new - votes, shown - votes) if time.monotonic() - began < 1 else None


def test_a_new_body_takes_states_up_to_a_second_old_and_one_that_is_refreshed_up_to_a_quarter(service):
    """Else a body that is asked for all the time would be as old as twice refresh_interval."""
    seen = next(filter(None, (seen_by_both(service, n) for n in range(20))), None)
    assert seen == (0, 1), seen
