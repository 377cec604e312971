# SPDX-License-Identifier: MIT
"""Three machines on one Redis behind nginx: what readers see of them is one service."""
import contextlib
import re

import pytest

from support.beside import Beside
from support.launch import status_at
from support.machines import Load
from support.wait import wait_until

S = "/v1/s"
READS = ["items/a0", "items/a0/page", "items/a0/related", "rankings", "rankings/hot", "rankings/hot?format=html", "rankings/hot?format=rss",
         "rankings/most-read"]
SOURCES = [f"127.0.{number}.1" for number in range(1, 25)]  # each in a network of its own


@pytest.fixture(scope="module")
def filled(three):
    cards = [{"item": f"a{number}", "title": f"Article {number}", "url": f"/a{number}"} for number in range(12)]
    assert three[0].lines(f"{S}/items", cards).json["accepted"] == 12
    events = [{"type": "view", "item": f"a{number}", "visitor": f"v{number % 5}{row}"} for number in range(12) for row in range(4)]
    assert three[1].lines(f"{S}/events?wait=true", events).json["accepted"] == 48
    return three


def at_all(machines, call):
    return [call(machine) for machine in machines]


def wait_all(machines, path, true):
    """Until the answer of each machine is as it must be."""
    for machine in machines:
        wait_until(lambda machine=machine: true(machine.get(path).json), 20, lambda machine=machine: machine.get(path).body)


def without_time(body):
    """ETags are weak: the instant, and the scores as they are worth at that instant, are no part of them."""
    return re.sub(rb'"(?:computed_at|score)":[^,]*,', b"", body)


def test_a_vote_through_any_machine_counts_once(machines):
    visitor = machines[0].keyed("POST", f"{S}/visitors").json["visitor"]
    votes = at_all(machines, lambda machine: machine.post(f"{S}/items/once/votes", Engaged_Visitor=visitor))
    votes += [machines.ask("POST", f"{S}/items/once/votes", source=source, Engaged_Visitor=visitor) for source in SOURCES]
    assert {(vote.status, vote.json["votes"]["up"]) for vote in votes} == {(200, 1)}
    assert len(set(map(machines.that_answered, votes[3:]))) == 3, "nginx spreads networks over all machines"
    wait_all(machines, f"{S}/items/once", lambda item: item["votes"]["up"] == 1)
    assert machines[2].request("DELETE", f"{S}/items/once/votes", Engaged_Visitor=visitor).json["votes"]["up"] == 0
    wait_all(machines, f"{S}/items/once", lambda item: item["votes"]["up"] == 0)


def test_votes_and_views_of_many_at_all_machines_at_once_count_exactly(machines):
    visitors = [machines[0].keyed("POST", f"{S}/visitors").json["visitor"] for _ in range(20)]
    statuses = []

    def at(machine):
        for visitor in visitors:
            statuses.append(machine.post(f"{S}/items/many/votes", Engaged_Visitor=visitor).status)
            statuses.append(machine.post(f"{S}/items/many/views", Engaged_Visitor=visitor).status)

    with Beside(*(lambda machine=machine: at(machine) for machine in machines)):
        pass
    assert len(statuses) == 120 and set(statuses) == {200, 202}
    wait_all(machines, f"{S}/items/many", lambda item: (item["votes"]["up"], item["views"]) == (20, 20))


@pytest.mark.parametrize("path", READS)
def test_bodies_and_etags_are_equal_at_all_machines(filled, machines, path):
    def seen():
        answers = at_all(machines, lambda machine: machine.get(f"{S}/{path}"))
        return {(answer.status, without_time(answer.body), answer.headers["etag"]) for answer in answers}

    status, body, tag = wait_until(lambda: len(found := seen()) == 1 and found, 20, seen).pop()
    assert status == 200 and body
    assert at_all(machines, lambda one: one.get(f"{S}/{path}", If_None_Match=tag).status) == [304] * 3


def test_what_nginx_keeps_is_revalidated_at_another_machine(filled, machines):
    path = f"{S}/items/a0/page"
    first = machines.ask("GET", path)
    assert (first.status, first.headers["x-cache"]) == (200, "MISS")
    source = next(one for one in SOURCES if machines.that_answered(machines.ask("POST", f"{S}/visitors", source=one))
                  is not machines.that_answered(first))

    def expired():
        answer = machines.ask("GET", path, source=source)
        return answer if answer.headers["x-cache"] != "HIT" else None

    again = wait_until(expired, 20, "it does not expire")
    assert again.headers["x-cache"] == "REVALIDATED"
    assert (again.status, again.body, again.headers["etag"]) == (200, first.body, first.headers["etag"])
    assert machines.that_answered(again) is not machines.that_answered(first)


def test_a_machine_that_is_stopped_cleanly_costs_no_reader_an_error(machines):
    """Its listening sockets must close with the last client that they have taken: nginx cannot send a write again."""
    voters = [(source, machines[0].keyed("POST", f"{S}/visitors").json["visitor"]) for source in SOURCES]

    def vote(number, voter):
        return machines.ask("POST", f"{S}/items/stop{number}/votes", source=voter[0], Engaged_Visitor=voter[1])

    def read(number, voter):
        return machines.ask("GET", f"{S}/items/stop{number}/page", source=voter[0])

    with Load(vote, voters) as votes, Load(read, voters) as reads:
        votes.wait_more(100), reads.wait_more(100)
        machines[1].end()
        votes.wait_more(100), reads.wait_more(100)
    assert not votes.faults and not reads.faults, (votes.faults, reads.faults)
    for machine in (machines[0], machines[2]):
        assert machine.get(f"{S}/items/stop1").json["votes"]["up"] == len(voters)


def test_a_machine_can_be_frozen_killed_and_restarted_with_other_settings(machines):
    one = machines[2]
    one.freeze()
    assert status_at(one.port, timeout=0.5) is None and status_at(machines[0].port) == 200
    one.thaw()
    assert status_at(one.port) == 200
    one.kill()
    assert status_at(one.port) is None
    one.restart("max_age = 7\n")
    assert "max-age=7" in one.get(f"{S}/rankings/hot").headers["cache-control"]
    one.reload("")
    assert "max-age=7" not in one.get(f"{S}/rankings/hot").headers["cache-control"]


def test_a_visitor_token_holds_at_all_machines_with_the_same_secret_and_is_refused_with_another(machines):
    visitor = machines[0].post(f"{S}/visitors").json["visitor"]
    other = machines[2]
    assert {machine.post(f"{S}/items/token/votes", Engaged_Visitor=visitor).status for machine in machines} == {200}
    other.restart(secret="33" * 32)
    refused = other.post(f"{S}/items/token/votes", Engaged_Visitor=visitor)
    assert (refused.status, refused.json["code"]) == (401, "bad_visitor")
    other.restart(secret="33" * 32, secret_old="11" * 32)  # a rotation, machine by machine
    assert other.post(f"{S}/items/token/votes", Engaged_Visitor=visitor).json["votes"]["up"] == 1
    other.restart(secret="11" * 32, secret_old="")
    assert other.post(f"{S}/items/token/votes", Engaged_Visitor=visitor).json["votes"]["up"] == 1


def test_a_machine_with_another_secret_is_warned_of(machines):
    """The others stand still meanwhile, as each records its own secret again every few seconds."""
    other, words = machines[2], "secret: another machine"
    before = other.log().count(words)
    with contextlib.ExitStack() as frozen:
        for one in machines[:2]:
            one.freeze()
            frozen.callback(one.thaw)
        for settings, warned in (({"secret": "33" * 32}, 1), ({"secret": "33" * 32}, 1), ({"secret": "44" * 32, "secret_old": "33" * 32}, 1),
                                 ({"secret": "11" * 32, "secret_old": ""}, 2)):
            other.restart(**settings)
            wait_until(lambda: other.log().count(words) == before + warned, 10, other.log)
    assert words not in machines[0].log()
    assert all(set(machines.redis.client().hgetall(key)) >= {b"secret"} for key in ("engaged:meta", "engaged:copy{engaged:meta}"))
    assert b"secret" not in machines.redis.client().hgetall("engaged:machines{engaged:meta}")
