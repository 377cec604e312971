# SPDX-License-Identifier: MIT
"""cross_slot = off: no command has keys of two partitions, whatever is called; for proxies before a cluster."""
import contextlib
import re
import subprocess
import threading
import time

import pytest
from redis.crc import key_slot

from support.calls import CALLS
from support.program import PROGRAM, options_of
from support.redis_server import RedisServer
from support.scripted_redis import ScriptedRedis, name_of
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


# ---- An endpoint that refuses

KEY = re.compile(rb"\{e\d+[a-z]*\}|\{?engaged[:}]")
UNKNOWN = b"-ERR unknown command 'ROLE', with args beginning with: \r\n"


class Endpoint(ScriptedRedis):
    """As Redis Enterprise is one: it takes keys of one slot only, it knows no ROLE, and it tells no life."""

    def __init__(self):
        self.crossed = []

    def own_answer(self, words):
        name = words[0].lower()
        keys = words[3:3 + int(words[2])] if name == b"evalsha" else [word for word in words[1:] if KEY.match(word)]
        if len(set(map(key_slot, keys))) > 1:
            self.crossed.append(name_of(words))
            return b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"
        if name == b"role":
            return UNKNOWN
        if name == b"info" and words[1:] == [b"replication"]:
            return b"$28\r\n# Replication\r\nrole:master\r\n\r\n"
        return b"*0\r\n" if name == b"cluster" else None


def check(service):
    done = subprocess.run([PROGRAM, "check", "--connect", *options_of(service.settings)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


RANKINGS = "[ranking hot]\n[ranking top]\ntype = window\nwindow = today\n[ranking all]\ntype = total\n"
LISTS = ("/rankings/top", time.strftime("/rankings/top?period=%Y-%m-%d", time.gmtime()), "/rankings/hot?author=A", "/rankings/all?author=A&category=c",
         "/items/i1/related?author=A", "/items/i1/related", "/rankings/top?format=rss", "/items?id=i1&id=i2&id=i3&id=i4")


def test_an_endpoint_that_refuses_several_slots_and_role(ending):
    with Endpoint() as endpoint:
        service = ending(WaitingService(redis=f"redis://127.0.0.1:{endpoint.port}", cross_slot="off", rate_limits="off",
                                        log_kept="0", configuration=RANKINGS))
        service.wait_taken()
        cards = [{"item": f"i{number}", "title": "t", "author": "A", "categories": ["c"]} for number in range(40)]
        assert service.lines("/v1/s/items", cards).json["accepted"] == 40
        rows = [{"type": kind, "item": f"i{number % 40}", "visitor": f"w{number % 50}"} for number in range(400) for kind in ("vote", "view")]
        assert service.lines("/v1/s/events?wait=true", rows).json["accepted"] == 800
        for path in LISTS:
            answer = service.get("/v1/s" + path)
            assert answer.status == 200, (path, answer.body)
        assert len(service.get("/v1/s/rankings/top?limit=50").json["items"]) == 40
        use_all(service)
        wait_until(lambda: endpoint.counts.get("trim"), 20, "the logs are trimmed")
        endpoint.go_away()
        endpoint.listen()
        service.wait_taken(visitor="second")
        assert not endpoint.crossed, endpoint.crossed
        assert check(service)[0] == 0, check(service)


def test_an_endpoint_that_refuses_several_slots_is_named(ending):
    with Endpoint() as endpoint:
        endpoint.rule("role", lambda client, _: client.sendall(b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"))
        service = ending(WaitingService(redis=f"redis://127.0.0.1:{endpoint.port}"))
        service.wait_named("this endpoint refuses keys of several slots in one command: cross_slot = off")
        assert service.vote("v").status == 503
