# SPDX-License-Identifier: MIT
"""Three machines on one Redis: of each projection one is at work, another takes over when it ends in whatever way, and rankings
and kinds of vote are added machine by machine."""
import contextlib
import os
import signal
import subprocess
import time

import pytest

from support.beside import Beside
from support.machine import Machine
from support.redis_server import RedisServer
from support.scripted_redis import ScriptedRedis, answer
from support.wait import wait_until

S = "/v1/s"
FAST, SLOW = "[ranking fast]\nhalf_life = 100d\nviews = 0\n", "[ranking slow]\nhalf_life = 3650d\nviews = 0\n"
PROJECTIONS = ("sums", "neighbours")


@contextlib.contextmanager
def machines_of(configuration, **settings):
    with RedisServer() as server, contextlib.ExitStack() as stack:
        machines = []
        for _ in range(3):
            machines.append(Machine(server.url, configuration, workers=1, log_kept="0", **settings))
            stack.push(machines[-1].conclude)
        yield server, machines


def is_active(machine, projection):
    return machine.metrics()[f'engaged_projection_active{{projection="{projection}"}}'] == 1


def workers_of(machines, projection):
    return [machine for machine in machines if is_active(machine, projection)]


def wait_calm(machines):
    """Until all know each other and one machine works each projection. Returns these two."""
    def calm():
        found = [workers_of(machines, projection) for projection in PROJECTIONS]
        known = all(machine.metrics()["engaged_machines"] == len(machines) for machine in machines)
        return known and all(len(workers) == 1 for workers in found) and [worker for worker, in found]

    return wait_until(calm, 15, lambda: [machine.log() for machine in machines])


def conflicts(machines):
    return sum(machine.metrics()["engaged_projection_conflicts_total"] for machine in machines)


def view(machine, visitor, item="a"):
    answer = machine.keyed("POST", f"{S}/items/{item}/views", Engaged_Visitor=visitor)
    assert answer.status in (200, 202), answer.body


def vote(machine, visitor, kind="up", item="a"):
    return machine.keyed("POST", f"{S}/items/{item}/votes", {"kind": kind}, Engaged_Visitor=visitor)


def views(machine, item="a"):
    answer = machine.get(f"{S}/items/{item}")
    return answer.json["views"] if answer.status == 200 else 0


def score(machine, ranking, item="a"):
    listed = machine.get(f"{S}/rankings/{ranking}?limit=100").json["items"]
    return next((round(entry["score"], 1) for entry in listed if entry["item"] == item), None)


def wait_score(machine, ranking, value, item="a"):
    wait_until(lambda: score(machine, ranking, item) == value, 15,
               lambda: f"{ranking}: {score(machine, ranking, item)}, not {value}\n{machine.log()}")


def part(machines):
    """Restarts machines until sums and neighbours are worked by two of them."""
    for _ in range(40):
        sums, neighbours = wait_calm(machines)
        if sums is not neighbours:
            return sums, neighbours
        sums.restart()
    raise AssertionError("one machine works both, always")


def test_one_machine_works_a_projection_and_logs_are_trimmed_though_two_share_them():
    with machines_of("") as (server, machines):
        sums, neighbours = part(machines)
        idle = next(machine for machine in machines if machine not in (sums, neighbours))
        before = conflicts(machines)
        for number in range(60):
            view(machines[number % 3], f"v{number % 20}", f"i{number % 6}")
        assert vote(idle, "w").status == 200
        waited = idle.lines(f"{S}/events?wait=true", [{"type": "view", "item": "b", "visitor": "late"}])
        assert waited.json["accepted"] == 1 and views(neighbours, "b") == 1, "whoever waits wakes the machines at work"
        client = server.client()
        wait_until(lambda: sum(map(client.xlen, client.scan_iter("{e*}log"))) == 0, 15, "trimmed")
        wait_until(lambda: neighbours.get(f"{S}/items/i1/related").json["items"][0]["reason"] == "related", 15, neighbours.log)
        assert wait_calm(machines) == [sums, neighbours] and conflicts(machines) == before, "nobody else has written"
        assert [is_active(idle, projection) for projection in PROJECTIONS] == [False, False]
        assert b"of 3 machines this machine projects sums, " in sums.get("/readyz").body
        assert b" this machine neighbours" in neighbours.get("/readyz").body
        assert idle.get("/readyz").body == b"ready; of 3 machines another projects sums, another neighbours\n", "readers see no name"
        assert idle.get("/readyz", port=idle.ops_port).body.count(f"{os.uname().nodename} (".encode()) == 2
        sums.end()
        ended = time.monotonic()
        rest = [machine for machine in machines if machine is not sums]
        view(idle, "after", "after")
        wait_until(lambda: views(idle, "after") == 1, 10, idle.log)
        assert time.monotonic() - ended < 3, "who ends cleanly leaves the list"
        assert wait_calm(rest)[0] in rest


def test_readyz_says_when_a_machine_has_no_projector_at_work():
    with machines_of("", hang_timeout="0") as (_, machines):
        sums, _ = wait_calm(machines)
        rest = [machine for machine in machines if machine is not sums]
        frozen, = sums.children("projector")
        os.kill(frozen, signal.SIGSTOP)
        try:
            wait_until(lambda: sums.get("/readyz").body == b"ready; this machine has no projector at work\n", 10, lambda: sums.get("/readyz").body)
            for machine in rest:
                wait_until(lambda machine=machine: b"of 2 machines" in machine.get("/readyz").body, 10, lambda: machine.get("/readyz").body)
        finally:
            os.kill(frozen, signal.SIGCONT)
        for machine in machines:
            wait_until(lambda machine=machine: b"of 3 machines" in machine.get("/readyz").body, 10, lambda: machine.get("/readyz").body)


class Load(Beside):
    """Views of one item by ever new visitors at machines that live, and when its count, which is projected, has moved."""

    def __init__(self, machines):
        super().__init__(self.run)
        self.machines, self.wrong = machines, []
        self.taken, self.moved = 0, [time.monotonic()]

    def run(self):
        seen = 0
        while not self.over.is_set():
            for machine in list(self.machines):
                answer = machine.keyed("POST", f"{S}/items/load/views", Engaged_Visitor=f"l{self.taken}")
                self.taken += answer.status in (200, 202)
                if answer.status not in (200, 202):
                    self.wrong.append(answer.body)
                now = views(machine, "load")
                if now > seen:
                    self.moved.append(time.monotonic())
                seen = now
            time.sleep(0.02)

    def longest_pause(self):
        times = [*self.moved, time.monotonic()]
        return max(after - before for before, after in zip(times, times[1:], strict=False))


def test_a_killed_and_a_frozen_machine_are_replaced_and_one_comes_back_with_other_rankings():
    with machines_of(FAST, hang_timeout="0") as (_, machines):
        sums, neighbours = wait_calm(machines)
        second = neighbours if neighbours is not sums else next(machine for machine in machines if machine is not sums)
        last, = {*machines} - {sums, second}
        load = Load([last])
        for number in range(10):
            assert vote(machines[number % 3], f"v{number}").status == 200
        wait_score(last, "fast", 10)
        with load:
            sums.kill()
            second.freeze()
            wait_until(lambda: [is_active(last, projection) for projection in PROJECTIONS] == [True, True], 15, last.log)
            second.thaw()
            sums.restart(FAST + SLOW)
            load.machines[:] = machines
            wait_score(sums, "slow", 10)
            assert vote(second, "late").status == 200
            for machine in machines:
                wait_score(machine, "fast", 11)
            wait_until(lambda: b"projects other [ranking] sections" in second.get("/readyz").body, 10, second.log)
        assert not load.wrong and load.longest_pause() < 8, (load.wrong[:3], load.longest_pause())
        wait_until(lambda: [views(machine, "load") for machine in machines] == [load.taken] * 3, 15, load.taken)
        assert workers_of(machines, "sums") == workers_of(machines, "neighbours") == [sums]
        assert second.metrics()["engaged_projectors_waiting"] == 1


def test_a_kind_and_a_ranking_are_added_machine_by_machine():
    old, new = "kinds = up\n" + FAST, "kinds = up down\n" + FAST + SLOW
    with machines_of(old) as (server, machines):
        first, second, third = machines
        wait_calm(machines)
        assert [vote(machine, f"v{number}").status for number, machine in enumerate(machines)] == [200] * 3
        wait_score(third, "fast", 3)
        first.restart(new)
        assert vote(first, "d1", "down").json["votes"] == {"up": 3, "down": 1}
        assert vote(second, "d2", "down").json["code"] == "unknown_kind"
        assert vote(second, "d1").json["votes"]["up"] == 4, "a vote of a kind that it does not know is moved"
        assert vote(first, "d2", "down").json["votes"] == {"up": 4, "down": 1}
        export = second.keyed("GET", f"{S}/export").body.decode().splitlines()
        assert '"code":"unavailable"' in export[-1], "an export is whole or says that it is not"
        for machine in machines:
            wait_score(machine, "fast", 5)
        wait_score(first, "slow", 5)
        server.client().client_kill_filter(_type="normal")
        worker, = second.children("worker")
        os.kill(worker, signal.SIGKILL)
        third.restart()
        wait_until(lambda: second.children("worker") not in ([], [worker]), 10, second.log)
        for machine in machines:
            wait_until(machine.is_ready, 10, machine.log)
        assert vote(third, "v9").json["votes"]["up"] == 5
        assert "more kinds of vote" in third.log()
        second.restart(new)
        third.restart(new)
        assert vote(third, "d3", "down").json["votes"] == {"up": 5, "down": 2}
        for machine in machines:
            wait_score(machine, "slow", 7)
            wait_score(machine, "fast", 7)
        assert "other [ranking] sections" not in first.log()
        for machine in machines:
            machine.end()
        with pytest.raises(AssertionError, match="new ones may only be added"):
            third.restart(old)


def test_a_machine_that_does_not_get_through_gives_its_turn_to_one_that_does():
    with ScriptedRedis() as redis, contextlib.ExitStack() as stack:
        sick, well = [Machine(f"redis://127.0.0.1:{port}", workers=1, partitions=1) for port in (redis.port, redis.redis.port)]
        [stack.push(machine.conclude) for machine in (sick, well)]
        for _ in range(40):
            if wait_calm([sick, well])[0] is sick:
                break
            well.restart()
        redis.rule("commit", answer(b"-ERR not for you\r\n"))
        view(well, "v", "through")
        wait_until(lambda: views(well, "through") == 1, 15, sick.log)
        wait_until(lambda: is_active(well, "sums") and not is_active(sick, "sums"), 15, sick.log)


def test_the_rankings_that_were_defined_last_stay_so_when_the_clock_of_redis_goes_back():
    """As after a failover to a machine whose clock is hours behind: both were defined in the future."""
    with machines_of(FAST) as (server, machines):
        old, new, third = machines
        third.end()
        new.restart(FAST + SLOW)
        wait_until(lambda: old.metrics()["engaged_projectors_waiting"] == 1, 15, old.log)
        client, key = server.client(), "engaged:machines{engaged:meta}"

        def plans():
            return {row: list(map(int, value.split())) for row, value in client.hgetall(key).items() if row.startswith(b"plan ")}

        begun = plans()
        client.hset(key, mapping={row: f"{defined + 3600_000} {seen}" for row, (defined, seen) in begun.items()})
        wait_until(lambda: all(seen > begun[row][1] + 1500 for row, (_, seen) in plans().items()), 15, plans)
        assert len(begun) == 2 and old.metrics()["engaged_projectors_waiting"] == 1
        assert workers_of(machines[:2], "sums") == [new] and "sections of this machine are projected" not in old.log()


def test_the_longest_host_name_is_told():
    name = "h" * 64
    wrapper = ["unshare", "--uts", "sh", "-c", 'echo "$0" >/proc/sys/kernel/hostname && exec "$@"', name]
    if subprocess.run([*wrapper, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("a host name of one's own is not allowed here")

    class Named(Machine):
        pass

    Named.wrapper = wrapper
    with RedisServer() as server, contextlib.ExitStack() as stack:
        stack.push(Named(server.url, workers=1).conclude)
        client = server.client()
        wait_until(lambda: any(f" {name} (".encode() in row for row in client.hvals("engaged:machines{engaged:meta}")), 10,
                   lambda: client.hgetall("engaged:machines{engaged:meta}"))
