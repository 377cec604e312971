# SPDX-License-Identifier: MIT
"""Every operation with odd inputs of every kind, alone and together: the document has the answer, by status,
media type, header fields and schema, and no answer is a 5xx."""
import collections
import concurrent.futures
import http.client
import json
import random
import urllib.parse
import zlib

import pytest

from support.contract import KEY, NDJSON, SOURCE, check, each_operation, operation_of, resolve, target, validate
from support.service import Service

# Of any call: info.description says so.
ANYWHERE = {405, 408, 414, 429, 431, 501, 505}
AT_ONCE, TOGETHER = 8, 60

IDS = ["%20", "-", ".", "..", "%2E%2E", "%zz", "%", "%00", "%0A", "%7F", "%C2%80", "%FF", "%ED%A0%80", "a%2Fb", "%2F", "x" * 512, "x" * 513,
       "%C3%A9" * 256, "%C3%A9" * 257, "https%3A%2F%2Fexample.org%2Fa%3Fb%3Dc", "%F0%9F%98%80", "a//b", "a/", "%2D", ""]
SITES = ["-", "%20", "a_b", "x" * 63, "x" * 64, "%C3%A9", "%00", "%zz", "A.-", ".a", "a%2Fb", "", "127.0.0.1"]
VALUES = ["", "0", "1", "-1", "+1", "101", "100", "1e3", "1.5", "01", "abc", "true", "%00", "%FF", "%zz", "%", "%20", "-", "..", "x" * 600, "%F0%9F%98%80",
          "html", "feed", "json", "none", "18446744073709551616", "a&a"]
QUERIES = ["?", "&&&", "=", "=1", "planted=1", "limit", "%zz=1", "%FF=1", "%00=1", "id=a&id=b", "id=" + "&id=".join(f"i{n}" for n in range(100)),
           "id=" + "&id=".join(f"i{n}" for n in range(101)), "exclude=" + "&exclude=".join(f"i{n}" for n in range(101)), "format=html", "format=xml",
           "format=html&limit=0", "format=feed&planted=1", "limit=5&limit=5", "wait=1", "wait=true&wait=true"]
HEADERS = [{"Origin": "null"}, {"Origin": "https://evil.example"}, {"Origin": ""}, {"Origin": "x" * 400}, {"Origin": "https://statuses.example"},
           {"Engaged-Visitor": "ev1.forged"}, {"Engaged-Visitor": ""}, {"Engaged-Visitor": "user-1"}, {"Engaged-Visitor": "\u00e9" * 100},
           {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"Authorization": "Basic eDp5"}, {"Authorization": "x"}, KEY,
           dict(KEY, **{"Engaged-Visitor": ""}), dict(KEY, **{"Engaged-Visitor": "x" * 129}), {"Cookie": "a=b; engaged_00000000=ev1.x;;="},
           {"If-None-Match": "*"}, {"If-None-Match": '"x", W/"y"'}, {"Accept": "text/html"}, {"Range": "bytes=0-1"}, {"Accept-Encoding": "gzip;q=0"},
           {"Content-Encoding": "gzip"}, {"Content-Encoding": "identity"}, {"X-Forwarded-For": "junk"}, {"X-Forwarded-For": "203.0.113.7"},
           {"Referer": "https://evil.example/"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Purpose": "prefetch"}, {"User-Agent": "Googlebot/2.1"}, {"DNT": "1"}]
TYPES = ["application/json", "text/plain", NDJSON, "image/png", "", "application/json; charset=latin1", "multipart/form-data; boundary=x", "?", None]
BODIES = ["", "{", "{}", "[]", "null", "1", '"x"', "true", '{"a":1}', '{"visitor":1}', '{"visitor":null}', '{"visitor":"user-1"}', '{"kind":"sideways"}', '{"kind":"up"}',
          '{"title":"' + "a" * 501 + '"}', '{"title":"\\u0000"}', '{"url":"javascript:x"}', '{"published_at":"soon"}', '{"pin":0}', '{"pin":1,"until":1}',
          '{"ids":[""]}', '{"recommendations":101}', '{"item":"a","from":1,"to":2}', '{"item":"a"}\n{"item":""}\n{', '{"type":"view","item":"a","visitor":"v"}\n',
          '{"type":"vote","item":"a","visitor":"v","time":9e12}\n\n\n', "\n\n", "[" * 9 + "]" * 9, '{"a":1,"a":2}', b"\xff\xfe", b"\0", "x" * 16384, "x" * 16385,
          '{"item":"' + "x" * 70000 + '"}\n', '{"boost":1e999}', '{"exclude":"a"}']


@pytest.fixture(scope="module")
def odd():
    running = Service(kinds="up down", wrong_keys_per_minute=0, rate_limits="off", configuration="[site statuses.example]\norigins = https://statuses.example\n")
    rows = [{"item": item, "title": item, "url": "/" + item, "categories": ["city"]} for item in ("harbour-bridge-reopens", "a", "b", "c")]
    for site in ("sample", "statuses.example"):
        running.lines(f"/v1/{site}/items", rows)
        running.lines(f"/v1/{site}/events?wait=true", [{"type": "vote", "item": "a", "visitor": "v"}])
    yield running
    running.stop()


def ask(service, port, method, address, headers, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, address, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value.encode())
        if body is not None:
            body = body.encode() if isinstance(body, str) else body
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        answer = collections.namedtuple("Answer", "status headers body")(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()
    return answer


def first_of(operation):
    for media, content in operation["requestBody"].get("content", {}).items():
        example = content["example"] if "example" in content else next(iter(content["examples"].values()))["value"]
        return media, example if isinstance(example, str) else json.dumps(example)
    return None, None


def changed_paths(path, operation):
    parameters = {one["name"]: one for one in operation["parameters"] if one["in"] == "path"}
    odd_ones = {"site": SITES, "item": IDS, "ranking": IDS}
    for name in parameters:
        for value in odd_ones[name]:
            text = path.replace("{" + name + "}", value)
            for other, one in parameters.items():
                text = text.replace("{" + other + "}", urllib.parse.quote(one["example"], safe=""))
            yield text
            if name == "item" and value == "-":
                yield from (text + "?id=" + other for other in IDS)


def changed_queries(base, operation):
    for one in operation["parameters"]:
        if one["in"] == "query":
            yield from (f"{base}?{one['name']}={value}" for value in VALUES)
            yield f"{base}?{one['name']}=1&{one['name']}=2"
    yield from (f"{base}?{query}" for query in QUERIES)


def single(path, operation):
    """(address, header fields, body): one thing is odd at a time."""
    media, body = first_of(operation)
    key = KEY if operation.get("security") == [{"key": []}] else {}
    fields = dict(key, **({"Content-Type": media} if media else {}))
    address = target(path, operation)
    for changed in (*changed_paths(path, operation), *changed_queries(address.split("?")[0], operation)):
        yield changed, fields, body
        yield changed, dict(fields, **KEY), body
    for headers in HEADERS:
        yield address, dict(fields, **headers), body
        if key:
            yield address, {**{name: value for name, value in fields.items() if name != "Authorization"}, **headers}, body
    for other in TYPES:
        yield address, dict(key, **({"Content-Type": other} if other is not None else {})), body or "x"
    for other in BODIES:
        yield address, fields, other


def together(path, operation, dice):
    """Several at once."""
    addresses = [*changed_paths(path, operation), *changed_queries(target(path, operation).split("?")[0], operation), target(path, operation)]
    for _ in range(TOGETHER):
        headers = dict(dice.choice(HEADERS), **dice.choice(HEADERS))
        if dice.random() < 0.5:
            headers.update(KEY)
        media = dice.choice(TYPES)
        if media is not None:
            headers["Content-Type"] = media
        yield dice.choice(addresses), headers, dice.choice(BODIES)


# Another path: the operation that it belongs to, if any, is not this one.
def leads_elsewhere(path, address):
    asked = urllib.parse.urlsplit(address).path
    return "//" in asked or len(asked.split("/")) != len(path.split("/"))


def judge(operation, sent, answer):
    assert answer.status < 500, (sent, answer)
    if answer.status in ANYWHERE and str(answer.status) not in operation["responses"]:
        validate(SOURCE, SOURCE["components"]["schemas"]["Problem"], json.loads(answer.body))
        assert answer.headers["content-type"] == "application/problem+json"
    else:
        wrapped = collections.namedtuple("Wrapped", "status headers body json")
        readable = answer.headers.get("content-type", "").endswith(("/json", "+json"))
        check(SOURCE, operation, wrapped(answer.status, answer.headers, answer.body, json.loads(answer.body) if readable else None))
    if answer.status >= 400:
        assert answer.headers["cache-control"] == "no-store" and "set-cookie" not in answer.headers, (sent, answer)
        assert ("www-authenticate" in answer.headers) == (answer.status == 401), (sent, answer)
        assert ("retry-after" in answer.headers) == (answer.status == 429), (sent, answer)


@each_operation()
def test_odd_inputs_have_documented_answers(odd, path, method):
    operation = operation_of(SOURCE, path, method)
    port = odd.ops_port if "servers" in SOURCE["paths"][path] else odd.port
    dice = random.Random(zlib.crc32(f"{method} {path}".encode()))
    asked = list(single(path, operation))
    for other in dice.sample(asked, len(asked) // 4):  # the site with a list of origins
        asked.append((other[0].replace("/v1/sample/", "/v1/statuses.example/"), *other[1:]))
    asked += together(path, operation, dice)

    def one(sent):
        address, headers, body = sent
        answer = ask(odd, port, method.upper(), address, headers, body)
        if not leads_elsewhere(path, address):
            judge(operation, (method, *sent), answer)
        return answer.status

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
        statuses = collections.Counter(threads.map(one, asked))
    assert any(status < 300 for status in statuses)
    if path.startswith("/v1/") and not path.endswith("/view.gif"):  # that is an image whatever is asked
        assert 400 in statuses and sum(statuses.values()) > 150, statuses


@each_operation(lambda path, operation: "requestBody" not in operation or not operation["requestBody"])
def test_a_head_is_what_a_get_would_be(odd, path, method):
    if method != "get":
        return
    operation = operation_of(SOURCE, path, method)
    port = odd.ops_port if "servers" in SOURCE["paths"][path] else odd.port
    key = KEY if operation.get("security") == [{"key": []}] else {}
    for address in (target(path, operation), target(path, operation) + ("&" if "?" in target(path, operation) else "?") + "planted=1"):
        for headers in ({}, key, KEY):
            get, head = (ask(odd, port, name, address, headers, None) for name in ("GET", "HEAD"))
            assert (head.status, head.body) == (get.status, b""), address
            assert head.headers.get("content-type") == get.headers.get("content-type")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "PROPFIND"])
def test_methods_that_a_path_has_not(odd, method):
    """405 names all that it has; what it has is answered; a method that HTTP does not know is 501 or 405."""
    for path, item in SOURCE["paths"].items():
        names = {name.upper() for name in item if name in ("get", "put", "post", "delete")}
        names |= {"OPTIONS"} | ({"HEAD"} if "GET" in names else set())
        operation = operation_of(SOURCE, path, next(name for name in item if name in ("get", "put", "post", "delete")))
        port = odd.ops_port if "servers" in item else odd.port
        if method in names:
            continue
        answer = ask(odd, port, method, target(path, operation).split("?")[0], {}, "" if method in ("POST", "PUT") else None)
        assert answer.status in (405, 501, 400), (path, method, answer)
        if answer.status == 405:
            assert set(answer.headers["allow"].split(", ")) == names, path
        if method != "HEAD":
            validate(SOURCE, SOURCE["components"]["schemas"]["Problem"], json.loads(answer.body))


@pytest.mark.parametrize("address, headers, status", [("/v1/sample/items/" + "x" * 17000, {}, 414), ("/healthz?" + "x" * 17000, {}, 414),
                                                      ("/v1/sample/rankings", {"X-Long": "x" * 40000}, 431)])
def test_what_any_call_may_answer(odd, address, headers, status):
    answer = ask(odd, odd.port, "GET", address, headers, None)
    assert answer.status == status
    validate(SOURCE, SOURCE["components"]["schemas"]["Problem"], json.loads(answer.body))
    assert str(status) in SOURCE["info"]["description"]


def test_sites_that_are_not_declared(own):
    running = own(sites="declared", configuration="[site there]\nsecret_key = k\n")
    for path, item in SOURCE["paths"].items():
        for method in item:
            if not path.startswith("/v1/") or method == "parameters":
                continue
            operation = operation_of(SOURCE, path, method)
            media, body = first_of(operation)
            answer = ask(running, running.port, method.upper(), target(path, operation), dict(KEY, **({"Content-Type": media} if media else {})), body)
            if path.endswith("/view.gif"):
                assert (answer.status, answer.body[:6]) == (200, b"GIF89a")
                continue
            assert (answer.status, json.loads(answer.body)["code"]) == (404, "unknown_site"), path
            judge(operation, path, answer)


# ---- The document

def test_paths_with_an_item_document_its_id_in_the_query():
    found = 0
    for path, item in SOURCE["paths"].items():
        named = [resolve(SOURCE, one) for one in item.get("parameters", [])]
        assert [one["name"] for one in named] == (["id"] if "{item}" in path else []), path
        assert all(one["in"] == "query" and not one.get("required") for one in named)
        found += len(named)
    assert found >= 6


def test_a_typed_call_by_the_id_in_the_query(odd):
    for path, item in SOURCE["paths"].items():
        if "{item}" not in path or "get" not in item:
            continue
        operation = operation_of(SOURCE, path, "get")
        address = target(path, operation).split("?")[0].replace("/harbour-bridge-reopens", "/-") + "?id=" + urllib.parse.quote("https://example.org/a/b", safe="")
        answer = ask(odd, odd.port, "GET", address, KEY, None)
        assert answer.status == 200, (address, answer)
