# SPDX-License-Identifier: MIT
"""Records in the list of machines behind which nothing projects. Whoever has left one, somebody else projects within eight seconds, and
what is shown of them spoils no line."""
import contextlib
import hashlib
import itertools
import time

import pytest

from support.machine import Machine
from support.machine_list import LIST, kept_fresh, now_ms
from support.redis_server import RedisServer
from support.wait import wait_until

S = "/v1/s"
NEWEST = "aa" * 8
PROJECTIONS = ("sums", "neighbours")
WITHIN = 8


@pytest.fixture
def server():
    with RedisServer() as running:
        yield running


@pytest.fixture
def machines(server):
    with contextlib.ExitStack() as stack:
        both = [Machine(server.url, workers=1) for _ in range(2)]
        [stack.push(machine.conclude) for machine in both]
        wait_until(lambda: all(machine.metrics()["engaged_machines"] == 2 for machine in both), 15, both[0].log)
        yield both


def instances(client):
    return [field.decode() for field in client.hgetall(LIST) if len(field) == 16]


def own_plan(client):
    return client.hget(LIST, instances(client)[0]).split()[2].decode()


def first_of_all(client):
    """A number whose turn it is before all others'."""
    def rank(projection, instance):
        return hashlib.sha1((projection + instance).encode()).hexdigest()

    others = instances(client)
    return next(number for number in (f"{tried:016x}" for tried in itertools.count(1))
                if all(rank(projection, number) > max(rank(projection, other) for other in others) for projection in PROJECTIONS))


@contextlib.contextmanager
def concluded(machine):
    with contextlib.ExitStack() as stack:
        stack.push(machine.conclude)
        yield machine


def longest_wait(machine, seconds, until=lambda: False):
    """For how long a view was not seen in the counts at most, while ever new visitors view."""
    begun = moved = time.monotonic()
    longest = seen = taken = 0
    while time.monotonic() - begun < seconds and not until():
        answer = machine.keyed("POST", f"{S}/items/a/views", Engaged_Visitor=f"v{begun}{taken}")
        assert answer.status in (200, 202), answer.body
        taken += 1
        found = machine.get(f"{S}/items/a")
        count = found.json["views"] if found.status == 200 else 0
        if count != seen:
            seen, moved = count, time.monotonic()
        longest = max(longest, time.monotonic() - moved)
        time.sleep(0.05)
    return longest


def at_work(machines):
    return [sum(machine.metrics()[f'engaged_projection_active{{projection="{projection}"}}'] for machine in machines)
            for projection in PROJECTIONS]


def said(machine):
    return machine.get("/readyz", port=machine.ops_port).body


@pytest.mark.parametrize("plan", ["", NEWEST], ids=["same-rankings", "newest-rankings"])
def test_a_record_that_is_kept_fresh_and_behind_which_nothing_projects_is_passed_over(server, machines, plan):
    client = server.client()
    if plan:
        client.hset(LIST, f"plan {plan}", f"{now_ms(client)} {now_ms(client)}")
    with kept_fresh(client, first_of_all(client), plan or own_plan(client)):
        assert longest_wait(machines[0], 12) < WITHIN, machines[0].log()
        for machine in machines:
            wait_until(lambda machine=machine: b"; web9 (ffffffff) was passed over\n" in said(machine), 5, lambda machine=machine: said(machine))
            assert b"; another was passed over\n" in machine.get("/readyz").body and "web9 (ffffffff) was passed over" in machine.log()
            assert machine.metrics()["engaged_machines_untold"] == 1
        assert at_work(machines) == [1, 1]


def test_a_name_in_the_list_spoils_no_line(server, machines):
    """Whoever can write to Redis can write any name; so can a host."""
    client = server.client()
    with kept_fresh(client, first_of_all(client), own_plan(client), name="web\n9\r\x1b[2J\x00é\u202e" + "x" * 100_000):
        for machine in machines:
            wait_until(lambda machine=machine: b"projects sums" in said(machine) and b"web?9" in said(machine), 10, lambda machine=machine: said(machine))
            text = said(machine).decode("ascii")
            assert text.count("\n") == 1 and text[:-1].isprintable() and len(text) < 640, text
            assert "web?9??[2J?" in text
            assert max(map(len, machine.log().splitlines())) < 2048 and "\n9" not in machine.log()


def test_a_machine_whose_projector_keeps_ending_gives_its_turn_away(server):
    """It dies at the first chunk that it has to write, whenever it is its turn."""
    with contextlib.ExitStack() as stack:
        well = stack.enter_context(concluded(Machine(server.url, workers=1)))
        sick = stack.enter_context(concluded(Machine(server.url, workers=1, environment={"ENGAGED_FAILPOINT": "commit-chunk-before:1"})))
        for _ in range(40):
            wait_until(lambda: sick.metrics()["engaged_machines"] == well.metrics()["engaged_machines"] == 2, 15, well.log)
            if sick.metrics()['engaged_projection_active{projection="sums"}']:
                break
            sick.restart()
        assert longest_wait(well, 15) < WITHIN, sick.log()
        assert sick.log().count("projector[1] ended (signal 9)") < 4, sick.log()
