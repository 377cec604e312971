# SPDX-License-Identifier: MIT
"""The service behind sentinel://: real Sentinels with a master and a replica, and scripted Sentinels for what real ones
say seldom."""
import contextlib

import pytest

from support.redis_server import RedisServer
from support.scripted_sentinel import ScriptedSentinel
from support.sentinels import Sentinels
from support.service import WaitingService
from support.wait import wait_until


def votes_of(service, item="a"):
    return service.get(f"/v1/s/items/{item}").json["votes"]["up"]


def wait_votes(service, count, item="a"):
    wait_until(lambda: votes_of(service, item) == count, 20, lambda: f"{votes_of(service, item)} of {count}\n{service.log()}")


def written(node):
    """The commands that only the service sends."""
    return {name[8:] for name in node.ask("INFO", "commandstats")} & {"evalsha", "script|load"}


def named_last(service):
    """The port that the worker's last line names as the master."""
    lines = [line for line in service.log().splitlines() if "worker" in line and "redis: the master" in line and "is 127.0.0.1:" in line]
    return int(lines[-1].partition("is 127.0.0.1:")[2].split()[0])


def wait_replicated(master):
    """Until its replica has acknowledged all that it holds."""
    def is_there():
        info = master.ask("INFO", "replication")
        return info.get("slave0", {}).get("state") == "online" and int(info["slave0"]["offset"]) >= int(info["master_repl_offset"])

    wait_until(is_there, 20, "the replica has all")


# ---- Real Sentinels

@pytest.fixture(scope="module")
def group():
    with Sentinels(password="data", sentinel_password="watch") as group:
        yield group


@pytest.fixture
def ok(group):
    """All of it is there, whatever the test before has done."""
    for member in group.nodes + group.sentinels:
        if member.is_frozen:
            member.thaw()
        elif not member.can_answer():
            member.restart()
    group.wait_ok()
    return group


def start(ending, group, **settings):
    return ending(WaitingService(**{"redis": group.url, "sentinel_password": "watch", "redis_timeout": "2s", **settings}))


def test_a_killed_master_is_left_for_the_new_one_and_stays_left_when_it_returns(ok, ending):
    service = start(ending, ok)
    service.wait_taken(visitor="before")
    old = ok.master()
    wait_replicated(old)
    old.kill()
    new = ok.wait_switch(old)
    service.wait_taken(visitor="after")
    old.restart()  # a master still, until a Sentinel has looked
    other = start(ending, ok)
    other.wait_taken(visitor="of another service")
    assert service.vote("returned").status == 200
    wait_votes(service, 4)
    assert not written(old) and named_last(service) == named_last(other) == new.port
    wait_until(lambda: new.ask("PUBSUB", "NUMSUB", "engaged:wake")[1] == 2, 20, "projectors listen to the new master")


def test_with_wait_replicas_every_acknowledged_vote_is_there_after_a_kill(ok, ending):
    service = start(ending, ok, wait_replicas="1")
    service.wait_taken(visitor="before")
    acknowledged = sum(service.vote(f"v{number}", "waited").status == 200 for number in range(50))
    old = ok.master()
    old.kill()
    ok.wait_switch(old)
    service.wait_taken(visitor="after")
    assert acknowledged > 25
    wait_votes(service, acknowledged, "waited")


def test_a_frozen_master_is_left_and_not_taken_again(ok, ending):
    service = start(ending, ok)
    service.wait_taken(visitor="before")
    old = ok.master()
    old.freeze()
    new = ok.wait_switch(old)
    service.wait_taken(visitor="after")
    old.thaw()
    assert service.vote("thawed").status == 200
    wait_votes(service, votes_of(start(ending, ok)))
    assert named_last(service) == new.port


def test_a_planned_failover_is_followed(ok, ending):
    service = start(ending, ok)
    service.wait_taken(visitor="before")
    new = ok.failover()
    wait_until(lambda: named_last(service) == new.port, 20, service.log)
    service.wait_taken(visitor="after")


def test_the_service_goes_on_without_any_sentinel(ok, ending):
    service = start(ending, ok)
    service.wait_taken(visitor="before")
    for sentinel in ok.sentinels:
        sentinel.kill()
    wait_until(lambda: service.log().count("does not answer") >= 3, 30, service.log)
    assert service.trouble()[0] == 200 and service.vote("without").status == 200
    late = start(ending, ok)
    late.wait_named("no Sentinel answers")
    for sentinel in ok.sentinels:
        sentinel.restart()
    late.wait_taken(visitor="with")


def test_sentinels_that_others_name_are_asked_when_those_of_the_setting_are_gone(ok, ending):
    first = ok.sentinels[0]
    service = start(ending, ok, redis=f"sentinel://:data@127.0.0.1:{first.port}/engaged")
    service.wait_taken(visitor="before")
    wait_until(lambda: service.log().count("is a Sentinel too") >= 4, 20, service.log)  # two, by a worker and a projector
    first.kill()
    old = ok.master()
    old.kill()
    ok.wait_switch(old)
    service.wait_taken(visitor="after")


def test_a_frozen_sentinel_that_wakes_with_an_old_state_changes_nothing(ok, ending):
    service = start(ending, ok)
    service.wait_taken(visitor="before")
    sleeper = ok.sentinels[0]
    sleeper.freeze()
    old = ok.master()
    old.kill()
    new = ok.wait_switch(old)
    service.wait_taken(visitor="after")
    old.restart()
    sleeper.thaw()  # it is in TILT, and may say the old address for a while
    lost = [number for number in range(20) if service.vote(f"w{number}").status != 200]
    assert not lost and named_last(service) == new.port


@pytest.mark.parametrize("settings,words", [({"redis": "/other"}, "knows no master other"), ({"sentinel_password": ""}, "NOAUTH"),
                                            ({"sentinel_password": "wrong"}, "WRONGPASS"),
                                            ({"sentinel_user": "nobody"}, "WRONGPASS"), ({"redis": ":wrong@"}, "WRONGPASS")],
                         ids=["name", "no-password", "password", "user", "data-password"])
def test_what_is_wrong_in_the_setting_is_named(ok, ending, settings, words):
    login, _, name = settings.get("redis", "").partition("/")
    if "redis" in settings:
        url = ok.url.replace("/engaged", f"/{name}") if name else ok.url.replace(":data@", login)
        settings = {"redis": url}
    service = start(ending, ok, **settings)
    service.wait_named(words)
    assert words in service.log() and "data@" not in service.log()
    assert service.vote("v").status == 503


def test_a_master_without_min_replicas_is_warned_of(ok, ending):
    service = start(ending, ok)
    wait_until(lambda: "no min-replicas-to-write" in service.log(), 20, service.log)
    assert service.log().count("no min-replicas-to-write") == 1
    master = ok.master()
    master.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    try:
        other = start(ending, ok)
        other.wait_taken()
        wait_until(lambda: other.metrics()["engaged_process_heartbeats_total"] > 6, 20, "it has looked")
        assert "no min-replicas-to-write" not in other.log()
    finally:
        master.ask("CONFIG", "SET", "min-replicas-to-write", 0)


# ---- Scripted Sentinels

@pytest.fixture(scope="module")
def two():
    with RedisServer() as first, RedisServer() as second:
        yield first, second


@pytest.fixture
def pair(two):
    """Two masters without data."""
    for node in two:
        node.ask("REPLICAOF", "NO", "ONE")
        node.ask("FLUSHALL")
        node.ask("CONFIG", "RESETSTAT")
    return two


@pytest.fixture
def scripted(ending):
    """Makes a service behind these Sentinels."""
    with contextlib.ExitStack() as stack:
        def make(*sentinels, listed=None):
            for sentinel in sentinels:
                stack.enter_context(sentinel)
            hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels[:listed])
            return ending(WaitingService(redis=f"sentinel://{hosts}/m", redis_timeout="2s"))

        yield make


def wait_moved(service, node):
    wait_until(lambda: named_last(service) == node.port, 20, lambda: f"not at {node.port}: {service.log()}")
    service.wait_taken(visitor=f"at {node.port}")


def test_the_highest_epoch_wins_although_one_sentinel_knows_it_alone(pair, scripted):
    first, second = pair
    sentinels = [ScriptedSentinel((first.port, 1)) for _ in range(3)]
    service = scripted(*sentinels)
    service.wait_taken()
    sentinels[2].names = (second.port, 2)
    wait_moved(service, second)
    assert votes_of(service) == 1 and service.log().count("of 3 Sentinels") >= 4


def test_a_sentinel_that_stays_stale_is_not_followed(pair, scripted):
    first, second = pair
    stale = ScriptedSentinel((second.port, 1))
    service = scripted(stale, *[ScriptedSentinel((first.port, 2)) for _ in range(2)])
    service.wait_taken()
    before = stale.asked
    wait_until(lambda: stale.asked > before + 4, 20, "it is asked")
    assert not written(second) and named_last(service) == first.port


def test_a_stale_sentinel_alone_is_not_believed_by_who_has_known_better(pair, scripted):
    first, second = pair
    stale = ScriptedSentinel((second.port, 1))
    others = [ScriptedSentinel((first.port, 2)) for _ in range(2)]
    service = scripted(stale, *others)
    service.wait_taken()
    for other in others:
        other.stop()
    first.ask("CLIENT", "KILL", "TYPE", "normal")
    service.wait_named("only Sentinels with an old state answer")
    assert not written(second)
    for other in others:
        other.__enter__()
    service.wait_taken(visitor="again")


def test_a_group_that_was_set_up_anew_is_believed_by_its_majority(pair, scripted):
    first, second = pair
    sentinels = [ScriptedSentinel((first.port, 9)) for _ in range(3)]
    service = scripted(*sentinels)
    service.wait_taken()
    for sentinel in sentinels[:2]:
        sentinel.names = (second.port, 0)
    sentinels[2].stop()
    wait_moved(service, second)


def test_at_equal_epochs_the_address_that_most_name_is_taken(pair, scripted):
    first, second = pair
    service = scripted(ScriptedSentinel((second.port, 3)), *[ScriptedSentinel((first.port, 3)) for _ in range(2)])
    service.wait_taken()
    assert named_last(service) == first.port and not written(second)


def test_a_replica_that_sentinels_name_is_not_written_to(pair, scripted):
    first, second = pair
    second.ask("REPLICAOF", "127.0.0.1", first.port)
    service = scripted(ScriptedSentinel((second.port, 1)))
    service.wait_named("a replica, not a master")
    assert not written(second)
    second.ask("REPLICAOF", "NO", "ONE")  # named before it was promoted
    service.wait_taken()


HOSTILE = {"nothing": None, "not-redis": b"HTTP/1.1 400 Bad Request\r\n\r\n", "cut": b"*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1",
           "nil": b"*-1\r\n", "number": b":7\r\n", "huge": b"*1000000000\r\n", "deep": b"*1\r\n" * 12, "error": "ERR something",
           "port": b"*6\r\n$2\r\nip\r\n$1\r\nh\r\n$4\r\nport\r\n$5\r\n99999\r\n$12\r\nconfig-epoch\r\n$2\r\n99\r\n",
           "endless": b"$100000\r\n" + b"x" * 100002 + b"+more\r\n" * 100}


@pytest.mark.parametrize("names", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_sentinel_that_answers_nonsense_is_outvoted_and_alone_is_no_reason_to_write(pair, scripted, names):
    first, _ = pair
    bad, good = ScriptedSentinel(names), ScriptedSentinel((first.port, 1))
    service = scripted(bad, good)
    service.wait_taken()
    good.names = names
    first.ask("CLIENT", "KILL", "TYPE", "normal")
    service.wait_named("Sentinel")
    good.names = (first.port, 1)
    service.wait_taken(visitor="again")


def test_the_number_of_sentinels_is_bounded(pair, scripted):
    first, _ = pair
    sentinel = ScriptedSentinel((first.port, 1))
    sentinel.others = [ScriptedSentinel((first.port, 1)) for _ in range(60)]  # none of them answers
    service = scripted(sentinel)
    service.wait_taken()
    wait_until(lambda: service.log().count("is a Sentinel too") >= 62, 20, service.log)
    service.wait_taken(visitor="again")
    assert service.log().count("is a Sentinel too") == 2 * 31  # with the one of the setting 32, of a worker and a projector


def test_one_sentinel_under_two_names_counts_once(pair, scripted):
    first, second = pair
    stale = ScriptedSentinel((second.port, 1), ident="same")
    double = ScriptedSentinel((second.port, 1), ident="same")
    stale.others = [double]
    service = scripted(stale, *[ScriptedSentinel((first.port, 1)) for _ in range(2)], double, listed=3)
    service.wait_taken()
    wait_until(lambda: stale.asked > 5, 20, "it is asked")
    assert named_last(service) == first.port
