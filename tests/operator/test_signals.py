# SPDX-License-Identifier: MIT
"""Signals at unusual moments.

    what is done                                  what is expected
    SIGHUP, SIGUSR1, SIGUSR2 to all processes     one reload, nobody ends (`pkill -HUP engaged`)
    SIGHUP in the middle of a start               it starts, then reloads
    SIGTERM, SIGINT in the middle of a start      it ends with 0, no process is left
    SIGTERM, SIGINT again and again in a drain    one drain, ends with 0
    SIGTERM, SIGKILL in the middle of a reload    it ends, no worker is left; the next start has all votes
    a storm of SIGHUP                             the last configuration is in force; nobody is refused
    SIGSTOP of the supervisor, then SIGCONT       the others served meanwhile; it goes on and kills nobody
"""
import os
import signal
import time

import pytest

from support.launch import status_at
from support.processes import alive, read_file
from support.service import Service
from support.wait import wait_until


def processes(service):
    return [service.process.pid, *service.children("worker"), *service.children("projector")]


def vote(service, visitor, item="a"):
    return service.keyed("POST", f"/v1/s/items/{item}/votes", Engaged_Visitor=visitor)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_to_all_processes_ends_none(own, number):
    service = own(workers=2)
    assert vote(service, "v").status == 200
    before = processes(service)
    for pid in before:
        os.kill(pid, number)
    if number == signal.SIGHUP:
        wait_until(lambda: "have taken over" in service.log(), 20, service.log)
    else:
        time.sleep(0.3)
        assert processes(service) == before
    assert service.metrics()["engaged_process_restarts_total"] == 0, service.log()
    assert vote(service, "w").json["votes"]["up"] == 2


class Begun(Service):
    """Not waited for."""

    def start(self):
        self.process = self.spawn(**self.environment)

    def mask(self, name):
        rows = dict(line.split(":\t") for line in read_file(f"/proc/{self.process.pid}/status").decode().splitlines()
                    if line.startswith("Sig"))
        return int(rows.get(name, "0"), 16)

    def send_as_soon_as_it_is_minded(self, number):
        wait_until(lambda: (self.mask("SigBlk") | self.mask("SigCgt")) >> (number - 1) & 1, 20, "it minds no signal", pause=0)
        self.process.send_signal(number)


def test_a_reload_in_the_middle_of_a_start_comes_after_it(ending, tmp_path):
    for round_number in range(5):
        service = ending(Begun(workers=2, redis=f"embedded:{tmp_path}/{round_number}"))
        service.send_as_soon_as_it_is_minded(signal.SIGHUP)
        wait_until(lambda: "have taken over" in service.log(), 30, service.log)
        assert status_at(service.port) == 200 and service.process.poll() is None
        service.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_end_in_the_middle_of_a_start_leaves_nothing(ending, tmp_path, number):
    for round_number in range(5):
        service = ending(Begun(workers=2, redis=f"embedded:{tmp_path}/{round_number}"))
        service.send_as_soon_as_it_is_minded(number)
        assert service.process.wait(40) == 0, service.log()
        left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                if f"{tmp_path}/{round_number}".encode() in read_file(f"/proc/{pid}/cmdline") + read_file(f"/proc/{pid}/environ")]
        assert not [pid for pid in left if alive(pid)]


def test_an_end_that_is_asked_for_again_and_again_is_one(own):
    service = own(workers=2)
    assert vote(service, "v").status == 200
    for number in [signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]:
        service.process.send_signal(number)
        time.sleep(0.01)
    assert service.process.wait(40) == 0 and "reload" not in service.log()
    service.start()
    assert vote(service, "w").json["votes"]["up"] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_in_the_middle_of_a_reload_leaves_no_worker_and_loses_nothing(own, number):
    service = own(workers=2)
    for visitor in range(20):
        assert vote(service, f"v{visitor}").status == 200
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "new processes start" in service.log(), 20, service.log)
    mine = processes(service)
    service.process.send_signal(number)
    assert service.process.wait(40) == (0 if number == signal.SIGTERM else -number)
    wait_until(lambda: not any(alive(pid) for pid in mine), 20, "a process is left")
    service.start()
    assert vote(service, "w").json["votes"]["up"] == 21


def test_after_a_storm_of_reloads_the_last_configuration_is_in_force(own):
    service, answers = own(configuration="max_age = 2\n", workers=2), []
    for number in range(40):
        service.configure(f"max_age = {3 + number}\n")
        service.process.send_signal(signal.SIGHUP)
        answers.append(service.get("/healthz").status)
    wait_until(lambda: "max-age=42" in service.get("/v1/s/rankings/top").headers["cache-control"], 30, service.log)
    assert set(answers) == {200} and service.metrics()["engaged_process_restarts_total"] == 0
    wait_until(lambda: len(service.children("worker")) == 2, 20, "old workers stay")


def test_a_supervisor_that_stands_still_for_long_kills_nobody_when_it_goes_on(own):
    service = own(workers=2, hang_timeout="4s")  # a busy machine lets a process stand still for a second
    before = processes(service)
    os.kill(service.process.pid, signal.SIGSTOP)
    end = time.monotonic() + 6
    while time.monotonic() < end:
        assert vote(service, f"v{time.monotonic()}").status == 200
        time.sleep(0.05)
    os.kill(service.process.pid, signal.SIGCONT)
    time.sleep(1.5)
    assert processes(service) == before, service.log()
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "have taken over" in service.log(), 20, service.log)
