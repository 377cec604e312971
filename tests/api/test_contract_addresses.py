# SPDX-License-Identifier: MIT
"""docs/api.md, section 0: sites and items in addresses."""
import json
import socket

import pytest

from support.calls import CALLS, OF_ITEMS, PUBLISHER, READS

contract = pytest.mark.contract


def item_of(service, site, segment, query=""):
    answer = service.get(f"{site}/items/{segment}{query}")
    return answer.json["item"] if answer.status == 200 else (answer.status, answer.json["code"])


def escaped(data):
    return "".join(f"%{byte:02X}" for byte in data)


# ---- Sites

@contract("Sites", "{site} is 1 to 63 bytes of A-Za-z0-9.-")
@pytest.mark.parametrize("name,good", [("a", True), ("9", True), ("A.b-c.", True), ("a" * 63, True), ("a" * 64, False), ("-a", False),
                                       (".a", False), ("a_b", False), ("a%2eb", True), ("%61", True), ("a+b", False), ("a%20b", False),
                                       ("a~", False), ("%C3%A4", False), ("a:1", False), ("a@b", False)])
def test_names_of_sites_on_every_call(service, name, good):
    for call in (READS[0], CALLS[0], CALLS[1], CALLS[-2]):
        answer = call.send(service, f"/v1/{name}")
        if good:
            assert answer.status == call.status, call
        else:
            call.refused(answer, "bad_site")


@contract("Sites", "{site} is 1 to 63 bytes of A-Za-z0-9.-")
def test_names_of_sites_tell_cases_apart(service, site):
    assert service.keyed("PUT", f"{site}/items/a", {"title": "small"}).status == 200
    assert "title" not in service.get(f"{site.replace('site-', 'Site-')}/items/a").json


# ---- Items

@contract("Items", "{item} is one path segment, percent-encoded, of 1 to 512 bytes")
@pytest.mark.parametrize("text", ["a" * 512, "é" * 256, "\U0001F600" * 128, "/" * 512, "a" * 511 + "%"])
def test_512_bytes_are_an_id_and_513_none(service, site, text):
    data = text.encode()
    assert len(data) == 512
    for call in OF_ITEMS:
        assert call.send(service, site, escaped(data)).status == call.status, call
        assert call.send(service, site, address=call.with_query(site, "id=" + escaped(data), "-")).status == call.status, call
        for address in (call.at(site, escaped(data + b"a")), call.with_query(site, "id=" + escaped(b"a" + data), "-")):
            answer = call.send(service, site, address=address)
            call.refused(answer, "bad_item")
    assert item_of(service, site, "-", "?id=" + escaped(data)) == item_of(service, site, escaped(data)) == text
    for path in ("items", "me"):
        assert service.get(f"{site}/{path}?id=" + escaped(data)).status == 200
        assert service.get(f"{site}/{path}?id=" + escaped(data + b"a")).json["code"] == "bad_item"
    assert service.get(f"{site}/rankings/hot?exclude=" + escaped(data)).status == 200
    assert service.get(f"{site}/rankings/hot?exclude=" + escaped(data + b"a")).json["code"] == "bad_exclude"


@contract("Items", "{item} is one path segment, percent-encoded, of 1 to 512 bytes")
def test_an_empty_id_is_none(service, site):
    assert service.get(f"{site}/items/-?id=").json["code"] == "bad_item"
    assert service.get(f"{site}/items?id=").json["code"] == "bad_item"
    assert service.get(f"{site}/items/").json["code"] == "not_found"
    for row in ({"item": ""}, {"title": "none"}):
        assert service.lines(f"{site}/items", [row]).json["rejected"] == [{"line": 1, "code": "bad_item"}]
    for row in ({"item": ""}, {}):
        row = {"type": "view", "visitor": "u", **row}
        assert service.lines(f"{site}/events", [row]).json["rejected"] == [{"line": 1, "code": "bad_item"}]


BAD_BYTES = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xc3", b"\xe2\x82", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
             b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80", b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",
             b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\x00", b"\x01", b"\t", b"\n", b"\r", b"\x1f", b"\x7f", b"\xc2\x80", b"\xc2\x85", b"\xc2\x9f"]


@contract("Items", "An id is valid UTF-8 without control characters")
@pytest.mark.parametrize("bad", BAD_BYTES, ids=lambda bad: bad.hex())
def test_bytes_that_are_no_text(service, site, bad):
    for segment in (escaped(bad), "a" + escaped(bad) + "b"):
        for path in ("", "/related", "/page"):
            answer = service.get(f"{site}/items/{segment}{path}")
            assert (answer.status, answer.json["code"]) == (400, "bad_path"), segment
        assert service.post(f"{site}/items/{segment}/votes").json["code"] == "bad_path"
        for address in (f"{site}/items/-?id={segment}", f"{site}/items?id=a&id={segment}", f"{site}/me?id={segment}",
                        f"{site}/rankings/hot?exclude={segment}"):
            answer = service.get(address)
            assert answer.status == 400 and answer.json["code"] in ("bad_item", "bad_exclude", "bad_parameter"), address
            assert answer.json["code"] != "bad_parameter" or bad == b"\0"


@contract("Items", "An id is valid UTF-8 without control characters")
@pytest.mark.parametrize("good", ["\u00a0", "\u0100", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "\u2028", "~",
                                  "\ufeff", "\u202e", "a b", "\"", "'", "<b>", "\\", "%", "&=?#;+"])
def test_bytes_that_are_text(service, site, good):
    assert item_of(service, site, escaped(good.encode())) == good
    assert item_of(service, site, "-", "?id=" + escaped(good.encode())) == good
    assert service.post(f"{site}/items/{escaped(good.encode())}/votes").json["item"] == good
    assert list(service.get(f"{site}/me?id={escaped(good.encode())}").json["counts"]) == [good]


@contract("Items", "An id is valid UTF-8 without control characters")
@pytest.mark.parametrize("segment", ["%", "%4", "%zz", "%4g", "a%", "%%41", "%u0041", "% 41", "%+1", "%-1"])
def test_invalid_escapes(service, site, segment):
    sent = segment.replace(" ", "%20")
    assert item_of(service, site, sent) == (400, "bad_path")
    assert service.get(f"{site}/items/-?id={sent}").json["code"] == "bad_parameter"
    assert service.get(f"{site}/rankings/{sent}").json["code"] == "bad_path"


@contract("Items", "Escapes are decoded exactly once", "A plus sign is a plus sign in a path")
@pytest.mark.parametrize("segment,item,in_query", [
    ("%2F", "/", None), ("%252F", "%2F", None), ("%25252F", "%252F", None), ("%2f", "/", None), ("%61%62", "ab", None), ("a+b", "a+b", "a b"), ("a+b%20c+", "a+b c+", "a b c "),
    ("a%2Bb", "a+b", None), ("a%20b", "a b", None), ("%2520", "%20", None), ("%25", "%", None), ("%2525", "%25", None), ("a%26b", "a&b", None),
    ("a%3Db", "a=b", None), ("a%23b", "a#b", None), ("a%3Fid%3Db", "a?id=b", None), ("a;b", "a;b", None), ("a=b", "a=b", None),
    ("~a", "~a", None), ("%7Ea", "~a", None), ("%252E%252E", "%2E%2E", None), ("...", "...", None), ("..a", "..a", None), (".%61", ".a", None),
    ("--", "--", None), ("%2D-", "--", None), ("http:%2F%2Fexample.org%2Fa%3Fb%3D1%26c%3D%252F%23x", "http://example.org/a?b=1&c=%2F#x", None)])
def test_escapes_are_decoded_once(service, site, segment, item, in_query):
    assert item_of(service, site, segment) == item
    assert item_of(service, site, "-", "?id=" + segment) == (in_query or item)
    token = service.post(site + "/visitors").json["visitor"]
    assert service.post(f"{site}/items/{segment}/votes", Engaged_Visitor=token).json["item"] == item
    answer = service.get(f"{site}/me?id={escaped(item.encode())}", Engaged_Visitor=token).json
    assert answer == {"votes": {item: "up"}, "counts": {item: {"up": 1, "down": 0}}}
    again = service.post(f"{site}/items/-/votes?id={escaped(item.encode())}", Engaged_Visitor=token).json
    assert (again["item"], again["votes"]["up"]) == (item, 1)


@contract("Items", "Ids compare byte by byte")
def test_ids_compare_byte_by_byte(service, site):
    names = ["a", "A", "a ", " a", "é", "e\u0301", "É", "a/", "a.", "ａ", "ﬀ", "ff", "ß", "ss", "i", "İ", "ı", "a\u200b", "https://x.example/a",
             "https://x.example/a/", "https://x.example/a?", "HTTPS://x.example/a", "1", "01", "1.0"]
    rows = [{"type": "vote", "item": name, "visitor": f"v{n}"} for number, name in enumerate(names) for n in range(number + 1)]
    assert service.lines(f"{site}/events?wait=true", rows).json["rejected"] == []
    query = "&".join("id=" + escaped(name.encode()) for name in names)
    assert [row["votes"]["up"] for row in service.get(f"{site}/items?{query}").json["items"]] == list(range(1, len(names) + 1))
    assert {name: votes["up"] for name, votes in service.get(f"{site}/me?{query}").json["counts"].items()} == {
        name: number + 1 for number, name in enumerate(names)}


@contract("Items", "-, . and .. are not ids, however they are written")
@pytest.mark.parametrize("segment", [".", "..", "%2e", "%2E", "%2e%2E", ".%2e", "%2e."])
def test_dots_are_no_ids(service, site, segment):
    for call in OF_ITEMS:
        answer = call.send(service, site, segment)
        call.refused(answer, "bad_path")
        answer = call.send(service, site, address=call.with_query(site, "id=" + segment, "-"))
        call.refused(answer, "bad_item")
    assert service.get(f"{site}/items?id={segment}").json["code"] == "bad_item"
    assert service.get(f"{site}/rankings/hot?exclude={segment}").json["code"] == "bad_exclude"


@contract("Items", "-, . and .. are not ids, however they are written")
@pytest.mark.parametrize("item", ["-", ".", ".."])
def test_dots_are_no_ids_in_a_body_either(service, site, item):
    for path, row in (("items", {"title": "t"}), ("events", {"type": "vote", "visitor": "u"}), ("events", {"type": "view", "visitor": "u"}),
                      ("import", {"type": "item"})):
        assert service.lines(f"{site}/{path}", [{"item": item, **row}]).json["rejected"] == [{"line": 1, "code": "bad_item"}], path
    assert service.keyed("POST", f"{site}/corrections", {"item": item}).json["code"] == "bad_item"
    assert service.get(f"{site}/me?id={item}").json["code"] == "bad_item"


@contract("Items", "-, . and .. are not ids, however they are written", "With /items/-/… the parameter id stands once")
@pytest.mark.parametrize("dash", ["-", "%2D", "%2d"])
@pytest.mark.parametrize("call", OF_ITEMS, ids=repr)
def test_the_dash_asks_for_one_id(service, site, call, dash):
    for query, code in (("", "bad_parameter"), ("id=a&id=a", "repeated_parameter"), ("id=-", "bad_item"), ("id=%2D", "bad_item"),
                        ("ID=a", "unknown_parameter" if call.kind == PUBLISHER else "bad_parameter"), ("id", "bad_item")):
        answer = call.send(service, site, address=call.with_query(site, query, dash) if query else call.at(site, dash))
        call.refused(answer, code)
    assert call.send(service, site, address=call.with_query(site, "id=a", dash)).status == call.status


@contract("Items", "As proxies often undo %2F, /items/-/…?id=<id> is the same")
@pytest.mark.parametrize("item", ["https://example.org/a?b=1&c=%2F#d", "a b+c", "é"])
def test_the_dash_is_the_same_on_every_call(service, site, item):
    name = escaped(item.encode())
    token = service.post(site + "/visitors").json["visitor"]

    def call(method, path, body=None, **headers):
        """By the segment and by the parameter, one after the other: the second must have done what the first did."""
        query = "?" + path.split("?")[1] if "?" in path else ""
        tail = path.split("?")[0]
        first = service.request(method, f"{site}/items/{name}{tail}{query}", body, **headers)
        second = service.request(method, f"{site}/items/-{tail}{query}{'&' if query else '?'}id={name}", body, **headers)
        assert first.status == second.status < 300, (method, path, first.body, second.body)
        return first, second

    key = {"Authorization": "Bearer k"}
    first, second = call("PUT", "", json.dumps({"title": "T", "url": "/u"}), **key)
    assert first.json == second.json and first.json["item"] == item
    first, second = call("POST", "/votes", Engaged_Visitor=token)
    assert first.json == second.json == {"item": item, "votes": {"up": 1, "down": 0}, "vote": "up"}
    first, second = call("POST", "/views", Engaged_Visitor=token)
    assert (first.json, second.json) == ({"item": item, "counted": True}, {"item": item, "counted": False, "reason": "repeat"})
    first, second = call("GET", "/view.gif", Engaged_Visitor=token)
    assert first.body == second.body
    service.lines(f"{site}/events?wait=true", [{"type": "view", "item": other, "visitor": f"r{n}"} for n in range(3) for other in (item, "other")])
    for path in ("", "/related", "/related?limit=3&exclude=x", "/page", "/page?related=1&ranking=0&recommendation=2"):
        first, second = call("GET", path)
        assert first.headers["etag"] == second.headers["etag"], path
        assert first.body == second.body or "page" in path or "related" in path
    first, second = call("PUT", "/editorial", json.dumps({"pin": 1}), **key)
    assert service.keyed("GET", f"{site}/editorial").json["editorial"][0]["item"] == item
    assert len(service.keyed("GET", f"{site}/editorial").json["editorial"]) == 1
    call("DELETE", "/editorial", **key)
    first, second = call("DELETE", "/votes", Engaged_Visitor=token)
    assert first.json == second.json == {"item": item, "votes": {"up": 0, "down": 0}, "vote": None}
    call("DELETE", "", **key)
    assert "title" not in service.get(f"{site}/items/{name}").json


@contract("Items", "A trailing slash is 404")
@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_a_trailing_slash(service, site, call):
    path, _, query = call.at(site).partition("?")
    for address in (f"{path}/", f"{path}//", f"{path}/?x=1", path.replace("/v1/", "//v1/"), path.replace("/v1/", "/v1//")):
        answer = call.send(service, site, address=address + (f"?{query}" if query else ""))
        assert (answer.status, answer.json["code"]) == (404, "not_found"), address
    answer = call.send(service, site, address=path.replace("/v1/", "/v2/"))
    assert answer.status == 404


@contract("Items", "An id is valid UTF-8 without control characters")
@pytest.mark.parametrize("raw", [b"\xc3\xa9", b"\xff", b"a\x80"])
def test_bytes_that_are_not_escaped(service, site, raw):
    """A path is ASCII: other bytes may be taken or refused as a whole."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        client.sendall(b"GET " + site.encode() + b"/items/" + raw + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with client.makefile("rb") as file:
            head, _, body = file.read().partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert status == 400 or (status == 200 and json.loads(body)["item"] == raw.decode())
