# SPDX-License-Identifier: MIT
"""A list by window that is read while a rebuild begins or ends, between two commands of its pipeline, is not called
exact: what was left out of a set is forgotten then, and the set not yet whole."""
import json

from support.fault_calls import OneWorker, serving
from support.wait import wait_until

CONFIGURATION = "[ranking most-read]\ntype = window\nwindow = 24h\nviews = 1\nvotes = 0\n"


def test_a_rebuild_that_begins_or_ends_within_the_reads():
    with serving(OneWorker, configuration=CONFIGURATION, partitions=1, refresh_interval="0") as (redis, service):
        service.start_projector()
        data = redis.client()

        def exact():
            status, body = service.client().call("GET", "/v1/s/rankings/most-read")
            assert status == 200
            return json.loads(body)["exact"]

        def with_plan(plan):
            """The plan of the partition changes just before the first set is read."""
            def act(client, ask):
                data.hset("{e0}pos", "plan", plan)
                client.sendall(ask())
            redis.rule("zrange", act, times=1, when=lambda words: b"@" in words[1])

        plan = wait_until(lambda: data.hget("{e0}pos", "plan"), 20)
        service.projectors.pop().kill()  # it would take the other plan away
        assert exact() is True
        with_plan("of a rebuild")
        assert exact() is False, "it begins"
        with_plan(plan)
        assert exact() is False, "it ends"
        assert exact() is True
