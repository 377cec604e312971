# SPDX-License-Identifier: MIT
"""`engaged memory`: what the data of a running service costs, compared with what Redis says."""
import subprocess

from support.ports import free_port
from support.program import PROGRAM, options_of
from support.service import Service


def bill(service):
    return subprocess.run([PROGRAM, "memory", *options_of(service.settings)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60)


def test_the_bill_names_every_kind_and_adds_up():
    service = Service()
    try:
        rows = [{"type": kind, "item": f"i{n % 20}", "visitor": f"v{n}"} for n in range(1000) for kind in ("view", "vote")]
        assert service.lines("/v1/s/events?wait=true", rows).json["accepted"] == 2000
        assert service.lines("/v1/s/items", [{"item": f"i{n}", "title": "x"} for n in range(20)]).json["accepted"] == 20
        done = bill(service)
        assert done.returncode == 0, done.stderr
        lines = {line[:24].strip(): line[24:].split() for line in done.stdout.splitlines()}
        assert int(lines["items"][0]) == int(lines["cards"][0]) == int(lines["voters (buckets)"][0]) == int(lines["sums"][0]) == 20
        assert int(lines["histories of visitors"][0]) == 1000
        assert int(lines["other"][0]) == 3  # engaged:meta, its copy and the machines
        named = sum(int(row[1]) for name, row in lines.items() if name not in ("kind", "all keys", "Redis, used_memory"))
        assert named == int(lines["all keys"][1]) < int(lines["Redis, used_memory"][0])
    finally:
        service.stop()


def test_without_a_service_it_says_so(tmp_path):
    done = subprocess.run([PROGRAM, "memory", "--redis", f"redis://127.0.0.1:{free_port()}",
                           "--secret", "11" * 32, "--hash-key", "22" * 32],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1 and "engaged: memory:" in done.stderr


def test_a_vote_on_a_hot_item_takes_twenty_bytes_also_when_all_come_at_once():
    service = Service()
    try:
        for begin in range(0, 40000, 10000):
            rows = [{"type": "vote", "item": f"i{n % 2}", "visitor": f"v{n}"} for n in range(begin, begin + 10000)]
            assert service.lines("/v1/s/events", rows).json["accepted"] == 10000
        lines = [line for line in bill(service).stdout.splitlines() if line.startswith("voters")]
        assert int(lines[0][24:].split()[1]) / 40000 <= 20
    finally:
        service.stop()


def test_kinds_of_vote_that_are_added_later_find_the_votes_that_are_there(tmp_path):
    """The item's record has a count for each kind that was known when it was written."""
    service = Service(redis=f"embedded:{tmp_path}/d")
    try:
        row = {"type": "vote", "item": "a", "visitor": "early"}
        assert service.lines("/v1/s/events?wait=true", [row]).json["accepted"] == 1
        assert service.stop() is None
        service = Service(redis=f"embedded:{tmp_path}/d", kinds="up down")
        assert service.get("/v1/s/items/a").json["votes"] == {"up": 1, "down": 0}
        rows = [{**row, "visitor": "late", "kind": "down"}, {**row, "kind": "down"}, {**row, "visitor": "later"}]
        assert service.lines("/v1/s/events?wait=true", rows).json["accepted"] == 3
        assert service.get("/v1/s/items/a").json["votes"] == {"up": 1, "down": 2}
    finally:
        service.stop()
