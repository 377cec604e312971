# SPDX-License-Identifier: MIT
"""cross_slot = off: no command has keys of two partitions, whatever is called; for proxies before a cluster."""
import contextlib
import re
import threading

import pytest

from support.calls import CALLS
from support.redis_server import RedisServer
from support.service import WaitingService
from support.wait import wait_until

TAG = re.compile(r"\{e\d+[a-z]*\}")
READERS = 3


class Monitor:
    """The commands that a Redis gets, as lists of their words."""

    def __init__(self, server):
        self.server, self.commands = server, []

    def __enter__(self):
        self.client = self.server.client(decode_responses=True, encoding_errors="replace")
        self.monitor = self.client.monitor().__enter__()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        return self

    def listen(self):
        with contextlib.suppress(Exception):
            while True:
                words = self.monitor.connection.read_response()
                self.commands.append(re.findall(r'"((?:[^"\\]|\\.)*)"', str(words)))

    def __exit__(self, *_):
        self.server.ask("CLIENT", "KILL", "TYPE", "normal")
        self.thread.join(20)

    def of_several_partitions(self):
        found = set()
        for words in self.commands:
            name = words[0].lower() if words else ""
            keys = words[3:3 + int(words[2])] if name == "evalsha" else words[1:]
            if len({tag[0] for tag in map(TAG.match, keys) if tag}) > 1:
                found.add(name)
        return found

    def names(self):
        return {words[0].lower() for words in self.commands if words}


def use_all(service):
    for reader in range(READERS):
        for call in CALLS:
            answer = call.send(service, "/v1/s", f"i{reader}", Authorization="Bearer k", Engaged_Visitor=f"v{reader}")
            assert answer.status < 400, (call, answer.body)


@pytest.mark.parametrize("cross_slot", ["on", "off"])
def test_what_a_command_touches(cross_slot):
    with RedisServer() as server:
        with Monitor(server) as monitor:
            service = WaitingService(redis=server.url, cross_slot=cross_slot, rate_limits="off", log_kept="0",
                                     log_kept_bytes="1GiB")
            try:
                service.wait_taken()
                use_all(service)
                rows = [{"type": "view", "item": f"i{number}", "visitor": f"w{number}"} for number in range(200)]
                assert service.lines("/v1/s/events?wait=true", rows).json["accepted"] == 200
                wait_until(lambda: "xtrim" in monitor.names(), 20, "the logs are trimmed")
            finally:
                service.stop()
        assert bool(monitor.of_several_partitions()) == (cross_slot == "on"), monitor.of_several_partitions()


def test_its_counts_are_those_of_all(own):
    service = own(cross_slot="off", rate_limits="off")
    rows = [{"type": kind, "item": f"i{number % 20}", "visitor": f"v{number}"} for number in range(400) for kind in ("vote", "view")]
    assert service.lines("/v1/s/events?wait=true", rows).json["accepted"] == 800
    for number in range(20):
        item = service.get(f"/v1/s/items/i{number}").json
        assert (item["votes"]["up"], item["views"]) == (20, 20)
