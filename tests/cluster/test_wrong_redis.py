# SPDX-License-Identifier: MIT
"""A Redis that is not what the setting says is named in the log, by /readyz and by `engaged check --connect`, and nothing is
written to it. tests/roles/test_handshake.py has redis:// before a Cluster's node, a replica and a Sentinel."""
import subprocess

import pytest

from support.program import PROGRAM, options_of
from support.redis_cluster import Cluster
from support.redis_server import RedisServer
from support.scripted_redis import ScriptedRedis, answer
from support.sentinels import NAME, Sentinels
from support.service import WaitingService
from support.wait import wait_until

KEYS = {"secret": "11" * 32, "hash_key": "22" * 32}


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def group():
    with Sentinels() as group:
        yield group


@pytest.fixture(scope="module")
def alone():
    with RedisServer() as server:
        yield server


def assert_untouched(server, but_for=frozenset()):
    commands = {name[8:] for name in server.ask("INFO", "commandstats")} - but_for
    assert not commands & {"evalsha", "eval", "script|load", "set", "hset", "xadd"}, commands


def check(url, **more):
    done = subprocess.run([PROGRAM, "check", "--connect", *options_of({"redis": url, **KEYS, **more})], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def assert_named(ending, url, words, *servers):
    service = ending(WaitingService(redis=url))
    service.wait_named(words)
    assert words in service.log() and service.vote("v").status == 503
    code, said = check(url)
    assert code == 1 and words in said, said
    for server in servers:
        assert_untouched(server)


def at(*servers):
    return ",".join(f"127.0.0.1:{server.port}" for server in servers)


def data_of(server, **more):
    service = WaitingService(redis=server.url, kinds="up down", **more)
    service.wait_taken()
    service.stop()
    server.ask("CONFIG", "RESETSTAT")


@pytest.mark.parametrize("setting,value,words", [
    ("hash_key", "33" * 32, "hash_key: not the key that the data was made with"),
    ("partitions", "8", "partitions: the data has 16, the setting says 8"),
    ("kinds", "up", 'kinds: the data has "up down", new ones may only be added behind these'),
    ("kinds", "up downward", 'kinds: the data has "up down", new ones may only be added behind these'),
    ("time_zone", "Europe/Berlin", "time_zone: the days of the data are those of UTC, the setting says Europe/Berlin"),
    ("format", "99", "the data has format 99 of a newer program")])
def test_settings_that_do_not_fit_the_data_are_named_by_check(setting, value, words):
    with RedisServer() as server:
        data_of(server)
        fitting = {"kinds": "up down", "partitions": 16}
        assert check(server.url, **fitting)[0] == check(server.url, **{**fitting, "kinds": "up down more"})[0] == 0
        if setting == "format":
            server.ask("HSET", "engaged:meta", "format", value)
        else:
            fitting[setting] = value
        server.ask("CONFIG", "RESETSTAT")
        code, said = check(server.url, **fitting)
        assert code == 1 and said.endswith(f": {words}\n"), said
        assert_untouched(server)


def test_a_key_of_another_program_at_the_place_of_the_data_is_named_by_check():
    with RedisServer() as server:
        server.ask("SET", "engaged:meta", "x")
        server.ask("CONFIG", "RESETSTAT")
        code, said = check(server.url)
        assert code == 1 and "another program" in said
        assert_untouched(server)


def test_a_stand_alone_redis_behind_cluster(ending, alone):
    assert_named(ending, f"cluster://{at(alone)}", "is no node of a Cluster", alone)


def test_a_sentinel_behind_cluster(ending, group):
    assert_named(ending, f"cluster://{at(group.sentinels[0])}", "is a Sentinel")


def test_a_sentinel_behind_redis(ending, group):
    assert_named(ending, f"redis://{at(group.sentinels[0])}", "is a Sentinel")


def test_a_data_node_behind_sentinel(ending, group):
    assert_named(ending, f"sentinel://{at(*group.nodes)}/{NAME}", "is no Sentinel", *group.nodes)


def test_a_cluster_node_behind_sentinel(ending, cluster):
    assert_named(ending, f"sentinel://{at(cluster.nodes[0])}/{NAME}", "is no Sentinel", cluster.nodes[0])


def test_a_cluster_node_behind_redis(ending, cluster):
    assert_named(ending, f"redis://{at(cluster.nodes[0])}", "is a node of a Cluster", *cluster.nodes)


def test_a_replica_of_a_sentinel_group_behind_redis(ending, group):
    replica = group.replicas()[0]
    assert_named(ending, f"redis://{at(replica)}", "a replica, not a master", replica)


def test_hosts_of_two_clusters_behind_cluster(ending):
    with Cluster(masters=1, replicas=0, appendonly="no") as one, Cluster(masters=1, replicas=0, appendonly="no") as other:
        url = f"cluster://{at(one.nodes[0], other.nodes[0])}"
        service = ending(WaitingService(redis=url))
        service.wait_named("are nodes of different Clusters")
        assert service.vote("v").status == 503
        code, said = check(url)
        assert code == 1 and "are nodes of different Clusters" in said, said
        assert one.nodes[0].ask("DBSIZE") == other.nodes[0].ask("DBSIZE") == 0
        other.nodes[0].kill()  # nobody contradicts any more
        service.wait_taken()


def test_a_name_that_no_sentinel_knows(ending, group):
    assert_named(ending, f"sentinel://{at(*group.sentinels)}/other", "knows no master other", *group.nodes)


def test_what_fits_is_said_to_be_right(cluster, group, alone):
    for url in (cluster.url, group.url, alone.url):
        assert check(url) == (0, "The configuration is right, and so is the Redis that answers.\n"), url
    for server in (*cluster.nodes, *group.nodes, alone):
        assert_untouched(server, but_for={"script|load", "evalsha"})  # the question for the rights
        assert server.ask("DBSIZE") == 0


def test_each_node_of_a_cluster_is_asked():
    with Cluster(masters=2, replicas=1, password="p", user="engaged", node_timeout=5000) as cluster:
        url = f"cluster://engaged:p@127.0.0.1:{cluster.nodes[0].port}"
        for node in cluster.nodes[1:]:  # a master, and replicas, which may become masters
            node.ask("ACL", "SETUSER", "engaged", "resetpass", ">q")
            words = f"127.0.0.1:{node.port}: AUTH: WRONGPASS"  # the map names a replica when it has told its offset
            wait_until(lambda: (found := check(url))[0] == 1 and words in found[1], 30, lambda: check(url))
            node.ask("ACL", "SETUSER", "engaged", "resetpass", ">p")
        code, said = check(f"{url},127.0.0.1:1", wait_replicas=2)
        assert code == 0 and "warning: redis: 127.0.0.1:1: Redis: Connection refused\n" in said, said
        assert said.count(": replicas: 1, wait_replicas: 2\n") == 2, said
        cluster.owner("engaged:meta").ask("HSET", "engaged:meta", "partitions", 16)
        code, said = check(url, partitions=32)
        assert code == 1 and "partitions: the data has 16, the setting says 32" in said, said
        replica = cluster.first_replicas[0]
        replica.freeze()  # it is named until the others have missed it
        code, said = check(url, partitions=16, redis_timeout="500ms")
        replica.thaw()
        assert code == 0 and f"warning: redis: 127.0.0.1:{replica.port}: " in said, said


def test_nobody_answers(alone):
    code, said = check(f"redis://{at(alone)}9"[:-1].replace(str(alone.port), "1"))
    assert code == 1 and "refused" in said.lower(), said


def test_a_redis_that_becomes_a_cluster_while_it_is_used_is_left(ending):
    with ScriptedRedis() as redis:
        service = ending(WaitingService(redis=f"redis://127.0.0.1:{redis.port}"))
        service.wait_taken()
        redis.rule("vote", answer(b"-MOVED 652 127.0.0.1:7001\r\n"), times=1)
        connects = redis.connects
        assert service.vote("moved").status == 503
        wait_until(lambda: redis.connects > connects, 10, "it connects again")
        service.wait_taken(visitor="again")
        assert "MOVED 652" in service.log()
