# SPDX-License-Identifier: MIT
"""Items without a card that had few views long ago are removed, so made-up items do not stay in Redis."""
import datetime
import os
import signal

import pytest
import redis

from support.processes import children
from support.program import script_text
from support.service import Service
from support.wait import wait_until

DAY = 86400
HOUR = 3600
EVENTS = "/v1/s/events?wait=true"


@pytest.fixture
def start():
    services = []

    def one(**settings):
        services.append(Service(unknown_items_kept="0", **settings))
        return services[-1]

    yield one
    for service in services:
        service.stop()


def store_of(service):
    return redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))


def at(seconds_ago):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now - datetime.timedelta(seconds=seconds_ago)).isoformat(timespec="milliseconds")


def view(item, seconds_ago, visitor="v"):
    return {"type": "view", "item": item, "visitor": visitor, "time": at(seconds_ago)}


def vote(item, seconds_ago, visitor="v", kind="vote"):
    return {"type": kind, "item": item, "visitor": visitor, "time": at(seconds_ago)}


def send(service, rows, site="s"):
    answer = service.lines(f"/v1/{site}/events?wait=true", rows).json
    assert answer["accepted"] == len(rows), answer


def walk(service, removed, kept="30d"):
    """A walk over all items begins a second after the start: until now there was none."""
    service.settings["unknown_items_kept"] = kept
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(30) == 0
    service.start()
    wait_until(lambda: forgotten(service) >= removed, 20, lambda: f"{forgotten(service)} of {removed} were removed")


def forgotten(service):
    return service.metrics()["engaged_forgotten_items_total"]


def shown(service, item):
    answer = service.get(f"/v1/s/items/{item}").json
    return answer["views"], answer["votes"]["up"]


def keys(service, letters):
    return [key for letter in letters for key in store_of(service).scan_iter("*}" + letter + 16 * "?", count=1000)]


def held(service):
    """Bytes of all keys but the readers' histories, which go by themselves."""
    store = store_of(service)
    return sum(store.memory_usage(key, samples=0) or 0 for key in store.scan_iter("*", count=1000) if b"}h" not in key)


def test_what_is_removed_and_what_stays(start):
    service = start()
    month = 30 * DAY
    service.keyed("PUT", "/v1/s/items/card", {"title": "t"})
    gone = {
        "viewed": [view("viewed", month + 60)],
        "voted": [vote("voted", month + 60)],
        "both": [view("both", month + 7 * HOUR), vote("both", month + 7 * HOUR)],
        "twice": [view("twice", month + 7 * HOUR, "a"), view("twice", 50 * DAY, "b")],
        "retracted": [vote("retracted", 40 * DAY), vote("retracted", 39 * DAY, kind="unvote")],
        "taken back": [vote("taken back", 10, n) for n in "abc"] + [vote("taken back", 9, n, "unvote") for n in "abc"],
    }
    stays = {
        "just not": ([view("just not", month - 60)], (1, 0)),
        "voted lately": ([vote("voted lately", month - 60)], (0, 1)),
        "then voted": ([view("then voted", 50 * DAY), vote("then voted", DAY)], (1, 1)),
        "then viewed": ([view("then viewed", 50 * DAY, "a"), view("then viewed", DAY, "b")], (2, 0)),
        "three": ([view("three", 50 * DAY, n) for n in "abc"], (3, 0)),
        "three votes": ([vote("three votes", 50 * DAY, n) for n in "abc"], (0, 3)),
        "two and one": ([view("two and one", 50 * DAY, n) for n in "ab"] + [vote("two and one", 50 * DAY)], (2, 1)),
        "card": ([view("card", 50 * DAY)], (1, 0)),
    }
    send(service, [row for rows in gone.values() for row in rows] + [row for rows, _ in stays.values() for row in rows])
    walk(service, len(gone))
    for item in gone:
        assert shown(service, item.replace(" ", "%20")) == (0, 0), item
    for item, (_, counts) in stays.items():
        assert shown(service, item.replace(" ", "%20")) == counts, item
    assert forgotten(service) == len(gone)
    assert len(keys(service, "i")) == len(stays)
    listed = {row["item"] for row in service.get("/v1/s/rankings/top?limit=100").json["items"]}
    assert not listed & set(gone) and {"three", "three votes", "two and one"} <= listed
    wait_until(lambda: f"{len(gone)} items without a card were removed" in service.log(), 5, service.log)
    # and an item made again begins at zero
    send(service, [view("viewed", 5, "z")])
    wait_until(lambda: shown(service, "viewed") == (1, 0), 5, lambda: str(shown(service, "viewed")))


def test_nothing_stays_of_made_up_items_and_sites(start):
    service = start(view_window="1ms")
    send(service, [view(f"real-{n}", 5 + n, f"v{visitor}") for n in range(100) for visitor in range(7)])
    before = {letter: len(keys(service, letter)) for letter in "isunt"}
    rankings = len(list(store_of(service).scan_iter("*}r*", count=1000)))
    used = held(service)
    made_up = 600
    send(service, [view(f"made-up-{n}", 40 * DAY + n, f"v{n % 7}") for n in range(made_up)])
    for n in range(50):
        send(service, [view("x", 40 * DAY, "v")], f"made-up-{n}")
    assert len(keys(service, "i")) == before["i"] + made_up + 50
    came = held(service) - used
    walk(service, made_up + 50)
    wait_until(lambda: {letter: len(keys(service, letter)) for letter in "isunt"} == before, 10,
               lambda: f"{before} before, now " + str({letter: len(keys(service, letter)) for letter in "isunt"}))
    assert len(list(store_of(service).scan_iter("*}r*", count=1000))) == rankings
    assert shown(service, "real-7") == (7, 0)
    # The logs are trimmed now and then.
    wait_until(lambda: held(service) - used < came / 20, 15, lambda: f"{held(service) - used} bytes stay of {came}")
    print(f"\n{made_up + 50} items of nobody: {came} bytes while they are there, {held(service) - used} after their removal")
    assert came < 600 * (made_up + 50)


def test_an_item_whose_sums_are_of_another_type_stays_and_holds_up_no_other(start):
    service = start()
    send(service, [view("broken", 50 * DAY)])
    (sums,) = keys(service, "s")
    (broken,) = keys(service, "i")
    send(service, [view(f"old-{n}", 50 * DAY) for n in range(5)])
    store_of(service).delete(sums)
    store_of(service).rpush(sums, "foreign")
    walk(service, 5)
    assert keys(service, "i") == [broken] and store_of(service).lrange(sums, 0, -1) == [b"foreign"]


def test_never_where_that_is_said(start):
    service = start()
    send(service, [view("old", 400 * DAY)])
    walk(service, 0, kept="0")
    other = start()
    send(other, [view("old", 400 * DAY)])
    walk(other, 1)
    assert shown(service, "old") == (1, 0) and forgotten(service) == 0 and shown(other, "old") == (0, 0)


# ---- The script alone: an item that has changed since it was read stays

def pieces(service):
    """Keys and arguments of the removal of the one item that is there."""
    store = store_of(service)
    (item,) = keys(service, "i")
    tag, ref = item[:item.index(b"}") + 1], item[-16:]
    named = [b"i" + ref, b"c" + ref, b"log", b"sums", b"near", b"dead", b"u" + ref, b"n" + ref, b"r0:.newest", b"s" + ref]
    record, sums = store.get(item), store.get(tag + b"s" + ref)
    name = b"\x01s" + (3).to_bytes(2, "little") + b"old"
    arguments = [0, b"old", name, int(ref, 16).to_bytes(8, "little"), 4711, 4712, 1, 1, record, sums]
    return [tag + part for part in named], arguments


def remove(service, names, arguments):
    return store_of(service).eval(script_text("delete"), len(names), *names, *arguments)[0]


@pytest.mark.parametrize("what", ["item", "sums"])
def test_an_item_that_has_changed_since_it_was_read_stays(start, what):
    service = start()
    send(service, [view("old", 50 * DAY)])
    names, arguments = pieces(service)
    if what == "item":  # a vote that is not projected yet
        (projector,) = children(service.process.pid, "projector")
        os.kill(projector, signal.SIGSTOP)
        try:
            assert service.post("/v1/s/items/old/votes").status == 200
            assert remove(service, names, arguments) == 0
        finally:
            os.kill(projector, signal.SIGCONT)
    else:
        send(service, [view("old", 1, "another")])
        assert remove(service, names, arguments) == 0
    expected = (1, 1) if what == "item" else (2, 0)
    wait_until(lambda: shown(service, "old") == expected, 5, lambda: str(shown(service, "old")))
    wait_until(lambda: remove(service, *pieces(service)) == 1, 10, "both projections are through")
    wait_until(lambda: shown(service, "old") == (0, 0), 5, lambda: str(shown(service, "old")))


def test_a_view_that_is_not_projected_yet_counts_on_the_item_made_again(start):
    service = start()
    send(service, [view("old", 50 * DAY)])
    names, arguments = pieces(service)
    (projector,) = children(service.process.pid, "projector")
    os.kill(projector, signal.SIGSTOP)
    try:
        assert service.post("/v1/s/items/old/views").json["counted"]
        assert remove(service, names, arguments) == 1
    finally:
        os.kill(projector, signal.SIGCONT)
    wait_until(lambda: shown(service, "old") == (1, 0), 5, lambda: str(shown(service, "old")))
    assert service.get("/v1/s/items/old").json["visitors"] == 1
