# SPDX-License-Identifier: MIT
"""What an error tells the sender of a card, an event or a query; and the limits of the contract at their edges."""
import json
import os
import re

import pytest

from support.program import ROOT

FACE = "\U0001F600"  # four bytes

with open(os.path.join(ROOT, "src/web/openapi.json"), encoding="utf-8") as file:
    DOCUMENT = json.load(file)
CARD = DOCUMENT["components"]["schemas"]["Card"]["properties"]


def put(service, site, card, item="a"):
    return service.keyed("PUT", f"{site}/items/{item}", json.dumps(card, ensure_ascii=False).encode())


def told(answer, status=400):
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json["code"], answer.json["detail"]


@pytest.mark.parametrize("title", ["[" * 20, '"' + "{" * 20, "\\" + "[" * 20, '\\"[{' * 9])
def test_brackets_and_quotes_in_a_text_are_no_depth(service, site, title):
    answer = put(service, site, {"title": title})
    assert (answer.status, answer.json["title"]) == (200, title)


# ---- Lengths

@pytest.mark.parametrize("one", ["a", "é", "字", FACE, "e\u0301"])
@pytest.mark.parametrize("count", [501, 600, 2000])
def test_how_long_it_is_and_may_be(service, site, one, count):
    text = (one * count)[:count]
    assert told(put(service, site, {"title": text})) == ("bad_field", f"title: {count} characters, at most 500")


@pytest.mark.parametrize("card, detail", [
    ({"author": "a" * 201}, "author: 201 characters, at most 200"), ({"categories": ["a", FACE * 65]}, "categories: 65 characters, at most 64"),
    ({"categories": [""]}, "categories: 0 characters, at least 1"), ({"categories": [f"c{n}" for n in range(9)]}, "categories: 9 entries, at most 8"),
    ({"categories": ["a", "b", "a"]}, "categories: one entry is there twice"), ({"categories": ["a b", "a\n\nb"]}, "categories: one entry is there twice"),
    ({"url": "/" + "字" * 2000}, "url: 2001 characters, at most 2000"), ({"image": "https://x.example/" + "a" * 1983}, "image: 2001 characters, at most 2000"),
    ({"url": "/a\u0007"}, "url: control characters are not allowed"), ({"image": "/\u0085"}, "image: control characters are not allowed"),
    ({"url": "//evil.example"}, "url: must begin with https://, http:// or one slash"),
    ({"url": "/fine", "image": "a.png"}, "image: must begin with https://, http:// or one slash"),
    ({"title": 1}, "title: must be a text"), ({"author": ["a"]}, "author: must be a text"), ({"url": False}, "url: must be a text"),
    ({"categories": "a"}, "categories: must be an array of texts"), ({"categories": [1]}, "categories: must be an array of texts"),
    ({"categories": [None]}, "categories: must be an array of texts"), ({"categories": {}}, "categories: must be an array of texts"),
    ({"base": 1}, "base: must be an object"), ({"base": {"views": -1}}, "views: must be a whole number from 0 on"),
    ({"base": {"views": 1.5}}, "views: must be a whole number from 0 on"), ({"base": {"votes": {"up": "1"}}}, "votes: must be an object of whole numbers from 0 on"),
    ({"base": {"views": 2 ** 52 + 1}}, "views: at most 4503599627370496"), ({"base": {"votes": {"up": 1e300}}}, "votes: at most 4503599627370496"),
    ({"base": {"votes": {f"k{n}": 1 for n in range(9)}}}, "votes: 9 entries, at most 8"),
    ({"title": "a\0b"}, "title: a NUL is not allowed"), ({"categories": ["a\0"]}, "categories: a NUL is not allowed")])
def test_what_is_wrong_with_a_card(service, site, card, detail):
    assert told(put(service, site, card)) == ("bad_field", detail)
    assert "title" not in service.get(site + "/items/a").json


@pytest.mark.parametrize("address", ["HTTPS://news.example/A", "Http://news.example/", "hTTp://x"])
def test_the_scheme_of_an_address_may_have_capital_letters(service, site, address):
    assert put(service, site, {"url": address, "image": address}).status == 200
    shown = service.get(site + "/items/a").json
    assert (shown["url"], shown["image"]) == (address, address)


@pytest.mark.parametrize("address", ["HTTPS:/x", "https:", "JAVASCRIPT://x", "HTTPSX://x", "ſttps://x", " https://x"])
def test_another_scheme_in_capital_letters_is_refused(service, site, address):
    assert told(put(service, site, {"url": address})) == ("bad_field", "url: must begin with https://, http:// or one slash")


@pytest.mark.parametrize("value", ["soon", True, [], {}, "2026-13-01T00:00:00Z", ""])
def test_an_invalid_time(service, site, value):
    assert told(put(service, site, {"published_at": value})) == ("bad_time", "published_at: must be RFC 3339 or Unix seconds")


@pytest.mark.parametrize("name, shown", [("titel", "titel"), ("", ""), ('"<b>', '"<b>'), ("字" * 40, "字" * 21), ("x" * 64, "x" * 64),
                                         ("x" * 65, "x" * 64), ("x" * 63 + "é", "x" * 63), (FACE * 16, FACE * 16), (FACE * 17, FACE * 16)])
def test_a_field_that_is_not_known_is_named(service, site, name, shown):
    assert told(put(service, site, {name: 1})) == ("unknown_parameter", shown + ": a field that is not known here")


@pytest.mark.parametrize("query, detail", [
    ("limt=5", "limt: a parameter that is not known here"), ("%C3%A9=1", "é: a parameter that is not known here"),
    ("limit=5&" + "y" * 64, "y" * 64 + ": a parameter that is not known here"), ("y" * 65, "a parameter of the query is not known here"),
    ("%ff=1", "a parameter of the query is not known here"),
    ("=1", ": a parameter that is not known here")])
def test_a_parameter_that_is_not_known_is_named(service, site, query, detail):
    assert told(service.keyed("GET", f"{site}/rankings/hot?{query}")) == ("unknown_parameter", detail)


@pytest.mark.parametrize("path, code, detail", [
    ("rankings/hot?limit=0", "bad_limit", "limit: a whole number from 1 to 100"), ("rankings/hot?limit=101", "bad_limit", "limit: a whole number from 1 to 100"),
    ("items/a/related?limit=x", "bad_limit", "limit: a whole number from 1 to 100"), ("items/a/page?related=101", "bad_limit", "related: a whole number from 0 to 100"),
    ("items/a/page?ranking=-1", "bad_limit", "ranking: a whole number from 0 to 100"), ("rankings/hot?format=xml", "bad_parameter", "format: json, html, feed or rss"),
    ("items/a/page?recommendation=", "bad_limit", "recommendation: a whole number from 0 to 100"), ("rankings/hot?exclude=-", "bad_exclude", "exclude: at most 100, each the id of an item"),
    ("rankings/hot?category=" + "x" * 65, "bad_parameter", "category: 1 to 64 characters"), ("items?id=..", "bad_item", "id: at most 100, each the id of an item"),
    ("me?" + "&".join(f"id=i{n}" for n in range(101)), "bad_parameter", "id: at most 100, each the id of an item"),
    ("items/-?id=-", "bad_item", "id: the id of an item"), ("rankings/hot?limit=1&limit=1", "repeated_parameter", "limit")])
def test_a_parameter_that_is_wrong_says_what_it_must_be(service, site, path, code, detail):
    assert told(service.get(f"{site}/{path}")) == (code, detail)


@pytest.mark.parametrize("body, code, detail", [
    ({"kind": 1}, "bad_field", "kind: must be a text"), ({"kind": "x" * 100}, "unknown_kind", r"kind: 100 characters, at most \d+"),
    ({"visitor": {}}, "bad_field", "visitor: must be a text"), ({"kind": "a\nb"}, "unknown_kind", "kind: control characters are not allowed"),
    ([], "bad_field", "the body is not an object, or a name in it holds a NUL")])
def test_a_readers_call_too(service, site, body, code, detail):
    got = told(service.post(site + "/items/a/votes", body))
    assert got[0] == code and re.fullmatch(detail, got[1]), got


@pytest.mark.parametrize("body, code, detail", [
    ({"ids": ["a", "-"]}, "bad_item", "ids: one is no id of an item"), ({"ids": [f"i{n}" for n in range(101)]}, "bad_field", "ids: 101 entries, at most 100"),
    ({"exclude": [f"i{n}" for n in range(102)]}, "bad_exclude", "exclude: 102 entries, at most 100"), ({"exclude": [""]}, "bad_exclude", "exclude: one is no id of an item"),
    ({"recommendations": 101}, "bad_limit", "recommendations: at most 100"), ({"recommendations": "x"}, "bad_limit", "recommendations: must be a whole number from 0 on"),
    ({"ids": 1}, "bad_field", "ids: must be an array of texts")])
def test_the_readers_own_call(service, site, body, code, detail):
    assert told(service.post(site + "/me", body)) == (code, detail)


def test_a_token_that_is_wrong_is_not_told_of_other_fields(service, site):
    answer = service.post(site + "/me", {"visitor": "ev1.none", "ids": ["a"], "recommendations": 5})
    assert (answer.status, answer.json["code"]) == (401, "bad_visitor")
    assert "detail" not in answer.json


# ---- Types of bodies

@pytest.mark.parametrize("method, path, key, right", [
    ("POST", "/items/a/votes", None, "application/json"), ("POST", "/items/a/views", None, "application/json"), ("POST", "/me", None, "application/json"),
    ("POST", "/visitors", None, "application/json"), ("PUT", "/items/a", "k", "application/json"), ("PUT", "/items/a/editorial", "k", "application/json"),
    ("POST", "/corrections", "k", "application/json"), ("POST", "/items", "k", "application/x-ndjson"), ("POST", "/events", "k", "application/x-ndjson"),
    ("POST", "/import", "k", "application/x-ndjson")])
def test_415_says_what_to_send(service, site, method, path, key, right):
    sent = {"Authorization": "Bearer " + key} if key else {}
    for media in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html", "application/jsonx",
                  "application/json" if "nd" in right else "application/x-ndjson"):
        answer = service.request(method, site + path, "{}\n", Content_Type=media, **sent)
        assert told(answer, 415) == ("unsupported_type", f"send Content-Type: {right}")
    good = service.request(method, site + path, '{"title":"t"}\n' if path == "/items/a" else "{}\n", Content_Type=right.upper() + " ; charset=utf-8", **sent)
    assert good.status != 415 and "Content-Type" not in str(good.body)


def test_what_is_wrong_later_is_not_told_as_a_type(service, site):
    assert "detail" not in service.post(site + "/items/a/votes", "{}", Content_Type="text/plain", Engaged_Visitor="ev1.x").json
    assert service.post(site + "/visitors", "{", Content_Type="application/json").json.get("detail") != "send Content-Type: application/json"


# ---- The document's limits are the service's

@pytest.mark.parametrize("name", ["title", "url", "image", "author"])
@pytest.mark.parametrize("one", ["a", "字", FACE])
def test_the_documents_lengths_are_the_services(service, site, name, one):
    most = CARD[name]["maxLength"]
    start = "/" if name in ("url", "image") else ""
    for length, status in ((most, 200), (most + 1, 400)):
        assert put(service, site, {name: start + one * (length - len(start))}).status == status
    assert CARD["categories"]["maxItems"] == 8 and CARD["categories"]["items"]["maxLength"] == 64


@pytest.mark.parametrize("name", list(CARD))
def test_null_is_documented_and_means_absent(service, site, name):
    schema = CARD[name]
    assert "null" in schema.get("type", []) or {"type": "null"} in schema.get("anyOf", [])
    assert put(service, site, {"title": "t", name: None} if name != "title" else {"author": "a", name: None}).status == 200
    assert name not in service.get(site + "/items/a").json


# ---- The first call of a publisher, as docs/api.md has it

def test_the_readmes_card(service, site):
    with open(os.path.join(ROOT, "docs/api.md"), encoding="utf-8") as file:
        text = file.read()
    example = re.search(r"curl -s -X PUT .*?\n\n", text, re.S).group(0)
    assert "-H 'Content-Type: application/json'" in example and "Authorization: Bearer $(cat data/key)" in example
    card = json.loads(re.search(r"-d '(\{.*?\})'", example, re.S).group(1))
    answer = service.keyed("PUT", site + "/items/first", card, Content_Type="application/json")
    assert answer.status == 200 and set(card) == {"title", "url", "image", "categories", "author", "published_at"}
    assert {name: answer.json[name] for name in ("title", "url", "image", "categories", "author")} == {
        name: card[name] for name in ("title", "url", "image", "categories", "author")}


@pytest.mark.contract("PUT /v1/{site}/items/{item}", "A card's addresses are http")
@pytest.mark.contract("Item", "Card fields that the publisher never gave are left out")
def test_an_empty_address_is_none(service, site):
    for url, image in (("", ""), (None, ""), ("", "/i.png")):
        shown = service.keyed("PUT", f"{site}/items/a", {"title": "t", "url": url, "image": image}).json
        assert ("url" in shown, shown.get("image")) == (False, image or None)
        assert service.lines(f"{site}/items", [{"item": "b", "title": "t", "url": url, "image": image}]).json["accepted"] == 1
        for item in "ab":
            shown = service.get(f"{site}/items/{item}").json
            assert ("url" in shown, shown.get("image")) == (False, image or None)
