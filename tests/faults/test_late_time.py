# SPDX-License-Identifier: MIT
"""Redis tells the time, and its answer is on its way for long, as under overload: that says little about now."""
import contextlib
import json
import time
from datetime import datetime

from support.fault_calls import OneWorker, call, vote
from support.scripted_redis import ScriptedRedis, after
from support.wait import wait_until

LATE_S = 0.8


@contextlib.contextmanager
def late_and_prompt():
    """Two services on one Redis: one hears the time late."""
    with ScriptedRedis() as redis:
        redis.rule("time", after(LATE_S))
        with OneWorker(redis, redis_timeout="10s") as late, OneWorker(redis.redis, redis_timeout="10s") as prompt:
            yield redis, late, prompt


def test_an_answer_that_comes_late_does_not_set_the_clock_back():
    with late_and_prompt() as (_, late, prompt):
        time.sleep(LATE_S)  # a clock that was set back has stood still for so long
        asked = {}
        for service in (late, prompt):
            begin = time.time()
            status, _, text, _ = call(service, "POST", "/v1/s/corrections", json.dumps({"visitor": "nobody"}))
            assert status == 202
            asked[json.loads(text)["correction"]] = begin
        rows = json.loads(call(prompt, "GET", "/v1/s/corrections")[2])["corrections"]
        behind = {row["correction"]: asked[row["correction"]] - datetime.fromisoformat(row["requested_at"]).timestamp()
                  for row in rows}
        assert len(behind) == 2 and all(seconds < LATE_S / 2 for seconds in behind.values()), behind


def test_a_vote_after_an_answered_erasure_stays_where_the_time_of_redis_comes_late():
    with late_and_prompt() as (redis, late, prompt):
        assert vote(prompt, "a", "v")[0] == 200
        assert call(prompt, "DELETE", "/v1/s/me", visitor="v")[0] == 202
        assert vote(late, "b", "v")[0] == 200
        prompt.start_projector()  # only now is the erasure carried out
        wait_until(lambda: not redis.client().hlen("engaged:correcting"), 20, "the erasure does not end")
        assert json.loads(call(prompt, "GET", "/v1/s/me?id=a&id=b", visitor="v")[2])["votes"] == {"b": "up"}
