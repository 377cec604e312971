# SPDX-License-Identifier: MIT
"""With refresh_interval = 0 a read shows the state at its call, also right after a read that failed: the pause after a
failure ends with the next success."""
import threading

from support.scripted_redis import ScriptedRedis
from support.service import Service
from support.wait import wait_until

KEYS = {"secret": "11" * 32, "hash_key": "22" * 32}
PATH = "/v1/s/items/a"


def test_a_success_ends_the_pause_after_a_failure():
    with ScriptedRedis() as scripted:
        service = Service(**KEYS, redis=f"redis://127.0.0.1:{scripted.port}")
        direct = Service(**KEYS, redis=f"redis://127.0.0.1:{scripted.redis.port}")
        try:
            assert service.get(PATH).json["votes"] == {"up": 0}
            for count in range(1, 9):
                assert not stale_after_failure(scripted, service, direct, count)
        finally:
            scripted.obey_redis()
            service.stop()
            direct.stop()


def stale_after_failure(scripted, service, direct, count):
    """One read fails at Redis while another waits, which is answered then; behind both comes a vote, and a read."""
    may_fail, begun = threading.Event(), threading.Event()

    def fail(client, ask):
        ask()
        begun.set()
        may_fail.wait(20)
        client.sendall(b"-LOADING Redis is loading the dataset in memory\r\n")

    scripted.rule("mget", fail, times=1)  # record, card and sums of an item
    failed = threading.Thread(target=service.get, args=(PATH,))
    failed.start()
    assert begun.wait(20)
    seen = []
    waits = threading.Thread(target=lambda: seen.append(service.get(PATH)))
    before = service.metrics()['engaged_body_reads_total{from="refresh"}']
    waits.start()
    wait_until(lambda: service.metrics()['engaged_body_reads_total{from="refresh"}'] > before, 20)
    may_fail.set()
    waits.join()
    assert seen[0].status == 200
    assert direct.post(f"{PATH}/votes").status == 200
    stale = service.get(PATH).json["votes"] != {"up": count}
    failed.join()
    return stale
