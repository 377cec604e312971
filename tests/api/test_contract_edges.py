# SPDX-License-Identifier: MIT
"""Edges of single sentences of the contract: bodies that may be empty, cards that are replaced, spans that are left out, old dates."""
import json
import os

import pytest

from support.program import ROOT
from support.service import Service
from support.wait import wait_until

S = "/v1/s"
with open(os.path.join(ROOT, "src/web/openapi.json"), encoding="utf-8") as file:
    PATHS = json.load(file)["paths"]
WITH_BODY = [(path, method) for path, methods in PATHS.items() for method, operation in methods.items() if isinstance(operation, dict)
             and "application/json" in operation.get("requestBody", {}).get("content", {})]


@pytest.fixture(scope="module")
def service():
    one = Service(kinds="up down")
    yield one
    one.stop()


@pytest.mark.parametrize("path,method", WITH_BODY)
@pytest.mark.parametrize("body", [None, "", "{}"])
def test_a_body_is_required_where_it_is_documented_so_and_nowhere_else(service, path, method, body):
    body = body if body is not None or method == "delete" else ""
    answer = service.keyed(method.upper(), path.replace("{site}", "bodies").replace("{item}", "a"), body)
    required = PATHS[path][method]["requestBody"].get("required", False)
    assert answer.status == 400 if required else answer.status < 300, answer.body


def card(service, item):
    return {name: value for name, value in service.get(f"{S}/items/{item}").json.items() if name != "visitors"}


def test_a_card_is_replaced_whole_and_keeps_its_base_unless_one_is_given(service):
    def put(body):
        return {name: value for name, value in service.keyed("PUT", S + "/items/card", body).json.items() if name != "visitors"}

    whole = {"title": "A", "url": "/a", "image": "/i", "categories": ["x"], "author": "B", "published_at": "2026-01-01T00:00:00.000Z"}
    zero = {"item": "card", "votes": {"up": 0, "down": 0}, "views": 0}
    base = {"votes": {"up": 10, "down": 2}, "views": 100}
    assert put(whole | {"base": {"views": 100, "votes": {"up": 10, "down": 2}}}) == zero | whole | base
    assert put({"title": "A2"}) == zero | base | {"title": "A2"}
    assert put("") == zero | base
    assert put({"base": None, "url": "/b"}) == zero | base | {"url": "/b"}
    assert put({"base": {"views": 7}}) == zero | {"views": 7}
    assert put({"base": {"votes": {"down": 1}}}) == zero | {"votes": {"up": 0, "down": 1}}
    assert put({"base": {}}) == zero
    assert service.lines(S + "/items", [{"item": "card", "title": "L", "base": {"views": 3}}, {"item": "card", "author": "C"}]).json["accepted"] == 2
    wait_until(lambda: card(service, "card") == zero | {"author": "C", "views": 3}, 20)


def test_a_correction_without_a_span_takes_all_votes_of_the_item_back(service):
    def votes(item):
        return service.get(f"{S}/me?id={item}").json["counts"][item]["up"]

    times = [0, 86400, 1.5e9, 1.7e9, None]
    for item, span, left in (("all", {}, 0), ("from", {"from": 1.6e9}, 3), ("to", {"to": 1.6e9}, 2), ("both", {"from": 1.0e9, "to": 1.7e9 + 1}, 3),
                             ("nothing", {"from": 86401, "to": 1.4e9}, 5)):
        rows = [{"type": "vote", "item": item, "visitor": str(n)} | ({} if time is None else {"time": time}) for n, time in enumerate(times)]
        assert service.lines(S + "/events?wait=true", rows).json["accepted"] == 5 and votes(item) == 5
        assert service.keyed("POST", S + "/corrections", {"item": item} | span).status == 202
        wait_until(lambda: all(row["state"] == "done" for row in service.keyed("GET", S + "/corrections").json["corrections"]), 30)
        assert votes(item) == left, item
    assert service.keyed("POST", S + "/corrections", {"from": 1, "to": 100}).json["code"] == "bad_field", "of nobody and nothing"


# ---- Dates

OLD = [("1969-07-20T20:17:40Z", "1969-07-20T20:17:40.000Z"), ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"), (-1, "1969-12-31T23:59:59.000Z"),
       (-0.5, "1969-12-31T23:59:59.500Z"), (-0.29, "1969-12-31T23:59:59.710Z"), (0, "1970-01-01T00:00:00.000Z"), (-86400, "1969-12-31T00:00:00.000Z"),
       ("1886-02-28T12:00:00+01:00", "1886-02-28T11:00:00.000Z"), ("1600-02-29T00:00:00Z", "1600-02-29T00:00:00.000Z"),
       ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"), (-62135596800, "0001-01-01T00:00:00.000Z")]


@pytest.mark.parametrize("given,shown", OLD)
def test_an_article_may_be_older_than_1970(service, given, shown):
    assert service.keyed("PUT", S + "/items/old", {"published_at": given}).json["published_at"] == shown
    assert service.get(S + "/items/old").json["published_at"] == shown
    assert service.lines(S + "/items", [{"item": "line", "published_at": given}]).json["accepted"] == 1
    assert service.get(S + "/items/line").json["published_at"] == shown


@pytest.mark.parametrize("given", ["1969-12-31T23:59:59.999Z", -0.001, -1, "0001-01-01T00:00:00Z"])
def test_nothing_else_is_older_than_1970(service, given):
    for kind in ("view", "vote", "unvote"):
        answer = service.lines(S + "/events", [{"type": kind, "item": "a", "visitor": "v", "time": given}])
        assert [row["code"] for row in answer.json["rejected"]] == ["bad_time"]
    vote = {"type": "vote", "item": "a", "voter": "0" * 16, "kind": "up", "time": given}
    assert [row["code"] for row in service.lines(S + "/import", [vote]).json["rejected"]] == ["bad_time"]
    for path, body in (("corrections", {"item": "a", "from": given}), ("corrections", {"item": "a", "to": given}), ("items/a/editorial", {"pin": 1, "until": given})):
        answer = service.keyed("PUT" if "items" in path else "POST", f"{S}/{path}", body)
        assert (answer.status, answer.json["code"]) == (400, "bad_time")


@pytest.mark.parametrize("given", ["1969-12-31T23:59:59", "1900-02-29T00:00:00Z", "0000-12-31T23:59:59Z", "-001-01-01T00:00:00Z", -62135596800.1, -1e300])
def test_what_is_no_date_is_bad_time(service, given):
    answer = service.keyed("PUT", S + "/items/old", {"published_at": given})
    assert (answer.status, answer.json["code"]) == (400, "bad_time")


def test_old_articles_come_after_newer_ones_and_survive_an_export(own):
    service = own(configuration="[ranking top]\ntype = total\noldest_age = 36500d\n")
    dates = {"moon": "1969-07-20T20:17:40.000Z", "epoch": "1970-01-01T00:00:00.000Z", "tower": "1889-03-31T00:00:00.000Z", "new": "2026-01-01T00:00:00.000Z"}
    for item, date in dates.items():
        assert service.keyed("PUT", f"/v1/s/items/{item}", {"title": item, "published_at": date}).status == 200
    wanted = ["new", "epoch", "moon", "tower"]

    def filled(site):
        return [row["item"] for row in service.get(f"/v1/{site}/items/other/related").json["items"]]

    wait_until(lambda: filled("s") == wanted, 20, lambda: filled("s"))
    text = service.keyed("GET", "/v1/s/export").body
    answer = service.keyed("POST", "/v1/copy/import?wait=true", text, Content_Type="application/x-ndjson")
    assert answer.json["accepted"] == 5 and not answer.json["rejected"]
    wait_until(lambda: filled("copy") == wanted, 20, lambda: filled("copy"))
    assert {item: service.get(f"/v1/copy/items/{item}").json["published_at"] for item in dates} == dates
    feed = service.get("/v1/copy/items/other/related?format=feed").json["items"]
    assert {row["title"]: row["date_published"] for row in feed} == dates
    for item in dates:
        assert service.keyed("POST", f"/v1/copy/items/{item}/votes", Engaged_Visitor="v").status == 200

    def ranked():
        return sorted(row["item"] for row in service.get("/v1/copy/rankings/top").json["items"] if row["reason"] == "ranked")

    wait_until(lambda: ranked() == ["epoch", "moon", "new"], 20, ranked)  # the tower is older than oldest_age


def test_a_rule_until_the_beginning_of_1970_has_ended(service):
    assert service.keyed("PUT", "/v1/ended/items/a/editorial", {"block": True, "until": 0}).json["until"] == "1970-01-01T00:00:00.000Z"
    assert service.keyed("GET", "/v1/ended/editorial").json["editorial"] == []
