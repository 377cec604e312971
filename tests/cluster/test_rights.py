# SPDX-License-Identifier: MIT
"""The user of a Redis Cluster who may do what docs/cluster.md says serves; what he lacks is named by /readyz."""
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
