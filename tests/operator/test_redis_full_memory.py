# SPDX-License-Identifier: MIT
"""At Redis's memory limit votes can be taken back, also while others try to give some in the same batch."""
import json
import socket

from support.fault_calls import OneWorker, call, serving, vote
from support.scripted_redis import after
from support.wait import wait_until

VOTERS = 12


def send(service, method, item, visitor):
    client = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    client.sendall(f"{method} /v1/s/items/{item}/votes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer publisher\r\n"
                   f"Engaged-Visitor: {visitor}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    return client


def read(client):
    with client:
        text = b""
        while part := client.recv(4096):
            text += part
    head, _, body = text.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_retractions_are_taken_though_votes_come_in_the_same_batch():
    with serving(OneWorker, redis_queue=512) as (redis, service):
        for n in range(VOTERS):
            assert vote(service, "a", f"v{n}")[0] == 200
        redis.client().config_set("maxmemory", "1mb")
        for _ in range(2):  # the second time they are apart from the start, or not: either way
            batches = redis.counts.get("vote", 0)
            redis.rule("vote", after(0.3), times=1)
            first = send(service, "POST", "b", "opener")  # while it is under way the others wait together
            wait_until(lambda: redis.counts["vote"] > batches, 5, "the first is under way")
            sent = [(method, send(service, method, "a", f"{method}{n}" if method == "POST" else f"v{n}"))
                    for n in range(VOTERS) for method in ("POST", "DELETE")]
            assert read(first)[0] == 503
            replies = [(method, *read(client)) for method, client in sent]
            assert {status for method, status, _ in replies if method == "POST"} == {503}, replies
            assert {status for method, status, _ in replies if method == "DELETE"} == {200}, replies
            assert all(body["vote"] is None for method, _, body in replies if method == "DELETE"), replies
        redis.client().config_set("maxmemory", "0")
        wait_until(lambda: vote(service, "a", "last")[0] == 200, 5, "a vote is taken")
        assert json.loads(vote(service, "a", "last")[2])["votes"] == {"up": 1}
        assert call(service, "GET", "/v1/s/items/a")[0] == 200


def test_what_one_visitor_sends_in_turn_is_decided_in_turn():
    """Votes and retractions of one item, in one bulk call at the limit: each ends as its last accepted line says."""
    with serving(OneWorker) as (redis, service):
        for n in range(VOTERS):
            assert vote(service, "a", f"v{n}")[0] == 200
        redis.client().config_set("maxmemory", "1mb")
        lines = [{"type": kind, "item": "a", "visitor": f"v{n}"} for n in range(VOTERS) for kind in ("unvote", "vote", "unvote")]
        body = "".join(json.dumps(line) + "\n" for line in lines)
        status, text = service.client().call("POST", "/v1/s/events", body, "application/x-ndjson")
        answer = json.loads(text)
        refused = {entry["line"] for entry in answer["rejected"]}
        assert status == 200 and all((line - 1) % 3 == 1 for line in refused), answer  # votes only
        redis.client().config_set("maxmemory", "0")
        wait_until(lambda: vote(service, "a", "last")[0] == 200, 5, "a vote is taken")
        assert json.loads(vote(service, "a", "last")[2])["votes"] == {"up": 1}
