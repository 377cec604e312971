# SPDX-License-Identifier: MIT
"""The audit log: every call that a key opens is in it, once, with the key's name; nothing else is, and it is bounded."""
import concurrent.futures
import hashlib
import re
import socket

import pytest

from support.calls import CALLS, PUBLISHER, SHARED
from support.program import ROOT
from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

KEYS = {"cms": "first", "desk": "second"}
PUSHED_OUT = 3  # entries are kept


def routes():
    """Of routes.def, the calls of a site: method, pattern, kind."""
    with open(f"{ROOT}/src/api/routes.def", encoding="utf-8") as file:
        rows = re.findall(r'^ROUTE\((\w+), "(/v1/[^"]+)", \w+, (\w+),', file.read(), re.M)
    return [(method, pattern, kind.lower()) for method, pattern, kind in rows]


def is_of(call, method, pattern):
    path = call.path.partition("?")[0].replace("/hot", "/{name}")
    return (call.method, "/v1/{site}" + path) == (method, pattern)


def has_entry(method, pattern, kind):
    if (method, pattern) in (("GET", "/v1/{site}/export"), ("DELETE", "/v1/{site}/me")):
        return True
    return kind == PUBLISHER and method != "GET" and not pattern.endswith("/events")


@pytest.fixture(scope="module")
def keyed():
    lines = "".join(f"key.{name} = sha256:{hashlib.sha256(key.encode()).hexdigest()}\n" for name, key in KEYS.items())
    running = Service(configuration="".join(f"[site {name}]\n{lines}" for name in ("all", "wrong", "odd", "refused", "other", "outsider", "early", "strict.example")),
                      kinds="up down")
    yield running
    running.stop()


def bearer(name):
    return {"Authorization": f"Bearer {KEYS[name]}"}


def log(service, site, **query):
    text = "&".join(f"{name}={value}" for name, value in {"limit": 100, **query}.items())
    answer = service.keyed("GET", f"/v1/{site}/audit?{text}")
    assert answer.status == 200 and answer.headers["cache-control"] == "no-store", answer.body
    return answer.json


def ended(service, site):
    """The entries, as soon as each has a status."""
    return wait_until(lambda: (found := log(service, site)["entries"]) and all(entry["status"] for entry in found) and found, 20,
                      lambda: str(log(service, site)))


def sums(service, site):
    return {(one["key"], one["call"]): one["count"] for one in log(service, site)["sums"]}


@pytest.mark.contract("GET /v1/{site}/audit", "200 {\"entries\"")
@pytest.mark.contract("GET /v1/{site}/audit", "An entry each have")
@pytest.mark.contract("GET /v1/{site}/audit", "All other calls")
@pytest.mark.contract("GET /v1/{site}/audit", "Shared reads need no key")
def test_every_call_with_a_key_is_in_the_log(keyed):
    entries, counted = [], {}
    for method, pattern, kind in routes():
        calls = [call for call in CALLS if is_of(call, method, pattern)]
        assert calls and calls[0].kind == kind, f"support/calls.py has no example of {method} {pattern}"
        answer, name = calls[0].send(keyed, "/v1/all", **bearer("cms")), f"{method} {pattern}"
        assert answer.status == calls[0].status, (name, answer.body)
        if has_entry(method, pattern, kind):
            entries.append(("cms", name, answer.status, "a" if "{item}" in pattern else None, 1 if calls[0].media == "application/x-ndjson" else None))
        elif kind != SHARED:
            counted["cms", name] = 1
    wait_until(lambda: {one: count for one, count in sums(keyed, "all").items() if one[0] == "cms"} == counted, 20, lambda: f"{sums(keyed, 'all')}\n{counted}")
    found = [(one["key"], one["call"], one["status"], one.get("item"), one.get("accepted")) for one in ended(keyed, "all")]
    assert sorted(found, key=str) == sorted(entries, key=str) and len(entries) > 8 and len(counted) > 8


@pytest.mark.contract("GET /v1/{site}/audit", "Shared reads need no key")
def test_calls_without_a_key_or_with_a_wrong_one_are_not_in_it(keyed):
    before = keyed.metrics()["engaged_wrong_keys_total"]
    for call in CALLS:
        if call.kind == PUBLISHER:
            assert call.send(keyed, "/v1/wrong", Authorization="Bearer guessed").status == 403
            assert call.send(keyed, "/v1/wrong", Authorization="Basic x").status == 401
        else:
            call.send(keyed, "/v1/wrong", Authorization="Bearer guessed")
    keyed.request("PUT", "/v1/wrong/items/a", {"title": "t"}, **bearer("desk"))  # the log gets what comes later
    wait_until(lambda: ("secret_key", "GET /v1/{site}/audit") in sums(keyed, "wrong"), 20)
    assert [(entry["key"], entry["call"]) for entry in ended(keyed, "wrong")] == [("desk", "PUT /v1/{site}/items/{item}")]
    assert set(sums(keyed, "wrong")) == {("secret_key", "GET /v1/{site}/audit")}
    assert keyed.metrics()["engaged_wrong_keys_total"] == before + sum(call.kind == PUBLISHER for call in CALLS)


ODD = ['"', "\\", "</script>", "a b", "%2F", "\u2028", "\U0001f600", "https://news.example/a?b=c&d", "x" * 512, "\"},{\"key\":\"me"]


def test_ids_with_odd_characters(keyed):
    for item in ODD:
        quoted = "".join(f"%{byte:02X}" for byte in item.encode())
        assert keyed.request("PUT", f"/v1/odd/items/{quoted}/editorial", {"boost": 2}, **bearer("cms")).status == 200, item
        assert keyed.request("DELETE", f"/v1/odd/items/-/editorial?id={quoted}", **bearer("desk")).status == 204, item
    found = [(entry["item"], entry["key"]) for entry in ended(keyed, "odd")]
    assert found == [(item, key) for item in reversed(ODD) for key in ("desk", "cms")]


REFUSED = [("PUT", "/items/a", '{"title":', {}, 400), ("PUT", "/items/a?planted=1", "{}", {}, 400), ("PUT", "/items/a", "{}", {"Content_Type": "text/html"}, 415),
           ("PUT", "/items/a/editorial", "{}", {}, 400), ("POST", "/corrections", "{}", {}, 400), ("POST", "/items", "{}\n", {}, 415)]


def test_what_a_key_asked_in_vain_is_in_it_once_with_its_status(keyed):
    for number, (method, path, body, headers, status) in enumerate(REFUSED):
        headers.setdefault("Content_Type", "application/json")
        assert keyed.request(method, "/v1/refused" + path, body, **bearer("cms"), **headers).status == status
        entries = ended(keyed, "refused")
        assert len(entries) == number + 1 and entries[0]["status"] == status, entries


def raw(service, head, *pieces):
    """The status of a request that is sent piece by piece, by a client that sends no more then."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as client:
        client.sendall(f"{head} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['cms']}\r\nContent-Type: application/json\r\n".encode())
        for piece in pieces:
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
        return int(client.makefile("rb").readline().split()[1])


TOO_LONG = 1 << 20
EARLY = {
    "413 by its length": ("a", f"Content-Length: {TOO_LONG}\r\n\r\n".encode(), 413),
    "413 by a chunk": ("b", b"Transfer-Encoding: chunked\r\n\r\n" + f"{TOO_LONG:x}\r\n".encode(), 413),
    "400 a chunk that is none": ("c", b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "400 cut off": ("d", b"Content-Length: 100\r\n\r\n{", 400),
    "415 of a coding": ("e", b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415),
    "400 a wrong id": ("x" * 600, b"Content-Length: 2\r\n\r\n{}", 400),
}


@pytest.mark.contract("GET /v1/{site}/audit", "So has one that is refused")
def test_what_is_refused_before_its_body_is_read_is_in_it_once(keyed):
    for number, (item, rest, status) in enumerate(EARLY.values()):
        assert raw(keyed, f"PUT /v1/early/items/{item}", rest) == status, item
        entries = ended(keyed, "early")
        assert len(entries) == number + 1 and entries[0]["status"] == status, entries
        assert entries[0].get("item") == (item if len(item) < 600 else None) and entries[0]["key"] == "cms", entries
    assert raw(keyed, "PUT /v1/early/items/g", b"no field\r\n\r\n") == 400, "of a head that cannot be read nobody knows who asked"
    assert raw(keyed, "PUT /v1/early/items/f", b"Content-Length: 2\r\n\r\n{}") == 200
    assert [entry.get("item") for entry in ended(keyed, "early")] == ["f", None, "e", "d", "c", "b", "a"]


@pytest.mark.contract("GET /v1/{site}/audit", "So has one that is refused")
def test_from_a_page_that_may_not_write_it_is_in_it_too(keyed):
    answer = keyed.request("PUT", "/v1/strict.example/items/a", {"title": "t"}, Origin="https://other.example", **bearer("desk"))
    assert (answer.status, answer.json["code"]) == (403, "bad_origin")
    keyed.request("PUT", "/v1/strict.example/items/a", {"title": "t"}, Origin="https://other.example", Authorization="Bearer wrong")
    found = [(one["key"], one["call"], one["status"], one["item"]) for one in ended(keyed, "strict.example")]
    assert found == [("desk", "PUT /v1/{site}/items/{item}", 403, "a")]


def test_a_counted_call_that_is_refused_is_counted(keyed):
    assert keyed.request("GET", "/v1/early/editorial?planted=1", **bearer("desk")).status == 400
    wait_until(lambda: sums(keyed, "early").get(("desk", "GET /v1/{site}/editorial")) == 1, 20, lambda: str(sums(keyed, "early")))


@pytest.mark.contract("GET /v1/{site}/audit", "The key of the setting")
def test_names_of_keys_lines_and_corrected_items(keyed):
    rows = '{"item":"a"}\nnonsense\n{"item":"b"}\n'
    assert keyed.request("POST", "/v1/other/items", rows, Content_Type="application/x-ndjson", **bearer("desk")).json["accepted"] == 2
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        bodies = [{"item": "b", "note": "n"}, {"visitor": "account-17"}]
        assert {answer.status for answer in pool.map(lambda body: keyed.keyed("POST", "/v1/other/corrections", body), bodies)} == {202}
    found = ended(keyed, "other")
    assert (found[-1]["key"], found[-1]["accepted"]) == ("desk", 2) and {one["key"] for one in found[:-1]} == {"secret_key"}
    assert {one.get("item") for one in found[:-1]} == {"b", None} and "account-17" not in str(log(keyed, "other"))


@pytest.mark.contract("GET /v1/{site}/audit", "No visitor and no address")
def test_nobody_outside_is_named(keyed):
    address = "203.0.113.77"
    for method, path, body in (("POST", "/items/a/votes", {}), ("DELETE", "/me", {}), ("PUT", "/items/a", {"title": "t"})):
        answer = keyed.request(method, "/v1/outsider" + path, body, Engaged_Visitor="reader-4711" if path != "/items/a" else "", X_Forwarded_For=address,
                               User_Agent="Agent/4711", **bearer("cms"))
        assert answer.status < 300, answer.body
    wait_until(lambda: ("cms", "POST /v1/{site}/items/{item}/votes") in sums(keyed, "outsider"), 20)
    text = str(log(keyed, "outsider"))
    assert len(ended(keyed, "outsider")) == 2 and address not in text and "4711" not in text


@pytest.mark.contract("GET /v1/{site}/audit", "next_before is left out")
def test_pages_fit_together(keyed, site):
    for number in range(7):
        assert keyed.keyed("PUT", f"{site}/items/i{number}", {"title": "t"}).status == 200
    name = site[4:]
    whole, before, pages = ended(keyed, name), None, []
    while True:
        page = log(keyed, name, limit=3, **({"before": before} if before else {}))
        assert ("sums" in page) == (before is None)
        pages.append(page["entries"])
        before = page.get("next_before")
        if not before:
            break
    assert [len(page) for page in pages] == [3, 3, 1] and sum(pages, []) == whole
    assert [entry["item"] for entry in whole] == [f"i{number}" for number in reversed(range(7))]
    assert "next_before" not in log(keyed, name, limit=7) and log(keyed, name, limit=6)["next_before"] == whole[5]["id"]
    for wrong in ("x", "1", "-", "1-", "-1", "0-0", "1-1-1", "18446744073709551616-0", "1-x"):
        answer = keyed.keyed("GET", f"{site}/audit?before={wrong}")
        assert (answer.status, answer.json["code"]) == (400, "bad_parameter"), wrong
    assert log(keyed, name, before="1-0") == {"entries": []}
    assert len(log(keyed, name, before="18446744073709551615-18446744073709551615")["entries"]) == 7


@pytest.mark.contract("GET /v1/{site}/audit", "The newest audit_entries")
def test_it_is_bounded_and_counts_push_no_entry_out(own):
    service = own(audit_entries=PUSHED_OUT, workers=2)
    for number in range(PUSHED_OUT):
        service.keyed("PUT", f"/v1/s/items/i{number}", {"title": "t"})
    assert [entry["item"] for entry in ended(service, "s")] == ["i2", "i1", "i0"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: service.keyed("GET", "/v1/s/editorial"), range(40)))
    wait_until(lambda: sums(service, "s").get(("secret_key", "GET /v1/{site}/editorial")) == 40, 20, lambda: str(sums(service, "s")))
    assert [entry["item"] for entry in ended(service, "s")] == ["i2", "i1", "i0"]
    service.keyed("PUT", "/v1/s/items/i3", {"title": "t"})
    assert [entry["item"] for entry in ended(service, "s")] == ["i3", "i2", "i1"]
    for number in (4, 5):  # refused at once, so each is written once
        assert service.keyed("PUT", f"/v1/s/items/i{number}?planted=1", {"title": "t"}).status == 400
        wait_until(lambda: [entry["item"] for entry in ended(service, "s")][0] == f"i{number}", 20)
    assert [entry["item"] for entry in ended(service, "s")] == ["i5", "i4", "i3"]


@pytest.mark.contract("GET /v1/{site}/audit", "The newest audit_entries")
def test_nothing_is_shown_or_kept_that_is_older_than_the_setting(own):
    hour = 3600_000
    with RedisServer() as redis:
        service, client = own(audit_kept_for="1h", redis=redis.url, secret="11" * 32, hash_key="22" * 32), redis.client()
        service.keyed("PUT", "/v1/s/items/a", {"title": "t"})
        service.keyed("GET", "/v1/s/editorial")
        wait_until(lambda: sums(service, "s").get(("secret_key", "GET /v1/{site}/editorial")) == 1, 20)
        ended(service, "s")
        entries, counts = sorted(client.keys("{e*}k*"), key=len)
        now = client.time()[0] * 1000
        client.delete(entries)
        for item, age in (("older", hour + 5000), ("younger", hour - 60_000)):
            client.xadd(entries, {"j": f'"item":"{item}","status":200'}, id=f"{now - age}-0")
        client.hset(counts, mapping={"gone GET /v1/{site}/editorial": f"3 {now - 9 * hour} {now - hour - 5000}",
                                     "there GET /v1/{site}/editorial": f"4 {now - 9 * hour} {now - hour + 60_000}"})
        shown = log(service, "s")
        assert [one["item"] for one in shown["entries"]] == ["younger"] and {one["key"] for one in shown["sums"]} == {"secret_key", "there"}
        assert client.xlen(entries) == 2
        service.keyed("PUT", "/v1/s/items/b", {"title": "t"})
        assert [one["item"] for one in ended(service, "s")] == ["b", "younger"] and client.xlen(entries) == 2
        wait_until(lambda: b"gone GET /v1/{site}/editorial" not in client.hgetall(counts), 20, "with the next count it goes")
        for key in (entries, counts):
            assert hour - 60_000 < client.pttl(key) <= hour, "a site that is called no more has no log then"
        service.stop()
        service = own(audit_kept_for="0", redis=redis.url, secret="11" * 32, hash_key="22" * 32)
        service.keyed("PUT", "/v1/s/items/c", {"title": "t"})
        ended(service, "s")
        assert client.pttl(entries) == -1, "0: no age is too old"
        client.delete(entries)
        client.xadd(entries, {"j": '"item":"old","status":200'}, id="1-1")
        service.keyed("PUT", "/v1/s/items/d", {"title": "t"})
        assert [one["item"] for one in ended(service, "s")] == ["d", "old"]


def test_without_a_log_nothing_is_written(own):
    service = own(audit_entries=0)
    service.keyed("PUT", "/v1/s/items/a", {"title": "t"})
    service.keyed("GET", "/v1/s/editorial")
    assert log(service, "s") == {"entries": [], "sums": []}


def test_names_over_a_reload(own, tmp_path):
    path = tmp_path / "engaged.conf"
    path.write_text("[site s]\nkey.old = first\n")
    service = own(config=str(path))
    assert service.request("PUT", "/v1/s/items/a", {"title": "t"}, Authorization="Bearer first").status == 200
    assert service.request("GET", "/v1/s/editorial", Authorization="Bearer first").status == 200
    path.write_text("[site s]\nkey.new = first\n")
    service.process.send_signal(1)
    wait_until(lambda: service.request("PUT", "/v1/s/items/a", {"title": "t"}, Authorization="Bearer first").status == 200 and
               ended(service, "s")[0]["key"] == "new", 60, service.log)
    assert ended(service, "s")[-1]["key"] == "old"
    wait_until(lambda: sums(service, "s").get(("old", "GET /v1/{site}/editorial")) == 1, 20, "what the old processes had counted is sent as they end")
