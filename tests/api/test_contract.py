# SPDX-License-Identifier: MIT
"""The sentences of docs/api.md that no other file of this folder tries. Each test names its sentence."""
import pytest

from support.service import BareService

LISTS = ["/rankings/hot", "/items/a/related"]
COMMENT = "<!-- engaged: {} {} -->\n"


@pytest.mark.parametrize("call", ["/rankings", "/items/a", "/items?id=a&", "/rankings/hot", "/items/a/related", "/items/a/page"])
def test_with_the_secret_key_an_unknown_parameter_is_400(service, site, call):
    address = site + call + ("" if call.endswith("&") else "?") + "buster=1"
    counted = service.metrics()["engaged_unknown_parameters_total"]
    for _ in range(3):  # the same target again: it is not answered from memory as if it were known
        assert service.get(address).status == 200
    assert service.metrics()["engaged_unknown_parameters_total"] == counted + 3
    answer = service.keyed("GET", address)
    assert (answer.status, answer.json["code"]) == (400, "unknown_parameter")


@pytest.mark.parametrize("value", [5, True, [], {}, ["ev1.x"]])
@pytest.mark.parametrize("method,call", [("POST", "/items/a/votes"), ("DELETE", "/items/a/votes"), ("POST", "/items/a/views"),
                                         ("POST", "/visitors"), ("DELETE", "/me")])
def test_a_wrong_type_is_always_400(service, site, method, call, value):
    answer = service.request(method, site + call, {"visitor": value})
    assert (answer.status, answer.json["code"], answer.json["detail"]) == (400, "bad_field", "visitor: must be a text")
    assert "set-cookie" not in answer.headers and "www-authenticate" not in answer.headers
    assert service.request(method, site + call, {"visitor": "ev1.x"}).status == 401


def test_a_wrong_type_is_always_400_also_for_publishers(service, site):
    answer = service.keyed("POST", site + "/corrections", {"visitor": 5})
    assert (answer.status, answer.json["code"]) == (400, "bad_field")
    lines = service.lines(site + "/events", [{"type": "view", "item": "a", "visitor": 5}])
    assert lines.json["rejected"] == [{"line": 1, "code": "bad_field"}]


@pytest.mark.parametrize("call,status,code", [
    ("/items/%00/related", 400, "bad_path"), ("/items/%ff/related", 400, "bad_path"), ("/rankings/%2", 400, "bad_path"),
    ("/rankings/hot/", 404, "not_found"), ("/items/-/related", 400, "bad_parameter")])
def test_an_errors_body_is_then_an_html_comment(service, site, call, status, code):
    answer = service.get(f"{site}{call}?format=html")
    assert (answer.status, answer.body.decode()) == (status, COMMENT.format(status, code))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for query in ("", "?format=feed"):
        assert service.get(site + call + query).json["code"] == code


def test_an_errors_body_is_a_comment_each_time_it_is_asked_for():
    service = BareService(redis_timeout="1s")
    service.redis.stop()
    try:
        for call in LISTS * 3:  # the second time the list is known by its target
            answer = service.get(f"/v1/quiet.example{call}?format=html")
            assert (answer.status, answer.body.decode()) == (503, COMMENT.format(503, "unavailable"))
            assert service.get(f"/v1/quiet.example{call}").json["code"] == "unavailable"
    finally:
        service.stop()
