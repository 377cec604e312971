# SPDX-License-Identifier: MIT
"""A visitor votes again just after a correction has read the vote before: the new one is another vote, and stays."""
import json
import threading
import time

import pytest

from support.beside import Beside
from support.fault_service import FaultService
from support.scripted_redis import ScriptedRedis
from support.wait import wait_until

SITE = "/v1/s.example"


def own_vote(client, visitor):
    return json.loads(client.call("GET", f"{SITE}/me?id=a", visitor=visitor)[1])


def is_done(client):
    rows = json.loads(client.call("GET", f"{SITE}/corrections")[1])["corrections"]
    return rows and all(row["state"] == "done" for row in rows)


@pytest.mark.parametrize("voters", [5, 100])  # few voters are in the item, many are in buckets
@pytest.mark.parametrize("body", [{"item": "a"}, {"visitor": "v0"}])
def test_a_vote_that_is_given_anew_during_a_correction_stays(voters, body):
    held, go_on = threading.Event(), threading.Event()

    def hold(client, ask):
        held.set()
        go_on.wait(10)
        client.sendall(ask())

    with ScriptedRedis() as redis, FaultService(redis, kinds="up down", redis_timeout="20s") as service:
        service.start_projector()
        client = service.client()
        rows = [{"type": "vote", "item": "a", "visitor": f"v{n}", "kind": "up"} for n in range(voters)]
        client.events("s.example", rows)
        if voters > 32:
            wait_until(lambda: any(b":" in key for key in redis.client().keys("{e*}v*")), 10, "no bucket")
        time.sleep(1)  # the new vote has another time, too
        redis.rule("vote", hold, times=1)  # the correction's taking back, after it has read the votes
        with Beside(lambda: service.client().call("POST", f"{SITE}/corrections", json.dumps(body))):
            assert held.wait(20)
            for n, kind in ((0, "down"), (1, "up")):
                assert client.unvote("s.example", "a", f"v{n}")
                assert client.vote("s.example", "a", f"v{n}", kind)["vote"] == kind
            assert client.vote("s.example", "a", "v2", "down")["vote"] == "down"
            go_on.set()
        wait_until(lambda: is_done(client), 20, "the correction does not end")
        counts = own_vote(client, "v0")["counts"]["a"]
        assert own_vote(client, "v0")["votes"] == {"a": "down"} and own_vote(client, "v1")["votes"] == {"a": "up"}
        assert own_vote(client, "v2")["votes"] == {"a": "down"}
        assert counts == ({"up": 1, "down": 2} if "item" in body else {"up": voters - 2, "down": 2})
