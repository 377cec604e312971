# SPDX-License-Identifier: MIT
"""docs/api.md, sections 0 and 1: visitors, keys and bodies; what a browser calls."""
import base64
import hashlib
import itertools
import json
import socket
import time

import pytest

from support.calls import CALLS, NDJSON, PUBLISHER
from support.service import Service

contract = pytest.mark.contract
VOTES = "/items/a/votes"
FAMILY = {"secret": "11" * 32, "hash_key": "22" * 32, "kinds": "up down"}


@pytest.fixture(scope="module")
def bare():
    """No cookies."""
    running = Service(cookies="off", **FAMILY)
    yield running
    running.stop()


def new(service, site):
    return service.post(site + "/visitors").json["visitor"]


def up(answer):
    assert answer.status == 200, answer.body
    return answer.json["votes"]["up"]


def count(service, site, item="a"):
    return service.get(f"{site}/me?id={item}").json["counts"][item]["up"]


def cookie_of(answer):
    return answer.headers["set-cookie"].split(";")[0]


# ---- Tokens

@contract("Visitors", "A visitor is a token", "A write without a token gets a fresh one")
@contract("POST /v1/{site}/visitors", "201 {\"visitor\":\"ev1.…\"}")
def test_a_token_is_given(service, site):
    first = service.post(site + "/visitors")
    assert first.status == 201 and set(first.json) == {"visitor"} and first.json["visitor"].startswith("ev1.")
    tokens = {new(service, site) for _ in range(20)} | {first.json["visitor"]}
    assert len(tokens) == 21 and all(token.isascii() and len(token) < 200 for token in tokens)
    assert service.get(site + "/items/a").json["visitors"] == 0
    for method, path, status in (("POST", VOTES, 200), ("DELETE", VOTES, 200), ("POST", "/items/a/views", 202)):
        answer = service.request(method, site + path)
        token = answer.headers["engaged-visitor"]
        assert answer.status == status and cookie_of(answer).endswith("=" + token)
        again = service.request(method, site + path, Engaged_Visitor=token)
        assert "engaged-visitor" not in again.headers and "set-cookie" not in again.headers


@contract("Visitors", "The token stands in the header Engaged-Visitor, else in the body's field")
@pytest.mark.parametrize("where", list(itertools.product([None, 0, 1, "bad"], repeat=3)))
def test_header_then_body_then_cookie(service, site, where):
    """Two visitors, of whom the first has voted; each place holds one of them, a bad token, or nothing."""
    tokens = [new(service, site), new(service, site)]
    cookie = cookie_of(service.post(site + "/items/other/votes"))
    name = cookie.split("=")[0]
    assert up(service.post(site + VOTES, Engaged_Visitor=tokens[0])) == 1
    header, body, kept = (tokens[one] if isinstance(one, int) else "ev1.forged" if one else None for one in where)
    headers = {}
    if header:
        headers["Engaged_Visitor"] = header
    if kept:
        headers["Cookie"] = f"{name}={kept}"
    answer = service.post(site + VOTES, {"visitor": body} if body else {}, **headers)
    first = next((one for one in where[:2] if one is not None), where[2])
    if first == "bad" and where[:2] != (None, None):
        assert (answer.status, answer.json["code"]) == (401, "bad_visitor")
        assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers
        assert count(service, site) == 1
    else:
        fresh = first in (None, "bad")
        assert up(answer) == (1 if first == 0 else 2)
        assert ("engaged-visitor" in answer.headers) == ("set-cookie" in answer.headers) == fresh


def forgeries(token):
    raw = base64.urlsafe_b64decode(token[4:] + "=" * (-len(token[4:]) % 4))
    for at in range(len(raw)):
        changed = bytes(byte ^ (1 if n == at else 0) for n, byte in enumerate(raw))
        yield "ev1." + base64.urlsafe_b64encode(changed).decode().rstrip("=")
    yield from (token[:-1], token[:-4], token + "A", token + "=", "ev1.", "ev1.x", token.upper(), "EV1" + token[3:], "ev2" + token[3:], "x" + token,
                token.replace("ev1.", ""), "ev1", token + "." + token, token[:4] + " " + token[4:], "user-42", "ev1." + "A" * 1000)


@contract("Visitors", "A forged, foreign or expired token in header or body is 401", "A forged, foreign or expired token in the cookie is replaced",
          "A token is of one site")
def test_a_forged_or_foreign_token(service, site):
    mine, other = new(service, site), new(service, site + ".org")
    name = cookie_of(service.post(site + "/items/other/votes")).split("=")[0]
    bad = list(forgeries(mine)) + [other, new(service, site.replace("site", "Site"))]
    for number, token in enumerate(bad):
        for method, path in (("POST", VOTES), ("DELETE", VOTES), ("POST", "/items/a/views"), ("DELETE", "/me")):
            for answer in (service.request(method, site + path, Engaged_Visitor=token), service.request(method, site + path, {"visitor": token})):
                assert (answer.status, answer.json["code"]) == (401, "bad_visitor"), token
                assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers
            if number > 3:
                break
        for path in ("/me?id=a", "/me/recommendations"):
            assert service.get(site + path, Engaged_Visitor=token).json["code"] == "bad_visitor"
        assert service.post(site + "/visitors", {"visitor": token}).json["code"] == "bad_visitor"
    assert service.get(site + "/items/a").json == {"item": "a", "votes": {"up": 0, "down": 0}, "views": 0, "visitors": 0}
    for number, token in enumerate([*bad[:3], other, bad[-1]], 1):
        answer = service.post(site + VOTES, Cookie=f"{name}={token}")
        assert up(answer) == number and cookie_of(answer) == f"{name}={answer.headers['engaged-visitor']}"
    assert up(service.post(site + VOTES, Engaged_Visitor=mine)) == len(bad[:3]) + 3
    assert service.post(site + "/visitors", {"visitor": mine}).status == 201


def token_of(site, moment, secret=FAMILY["secret"]):
    """As src/model/token.h says it, computed here: 16 bytes of an id, the time, a keyed MAC over both and the site."""
    name, body = site.split("/")[-1].encode(), b"i" * 16 + int(moment).to_bytes(4, "big")
    text = b"t" + b"".join(len(part).to_bytes(8, "little") + part for part in (name, body))
    mac = hashlib.blake2b(text, key=bytes.fromhex(secret), digest_size=16).digest()
    return "ev1." + base64.urlsafe_b64encode(body + mac).decode()


@contract("Visitors", "A forged, foreign or expired token in header or body is 401", "A forged, foreign or expired token in the cookie is replaced")
def test_an_expired_token(bare, site):
    """400 days; one that was made on a machine whose clock is ahead is good, up to a minute."""
    now, days = time.time(), 400 * 86400
    for moment, good in ((now, True), (now - 86400, True), (now - days + 30, True), (now - days - 2, False), (0, False), (now + 30, True),
                         (now + 90, False), (now + days, False), (2 ** 32 - 1, False)):
        token = token_of(site, moment)
        for answer in (bare.post(site + VOTES, Engaged_Visitor=token), bare.post(site + VOTES, {"visitor": token}),
                       bare.keyed("POST", site + VOTES, Engaged_Visitor=token), bare.get(site + "/me?id=a", Engaged_Visitor=token)):
            assert (answer.status, answer.json.get("code")) == ((200, None) if good else (401, "bad_visitor")), moment - now
        line = {"type": "vote", "item": "b", "visitor": token}
        assert bare.lines(site + "/events", [line]).json["accepted"] == good
    for token in (token_of(site, now, "33" * 32), token_of(site + ".org", now)):
        assert bare.post(site + VOTES, Engaged_Visitor=token).status == 401
    assert count(bare, site) == 1
    with_cookies = Service(**FAMILY)
    try:
        name = cookie_of(with_cookies.post(site + VOTES)).split("=")[0]
        for moment, known in ((now - days + 30, True), (now - days - 2, False)):
            answer = with_cookies.post(site + VOTES, Cookie=f"{name}={token_of(site, moment)}")
            assert answer.status == 200 and ("set-cookie" not in answer.headers) == known
    finally:
        with_cookies.stop()


@contract("Visitors", "The cookie is named engaged_ and 8 hex digits", "Of several cookies of the name the first good one of eight")
def test_whose_cookie_it_is(service, site):
    answer = service.post(site + VOTES)
    name, _, token = cookie_of(answer).partition("=")
    assert len(name) == 16 and name.startswith("engaged_") and set(name[8:]) <= set("0123456789abcdef")
    assert cookie_of(service.post(site + ".org" + VOTES)).split("=")[0] != name
    assert cookie_of(service.post(site + "/items/b/votes")).split("=")[0] == name
    good = f"{name}={token}"
    for cookies in (f"a=1; {good}", f"{good}; a=1", f"a={token};{good}", f"x{good}; {good}", f"{name}x=1; {good}", f"{name}; {good}", f" {good} ",
                    f"{name}={good}; {good}"):
        again = service.post(site + VOTES, Cookie=cookies)
        assert up(again) == 1 and "set-cookie" not in again.headers, cookies
    for cookies in (good.upper(), f"x{good}", f'{name}="{token}"', f"{name} = {token}", f"{name}={token}x", "", ";;;", f"{name}", f"{name}="):
        voted = service.post(f"{site}/items/b/votes", Cookie=cookies)
        assert "set-cookie" in voted.headers, cookies


@contract("Visitors", "With cookies = off no cookie is set")
def test_without_cookies(service, bare, site):
    """The same secrets: a cookie that is good elsewhere is not read here."""
    with_cookies = Service(**FAMILY)
    try:
        cookie = cookie_of(with_cookies.post(site + VOTES))
    finally:
        with_cookies.stop()
    answers = [bare.request(method, site + path, Cookie=cookie)
               for method, path in (("POST", VOTES), ("POST", "/items/a/views"), ("DELETE", VOTES), ("POST", "/visitors"), ("DELETE", "/me"),
                                    ("GET", "/items/a/view.gif"))]
    assert all("set-cookie" not in answer.headers for answer in answers)
    assert all("engaged-visitor" in answer.headers for answer in answers[:3])
    token = cookie.split("=")[1]
    assert up(bare.post(site + VOTES, Cookie=cookie)) == 2  # a new visitor each time; the token itself is good
    assert up(bare.post(site + VOTES, Engaged_Visitor=token)) == 3
    assert up(bare.post(site + VOTES, {"visitor": token})) == 3


# ---- With the key

@contract("Visitors", "With the secret key a value that doesn't begin with ev1.", "With the secret key a value that begins with ev1.")
@pytest.mark.parametrize("own", ["u", "user-42", "ev1", "EV1.x", "ev2.x", " x", "é" * 64, "a" * 128, "\"", "0", "null", "e"])
def test_an_id_of_the_callers_own(service, site, own):
    in_header = service.keyed("POST", site + VOTES, Engaged_Visitor=own.encode()) if own == own.strip() else None
    assert up(service.keyed("POST", site + VOTES, {"visitor": own})) == 1
    assert in_header is None or up(in_header) == 1
    assert service.keyed("GET", f"{site}/me?id=a", Engaged_Visitor=own.encode()).json["votes"] == {"a": "up"} or own != own.strip()
    token = service.keyed("POST", site + "/visitors", {"visitor": own}).json["visitor"]
    assert up(service.post(site + VOTES, Engaged_Visitor=token)) == 1
    assert service.keyed("POST", site + "/visitors", {"visitor": own}).json["visitor"].startswith("ev1.")
    row = {"type": "vote", "item": "a", "visitor": own}
    assert service.lines(site + "/events?wait=true", [row, dict(row, item="b")]).json["accepted"] == 2
    assert (count(service, site), count(service, site, "b")) == (1, 1)
    assert service.get(site + "/me?id=b", Engaged_Visitor=token).json["votes"] == {"b": "up"}
    # another site's visitor of that name is somebody else
    assert service.keyed("GET", site + ".org/me?id=a", Engaged_Visitor=own.strip().encode()).json["votes"] == {}


@contract("Visitors", "With the secret key a value that doesn't begin with ev1.", "With the secret key a value that begins with ev1.")
@pytest.mark.parametrize("own", ["", "a" * 129, "é" * 65, "a\u0001", "a\u007f", "a\u0085", "ev1.", "ev1.x", "ev1.user"])
def test_an_invalid_id_of_the_callers_own(service, site, own):
    for path in (VOTES, "/items/a/views", "/visitors"):
        answer = service.keyed("POST", site + path, {"visitor": own})
        assert (answer.status, answer.json["code"]) == (401, "bad_visitor")
    assert service.lines(site + "/events", [{"type": "vote", "item": "a", "visitor": own}]).json["rejected"] == [
        {"line": 1, "code": "bad_visitor"}]
    assert service.keyed("POST", site + "/corrections", {"visitor": own}).json["code"] == "bad_visitor"
    assert count(service, site) == 0


@contract("Secret key", "The key stands in Authorization", "Without a key where one is needed", "With a wrong key")
@pytest.mark.parametrize("call", [call for call in CALLS if call.kind == PUBLISHER], ids=repr)
def test_the_key_where_one_is_needed(service, site, call):
    for field, code in ((None, "key_required"), ("", "key_required"), ("k", "key_required"), ("Basic k", "key_required"), ("Digest k", "key_required"), ("Bearer", "key_required"),
                        ("Bearer  x", "bad_key"), ("Bearer K", "bad_key"), ("Bearer kk", "bad_key"), ("Bearer k k", "bad_key"), ("Bearer \"k\"", "bad_key")):
        headers = {"Content_Type": call.media} if call.body else {}
        if field is not None:
            headers["Authorization"] = field
        answer = service.request(call.method, call.at(site), call.body, **headers)
        assert (answer.status, answer.json["code"]) == (401 if code == "key_required" else 403, code), field
    assert service.keyed("GET", site + "/editorial").json == {"editorial": []}
    assert "title" not in service.get(site + "/items/a").json
    headers = {"Content_Type": call.media} if call.body else {}
    for field in ("bearer k", "BEARER k", "Bearer  k", "Bearer k "):
        assert service.request(call.method, call.at(site), call.body, Authorization=field, **headers).status == call.status, field


@contract("Secret key", "Where no key is needed a wrong one is passed over")
@pytest.mark.parametrize("call", [call for call in CALLS if call.kind != PUBLISHER], ids=repr)
def test_a_wrong_key_where_none_is_needed(service, site, call):
    for field in ("Bearer x", "Bearer ", "Bearer kk", "Basic eDp5", "x"):
        assert call.send(service, site, Authorization=field).status == call.status, field
        assert call.send(service, site, address=call.with_query(site, "odd=1"), Authorization=field).status == call.status  # no strictness either
    if call.kind != "shared" and call.path != "/visitors":
        call.refused(call.send(service, site, Authorization="Bearer x", Engaged_Visitor="user-42"), "bad_visitor", 401)


# ---- Bodies

@contract("Bodies", "A body is one JSON object", "An empty body is fine where all is optional", "Any other type is 415")
@pytest.mark.parametrize("kind,ok", [
    ("application/json", True), ("Application/JSON", True), ("application/json; charset=utf-8", True), ("application/json;charset=UTF-8", True),
    ("application/json ;x=1", True), ("text/plain", True), ("text/plain;charset=UTF-8", True), ("TEXT/PLAIN", True), (None, True),
    ("application/x-ndjson", False), ("application/jsonx", False), ("application/json+x", False), ("application/ld+json", False), ("text/html", False),
    ("", True), ("text/plainx", False), ("multipart/form-data; boundary=x", False), ("application/x-www-form-urlencoded", False), ("application/octet-stream", False),
    ("json", False), ("application", False), ("*/*", False)])
def test_types_of_a_body(service, site, kind, ok):
    headers = {} if kind is None else {"Content_Type": kind}
    for path, status in (("/visitors", 201), (VOTES, 200), ("/items/a/views", 202)):
        answer = service.post(site + path, "{}", **headers)
        assert answer.status == (status if ok else 415), path
        assert ok or answer.json["code"] == "unsupported_type"
        assert service.post(site + path, "", **headers).status == (status if ok else status)
    for path in ("/items/a", "/items/a/editorial"):
        answer = service.keyed("PUT", site + path, '{"pin":1}' if "editorial" in path else "{}", **headers)
        assert answer.status == (200 if ok else 415)


@contract("Bodies", "NDJSON goes as application/x-ndjson", "Any other type is 415")
@pytest.mark.parametrize("path", ["/items", "/events", "/import"])
def test_types_of_lines(service, site, path):
    for kind, ok in ((NDJSON, True), ("Application/X-NDJSON; charset=utf-8", True), ("application/json", False), ("text/plain", False), ("x", False),
                     ("", True), ("application/ndjson", False)):
        answer = service.keyed("POST", site + path, b"\n", Content_Type=kind)
        assert answer.status == (200 if ok else 415), kind
    assert service.keyed("POST", site + path, b"\n").status == 200


@contract("Bodies", "A depth over 8")
@pytest.mark.parametrize("inner,outer", [("[", "]"), ('{"a":', "}")])
def test_depth(service, site, inner, outer):
    for depth, status in ((1, 200), (7, 200), (8, 400), (9, 400), (100, 400), (2000, 400)):
        body = '{"x":' + inner * depth + ("1" if inner != "[" else "") + outer * depth + "}"
        answer = service.post(site + VOTES, body)
        assert answer.status == status, depth
        assert status == 200 or answer.json["code"] == "bad_json"
    rows = ['{"item":"a","title":' + "[" * 8 + "]" * 8 + "}", '{"item":"a","title":"t"}']
    assert service.lines(site + "/items", rows).json == {"accepted": 1, "rejected": [{"line": 1, "code": "bad_json"}]}


@contract("Bodies", "Invalid UTF-8 is 400")
@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\\ud800", b"\\udc00", b"\\ud83d\\u0041",
                                 b"\\x41", b"\\u12", b"\n", b"\x01", b"\\u00zz"])
def test_bytes_of_a_body_that_are_no_json(service, site, bad):
    for body in (b'{"kind":"' + bad + b'"}', b'{"x":"' + bad + b'"}', b'{"' + bad + b'":1}'):
        answer = service.post(site + VOTES, body)
        assert (answer.status, answer.json["code"]) == (400, "bad_json"), body
    if b"\n" not in bad:
        answer = service.lines(site + "/items", ['{"item":"b"}'])
        body = b'{"item":"a","title":"' + bad + b'"}\n{"item":"b","title":"t"}\n'
        answer = service.keyed("POST", site + "/items", body, Content_Type=NDJSON)
        assert answer.json == {"accepted": 1, "rejected": [{"line": 1, "code": "bad_json"}]}


@contract("Bodies", "A body has at most 16 KiB")
@pytest.mark.parametrize("method,path,status", [("POST", VOTES, 200), ("DELETE", VOTES, 200), ("POST", "/items/a/views", 202), ("POST", "/visitors", 201),
                                                ("DELETE", "/me", 202), ("PUT", "/items/a", 200), ("PUT", "/items/a/editorial", 200)])
def test_a_body_of_16_kib(service, site, method, path, status):
    start = '{"pin":1' if "editorial" in path else '{"title":"t"' if method == "PUT" else '{"x":1'
    for length in (16384, 16385):
        body = start + " " * (length - len(start) - 1) + "}"
        headers = {"Authorization": "Bearer k"} if method == "PUT" else {}
        answer = service.request(method, site + path, body, **headers)
        assert answer.status == (status if length == 16384 else 413)
        assert length == 16384 or answer.json["code"] == "too_large"
        chunked = service.request(method, site + path, iter([body[:9000].encode(), body[9000:].encode()]), **headers)
        assert chunked.status == answer.status


@contract("Bodies", "Bulk calls are streamed: each line has at most 64 KiB", "Empty lines of a bulk call")
@pytest.mark.parametrize("path,row", [("/items", '{"item":"a","title":"t"'), ("/events", '{"type":"view","item":"a","visitor":"u"'),
                                      ("/import", '{"type":"item","item":"a","title":"t"')])
def test_a_line_of_64_kib(service, site, path, row):
    def line(length):
        return row + " " * (length - len(row) - 1) + "}"
    body = "\n".join([line(65536), line(65537), "", line(65535), line(200000), "  ", "{", line(65536)])
    for end in ("", "\n"):
        answer = service.keyed("POST", site + path, (body + end).encode(), Content_Type=NDJSON)
        assert answer.json == {"accepted": 3, "rejected": [{"line": 2, "code": "too_large"}, {"line": 5, "code": "too_large"},
                                                           {"line": 7, "code": "bad_json"}]}
    body = "\r\n".join([line(65536), line(65537), line(65535), ""])
    answer = service.keyed("POST", site + path, body.encode(), Content_Type=NDJSON)
    assert answer.json == {"accepted": 2, "rejected": [{"line": 2, "code": "too_large"}]}, "the end of a line is no part of it"


@contract("Query and fields", "A single one that stands twice is always 400", "A wrong type or value is always 400")
@pytest.mark.parametrize("body,code", [
    ('{"kind":"up","kind":"up"}', "repeated_parameter"), ('{"visitor":null,"visitor":null}', "repeated_parameter"), ('{"kind":1}', None),
    ('{"kind":["up"]}', None), ('{"kind":{}}', None), ('{"kind":true}', None), ('{"kind":""}', "unknown_kind"), ('{"kind":"UP"}', "unknown_kind"),
    ('{"kind":"up "}', "unknown_kind"), ('{"kind":"sideways"}', "unknown_kind"), ("[]", "bad_field"), ("1", "bad_field"), ("null", "bad_field"),
    ('"up"', "bad_field"), ("{", "bad_json"), ("}", "bad_json"), ("{}x", "bad_json"), ("{'kind':'up'}", "bad_json"), ("{kind:1}", "bad_json"),
    ('{"kind":"up",}', "bad_json"), ("\ufeff{}", "bad_json"), ("{}{}", "bad_json"), (" ", None), ("NaN", "bad_json"), ('{"x":NaN}', "bad_json"),
    ('{"x":01}', "bad_json"), ('{"x":+1}', "bad_json"), ('{"x":.5}', "bad_json"), ('{"x":1e400}', "bad_json")])
def test_bodies_that_are_not_right(service, site, body, code):
    for headers in ({}, {"Authorization": "Bearer k"}):
        answer = service.post(site + VOTES, body.encode(), **headers)
        if body == " ":
            assert answer.status in (200, 400)
            continue
        assert answer.status == 400, answer.body
        if not ('"x"' in body and headers):
            assert answer.json["code"] == (code or answer.json["code"])
    assert body == " " or count(service, site) == 0


@contract("Query and fields", "Without it an unknown parameter or field is ignored")
@contract("Numbers and times", "Numbers are JSON numbers")
@pytest.mark.parametrize("number", ["18446744073709551615", "123456789012345678901234567890", "-9223372036854775809"])
def test_a_number_of_more_than_64_bits(service, site, number):
    """It is JSON all the same: passed over in a field that is not known, and too much for one that is."""
    assert service.post(site + VOTES, f'{{"id":{number}}}', Content_Type="application/json").json["vote"] == "up"
    for path, field, code in (("/items/a/editorial", "pin", "bad_field"), ("/items/a", "published_at", "bad_time")):
        answer = service.keyed("PUT", site + path, f'{{"{field}":{number}}}', Content_Type="application/json")
        assert (answer.status, answer.json["code"]) == (400, code)
    answer = service.keyed("PUT", site + "/items/a", f'{{"base":{{"views":{number}}}}}', Content_Type="application/json")
    assert (answer.status, answer.json["code"]) == (400, "bad_field")


@contract("Visitors", "A forged, foreign or expired token in header or body is 401")
@contract("Bodies", "An empty body is fine where all is optional")
def test_repeated_headers_and_missing_bodies(service, site):
    """What is joined of two is neither of them."""
    token = new(service, site)
    for name, value, status in (("Engaged-Visitor", token, 401), ("Origin", "https://" + site.split("/")[-1], 403), ("Authorization", "Bearer k", 403)):
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
            method = "PUT" if name == "Authorization" else "POST"
            path = site + ("/items/a" if name == "Authorization" else VOTES)
            client.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\n{name}: {value}\r\nContent-Length: 0\r\n\r\n".encode())
            assert client.recv(65536).split()[1] == str(status).encode(), name
    assert count(service, site) == 0
    for method, path, status in (("PUT", "/items/a", 200), ("PUT", "/items/a/editorial", 400), ("POST", "/corrections", 400), ("POST", "/items", 200),
                                 ("POST", "/events", 200), ("POST", "/import", 200), ("POST", "/me", 200), ("POST", "/visitors", 201), ("DELETE", "/me", 202)):
        answer = service.keyed(method, site + path)
        assert (answer.status, answer.json.get("code")) == (status, "bad_field" if status == 400 else None), path
    for path in (VOTES, "/items/a/views"):
        assert service.post(site + path, Content_Length="0").status in (200, 202)


# ---- Votes and views

@contract("Kinds of vote", "Kinds come from the configuration", "An unknown kind is 400")
@contract("POST /v1/{site}/items/{item}/votes", "200 {\"item\"", "There is one vote per visitor and item", "Another kind moves the vote", "The answer is exact at once")
@contract("DELETE /v1/{site}/items/{item}/votes", "200, the same with \"vote\":null", "Retracting nothing is fine")
def test_a_vote_and_back(service, site):
    one, two = new(service, site), new(service, site)

    def vote(token, kind=None, method="POST"):
        answer = service.request(method, site + VOTES, {"kind": kind} if kind else None, Engaged_Visitor=token)
        assert answer.status == 200 and set(answer.json) == {"item", "votes", "vote"} and answer.json["item"] == "a"
        assert service.get(site + "/me?id=a", Engaged_Visitor=token).json["counts"]["a"] == answer.json["votes"]
        return answer.json["votes"]["up"], answer.json["votes"]["down"], answer.json["vote"]

    assert vote(one, method="DELETE") == (0, 0, None)
    assert vote(one) == vote(one) == vote(one, "up") == (1, 0, "up")
    assert vote(two, "down") == vote(two, "down") == (1, 1, "down")
    assert vote(one, "down") == (0, 2, "down")
    assert vote(one) == (1, 1, "up")  # the first kind is the preset, whatever was voted before
    assert vote(two, method="DELETE") == vote(two, method="DELETE") == (1, 0, None)
    assert vote(two, "up") == (2, 0, "up")
    for kind in ("sideways", "Up", "up\n", "", "updown"):
        answer = service.post(site + VOTES, {"kind": kind}, Engaged_Visitor=one)
        assert (answer.status, answer.json["code"]) == (400, "unknown_kind"), kind
    assert service.get(site + "/items/nobody").json["votes"] == {"up": 0, "down": 0}


@contract("POST /v1/{site}/items/{item}/views", "202 {\"item\"", "The reasons are")
def test_reasons_of_a_view_that_does_not_count(service, site):
    def view(item="a", **headers):
        answer = service.post(f"{site}/items/{item}/views", **headers)
        assert answer.status == 202 and answer.json["item"] == item
        assert set(answer.json) == ({"item", "counted"} if answer.json["counted"] else {"item", "counted", "reason"})
        return answer.json["counted"] or answer.json["reason"]

    token = new(service, site)
    assert [view(Engaged_Visitor=token), view(Engaged_Visitor=token)] == [True, "repeat"]
    assert view("b", User_Agent="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)") == "bot"
    for headers in ({"Sec_Purpose": "prefetch"}, {"Sec_Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X_Purpose": "preview"}, {"X_Moz": "prefetch"}):
        assert view("b", **headers) in ("prefetch", True), headers
    assert view("c", Sec_Purpose="prefetch") == "prefetch"
    assert view("c", Sec_GPC="1") is True and view("c", DNT="1") is True  # counted, and no history is kept
    strict = Service(opt_out="drop", visitor_window_items=2)
    try:
        for headers in ({"Sec_GPC": "1"}, {"DNT": "1"}):
            assert strict.post(f"{site}/items/a/views", **headers).json == {"item": "a", "counted": False, "reason": "opt_out"}
        assert strict.post(f"{site}/items/a/views", DNT="0").json == {"item": "a", "counted": True}
        token = new(strict, site)
        found = [strict.post(f"{site}/items/{item}/views", Engaged_Visitor=token).json for item in "abca"]
        assert [one.get("reason", "") for one in found] == ["", "", "limit", "repeat"]
    finally:
        strict.stop()


@contract("GET /v1/{site}/me", "200 {\"votes\"", "Items without a vote of this visitor")
def test_me(service, site):
    token, other = new(service, site), new(service, site)
    cookie = cookie_of(service.post(site + "/items/c/votes"))
    service.post(site + VOTES, Engaged_Visitor=token)
    service.post(site + VOTES, {"kind": "down"}, Engaged_Visitor=other)
    counts = {"a": {"up": 1, "down": 1}, "c": {"up": 1, "down": 0}, "z": {"up": 0, "down": 0}}
    for headers, votes in (({"Engaged_Visitor": token}, {"a": "up"}), ({"Engaged_Visitor": other}, {"a": "down"}), ({"Cookie": cookie}, {"c": "up"}),
                           ({}, {}), ({"Cookie": cookie[:-3]}, {}), ({"Engaged_Visitor": token, "Cookie": cookie}, {"a": "up"})):
        answer = service.get(site + "/me?id=a&id=c&id=z&id=a", **headers)
        assert (answer.status, answer.json) == (200, {"votes": votes, "counts": counts})
    assert service.get(site + "/me").json == {"votes": {}, "counts": {}}
    ids = [f"i{n}" for n in range(100)]
    answer = service.get(site + "/me?" + "&".join("id=" + one for one in ids)).json
    assert list(answer["counts"]) == ids
    assert service.get(site + "/me?" + "&".join("id=" + one for one in [*ids, "x"])).status == 400
