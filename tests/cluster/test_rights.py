# SPDX-License-Identifier: MIT
"""The user of a Redis Cluster who may do what docs/cluster.md says serves; what he lacks is named by /readyz, and at one
node with its name."""
import pytest

from support.redis_cluster import Cluster
from support.service import WaitingService
from support.wait import wait_until

KEY = "0123456789abcdef" * 4
ENOUGH = ("~{e* ~engaged:* &engaged:* +@read +@write +@scripting +info +time +role +cluster|slots +cluster|shards +asking +wait +ping "
          "+scan +publish +subscribe")


@pytest.mark.parametrize("less, says", [
    ("", "ready\n"),
    (" -asking", "ready; Redis refuses ASKING to this user"),
    (" -cluster", "the map of the Cluster cannot be read: NOPERM"),
], ids=["all", "no ASKING", "no CLUSTER"])
def test_what_a_user_lacks_is_named(ending, less, says):
    with Cluster(masters=2, replicas=0, password="secret", user="engaged", rights=ENOUGH + less) as cluster:
        service = ending(WaitingService(redis=cluster.url, secret=KEY, hash_key=KEY))
        wait_until(lambda: says in service.get("/readyz").body.decode(), 20, lambda: service.get("/readyz").body)
        if "cannot" not in says:
            assert service.request("POST", "/v1/s/items/a/votes", {}).status == 200
        service.stop()


def test_what_is_wrong_at_one_node_is_named_with_its_name(ending):
    with Cluster(masters=2, replicas=0, password="secret", user="engaged", rights=ENOUGH) as cluster:
        one = cluster.owner("engaged:meta")
        other = next(node for node in cluster.nodes if node is not one)
        name = f"127.0.0.1:{other.port}"
        other.ask("ACL", "SETUSER", "engaged", "resetpass", ">another")
        service = ending(WaitingService(redis=f"cluster://engaged:secret@127.0.0.1:{one.port}", secret=KEY, hash_key=KEY))
        wait_until(lambda: f"partitions are not served ({name}: WRONGPASS" in service.trouble()[1], 20, service.trouble)
        other.ask("ACL", "SETUSER", "engaged", "resetpass", ">secret")
        wait_until(lambda: service.trouble() == (200, "ready\n"), 20, service.trouble)
        other.ask("ACL", "SETUSER", "engaged", "-wait")
        wait_until(lambda: f"ready; {name}: Redis refuses WAIT" in service.trouble()[1], 20, service.trouble)
        assert f"redis {name}: Redis refuses WAIT" in service.log() and service.trouble()[0] == 200
        other.ask("ACL", "SETUSER", "engaged", "+wait")
        wait_until(lambda: service.trouble() == (200, "ready\n"), 20, service.trouble)
        other.ask("CONFIG", "SET", "maxmemory", "1mb")
        wait_until(lambda: [service.vote("v", f"i{n}") for n in range(8)] and f"ready; {name}: OOM" in service.trouble()[1]
                   and f"error: redis {name}: OOM" in service.log(), 30, service.trouble)  # the log waits up to ten seconds
        slots = [slot for slot, owner in cluster.owners(one).items() if owner == other.id]
        one.ask("CLUSTER", "DELSLOTS", *slots)
        other.ask("CONFIG", "SET", "maxmemory", 0)
        other.ask("FLUSHALL")
        other.ask("CLUSTER", "RESET", "HARD")
        wait_until(lambda: "the Cluster names no node for slot" in service.trouble()[1], 20, service.trouble)
        assert "the Cluster names no node for" in service.log()
