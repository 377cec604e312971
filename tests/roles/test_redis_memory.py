# SPDX-License-Identifier: MIT
"""How much memory an embedded Redis may use without memory_limit: read from a cgroup, which files imitate here."""
import os
import signal
import subprocess

import pytest
import redis

from support.service import Service
from support.wait import wait_until

MIB = 1 << 20


class InGroup(Service):
    """The service in a cgroup whose memory.max the test writes."""

    def __init__(self, group, limit, **settings):
        self.group = group
        self.wrapper = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
                        f'mount --bind {group} /sys/fs/cgroup && exec "$@"', "sh")
        self.allow(limit)
        super().__init__(**settings)

    def allow(self, limit):
        (self.group / "memory.max").write_text(f"{limit}\n")

    def redis(self):
        return redis.Redis(unix_socket_path=os.path.join(self.folder, "d", "redis.sock"))

    def limit(self):
        return int(self.redis().config_get("maxmemory")["maxmemory"])

    def wait_limit(self):
        return wait_until(self.limit, 10, lambda: "Redis got no limit:\n" + self.log())

    def again(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        self.start()


@pytest.fixture
def in_group(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    if subprocess.run(["unshare", "--mount", "--propagation", "private", "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("left out: no mount namespace here")
    services = []

    def one(limit, **settings):
        services.append(InGroup(tmp_path, limit, **settings))
        return services[-1]

    yield one
    for service in services:
        service.stop()


def vote(service, visitor):
    return service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor=visitor).status


def test_half_of_what_the_service_may_use(in_group):
    service = in_group(600 * MIB)
    assert service.wait_limit() == 300 * MIB
    wait_until(lambda: "the embedded Redis may use 300 MiB: half of the memory" in service.log(), 5, service.log)
    wait_until(lambda: service.metrics()["engaged_redis_memory_limit_bytes"] == 300 * MIB, 10, "the metric")
    service.redis().shutdown(nosave=True)  # the next one gets it too
    wait_until(lambda: alive(service), 10, "Redis is not back")
    assert service.wait_limit() == 300 * MIB
    wait_until(lambda: vote(service, "v") == 200, what="no vote is taken")


def alive(service):
    try:
        return service.redis().ping()
    except redis.RedisError:
        return False


def test_never_less_than_a_quarter_more_than_it_holds(in_group):
    service = in_group(60 * MIB)
    assert service.wait_limit() == 30 * MIB and vote(service, "before") == 200
    for n in range(14):
        service.redis().set(f"filler {n}", b"x" * MIB)
    service.allow(20 * MIB)
    service.again()
    limit, holds = service.wait_limit(), service.redis().info("memory")["used_memory"]
    assert holds > 14 * MIB and 1.15 * holds < limit < 1.35 * holds, (limit, holds)
    assert vote(service, "after") == 200
    wait_until(lambda: f"the embedded Redis may use {limit // MIB} MiB: 1.25 times what it holds" in service.log(), 5, service.log)


def test_one_that_outlived_its_service_keeps_what_it_has(in_group):
    service = in_group(600 * MIB)
    assert service.wait_limit() == 300 * MIB
    service.process.kill()
    service.process.wait()
    service.allow(400 * MIB)
    service.start()
    assert service.limit() == 300 * MIB and vote(service, "v") == 200
    wait_until(lambda: "adopted" in service.log(), 5, service.log)
    service.redis().config_set("maxmemory", 0)  # as a version before left it
    service.process.kill()
    service.process.wait()
    service.start()
    assert service.wait_limit() == 200 * MIB


def test_what_the_settings_say_is_not_touched(in_group):
    service = in_group(600 * MIB, memory_limit="64MiB")
    assert service.limit() == 64 * MIB and vote(service, "v") == 200
    service.again()
    assert service.limit() == 64 * MIB and "may use" not in service.log()
