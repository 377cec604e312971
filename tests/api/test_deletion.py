# SPDX-License-Identifier: MIT
"""DELETE and import of an item: everything acknowledged before it is gone, and everything sent after its answer counts.
This holds exactly, whatever is in the logs, whichever process is killed or frozen, and when memory is full."""
import itertools
import json
import os
import random
import signal
import statistics
import struct
import time

import pytest
import redis
from support.beside import Beside
from support.packed import unpack_sums
from support.service import Service
from support.wait import wait_until

SITE = "/v1/paper.example"
numbers = itertools.count()


@pytest.fixture(scope="module")
def preset():
    """Intervals as they are preset: a quarter of a second, and a minute for co-views."""
    running = Service(workers=2, projection_interval="250ms", neighbour_interval="60s")
    yield running
    running.stop()


@pytest.fixture
def fresh():
    made = []

    def make(**settings):
        made.append(Service(**{"workers": 2, "projection_interval": "250ms", "neighbour_interval": "60s", **settings}))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.stop()


def store(service):
    return redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))


def reader():
    return f"reader-{next(numbers)}"


def view(service, item, visitor=None):
    answer = service.keyed("POST", f"{SITE}/items/{item}/views", Engaged_Visitor=visitor or reader())
    assert answer.status == 202 and answer.json["counted"], (answer.status, answer.body)


def vote(service, item, kind="up"):
    answer = service.keyed("POST", f"{SITE}/items/{item}/votes", {"kind": kind}, Engaged_Visitor=reader())
    assert answer.status == 200, answer.body
    return answer.json


def put(service, item, title="A title"):
    assert service.keyed("PUT", f"{SITE}/items/{item}", {"title": title}).status == 200


def delete(service, item):
    answer = service.keyed("DELETE", f"{SITE}/items/{item}")
    assert answer.status == 204, answer.body


def settle(service):
    """All that was acknowledged is projected."""
    line = {"type": "view", "item": "settled", "visitor": reader()}
    assert service.lines(f"{SITE}/events?wait=true", [line]).json["accepted"] == 1


def item(service, name):
    return service.get(f"{SITE}/items/{name}").json


def counts(service, name):
    row = item(service, name)
    return row["views"], row["visitors"], row["votes"]["up"]


def total_views(service):
    """The views of all sites, as their totals hold them. One that has none left is there for its series, and fades."""
    counted = 0
    for key in store(service).keys("*}t*"):
        views = unpack_sums(store(service).get(key)).get(8, (0,))[0]
        assert views or 36 * 86400000 < store(service).pttl(key) <= 37 * 86400000, key
        counted += views
    return counted


# ---- What counts


@pytest.mark.contract("DELETE /v1/{site}/items/{item}", "It erases all that was acknowledged")
def test_views_after_the_answer_all_count(preset):
    names = [f"after-{number}" for number in range(60)]
    for name in names:
        view(preset, name)
        delete(preset, name)
        view(preset, name)
        vote(preset, name)
    settle(preset)
    assert [counts(preset, name) for name in names] == [(1, 1, 1)] * len(names)


@pytest.mark.contract("DELETE /v1/{site}/items/{item}", "It erases all that was acknowledged")
def test_views_and_votes_before_the_call_never_count_again(preset):
    names = [f"before-{number}" for number in range(20)]
    for name in names:
        put(preset, name)
        for _ in range(3):
            view(preset, name)
            vote(preset, name)
        delete(preset, name)
    settle(preset)
    assert [counts(preset, name) for name in names] == [(0, 0, 0)] * len(names)
    assert all("title" not in item(preset, name) for name in names)


def test_views_beside_it_count_once_or_not_at_all_and_the_others_exactly(preset):
    """Readers of ten items, each of which is deleted again and again: every count is within what can have been in place."""
    names = [f"beside-{number}" for number in range(10)]
    views, deletions, until = {name: [] for name in names}, {name: [] for name in names}, time.monotonic() + 4

    def read():
        while time.monotonic() < until:
            name, began = random.choice(names), time.monotonic()
            view(preset, name)
            views[name].append((began, time.monotonic()))

    def erase(name):
        while time.monotonic() < until:
            time.sleep(random.uniform(0.1, 0.9))
            began = time.monotonic()
            delete(preset, name)
            deletions[name].append((began, time.monotonic()))

    with Beside(*[read] * 8, *(lambda name=name: erase(name) for name in 2 * names)):
        pass
    settle(preset)
    for name in names:
        least = sum(all(began > end for _, end in deletions[name]) for began, _ in views[name])
        most = sum(not any(end < began for began, _ in deletions[name]) for _, end in views[name])
        found = item(preset, name)
        assert least <= found["views"] <= most and found["visitors"] == found["views"], (name, least, found, most)
    for name in names:
        delete(preset, name)
        view(preset, name)
    settle(preset)
    assert [counts(preset, name) for name in names] == [(1, 1, 0)] * len(names)


def test_two_deletions_at_once_with_a_view_between(preset):
    for number in range(10):
        name = f"twice-{number}"
        view(preset, name)
        with Beside(*2 * [lambda name=name: delete(preset, name)]):
            view(preset, name)
        settle(preset)
        assert counts(preset, name) in ((0, 0, 0), (1, 1, 0))
        view(preset, name)
        settle(preset)
        assert counts(preset, name) in ((1, 1, 0), (2, 2, 0))


def test_votes_are_erased_with_all_voters_and_may_be_given_again(preset):
    events = [{"type": "vote", "item": "crowd", "visitor": f"v{number}"} for number in range(600)]
    assert preset.lines(f"{SITE}/events", events).json["accepted"] == 600
    assert any(b":" in key for key in store(preset).keys("*v*:*"))
    delete(preset, "crowd")
    assert not store(preset).keys("*}v*:*")  # a voter left there would be one who has voted once the item is split again
    assert preset.lines(f"{SITE}/events?wait=true", events[:5]).json["accepted"] == 5
    assert counts(preset, "crowd") == (0, 0, 5)
    rows = preset.get(f"{SITE}/rankings/top?limit=100").json["items"]
    assert [row["score"] for row in rows if row["item"] == "crowd"] in ([], [5])


def test_what_was_never_there_is_deleted_too_in_a_store_without_a_log(fresh):
    service = fresh()
    delete(service, "nothing")
    delete(service, "nothing")
    view(service, "nothing")
    settle(service)
    assert counts(service, "nothing") == (1, 1, 0)


# ---- What is left of it


def test_nothing_of_it_is_left_in_redis_or_in_lists(fresh):
    service = fresh(projection_interval="5ms", neighbour_interval="0")
    put(service, "stays")
    before = {key for key in store(service).keys("*") if not key.endswith(b"log")}
    put(service, "goes")
    for _ in range(3):
        view(service, "goes")
        vote(service, "goes")
    settle(service)
    assert any(row["item"] == "goes" for row in service.get(f"{SITE}/rankings/hot").json["items"])
    assert total_views(service) == 4
    delete(service, "goes")
    settle(service)
    assert total_views(service) == 2
    delete(service, "settled")
    wait_until(lambda: [row["item"] for row in service.get(f"{SITE}/rankings/hot").json["items"]] == [])
    wait_until(lambda: [row["item"] for row in service.get(f"{SITE}/items/x/related").json["items"]] == ["stays"])

    def left():
        keys = {key for key in store(service).keys("{e*") if not key.endswith((b"log", b"pos", b"sums", b"near", b"gone", b"periods"))}
        return {key for key in keys - before if key[key.index(b"}") + 1:][:1] not in (b"h", b"a", b"t")}

    wait_until(lambda: not left(), what=left)
    # The site's total, whose only views they were, is there for its series, until it fades.
    wait_until(lambda: total_views(service) == 0)


def test_it_leaves_the_lists_at_once_whatever_the_interval(fresh):
    service, took = fresh(projection_interval="1s"), []

    def is_listed():
        return any(row["item"] == "listed" for row in service.get(f"{SITE}/rankings/top").json["items"])

    for _ in range(5):
        vote(service, "listed")
        settle(service)
        assert is_listed()
        delete(service, "listed")
        began = time.monotonic()
        wait_until(lambda: not is_listed())
        took.append(time.monotonic() - began)
    assert statistics.median(took) < 0.3, took


def test_newest_cards_unique_visitors_and_both_versions(fresh):
    """What only the store shows: the script moves the versions of both projections, as it takes away what they have read."""
    service = fresh()

    def versions():
        return {key: store(service).hget(key, "version") for key in store(service).keys("*}near") + store(service).keys("*}sums")}

    put(service, "card")
    for visitor in ("one", "two", "three"):  # the sketch begins with the third
        view(service, "card", visitor)
    settle(service)
    assert store(service).keys("*}u*") and store(service).keys("*.newest")
    (key,) = [key for key in store(service).keys("*}c*")]
    tag, before = key[:key.index(b"}") + 1], versions()
    delete(service, "card")
    after = versions()
    for name in (b"sums", b"near"):
        assert before.get(tag + name) != after[tag + name]
    assert not store(service).keys("*.newest") and len(store(service).keys("*}u*")) <= 1  # that of `settle`
    view(service, "card", "two")
    view(service, "card", "three")
    settle(service)
    assert counts(service, "card") == (2, 2, 0)


def test_its_neighbours_do_not_name_it_any_more(fresh):
    service = fresh(neighbour_interval="0", projection_interval="5ms")
    for _ in range(6):
        person = reader()
        for name in ("old", "kept", "other"):
            view(service, name, person)
    settle(service)

    def related(name):
        return {row["item"]: row["score"] for row in service.get(f"{SITE}/items/{name}/related").json["items"]
                if row["reason"] == "related"}

    assert set(related("kept")) == {"old", "other"}
    delete(service, "old")
    view(service, "old")
    settle(service)
    assert related("old") == {}
    assert set(related("kept")) == {"other"} and set(related("other")) == {"kept"}


# ---- When it cannot be had


@pytest.mark.contract("DELETE /v1/{site}/items/{item}", "503 when the projector is behind")
def test_with_a_frozen_projector_deletion_is_503_hidden_and_safe_to_repeat(fresh):
    service = fresh(redis_timeout="500ms", hang_timeout="0")
    put(service, "held", "Take me down")
    vote(service, "held")
    view(service, "held")
    settle(service)

    def is_listed():
        return any(row["item"] == "held" for row in service.get(f"{SITE}/rankings/top").json["items"])

    assert is_listed()
    (projector,) = service.children("projector")
    os.kill(projector, signal.SIGSTOP)
    try:
        view(service, "held")
        began = time.monotonic()
        answer = service.keyed("DELETE", f"{SITE}/items/held")
        assert answer.status == 503 and answer.json["code"] == "unavailable" and "retry-after" in answer.headers
        assert answer.json["detail"] == "the item is hidden, but its counts are not erased yet: send it again"
        assert 0.4 < time.monotonic() - began < 3
        row = item(service, "held")
        assert "title" not in row and row["votes"] == {"up": 0}
        wait_until(lambda: not is_listed())
        assert vote(service, "held")["votes"] == {"up": 1}
        assert service.keyed("DELETE", f"{SITE}/items/held").status == 503
    finally:
        os.kill(projector, signal.SIGCONT)
    assert vote(service, "held")["votes"] == {"up": 1}
    settle(service)
    assert counts(service, "held")[::2] == (2, 1)  # not deleted: the views are as they were, the last vote counts
    delete(service, "held")
    view(service, "held")
    settle(service)
    assert counts(service, "held") == (1, 1, 0)


def test_a_worker_that_dies_in_the_middle_leaves_views_and_votes_exact(fresh):
    service = fresh(workers=1, hang_timeout="0")
    view(service, "half")
    vote(service, "half")
    (projector,), (worker,) = service.children("projector"), service.children("worker")
    os.kill(projector, signal.SIGSTOP)
    view(service, "half")
    failed = []

    def try_to_delete():
        try:
            failed.append(service.keyed("DELETE", f"{SITE}/items/half").status)
        except OSError as error:
            failed.append(error)

    with Beside(try_to_delete):
        wait_until(lambda: store(service).keys("*}i*") == [])  # hidden
        os.kill(worker, signal.SIGKILL)
        os.kill(projector, signal.SIGCONT)
    assert failed and failed != [204]
    wait_until(lambda: service.children("worker") not in ([], [worker]))
    wait_until(service.is_ready)
    vote(service, "half")
    settle(service)
    assert counts(service, "half")[::2] == (2, 1)
    delete(service, "half")
    vote(service, "half")
    settle(service)
    assert counts(service, "half") == (0, 0, 1)


def test_it_works_at_the_memory_limit(fresh):
    """Writes are 503, deleting is not: an article of many voters, one with views that are not projected, and oneself."""
    service = fresh()
    put(service, "full")
    events = [{"type": "vote", "item": "full", "visitor": f"v{number}"} for number in range(300)]
    assert service.lines(f"{SITE}/events?wait=true", events).json["accepted"] == 300
    token = service.post(f"{SITE}/visitors").json["visitor"]
    assert service.post(f"{SITE}/items/mine/votes", Engaged_Visitor=token).status == 200
    for name in ("full", "full", "late"):
        view(service, name)
    wait_until(lambda: "the embedded Redis may use" in service.log())  # the supervisor has set its own limit
    assert store(service).config_set("maxmemory", "1mb")
    try:
        assert service.keyed("POST", f"{SITE}/items/x/votes", Engaged_Visitor="v").status == 503
        delete(service, "full")
        delete(service, "late")
        assert counts(service, "full") == counts(service, "late") == (0, 0, 0)
        assert service.request("DELETE", f"{SITE}/me", Engaged_Visitor=token).status == 202
        assert service.keyed("POST", f"{SITE}/items/full/votes", Engaged_Visitor="v").status == 503
    finally:
        store(service).config_set("maxmemory", "0")
    view(service, "full")
    settle(service)
    assert counts(service, "full") == (1, 1, 0)
    wait_until(lambda: item(service, "mine")["votes"] == {"up": 0})


def forget_plans(client):
    for key in client.scan_iter("{e*}pos"):
        client.hdel(key, "plan")


@pytest.mark.parametrize("before", [
    lambda client: time.sleep(5),
    lambda client: client.client_kill_filter(_type="normal"),
    lambda client: (forget_plans(client), client.client_kill_filter(_type="normal")),
], ids=["for longer than a claim holds", "over new connections", "while rankings are to be refilled"])
def test_projectors_go_on_at_the_memory_limit(fresh, before):
    """Who deletes waits for them: they claim, do the handshake, and begin a rebuild, all of which write."""
    service = fresh()
    put(service, "stays")
    settle(service)
    view(service, "stays")
    wait_until(lambda: "the embedded Redis may use" in service.log())
    assert store(service).config_set("maxmemory", "1mb")
    try:
        before(store(service))
        wait_until(service.is_ready, 10, service.log)
        assert service.keyed("POST", f"{SITE}/items/x/votes", Engaged_Visitor="v").status == 503
        wait_until(lambda: service.keyed("DELETE", f"{SITE}/items/stays").status in (204, 404), 10, service.log)
        assert all(store(service).hget(key, "plan") for key in store(service).scan_iter("{e*}pos"))
    finally:
        store(service).config_set("maxmemory", "0")


def test_it_works_with_more_partitions_than_the_queue_of_redis_has_places(fresh):
    service = fresh(workers=1, redis_queue="64", partitions="128")
    for name in ("one", "two"):
        put(service, name)
        view(service, name, "reader of both")
        delete(service, name)
        view(service, name, "reader of both")
    settle(service)
    assert counts(service, "one")[0] == counts(service, "two")[0] == 1


def test_one_item_takes_less_than_a_tenth_of_a_second(preset):
    took = []
    for number in range(15):
        name = f"quick-{number}"
        view(preset, name)
        time.sleep(0.05)
        began = time.monotonic()
        delete(preset, name)
        took.append(time.monotonic() - began)
    assert statistics.median(took) < 0.1, took


# ---- Imports


def export(service):
    lines = service.keyed("GET", f"{SITE}/export").body.decode().splitlines()
    assert json.loads(lines[-1])["type"] == "end"
    return lines[:-1]


def take(service, lines, wait="?wait=true"):
    answer = service.keyed("POST", f"{SITE}/import{wait}", "\n".join(lines).encode(), Content_Type="application/x-ndjson")
    assert answer.status == 200 and answer.json == {"accepted": len(lines), "rejected": []}, answer.body[:500]


def test_views_after_an_import_add_to_it_whatever_log_they_are_in(fresh):
    service = fresh()
    names = [f"i{number}" for number in range(100)]
    for name in names:
        view(service, name)
        vote(service, name)
    settle(service)
    lines = [line for line in export(service) if '"item":"settled"' not in line]
    for name in names:
        delete(service, name)
    for name in names[:50]:
        view(service, name)  # acknowledged before: what the import says takes its place
    take(service, lines, "")
    for name in names:
        view(service, name)
    settle(service)
    # Of some ten thousand pairs of visitors one has the same register (model/sketch.h) and counts as one visitor.
    found = [counts(service, name) for name in names]
    assert [(views, votes) for views, _, votes in found] == [(2, 1)] * len(names)
    assert sum(visitors for _, visitors, _ in found) >= 2 * len(names) - 3
    assert total_views(service) == 202
    take(service, lines)
    assert [counts(service, name) for name in names] == [(1, 1, 1)] * len(names)
    assert total_views(service) == 102


def test_an_import_under_views_and_votes_counts_each_once_or_not_at_all(fresh):
    service = fresh(projection_interval="5ms")
    names = [f"u{number}" for number in range(100)]
    lines = []
    for name in names:
        view(service, name)
    settle(service)
    lines = [line for line in export(service) if '"item":"u' in line]
    counted = {name: 0 for name in names}

    def read():
        while not readers.over.is_set():
            name = random.choice(names)
            view(service, name)
            vote(service, name)
            counted[name] += 1

    readers = Beside(read)
    with readers:
        for _ in range(5):
            take(service, lines, "")
    settle(service)
    for name in names:
        views, visitors, votes = counts(service, name)
        assert 1 <= views <= 1 + counted[name] and visitors == views and votes == counted[name]
    rows = [row for row in service.get(f"{SITE}/rankings/top?limit=100").json["items"] if row["item"] != "settled"]
    assert len(rows) >= 99  # a vote is worth one there, a view a tenth
    for row in rows:
        assert abs(row["score"] - row["votes"]["up"] - row["views"] / 10) < 1e-6, row
    assert total_views(service) == sum(counts(service, name)[0] for name in [*names, "settled"])


def test_an_empty_card_is_a_card_after_the_round_trip(fresh):
    service = fresh(unknown_items="reject", hash_key="5a" * 32)
    assert service.keyed("PUT", f"{SITE}/items/bare", {}).status == 200
    lines = export(service)
    other = fresh(unknown_items="reject", hash_key="5a" * 32)
    take(other, lines)
    assert other.keyed("POST", f"{SITE}/items/bare/votes", Engaged_Visitor="v").status == 200
    assert export(other)[0] == lines[0]


def test_a_card_without_a_date_keeps_its_place_among_the_newest(fresh):
    service = fresh(projection_interval="5ms")
    for name in ("first", "second"):
        put(service, name)
        time.sleep(0.02)
    take(service, [line for line in export(service) if '"item":"first"' in line])
    names = [row["item"] for row in service.get(f"{SITE}/items/x/related").json["items"]]
    assert names == ["second", "first"]


def test_a_sketch_that_redis_could_stumble_over_is_refused(preset):
    good = b"HYLL\1" + bytes(10) + b"\x80" + b"\x7f\xff"
    for bad in (good[:-1], good + b"\x7f\xff", good[:16] + b"\x7f\xfe", b"HYLL\0" + bytes(11), b"HYLX" + good[4:], good[:16],
                b"HYLL" + bytes(12) + b"\xff" * 12288):
        line = json.dumps({"type": "item", "item": "sketch", "visitor_sketch": bad.hex()})
        answer = preset.keyed("POST", f"{SITE}/import", line.encode(), Content_Type="application/x-ndjson")
        assert answer.json["rejected"] == [{"line": 1, "code": "bad_field"}], bad
    take(preset, [json.dumps({"type": "item", "item": "sketch", "visitor_sketch": good.hex()})])


def test_an_import_waits_for_the_projectors_once_a_call(fresh):
    """A thousand items a second: nothing is waited for item by item."""
    service = fresh()
    lines = [json.dumps({"type": "item", "item": f"n{number}", "title": f"Title {number}"}) for number in range(3000)]
    view(service, "n1")
    began = time.monotonic()
    take(service, lines, "")
    assert time.monotonic() - began < 3


# ---- Every bucket of voters is exported


def test_all_voters_of_a_split_item_are_exported(fresh):
    service = fresh(hash_key="5a" * 32)
    events = [{"type": "vote", "item": "crowd", "visitor": f"v{number}"} for number in range(5000)]
    assert service.lines(f"{SITE}/events?wait=true", events).json["accepted"] == 5000
    wait_until(lambda: len([key for key in store(service).keys("*}v*:*")]) > 4)
    lines = export(service)
    assert len({json.loads(line)["voter"] for line in lines if '"type":"vote"' in line}) == 5000
    other = fresh(hash_key="5a" * 32)
    take(other, lines)
    assert counts(other, "crowd") == (0, 0, 5000)


# ---- Data of format 2


def test_a_tombstone_of_format_2_is_honoured(fresh):
    """A deletion and views as the version before logged them, not projected yet when this one starts."""
    service = fresh(projection_interval="5ms", neighbour_interval="0")
    vote(service, "old")
    view(service, "old")
    settle(service)
    keys = [key for key in store(service).keys("*}i*") if b"old" in store(service).get(key)]
    tag, ref = keys[0].split(b"}i")
    tag, ref = tag + b"}", int(ref, 16).to_bytes(8, "little")
    now = time.time() * 1000
    name = bytes([len("paper.example")]) + b"paper.example" + len("old").to_bytes(2, "little") + b"old"

    def moment(ms):
        return struct.pack("<d", ms)

    def view_record(ms):
        return b"W" + ref + (77 + int(ms - now)).to_bytes(8, "little") + moment(ms) + name + b"\0"

    store(service).zadd(tag + b"dead", {ref: now})
    for projection in (b"sums", b"near"):
        store(service).hincrby(tag + projection, "version", 1)
    for entry in (moment(now - 1) + view_record(now - 1), moment(now + 1) + view_record(now + 1),
                  moment(now) + b"D" + ref + name + b"\0\0"):
        store(service).xadd(tag + b"log", {"1": entry})
    settle(service)
    assert (item(service, "old")["views"], item(service, "old")["visitors"]) == (1, 1)
    delete(service, "old")
    assert store(service).zscore(tag + b"dead", ref) is None
    view(service, "old")
    settle(service)
    assert counts(service, "old") == (1, 1, 0)


def test_an_import_of_format_2_is_honoured(fresh):
    """Its record in the log, as the version before wrote it, says what the views are."""
    service = fresh(projection_interval="5ms", neighbour_interval="0")
    for _ in range(4):
        view(service, "set")
    settle(service)
    (line,) = [json.loads(line) for line in export(service) if '"item":"set"' in line]
    for _ in range(3):
        view(service, "set")
    settle(service)
    (key,) = [key for key in store(service).keys("*}i*") if b"set" in store(service).get(key)[:40]
              and b"settled" not in store(service).get(key)]
    tag, ref = key.split(b"}i")
    sums = bytes.fromhex(line["view_sums"])
    name = bytes([len("paper.example")]) + b"paper.example" + len("set").to_bytes(2, "little") + b"set"
    entry = struct.pack("<d", time.time() * 1000) + b"I" + int(ref, 16).to_bytes(8, "little") + name
    store(service).xadd(tag + b"}log", {"1": entry + len(sums).to_bytes(2, "little") + sums})
    settle(service)
    assert item(service, "set")["views"] == 4
    settle(service)
    assert total_views(service) == 4 + 4  # and those of `settle`


def test_a_tombstone_of_format_2_does_not_take_what_is_imported(fresh):
    service = fresh(projection_interval="5ms", neighbour_interval="0")
    for _ in range(3):
        view(service, "back")
    settle(service)
    lines = [line for line in export(service) if '"item":"back"' in line]
    (key,) = [key for key in store(service).keys("*}i*") if b"back" in store(service).get(key)]
    delete(service, "back")
    tag, ref = key.split(b"}i")
    store(service).zadd(tag + b"}dead", {int(ref, 16).to_bytes(8, "little"): time.time() * 1000 - 60000})
    take(service, lines)
    view(service, "back")
    settle(service)
    assert counts(service, "back") == (4, 4, 0)
    assert not store(service).exists(tag + b"}dead")


# ---- Readers of before


def test_a_reader_of_before_counts_again_once(preset):
    """Histories keep what was deleted; its readers read another article now, within the view window too."""
    def read(visitor, **headers):
        return preset.keyed("POST", f"{SITE}/items/reread/views", Engaged_Visitor=visitor, **headers).json["counted"]

    first, quiet, other = reader(), reader(), reader()
    assert read(first) and read(quiet, DNT="1") and not read(first) and not read(quiet)
    view(preset, "beside-it", first)
    delete(preset, "reread")
    assert read(first) and read(quiet, DNT="1") and read(other)
    assert not read(first) and not read(quiet) and not read(quiet, DNT="1") and not read(other)
    assert not preset.keyed("POST", f"{SITE}/items/beside-it/views", Engaged_Visitor=first).json["counted"]
    settle(preset)
    assert counts(preset, "reread") == (3, 3, 0)


def test_events_of_before_are_safe_to_repeat_after_a_deletion(preset):
    lines = [{"type": "view", "item": "past", "visitor": "p", "time": int(time.time()) - 600}]
    for _ in range(2):
        preset.lines(f"{SITE}/events", lines)
    delete(preset, "past")
    for _ in range(3):
        preset.lines(f"{SITE}/events?wait=true", lines)
    assert counts(preset, "past")[0] <= 1


def test_what_was_deleted_is_remembered_for_one_view_window(fresh):
    service = fresh(view_window="1s", projection_interval="5ms")
    for name in ("a", "b"):
        delete(service, name)
    assert {store(service).zcard(key) for key in store(service).keys("*}gone")} == {2}
    time.sleep(0.6)
    delete(service, "b")
    time.sleep(0.6)
    delete(service, "c")
    assert {store(service).zcard(key) for key in store(service).keys("*}gone")} == {2}
    wait_until(lambda: not store(service).keys("*}gone"))


def test_the_newest_4096_deleted_items_are_remembered(fresh):
    service = fresh()
    delete(service, "first")
    keys, now = store(service).keys("*}gone"), time.time() * 1000
    assert len(keys) == 16
    for key in keys:
        store(service).zadd(key, {f"{number:08}".encode(): now - 1000 + number / 10 for number in range(4096)})
    delete(service, "last")
    for key in keys:
        held = store(service).zrange(key, 0, -1)
        assert len(held) == 4096 and b"00000001" not in held and b"00000002" in held
