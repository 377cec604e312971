# SPDX-License-Identifier: MIT
"""What projecting a vote costs: instructions of the projector by callgrind, memory of the states that it remembers, and commits.

The votes are spread over so many items that a table which is searched through, or which grows faster than its items, shows.
"""
import random
import shutil

import pytest
import redis

from support.counted import QUIET
from support.launch import end
from support.processes import resident_bytes
from support.service import Service
from support.wait import wait_until

VOTES, ITEMS = 24000, 20000
INSTRUCTIONS_MOST = 30000  # 22,100 when it was written, up to 25,100 on a busy machine, which has more rounds
SCRIPTS_MOST = 200  # 153: commits of 250 items, and at the start and the end some for each partition; 286 with commits of 100
BYTES_MOST = 600  # 440


class Apart(Service):
    """A worker that logs votes; a projector only while a test runs one."""

    presets = {**QUIET, "secret_key": "k", "secret": "11" * 32, "hash_key": "22" * 32}

    def start(self):
        self.process = self.spawn("worker")
        self.wait_ready([self.process])

    def vote(self, rng, name):
        rows = [{"type": "vote", "item": f"{name}{rng.randrange(ITEMS)}", "visitor": f"v{number}"} for number in range(VOTES)]
        for begin in range(0, VOTES, 8000):
            assert self.lines("/v1/s/events", rows[begin:begin + 8000]).status == 200

    def project(self, look=lambda pid: None, wrapper=()):
        """Runs a projector until nothing is left in the logs. Returns what `look` says of it then."""
        self.wrapper = wrapper
        projector = self.spawn("projector")
        try:
            last = {"type": "view", "item": "last", "visitor": f"of {projector.pid}"}
            wait_until(lambda: self.lines("/v1/s/events?wait=true", [last]).status == 200, 60)
            return look(projector.pid)
        finally:
            assert end(projector, seconds=60) == [0]


@pytest.fixture
def apart(store):
    service = Apart(redis=store)
    yield service
    service.stop()


def test_a_projected_vote_costs_as_many_instructions_as_it_did(apart, tmp_path):
    if not shutil.which("valgrind"):
        pytest.skip("left out: no valgrind")
    rng, profile = random.Random(1), tmp_path / "counts"
    apart.vote(rng, "i")
    apart.project(wrapper=("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={profile}"))
    with open(profile, encoding="utf-8", errors="replace") as file:
        each = next(int(line.split()[1]) for line in file if line.startswith(("summary:", "totals:"))) / VOTES
    print(f"{each:,.0f} instructions of the projector a vote")
    assert each <= INSTRUCTIONS_MOST, f"{each:,.0f} instructions of the projector a vote"


def scripts_run(store):
    with redis.Redis(unix_socket_path=store.removeprefix("unix:")) as client:
        return client.info("commandstats")["cmdstat_evalsha"]["calls"]


def test_what_it_remembers_of_an_item_takes_few_bytes_and_a_commit_has_many_items(apart, store):
    rng = random.Random(1)
    small = apart.project(resident_bytes)
    apart.vote(rng, "i")
    before = scripts_run(store)
    each = (apart.project(resident_bytes) - small) / ITEMS
    scripts = scripts_run(store) - before
    assert scripts <= SCRIPTS_MOST, f"{scripts} scripts for {VOTES} votes"
    print(f"{each:,.0f} bytes of the projector an item")
    assert each <= BYTES_MOST, f"{each:,.0f} bytes of the projector an item"
