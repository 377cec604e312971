# SPDX-License-Identifier: MIT
"""The service ends or reloads while clients go on: no connection is refused or reset, nothing is lost."""
import http.client
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from support.ports import free_port
from support.processes import redis_pid
from support.program import PROGRAM
from support.service import Service
from support.wait import wait_until


@pytest.fixture
def service(tmp_path):
    service = Service(workers=2, redis=f"embedded:{tmp_path}/d")
    yield service
    if service.process.poll() is None:
        service.stop()


class Load:
    """Voters, and readers with a connection of their own each or a new one for each call. A connection is only given
    up when its last answer said so."""

    def __init__(self, service, faults=()):
        self.service, self.done, self.faults, self.calls, self.acknowledged = service, threading.Event(), [], 0, set()
        self.known = faults
        self.threads = [threading.Thread(target=target, args=(number,))
                        for number, target in enumerate([self.vote, self.vote, self.read_on, self.read_on, self.read_anew])]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()

    def calls_on(self, calls):
        connection = None
        for method, path, visitor in calls:
            if self.done.is_set():
                break
            connection = connection or http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=10)
            try:
                connection.request(method, path, headers={"Authorization": "Bearer k", "Engaged-Visitor": visitor or ""}
                                   if visitor else {})
                answer = connection.getresponse()
                answer.read()
                self.calls += 1
                if answer.status == 200 and visitor:
                    self.acknowledged.add(visitor)
                elif answer.status != 200:
                    self.faults.append((method, path, answer.status))
                if answer.will_close:
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                self.faults.append((method, path, repr(error)))
                connection = None

    def vote(self, number):
        self.calls_on(("POST", "/v1/s/items/a/votes", f"v{number}-{n}") for n in range(10**9))

    def read_on(self, _):
        self.calls_on(("GET", "/v1/s/rankings/top", None) for _ in range(10**9))

    def read_anew(self, number):
        while not self.done.is_set():
            self.calls_on([("GET", "/healthz", None)])


def votes(service):
    return service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="a witness").json["votes"]["up"] - 1


def test_ten_reloads_under_load_refuse_and_reset_nobody(service):
    with Load(service) as load:
        for number in range(1, 11):
            service.process.send_signal(signal.SIGHUP)
            wait_until(lambda: service.log().count("have taken over") == number, 15, "reload")
            time.sleep(0.2)
            wait_until(lambda: load.calls > 100 * number, 15, lambda: f"{load.calls} calls in {number} reloads")
    assert not load.faults, load.faults[:10]
    assert load.calls > 1000 and votes(service) == len(load.acknowledged)


def test_a_client_that_pauses_between_requests_is_answered_while_it_drains(service):
    """A kept connection, idle for less than half a second, gets one more answer, and is told that it is the last."""
    client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    client.request("GET", "/healthz")
    client.getresponse().read()
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.25)
    client.request("GET", "/healthz")
    answer = client.getresponse()
    assert answer.status == 200 and answer.getheader("Connection") == "close"
    assert service.process.wait(10) == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", service.port), timeout=1)


def test_a_killed_supervisor_takes_its_children_along_and_the_next_one_adopts_redis_and_loses_nothing(service, tmp_path):
    with Load(service) as load:
        for _ in range(3):
            time.sleep(0.4)
            redis = redis_pid(tmp_path / "d")
            service.process.kill()
            service.process.wait()
            service.start()
            assert redis_pid(tmp_path / "d") == redis
    acknowledged = len(load.acknowledged)
    assert acknowledged > 20 and votes(service) >= acknowledged
    for visitor in sorted(load.acknowledged)[::17]:
        before = votes(service)
        assert service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor=visitor).json["votes"]["up"] - 1 == before


def test_a_wrong_configuration_keeps_the_old_one_and_says_why(tmp_path):
    config = tmp_path / "engaged.conf"
    config.write_text("max_age = 7\n")
    service = Service(config=str(config))
    try:
        worker_lines = service.log().count("workers on")
        wrongs = ["max_age = soon\n", "no_such = 1\n", "[ranking hot]\nhalf_life = 0\n", "kinds = up up\n", None]
        for number, wrong in enumerate(wrongs, 1):
            config.write_text(wrong) if wrong else config.unlink()
            service.process.send_signal(signal.SIGHUP)
            wait_until(lambda: service.log().count("the settings before stay") == number, 15, wrong or "a file that is gone")
        assert service.log().count("workers on") == worker_lines and "have taken over" not in service.log()
        assert "max-age=7" in service.get("/v1/s/rankings/top").headers["cache-control"]
    finally:
        service.stop()


def test_a_port_that_is_taken_refuses_to_start_with_one_line(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        options = ["--listen", f"127.0.0.1:{other.getsockname()[1]}", "--ops-listen", f"127.0.0.1:{free_port()}",
                   "--redis", f"embedded:{tmp_path}/d"]
        done = subprocess.run([PROGRAM, *options], stderr=subprocess.PIPE, text=True, timeout=60)
    errors = [line for line in done.stderr.splitlines() if " error: " in line]
    assert done.returncode == 1 and len(errors) == 1 and "in use" in errors[0], done.stderr
    assert not os.path.exists(tmp_path / "d" / "redis.sock")
