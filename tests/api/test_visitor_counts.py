# SPDX-License-Identifier: MIT
"""The number of an item's visitors is what Redis's PFCOUNT says of its HyperLogLog, in each of its forms."""
import pytest

from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

ITEM = "/v1/s/items/a"


@pytest.fixture(scope="module")
def service():
    with RedisServer(unix=True) as server:
        running = Service(redis=server.url, secret="11" * 32, hash_key="22" * 32, refresh_interval="0", rate_limits="off")
        running.client = server.client()
        views = [{"type": "view", "item": "a", "visitor": f"v{n}"} for n in range(3)]
        assert running.lines("/v1/s/events?wait=true", views).json["rejected"] == []
        yield running
        running.stop()


def sketch_of(service):
    (key,) = [key for key in service.client.scan_iter() if service.client.type(key) == b"string"
              and service.client.getrange(key, 0, 3) == b"HYLL"]
    return key


def test_visitors_are_those_that_pfcount_says(service):
    key, added = sketch_of(service), 0
    for wanted in (0, 1, 10, 100, 1000, 3000, 10000, 60000, 200000):
        while added < wanted:
            service.client.pfadd(key, *(f"more{n}" for n in range(added, min(added + 5000, wanted))))
            added = min(added + 5000, wanted)
        shown = service.get(ITEM).json["visitors"]
        assert shown == service.client.pfcount(key), wanted
        assert service.get(ITEM).json["visitors"] == shown  # now that Redis keeps its count in the key


def test_a_read_writes_nothing(service):
    key = sketch_of(service)
    service.client.pfadd(key, "one more", "and another")
    before = service.client.get(key)
    assert service.get(ITEM).status == 200
    assert service.client.get(key) == before


def test_what_is_no_sketch_spoils_only_its_item(service):
    key = sketch_of(service)
    kept = service.client.get(key)
    service.client.set(key, b"HYLL\2" + kept[5:])
    assert service.get(ITEM).status == 500
    service.client.set(key, kept)
    wait_until(lambda: service.get(ITEM).status == 200)  # it is asked again after a pause
