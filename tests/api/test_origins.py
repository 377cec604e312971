# SPDX-License-Identifier: MIT
"""Whose pages may write, and what any other page is told: docs/api.md section 0, rows "origins" and "CORS"."""
import signal
import socket

import pytest

from support.service import Service, free_port
from support.wait import wait_until

HOST = "news.example"
CONFIG = """
[site listed]
origins = https://News.Example https://two.example:443 http://three.example:8080
secret_key = k

[site closed.example]
origins = https://elsewhere.example

[site open]
secret_key = k
"""


@pytest.fixture(scope="module")
def service():
    path = f"/tmp/engaged-origins-{free_port()}.conf"
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONFIG)
    running = Service(config=path, public_url="https://Engaged.Example", trusted_proxies="127.0.0.1")
    yield running
    running.stop()


def votes(service, site, item):
    return service.get(f"/v1/{site}/me?id={item}").json["counts"][item]["up"]


def views(service):
    return {name.split('"')[1]: value for name, value in service.metrics().items()
            if name.startswith("engaged_views_total")}


def own(service):
    return f"http://127.0.0.1:{service.port}"


# ---- Writes by Origin

ALLOWED = [("news.example", origin) for origin in (
    "https://news.example", "http://news.example", "https://news.example:8443", "http://a.b.news.example",
    "https://www.news.example", "https://NEWS.example")] + [
        ("News.Example", "https://news.example"),
        ("www.news.example", "https://www.news.example"), ("www.news.example", "https://news.example"),
        ("www.news.example", "https://a.www.news.example"), ("www.news.example", "http://news.example:81"),
        ("listed", "https://news.example"), ("listed", "https://two.example"), ("listed", "http://three.example:8080"),
        ("closed.example", "https://elsewhere.example"),
        ("listed", "https://engaged.example"), ("news.example", "https://engaged.example")]

REFUSED = [("news.example", origin) for origin in (
    "https://evil.example", "https://evilnews.example", "https://news.example.evil.example", "https://example", "null",
    "ftp://news.example", "https://news.example/", "https://news.example:x", "https://news.example:99999",
    "news.example", "https://", "https://news.example.", "https://.news.example@evil.example", "https://ews.example",
    "https://news.example, https://news.example", "https://xn--news.example-", "https://a-news.example")] + [
        ("www.news.example", "https://m.news.example"), ("www.news.example", "https://wwwnews.example"),
        ("www.news.example", "https://evil.example"), ("wwwx.example", "https://x.example"), ("abc.x.example", "https://x.example"),
        ("listed", "http://news.example"), ("listed", "https://www.news.example"), ("listed", "https://three.example:8080"),
        ("listed", "https://two.example:444"), ("closed.example", "https://closed.example")]


@pytest.mark.parametrize("site,origin", ALLOWED)
@pytest.mark.contract("Origins", "An Origin equal to the request's own, or to public_url",
                      "A site without one whose name is a host name",
                      "www.example.org takes also")
def test_an_origin_that_may_write(service, site, origin):
    item = "a" + str(ALLOWED.index((site, origin)))
    answer = service.post(f"/v1/{site}/items/{item}/votes", Origin=origin)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    assert answer.headers["access-control-allow-credentials"] == "true" and "set-cookie" in answer.headers
    assert answer.headers["vary"] == "Origin" and votes(service, site, item) == 1


@pytest.mark.parametrize("site,origin", REFUSED)
@pytest.mark.contract("Origins", "A site with an allow-list refuses writes",
                      "A site without one whose name is a host name",
                      "www.example.org takes also")
def test_one_that_may_not_is_told_so_and_counts_nothing(service, site, origin):
    item = "r" + str(REFUSED.index((site, origin)))
    for method, path in (("POST", f"items/{item}/votes"), ("DELETE", f"items/{item}/votes"), ("POST", f"items/{item}/views"),
                         ("POST", "visitors"), ("DELETE", "me"), ("PUT", f"items/{item}")):
        answer = service.request(method, f"/v1/{site}/{path}", Origin=origin)
        assert (answer.status, answer.json["code"]) == (403, "bad_origin"), (method, path)
        named = answer.headers.get("access-control-allow-origin")
        assert named == (None if " " in origin else origin) and answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers
        assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers
    asked = service.request("OPTIONS", f"/v1/{site}/items/{item}/votes", Origin=origin,
                            Access_Control_Request_Method="POST")
    assert asked.status == 204 and asked.headers.get("access-control-allow-origin") == named
    assert "access-control-allow-credentials" not in asked.headers
    assert named is None or asked.headers["access-control-allow-methods"] == "POST, DELETE, OPTIONS"
    assert (votes(service, site, item), service.get(f"/v1/{site}/items/{item}").json["views"]) == (0, 0)


@pytest.mark.parametrize("site", ["open", "undeclared", "192.0.2.1"])
@pytest.mark.contract("Origins", "A site whose name is no host name takes tokens", "A call without an Origin is allowed")
def test_a_site_without_a_host_name_takes_tokens_from_everywhere_and_its_cookie_from_its_own(service, site):
    path = f"/v1/{site}/items/o/votes"
    cookie = service.post(path).headers["set-cookie"].split(";")[0]
    answer = service.post(path, Origin="https://any.example", Cookie=cookie)
    assert (answer.status, answer.json["votes"]["up"]) == (200, 2)  # another visitor
    assert answer.headers["access-control-allow-origin"] == "https://any.example"
    assert "access-control-allow-credentials" not in answer.headers and "set-cookie" not in answer.headers
    assert "engaged-visitor" in answer.headers
    assert service.post(path, Origin=own(service), Cookie=cookie).json["votes"]["up"] == 2


@pytest.mark.contract("Origins", "An Origin equal to the request's own, or to public_url")
def test_the_own_origin_is_the_whole_of_it(service):
    """The request's own Host, not one that it begins, ends or is begun by."""
    host = f"127.0.0.1:{service.port}"
    for origin in (f"http://{host}", f"https://{host}"):
        assert service.post("/v1/listed/items/own/votes", Origin=origin).status == 200
    for origin in (f"http://{host}.evil.example", f"http://{host}1", f"http://{host[:-1]}", "http://127.0.0.1",
                   f"http://evil.{host}", f"ws://{host}", "https://engaged.example.evil.example", "https://Engaged.Example.evil.example"):
        assert service.post("/v1/listed/items/own/votes", Origin=origin).status == 403, origin
        answer = service.post("/v1/open/items/own/votes", Origin=origin)
        assert "access-control-allow-credentials" not in answer.headers and "set-cookie" not in answer.headers, origin


@pytest.mark.parametrize("length,site,status", [(300, "open", 200), (301, "open", 403), (6000, "open", 403),
                                                (6000, HOST, 403), (30000, HOST, 403)])
def test_a_long_origin_is_refused_and_not_repeated(service, length, site, status):
    origin = "https://" + "a" * (length - 8)
    answer = service.post(f"/v1/{site}/items/long/votes", Origin=origin)
    assert answer.status == status
    assert answer.headers.get("access-control-allow-origin") == (origin if length <= 300 else None)


@pytest.mark.parametrize("byte", [b"\x01", b"\x7f", b"\xff", b"\t", b" "])
def test_an_origin_that_is_none_is_not_repeated(service, byte):
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(b"POST /v1/open/items/a/votes HTTP/1.1\r\nHost: x\r\nOrigin: https://a" + byte +
                       b"b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert answer.split()[1] in (b"400", b"403") and b"https://a" not in answer


# ---- The image, by Referer

@pytest.mark.parametrize("site,headers,counts", [
    (HOST, {"Referer": "https://news.example/a?b#c"}, True), (HOST, {"Referer": "http://m.news.example:81"}, True),
    (HOST, {"Referer": "https://news.example?x"}, True),
    (HOST, {"Referer": "https://news.example/", "Sec-Fetch-Site": "cross-site"}, True),
    (HOST, {"Referer": "https://evil.example/"}, False), (HOST, {"Referer": "https://evil.example/news.example"}, False),
    (HOST, {"Referer": "https://evil.example/", "Sec-Fetch-Site": "same-origin"}, False),
    (HOST, {"Referer": "https://evil.example?https://news.example"}, False),
    (HOST, {"Referer": "https://evil.example#.news.example"}, False),
    (HOST, {"Referer": "https://news.example@evil.example/"}, False),
    (HOST, {"Referer": "about:blank"}, False), (HOST, {"Referer": "https://" + "a" * 6000 + "/"}, False),
    ("listed", {"Referer": "https://two.example/"}, True), ("listed", {"Referer": "http://two.example/"}, False),
    ("open", {"Referer": "https://any.example/"}, True), ("open", {"Sec-Fetch-Site": "cross-site"}, False),
    (HOST, {}, True), (HOST, {"Referer": ""}, True),
    (HOST, {"Sec-Fetch-Site": "cross-site"}, False), (HOST, {"Referer": "", "Sec-Fetch-Site": "cross-site"}, False),
    (HOST, {"Sec-Fetch-Site": "same-site"}, True), (HOST, {"Sec-Fetch-Site": "same-origin"}, True),
    (HOST, {"Sec-Fetch-Site": "none"}, True),
    (HOST, {"Origin": "https://evil.example"}, False), (HOST, {"Origin": "null"}, False),
    (HOST, {"Origin": "https://news.example", "Sec-Fetch-Site": "cross-site"}, True)])
@pytest.mark.contract("Origins", "view.gif goes by Referer", "Without Referer, Sec-Fetch-Site", "The image is answered 200")
def test_the_image_counts_by_its_page(service, site, headers, counts):
    before = views(service)
    answer = service.get(f"/v1/{site}/items/image/view.gif", **headers)
    assert (answer.status, len(answer.body), answer.headers["cache-control"]) == (200, 43, "no-store")
    after = views(service)
    assert after["counted"] - before["counted"] == counts and after["origin"] - before["origin"] == (not counts)
    if not counts:
        assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers


def test_the_image_of_the_services_own_pages_counts(service):
    before = views(service)["counted"]
    service.get("/v1/closed.example/items/image/view.gif", Referer=own(service) + "/article")
    service.get("/v1/closed.example/items/image/view.gif", Referer="https://engaged.example/article")
    assert views(service)["counted"] == before + 2


# ---- CORS on whatever is answered

@pytest.mark.parametrize("path", ["/v1/listed/me/recommendations", "/v1/listed/items/a/view.gif", "/v1/listed/export",
                                  "/v1/listed/editorial", "/v1/listed/me"])
def test_the_preflight_of_a_read_that_is_not_shared(service, path):
    for origin, credentials in (("https://news.example", "true"), ("https://evil.example", None)):
        asked = service.request("OPTIONS", path, Origin=origin, Access_Control_Request_Method="GET")
        assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, origin)
        assert asked.headers.get("access-control-allow-credentials") == credentials
        assert asked.headers["vary"] == "Origin" and "GET" in asked.headers["access-control-allow-methods"]


@pytest.mark.parametrize("path", ["/metrics", "/dashboard"])
def test_the_operators_pages_are_granted_to_nobody(service, path):
    asked = service.request("OPTIONS", path, port=service.ops_port, Origin="https://evil.example")
    assert "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize("path", ["/v1/listed/rankings/hot", "/v1/listed/rankings", "/v1/listed/items/a/related", "/widget.js"])
def test_shared_reads_are_everybodys(service, path):
    asked = service.request("OPTIONS", path, Origin="https://evil.example", Access_Control_Request_Method="GET")
    answer = service.get(path, Origin="https://evil.example")
    for one in (asked, answer):
        assert one.headers["access-control-allow-origin"] == "*" and one.headers.get("vary") in (None, "Accept-Encoding")


@pytest.mark.parametrize("method,path,status", [
    ("GET", "/v1/listed/items/%ff", 400), ("POST", "/v1/listed/items/%ff/votes", 400), ("GET", "/v1/listed/nothing", 404),
    ("POST", "/nothing", 404), ("PATCH", "/v1/listed/items/a/votes", 405), ("POST", "/v1/-/items/a/votes", 400),
    ("POST", "/v1/listed/rankings/hot", 405), ("PUT", "/v1/listed/items/a", 401), ("GET", "/v1/listed/rankings/none", 404)])
@pytest.mark.parametrize("origin", ["https://news.example", "https://evil.example"])
def test_errors_can_be_read_by_a_page(service, method, path, status, origin):
    answer = service.request(method, path, Origin=origin)
    refused = origin == "https://evil.example" and (method, path, status) == ("PUT", "/v1/listed/items/a", 401)
    assert answer.status == (403 if refused else status)
    assert answer.headers["access-control-allow-origin"] in ("*", origin)
    if origin == "https://evil.example":
        assert "access-control-allow-credentials" not in answer.headers
    exposed = answer.headers["access-control-expose-headers"].lower().replace(" ", "").split(",")
    assert {"engaged-visitor", "engaged-checked-at", "retry-after", "etag"} <= set(exposed)


@pytest.mark.contract("Errors", "Errors have CORS headers too")
@pytest.mark.contract("CORS", "On everything but shared reads the one allowed origin is named")
@pytest.mark.parametrize("body", [b"x" * 17000, [b"x" * 17000]], ids=["announced", "chunked"])
@pytest.mark.parametrize("path", ["/visitors", "/items/a/votes", "/items/a/views", "/me"])
def test_a_body_that_is_too_large_is_refused_in_words_that_the_page_can_read(service, path, body):
    def post(**headers):
        return service.post("/v1/listed" + path, body if isinstance(body, bytes) else iter(body), **headers)

    answer = post(Origin="https://news.example")
    assert (answer.status, answer.json["code"], answer.headers["cache-control"]) == (413, "too_large", "no-store")
    assert answer.headers["access-control-allow-origin"] == "https://news.example" and answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-allow-credentials"] == "true" and "set-cookie" not in answer.headers
    assert "access-control-allow-origin" not in post().headers
    assert post(Origin="https://evil.example").json["code"] == "bad_origin"


@pytest.mark.contract("Errors", "Errors have CORS headers too")
@pytest.mark.contract("CORS", "On everything but shared reads the one allowed origin is named")
def test_a_body_that_is_malformed_is_refused_in_words_that_the_page_can_read(service):
    head = "POST /v1/listed/visitors HTTP/1.1\r\nHost: x\r\nOrigin: https://news.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        client.sendall(head.encode() + b"zz\r\n")
        with client.makefile("rb") as file:
            answer = file.read().decode()
    assert answer.startswith("HTTP/1.1 400 ") and '"bad_request"' in answer
    assert "\r\nAccess-Control-Allow-Origin: https://news.example\r\n" in answer


@pytest.mark.contract("Errors", "Errors have CORS headers too")
def test_errors_of_the_head_are_for_everybody(service):
    answer = service.post("/v1/listed/items/a/votes", b"", Origin="https://news.example", X_Long="x" * 40000)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (431, "*")
    assert answer.headers["cache-control"] == "no-store"


def test_what_a_page_may_read_of_an_answer(service):
    for answer in (service.post("/v1/listed/visitors", Origin="https://news.example"),
                   service.get("/v1/listed/rankings/hot", Origin="https://news.example")):
        exposed = answer.headers["access-control-expose-headers"]
        for name in ("Engaged-Checked-At", "Retry-After", "ETag"):
            assert name in exposed


# ---- What the start says

@pytest.mark.contract("Origins", "A site whose name is no host name takes tokens")
def test_the_start_says_which_sites_take_writes_from_any_origin(service):
    log = service.log()
    assert log.count("site open takes writes from any origin") == 1
    assert "site listed takes" not in log and "site closed.example takes" not in log
    assert log.count("sites that are not declared take writes from any origin") == 1


def test_a_reload_says_it_again_of_what_is_new(tmp_path):
    config = tmp_path / "c"
    config.write_text("[site news.example]\nsecret_key = k\n")
    running = Service(config=str(config), sites="declared")
    config.write_text("[site news]\nsecret_key = k\n")
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "site news takes writes from any origin" in running.log(), what=running.log)
    wait_until(lambda: running.post("/v1/news/visitors").status == 201)
    running.stop()


def test_with_declared_sites_it_does_not_speak_of_others(tmp_path):
    config = tmp_path / "c"
    config.write_text("[site news.example]\nsecret_key = k\n")
    running = Service(config=str(config), sites="declared")
    log = running.log()
    running.stop()
    assert "from any origin" not in log


@pytest.mark.parametrize("origin, status", [
    ("https://service.example", 200), ("https://service.example:8443", 403), ("https://service.example.evil", 403), ("https://service.exampl", 403),
    ("https://service.example-evil.org", 403), ("https://xservice.example", 403)])
def test_the_services_own_origin_is_its_whole_host(service, origin, status):
    answer = service.post("/v1/news.example/items/own/votes", Host="service.example", Origin=origin)
    assert answer.status == status
    assert answer.headers.get("access-control-allow-credentials") == ("true" if status == 200 else None)


@pytest.mark.parametrize("host, origin, status", [
    ("service.example:443", "https://service.example", 200), ("service.example:80", "http://service.example", 200), ("[::1]:80", "http://[::1]", 200),
    ("service.example", "https://service.example:443", 200), ("service.example:443", "http://service.example", 403),
    ("service.example:80", "https://service.example", 403), ("service.example:8443", "https://service.example", 403), (":443", "https://", 403),
    ("service.example:443", "https://service.example.evil:443", 403), ("service.example:4443", "https://service.example:4", 403)])
def test_the_usual_port_of_a_scheme_may_be_named_or_not(service, host, origin, status):
    """Browsers leave it out. A proxy may name it ("Host: $host:$server_port")."""
    answer = service.post("/v1/news.example/items/own/votes", Host=host, Origin=origin)
    assert answer.status == (400 if host == ":443" else status)
    assert answer.headers.get("access-control-allow-credentials") == ("true" if status == 200 else None)


@pytest.mark.parametrize("site", ["open", "news.example"])
def test_an_origin_that_is_a_star_allows_nobody(service, site):
    for method in ("POST", "OPTIONS"):
        answer = service.request(method, f"/v1/{site}/items/star/votes", Origin="*")
        assert answer.status == (403 if method == "POST" else 204)
        assert "access-control-allow-origin" not in answer.headers
