# SPDX-License-Identifier: MIT
"""docs/api.md section 0, row "text": limits in characters, blanks and controls, null, NUL, repeated fields; bodies with a
Content-Encoding; a DELETE's type; what a card may link to; several cookies of one name."""
import json

import pytest

WIDE = "\U0001F600"  # four bytes


def put(service, site, card, item="a"):
    return service.keyed("PUT", f"{site}/items/{item}", json.dumps(card, ensure_ascii=False).encode())


# ---- Limits in characters

@pytest.mark.parametrize("field,most", [("title", 500), ("author", 200), ("url", 2000), ("image", 2000), ("categories", 64)])
@pytest.mark.parametrize("one", ["a", "é", "字", WIDE])
@pytest.mark.contract("Texts", "Limits are in characters")
def test_a_cards_limits_are_in_characters(service, site, field, most, one):
    start = "/" if field in ("url", "image") else ""
    for length, status in ((most, 200), (most + 1, 400)):
        text = start + one * (length - len(start))
        answer = put(service, site, {field: [text] if field == "categories" else text})
        assert answer.status == status, length
        if status == 200:
            assert service.get(site + "/items/a").json[field] == ([text] if field == "categories" else text)
        else:
            assert (answer.json["code"], answer.json["detail"]) == ("bad_field", f"{field}: {most + 1} characters, at most {most}")
    if field == "categories":
        assert service.get(f"{site}/rankings/hot?category=" + quoted(one * 64)).status == 200
        assert service.get(f"{site}/rankings/hot?category=" + quoted(one * 65)).json["code"] == "bad_parameter"


def quoted(text):
    return "".join(f"%{byte:02X}" for byte in text.encode())


def test_eight_categories_of_four_byte_characters_rank(service, site):
    categories = [WIDE * 63 + chr(0x1F601 + n) for n in range(8)]
    assert put(service, site, {"title": "t", "categories": categories}).status == 200
    service.lines(site + "/events?wait=true", [{"type": "vote", "item": "a", "visitor": "u"}])
    for category in categories:
        found = service.get(f"{site}/rankings/hot?category=" + quoted(category)).json["items"]
        assert [row["item"] for row in found] == ["a"] and found[0]["reason"] == "ranked"


@pytest.mark.parametrize("format", ["json", "html", "feed"])
def test_a_hundred_cards_of_the_longest_texts(service, site, format):
    rows = [{"item": f"i{n}", "title": "\U0001F680" * 500, "url": "/" + WIDE * 1999, "image": "/" + WIDE * 1999,
             "author": WIDE * 200, "categories": [WIDE * 63 + chr(0x1F601 + m) for m in range(8)]} for n in range(300)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    assert service.keyed("POST", site + "/items", text, Content_Type="application/x-ndjson").json["accepted"] == 300
    answer = service.get(f"{site}/items/x/related?limit=100&format={format}")
    assert answer.status == 200 and answer.body.decode().count("\U0001F680" * 500) in (100, 300)  # a feed says it thrice


def test_notes_are_limited_in_characters(service, site):
    for count, status in ((500, 200), (501, 400)):
        assert service.keyed("PUT", site + "/items/a/editorial", {"pin": 1, "note": WIDE * count}).status == status
    assert service.keyed("GET", site + "/editorial").json["editorial"][0]["note"] == WIDE * 500
    assert service.keyed("POST", site + "/corrections", {"item": "a", "note": "字" * 501}).status == 400
    assert service.keyed("POST", site + "/corrections", {"item": "a", "note": WIDE * 500}).status == 202


def test_ids_are_limited_in_bytes_as_ever(service, site):
    for item, ok in (("é" * 256, True), ("é" * 257, False), (WIDE * 128, True), (WIDE * 129, False)):
        answer = service.lines(site + "/items", [{"item": item, "title": "t"}]).json
        assert answer["accepted"] == ok and [row["code"] for row in answer["rejected"]] == ([] if ok else ["bad_item"])
        answer = service.lines(site + "/events", [{"type": "view", "item": item, "visitor": "u"}]).json
        assert answer["accepted"] == ok and [row["code"] for row in answer["rejected"]] == ([] if ok else ["bad_item"])
    for visitor, status in (("é" * 64, 200), ("é" * 65, 401)):
        assert service.keyed("POST", site + "/items/a/votes", {"visitor": visitor}).status == status


# ---- Blanks and controls

@pytest.mark.parametrize("text,kept", [
    ("a\tb", "a b"), ("a\r\n\r\nb", "a b"), ("a  \t b", "a b"), ("a\u0007b", "a b"), ("a\u007fb\u0085\u009fc", "a b c"),
    ("a\u0001\u0002  \u001f b", "a b"), ("\u2028a\u2029\u00a0b\u3000", " a b "), ("a b", "a b"), ("ab", "ab"),
    ("a\u200bb", "a\u200bb"), ("a\u00a1b", "a\u00a1b"), ("é\n字", "é 字"), ("\n", " "), ("", "")])
@pytest.mark.contract("Texts", "Control characters and runs of white space")
def test_titles_and_names(service, site, text, kept):
    assert put(service, site, {"title": text, "author": text}).status == 200
    item = service.get(site + "/items/a").json
    assert (item["title"], item["author"]) == (kept, kept)
    if kept:
        assert put(service, site, {"categories": [text]}).status == 200
        assert service.get(site + "/items/a").json["categories"] == [kept]
        service.lines(site + "/events?wait=true", [{"type": "vote", "item": "a", "visitor": "u"}])
        for asked in (text, kept):
            found = service.get(f"{site}/rankings/hot?category=" + quoted(asked)).json["items"]
            assert [row["item"] for row in found] == ["a"], asked


def test_the_limit_is_of_what_is_kept(service, site):
    assert put(service, site, {"title": " \n" * 1000 + "a" * 499}).status == 200
    assert put(service, site, {"title": " \n" * 1000 + "a" * 500}).status == 400
    assert put(service, site, {"categories": ["a\tb", "a  b"]}).json["code"] == "bad_field"  # the same name twice


def test_lines_and_notes_too(service, site):
    service.lines(site + "/items", [{"item": "a", "title": "one\ntwo"}])
    assert service.get(site + "/items/a").json["title"] == "one two"
    service.keyed("PUT", site + "/items/a/editorial", {"pin": 1, "note": "why\n\nso"})
    assert service.keyed("GET", site + "/editorial").json["editorial"][0]["note"] == "why so"


@pytest.mark.parametrize("field", ["url", "image"])
def test_addresses_hold_no_controls(service, site, field):
    assert put(service, site, {field: "/a\nb"}).json["code"] == "bad_field"


# ---- null and NUL

@pytest.mark.contract("Texts", "null means absent")
def test_null_means_absent(service, site):
    visitor = service.post(site + "/visitors", {"visitor": None}).json["visitor"]
    assert visitor.startswith("ev1.")
    assert service.post(site + "/items/a/votes", {"kind": None, "visitor": None}).json["vote"] == "up"
    assert service.post(site + "/items/a/views", {"visitor": None}).json["counted"]
    card = {"title": "t", "url": None, "image": None, "author": None, "categories": None, "published_at": None,
            "base": None}
    assert put(service, site, card).status == 200
    assert set(service.get(site + "/items/a").json) == {"item", "title", "votes", "views", "visitors"}
    put(service, site, {"base": {"views": 7, "votes": {"up": 3, "down": None}}})
    assert put(service, site, {"title": "u", "base": None}).json["views"] in (7, 8)  # the base stays, as if it was not named
    rows = [{"type": "vote", "item": "b", "visitor": "u", "time": None, "kind": None},
            {"type": "view", "item": None, "visitor": "u"}, {"type": None, "item": "b", "visitor": "u"}]
    answer = service.lines(site + "/events", rows).json
    assert answer["accepted"] == 1 and [row["line"] for row in answer["rejected"]] == [2, 3]
    mark = {"pin": 1, "boost": None, "bury": None, "block": None, "lists": None, "until": None, "note": None}
    assert service.keyed("PUT", site + "/items/a/editorial", mark).status == 200
    assert put(service, site, {"categories": [None]}).json["code"] == "bad_field"
    assert put(service, site, {"odd": None}).json["code"] == "unknown_parameter"


@pytest.mark.parametrize("path,body", [
    ("votes", {"kind": "u\0p"}), ("votes", {"kind": "\0"}), ("votes", {"visitor": "ev1.\0"}), ("views", {"visitor": "a\0b"})])
@pytest.mark.contract("Texts", "\\u0000 is bad_field")
def test_nul_is_a_bad_field(service, site, path, body):
    answer = service.post(f"{site}/items/a/{path}", body)
    assert (answer.status, answer.json["code"], answer.json["detail"]) == (400, "bad_field", list(body)[0] + ": a NUL is not allowed")


@pytest.mark.parametrize("card", [{"title": "a\0b"}, {"categories": ["a", "\0"]}, {"published_at": "2026\0"}, {"a\0b": 1},
                                  {"base": {"votes": {"u\0p": 1}}}])
@pytest.mark.contract("Texts", "\\u0000 is bad_field")
def test_nul_in_a_card(service, site, card):
    assert put(service, site, card).json["code"] == "bad_field"
    answer = service.lines(site + "/items", [{"item": "x", **card}, {"item": "a\0b"}, {"item": "y", "title": "fine"}]).json
    assert answer["accepted"] == 1 and [row["code"] for row in answer["rejected"]] == ["bad_field", "bad_field"]


# ---- Repeated fields, bodies that are no objects

@pytest.mark.parametrize("body,status,code", [
    (b'{"kind":"up","kind":"up"}', 400, "repeated_parameter"), (b'{"kind":"up", "x":1, "kind" : "down"}', 400, "repeated_parameter"),
    (b'{"kind":"up","k\\u0069nd":"down"}', 400, "repeated_parameter"), (b'{"visitor":null,"visitor":null}', 400, "repeated_parameter"),
    (b'{"x":1,"x":2}', 200, None), (b'{"x":{"kind":1,"kind":2},"kind":"up"}', 200, None),
    (b'{"x":"\\"kind\\":","x":"}","kind":"up"}', 200, None), (b'{"x":["kind","kind"],"x":1,"kind":"up"}', 200, None),
    (b'{"x":{"a":1,"a":2}}', 200, None), (b'{"x":1,"x":2,"kind":"no"}', 400, "unknown_kind"),
    (b"[]", 400, "bad_field"), (b"1", 400, "bad_field"), (b"null", 400, "bad_field"), (b'"x"', 400, "bad_field"),
    (b"true", 400, "bad_field"), (b"[", 400, "bad_json"), (b"nul", 400, "bad_json"), (b"{}{}", 400, "bad_json"),
    (b'{"kind":"up"}x', 400, "bad_json")])
@pytest.mark.contract("Query and fields", "A single one that stands twice is always 400")
def test_repeated_fields_and_other_values(service, site, body, status, code):
    answer = service.post(site + "/items/a/votes", body)
    assert (answer.status, answer.json.get("code")) == (status, code)


def test_with_the_key_any_field_that_stands_twice_is_named(service, site):
    for body in (b'{"title":"a","title":"b"}', b'{"x":1,"x":2}', b'{"base":{"views":1,"views":2}}'):
        assert service.keyed("PUT", site + "/items/a", body).json["code"] == "repeated_parameter"
    answer = service.lines(site + "/events", ['{"type":"view","item":"a","item":"b","visitor":"u"}', "[]", "1", "{"]).json
    assert [row["code"] for row in answer["rejected"]] == ["repeated_parameter", "bad_field", "bad_field", "bad_json"]


# ---- Codings and types of bodies

@pytest.mark.parametrize("coding,status", [("gzip", 415), ("br", 415), ("GZIP", 415), ("gzip, identity", 415), ("x", 415),
                                           ("identity", 200), ("Identity", 200), ("", 200)])
@pytest.mark.contract("Bodies", "Any other type is 415")
def test_a_body_that_is_coded(service, site, coding, status):
    for answer in (service.post(site + "/items/a/votes", b"{}", Content_Encoding=coding),
                   service.keyed("POST", site + "/import", b"\x1f\x8b\n", Content_Type="application/x-ndjson",
                                 Content_Encoding=coding),
                   service.request("DELETE", site + "/items/a/votes", b"{}", Content_Encoding=coding)):
        assert answer.status == status
        assert status == 200 or (answer.json["code"], "Content-Encoding" in answer.json["detail"]) == ("unsupported_type", True)
    assert service.post(site + "/items/a/votes", b"", Content_Encoding="gzip").status == 200  # no body, nothing coded


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "image/png", "text/html", "?"])
@pytest.mark.contract("Texts", "A DELETE ignores the type of its body")
def test_a_delete_ignores_the_type_of_its_body(service, site, token, kind):
    service.post(site + "/items/a/votes", Engaged_Visitor=token)
    answer = service.request("DELETE", site + "/items/a/votes", json.dumps({"visitor": token}), Content_Type=kind)
    assert (answer.status, answer.json["votes"]["up"], answer.json["vote"]) == (200, 0, None)
    for path, status in (("/me", 202), ("/items/a/editorial", 204), ("/items/a", 204)):
        answer = service.request("DELETE", site + path, "{}", Content_Type=kind, Authorization="Bearer k")
        assert answer.status == status, path
    assert service.post(site + "/items/a/votes", "{}", Content_Type=kind).status == 415


# ---- Addresses of cards

@pytest.mark.parametrize("field", ["url", "image"])
@pytest.mark.parametrize("address,ok", [
    ("/a", True), ("/", True), ("", True), ("/a//b", True), ("/a\\b", True), ("https://x.example/", True),
    ("http://x.example", True), ("//evil.example", False), ("/\\evil.example", False), ("\\\\evil.example", False),
    ("\\/evil.example", False), ("javascript:alert(1)", False), ("data:x", False), ("a", False), (" /a", False),
    ("ftp://x.example/", False), ("HTTPS:x", False), ("https:/x", False)])
def test_what_a_card_may_link_to(service, site, field, address, ok):
    answer = put(service, site, {field: address})
    assert answer.status == (200 if ok else 400)
    assert ok or (answer.json["code"], answer.json["detail"].split(":")[0]) == ("bad_field", field)


# ---- Cookies

def test_the_good_one_of_several_cookies_is_found(service, site):
    first = service.post(site + "/items/a/votes")
    good = first.headers["set-cookie"].split(";")[0]
    name = good.split("=")[0]
    foreign = service.post("/v1/other.example/items/a/votes").headers["set-cookie"].split(";")[0].split("=")[1]
    for others in (f"{name}=x", f"{name}=ev1.forged", f"{name}=", f"{name}={foreign}", f"a=b; {name}=x; {name}={foreign}"):
        for cookie in (f"{others}; {good}", f"{good}; {others}", f"{others};{good};c=d"):
            answer = service.post(site + "/items/a/votes", Cookie=cookie)
            assert answer.json["votes"]["up"] == 1 and "set-cookie" not in answer.headers, cookie


@pytest.mark.contract("Visitors", "Of several cookies of the name")
def test_so_many_cookies_are_tried_and_no_more(service, site):
    good = service.post(site + "/items/a/votes").headers["set-cookie"].split(";")[0]
    bad = good[:-1] + ("A" if good[-1] != "A" else "B")
    for count, known in ((7, True), (8, False)):
        answer = service.post(site + "/items/a/votes", Cookie="; ".join([bad] * count + [good]))
        assert ("set-cookie" not in answer.headers) == known
