# SPDX-License-Identifier: MIT
"""Who may write, at the edges: origins and referers that only look like a site's, a page's own keys, many wrong keys,
garbage in the headers that name the reader, and the counting image, which is an image whatever goes wrong."""
import socket

import pytest

from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

HOST, OPEN = "news.example", "open"
SECTIONS = "[site declared]\n[site listed]\norigins = https://two.example\n"

# None of these is an origin that a browser gives to a page of the site.
ODD = ["https://evil.example\\.news.example", "https://evil.example%2f.news.example", "https://evil.example,.news.example",
       "https://evil.example;.news.example", "https://evil.example'.news.example", "https://evil.example:80\\.news.example",
       "https://evil@.news.example", "https://a:b@x.news.example", "https://user@news.example", "https://.news.example", "https://a..news.example",
       "https://news.example:", "https://news.example:65536", "https://news.example:-1", "https://[news.example]", "https://[::1].news.example",
       "https://[::1]x.news.example", "https:news.example", "https:/news.example", "https:///news.example", "//news.example", "https://news.example\\",
       "https://news.example*", "https://*.news.example", "https://<.news.example", "https://evil.example|.news.example", "ftp://news.example",
       "javascript://news.example", "https://https://news.example", "data:news.example"]
ANY = ["null", "https://any.example", "http://[::1]:8080", "https://under_score.example", "moz-extension://0f0e-11", "file://", "capacitor://localhost",
       "http://127.0.0.1"]
NOT_ANY = ["nul", "NULL", "https://", "https://a\\b", "https://a@b", "https://a/b", "garbage", "://a", "a b://c", "https://a b", "https://a:x",
           "http://[::1", "http://[a]", "https://a..b"]


@pytest.fixture(scope="module")
def service():
    one = Service(configuration=SECTIONS, rate_limits="off", hang_timeout="60s")
    yield one
    one.stop()


def views(service):
    metrics = service.metrics()
    return {result: metrics[f'engaged_views_total{{result="{result}"}}'] for result in ("counted", "repeat", "origin")}


def votes(service, site, item):
    return service.get(f"/v1/{site}/me?id={item}").json["counts"][item]["up"]


@pytest.mark.parametrize("origin", ODD)
def test_an_origin_that_only_looks_like_the_sites_counts_nothing(service, origin):
    item = f"odd{ODD.index(origin)}"
    answer = service.post(f"/v1/{HOST}/items/{item}/votes", Origin=origin)
    assert (answer.status, answer.json["code"]) == (403, "bad_origin") and votes(service, HOST, item) == 0
    before = views(service)
    image = service.get(f"/v1/{HOST}/items/{item}/view.gif", Referer=origin + "/a")
    assert (image.status, len(image.body)) == (200, 43) and "engaged-visitor" not in image.headers
    after = views(service)
    assert (after["counted"], after["origin"]) == (before["counted"], before["origin"] + 1)


def test_a_referer_counts_by_its_host_alone(service):
    right = ["https://news.example/a", "https://news.example:8443/?x=\\", "http://a-b_c.d.news.example/#@evil.example", "https://NEWS.example?x",
             "https://news.example", "https://news.example:80"]
    before = views(service)["counted"]
    for number, referer in enumerate(right):
        service.get(f"/v1/{HOST}/items/right{number}/view.gif", Referer=referer)
        assert views(service)["counted"] == before + number + 1, referer


@pytest.mark.parametrize("site", [OPEN, "declared", "192.0.2.1"])
def test_a_site_without_a_host_name_takes_tokens_from_any_origin_also_null(service, site):
    token = service.post(f"/v1/{site}/visitors").json["visitor"]
    cookie = service.post(f"/v1/{site}/items/c/votes").headers["set-cookie"].split(";")[0]
    for number, origin in enumerate(ANY):
        path = f"/v1/{site}/items/any{number}/votes"
        answer = service.post(path, Origin=origin, Engaged_Visitor=token, Cookie=cookie)
        assert (answer.status, answer.json["votes"]["up"]) == (200, 1), origin
        assert answer.headers["access-control-allow-origin"] == origin and "access-control-allow-credentials" not in answer.headers
        answer = service.post(path, {"visitor": token}, Origin=origin)
        assert answer.json["votes"]["up"] == 1, "the token in the body"
        answer = service.post(path, Origin=origin, Cookie=cookie)  # the cookie is not looked at
        assert answer.json["votes"]["up"] == 2 and "set-cookie" not in answer.headers and "engaged-visitor" in answer.headers
        asked = service.request("OPTIONS", path, Origin=origin, Access_Control_Request_Method="POST")
        assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, origin)
    for number, origin in enumerate(NOT_ANY):
        answer = service.post(f"/v1/{site}/items/not{number}/votes", Origin=origin, Engaged_Visitor=token)
        assert (answer.status, answer.json["code"]) == (403, "bad_origin"), origin


@pytest.mark.parametrize("site", [HOST, "listed"])
def test_null_is_no_origin_of_a_host_or_a_list(service, site):
    assert service.post(f"/v1/{site}/items/null/votes", Origin="null").status == 403


# ---- Ids and limits that cannot be decoded

@pytest.mark.parametrize("text", ["%00", "a%00b", "%ff", "%0a", "%c3%28", "-", ".", "..", ""])
def test_an_invalid_id_to_exclude_has_its_own_code(service, text):
    for path in ("rankings/hot", "items/a/related", "items/a/page", "me/recommendations"):
        answer = service.get(f"/v1/{OPEN}/{path}?exclude={text}")
        assert (answer.status, answer.json["code"]) == (400, "bad_exclude"), path
        answer = service.get(f"/v1/{OPEN}/{path}?exclude=fine&exclude={text}")
        assert (answer.status, answer.json["code"]) == (400, "bad_exclude"), path
    for path in ("me", "items", "items/-"):
        answer = service.get(f"/v1/{OPEN}/{path}?id={text}")
        assert (answer.status, answer.json["code"]) == (400, "bad_item"), path


@pytest.mark.parametrize("text", ["%", "%a", "%zz", "a%"])
def test_an_invalid_escape_is_bad_parameter(service, text):
    for query in ("exclude", "limit", "format", "category", "odd%zz=1&limit"):
        assert service.get(f"/v1/{OPEN}/rankings/hot?{query}={text}").json["code"] == "bad_parameter"


@pytest.mark.parametrize("text", ["%00", "1%00"])
def test_a_limit_with_a_nul_is_bad_limit(service, text):
    assert service.get(f"/v1/{OPEN}/rankings/hot?limit={text}").json["code"] == "bad_limit"
    assert service.get(f"/v1/{OPEN}/items/a/page?related={text}").json["code"] == "bad_limit"
    assert service.get(f"/v1/{OPEN}/rankings/hot?format={text}").json["code"] == "bad_parameter"


# ---- Keys

OWN = ["Bearer a-pages-own-token", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer k2", "Digest x"]


@pytest.mark.parametrize("field", OWN)
def test_a_pages_own_authorization_is_of_no_account_where_no_key_is_needed(own, field):
    service = own(wrong_keys_per_minute=1, wrong_keys_burst=1)
    network = {"X-Forwarded-For": "192.0.2.1", "Authorization": field}
    token = service.post("/v1/s/visitors", **network).json["visitor"]
    for number in range(4):
        assert service.post(f"/v1/s/items/a{number}/votes", Engaged_Visitor=token, **network).status == 200
        assert service.post("/v1/s/items/a/views", Engaged_Visitor=token, **network).status == 202
        assert service.get("/v1/s/me?id=a&odd=1", Engaged_Visitor=token, **network).status == 200  # not strict
        assert service.get("/v1/s/rankings/hot?odd=1", **network).status == 200
        assert service.get("/v1/s/items/a/view.gif", **network).status == 200
        assert service.post("/v1/s/visitors", {"visitor": "opaque"}, **network).status == 401  # nor a key
    assert service.metrics()['engaged_refused_total{by="wrong_keys"}'] == 0
    answer = service.request("PUT", "/v1/s/items/a", "{}", **network)  # nothing was charged
    assert (answer.status, answer.json["code"]) == ((403, "bad_key") if field.startswith("Bearer ") and field != "Bearer " else (401, "key_required"))


def test_a_right_key_counts_where_none_is_needed(own):
    service = own()
    assert service.keyed("POST", "/v1/s/visitors", {"visitor": "opaque"}).status == 201
    assert service.keyed("GET", "/v1/s/rankings/hot?odd=1").json["code"] == "unknown_parameter"


def test_wrong_keys_in_masses_never_shut_the_right_one_out(own):
    service = own(wrong_keys_per_minute=1, wrong_keys_burst=1, auto_proxies_factor=2, wide_network_factor=1)

    def put(key, address):
        return service.request("PUT", "/v1/s/items/a", "{}", Authorization=f"Bearer {key}", X_Forwarded_For=address).status

    assert [put("x", f"198.51.{n}.1") for n in range(4)] == [403, 403, 429, 429]  # the joint limit of all
    assert [put("y", "198.51.0.1"), put("y", "198.51.0.2")] == [429, 429]  # the network's, the wider one's
    for address in ("198.51.0.1", "198.51.0.2", "198.51.99.1", "127.0.0.1"):
        assert put("k", address) == 200
    assert [put("x", "198.51.0.1"), put("k", "198.51.0.1")] == [429, 200]


# ---- Readers that are named by garbage

GARBAGE = ["", "unknown", "not an address", "192.0.2.1.5", "192.0.2.1:x", "[::1", "192.0.2.1 192.0.2.2", "\u00e9", "\"192.0.2.1\"", "for=192.0.2.1",
           "192.0.2.1, unknown", "192.0.2.1,, -", "fe80::1%eth0"]


def test_a_reader_named_by_garbage_is_the_peer_and_has_limits(own):
    service = own(votes_per_minute=1, votes_burst=1, auto_proxies_factor=0)

    def vote(named):
        with socket.create_connection(("127.0.0.1", service.port)) as wire:
            wire.sendall(f"POST /v1/s/items/a/votes HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {named}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
            return int(wire.makefile("rb").readline().split()[1])

    assert vote("127.0.0.1") == 200, "the first one of the peer's own network"
    assert {named: vote(named) for named in GARBAGE} == dict.fromkeys(GARBAGE, 429)
    assert [vote("192.0.2.1, ,"), vote("192.0.2.1"), vote("unknown, 192.0.2.2"), vote("192.0.2.2:80")] == [200, 429, 200, 429]  # empty elements say nothing
    assert service.metrics()["engaged_unlimited_writes_total"] == 0


# ---- The image

IMAGES = ["/v1/{s}/items/-/view.gif", "/v1/{s}/items/-/view.gif?id=", "/v1/{s}/items/-/view.gif?id=a&id=b",
          "/v1/{s}/items/%00/view.gif", "/v1/{s}/items/%zz/view.gif", "/v1/{s}/items/%ff/view.gif", "/v1/{s}/items/%2e%2e/view.gif",
          "/v1/{s}/items/" + "a" * 513 + "/view.gif", "/v1/bad_site/items/a/view.gif", "/v1/" + "s" * 64 + "/items/a/view.gif", "/v1/%ff/items/a/view.gif"]


def is_image(answer):
    return (answer.status, answer.headers["content-type"], answer.headers["cache-control"], len(answer.body),
            answer.headers["cross-origin-resource-policy"]) == (200, "image/gif", "no-store", 43, "cross-origin")


@pytest.mark.parametrize("path", IMAGES)
def test_an_image_is_one_whatever_is_asked(service, path):
    before = views(service)["counted"]
    answer = service.get(path.format(s=OPEN))
    assert is_image(answer) and answer.body.startswith(b"GIF89a") and "engaged-visitor" not in answer.headers
    assert views(service)["counted"] == before
    assert service.request("HEAD", path.format(s=OPEN)).status == 200


@pytest.mark.parametrize("token", ["ev1.forged", "x", "", "ev1." + "A" * 60])
def test_an_image_of_a_forged_visitor_is_one_and_counts_nothing(service, token):
    before = views(service)["counted"]
    assert is_image(service.get(f"/v1/{OPEN}/items/a/view.gif", Engaged_Visitor=token)) and views(service)["counted"] == before


def test_other_paths_are_no_image(service):
    for path, status in ((f"/v1/{OPEN}/items/%ff/view.gi", 400), (f"/v1/{OPEN}/items/a/b/view.gif", 404), ("/view.gif", 404), (f"/v1/{OPEN}/view.gif", 404),
                         (f"/v2/{OPEN}/items/%ff/view.gif", 400)):
        assert service.get(path).status == status, path
    for method in ("POST", "PUT", "DELETE"):
        assert service.request(method, f"/v1/{OPEN}/items/a/view.gif").status == 405
        assert service.request(method, f"/v1/{OPEN}/items/%ff/view.gif").status == 400


def test_an_image_is_one_without_its_site_card_or_redis():
    with RedisServer() as redis:
        service = Service(configuration="[site known]\n", redis=redis.url, sites="declared", unknown_items="reject", secret="11" * 32, hash_key="22" * 32,
                          redis_timeout="200ms")
        try:
            assert is_image(service.get("/v1/known/items/a/view.gif"))  # no card
            assert is_image(service.get("/v1/unknown/items/a/view.gif"))
            assert service.keyed("PUT", "/v1/known/items/a", {"title": "A"}).status == 200
            redis.kill()
            wait_until(lambda: service.post("/v1/known/items/a/views").status == 503, 20)
            for _ in range(3):
                assert is_image(service.get("/v1/known/items/a/view.gif"))
        finally:
            service.stop()
