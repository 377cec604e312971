# SPDX-License-Identifier: MIT
"""A Redis Cluster and a Sentinel group that speak nothing but TLS, and give themselves other names than the setting does."""
import subprocess

import pytest

from support.certificates import Authority
from support.program import PROGRAM, options_of
from support.redis_cluster import Cluster
from support.sentinels import Sentinels
from support.service import WaitingService
from support.wait import wait_until


@pytest.fixture(scope="module", name="authority")
def _authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def run(service, *words):
    done = subprocess.run([PROGRAM, *words, *options_of(service.settings)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


def by_name(url):
    return url.replace("127.0.0.1", "localhost")


def test_a_cluster_announces_addresses_which_the_certificates_must_hold(ending, authority):
    with Cluster(masters=3, replicas=0, tls=(authority, authority.issue("all"))) as cluster:
        ca = {"redis_ca": authority.certificate, "wait_replicas": 0, "partitions": 16}
        service = ending(WaitingService(redis=by_name(cluster.url), redis_tls="on", **ca))
        service.wait_taken()
        wait_until(lambda: all(service.vote("v", f"i{number}").status == 200 for number in range(40)), 20, service.log)
        assert all(node.ask("DBSIZE") > 0 for node in cluster.nodes), "votes go to all masters"
        code, said = run(service, "check", "--connect")
        assert code == 0, said
        code, said = run(service, "partitions", "--seconds", "1")
        assert code == 0 and "127.0.0.1" in said, said
        plain = ending(WaitingService(redis=cluster.url, **{**ca, "redis_ca": ""}))
        wait_until(lambda: plain.trouble()[0] == 503 and "while in handshake" in plain.log(), 20, plain.log)


def test_nodes_that_share_one_name_have_it_in_a_setting(ending, authority):
    with Cluster(masters=2, replicas=0, tls=(authority, authority.issue("name-alone", ("localhost",)))) as cluster:
        settings = {"redis": by_name(cluster.url), "redis_tls": "on", "redis_ca": authority.certificate, "wait_replicas": 0, "partitions": 16}
        service = ending(WaitingService(**settings))
        service.wait_named("TLS: the certificate of 127.0.0.1: IP address mismatch")
        code, said = run(service, "check", "--connect")
        assert code == 1 and "IP address mismatch" in said, said
        named = ending(WaitingService(**settings, redis_tls_name="localhost"))
        named.wait_taken()
        code, said = run(named, "check", "--connect")
        assert code == 0, said


def test_sentinels_name_a_new_master_and_all_of_it_is_tls(ending, authority):
    with Sentinels(tls=(authority, authority.issue("group")), tls_auth_clients="yes") as group:
        cert, key = authority.client
        settings = {"redis": by_name(group.url), "redis_tls": "on", "wait_replicas": 0, "redis_ca": authority.certificate}
        service = ending(WaitingService(**settings, redis_cert=cert, redis_key=key))
        service.wait_taken()
        code, said = run(service, "check", "--connect")
        assert code == 0, said
        bare = ending(WaitingService(**settings))
        bare.wait_named("may want redis_cert")
        group.failover()
        assert service.wait_taken(visitor="second").json["votes"]["up"] >= 1


def test_what_is_wrong_at_sentinels_is_named(ending, authority):
    with Sentinels(sentinels=1, replicas=0, tls=(authority, authority.issue("sentinel", ("127.0.0.1",)))) as group:
        service = ending(WaitingService(redis=by_name(group.url), redis_tls="on", wait_replicas=0, redis_ca=authority.certificate))
        service.wait_named("TLS: the certificate of localhost: hostname mismatch")
        assert "the Sentinel at localhost:" in service.trouble()[1], service.trouble()
        code, said = run(service, "check", "--connect")
        assert code == 1 and "hostname mismatch" in said, said
