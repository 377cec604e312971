# SPDX-License-Identifier: MIT
"""What Redis holds of authors: each item with an author is in one set, by whether it has an event, and in none once it is gone."""
import collections
import os
import signal
import struct
import time

import pytest
import redis

from support.contract import ids, load
from support.service import Service
from support.wait import wait_until

SITE = "/v1/authors.example"


def redis_of(service):
    return redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))


def sets(service, kind="author"):
    """The members of the sets of authors by the reference of the author, over all partitions; an item twice would be seen."""
    found = collections.defaultdict(list)
    store = redis_of(service)
    for key in store.scan_iter(f"{{e*}}r*:.{kind}:*", 1000):
        found[key.rsplit(b":", 1)[1]] += [member.decode() for member in store.zrange(key, 0, -1)]
    return sorted(sorted(members) for members in found.values())


def vote(service, item, voter="v", kind="vote"):
    load(service, SITE, [{"type": kind, "item": item, "visitor": voter}])


@pytest.fixture
def running(own):
    return own(rate_limits="off", list_unknown="on")


def put(service, item, **card):
    assert service.keyed("PUT", f"{SITE}/items/{item}", card).status == 200


def becomes(service, wanted):
    wait_until(lambda: sets(service) == wanted, 10, f"the sets of authors are {wanted}")


def test_an_item_is_in_the_set_of_its_author_while_it_has_events(running):
    put(running, "a", author="One Name")
    load(running, SITE, [{"type": "view", "item": "b", "visitor": "v"}])
    assert sets(running) == [], "without an event, and without a card"
    vote(running, "a")
    becomes(running, [["a"]])
    put(running, "b", author="One Name")
    becomes(running, [["a", "b"]])
    vote(running, "a", kind="unvote")
    becomes(running, [["b"]])
    vote(running, "a")
    becomes(running, [["a", "b"]])
    put(running, "b", author="Two")
    becomes(running, [["a"], ["b"]])
    put(running, "b", title="by nobody")
    becomes(running, [["a"]])
    put(running, "b", author="One \t\n Name")
    becomes(running, [["a", "b"]])
    for item in "ab":
        assert running.keyed("DELETE", f"{SITE}/items/{item}").status == 204
    becomes(running, [])
    vote(running, "a")
    assert sets(running) == [], "it has no card any more"


def test_an_item_that_nobody_has_read_is_in_another_set_of_its_author(running):
    def becomes_unread(wanted, read):
        wait_until(lambda: (sets(running, "unread"), sets(running)) == (wanted, read), 10, lambda: sets(running, "unread"))

    for item in "ab":
        put(running, item, author="One Name")
    becomes_unread([["a", "b"]], [])
    vote(running, "a")
    becomes_unread([["b"]], [["a"]])
    vote(running, "a", kind="unvote")
    becomes_unread([["a", "b"]], [])
    put(running, "b", author="Two")
    becomes_unread([["a"], ["b"]], [])
    put(running, "b", title="by nobody")
    becomes_unread([["a"]], [])
    vote(running, "a")
    becomes_unread([], [["a"]])
    put(running, "a", author="Two")
    becomes_unread([], [["a"]])
    put(running, "c", author="Two")
    for item in "ac":
        assert running.keyed("DELETE", f"{SITE}/items/{item}").status == 204
    becomes_unread([], [])


def test_many_changes_of_a_card_at_once_leave_nothing(running):
    load(running, SITE, [{"type": "vote", "item": "a", "visitor": "v"}])
    assert running.lines(f"{SITE}/items", [{"item": "a", "author": f"Author {n % 40}"} for n in range(200)]).json["accepted"] == 200
    becomes(running, [["a"]])
    put(running, "a", title="by nobody")
    becomes(running, [])


def test_a_vote_writes_nothing_to_the_sets_of_authors(running):
    """Only the first event of an item does: 40 items of 8 authors get further votes, and the same sets are written as without authors."""
    def written(prefix, **card):
        names = [f"{prefix}{n}" for n in range(40)]
        assert running.lines(f"{SITE}/items", [{"item": name, **{key: value.format(n % 8) for key, value in card.items()}}
                                               for n, name in enumerate(names)]).json["accepted"] == 40
        load(running, SITE, [{"type": "vote", "item": name, "visitor": "v0"} for name in names])
        store = redis_of(running)
        before = store.info("commandstats")["cmdstat_zadd"]["calls"]
        load(running, SITE, [{"type": "vote", "item": name, "visitor": "v1"} for name in names])
        return store.info("commandstats")["cmdstat_zadd"]["calls"] - before
    plain, authored = written("p"), written("q", author="Author {}")
    assert [len(one) for one in sets(running)] == [5] * 8
    assert abs(plain - authored) <= 16, "one commit more or less in which one ranking of a partition is written twice"


def cut(found, names):
    """The newest of `names`, if one set has them and no older one."""
    newest = found[0] if len(found) == 1 else []
    return newest if 642 <= len(newest) <= 1284 and newest == names[-len(newest):] else None


def test_an_author_of_more_items_than_a_set_holds_keeps_the_newest():
    """One partition keeps 642, and cuts a set that has more than 1,284: then an older item does not come in, a newer one does.
    What a later commit adds comes to the 642: so the set may have more."""
    service = Service(partitions=1, rate_limits="off")
    try:
        names = [f"i{n:04}" for n in range(1300)]
        now = int(time.time())
        rows = [{"item": name, "author": "Prolific", "published_at": now - 10000 + n} for n, name in enumerate(names)]
        assert service.lines(f"{SITE}/items", rows).json["accepted"] == 1300
        load(service, SITE, [{"type": "vote", "item": name, "visitor": "v"} for name in names])
        kept = wait_until(lambda: cut(sets(service), names), 20, "the set is cut")
        vote(service, names[0], "w")
        assert service.lines(f"{SITE}/items", [{"item": name, "author": "Prolific", "published_at": at}
                                               for name, at in (("old", now - 20000), ("new", now))]).json["accepted"] == 2
        load(service, SITE, [{"type": "vote", "item": name, "visitor": "v"} for name in ("old", "new")])
        wait_until(lambda: sets(service) == [sorted([*kept, "new"])], 10, "the newer one is there, the older one is not")
    finally:
        service.stop()


def test_items_of_earlier_data_are_found_by_the_author_in_their_card(running):
    """Data of format 3 has the author in the card alone, and no sets of authors: a rebuild makes them."""
    for item in "abc":
        put(running, item, author="One Name", categories=["sea"] if item == "a" else [])
    load(running, SITE, [{"type": "vote", "item": item, "visitor": "v"} for item in "ab"])
    becomes(running, [["a", "b"]])
    store, mark = redis_of(running), b"\x1eOne Name"
    for key in store.scan_iter("{e*}i????????????????", 1000):
        record = store.get(key)
        at = record.index(mark)
        groups, voters = struct.unpack("<H", record[at - 2 - (b"sea" in record) * 3:][:2])[0], struct.unpack("<H", record[5:7])[0]
        begin = at - groups + len(mark)
        store.set(key, record[:5] + struct.pack("<H", voters - len(mark)) + record[7:begin - 2] + struct.pack("<H", groups - len(mark))
                  + record[begin:at] + record[at + len(mark):])
    store.delete(*store.scan_iter("{e*}r*:.author:*", 1000))
    for key in store.scan_iter("{e*}pos", 1000):
        store.hset(key, "plan", "of-format-3")
    (projector,) = running.children("projector")
    os.kill(projector, signal.SIGKILL)
    wait_until(lambda: sets(running) == [["a", "b"]], 30, "the rebuild has found the authors")
    assert sorted(ids(running.get(f"{SITE}/rankings/top?author=One+Name"))) == ["a", "b"]
    assert ids(running.get(f"{SITE}/rankings/top?author=One+Name&category=sea")) == ["a"]
    vote(running, "c")
    becomes(running, [["a", "b", "c"]])
