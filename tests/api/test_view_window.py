# SPDX-License-Identifier: MIT
"""Within view_window a visitor's view of an item counts once, whatever the visitor read in between; and how much Redis keeps for this."""
import datetime
import os
import time

import pytest
import redis

from support.service import Service
from support.wait import wait_until

VIEW = 16  # bytes of a view in a history
KEPT = 20  # views that are remembered when their window is over
MOST = 128


@pytest.fixture(scope="module")
def service():
    running = Service(view_window="10m")
    yield running
    running.stop()


@pytest.fixture
def short():
    running = Service(view_window="1500ms", visitor_window_items=3)
    yield running
    running.stop()


def store_of(service):
    return redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))


def visitor(service):
    return service.post("/v1/s/visitors").json["visitor"]


def view(service, item, token, **headers):
    """True, or why it was not counted."""
    answer = service.post(f"/v1/s/items/{item}/views", Engaged_Visitor=token, **headers)
    assert answer.status == 202, answer.body
    return answer.json["counted"] or answer.json["reason"]


def views(service, item):
    return service.get(f"/v1/s/items/{item}").json["views"]


def wait_views(service, item, expected):
    wait_until(lambda: views(service, item) == expected, 10, lambda: f"{item} has {views(service, item)} views, not {expected}")


def at(seconds):
    """An instant so far from now, as a bulk call takes it."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return (now + datetime.timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


@pytest.mark.contract("POST /v1/{site}/items/{item}/views", "Within view_window a visitor's view")
def test_a_loop_over_many_items_counts_each_once(service):
    token, items = visitor(service), [f"loop-{n}" for n in range(100)]
    assert [view(service, item, token) for item in items] == [True] * 100
    for _ in range(2):
        assert [view(service, item, token) for item in items] == ["repeat"] * 100
    for item in (items[0], items[50], items[99]):
        wait_views(service, item, 1)


@pytest.mark.contract("POST /v1/{site}/items/{item}/views", "Beyond visitor_window_items (128)")
def test_the_most_items_of_a_window(service):
    token, before = visitor(service), service.metrics()['engaged_views_total{result="limit"}']
    assert [view(service, f"most-{n}", token) for n in range(MOST)] == [True] * MOST
    assert view(service, f"most-{MOST}", token) == "limit"
    assert view(service, f"most-{MOST}", token) == "limit"
    assert [view(service, f"most-{n}", token) for n in (0, 1, MOST - 1)] == ["repeat"] * 3
    assert view(service, f"most-{MOST}", token, DNT="1") == "limit"
    assert view(service, f"most-{MOST}", visitor(service)) is True  # another visitor is not made to pay
    wait_views(service, f"most-{MOST}", 1)
    wait_until(lambda: service.metrics()['engaged_views_total{result="limit"}'] == before + 3, 5, "three are over the limit")
    lengths = {store_of(service).strlen(key) for key in store_of(service).scan_iter("*}h*")}
    assert max(lengths) == MOST * VIEW, lengths


def test_the_window_slides(short):
    token = visitor(short)
    assert [view(short, item, token) for item in "abcd"] == [True, True, True, "limit"]
    assert [view(short, item, token) for item in "abc"] == ["repeat"] * 3
    time.sleep(1.55)
    assert [view(short, item, token) for item in "dabc"] == [True, True, True, "limit"]
    assert view(short, "d", token) == "repeat"


@pytest.mark.parametrize("first, second", [({}, {"DNT": "1"}), ({"DNT": "1"}, {}), ({"Sec_GPC": "1"}, {}),
                                           ({"DNT": "1"}, {"DNT": "1"})])
def test_asking_not_to_be_followed_makes_no_new_reader(service, first, second):
    token = visitor(service)
    assert view(service, "dnt", token, **first) is True
    assert view(service, "dnt", token, **second) == "repeat"
    assert view(service, "dnt", token, **first) == "repeat"
    # nor with others read in between
    for n in range(30):
        assert view(service, f"between-{n}", token, **(second if n % 2 else first)) is True
    assert view(service, "dnt", token, **second) == "repeat"


def test_both_histories_share_one_bound(short):
    token = visitor(short)
    assert [view(short, "a", token), view(short, "b", token, DNT="1"), view(short, "c", token)] == [True] * 3
    assert [view(short, "d", token), view(short, "d", token, DNT="1")] == ["limit"] * 2


def test_of_who_asks_not_to_be_followed_one_window_is_kept():
    service = Service(view_window="2s")
    try:
        token, store = visitor(service), store_of(service)
        for n in range(30):
            assert view(service, f"o-{n}", token, DNT="1") is True
        assert list(store.scan_iter("*}h*")) == []
        (key,) = store.scan_iter("*}a*")
        assert store.strlen(key) == 30 * VIEW and 0 < store.pttl(key) <= 2000
        time.sleep(1.2)
        assert view(service, "later", token, DNT="1") is True
        time.sleep(1)  # those of before are out of the window, the key still lives
        assert view(service, "last", token, DNT="1") is True
        assert store.strlen(key) == 2 * VIEW
        wait_until(lambda: not store.exists(key), 4, "the history of who opted out outlives its window")
        # nothing is learnt from it
        wait_views(service, "last", 1)
        assert list(store.scan_iter("*}n" + 16 * "?")) == []
        listed = service.get("/v1/s/me/recommendations", Engaged_Visitor=token).json["items"]
        assert listed and {entry["reason"] for entry in listed} == {"popular"}
    finally:
        service.stop()


def test_twenty_views_are_remembered_when_their_window_is_over():
    service = Service(view_window="1ms")
    try:
        token, store = visitor(service), store_of(service)
        for n in range(30):
            assert view(service, f"o-{n}", token) is True
            time.sleep(0.002)
        (key,) = store.scan_iter("*}h*")
        assert store.strlen(key) == KEPT * VIEW
        assert 29 * 86400 * 1000 < store.pttl(key) <= 30 * 86400 * 1000
    finally:
        service.stop()


def test_a_window_of_nothing_counts_every_view():
    service = Service(view_window="0")
    try:
        token = visitor(service)
        assert [view(service, "a", token, **headers) for headers in ({}, {}, {"DNT": "1"}, {"DNT": "1"})] == [True] * 4
        wait_views(service, "a", 4)
    finally:
        service.stop()


def test_the_edge_of_the_window(service):
    rows = [{"type": "view", "item": "edge", "visitor": "v", "time": at(when)} for when in (-3600, -3600 + 599.999, -3600 + 600)]
    assert service.lines("/v1/s/events?wait=true", rows[:1]).json["accepted"] == 1
    assert views(service, "edge") == 1
    assert service.lines("/v1/s/events?wait=true", rows[1:2]).json["accepted"] == 1
    assert views(service, "edge") == 1
    assert service.lines("/v1/s/events?wait=true", rows[2:]).json["accepted"] == 1
    assert views(service, "edge") == 2


def test_the_edge_of_a_full_window(short):
    """What lies a whole window before the newest view takes up no place any more."""
    def send(item, when):
        assert short.lines("/v1/s/events?wait=true", [{"type": "view", "item": item, "visitor": "v", "time": when}]).json[
            "accepted"] == 1
        return views(short, item)
    begin = [at(-100), at(-99.9), at(-99.8)]
    assert [send(item, when) for item, when in zip("abc", begin)] == [1, 1, 1]
    parsed = datetime.datetime.fromisoformat(begin[0])
    edge = [(parsed + datetime.timedelta(milliseconds=ms)).isoformat(timespec="milliseconds") for ms in (1499, 1500)]
    assert send("d", edge[0]) == 0
    assert send("d", edge[1]) == 1


def test_what_lies_before_the_window_has_no_bound(service):
    """The bound is of the window that ends with the newest view: back-dated views before it count."""
    def send(item, when):
        assert service.lines("/v1/s/events?wait=true", [{"type": "view", "item": item, "visitor": "w", "time": when}]).json[
            "accepted"] == 1
        return views(service, item)
    full = [{"type": "view", "item": f"full-{n}", "visitor": "w", "time": at(-10 - n)} for n in range(MOST)]
    assert service.lines("/v1/s/events?wait=true", full).json == {"accepted": MOST, "rejected": []}
    assert [views(service, f"full-{n}") for n in (0, MOST - 1)] == [1, 1]
    assert send("inside", at(-200)) == 0
    assert send("before", at(-700)) == 1
    assert send("full-3", at(-200)) == 1  # a repeat
    assert send("full-3", at(-700)) == 2


def test_a_back_dated_view_follows_what_was_read_before_it(service):
    """Its neighbours are what was read earlier than it, latest first, not what was known first."""
    for item, when in (("bd-a", -9000), ("bd-d", -1000), ("bd-c", -7000), ("bd-b", -8000)):
        answer = service.lines("/v1/s/events?wait=true", [{"type": "view", "item": item, "visitor": "x", "time": at(when)}])
        assert answer.json["accepted"] == 1
    # d followed a; c followed a; b followed a: nothing ties b to c, c to d or b to d
    related = {item: [entry["item"] for entry in service.get(f"/v1/s/items/{item}/related").json["items"]
                      if entry["reason"] == "related"] for item in ("bd-a", "bd-b", "bd-c", "bd-d")}
    assert related["bd-b"] == ["bd-a"] and related["bd-c"] == ["bd-a"] and related["bd-d"] == ["bd-a"], related
    assert sorted(related["bd-a"]) == ["bd-b", "bd-c", "bd-d"]
    # and the history has all in their order: the next view follows d, c, b, a
    (history,) = [value for value in map(store_of(service).get, store_of(service).scan_iter("*}h*")) if len(value) == 4 * VIEW]
    times = [int.from_bytes(history[n:n + 8], "little") for n in range(8, 4 * VIEW, VIEW)]  # of positive doubles
    assert times == sorted(times, reverse=True)
