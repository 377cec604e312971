# SPDX-License-Identifier: MIT
"""The rules that all calls share: addresses, tokens, keys, bodies, errors (docs/api.md)."""
import json
import urllib.parse

import pytest
from hypothesis import HealthCheck, given, settings, strategies

ids = strategies.text(strategies.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=100).filter(
    lambda text: text not in ("-", ".", "..") and len(text.encode()) <= 512)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(item=ids)
def test_any_id_comes_back_as_it_was(service, site, item):
    escaped = urllib.parse.quote(item, safe="")
    assert service.get(f"{site}/items/{escaped}").json["item"] == item
    assert service.get(f"{site}/items/-?id={escaped}").json["item"] == item


@pytest.mark.parametrize("path,status,code", [
    ("/v1/s/items/a/", 404, "not_found"), ("/v1/s/items//votes", 404, "not_found"), ("/v1/s", 404, "not_found"),
    ("/v1/s/items/%2e%2e", 400, "bad_path"), ("/v1/s/items/%00", 400, "bad_path"), ("/v1/s/items/%zz", 400, "bad_path"),
    ("/v1/s/items/%ff", 400, "bad_path"), ("/v1/s/items/a%0ab", 400, "bad_path"), ("/v1/-s/items/a", 400, "bad_site"),
    ("/v1/" + "s" * 64 + "/items/a", 400, "bad_site"), ("/v1/s/items/" + "a" * 513, 400, "bad_item"),
    ("/v1/s/items/-", 400, "bad_parameter"), ("/v1/s/items/-?id=a&id=b", 400, "repeated_parameter"),
    ("/v1/s/rankings/hot?limit=0", 400, "bad_limit"), ("/v1/s/rankings/hot?limit=101", 400, "bad_limit"),
    ("/v1/s/rankings/hot?limit=x", 400, "bad_limit"), ("/v1/s/rankings/hot?limit=1&limit=1", 400, "repeated_parameter"),
    ("/v1/s/rankings/hot?" + "&".join(f"exclude={n}" for n in range(101)), 400, "bad_exclude"),
    ("/v1/s/items", 400, "bad_parameter"),
])
def test_bad_addresses(service, path, status, code):
    answer = service.get(path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status, answer.json["code"], answer.json["status"]) == (status, code, status)


def test_the_edges_are_fine(service, site):
    assert service.get(f"{site}/items/" + "a" * 512).status == 200
    assert service.get(f"{site}/rankings/hot?limit=100&" + "&".join(f"exclude={n}" for n in range(100))).status == 200


def test_unknown_parameters_are_errors_only_with_the_key(service, site):
    assert service.get(site + "/rankings/hot?utm=1").status == 200
    answer = service.keyed("GET", site + "/rankings/hot?utm=1")
    assert (answer.status, answer.json["code"]) == (400, "unknown_parameter")
    assert service.post(site + "/items/a/votes", {"kid": "up"}).status == 200
    assert service.keyed("POST", site + "/items/a/votes", {"kid": "up"}).json["code"] == "unknown_parameter"


def test_ampersands_with_nothing_between_are_passed_over(service, site):
    assert service.keyed("GET", site + "/rankings/top?&&limit=3&&&exclude=a&").status == 200


def test_a_write_without_a_token_gets_one_and_the_cookie_works(service, site):
    first = service.post(site + "/items/a/votes")
    token = first.headers["engaged-visitor"]
    cookie = first.headers["set-cookie"].split(";")[0]
    assert cookie.startswith("engaged_") and cookie.endswith(token)
    again = service.post(site + "/items/a/votes", Cookie="a=b; " + cookie)
    assert again.json["votes"]["up"] == 1 and "set-cookie" not in again.headers
    assert service.post(site + "/items/a/votes", {"visitor": token}).json["votes"]["up"] == 1
    site = "/v1/open"  # whose name is no host name
    cookie = service.post(site + "/items/a/votes").headers["set-cookie"].split(";")[0]
    foreign = service.post(site + "/items/a/votes", Cookie=cookie, Origin="https://elsewhere.example")
    assert foreign.json["votes"]["up"] == 2  # the cookie is the own origin's alone
    assert "set-cookie" not in foreign.headers


def test_bad_tokens_count_nothing(service, site, token):
    other = service.post("/v1/other.example/visitors").json["visitor"]
    for bad in ("ev1." + "A" * 48, token[:-1], token + "A", other, "user-42", ""):
        answer = service.post(site + "/items/a/votes", Engaged_Visitor=bad)
        assert (answer.status, answer.json["code"]) == (401, "bad_visitor"), bad
        assert service.post(site + "/items/a/votes", {"visitor": bad}).status == 401
    assert service.get(site + "/items/a").json["votes"]["up"] == 0
    replaced = service.post(site + "/items/a/votes", Cookie="engaged_00000000=ev1.x")
    assert replaced.status == 200 and "set-cookie" in replaced.headers


@pytest.mark.contract("POST /v1/{site}/visitors", "With the secret key and {\"visitor\"")
def test_the_publishers_own_ids(service, site):
    token = service.keyed("POST", site + "/visitors", {"visitor": "user-42"}).json["visitor"]
    assert service.post(site + "/items/a/votes", Engaged_Visitor=token).json["votes"]["up"] == 1
    assert service.keyed("POST", site + "/items/a/votes", Engaged_Visitor="user-42").json["votes"]["up"] == 1


def test_the_key(service, site):
    assert service.request("PUT", site + "/items/a", {}).json["code"] == "key_required"
    wrong = service.request("PUT", site + "/items/a", {}, Authorization="Bearer x")
    assert (wrong.status, wrong.json["code"]) == (403, "bad_key")


@pytest.mark.parametrize("body,kind,status", [
    (b"{}", "application/json", 200), (b"{}", "text/plain;charset=UTF-8", 200), (b"{}", None, 200), (b"", None, 200),
    (b"{}", "application/x-www-form-urlencoded", 415), (b"{", "application/json", 400), (b"[]", "text/plain", 400),
    (b'{"kind":"up","kind":"up"}', None, 400), (b'{"x":"\xff"}', None, 400), (b'{"x":1e999}', None, 400),
    (b'{"x":' + b"[" * 8 + b"]" * 8 + b"}", None, 400), (b'{"x":' + b"[" * 7 + b"]" * 7 + b"}", None, 200),
    # the dearest in memory for their length
    (b'{"x":[' + b"{}," * 5000 + b"{}]}", None, 200), (b'{"x":[' + b"[]," * 5000 + b"[]]}", None, 200),
    (b'{"x":[' + b"0," * 8000 + b"0]}", None, 200), (b'{"x":[' + b'"",' * 5000 + b'""]}', None, 200),
    (b"{" + b",".join(b'"%x":0' % n for n in range(2000)) + b"}", None, 200),
    (b'{"x":[' + b'{"":0},' * 2000 + b"0]}", None, 200), (b'{"x":"' + b"\\u00e9" * 2700 + b'"}', None, 200),
    (b'{"x":"' + b"a" * (16384 - 8) + b'"}', None, 200), (b'{"x":"' + b"a" * (16385 - 8) + b'"}', None, 413)])
def test_bodies(service, site, body, kind, status):
    headers = {"Content_Type": kind} if kind else {}
    assert service.post(site + "/items/a/votes", body, **headers).status == status


def test_methods_and_preflight(service, site):
    answer = service.request("PATCH", site + "/items/a/votes")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, DELETE, OPTIONS")
    asked = service.request("OPTIONS", site + "/items/a/votes", Origin="https://page.example",
                            Access_Control_Request_Method="POST")
    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == "https://page.example"
    assert asked.headers["access-control-allow-methods"] == "POST, DELETE, OPTIONS"
    assert asked.headers["vary"] == "Origin" and "access-control-max-age" in asked.headers
    null = service.post(site + "/items/a/votes", Origin="null")
    assert (null.status, null.json["code"]) == (403, "bad_origin")
    assert null.headers["access-control-allow-origin"] == "null"  # so that its developer can read why
    assert "access-control-allow-credentials" not in null.headers


def test_writes_are_never_cached(service, site):
    assert service.post(site + "/items/a/votes").headers["cache-control"] == "no-store"
    assert json.loads(service.get(site + "/items/a").body)["votes"]["up"] == 1
