# SPDX-License-Identifier: MIT
"""/metrics: requests by route and status, latencies, round trips, what was dropped; and that no client makes a time series."""
import os
import re
import signal
import socket
import time

import pytest

from support.prometheus import promtool
from support.service import Service
from support.wait import wait_until

CONFIG = """
[site news.example]
origins = https://news.example
[site other.example]
"""
VOTES = "/v1/{site}/items/{item}/votes"
BOT = "Googlebot/2.1 (+http://www.google.com/bot.html)"


@pytest.fixture(scope="module")
def service():
    running = Service(configuration=CONFIG, secret_key="k")
    yield running
    running.stop()


def text_of(service):
    return service.request("GET", "/metrics", port=service.ops_port).body.decode()


def series(service, family, text=None):
    """Labels (as a frozenset of pairs) -> value, of one family."""
    found = re.findall(rf"^{family}(?:\{{(.*)\}})? (\S+)$", text or text_of(service), re.M)
    return {frozenset(re.findall(r'(\w+)="([^"]*)"', labels)): float(value) for labels, value in found}


def value(service, family, **labels):
    return series(service, family).get(frozenset(labels.items()), 0)


def requests(service, method, route, status):
    return value(service, "engaged_http_requests_total", method=method, route=route, status=str(status))


def duration(service, suffix, method, route, **more):
    return value(service, f"engaged_http_request_duration_seconds_{suffix}", method=method, route=route, **more)


def counted(service, what, ask):
    """By how much it rises."""
    before = what()
    ask()
    wait_until(lambda: what() > before, 5)
    return what() - before


# ---- By route and status

@pytest.mark.parametrize("method, path, status, counts_as", [
    ("POST", "/v1/news.example/items/a/votes", 200, ("POST", VOTES)),
    ("DELETE", "/v1/news.example/items/a/votes", 200, ("DELETE", VOTES)),
    ("POST", "/v1/news.example/items/a%00/votes", 400, ("other", "other")),
    ("POST", "/v1/-/items/a/votes", 400, ("POST", VOTES)),
    ("GET", "/v1/news.example/rankings/hot", 200, ("GET", "/v1/{site}/rankings/{name}")),
    ("HEAD", "/v1/news.example/rankings/hot", 200, ("GET", "/v1/{site}/rankings/{name}")),
    ("GET", "/v1/news.example/rankings/none-such", 404, ("GET", "/v1/{site}/rankings/{name}")),
    ("GET", "/v1/news.example/items/x/votes", 405, ("other", "other")),
    ("OPTIONS", "/v1/news.example/items/x/votes", 204, ("OPTIONS", "other")),
    ("GET", "/metrics", 404, ("other", "other")),
    ("GET", "/healthz", 200, ("GET", "/healthz"))])
def test_an_answer_counts_by_its_route_and_status(service, method, path, status, counts_as):
    def ask():
        assert service.request(method, path, origin="https://news.example").status == status

    assert counted(service, lambda: requests(service, *counts_as, status), ask) == 1


def test_what_is_in_memory_counts_as_its_route(service):
    """It is answered before its path is looked at."""
    def ask():
        for _ in range(20):
            assert service.get("/v1/news.example/rankings/day?limit=7").status == 200

    route = ("GET", "/v1/{site}/rankings/{name}")
    assert counted(service, lambda: requests(service, *route, 200), ask) == 20


def test_pipelined_requests_count_one_by_one(service):
    asked = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 70 + b"GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    def ask():
        with socket.create_connection(("127.0.0.1", service.port), 10) as client:
            client.sendall(asked)
            while client.recv(65536):
                pass

    none = requests(service, "other", "other", 404)
    assert counted(service, lambda: requests(service, "GET", "/healthz", 200), ask) == 70
    assert requests(service, "other", "other", 404) == none + 1


def test_what_is_no_http_counts_as_other(service):
    def ask():
        with socket.create_connection(("127.0.0.1", service.port), 10) as client:
            client.sendall(b"GET\0 / HTTP/1.1\r\n\r\n")
            while client.recv(65536):
                pass

    assert counted(service, lambda: requests(service, "other", "other", 400), ask) == 1


# ---- Latencies

def test_a_late_body_counts_with_its_time(service):
    route = ("POST", "/v1/{site}/visitors")

    def ask():
        with socket.create_connection(("127.0.0.1", service.port), 10) as client:
            client.sendall(b"POST /v1/news.example/visitors HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
            time.sleep(0.3)
            client.sendall(b"{}")
            while client.recv(65536):
                pass

    short, took = duration(service, "bucket", *route, le="0.25"), duration(service, "sum", *route)
    assert counted(service, lambda: duration(service, "count", *route), ask) == 1
    assert duration(service, "bucket", *route, le="0.25") == short
    assert 0.3 <= duration(service, "sum", *route) - took < 60


def test_histograms_are_whole(service):
    text = text_of(service)
    for family in ("engaged_http_request_duration_seconds", "engaged_redis_round_trip_seconds"):
        counts, buckets = series(service, family + "_count", text), {}
        for labels, number in series(service, family + "_bucket", text).items():
            rest = frozenset(pair for pair in labels if pair[0] != "le")
            buckets.setdefault(rest, []).append((float(dict(labels)["le"]), number))
        assert counts and set(buckets) == set(counts)
        for labels, found in buckets.items():
            numbers = [number for _, number in sorted(found)]
            assert len(found) == 17 and numbers == sorted(numbers) and numbers[-1] == counts[labels] > 0


def test_round_trips_to_redis(service):
    """Each takes no longer than the vote that made it."""
    def trips(what):
        return value(service, f"engaged_redis_round_trip_seconds_{what}", kind="write")

    def vote():
        assert service.post("/v1/news.example/items/trip/votes", {}, origin="https://news.example").status == 200

    vote()
    before, began = trips("sum"), time.monotonic()
    assert counted(service, lambda: trips("count"), vote) == 1
    assert 0 < trips("sum") - before < time.monotonic() - began


# ---- What counted nothing

@pytest.mark.parametrize("site, named", [("news.example", "news.example"), ("made-up.example", "other")])
@pytest.mark.parametrize("reason, method, path, fields", [
    ("bot", "POST", "views", {"user_agent": BOT}), ("bot", "POST", "votes", {"user_agent": BOT}),
    ("prefetch", "POST", "views", {"sec_purpose": "prefetch"}), ("origin", "POST", "votes", {"origin": "https://evil.test"}),
    ("origin", "OPTIONS", "votes", {"origin": "https://evil.test", "access_control_request_method": "POST"}),
    ("origin", "GET", "view.gif", {"referer": "https://evil.test/", "sec_fetch_site": "cross-site"})])
def test_dropped_by_site_and_reason(service, site, named, reason, method, path, fields):
    def ask():
        given = {"origin": f"https://{site}", **fields}
        if path == "view.gif":
            del given["origin"]
        service.request(method, f"/v1/{site}/items/a/{path}", **given)

    assert counted(service, lambda: value(service, "engaged_dropped_total", site=named, reason=reason), ask) == 1


def test_dropped_over_a_rate_limit(own):
    with_limits = own(visitor_views_per_minute="1", visitor_views_burst="1", votes_per_minute="1", votes_burst="1",
                      trusted_proxies="127.0.0.1")
    fields = {"X_Forwarded_For": "192.0.2.7", "Engaged_Visitor": with_limits.post("/v1/s/visitors").json["visitor"]}
    for what in ("votes", "votes", "views", "views"):
        with_limits.post(f"/v1/s/items/{what}/{what}", {}, **fields)
        with_limits.post(f"/v1/s/items/{what}-2/{what}", {}, **fields)
    assert value(with_limits, "engaged_dropped_total", site="other", reason="limit") >= 2


# ---- Which program, and whether it can work

def test_build_info_names_the_program(service):
    [labels] = series(service, "engaged_build_info")
    assert re.fullmatch(r"\d+\.\d+\.\d+", dict(labels)["version"]) and re.fullmatch(r"[0-9a-f]{12}|unknown", dict(labels)["revision"])


def test_redis_is_usable_until_it_is_away(own):
    running = own()
    processes = sum(series(running, "engaged_processes_ready").values())
    wait_until(lambda: value(running, "engaged_redis_usable") == processes, 20)
    os.kill(running.redis_pid(), signal.SIGSTOP)
    try:
        wait_until(lambda: value(running, "engaged_redis_usable") == 0, 30)
    finally:
        os.kill(running.redis_pid(), signal.SIGCONT)


# ---- An attacker

def test_nobody_can_make_time_series(service):
    """Invented routes, methods, sites, statuses: the names and labels stay as they are."""
    def names():
        return {line.rsplit(" ", 1)[0] for line in text_of(service).splitlines() if not line.startswith("#")}

    def flood(begin):
        for n in range(begin, begin + 40):
            service.get(f"/invented-{n}")
            service.get(f"/v1/invented-{n}.example/rankings/hot")
            service.get(f"/v1/news.example/rankings/invented-{n}")
            service.request(f"INVENTED{n}", "/healthz")
            service.post(f"/v1/invented-{n}.example/items/i/views", {}, user_agent=BOT)
            service.get('/v1/a"b}/items/%22%7D%0Aengaged_made_up%20' + str(n))
            service.request("POST", f"/v1/s/items/{n}/votes", {}, origin=f"https://evil-{n}.test")

    flood(0)
    before = names()
    flood(1000)
    assert names() == before and len(text_of(service)) < 200_000
    assert not any("invented" in name or "made_up" in name or "evil" in name for name in before)


def test_metrics_are_of_the_operators_alone(service):
    answer = service.request("GET", "/metrics", port=service.ops_port)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert service.get("/metrics").status == 404


def test_promtool_finds_no_fault(service):
    promtool("check", "metrics", text=text_of(service))


def test_counters_outlive_a_reload_with_other_sites(ending):
    """A site keeps its number, a new one gets another."""
    class Reloaded(Service):
        pass

    running = ending(Reloaded(configuration="[site b.example]\n"))
    ask = lambda site: running.post(f"/v1/{site}/items/a/views", {}, origin=f"https://{site}", user_agent=BOT)
    ask("b.example")
    running.configure("[site a.example]\n[site b.example]\n")
    old = set(running.children("worker"))
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: running.children("worker") and not old & set(running.children("worker")), 30)
    wait_until(running.is_ready, 20)
    ask("a.example")
    drops = {dict(labels)["site"]: number for labels, number in series(running, "engaged_dropped_total").items()}
    assert drops == {"a.example": 1, "b.example": 1}
