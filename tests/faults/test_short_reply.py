# SPDX-License-Identifier: MIT
"""A reply that ends in the middle of a batch's results: each write of the batch is answered once, none is sent again."""
import struct
import time

import pytest

from support.beside import Beside
from support.fault_calls import OneWorker, serving, vote
from support.scripted_redis import after, answer

RETRY = 2


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize("missing", [1, 17, 18])  # the second result cut, nearly missing, missing
def test_a_retry_in_a_reply_that_is_not_whole_is_not_sent_again(missing):
    result = struct.pack("<BBIIQ", RETRY, 255, 0, 0, 0)
    short = (2 * result)[:-missing]
    with serving(OneWorker) as (redis, service):
        assert vote(service, "a", "v0")[0] == 200
        sent = redis.counts["vote"]
        redis.rule("vote", after(0.3), times=1)  # the two behind it become one batch
        redis.rule("vote", answer(b"*2\r\n" + bulk(short) + bulk(b"  ")), times=1)
        with Beside(*(lambda n=n: vote(service, "a", f"w{n}") for n in range(3)), pause=0.08) as callers:
            pass
        assert sorted(reply[0] for reply in callers.results) == [200, 500, 500]
        time.sleep(0.3)
        assert redis.counts["vote"] == sent + 2
        for n in range(3):
            assert vote(service, "a", f"w{n}")[0] == 200
        assert vote(service, "a", "v0")[2].count(b'"up":4') == 1
