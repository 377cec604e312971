# SPDX-License-Identifier: MIT
"""Auth and paths at their edges: wrong cookies, tokens of others, unknown sites, too many ids."""
import json

import pytest

S = "/v1/s"
DAYS_400 = 400 * 86400


# ---- Cookies

def parts(answer):
    return [part.strip() for part in answer.headers["set-cookie"].split(";")]


@pytest.mark.contract("Visitors", "The cookie is named engaged_")
def test_the_cookie_is_secure_where_browsers_come_by_https(own):
    service = own()
    assert "Secure" not in parts(service.post(S + "/items/a/votes"))
    assert "Secure" not in parts(service.post(S + "/items/a/votes", X_Forwarded_Proto="http"))
    assert "Secure" in parts(service.post(S + "/items/a/votes", X_Forwarded_Proto="https"))
    assert "Secure" in parts(service.post(S + "/items/a/votes", X_Forwarded_Proto="HTTPS"))
    for url, secure in (("https://engaged.example", True), ("http://engaged.example", False)):
        assert ("Secure" in parts(own(public_url=url).post(S + "/items/a/votes"))) == secure


def test_what_the_cookie_says(own):
    first = parts(own().post(S + "/items/a/votes"))
    assert first[1:] == ["Path=/", f"Max-Age={DAYS_400}", "HttpOnly", "SameSite=Lax"]
    assert f"Max-Age={90 * 60}" in parts(own(token_age="90m").post(S + "/items/a/votes"))


def test_without_cookies_none_is_set_and_none_is_read(own):
    name = own().post(S + "/items/a/votes").headers["set-cookie"].split("=")[0]
    service = own(cookies="off", secret="11" * 32, hash_key="22" * 32)
    first = service.post(S + "/items/a/votes")
    assert "set-cookie" not in first.headers
    token = first.headers["engaged-visitor"]
    named = own(secret="11" * 32, hash_key="22" * 32).post(S + "/items/a/votes").headers["set-cookie"].split("=")[0]
    assert name.split("_")[0] == named.split("_")[0]
    assert service.post(S + "/items/a/votes", Cookie=f"{named}={token}").json["votes"]["up"] == 2
    assert service.post(S + "/items/a/votes", Engaged_Visitor=token).json["votes"]["up"] == 2


def test_the_header_goes_before_the_body_and_both_before_the_cookie(service, site):
    answer = service.post(site + "/items/a/votes")
    cookie, first = answer.headers["set-cookie"].split(";")[0], answer.headers["engaged-visitor"]
    second, third = (service.post(site + "/visitors").json["visitor"] for _ in range(2))
    assert service.post(site + "/items/a/votes", {"visitor": second}, Engaged_Visitor=first, Cookie=cookie).json["votes"]["up"] == 1
    assert service.post(site + "/items/a/votes", {"visitor": second}, Cookie=cookie).json["votes"]["up"] == 2
    assert service.post(site + "/items/a/votes", {"visitor": second}, Engaged_Visitor=third).json["votes"]["up"] == 3
    assert service.post(site + "/items/a/votes", {"visitor": second}, Engaged_Visitor="ev1.x").status == 401
    assert service.post(site + "/items/a/votes", {"visitor": "ev1.x"}, Cookie=cookie).status == 401


# ---- Visitors with the key

def test_with_the_key_a_token_is_still_a_token(service, site, token):
    assert service.keyed("POST", site + "/items/a/votes", Engaged_Visitor=token).json["votes"]["up"] == 1
    assert service.post(site + "/items/a/votes", Engaged_Visitor=token).json["votes"]["up"] == 1  # the same visitor
    for bad in ("ev1.x", token[:-1], token + "A", "ev1."):
        answer = service.keyed("POST", site + "/items/a/votes", Engaged_Visitor=bad)
        assert (answer.status, answer.json["code"]) == (401, "bad_visitor"), bad
    for own in ("ev1", "EV1." + token[4:], "ev2.x"):
        assert service.keyed("POST", site + "/items/a/votes", Engaged_Visitor=own).status == 200, own


@pytest.mark.parametrize("length,status", [(1, 200), (128, 200), (129, 401), (1024, 401)])
def test_ids_of_the_publishers_own_have_at_most_128_bytes(service, site, length, status):
    own = "u" * length
    assert service.keyed("POST", site + "/items/a/votes", Engaged_Visitor=own).status == status
    assert service.keyed("POST", site + "/items/a/votes", {"visitor": own}).status == status
    assert service.keyed("POST", site + "/visitors", {"visitor": own}).status == (201 if status == 200 else 401)
    line = {"type": "view", "item": "a", "visitor": own}
    assert service.lines(site + "/events", [line]).json["accepted"] == (status == 200)


def test_an_empty_id_is_none(service, site):
    for answer in (service.keyed("POST", site + "/items/a/votes", Engaged_Visitor=""),
                   service.keyed("POST", site + "/items/a/votes", {"visitor": ""}),
                   service.keyed("POST", site + "/visitors", {"visitor": ""})):
        assert answer.status == 401
    assert service.lines(site + "/events", [{"type": "view", "item": "a", "visitor": ""}]).json["accepted"] == 0


# ---- Answers

@pytest.mark.contract("Errors", "A 401 has WWW-Authenticate")
def test_a_401_says_how_to_ask(service, site):
    assert service.request("PUT", site + "/items/a", {}).headers["www-authenticate"] == "Bearer"
    assert service.post(site + "/items/a/votes", Engaged_Visitor="x").headers["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in service.request("PUT", site + "/items/a", {}, Authorization="Bearer x").headers


def test_what_a_preflight_allows(service, site):
    origin = "https://" + site.split("/")[-1]
    asked = service.request("OPTIONS", site + "/items/a/votes", Origin=origin, Access_Control_Request_Method="POST",
                            Access_Control_Request_Headers="content-type,engaged-visitor")
    allowed = asked.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert {"content-type", "engaged-visitor", "authorization"} <= set(allowed)
    assert asked.headers["access-control-max-age"] == "86400" and asked.body == b""
    for path, methods in (("/me", "GET, HEAD, POST, DELETE, OPTIONS"), ("/items/a", "GET, HEAD, PUT, DELETE, OPTIONS"),
                          ("/items/a/editorial", "PUT, DELETE, OPTIONS"), ("/export", "GET, HEAD, OPTIONS")):
        asked = service.request("OPTIONS", site + path, Origin=origin)
        got = set(asked.headers["access-control-allow-methods"].split(", "))
        assert set(methods.split(", ")) <= got and asked.headers["allow"] == asked.headers["access-control-allow-methods"]


# ---- Paths and sites

@pytest.mark.parametrize("segment", [".", "..", "%2e", "%2E%2e", ".%2e"])
def test_dots_are_no_segment(service, site, segment):
    for path in (f"{site}/items/{segment}", f"{site}/items/{segment}/votes", f"/v1/{segment}/items/a"):
        assert service.get(path).json["code"] == "bad_path"
    assert service.get(f"{site}/items/...").status == 200 and service.get(f"{site}/items/.a").status == 200


@pytest.mark.parametrize("path", ["/items/a/", "/rankings/", "/items/a/related/", "/me/", "//items/a", "/items//a", "/items/a//"])
def test_a_slash_too_many_is_not_found(service, site, path):
    assert service.get(site + path).json["code"] == "not_found"


def test_names_of_sites(service):
    for name, good in (("a", True), ("A-1.b", True), ("9", True), ("a" * 63, True), ("a" * 64, False), ("-a", False), (".a", False),
                       ("a_b", False), ("a%20b", False), ("%c3%a4", False), ("a.", True)):
        answer = service.get(f"/v1/{name}/items/a")
        assert (answer.status, answer.json.get("code")) == ((200, None) if good else (400, "bad_site")), name


@pytest.mark.contract("Sites", "A site need not be declared")
def test_declared_sites_only(own, tmp_path):
    config = tmp_path / "c"
    config.write_text("[site one.example]\nsecret_key = one\n[site two]\norigins = https://two.example\n")
    service = own(config=str(config), sites="declared")
    for site in ("one.example", "two"):
        assert service.get(f"/v1/{site}/items/a").status == 200
        assert service.post(f"/v1/{site}/items/a/votes").status == 200
    for site in ("three", "one", "one.example.org", "One.example", "tw", "two2"):
        for answer in (service.get(f"/v1/{site}/items/a"), service.post(f"/v1/{site}/items/a/votes"),
                       service.post(f"/v1/{site}/visitors"), service.keyed("PUT", f"/v1/{site}/items/a", {}),
                       service.get(f"/v1/{site}/rankings/hot")):
            assert (answer.status, answer.json["code"]) == (404, "unknown_site"), site


# ---- Parameters

def test_how_many_ids(service, site):
    for count, status in ((1, 200), (100, 200), (101, 400)):
        query = "&".join(f"id=i{n}" for n in range(count))
        many = service.get(f"{site}/items?{query}")
        assert many.status == status and (status == 400 or len(many.json["items"]) == count)
        assert service.get(f"{site}/me?{query}").status == status
        excluded = service.get(f"{site}/items/a/related?" + query.replace("id=", "exclude="))
        assert excluded.status == status


@pytest.mark.parametrize("name", ["events", "import"])
def test_wait_is_true_or_false(service, site, name):
    def call(query):
        return service.keyed("POST", f"{site}/{name}{query}", b"", Content_Type="application/x-ndjson")
    for query, status in (("", 200), ("?wait=true", 200), ("?wait=false", 200), ("?wait=", 400), ("?wait", 400), ("?wait=1", 400),
                          ("?wait=TRUE", 400), ("?wait=true&wait=true", 400), ("?wait=true%00", 400)):
        assert call(query).status == status, query


@pytest.mark.parametrize("query,code", [
    ("limit=1", None), ("limit=100", None), ("limit=0", "bad_limit"), ("limit=101", "bad_limit"), ("limit=", "bad_limit"),
    ("limit=-1", "bad_limit"), ("limit=1.0", "bad_limit"), ("limit=01", None), ("limit=%31", None), ("limit=1%20", "bad_limit"),
    ("limit=99999999999999999999", "bad_limit"), ("category=", "bad_parameter"), ("category=%ff", "bad_parameter"),
    ("category=a&category=a", "repeated_parameter"), ("format=json", None), ("format=JSON", "bad_parameter"),
    ("format=", "bad_parameter"), ("exclude=", "bad_exclude"), ("exclude=-", "bad_exclude"), ("exclude=%zz", "bad_parameter")])
def test_parameters_of_a_list(service, site, query, code):
    answer = service.get(f"{site}/rankings/hot?{query}")
    assert (answer.status, answer.json.get("code")) == (400 if code else 200, code)


@pytest.mark.parametrize("query,code", [("related=0", None), ("ranking=100", None), ("recommendation=101", "bad_limit"),
                                        ("related=x", "bad_limit"), ("related=0&ranking=0&recommendation=0", None)])
def test_counts_of_a_page(service, site, query, code):
    answer = service.get(f"{site}/items/a/page?{query}")
    assert (answer.status, answer.json.get("code")) == (400 if code else 200, code)
    if query == "related=0&ranking=0&recommendation=0":
        assert set(answer.json) == {"item"}


# ---- Values of fields

@pytest.mark.parametrize("field,good,bad", [
    ("pin", [1, 100, 3.0], [0, 101, -1, 1.5, "1", True, [], 1e300]), ("boost", [0.5, 2, 1e3], ["2", True, [], {}]),
    ("bury", [True, False], [1, 0, "true", [], {}]), ("block", [True, False], [1, "yes", []]),
    ("lists", [["ranking"], ["ranking", "related"]], [["none"], "ranking", [1], {}, [["ranking"]]]),
    ("until", [4102444800, "2100-01-01T00:00:00Z"], ["soon", True, [], "2100-13-01T00:00:00Z"]),
    ("note", ["", "n"], [1, True, [], {}])])
def test_types_of_an_editors_fields(service, site, field, good, bad):
    for value in good:
        answer = service.keyed("PUT", site + "/items/a/editorial", {"pin": 1, field: value})
        assert answer.status == 200, (field, value, answer.body)
    for value in bad:
        answer = service.keyed("PUT", site + "/items/a/editorial", {"pin": 1, field: value})
        assert answer.status == 400 and answer.json["code"] in ("bad_field", "bad_time"), (field, value)
        assert answer.json["detail"]


@pytest.mark.parametrize("field,bad", [
    ("title", [1, True, [], {}]), ("url", [1, ["/a"]]), ("author", [False]), ("categories", ["a", {}, [1], [["a"]], ["a", "a"], [""],
     [str(n) for n in range(9)]]), ("published_at", ["x", True, [], {}, "2026-02-30T00:00:00Z"]),
    ("base", [1, "x", [], {"views": -1}, {"views": 1.5}, {"views": "1"}, {"views": 2 ** 53}, {"votes": 1}, {"votes": {"up": -1}},
              {"votes": {"up": True}}])])
def test_types_of_a_cards_fields(service, site, field, bad):
    for value in bad:
        answer = service.keyed("PUT", site + "/items/a", json.dumps({field: value}))
        assert answer.status == 400 and answer.json["code"] in ("bad_field", "bad_time"), (field, value)
    assert service.keyed("PUT", site + "/items/a", {"categories": [str(n) for n in range(8)]}).status == 200
    assert service.keyed("PUT", site + "/items/a", {"base": {"views": 7.0}}).json["views"] == 7
