# SPDX-License-Identifier: MIT
"""What one network may do to one item, and what the networks around it may do together. Loopback is listed as a proxy here:
X-Forwarded-For says who calls."""
import os
import struct

import pytest
import redis

from support.wait import wait_until

S = "/v1/s"
OFF = {"visitor_votes_per_minute": 0, "visitor_views_per_minute": 0}


@pytest.fixture
def start(own):
    return lambda **settings: own(**{"trusted_proxies": "127.0.0.1", **settings})


def token(service):
    return service.keyed("POST", S + "/visitors").json["visitor"]


def vote(service, item, address, **headers):
    headers.setdefault("Engaged_Visitor", token(service))
    return service.post(f"{S}/items/{item}/votes", X_Forwarded_For=address, **headers)


def view(service, item, address, visitor):
    answer = service.post(f"{S}/items/{item}/views", X_Forwarded_For=address, Engaged_Visitor=visitor)
    assert answer.status == 202
    return answer.json["counted"]


def votes(service, item):
    return service.get(f"{S}/me?id={item}").json["counts"][item]["up"]


def refused(service, by):
    return service.metrics()[f'engaged_refused_total{{by="{by}"}}']


# ---- Votes on one item

def test_votes_of_one_network_on_one_item(start):
    service = start(network_item_votes_per_minute=6, network_item_votes_burst=3)
    answers = [vote(service, "a", "192.0.2.1") for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[3].json["code"] == "too_many_requests" and 9 <= int(answers[3].headers["retry-after"]) <= 10
    assert votes(service, "a") == 3 and refused(service, "network_item_votes") == 2 and refused(service, "votes") == 0
    assert vote(service, "b", "192.0.2.1").status == 200  # another item
    assert vote(service, "a", "198.51.100.1").status == 200  # another network
    assert vote(service, "a", "192.0.2.1", Authorization="Bearer k").status == 200  # with the key
    assert votes(service, "a") == 5


def test_the_presets_let_a_hundred_and_twenty_vote_at_once(start):
    service = start()
    statuses = [vote(service, "a", "192.0.2.1").status for _ in range(200)]
    assert statuses[:120] == [200] * 120
    assert statuses.count(200) <= 135 and votes(service, "a") == statuses.count(200)  # a second of trying is one more


def test_a_retraction_is_no_vote_on_an_item(start):
    service = start(network_item_votes_per_minute=1, network_item_votes_burst=2, votes_per_minute=1, votes_burst=5)
    visitor = token(service)

    def call(method):
        return service.request(method, f"{S}/items/a/votes", X_Forwarded_For="192.0.2.1", Engaged_Visitor=visitor).status
    assert [call("POST"), call("DELETE"), call("DELETE"), call("DELETE")] == [200] * 4
    assert call("POST") == 200 and votes(service, "a") == 1
    assert call("DELETE") == 429  # but it is one of the network's
    assert votes(service, "a") == 1 and refused(service, "votes") == 1


def test_a_loop_on_one_item_takes_no_votes_from_its_network(start):
    service = start(network_item_votes_per_minute=1, network_item_votes_burst=1, votes_per_minute=1, votes_burst=3)
    assert [vote(service, "a", "192.0.2.1").status for _ in range(20)].count(200) == 1
    assert [vote(service, item, "192.0.2.1").status for item in "bcd"] == [200, 200, 429]


# ---- The network around

@pytest.mark.parametrize("inside, outside", [
    ([f"192.0.2.{n}" for n in (0, 1, 7, 77, 200, 255)], "192.0.3.1"),
    ([f"2001:db8:1:{n:x}::{n // 2 + 1:x}" for n in (0, 1, 0xff, 0x8000, 0xfffe, 0xffff)], "2001:db8:2::1")])
@pytest.mark.contract("Networks", "Rate limits are per network")
def test_networks_of_one_owner_share_a_wider_bound(start, inside, outside):
    service = start(network_item_votes_per_minute=6, network_item_votes_burst=1, wide_network_factor=5)
    answers = [vote(service, "a", address) for address in inside]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[5].headers["retry-after"]) <= 2  # one in two seconds: five times six a minute
    assert vote(service, "b", inside[5]).status == 200
    assert vote(service, "a", outside).status == 200
    assert votes(service, "a") == 6


def test_a_wider_network_has_eight_times_one_networks(start):
    service = start(network_item_votes_per_minute=1, network_item_votes_burst=2)
    statuses = [vote(service, "a", f"2001:db8:1:{n:x}::1").status for n in range(40)]
    assert statuses == [200] * 16 + [429] * 24


def test_a_wider_networks_votes_and_new_visitors(start):
    service = start(votes_per_minute=1, votes_burst=2, new_visitors_per_minute=1, new_visitors_burst=1, wide_network_factor=3,
                    views_per_minute=1, views_burst=1)
    assert [vote(service, f"i{n}", f"192.0.2.{n}").status for n in range(8)] == [200] * 6 + [429] * 2
    fresh = [service.post(S + "/visitors", X_Forwarded_For=f"198.51.100.{n}").status for n in range(5)]
    assert fresh == [201] * 3 + [429] * 2
    # views have none of their own: what a new visitor may, it may
    assert [view(service, "v", f"203.0.113.{n}", token(service)) for n in range(5)] == [True] * 5
    assert refused(service, "votes") == 2 and refused(service, "new_visitors") == 2


def test_without_a_factor_networks_are_apart(start):
    service = start(network_item_votes_per_minute=1, network_item_votes_burst=1, votes_per_minute=1, votes_burst=1,
                    wide_network_factor=0)
    assert {vote(service, "a", f"192.0.2.{n}").status for n in range(30)} == {200}
    assert vote(service, "a", "192.0.2.1").status == 429


# ---- Co-views

def pairs(service, name, networks, first="x", second="y"):
    """As many visitors as networks read one item after the other; all their views count."""
    for network in networks:
        visitor = token(service)
        for item in (first, second):
            assert view(service, f"{name}-{item}", network, visitor)


def left_out(service):
    return service.metrics()["engaged_coviews_left_out_total"]


def weights(service):
    """Of tables of one neighbour each: its weight, one for each reader who went from the item to it, a third for the way back."""
    store = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))
    tables = [store.get(key) for key in store.scan_iter("*}n" + 16 * "?")]
    return sorted(round(struct.unpack("<f", table[-4:])[0], 1) for table in tables)


def test_a_network_teaches_so_many_co_views_of_an_item_an_hour(start):
    service = start(network_item_coviews_per_hour=3)
    pairs(service, "one", ["192.0.2.1"] * 8)
    assert left_out(service) == 2 * 5
    pairs(service, "three", ["192.0.2.1", "198.51.100.1", "203.0.113.1"])
    pairs(service, "eight", [f"10.{n}.0.1" for n in range(8)])
    assert left_out(service) == 2 * 5
    wait_until(lambda: service.get(f"{S}/items/one-y").json["views"] == 8, 10, "all views count")
    wait_until(lambda: weights(service) == [1, 1, 2.7, 3, 3, 8], 10, lambda: str(weights(service)))
    # the history goes on all the same: what was read is not recommended
    visitor = token(service)
    assert view(service, "one-x", "192.0.2.1", visitor) and view(service, "one-y", "192.0.2.1", visitor)
    listed = service.get(S + "/me/recommendations?limit=100", Engaged_Visitor=visitor).json["items"]
    assert not {"one-x", "one-y"} & {row["item"] for row in listed}
    assert service.request("POST", f"{S}/items/one-y/views", X_Forwarded_For="192.0.2.1", Engaged_Visitor=visitor).json[
        "reason"] == "repeat"


def test_ten_by_the_presets_and_eighty_around(start):
    service = start(**OFF)
    pairs(service, "one", ["192.0.2.1"] * 12)
    assert left_out(service) == 2 * 2
    pairs(service, "wide", [f"2001:db8:1:{n:x}::1" for n in range(85)])
    assert left_out(service) == 2 * 2 + 2 * 5


def test_new_visitors_and_the_key_take_no_lessons(start):
    service = start(network_item_coviews_per_hour=1)
    for _ in range(5):
        service.post(f"{S}/items/a/views", X_Forwarded_For="192.0.2.1")  # a visitor made by this view has read nothing
        service.keyed("POST", f"{S}/items/a/views", X_Forwarded_For="192.0.2.1", Engaged_Visitor=token(service))
    assert left_out(service) == 0
    assert view(service, "a", "192.0.2.1", token(service)) and left_out(service) == 0
    assert view(service, "a", "192.0.2.1", token(service)) and left_out(service) == 1


def test_no_bound_of_lessons(start):
    service = start(network_item_coviews_per_hour=0)
    pairs(service, "one", ["192.0.2.1"] * 15)
    assert left_out(service) == 0


def test_lessons_are_shared_by_the_workers(start):
    service = start(workers=3, network_item_coviews_per_hour=5)
    wait_until(lambda: service.metrics()["engaged_processes_ready{role=\"worker\"}"] == 3, 10, "all are ready")
    pairs(service, "one", ["192.0.2.1"] * 20)
    assert left_out(service) == 2 * 15
