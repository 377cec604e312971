# SPDX-License-Identifier: MIT
"""The example setups of deploy/cluster and deploy/sentinel: exactly their files are started, on other ports."""
import collections
import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.request

import pytest
import redis

from support.ports import free_port
from support.processes import alive
from support.program import PROGRAM, ROOT
from support.reports import reports_in
from support.wait import wait_until

LOGIN = {"username": "engaged", "password": "change-me"}
# Of each example: how many of its six ports are of data nodes, and the roles of these.
KINDS = {"cluster": (6, ["master"] * 3 + ["slave"] * 3), "sentinel": (3, ["master"] + ["slave"] * 2)}


def chosen_ports():
    """Six ports as the examples take them, and the environment that says so."""
    ports, buses = ([free_port() for _ in range(6)] for _ in range(2))
    return ports, {**os.environ, "PORTS": " ".join(map(str, ports)), "BUS_PORTS": " ".join(map(str, buses))}


def client(port, **login):
    return redis.Redis(port=port, decode_responses=True, **login)


class Example:
    """What deploy/{cluster,sentinel}/start runs, in a folder that stays from one start to the next."""

    def __init__(self, kind, folder):
        self.kind, self.folder, self.log = kind, folder / "servers", folder / "log"
        self.ports, self.environment = chosen_ports()
        self.data = self.ports[:KINDS[kind][0]]
        self.start()

    def start(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([f"{ROOT}/deploy/{self.kind}/start", self.folder], env=self.environment,
                                            stdout=log, stderr=log)
        wait_until(lambda: " is up: " in self.log.read_text() or self.process.poll() is not None, 100, self.log.read_text)
        assert self.process.poll() is None, self.log.read_text()
        self.pids = {port: client(port).info("server")["process_id"] for port in self.ports}

    def end(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        assert self.process.wait(60) == 0, self.log.read_text()
        assert not any(map(alive, self.pids.values()))

    def write(self, key, value):
        """As the service would: to the master of the key, by its login."""
        if self.kind == "cluster":
            with contextlib.closing(redis.RedisCluster("127.0.0.1", self.data[0], **LOGIN)) as nodes:
                return nodes.set(key, value)
        return client(self.master(), **LOGIN).set(key, value)

    def read(self, key):
        if self.kind == "cluster":
            with contextlib.closing(redis.RedisCluster("127.0.0.1", self.data[0], decode_responses=True, **LOGIN)) as nodes:
                return nodes.get(key)
        return client(self.master(), **LOGIN).get(key)

    def master(self):
        """That of the Sentinel group."""
        return int(client(self.ports[3]).sentinel_get_master_addr_by_name("engaged")[1])


@pytest.fixture(scope="module", params=KINDS)
def example(request, tmp_path_factory):
    found = Example(request.param, tmp_path_factory.mktemp(request.param))
    yield found
    if found.process.poll() is None:
        found.end()


def roles(example):
    return [client(port).info("replication")["role"] for port in example.data]


def test_it_comes_up(example):
    assert collections.Counter(roles(example)) == collections.Counter(KINDS[example.kind][1])
    assert not any("*** FATAL" in (example.folder / str(port) / "log").read_text() for port in example.ports)


def test_the_services_login_may_write_its_keys_and_nothing_else(example):
    assert example.write("{e0}i0", "1") and example.read("{e0}i0") == "1"
    for command in (["SET", "another", "1"], ["FLUSHALL"], ["CONFIG", "GET", "dir"], ["KEYS", "*"], ["SHUTDOWN"],
                    ["REPLICAOF", "NO", "ONE"], ["CLUSTER", "RESET"]):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client(example.data[0], **LOGIN).execute_command(*command)


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_all_servers_and_finds_its_data_again(example, with_signal):
    example.write("{e7da}i0", with_signal.name)
    example.end(with_signal)
    example.start()
    assert sorted(roles(example)) == sorted(KINDS[example.kind][1])
    assert example.read("{e7da}i0") == with_signal.name


def living_in(folder):
    """The processes whose folder is in this one."""
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and alive(int(pid))
            and os.path.realpath(f"/proc/{pid}/cwd").startswith(str(folder))]


def test_a_port_that_is_taken_is_named_and_nothing_is_left(example, tmp_path):
    taken = {**example.environment, "PORTS": " ".join(map(str, [*(free_port() for _ in range(5)), example.ports[0]]))}
    done = subprocess.run([f"{ROOT}/deploy/{example.kind}/start", tmp_path / "other"], env=taken, stderr=subprocess.PIPE, text=True,
                          timeout=100)
    assert done.returncode == 1 and f"port {example.ports[0]}" in done.stderr
    assert not living_in(tmp_path)


@pytest.fixture(params=KINDS)
def sample(request, tmp_path):
    """What `make run REDIS=…` does after the build, in a folder of its own: yields the address of the service."""
    for name in ("deploy", "loadtest"):
        shutil.copytree(os.path.join(ROOT, name), tmp_path / name)
    (tmp_path / "build").mkdir()
    (tmp_path / "build/engaged").symlink_to(PROGRAM)
    listen = f"127.0.0.1:{free_port()}"
    environment = {**chosen_ports()[1], "REDIS": request.param, "ENGAGED_LISTEN": listen, "ENGAGED_REFRESH_INTERVAL": "50ms",
                   "ENGAGED_OPS_LISTEN": f"127.0.0.1:{free_port()}"}
    log = tmp_path / "log"
    with open(log, "wb") as file:
        process = subprocess.Popen([tmp_path / "deploy/run-sample"], env=environment, stdout=file, stderr=file,
                                   start_new_session=True)
    try:
        wait_until(lambda: "engaged runs on" in log.read_text() or process.poll() is not None, 120, log.read_text)
        assert process.poll() is None, log.read_text()
        yield f"http://{listen}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        code = process.wait(60)
    assert code == 0 and not reports_in(log.read_text()), log.read_text()
    assert not living_in(tmp_path)


def called(method, address):
    with urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=20) as response:
        return json.load(response)


def test_make_run_with_it(sample):
    """The service works on the servers of the example, with their login."""
    vote = called("POST", f"{sample}/v1/sample/items/harbour-bridge-reopens/votes")
    assert vote["vote"] == "up" and vote["votes"]["up"] >= 1
    found = wait_until(lambda: (one := called("GET", f"{sample}/v1/sample/rankings/hot?limit=3")) and len(one["items"]) == 3 and one, 20)
    assert all(item["title"] for item in found["items"])
