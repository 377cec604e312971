# SPDX-License-Identifier: MIT
"""docs/api.md, section 0: what all calls have in common, tried on each of them."""
import datetime
import gzip
import json
import re
import socket

import pytest

from support.calls import CALLS, PRIVATE, PUBLISHER, READS, SHARED
from support.wait import wait_until

contract = pytest.mark.contract
SHARED_READS = [call for call in CALLS if call.kind == SHARED]
OTHERS = [call for call in CALLS if call.kind != SHARED]
CACHED = "public, max-age=1, s-maxage=1, stale-while-revalidate=30, stale-if-error=600"
EXPOSED = {"engaged-visitor", "engaged-checked-at", "retry-after", "etag"}


def words(text):
    return {word.strip().lower() for word in text.split(",")}


def is_problem(answer, status, code):
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer.body
    problem = answer.json
    assert set(problem) - {"detail"} == {"type", "status", "code", "title"}
    assert (problem["type"], problem["status"], problem["code"]) == ("about:blank", status, code)
    assert problem["title"] and isinstance(problem["title"], str)
    assert "detail" not in problem or (isinstance(problem["detail"], str) and problem["detail"])
    assert answer.headers["cache-control"] == "no-store" and "etag" not in answer.headers
    return problem


# ---- Query and fields

@contract("Query and fields", "With the secret key an unknown parameter or field is 400", "Without it an unknown parameter or field is ignored")
@pytest.mark.parametrize("call", CALLS, ids=repr)
@pytest.mark.parametrize("name", ["utm_source=x", "ID=x", "limits=1", "x", "=", "Limit=0", "%6cimit%20=1"])
def test_an_unknown_parameter(service, site, call, name):
    address = call.with_query(site, name)
    before = service.metrics()["engaged_unknown_parameters_total"]
    if call.kind != PUBLISHER:
        assert call.send(service, site, address=address).status == call.status
        assert service.metrics()["engaged_unknown_parameters_total"] == before + 1
    answer = call.send(service, site, address=address, Authorization="Bearer k")
    call.refused(answer, "unknown_parameter")


@contract("Query and fields", "With the secret key an unknown parameter or field is 400", "Without it an unknown parameter or field is ignored")
@pytest.mark.parametrize("call", [call for call in CALLS if call.body or call.method == "DELETE" and call.kind == PRIVATE], ids=repr)
def test_an_unknown_field(service, site, call):
    body = json.dumps(dict(json.loads(call.body or "{}"), odd=1)) + ("\n" if call.media != "application/json" else "")
    before = service.metrics()["engaged_unknown_parameters_total"]
    address = call.at(site)
    if call.kind == PRIVATE:
        assert service.request(call.method, address, body).status == call.status
        assert service.metrics()["engaged_unknown_parameters_total"] == before + 1
    answer = service.request(call.method, address, body, Content_Type=call.media, Authorization="Bearer k")
    if call.media == "application/json":
        is_problem(answer, 400, "unknown_parameter")
    else:
        assert answer.json == {"accepted": 0, "rejected": [{"line": 1, "code": "unknown_parameter"}]}


TWICE = [("/items/{item}/related", "limit=5"), ("/items/{item}/related", "format=json"), ("/rankings/hot", "limit=5"),
         ("/rankings/hot", "category=a"), ("/rankings/hot", "format=html"), ("/me/recommendations", "limit=5"),
         ("/me/recommendations", "format=feed"), ("/items/{item}/page", "related=1"), ("/items/{item}/page", "ranking=1"),
         ("/items/{item}/page", "recommendation=1"), ("/items/{item}/page", "name=hot"), ("/items/{item}/page", "category=a")]


@contract("Query and fields", "A single one that stands twice is always 400")
@pytest.mark.parametrize("path,pair", TWICE)
def test_a_repeated_parameter(service, site, path, pair):
    address = site + path.replace("{item}", "a")
    name = pair.split("=")[0]
    assert service.get(f"{address}?{pair}").status == 200
    for query in (f"{pair}&{pair}", f"{pair}&x=1&{pair}", f"{pair}&%{ord(name[0]):x}{name[1:]}={pair.split('=')[1]}", f"{pair}&&{pair}",
                  f"{pair}&{name}=", f"{pair}&{name}"):
        for headers in ({}, {"Authorization": "Bearer k"}):
            if headers and "x=1" in query:
                continue
            answer = service.get(f"{address}?{query}", **headers)
            assert answer.status == 400, query
            if "format=html" not in query:
                assert is_problem(answer, 400, "repeated_parameter")["detail"] == name


@contract("Query and fields", "A wrong type or value is always 400")
@pytest.mark.parametrize("path,query,code", [
    ("/items/{item}/related", "limit=0", "bad_limit"), ("/rankings/hot", "limit=101", "bad_limit"), ("/me/recommendations", "limit=x", "bad_limit"),
    ("/items/{item}/page", "related=101", "bad_limit"), ("/items/{item}/page", "ranking=-1", "bad_limit"),
    ("/items/{item}/page", "recommendation=1.5", "bad_limit"), ("/rankings/hot", "category=", "bad_parameter"),
    ("/items/{item}/page", "category=%ff", "bad_parameter"), ("/rankings/hot", "format=xml", "bad_parameter"),
    ("/items/{item}/related", "format=HTML", "bad_parameter"), ("/me/recommendations", "exclude=", "bad_exclude"),
    ("/items/{item}/page", "exclude=..", "bad_exclude"), ("/me", "id=-", "bad_item"), ("/items", "id=a&id=", "bad_item"),
    ("/rankings/hot", "limit=%ff", "bad_limit"), ("/rankings/hot", "limit=1%00", "bad_limit"), ("/rankings/hot", "limit=%", "bad_parameter"),
    ("/rankings/hot", "%=1", "bad_parameter"), ("/rankings/hot", "limit=+5", "bad_limit"), ("/rankings/hot", "limit=5;", "bad_limit"),
    ("/items/{item}/page", "name=", "unknown_ranking"), ("/items/{item}/page", "name=HOT", "unknown_ranking")])
def test_a_wrong_value_is_400_with_and_without_the_key(service, site, path, query, code):
    for headers in ({}, {"Authorization": "Bearer k"}):
        answer = service.get(site + path.replace("{item}", "a") + "?" + query, **headers)
        is_problem(answer, 404 if code.startswith("unknown") else 400, code)


# ---- Errors

@contract("Errors", "Every error is RFC 9457", "Errors have CORS headers too")
@pytest.mark.parametrize("call", [call for call in CALLS if not call.is_image], ids=repr)
def test_errors_of_every_call(service, site, call):
    origin = "https://" + site.split("/")[-1]

    def allowed(answer):
        wanted = "*" if call.kind == SHARED else origin
        assert answer.headers["access-control-allow-origin"] == wanted
        assert answer.headers.get("access-control-allow-credentials") == (None if call.kind == SHARED else "true")
        assert answer.headers.get("vary") == (None if call.kind == SHARED else "Origin")
        assert words(answer.headers["access-control-expose-headers"]) == EXPOSED

    answer = call.send(service, "/v1/-bad", Origin=origin)
    is_problem(answer, 400, "bad_site")
    if "{item}" in call.path:
        answer = call.send(service, site, "%ff", Origin=origin)
        is_problem(answer, 400, "bad_path")
        answer = call.send(service, site, "a" * 513, Origin=origin)
        is_problem(answer, 400, "bad_item")
        allowed(answer)
    if call.kind == PUBLISHER:
        answer = service.request(call.method, call.at(site), call.body, Origin=origin)
        is_problem(answer, 401, "key_required")
        assert answer.headers["www-authenticate"] == "Bearer"
        allowed(answer)
        answer = service.request(call.method, call.at(site), call.body, Origin=origin, Authorization="Bearer wrong")
        is_problem(answer, 403, "bad_key")
        allowed(answer)
    if call.body is not None:
        answer = service.request(call.method, call.at(site), call.body, Origin=origin, Content_Type="image/png", Authorization="Bearer k")
        is_problem(answer, 415, "unsupported_type")
        allowed(answer)
    if call.kind == PRIVATE and call.path != "/visitors":
        answer = call.send(service, site, Origin=origin, Engaged_Visitor="ev1.no")
        is_problem(answer, 401, "bad_visitor")
        allowed(answer)


@contract("405, 429 and 503", "A 405 has Allow")
@pytest.mark.parametrize("call", CALLS, ids=repr)
@pytest.mark.parametrize("method", ["PATCH", "POST", "PUT", "DELETE", "GET"])
def test_a_method_that_the_path_lacks(service, site, call, method):
    path = call.path.split("?")[0]
    methods = {one.method for one in CALLS if one.path.split("?")[0] == path}
    if method in methods:
        return
    answer = service.request(method, call.at(site), Authorization="Bearer k")
    is_problem(answer, 405, "method_not_allowed")
    heads = {"HEAD"} if "GET" in methods else set()
    assert set(answer.headers["allow"].split(", ")) == methods | heads | {"OPTIONS"}


@contract("Errors", "Every error is RFC 9457")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/s.example", "/v1/s.example/", "/v1/s.example/nothing", "/v1/s.example/items/a/b",
                                  "/v1/s.example/items/a/votes/up", "/nothing", "/v1/s.example/me/votes", "/widget.js/", "/v1/s.example/rankings/a/b",
                                  "/metrics", "/dashboard"])
def test_an_unknown_path_is_404(service, method, path):
    for origin in ({}, {"Origin": "https://s.example"}, {"Origin": "null"}):
        answer = service.request(method, path, **origin)
        is_problem(answer, 404, "not_found")
        if origin:
            assert answer.headers["access-control-allow-origin"] in (origin["Origin"], "*")


# ---- CORS and caching

@contract("Private reads and writes", "Private reads, all writes and all errors")
@contract("CORS", "On everything but shared reads the one allowed origin is named")
@pytest.mark.parametrize("call", OTHERS, ids=repr)
def test_what_is_not_shared(service, site, call):
    origin = "https://" + site.split("/")[-1]
    for sent in ({}, {"Origin": origin}, {"Origin": "http://sub." + site.split("/")[-1] + ":81"}):
        answer = call.send(service, site, **sent)
        assert answer.status == call.status
        assert answer.headers["cache-control"] == "no-store" and answer.headers["vary"] == "Origin"
        assert "etag" not in answer.headers
        assert answer.headers.get("access-control-allow-origin") == sent.get("Origin")
        assert answer.headers.get("access-control-allow-credentials") == ("true" if sent else None)
        assert not sent or words(answer.headers["access-control-expose-headers"]) == EXPOSED


@contract("CORS", "A preflight is answered for each route", "The headers Content-Type, Engaged-Visitor", "Engaged-Visitor, Engaged-Checked-At, Retry-After")
@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_preflight(service, site, call):
    origin, path = "https://" + site.split("/")[-1], call.path.split("?")[0]
    methods = {one.method for one in CALLS if one.path.split("?")[0] == path}
    methods |= {"HEAD", "OPTIONS"} if "GET" in methods else {"OPTIONS"}
    shared = {one.kind for one in CALLS if one.path.split("?")[0] == path} == {SHARED}
    for headers in ({}, {"Access_Control_Request_Headers": "content-type,engaged-visitor,authorization"}):
        asked = call.send(service, site, method="OPTIONS", Origin=origin, Access_Control_Request_Method=call.method, **headers)
        assert (asked.status, asked.body) == (204, b"") and "set-cookie" not in asked.headers and "engaged-visitor" not in asked.headers
        assert asked.headers["cache-control"] == "no-store"
        assert set(asked.headers["access-control-allow-methods"].split(", ")) == methods == set(asked.headers["allow"].split(", "))
        assert words(asked.headers["access-control-allow-headers"]) == {"content-type", "engaged-visitor", "authorization"}
        assert int(asked.headers["access-control-max-age"]) > 0
        assert asked.headers["access-control-allow-origin"] == ("*" if shared else origin)
        assert asked.headers.get("access-control-allow-credentials") == (None if shared else "true")
    # without an Origin it is no preflight: the methods are said all the same
    plain = call.send(service, site, method="OPTIONS")
    assert plain.status == 204 and set(plain.headers["allow"].split(", ")) == methods


@contract("CORS", "A 403 bad_origin, and the preflight before it")
@contract("Origins", "A site without one whose name is a host name")
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_a_foreign_origin(service, site, call, origin):
    answer = call.send(service, site, Origin=origin)
    asked = call.send(service, site, method="OPTIONS", Origin=origin, Access_Control_Request_Method=call.method)
    shared = {one.kind for one in CALLS if one.path.split("?")[0] == call.path.split("?")[0]} == {SHARED}
    if call.kind == SHARED:
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
    elif call.is_image:
        assert (answer.status, len(answer.body)) == (200, 43)
        assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers
    else:
        is_problem(answer, 403, "bad_origin")
        assert answer.headers["access-control-allow-origin"] == origin and answer.headers["vary"] == "Origin"
        assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, "*" if shared else origin)
    assert "access-control-allow-credentials" not in asked.headers
    assert service.get(f"{site}/items/a").json == {"item": "a", "votes": {"up": 0, "down": 0}, "views": 0, "visitors": 0}


# ---- Shared reads

def fill(service, site):
    rows = [{"type": "view", "item": item, "visitor": f"r{n}"} for n in range(4) for item in ("a", "b", "c")]
    assert service.lines(f"{site}/events?wait=true", rows).json["accepted"] == 12


@contract("Shared reads", "Cache-Control is public", "The body is gzip when that is accepted", "Vary is Accept-Encoding", "Access-Control-Allow-Origin is *",
          "HEAD answers as GET would", "If-None-Match that names it", "It is weak", "A refresh that changes no order")
@pytest.mark.parametrize("query", ["", "format=html", "format=feed"])
@pytest.mark.parametrize("call", SHARED_READS, ids=repr)
def test_what_is_shared(service, site, call, query):
    fill(service, site)
    address = call.with_query(site, query) if query else call.at(site)
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        answer = service.get(address, **origin)
        assert answer.status == 200
        assert (answer.headers["cache-control"], answer.headers["vary"]) == (CACHED, "Accept-Encoding")
        assert answer.headers["access-control-allow-origin"] == "*" and "access-control-allow-credentials" not in answer.headers
        assert words(answer.headers["access-control-expose-headers"]) >= EXPOSED - {"engaged-visitor"}
        assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers
    etag = answer.headers["etag"]
    assert re.fullmatch(r'W/"[!#-~]+"', etag)
    checked = datetime.datetime.fromisoformat(answer.headers["engaged-checked-at"].replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - checked).total_seconds()) < 60
    for head in (service.request("HEAD", address), service.request("HEAD", address, Accept_Encoding="gzip")):
        assert (head.status, head.body, head.headers["etag"]) == (200, b"", etag)
        assert {"cache-control", "vary", "content-length", "content-type", "engaged-checked-at"} <= set(head.headers)
    packed = service.get(address, Accept_Encoding="gzip")
    assert packed.headers["vary"] == "Accept-Encoding" and packed.headers["etag"] == etag
    assert ("content-encoding" in packed.headers) == (len(answer.body) >= 256)  # a smaller one gains nothing
    if "content-encoding" in packed.headers:
        assert packed.headers["content-encoding"] == "gzip"
        assert re.sub(rb'"(computed_at|score)":[^,]+', b"", gzip.decompress(packed.body)) == re.sub(
            rb'"(computed_at|score)":[^,]+', b"", answer.body)
    for condition in (etag, etag[2:], f'"x", {etag}', f'W/"x" ,{etag[2:]}, "y"', "*"):
        for method in ("GET", "HEAD"):
            same = service.request(method, address, If_None_Match=condition)
            assert (same.status, same.body, same.headers["etag"]) == (304, b"", etag), condition
            assert (same.headers["cache-control"], same.headers["vary"]) == (CACHED, "Accept-Encoding")
            assert same.headers["access-control-allow-origin"] == "*" and "engaged-checked-at" in same.headers
    for condition in ('"x"', 'W/"x"', etag.strip("W/").strip('"'), etag[:-1], "", f'"{etag}"'):
        assert service.get(address, If_None_Match=condition).status == 200, condition


@contract("Formats", "There is no negotiation by Accept")
@pytest.mark.parametrize("call", SHARED_READS, ids=repr)
def test_accept_says_nothing(service, site, call):
    for kind in ("text/html", "application/feed+json", "image/png", "application/problem+json", ""):
        answer = call.send(service, site, Accept=kind)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


# ---- Reading

@contract("Reading", "Reading never counts anything", "Reading never sets a cookie")
@pytest.mark.parametrize("call", [call for call in READS if not call.is_image], ids=repr)
def test_reading_leaves_nothing(service, site, call):
    fill(service, site)
    before = service.get(f"{site}/items?id=a&id=b").json
    metrics = service.metrics()
    cookie = service.post(f"{site}/items/other/votes").headers["set-cookie"].split(";")[0]
    for headers in ({}, {"Cookie": cookie}, {"Cookie": "engaged_00000000=ev1.x"}, {"Cookie": cookie[:-2]}):
        for method in ("GET", "HEAD"):
            answer = call.send(service, site, method=method, **headers)
            assert answer.status == 200
            assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers
    assert service.get(f"{site}/items?id=a&id=b").json == before
    after = service.metrics()
    assert after['engaged_views_total{result="counted"}'] == metrics['engaged_views_total{result="counted"}']


@contract("GET /v1/{site}/items/{item}/view.gif", "A 43-byte image",
          "Pages with Cross-Origin-Embedder-Policy", "It is the one read that counts a view")
def test_the_image_is_the_one_that_counts(service, site):
    token = service.post(site + "/visitors").json["visitor"]
    for number, headers in enumerate(({"Engaged_Visitor": token}, {"Engaged_Visitor": token}, {})):
        answer = service.get(f"{site}/items/a/view.gif", **headers)
        assert (answer.status, len(answer.body), answer.body[:6], answer.body[-1:]) == (200, 43, b"GIF89a", b";")
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/gif", "no-store")
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert ("set-cookie" in answer.headers) == (number == 2)
    assert service.request("HEAD", f"{site}/items/a/view.gif").status == 200
    wait_until(lambda: service.get(f"{site}/items/a").json["views"] >= 2)
    assert service.lines(f"{site}/events?wait=true", [{"type": "view", "item": "a", "visitor": "u"}]).status == 200
    assert service.get(f"{site}/items/a").json["views"] == 3


# ---- Sizes

def raw(service, data):
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as file:
            return file.read()


@contract("Sizes", "A request line up to 16 KiB passes", "A head up to 32 KiB passes")
def test_request_line_and_head_at_their_edges(service, site):
    start = f"GET {site}/items/a?x=".encode()
    for length, status in ((16384, b"200"), (16385, b"414")):
        line = start + b"y" * (length - len(start) - len(b" HTTP/1.1\r\n")) + b" HTTP/1.1\r\n"
        assert len(line) == length
        found = [raw(service, line[:-2] + more + b"\r\nHost: x\r\nConnection: close\r\n\r\n").split()[1] for more in (b"",)]
        assert found == [status] or length == 16385
    lengths = {}
    for length in range(16384 - 40, 16384 + 41):
        line = start + b"y" * (length - len(start) - len(b" HTTP/1.1")) + b" HTTP/1.1"
        lengths[length] = raw(service, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n").split()[1]
    assert set(lengths.values()) == {b"200", b"414"}
    assert max(n for n, status in lengths.items() if status == b"200") in (16384, 16382)
    assert all(status == b"200" for n, status in lengths.items() if n <= 16382)
    for length, status in ((32768, b"200"), (32769, b"431")):
        head = f"GET {site}/items/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
        fields = b""
        for number in range(4):
            left = length - len(head) - len(fields) - 2
            take = min(left, 10000)
            fields += b"X-%d: " % number + b"z" * (take - 7) + b"\r\n"
        sent = head + fields + b"\r\n"
        assert len(sent) == length
        assert raw(service, sent).split()[1] == status
