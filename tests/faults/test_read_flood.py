# SPDX-License-Identifier: MIT
"""A flood of reads leaves room in the queue to Redis for votes, and for the reads of other networks."""
import datetime
import http.client
import itertools
import os
import re
import signal
import socket
import struct
import threading
import time

import pytest
import redis

from support.processes import children, resident_bytes
from support.scripted_redis import ScriptedRedis, after
from support.service import PROGRAM, Service
from support.wait import wait_until

SITE = "/v1/s"
FLOODS = {  # what one of so many connections asks for again and again
    "lists of equal scores": (16, lambda client, n: f"{SITE}/rankings/top?limit=1&exclude=x{client}-{n}"),
    "lists of categories that there are not": (16, lambda client, n: f"{SITE}/items/other/related?category=c{client}-{n}"),
    "own votes": (64, lambda client, n: f"{SITE}/me?" + "&".join(f"id=i{(client + i) % 300:03}" for i in range(100))),
    "own lists": (32, lambda client, n: f"{SITE}/me/recommendations?limit=100&exclude=y{client}-{n}"),
    "pages": (32, lambda client, n: f"{SITE}/items/other-{client}-{n}/page?related=100&ranking=100&recommendation=100"),
}


def fill(service):
    rows = [{"type": "vote", "item": f"i{n:03}", "visitor": "v"} for n in range(300)]
    rows += [{"type": "view", "item": f"i{n:03}", "visitor": f"r{n % 7}"} for n in range(300)]
    assert service.lines(f"{SITE}/events?wait=true", rows).json["rejected"] == []


@pytest.fixture(scope="module")
def service():
    running = Service(refresh_interval="1s", neighbour_interval="1s", projection_interval="250ms", trusted_proxies="127.0.0.1")
    fill(running)
    yield running
    running.stop()


class Flood:
    """Clients of one network that ask without a pause; `statuses` counts what they were told."""

    def __init__(self, service, connections, path_of, network):
        self.service, self.path_of, self.network = service, path_of, network
        self.statuses, self.over = {}, False
        self.threads = [threading.Thread(target=self.ask, args=(client,)) for client in range(connections)]

    def ask(self, client):
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30)
        number = 0
        while not self.over:
            connection.request("GET", self.path_of(client, number), headers={"X-Forwarded-For": self.network})
            response = connection.getresponse()
            response.read()
            self.statuses[response.status] = self.statuses.get(response.status, 0) + 1
            number += 1
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self.over = True
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("flood", FLOODS)
def test_no_vote_is_refused_while_one_network_reads_all_it_can(service, flood):
    connections, path_of = FLOODS[flood]
    network = f"198.51.100.{10 + list(FLOODS).index(flood)}"
    statuses = {}
    with Flood(service, connections, path_of, "203.0.113.1") as running:
        began, number = time.monotonic(), 0
        while number < 600 and time.monotonic() < began + (3 if number > 20 else 30):  # under the network's limits
            item = f"i{number % 300:03}" if number % 2 else f"new-{connections}-{number}"
            answer = service.post(f"{SITE}/items/{item}/votes", X_Forwarded_For=network)
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            number += 1
    assert set(statuses) == {200} and statuses[200] > 20, (statuses, running.statuses)
    assert set(running.statuses) == {200}, running.statuses


ENDED = re.compile(r"^(\S+)Z .* access: GET (\S+) 200 \d+ (\S+)$", re.M)


def went_before(service, path):
    """How many pages the service finished while this one was with it, by the access log: a busy machine slows both."""
    wait_until(lambda: f" GET {path} 200 " in service.log(), 10, path)
    rows = [(datetime.datetime.fromisoformat(at).timestamp() * 1000, asked, float(ms)) for at, asked, ms in ENDED.findall(service.log())]
    [(end, took)] = [(at, ms) for at, asked, ms in rows if asked == path]
    return sum(end - took < at <= end and asked.endswith("/page") for at, asked, _ in rows)


def test_networks_take_turns():
    """Another network's list that is in no memory comes soon, though 200 of the flood's wait before it. Nothing is kept in
    memory, so that each page costs the worker more than it costs this process to ask for it."""
    slow = Service(refresh_interval="0", trusted_proxies="127.0.0.1", access_log="on", redis_timeout="20s")

    def path_of(client, n):
        return f"{SITE}/items/f{client}-{n}/page?related=100&ranking=100&recommendation=100"

    def before(network, number):
        path = f"{SITE}/items/t{network}-{number}/related"
        assert slow.get(path + "?limit=3", X_Forwarded_For=network).status == 200
        return went_before(slow, path)

    try:
        fill(slow)
        with Flood(slow, 200, path_of, "203.0.113.2"):
            same = sorted(before("203.0.113.2", n) for n in range(5))[2]
            other = sorted(before("198.51.100.7", n) for n in range(5))[2]
        assert other * 2 < same, (other, same)
    finally:
        slow.stop()


def test_a_body_in_memory_is_refreshed_under_another_networks_flood(service):
    def path_of(client, n):
        return f"{SITE}/items/g{client}-{n}/page?related=100&ranking=100&recommendation=100"
    path = f"{SITE}/items/i007"
    before = service.get(path).json["votes"]["up"]
    with Flood(service, 200, path_of, "203.0.113.3"):
        assert service.post(f"{SITE}/items/i007/votes", X_Forwarded_For="198.51.100.8").status == 200
        end, slowest = time.monotonic() + 6, 0
        while time.monotonic() < end:
            began = time.monotonic()
            votes = service.get(path, X_Forwarded_For="198.51.100.8").json["votes"]["up"]
            slowest = max(slowest, time.monotonic() - began)
            if votes == before + 1:
                break
            time.sleep(0.1)
    assert votes == before + 1
    assert slowest < 1.5, slowest


def test_the_queues_least_value_still_serves_all(tmp_path):
    """What does not fit at once is sent in parts: pages, lists of items, an erasure, an export."""
    small = Service(redis_queue=64, refresh_interval="0", neighbour_interval="0", projection_interval="5ms")
    try:
        token = small.post(f"{SITE}/visitors").json["visitor"]
        rows = [{"item": f"i{n:03}", "title": f"T{n}"} for n in range(300)]
        assert small.lines(f"{SITE}/items", rows).json["accepted"] == 300
        events = [{"type": "vote", "item": f"i{n:03}", "visitor": f"v{n % 3}"} for n in range(300)]
        assert small.lines(f"{SITE}/events?wait=true", events).status == 200
        for n in range(0, 300, 10):
            assert small.keyed("POST", f"{SITE}/items/i{n:03}/votes", Engaged_Visitor=token).status == 200
        page = small.get(f"{SITE}/items/i001/page?related=100&ranking=100&recommendation=50")
        assert page.status == 200 and len(page.json["ranking"]["items"]) == 100
        many = small.get(f"{SITE}/items?" + "&".join(f"id=i{n:03}" for n in range(100)))
        assert many.status == 200 and len(many.json["items"]) == 100
        mine = small.get(f"{SITE}/me?" + "&".join(f"id=i{n:03}" for n in range(100)), Engaged_Visitor=token)
        assert mine.status == 200 and len(mine.json["votes"]) == 10
        export = small.keyed("GET", f"{SITE}/export").body.decode().splitlines()
        assert len(export) == 300 + 330 + 1 and '"end"' in export[-1]
        assert small.request("DELETE", f"{SITE}/me", Engaged_Visitor=token).status == 202
        end = time.monotonic() + 20
        while time.monotonic() < end and small.metrics()["engaged_corrected_votes_total"] < 30:
            time.sleep(0.1)
        assert small.metrics()["engaged_corrected_votes_total"] == 30
        assert small.get(f"{SITE}/items/i000").json["votes"]["up"] == 1
    finally:
        small.stop()


def send(service, path, **headers):
    client = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}Connection: close\r\n\r\n".encode())
    return client, time.monotonic()


def status_and_time(sent):
    client, began = sent
    with client, client.makefile("rb") as file:
        return int(file.readline().split()[1]), time.monotonic() - began


def test_reads_that_redis_does_not_answer_end_in_time_and_leave_nothing_behind():
    """More than may be in work, more commands than the queue takes: those in flight, those held and those that wait for their
    turn all have their answer within the deadline; twice, so that nothing can have been left in any queue."""
    small = Service(redis_timeout="1s", redis_queue=256, refresh_interval="1s", hang_timeout="30s")
    try:
        assert small.lines(f"{SITE}/events?wait=true", [{"type": "vote", "item": "i1", "visitor": "v"}]).status == 200
        many = "&".join(f"id=i{n}" for n in range(100))
        pid, old = small.redis_pid(), f"{SITE}/items/i1"
        for turn in range(2):
            paths = [f"{SITE}/me?{many}&x={n}" for n in range(60)]
            paths += [f"{SITE}/me/recommendations?limit={1 + n}" for n in range(60)]
            paths += [f"{SITE}/items/n{turn}-{n}/page" for n in range(60)]
            assert small.get(old).status == 200
            time.sleep(0.2)
            os.kill(pid, signal.SIGSTOP)
            try:
                answers = [status_and_time(sent) for sent in [send(small, path) for path in paths]]
                again, took = status_and_time(send(small, old))
            finally:
                os.kill(pid, signal.SIGCONT)
            assert {status for status, _ in answers} == {503} and max(took for _, took in answers) < 1.9
            assert again == 200 and took < 0.5
            wait_until(lambda: small.get("/readyz").status == 200, 10, "ready again")
            time.sleep(1.1)  # so long a body that failed is not tried again
            answers = [status_and_time(sent) for sent in [send(small, path) for path in paths]]
            assert {status for status, _ in answers} == {200}, turn
    finally:
        small.stop()


def test_who_waits_for_a_turn_longer_than_the_deadline_is_503_and_who_has_an_old_body_is_not():
    """Redis answers, but slowly: a Lua script holds it up again and again."""
    small = Service(redis_timeout="500ms", redis_queue=64, refresh_interval="0", neighbour_interval="0")
    try:
        store = redis.Redis(unix_socket_path=os.path.join(small.folder, "d", "redis.sock"))
        over = threading.Event()

        def hold_up():
            while not over.is_set():
                store.eval("local n = 0 for i = 1, 3000000 do n = n + i end return n", 0)
        holder = threading.Thread(target=hold_up)
        holder.start()
        try:
            sent = [send(small, f"{SITE}/me?" + "&".join(f"id=i{k}" for k in range(50)) + f"&x={n}") for n in range(300)]
            answers = [status_and_time(one) for one in sent]
        finally:
            over.set()
            holder.join()
        assert {status for status, _ in answers} <= {200, 503}
        assert max(took for _, took in answers) < 1.6, "half a second for a turn, half a second for Redis"
        wait_until(lambda: small.get(f"{SITE}/me?id=i1").status == 200, 5, "as before")
    finally:
        small.stop()


def test_what_is_held_for_want_of_room_has_the_same_deadline():
    """Redis answers all the time, twenty reads a second: far fewer than are held."""
    with ScriptedRedis() as scripted:
        small = Service(redis=f"redis://127.0.0.1:{scripted.port}", secret="11" * 32, hash_key="22" * 32, redis_timeout="500ms",
                        redis_queue=64, projection_interval="1s")
        try:
            scripted.rule("get", after(0.05))
            sent = [send(small, f"{SITE}/me?" + "&".join(f"id=i{k}" for k in range(50)) + f"&x={n}") for n in range(10)]
            answers = [status_and_time(one) for one in sent]
            assert {status for status, _ in answers} == {503} and max(took for _, took in answers) < 1.6, answers
            scripted.obey_redis()
            wait_until(lambda: small.get(f"{SITE}/me?id=i1").status == 200, 10, "as before")
        finally:
            small.stop()


def test_reads_that_wait_may_hold_more_than_the_cache_has_room_for():
    """Each is kept as long as somebody waits for it, the newest too: here they are of four times as many bytes as body_cache."""
    small = Service(redis_timeout="1s", redis_queue=64, refresh_interval="1s", body_cache="1MiB", hang_timeout="30s")
    try:
        paths = [f"{SITE}/rankings/hot?" + "&".join(f"exclude={k:0480}-{n}" for k in range(30)) for n in range(150)]
        pid = small.redis_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            answers = [status_and_time(sent) for sent in [send(small, path) for path in paths]]
        finally:
            os.kill(pid, signal.SIGCONT)
        assert {status for status, _ in answers} == {503} and max(took for _, took in answers) < 1.9
        wait_until(lambda: small.get("/readyz").status == 200, 10, "ready again")
        time.sleep(1.1)
        answers = [status_and_time(sent) for sent in [send(small, path) for path in paths]]
        assert {status for status, _ in answers} == {200}
        assert small.metrics()["engaged_process_restarts_total"] == 0
        assert small.metrics()["engaged_body_cache_bytes"] < 2 << 20
    finally:
        small.stop()


@pytest.mark.skipif("address" in PROGRAM, reason="a sanitizer keeps what was freed")
@pytest.mark.parametrize("what", ["me?id=", "items/"])
def test_who_leaves_while_he_waits_for_his_turn_holds_nothing(what):
    """Redis is frozen; 12,000 readers ask and leave at once, 200 at a time."""
    small = Service(redis_timeout="20s", redis_queue=64, refresh_interval="1s", body_cache="1MiB", hang_timeout="60s")
    pid, worker = small.redis_pid(), children(small.process.pid, "worker")[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        for batch in range(60):
            clients = [send(small, f"{SITE}/{what}x{200 * batch + n}")[0] for n in range(200)]
            time.sleep(0.03)
            for client in clients:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
        assert resident_bytes(worker) < 32 << 20
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: small.get(f"{SITE}/{what}x1").status == 200, 10, "as before")
        assert small.metrics()["engaged_process_restarts_total"] == 0
    finally:
        os.kill(pid, signal.SIGCONT)
        small.stop()


def test_all_sets_of_windows_push_nothing_out_that_is_read():
    """Bodies of a hundred items with each of the 255 sets, many times what body_cache holds, while others read one ranking. Each
    body is of one set, however it is spelt."""
    windows = ["1h", "24h", "7d", "30d", "today", "yesterday", "week", "month"]
    small = Service(refresh_interval="1h", body_cache="2MiB")
    try:
        rows = [{"type": "view", "item": f"i{n:03}", "visitor": "v"} for n in range(100)]
        assert small.lines(f"{SITE}/events?wait=true", rows).json["rejected"] == []
        sets = [chosen for size in range(9) for chosen in itertools.combinations(windows, size)]
        assert small.get(f"{SITE}/rankings/hot?limit=10").status == 200
        before = small.metrics()
        for n, chosen in enumerate(sets):
            answer = small.get(f"{SITE}/rankings/top?limit=100&" + "&".join("window=" + name for name in chosen))
            assert len(answer.json["items"]) == 100 and list(answer.json["items"][99].get("windows", ())) == list(chosen)
            if n % 8 == 0:
                assert small.get(f"{SITE}/rankings/hot?limit=10").status == 200
        after_sets = small.metrics()
        made = after_sets["engaged_body_refreshes_total"] - before["engaged_body_refreshes_total"]
        assert made == len(sets) == 256, "the ranking that others read was not made again"
        assert after_sets["engaged_body_cache_bytes"] < 3 << 20
        for order in itertools.islice(itertools.permutations(windows), 0, 40000, 400):
            assert small.get(f"{SITE}/items/i000?" + "&".join("window=" + name for name in order)).status == 200
        assert small.metrics()["engaged_body_refreshes_total"] == after_sets["engaged_body_refreshes_total"] + 1
    finally:
        small.stop()
