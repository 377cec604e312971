# SPDX-License-Identifier: MIT
"""Bytes a vote and an item, by `engaged memory`; the hot item's are in tests/roles/test_memory.py."""
import subprocess

import pytest
from support.counted import Counted
from support.program import PROGRAM, options_of

ITEM_KINDS = ("items", "cards", "voters (buckets)", "sums", "neighbours")


@pytest.fixture
def service():
    service = Counted(neighbour_interval="0")
    yield service
    service.stop()


def bill(service):
    text = subprocess.run([PROGRAM, "memory", *options_of(service.settings)], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=True, timeout=60).stdout
    rows = [(line[:24].strip(), line[24:].split()) for line in text.splitlines()[1:]]
    return {name: int(row[1]) for name, row in rows if len(row) > 2}


def add(service, rows):
    for begin in range(0, len(rows), 10000):
        part = rows[begin:begin + 10000]
        assert service.lines("/v1/s/events?wait=true", part).json["accepted"] == len(part)


def test_a_vote_takes_thirty_bytes_where_an_item_has_ten(service):
    items = 1000
    add(service, [{"type": "vote", "item": f"i{n}", "visitor": f"v{n}-{m}"} for n in range(items) for m in range(10)])
    found = bill(service)
    assert sum(found.get(kind, 0) for kind in ("items", "voters (buckets)")) / (10 * items) <= 30, found


def test_an_item_seldom_read_takes_500_bytes(service):
    items = 1000
    add(service, [{"type": kind, "item": f"i{n}", "visitor": f"v{n}"} for n in range(items) for kind in ("view", "vote")])
    found = bill(service)
    assert sum(found.get(kind, 0) for kind in ITEM_KINDS) / items <= 500, found


def test_an_item_with_a_card_and_a_hundred_neighbours_takes_two_and_a_half_kilobytes(service):
    items, readers = 300, 6000
    cards = [{"item": f"full{n}", "title": f"{n:06}" + "t" * 94, "url": f"/{n:06}" + "u" * 93, "author": "a" * 16,
              "categories": ["news"]} for n in range(items)]
    assert service.lines("/v1/s/items", cards).json["accepted"] == items
    add(service, [{"type": "vote", "item": f"full{n}", "visitor": "v"} for n in range(items)])
    add(service, [{"type": "view", "item": f"full{(reader * 7919 + step * step * 31 + reader // items * step) % items}",
                   "visitor": f"r{reader}"} for reader in range(readers) for step in range(6)])
    found = bill(service)
    assert found["neighbours"] / items >= 1200, found  # else there are no hundred
    assert sum(found.get(kind, 0) for kind in ITEM_KINDS) / items <= 2500, found
