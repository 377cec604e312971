# SPDX-License-Identifier: MIT
"""docs/api.md, section 5 and what errors promise: addresses on each listener, the codes, 429 and 503."""
import os
import re

import pytest

from support.ports import free_port
from support.program import ROOT
from support.service import BareService, Service
from support.wait import wait_until

contract = pytest.mark.contract
CODES = {
    "bad_request": 400, "bad_path": 400, "bad_site": 400, "bad_item": 400, "bad_json": 400, "bad_field": 400, "bad_parameter": 400, "bad_limit": 400,
    "bad_exclude": 400, "bad_time": 400, "unknown_kind": 400, "unknown_parameter": 400, "repeated_parameter": 400, "bad_visitor": 401, "key_required": 401,
    "bad_key": 403, "bad_origin": 403, "not_found": 404, "unknown_site": 404, "unknown_item": 404, "unknown_ranking": 404, "method_not_allowed": 405,
    "request_timeout": 408, "editorial_full": 409, "id_clash": 409, "too_large": 413, "target_too_long": 414, "unsupported_type": 415,
    "too_many_requests": 429, "head_too_large": 431, "internal": 500, "not_implemented": 501, "unavailable": 503, "overloaded": 503, "bad_version": 505}


@contract("Errors", "code is stable")
def test_codes_are_never_renamed_nor_given_another_status():
    """They are told once more here: one that is taken away or changed must be so in two places."""
    with open(os.path.join(ROOT, "docs/errors.md"), encoding="utf-8") as file:
        shown = {code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d+) \|", file.read(), re.M)}
    with open(os.path.join(ROOT, "src/base/outcomes.def"), encoding="utf-8") as file:
        made = {code: int(status) for status, code in re.findall(r'^OUTCOME\(\w+, (\d+), "(\w+)"', file.read(), re.M)}
    made.pop("ok")
    assert made == shown
    assert {code: shown.get(code) for code in CODES} == CODES


@pytest.fixture(scope="module")
def three():
    """A service with all three listeners, and no demo page."""
    running = Service(publisher_listen=f"127.0.0.1:{free_port()}", demo="off")
    running.publisher_port = int(running.settings["publisher_listen"].split(":")[1])
    yield running
    running.stop()


@contract("Addresses", "On every listener: /healthz", "On every listener: /readyz", "On every listener: /openapi.json", "On every listener: /, the demo page",
          "On ops_listen (preset 127.0.0.1:8081) only")
def test_what_each_listener_has(service, three):
    for running, ports in ((service, (service.port, service.ops_port)), (three, (three.port, three.ops_port, three.publisher_port))):
        for port in ports:
            found = {path: running.request("GET", path, port=port) for path in ("/healthz", "/readyz", "/openapi.json", "/widget.js", "/", "/metrics", "/dashboard")}
            assert [found[path].status for path in ("/healthz", "/readyz", "/openapi.json", "/widget.js")] == [200] * 4
            assert found["/"].status == (200 if running is service else 404)
            operators = port == running.ops_port
            assert (found["/metrics"].status, found["/dashboard"].status) == ((200, 200) if operators else (404, 404))
            assert found["/openapi.json"].json["openapi"].startswith("3.1") and b"customElements" in found["/widget.js"].body
            assert operators is False or found["/metrics"].headers["content-type"].startswith("text/plain")
            assert running is three or b"<html" in found["/"].body
            for path, answer in found.items():
                assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers
                head = running.request("HEAD", path, port=port)
                assert (head.status, head.body) == (answer.status, b"")
                if answer.status == 200 and path not in ("/openapi.json", "/widget.js"):
                    assert running.request("POST", path, port=port).headers.get("allow") == "GET, HEAD, OPTIONS", path
    text = three.request("GET", "/metrics", port=three.ops_port).body.decode()
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) engaged_\w+ .+|engaged_\w+(\{[a-z]+="[^"\\]+"(,[a-z]+="[^"\\]+")*\})? (\d+(\.\d+)?([eE][+-]?\d+)?|NaN)', line), line


@contract("Addresses", "On every listener: /healthz", "On every listener: /readyz")
@contract("405, 429 and 503", "A 503 has Retry-After")
def test_without_redis():
    running = BareService(redis_timeout="1s")
    site = "/v1/s.example"
    try:
        assert running.get("/readyz").status == 200
        running.redis.stop()
        ready = wait_until(lambda: (answer := running.get("/readyz")).status == 503 and answer, 20)
        assert ready.json["code"] == "unavailable" and ready.json["detail"]
        assert running.get("/healthz").status == 200 and running.request("GET", "/healthz", port=running.ops_port).status == 200
        for method, path in (("POST", "/items/a/votes"), ("DELETE", "/items/a/votes"), ("POST", "/items/a/views"), ("GET", "/me?id=a"), ("POST", "/me"),
                             ("GET", "/items/a"), ("GET", "/rankings/hot"), ("GET", "/items/a/page"), ("GET", "/me/recommendations")):
            answer = running.request(method, site + path, {"ids": ["a"]} if path == "/me" else None, Origin="https://s.example")
            assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json"), path
            assert re.fullmatch(r"[1-9]\d*", answer.headers["retry-after"]) and answer.headers["cache-control"] == "no-store"
            assert answer.headers["access-control-allow-origin"] in ("*", "https://s.example")
            assert "retry-after" in answer.headers["access-control-expose-headers"].lower()
        for path in ("/rankings", "/visitors"):  # what needs none
            assert running.request("POST" if path == "/visitors" else "GET", site + path).status in (200, 201)
    finally:
        running.stop()


@contract("405, 429 and 503", "A 429 has Retry-After")
@contract("Networks", "Rate limits are per network")
def test_a_429_says_when(own):
    running = own(trusted_proxies="127.0.0.1", votes_per_minute=7, votes_burst=2, new_visitors_per_minute=3, new_visitors_burst=3, wide_network_factor=0)
    answers = [running.post("/v1/s.example/items/a/votes", X_Forwarded_For="192.0.2.7", Origin="https://s.example") for _ in range(4)]
    assert [answer.status for answer in answers[:2]] == [200, 200] and answers[3].status == 429
    limited = answers[3]
    assert limited.headers["content-type"] == "application/problem+json" and limited.json["code"] == "too_many_requests"
    assert re.fullmatch(r"[1-9]\d*", limited.headers["retry-after"]) and int(limited.headers["retry-after"]) <= 60
    assert limited.headers["access-control-allow-origin"] == "https://s.example" and limited.headers["cache-control"] == "no-store"
    assert "set-cookie" not in limited.headers and "engaged-visitor" not in limited.headers
    for other in ("192.0.2.8", "2001:db8::1"):
        assert running.post("/v1/s.example/items/a/votes", X_Forwarded_For=other).status == 200
    seen = running.get("/v1/s.example/items/a").json["votes"]["up"]
    assert seen == 4
    networks = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1::3", "2001:db8:0:2::1")  # a /64 is one network
    assert [running.post("/v1/s.example/items/b/votes", X_Forwarded_For=one).status for one in networks] == [200, 200, 429, 200]
    assert running.get("/v1/s.example/items/a").status == 200  # reading has no limit
