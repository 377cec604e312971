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
