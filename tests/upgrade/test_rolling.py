# SPDX-License-Identifier: MIT
"""Three machines behind nginx on one Redis are upgraded one by one while votes and views go on (docs/upgrading.md): no call fails,
counts and lists are exact. Older programs are built from the history."""
import contextlib
import urllib.request

import pytest

from support.cluster_load import Load
from support.documents import blocks
from support.old_program import Upgraded, format_of, old_program
from support.program import PROGRAM
from support.proxies import nginx
from support.redis_server import RedisServer
from support.wait import wait_until

REVISIONS = ("446259e", "7e164bf")
NEWEST = "of a newer program"


class Machine(Upgraded):
    presets = {**Upgraded.presets, "secret_key": "publisher", "secret": "11" * 32, "hash_key": "22" * 32, "rate_limits": "off",
               "projection_interval": "20ms", "list_unknown": "on"}


class Fleet:
    """What a load takes for one service."""

    def __init__(self, port, machines):
        self.port, self.machines = port, machines

    def log(self):
        return "\n\n".join(machine.log() for machine in self.machines)


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read()


@contextlib.contextmanager
def fleet_of(program, folder):
    passing_on, = blocks("docs/upgrading.md", "nginx")
    with RedisServer() as server, contextlib.ExitStack() as stack:
        machines = []
        for _ in range(3):
            machines.append(Machine(program, redis=server.url))
            stack.callback(machines[-1].stop)
        upstream = " ".join(f"server 127.0.0.1:{machine.port} max_fails=0;" for machine in machines)
        with nginx(folder, f"upstream engaged {{ {upstream} }}", f"location / {{ proxy_pass http://engaged; {passing_on} }}", fetch) as port:
            yield Fleet(port, machines)


def of_format(revision, same):
    """Its program; the test is skipped if it writes another format, or the same one, as this tree."""
    old = old_program(revision)
    if (format_of(revision) == format_of("HEAD")) != same:
        pytest.skip("it is of " + ("another format" if same else "the same format"))
    return old


@pytest.fixture
def load_on():
    @contextlib.contextmanager
    def start(fleet):
        load = Load(fleet, "s", callers=6)
        with load.running():
            load.wait_acknowledged()
            yield load
        assert not load.refused, (load.refused[:5], fleet.log()[-4000:])
        load.judge()
    return start


def each_is_used(fleet, load):
    """Each takes votes and views itself: nginx asks them by turns."""
    before = [machine.metrics()['engaged_votes_total{result="changed"}'] for machine in fleet.machines]
    wait_until(lambda: all(machine.metrics()['engaged_votes_total{result="changed"}'] > one + 10 for machine, one in zip(fleet.machines, before)), 30,
               lambda: f"not each takes votes\n{fleet.log()}")
    load.wait_acknowledged()


@pytest.mark.parametrize("revision", REVISIONS)
def test_programs_of_one_format_work_side_by_side_and_any_goes_back(revision, tmp_path, load_on):
    old = of_format(revision, same=True)
    with fleet_of(old, tmp_path) as fleet, load_on(fleet) as load:
        first, second, third = fleet.machines
        for machine, program in ((first, PROGRAM), (second, PROGRAM), (first, old), (third, PROGRAM), (first, PROGRAM)):
            machine.go_on_with(program)
            each_is_used(fleet, load)
        assert NEWEST not in fleet.log()


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_first_new_program_raises_the_format_and_the_old_ones_step_aside(revision, tmp_path, load_on):
    old = of_format(revision, same=False)
    with fleet_of(old, tmp_path) as fleet, load_on(fleet) as load:
        first, second, third = fleet.machines
        first.go_on_with(PROGRAM)
        load.wait_acknowledged()
        wait_until(lambda: NEWEST in second.log() and NEWEST in third.log(), 20, "the old programs are refused")
        wait_until(lambda: second.get("/readyz").status == 503, 20, "nor are they ready")
        load.wait_acknowledged()
        second.end()
        status, said = second.refusal()
        assert status == 1 and f"the data has format {format_of('HEAD')} {NEWEST}" in said
        for machine in (second, third):
            machine.program = PROGRAM
        second.start()
        third.go_on_with(PROGRAM)
        load.wait_acknowledged()
