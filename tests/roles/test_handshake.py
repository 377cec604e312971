# SPDX-License-Identifier: MIT
"""The service checks what the setting `redis` leads to before it writes there, and names what does not fit."""
import subprocess
import time

import pytest
import redis
from support.launch import status_at
from support.ports import free_port
from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

KEYS = {"secret": "11" * 32, "hash_key": "22" * 32}


class Waiting(Service):
    """One that is alive and need not be ready."""

    def is_ready(self):
        return status_at(self.port, "/healthz") == 200

    def trouble(self):
        answer = self.get("/readyz")
        return (answer.status, answer.body.decode())


@pytest.fixture
def waiting():
    services = []

    def start(url, **settings):
        services.append(Waiting(redis=url, **KEYS, **settings))
        return services[-1]

    yield start
    for service in services:
        if service.process.poll() is None:
            service.stop()


def assert_named(service, words):
    wait_until(lambda: words in service.trouble()[1], 10, lambda: f"{service.trouble()}\n{service.log()}")
    assert service.trouble()[0] == 503 and words in service.log()
    time.sleep(0.5)  # some more attempts
    assert service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="v").status == 503


def assert_untouched(server):
    client = server.client()
    written = {name[8:] for name in client.info("commandstats")} & {"evalsha", "eval", "script|load", "set", "hset", "xadd"}
    assert client.dbsize() == 0 and not written, written


def test_a_cluster_node_is_named_and_nothing_is_written_to_it(waiting):
    port = next(port for port in iter(free_port, None) if port < 55536)  # its bus is 10,000 above
    with RedisServer(port=port, cluster_enabled="yes", cluster_config_file="nodes.conf") as server:
        client = server.client()
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")), 10)
        assert_named(waiting(server.url), "a node of a Cluster")
        assert_untouched(server)
        # Also where a database is chosen, which a node refuses by itself.
        assert_named(waiting(server.url + "/1"), "a node of a Cluster")


@pytest.mark.parametrize("read_only", ["yes", "no"])
def test_a_replica_is_named_and_nothing_is_written_to_it(waiting, read_only):
    with RedisServer() as master, RedisServer(replicaof=f"127.0.0.1 {master.port}", replica_read_only=read_only) as replica:
        wait_until(lambda: replica.client().info("replication")["master_link_status"] == "up", 10)
        service = waiting(replica.url)
        assert_named(service, "a replica, not a master")
        assert_untouched(replica)
        assert str(master.port) not in service.trouble()[1]
        replica.client().execute_command("REPLICAOF", "NO", "ONE")
        wait_until(lambda: service.trouble()[0] == 200, 15, service.log)


def test_a_sentinel_is_named(waiting, tmp_path):
    port = free_port()
    (tmp_path / "sentinel.conf").write_text(f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n")
    process = subprocess.Popen(["redis-server", str(tmp_path / "sentinel.conf"), "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port), 10, "the Sentinel does not answer")
        assert_named(waiting(f"redis://127.0.0.1:{port}"), "a Sentinel")
    finally:
        process.kill()
        process.wait()


def answers(port):
    try:
        return redis.Redis(port=port).ping()
    except redis.RedisError:
        return False


@pytest.mark.parametrize("path,words", [("", "NOAUTH"), (":wrong@", "WRONGPASS"), (":right@/99", "out of range")])
def test_why_a_login_fails_is_said_by_readyz(waiting, path, words):
    with RedisServer() as server:
        server.client().config_set("requirepass", "right")
        login, _, database = path.partition("/")
        service = waiting(f"redis://{login}127.0.0.1:{server.port}/{database or 0}")
        wait_until(lambda: words in service.trouble()[1], 10, lambda: service.trouble()[1])
        assert "right" not in service.log().replace("copyright", "") and service.trouble()[0] == 503


def test_nobody_answers_is_said_by_readyz(waiting):
    service = waiting(f"redis://127.0.0.1:{free_port()}")
    wait_until(lambda: "connection refused" in service.trouble()[1], 10, lambda: service.trouble()[1])


def test_a_master_that_is_demoted_is_left_also_by_one_that_only_reads(waiting):
    with RedisServer() as server:
        service = waiting(server.url)
        wait_until(lambda: service.trouble()[0] == 200, 10, service.log)
        server.client().execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
        wait_until(lambda: "a replica, not a master" in service.trouble()[1], 4, lambda: service.trouble()[1])
        assert service.get("/v1/s/rankings/top").status in (200, 503)
        server.client().execute_command("REPLICAOF", "NO", "ONE")
        wait_until(lambda: service.trouble()[0] == 200, 15, service.log)
