# SPDX-License-Identifier: MIT
"""Reads while a Redis Cluster moves a slot: a command with keys of which some have moved is refused (TRYAGAIN), so each
is asked for by itself. Items and lists are whole whichever of an item's keys are there already."""
import pytest

from support.redis_cluster import Cluster, slot_of
from support.service import Service

ITEMS = 12
SITE = "/v1/s"


@pytest.fixture(scope="module")
def cluster():
    with Cluster(masters=2, replicas=0, appendonly="no") as nodes:
        yield nodes


@pytest.fixture(scope="module")
def service(cluster):
    running = Service(redis=cluster.url, partitions="2", secret="11" * 32, hash_key="22" * 32)
    rows = [{"item": f"i{n}", "title": f"Title {n}", "url": f"/{n}"} for n in range(ITEMS)]
    assert running.lines(f"{SITE}/items", rows).json["accepted"] == ITEMS
    events = [{"type": kind, "item": f"i{n}", "visitor": f"v{k}"} for n in range(ITEMS) for k in range(4) for kind in ("view", "vote")]
    assert running.lines(f"{SITE}/events?wait=true", events).json["rejected"] == []
    yield running
    running.stop()


def move(cluster, letters):
    """The slot of the first partition begins to move: the keys of these letters of every second item have moved."""
    source = next(node for node in cluster.first_masters if node.client().keys("{e*}i*"))
    client = source.client()
    slot = slot_of(client.keys("{e*}i*")[0])
    target = next(node for node in cluster.first_masters if node is not source)
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
    references = sorted(key.split(b"}i")[1] for key in client.keys("{e*}i*") if slot_of(key) == slot)[::2]
    keys = [key for key in client.keys("{e*}*") if slot_of(key) == slot and key.split(b"}")[1][:1].decode() in letters
            and key.split(b"}")[1][1:] in references]
    assert keys
    client.execute_command("MIGRATE", "127.0.0.1", target.own_port, "", 0, 5000, "KEYS", *keys)
    return slot, source, target


def finish(slot, source, target):
    with source.client() as client:
        while keys := client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            client.execute_command("MIGRATE", "127.0.0.1", target.own_port, "", 0, 5000, "KEYS", *keys)
    for node in (target, source):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)


@pytest.mark.parametrize("letters", ["i", "c", "s", "u", "ic", "cs", "icsu", "n"])
def test_items_and_lists_are_whole_whichever_keys_have_moved(cluster, service, letters):
    moved = move(cluster, letters)
    try:
        for n in range(ITEMS):
            item = service.get(f"{SITE}/items/i{n}")
            assert item.status == 200, item.body
            assert (item.json["title"], item.json["views"], item.json["visitors"], item.json["votes"]) == (
                f"Title {n}", 4, 4, {"up": 4}), (letters, n)
        top = service.get(f"{SITE}/rankings/top?limit=50")
        assert top.status == 200 and {entry["item"] for entry in top.json["items"]} == {f"i{n}" for n in range(ITEMS)}
        assert all(entry["visitors"] == 4 and entry["title"] for entry in top.json["items"])
    finally:
        finish(*moved)
