# SPDX-License-Identifier: MIT
"""`engaged partitions`: what it prints of a Cluster and of one Redis, and that its lines even the partitions out. And what
`engaged memory` and the metrics say of the masters' memory."""
import re
import subprocess
import threading

import pytest

from support.program import PROGRAM, options_of
from support.redis_cluster import Cluster
from support.service import Service
from support.wait import wait_until

KEY = "0123456789abcdef" * 4
SITE = "/v1/s.example"
ROW = re.compile(r"^(\d+|all) +(\{e\w+\})? +(\d+)? +(\S+|not served)? +(\d+) +(\d+) +([\d.]+) +([\d.]+)$", re.M)


def printed(service):
    done = subprocess.run([PROGRAM, "partitions", "--seconds", "1", *options_of(service.settings)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(text):
    rows = [dict(zip(("partition", "tag", "slot", "owner", "keys", "bytes", "votes", "views"), found.groups()))
            for found in ROW.finditer(text)]
    return rows[:-1], rows[-1]


def masters_of(text):
    return {name: int(count) for name, count in re.findall(r"^(\S+) +(\d+) partitions$", text, re.M)}


class Readers:
    """One thread whose visitors vote for and view items, until it is told to stop."""

    def __init__(self, service):
        self.service, self.over, self.sent = service, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.is_set():
            rows = [{"type": kind, "item": f"i{n}", "visitor": f"v{self.sent}"} for n in range(50) for kind in ("vote", "view")]
            assert self.service.lines(f"{SITE}/events", rows).json["accepted"] == 100
            self.sent += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def check_table(text, partitions):
    rows, total = rows_of(text)
    assert [int(row["partition"]) for row in rows] == list(range(partitions))
    for name in ("keys", "bytes"):
        assert sum(int(row[name]) for row in rows) == int(total[name]) > 0
    for name in ("votes", "views"):
        assert abs(sum(float(row[name]) for row in rows) - float(total[name])) < 0.1 * partitions
    return rows, total


def test_of_one_redis_it_is_the_owner_of_all(own):
    service = own(partitions=4, neighbour_interval="60s")  # the logs stay for so long
    with Readers(service) as readers:
        wait_until(lambda: readers.sent > 3, 60)
        before = readers.sent
        text = printed(service)
        sent = 50 * (readers.sent - before)
    rows, total = check_table(text, 4)
    assert len({row["owner"] for row in rows}) == 1 and "move" not in text
    seconds = float(re.search(r"of ([\d.]+) seconds", text).group(1))
    assert seconds >= 1
    for name in ("votes", "views"):
        assert 50 <= float(total[name]) * seconds < 1.3 * sent, (total, sent, seconds)  # the window is a part of the run
    _, total = check_table(printed(service), 4)
    assert float(total["votes"]) == float(total["views"]) == 0
    held = subprocess.run([PROGRAM, "memory", *options_of(service.settings)], stdout=subprocess.PIPE, text=True, check=True).stdout
    keys, size = map(int, re.search(r"all keys +(\d+) +(\d+)", held).groups())
    # engaged:meta, its copy and the list of machines lie in no partition.
    assert keys - 3 <= int(total["keys"]) <= keys and 0.95 * size < int(total["bytes"]) < 1.05 * size


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "3601"])
def test_a_wrong_number_of_seconds_is_refused(seconds):
    done = subprocess.run([PROGRAM, "partitions", "--seconds", seconds], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "--seconds is a number from 1 to 3600" in done.stderr


@pytest.fixture(name="cluster", scope="module")
def cluster_of_module():
    with Cluster(spares=2) as cluster:
        yield cluster


def stop_everywhere(function, call):
    """Runs it again and again; each run is stopped behind another one of the lines that change something."""
    lines = function.splitlines()
    changing = [n for n, line in enumerate(lines) if "SETSLOT" in line or " MIGRATE " in line]
    assert len(changing) == 5, function
    for n in changing:
        stopped = "\n".join([*lines[:n + 1], "exit 9", *lines[n + 1:]])
        done = subprocess.run(["sh", "-c", f"{stopped}\n{call}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert done.returncode == 9, (lines[n], done.stdout)


def test_its_lines_move_partitions_to_a_new_master_while_votes_come(cluster, ending):
    """Only to a master that has a replica."""
    service = ending(Service(redis=cluster.url, secret=KEY, hash_key=KEY, partitions=16))
    with Readers(service) as readers:
        text = printed(service)
        rows, _ = check_table(text, 16)
        assert {row["slot"] for row in rows} >= {"652", "15427"} and rows[3]["tag"] == "{e3d}"
        assert {row["owner"] for row in rows} == {f"127.0.0.1:{node.port}" for node in cluster.masters()}
        assert sorted(masters_of(text).values()) == [5, 5, 6] and "They are even" in text

        new, replica = cluster.spares
        cluster.add(new)
        text = printed(service)
        assert masters_of(text)[f"127.0.0.1:{new.port}"] == 0
        function, calls = re.search(r"^(move\(\) \(.*?^\)\n)(.*)", text, re.M | re.S).groups()
        calls = calls.splitlines()
        assert len(calls) == 4 and all(call.startswith("move ") for call in calls)
        refused = subprocess.run(["sh", "-c", function + calls[0]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert refused.returncode != 0 and f"-p {new.port}: no replica" in refused.stderr

        cluster.meet(replica)
        cluster.replicate(replica, new)
        cluster.wait_ok()
        sent = readers.sent
        stop_everywhere(function, calls[0])
        for call in calls:
            subprocess.run(["sh", "-c", function + call], check=True, timeout=120, stdout=subprocess.DEVNULL)
        wait_until(lambda: readers.sent > sent, 60)
    cluster.wait_ok()
    slot, *source, _, port, _ = calls[0].partition(" #")[0].split()[1:]
    third = next(node for node in cluster.masters() if str(node.port) not in (source[1], port))
    stale = f"move {slot} 127.0.0.1 {third.port} {third.id} {' '.join(source)}"  # of an older table
    refused = subprocess.run(["sh", "-c", f"{function}{stale}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert refused.returncode != 0 and f"has slot {slot} no more" in refused.stderr, refused
    assert not any("[" in node.ask("CLUSTER", "NODES") for node in cluster.masters()), "no slot is open"
    text = printed(service)
    assert sorted(masters_of(text).values()) == [4, 4, 4, 4] and "They are even" in text


def test_the_memory_of_the_fullest_master_is_told_and_the_sum_of_all(cluster, ending):
    service = ending(Service(redis=cluster.url, secret=KEY, hash_key=KEY, partitions=16))
    used = {node: node.client().info("memory")["used_memory"] for node in cluster.masters()}
    limits = {node: 64 << 30 for node in used}
    limits[list(used)[1]] = used[list(used)[1]] * 11 // 10
    for node, limit in limits.items():
        node.client().config_set("maxmemory", limit)
    wait_until(lambda: service.metrics()["engaged_redis_memory_limit_bytes"] == min(limits.values()), 30, "of another master")
    wait_until(lambda: "are used on the fullest master, over 80 % of the limit" in service.log(), 30, service.log)
    for node in limits:
        node.client().config_set("maxmemory", 0)
    bill = subprocess.run([PROGRAM, "memory", *options_of(service.settings)], stdout=subprocess.PIPE, text=True, check=True).stdout
    (said,) = map(int, re.findall(r"^Redis, used_memory +(\d+)", bill, re.M))
    now = [node.client().info("memory")["used_memory"] for node in used]
    assert max(now) * 1.5 < said < sum(now) * 1.5, (said, now)


def test_a_master_that_is_away_is_named(cluster, ending):
    service = ending(Service(redis=cluster.url, secret=KEY, hash_key=KEY, partitions=16))
    master = cluster.owner("{e0}")
    for node in (*cluster.replicas_of(master), master):
        node.kill()
    wait_until(lambda: "not served" in printed(service), 60)
    text = printed(service)
    assert "Not all keys could be read" in text and "Moves are not told" in text
