# SPDX-License-Identifier: MIT
"""Row 15 of docs/faults.md: wrong types, corrupt values and junk under every kind of key. The item is an error or is
left out, the log says so, and everything else goes on."""
import contextlib
import json
import math

import pytest

from support.fault_calls import call, vote
from support.fault_service import FaultService, item_id
from support.redis_server import RedisServer
from support.scripted_redis import ScriptedRedis, answer
from support.wait import wait_until

PARTITIONS = 2  # so that the bad thing and a good neighbour share one


@contextlib.contextmanager
def serving():
    with RedisServer() as server, FaultService(server, partitions=PARTITIONS, refresh_interval="100ms") as service:
        service.start_projector()
        for item in ("bad", "good", "other", "fourth"):
            card = json.dumps({"title": item, "url": f"/{item}", "categories": ["news"]})
            assert call(service, "PUT", f"/v1/s/items/{item}", card)[0] in (200, 201, 204)
            for n in range(3):
                assert vote(service, item, f"v{n}")[0] == 200
                assert call(service, "POST", f"/v1/s/items/{item}/views", visitor=f"v{n}")[0] == 202
        wait_until(lambda: shown(service, "other") == 3, 10, "projected")
        yield server.client(), service


@contextlib.contextmanager
def scripted(**settings):
    with ScriptedRedis() as redis, FaultService(redis, partitions=PARTITIONS, **settings) as service:
        service.start_projector()
        yield redis, service


def get(service, path):
    status, _, text, _ = call(service, "GET", path)
    return status, json.loads(text)


def shown(service, item):
    status, answer = get(service, "/v1/s/rankings/top")
    found = [entry for entry in answer["items"] if entry["item"] == item] if status == 200 else []
    return found[0]["votes"]["up"] if found else None


def item_key(client, item):
    return next(key for key in client.scan_iter("{*}i*") if client.type(key) == b"string" and item_id(client.get(key)) == item)


def keys_of(client, letter, item="bad"):
    """The keys of an item's reference, of one letter."""
    tag, rest = item_key(client, item).decode().split("}i")
    return [key for key in client.scan_iter("*") if key.decode().startswith(f"{tag}}}{letter}{rest}")]


def make_foreign(client, key):
    kind = client.type(key)
    client.delete(key)
    client.set(key, "foreign") if kind != b"string" else client.rpush(key, "foreign")


def renew_projector(service):
    """One that remembers nothing of what was there before."""
    service.projectors[-1].kill()
    service.projectors[-1].wait()
    service.start_projector()


def the_rest_goes_on(service, visitor):
    status, _, text, _ = vote(service, "other", visitor)
    assert status == 200
    count = json.loads(text)["votes"]["up"]
    wait_until(lambda: all(shown(service, "other") == count for _ in range(6)), 10, "others are counted and projected")
    assert get(service, "/v1/s/items/good")[0] == 200
    assert get(service, "/v1/s/items/good/related")[0] == 200
    lines = [line for line in service.log().splitlines() if " error: " in line or " warn: " in line]
    assert len(lines) < 60, lines[:5]


@pytest.mark.parametrize("letter", ["i", "c", "v", "s", "n", "u"])
def test_row_15_a_foreign_type_under_an_items_key_is_that_items_trouble_alone(letter):
    with serving() as (client, service):
        for n in range(40 if letter == "v" else 0):  # so many that they leave the item
            assert vote(service, "bad", f"many{n}")[0] == 200
        wait_until(lambda: keys_of(client, letter), 10, "there is such a key")
        for key in keys_of(client, letter):
            make_foreign(client, key)
        renew_projector(service)
        status = vote(service, "bad", "w")[0]
        assert status == (500 if letter in "iv" else 200)
        call(service, "POST", "/v1/s/items/bad/views", visitor="w")
        wait_until(lambda: get(service, "/v1/s/items/bad")[0] == (500 if letter in "icsu" else 200), 10, "what was read before is old")
        assert get(service, "/v1/s/items/bad/page")[0] in (200, 500)
        the_rest_goes_on(service, f"after {letter}")
        assert vote(service, "good", "w")[0] == 200


def test_row_15_a_card_that_is_no_json_spoils_no_list():
    with serving() as (client, service):
        for junk in (b'"title":"cut', b'"title":"x"},{"item":"smuggled"', b"\xff\xfe", b'"a":NaN'):
            client.set(keys_of(client, "c")[0], junk)
            assert vote(service, "bad", junk.hex())[0] == 200
            for path in ("rankings/top", "items?id=bad&id=good", "items/good/related", "items/good/page"):
                status, answer = get(service, f"/v1/s/{path}")
                assert status == 200 and "smuggled" not in json.dumps(answer)
            assert get(service, "/v1/s/items/bad")[0] in (200, 500)
        the_rest_goes_on(service, "after the card")


def test_row_15_junk_in_rankings_is_left_out():
    with serving() as (client, service):
        for key in [key for key in client.scan_iter("*") if b"}r" in key and b":top" in key]:
            client.execute_command("ZADD", key, "-inf", "first", "inf", "last", "-1e308", b"\xff\xfe", "-5", "")
        the_rest_goes_on(service, "after the junk")
        status, answer = get(service, "/v1/s/rankings/top")
        assert status == 200 and {entry["item"] for entry in answer["items"]} >= {"bad", "good", "other", "fourth"}


ODD_SCORES = ["nan", "-nan", "NAN(7)", "inf", "-inf", "1e999", "", "0x1p3", "none", "-1e-999"]


def test_row_15_scores_that_are_no_numbers_leave_a_ranking_readable():
    """Redis itself never sends this; a proxy before it, or another program, may."""
    with scripted(refresh_interval="0") as (redis, service):
        for n in range(len(ODD_SCORES)):
            assert vote(service, f"odd-{n}", "v")[0] == 200
        wait_until(lambda: len(get(service, "/v1/s/rankings/top?limit=50")[1]["items"]) == len(ODD_SCORES), 10, "projected")
        words = [word for n, score in enumerate(ODD_SCORES) for word in (f"odd-{n}", score)] + ["nan", "-1", "inf", "-2"]
        raw = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        redis.rule("zrange", answer(raw.encode()))
        for path in ("rankings/top", "rankings/hot", "rankings/rising", "items/odd-1/related", "items/odd-1/page"):
            status, shown_now = get(service, f"/v1/s/{path}")
            assert status == 200
            boxes = [shown_now] if "items" in shown_now else [shown_now[name] for name in ("related", "ranking", "recommendation")]
            for entry in (entry for box in boxes for entry in box["items"]):
                assert isinstance(entry["score"], (int, float)) and math.isfinite(entry["score"]), entry
        redis.obey_redis()
        assert len(get(service, "/v1/s/rankings/top?limit=50")[1]["items"]) == len(ODD_SCORES)
        assert vote(service, "odd-0", "w")[0] == 200


def test_row_15_what_is_not_usable_is_said_once_and_not_with_every_read():
    with serving() as (client, service):
        make_foreign(client, item_key(client, "bad"))
        for n in range(150):
            assert vote(service, "bad", f"x{n}")[0] == 500
            get(service, f"/v1/s/rankings/top?exclude=none-{n}")
        lines = [line for line in service.log().splitlines() if " error: " in line]
        assert 1 <= len(lines) <= 2 * 3, lines[:10]  # of each worker and kind one in ten seconds; the projector's


@pytest.mark.parametrize("part", ["r", "t", "e", "h", "dead", "floor"])
def test_row_15_a_foreign_type_under_a_shared_key_stops_nothing_else(part):
    with serving() as (client, service):
        tag = item_key(client, "bad").decode().split("}")[0] + "}"
        touched = [key for key in client.scan_iter("*") if key.decode().startswith(tag + part)] or [f"{tag}{part}".encode()]
        for key in touched:
            make_foreign(client, key)
        vote(service, "bad", "w")
        call(service, "POST", "/v1/s/items/bad/views", visitor="w")
        wait_until(lambda: vote(service, "other", f"x{part}")[0] == 200, 5, "votes are taken")
        assert get(service, "/v1/s/items/good")[0] == 200
        for path in ("rankings/top", "rankings/hot", "items/good/related", "items/good/page"):
            assert get(service, f"/v1/s/{path}")[0] in (200, 500)
        assert call(service, "GET", "/healthz")[0] == 200


def test_row_15_a_poisoned_entry_is_set_aside_and_counted_and_blocks_nothing():
    with serving() as (client, service):
        logs = [key for key in client.scan_iter("*") if key.endswith(b"}log")]
        poison = [{"1": b""}, {"1": b"short"}, {"1": b"\0" * 8 + b"V\x01"}, {"1": b"\0" * 8 + b"?unknown"}, {"2": b"another format"},
                  {"1": b"\xff" * 300}, {"x": b"y", "1": b"z"}]
        for log in logs:
            for fields in poison:
                client.xadd(log, fields)
        the_rest_goes_on(service, "after the poison")
        text = call_ops(service, "/metrics")
        count = sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("engaged_bad_log_entries_total "))
        assert "set aside" in service.log() or count > 0


def call_ops(service, path):
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", service.ops_port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def test_row_15_states_of_an_unknown_version_are_left_alone_and_said():
    with serving() as (client, service):
        for letter in "sn":
            for key in keys_of(client, letter):
                client.set(key, b"\xfe" + client.get(key)[1:])
        renew_projector(service)
        kept = {key: client.get(key) for letter in "sn" for key in keys_of(client, letter)}
        assert vote(service, "bad", "w")[0] == 200
        call(service, "POST", "/v1/s/items/bad/views", visitor="w")
        the_rest_goes_on(service, "after the version")
        assert {key: client.get(key) for key in kept} == kept
        wait_until(lambda: "cannot be read" in service.log(), 10, "it is said")


@pytest.mark.parametrize("part", ["log", "sums", "pos"])
def test_row_15_a_foreign_type_under_a_partitions_own_key_is_said_and_reads_go_on(part):
    with serving() as (client, service):
        tag = item_key(client, "bad").decode().split("}")[0] + "}"
        make_foreign(client, f"{tag}{part}")
        assert vote(service, "bad", "w")[0] == (500 if part == "log" else 200)
        assert call(service, "GET", "/v1/s/rankings/top")[0] == 200
        wait_until(lambda: tag in service.log() or "WRONGTYPE" in service.log(), 10, "it is said")
        lines = service.log().count("WRONGTYPE")
        assert lines < 100
        client.delete(f"{tag}{part}")
        the_rest_goes_on(service, "after it is gone")
