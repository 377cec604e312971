# SPDX-License-Identifier: MIT
"""Items that cannot be removed do not keep those behind them from being removed (src/project/sweeper.c)."""
import datetime

import pytest

from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

KEYS = {"secret": "11" * 32, "hash_key": "22" * 32}
ITEMS = 600  # of two partitions: in each more than are removed at once


@pytest.fixture
def server():
    with RedisServer() as running:
        yield running


def items_of(client, tag):
    return set(client.scan_iter(tag + b"i*", count=1000))


def test_a_partition_whose_removals_fail_does_not_hold_up_the_other(server):
    settings = {"redis": server.url, "partitions": 2, **KEYS}
    service, client = Service(unknown_items_kept="0", **settings), server.client()
    old = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=50)).isoformat(timespec="milliseconds")
    rows = [{"type": "view", "item": f"i{n}", "visitor": f"v{n}", "time": old} for n in range(ITEMS)]
    assert service.lines("/v1/s/events?wait=true", rows).json["accepted"] == ITEMS
    service.stop()
    tags = sorted({key[:key.index(b"}") + 1] for key in client.scan_iter("*}log")})
    assert len(tags) == 2, list(client.scan_iter("*"))
    assert all(len(items_of(client, tag)) > 200 for tag in tags)
    # Every removal there fails: it begins with a look at a key that is of another type.
    service = Service(unknown_items_kept="30d", **settings)
    try:
        client.rename(tags[0] + b"log", tags[0] + b"log-kept")
        client.set(tags[0] + b"log", "foreign")
        wait_until(lambda: not items_of(client, tags[1]), 40,
                   lambda: f"{len(items_of(client, tags[1]))} of the other partition stay\n{service.log()[-3000:]}")
        client.delete(tags[0] + b"log")
        client.rename(tags[0] + b"log-kept", tags[0] + b"log")
    finally:
        service.stop()
