# SPDX-License-Identifier: MIT
"""An item's state disappears (a deletion, a sweep) between two commands of the projector's pipeline: it is read again."""
from support.fault_calls import OneWorker, serving, vote
from support.wait import wait_until


def state_of(redis):
    return [key for key in redis.client().scan_iter("{e*}s*") if len(key.split(b"}")[1]) == 17]


def test_a_state_that_vanishes_while_it_is_read_does_not_stop_the_projector():
    with serving(OneWorker) as (redis, service):
        first = service.start_projector()
        assert vote(service, "a", "v1")[0] == 200
        wait_until(lambda: state_of(redis), 10, "the first vote is projected")
        (state,) = state_of(redis)
        marks = state.split(b"}")[0] + b"}sums"
        gone = []

        def ask_and_remove(client, ask):
            reply = ask()
            if not gone and redis.client().unlink(state):
                redis.client().hset(marks, "version", 12345)
                gone.append(state)
            client.sendall(reply)

        first.kill()  # it remembers the state, and does not ask
        first.wait()
        redis.rule("mget", ask_and_remove)
        service.start_projector()
        assert vote(service, "a", "v2")[0] == 200
        wait_until(lambda: gone, 10, "the state is asked for")
        wait_until(lambda: state_of(redis) == [state], 10, "the projector goes on")
