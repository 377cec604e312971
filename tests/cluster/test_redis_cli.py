# SPDX-License-Identifier: MIT
"""The commands of redis-cli that docs/cluster.md gives for nodes that come and go and for a backup, on a Cluster with votes."""
import json

import pytest

from support.redis_cluster import Cluster
from support.redis_server import RedisServer
from support.service import WaitingService
from support.wait import wait_until

KEY = "11" * 32


@pytest.fixture
def cluster():
    with Cluster(masters=3, replicas=0, spares=2) as running:
        yield running


def at(node):
    return f"127.0.0.1:{node.port}"


def test_nodes_join_and_leave_and_each_master_is_saved(cluster, ending, tmp_path):
    service = ending(WaitingService(redis=cluster.url, secret=KEY, hash_key=KEY, wait_replicas=0))
    service.wait_taken(visitor="first")
    one, (new, replica) = cluster.first_masters[0], cluster.spares
    cluster.cli("add-node", at(new), at(one))
    cluster.wait_ok()
    cluster.cli("add-node", at(replica), at(one), "--cluster-slave")
    wait_until(lambda: not replica.is_master() and "[OK] All 16384 slots covered" in cluster.cli("check", at(one)), 30, lambda: cluster.cli("info", at(one)))
    assert service.vote("second").status == 200
    sizes = [(node, node.client().dbsize()) for node in cluster.first_masters]
    cluster.cli("backup", at(one), tmp_path)
    saved = {row["name"] for row in json.loads((tmp_path / "nodes.json").read_text())}
    assert {node.id for node in cluster.first_masters} <= saved
    for node, size in sizes:
        with RedisServer(dbfilename=next(tmp_path.glob(f"*{node.port}*.rdb")).name, dir=tmp_path) as copy:
            assert copy.client().dbsize() >= size > 0, (size, node)
    cluster.cli("del-node", at(one), replica.id)
    cluster.cli("del-node", at(one), new.id)
    wait_until(lambda: len(one.view()) == 3, 20, one.view)
    cluster.wait_ok()
    wait_until(lambda: service.vote("third").status == 200, 20, service.log)
    wait_until(lambda: service.get("/v1/s/items/a").json["votes"]["up"] == 3, 20, lambda: service.get("/v1/s/items/a").body)
