# SPDX-License-Identifier: MIT
"""wait_replicas: a write is acknowledged when replicas have it. A silent replica refuses writes until it is known to be
away, a dead one too, sooner; what is acknowledged without one is counted."""
import concurrent.futures
import contextlib
import re
import time

import pytest

from support.calls import CALLS
from support.redis_server import RedisServer
from support.service import WaitingService
from support.wait import wait_until

NO_WRITES = ("/visitors", "/me")  # a token; and a read that is a POST
UNREPLICATED, SHORT = "engaged_unreplicated_writes_total", "engaged_wait_short_total"


def writes():
    return [call for call in CALLS if call.method != "GET" and (call.path not in NO_WRITES or call.method == "DELETE")]


def are_there(master, count):
    info = master.ask("INFO", "replication")
    there = [value for name, value in info.items() if re.fullmatch(r"slave\d+", name) and value["state"] == "online"]
    return len(there) == count


@contextlib.contextmanager
def master_with(replicas):
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(RedisServer(repl_diskless_sync_delay=0))
        others = [stack.enter_context(RedisServer(replicaof=f"127.0.0.1 {master.port}")) for _ in range(replicas)]
        wait_until(lambda: are_there(master, replicas), 20, "the replicas are there")
        yield master, others


@contextlib.contextmanager
def service_of(master, **settings):
    service = WaitingService(redis=master.url, rate_limits="off", **{"wait_replicas": 1, "redis_timeout": "1s", **settings})
    try:
        service.wait_taken()
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="module")
def one():
    """A master with a replica, and two services: the second insists on the replica."""
    with master_with(1) as (master, (replica,)), service_of(master) as service, \
            service_of(master, wait_replicas_strict="on") as strict:
        yield master, replica, service, strict


@contextlib.contextmanager
def frozen(replica):
    replica.freeze()
    try:
        yield
    finally:
        replica.thaw()


def send(call, service, name):
    return call.send(service, "/v1/s", name, Authorization="Bearer k", Engaged_Visitor=name)


def votes_of(service, item="a"):
    return service.get(f"/v1/s/items/{item}").json["votes"]["up"]


def is_refused(answer):
    """A bulk call names each line that was refused."""
    if answer.status == 200 and answer.json.get("rejected"):
        return {entry["code"] for entry in answer.json["rejected"]} == {"unavailable"}
    return answer.status == 503 and answer.json["code"] == "unavailable" and int(answer.headers["retry-after"]) >= 1


def test_all_writes_wait_for_the_replica(one):
    _, replica, service, _ = one
    answers = [send(call, service, f"w{number}") for number, call in enumerate(writes())]
    assert not [(call, answer.body) for call, answer in zip(writes(), answers) if answer.status >= 400]
    with frozen(replica), concurrent.futures.ThreadPoolExecutor(len(writes())) as pool:
        sent = [pool.submit(send, call, service, f"x{number}") for number, call in enumerate(writes())]
        taken = [call for call, answer in zip(writes(), sent) if not is_refused(answer.result())]
    assert not taken, [one.result().body for one in sent if not is_refused(one.result())]
    wait_until(lambda: service.vote("after").status == 200, 20, "the replica is back")


def test_what_changes_nothing_stands_on_a_write_that_the_replica_must_have_too(one):
    _, replica, service, other = one
    view = {"method": "POST", "path": "/v1/s/items/same/views", "body": "{}", "Engaged_Visitor": "same"}
    assert service.vote("base", "same").status == 200
    with frozen(replica):
        for at in (service, service, other):  # by the connection that has written, and by one that has not
            assert is_refused(at.vote("same", "same")) and is_refused(at.keyed(**view))
        assert votes_of(service, "same") == 2, "the master has it"
    wait_until(lambda: service.vote("same", "same").status == 200, 20, "the replica is back")
    assert votes_of(service, "same") == 2


def test_a_silent_replica_refuses_writes_until_it_is_away_or_for_ever(one):
    _, replica, service, strict = one
    before, began = service.metrics()[UNREPLICATED], time.monotonic()
    with frozen(replica):
        wait_until(lambda: service.vote("silent").status == 200, 30, "the replica is away")
        assert time.monotonic() - began > 9
        refused = strict.vote("silent")
        assert is_refused(refused) and b"only 0 of 1 replicas had the writes in time" in refused.body
        assert strict.trouble()[0] == 200 and "only 0 of 1 replicas" in strict.trouble()[1] and "only 0 of 1" in strict.log()
        assert service.metrics()[UNREPLICATED] > before and service.metrics()[SHORT] > 0
        assert "0 of 1 replicas are there" in service.log()
    wait_until(lambda: strict.vote("silent").status == 200, 20, "the replica is back")
    status, text = strict.trouble()
    assert status == 200 and text.startswith("ready") and "replicas" not in text
    wait_until(lambda: "the replicas are there again" in service.log(), 20, "it is noticed")

    def waits_again():
        before = service.metrics()[UNREPLICATED]
        return service.vote("again").status == 200 and service.metrics()[UNREPLICATED] == before
    wait_until(waits_again, 20, "and by the worker")


def test_a_dead_replica_is_away_after_five_seconds(one):
    """It may have been promoted: then what its old master takes alone is lost."""
    master, replica, service, strict = one
    before, began = service.metrics()[UNREPLICATED], time.monotonic()
    replica.kill()
    wait_until(lambda: service.vote("dead").status == 200, 20, "votes are taken")
    assert time.monotonic() - began > 3.5, "the master was last asked a second before"
    assert is_refused(strict.vote("dead")) and service.metrics()[UNREPLICATED] > before
    replica.start()
    wait_until(lambda: are_there(master, 1), 20, "it is back")
    wait_until(lambda: strict.vote("dead").status == 200, 20, "and waited for")


def test_a_master_that_was_frozen_while_its_replica_went_away_counts_from_when_it_wakes(one):
    """A Sentinel may have promoted the replica meanwhile."""
    master, replica, service, _ = one
    wait_until(lambda: waits(service), 20, "the replica is there")
    with frozen(master):
        replica.kill()
        time.sleep(6)
    began = time.monotonic()
    wait_until(lambda: service.vote("woken").status == 200, 30, "votes are taken")
    assert time.monotonic() - began > 3.5
    replica.start()
    wait_until(lambda: are_there(master, 1), 20, "it is back")


def waits(service):
    """Whether a vote that is acknowledged has waited for the replica."""
    before = service.metrics()[UNREPLICATED]
    return service.vote(f"waits{time.monotonic()}").status == 200 and service.metrics()[UNREPLICATED] == before


def test_what_a_master_takes_after_its_replica_was_promoted_is_not_acknowledged(one):
    """Until a Sentinel tells of the new one."""
    master, replica, service, strict = one
    wait_until(lambda: waits(service), 20, "the replica is there")
    began = time.monotonic()
    replica.client().replicaof("NO", "ONE")
    answers = []
    while time.monotonic() < began + 2.5:
        answers.append(service.vote(f"late{len(answers)}"))
    assert answers and all(map(is_refused, answers))
    replica.client().replicaof("127.0.0.1", master.port)
    wait_until(lambda: are_there(master, 1), 20, "it is back")
    wait_until(lambda: service.vote("after").status == strict.vote("after").status == 200, 20, "and waited for")


def test_a_wait_that_redis_ends_with_an_error_is_no_acknowledgement():
    """As a master does that becomes a replica. Meanwhile reads are answered."""
    with master_with(1) as (master, (replica,)), service_of(master, redis_timeout="1m") as service:
        with frozen(replica), concurrent.futures.ThreadPoolExecutor(1) as pool:
            vote = pool.submit(service.vote, "v")
            with master.client(decode_responses=True) as client:
                wait_until(lambda: any(one["cmd"] == "wait" and "b" in one["flags"] for one in client.client_list()), 20, "a WAIT")
                assert service.get("/v1/s/items/a").status == 200 and not vote.done()

                def unblock():
                    return any(client.execute_command("CLIENT", "UNBLOCK", one["id"], "ERROR")
                               for one in client.client_list() if one["cmd"] == "wait" and "b" in one["flags"])
                wait_until(unblock, 20, "somebody waits")
            assert is_refused(vote.result(25))


def test_of_two_replicas_one_may_be_silent_if_one_is_enough():
    with master_with(2) as (master, replicas), service_of(master) as service, service_of(master, wait_replicas=2) as both:
        with frozen(replicas[0]):
            assert all(service.vote(f"v{number}").status == 200 for number in range(20))
            assert is_refused(both.vote("v"))
        assert service.metrics()[UNREPLICATED] == 0


def test_a_user_who_may_not_wait_is_told_so():
    with RedisServer() as server:
        server.ask("ACL", "SETUSER", "default", "-wait")
        service = WaitingService(redis=server.url, wait_replicas=1)
        try:
            for _ in range(2):  # at the start, and while it runs
                service.wait_named("Redis refuses WAIT to this user")
                assert service.vote("refused").status == 503
                server.ask("ACL", "SETUSER", "default", "+wait")
                service.wait_taken()
                server.ask("ACL", "SETUSER", "default", "-wait")
        finally:
            service.stop()


def test_both_connections_are_made_anew_when_one_is_cut():
    with master_with(0) as (master, _), service_of(master) as service:
        with master.client() as client:
            for ours in ("evalsha|wait", "evalsha"):
                ids = [one["id"] for one in client.client_list() if one["cmd"] == ours]
                for number in ids:
                    client.client_kill_filter(_id=number)
                service.wait_taken(visitor=ours)
