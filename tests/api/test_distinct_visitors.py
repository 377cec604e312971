# SPDX-License-Identifier: MIT
"""Distinct visitors of an item: its sums hold the first two, the sketch begins with the third, and no visitor counts twice.
The same after deletion, export and import, and with data of format 2."""
import os

import pytest
import redis

from support.service import Service

SECRETS = {"hash_key": "22" * 32, "secret": "11" * 32}  # under which visitors are hashed


@pytest.fixture(scope="module")
def service():
    running = Service(view_window="0", **SECRETS)
    yield running
    running.stop()


def store_of(service):
    return redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))


def view(service, item, visitors, site="s", together=False):
    """One call each, so that each is projected alone; or all in one."""
    rows = [{"type": "view", "item": item, "visitor": visitor} for visitor in visitors]
    for part in [rows] if together else [[row] for row in rows]:
        assert service.lines(f"/v1/{site}/events?wait=true", part).json["accepted"] == len(part)


def shown(service, item, site="s"):
    answer = service.get(f"/v1/{site}/items/{item}").json
    return answer["views"], answer["visitors"]


def sketches(service):
    return len(list(store_of(service).scan_iter("*}u" + 16 * "?", count=1000)))


def test_one_after_the_other(service):
    before, expected = sketches(service), 0
    seen = []
    for visitor in "aababacabcdae":
        seen.append(visitor)
        view(service, "one", visitor)
        expected = len(set(seen))
        assert shown(service, "one") == (len(seen), expected), seen
        assert sketches(service) - before == (expected >= 3), seen


@pytest.mark.parametrize("visitors, there", [("a", 0), ("ab", 0), ("aaaaabbbbbb", 0), ("abc", 1), ("aabbccabc", 1),
                                             ("abcdefgh", 1)])
def test_all_at_once(service, visitors, there):
    before, item = sketches(service), "at-once-" + visitors
    view(service, item, visitors, together=True)
    assert shown(service, item) == (len(visitors), len(set(visitors))) and sketches(service) - before == there
    view(service, item, visitors, together=True)
    assert shown(service, item) == (2 * len(visitors), len(set(visitors)))


def test_the_registers_are_those_that_redis_sets(service):
    """Whoever was among the first two sets the same ones again: forty times two of three, and no count moves."""
    for n in range(40):
        first, second, third = (f"reader-{n}-{k}" for k in range(3))
        view(service, f"same-{n}", [first, second, third], together=True)
        view(service, f"same-{n}", [second, first], together=True)
    assert {shown(service, f"same-{n}") for n in range(40)} == {(5, 3)}
    # and many more are as many as they are
    view(service, "many", [f"reader-{n}-{k}" for n in range(100) for k in range(3)], together=True)
    views, visitors = shown(service, "many")
    assert views == 300 and 294 <= visitors <= 306


def test_a_deletion_forgets_them(service):
    view(service, "gone", "ab")
    assert service.keyed("DELETE", "/v1/s/items/gone").status == 204
    assert shown(service, "gone") == (0, 0)
    view(service, "gone", "bc")
    assert shown(service, "gone") == (2, 2)


def test_a_deletion_forgets_their_sketch(service):
    view(service, "sketched", "abcd")
    assert service.keyed("DELETE", "/v1/s/items/sketched").status == 204
    assert shown(service, "sketched") == (0, 0)
    view(service, "sketched", "ef")
    assert shown(service, "sketched") == (2, 2)
    view(service, "sketched", "gh")
    assert shown(service, "sketched") == (4, 4)


@pytest.mark.parametrize("visitors", ["a", "ab", "abc"])
def test_export_and_import_carry_them(service, visitors):
    site = f"from-{len(visitors)}"
    view(service, "x", visitors, site)
    lines = service.keyed("GET", f"/v1/{site}/export").body
    again = Service(view_window="0", **SECRETS)
    try:
        answer = again.keyed("POST", f"/v1/{site}/import?wait=true", lines, Content_Type="application/x-ndjson")
        assert answer.json["rejected"] == [], answer.json
        assert shown(again, "x", site) == (len(visitors), len(visitors))
        view(again, "x", visitors + "z", site)
        assert shown(again, "x", site) == (2 * len(visitors) + 1, len(visitors) + 1)
        assert again.keyed("GET", f"/v1/{site}/export").status == 200
    finally:
        again.stop()


def test_what_format_2_left_goes_on(service):
    """There the sketch was there from the first view on, and the sums had no early visitors."""
    view(service, "old", "a")
    store = store_of(service)
    (name,) = [key for key in store.scan_iter("*}i" + 16 * "?", count=1000) if b"\x03\0old" in store.get(key)]
    sums = name.replace(b"}i", b"}s")
    packed = store.get(sums)
    assert packed[0] == 4
    store.set(sums, b"\x01" + packed[1:-11])  # without the number of early visitors, their register and the series
    store.pfadd(name.replace(b"}i", b"}u"), b"someone")
    service.process.terminate()  # what is remembered of it goes
    assert service.process.wait(30) == 0
    service.start()
    assert shown(service, "old") == (1, 1)
    view(service, "old", "bc")
    assert shown(service, "old") == (3, 3)
