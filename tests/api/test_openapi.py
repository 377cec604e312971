# SPDX-License-Identifier: MIT
"""The service keeps the OpenAPI document that it serves: every operation is called with its own examples and in ways that
must be refused, and every reply is documented, by status, media type, header fields and schema."""
import json
import re

import jsonschema
import pytest

from support.contract import (KEY, NDJSON, OPERATIONS, SOURCE, bodies, check, each_operation, has_etag, has_formats, is_of_a_site, key_of,
                              operation_of, parts, resolve, send, target, validate)


@pytest.fixture(scope="module")
def document(service):
    served = service.get("/openapi.json").json
    assert served == SOURCE
    return served


@pytest.fixture(scope="module")
def filled(service):
    """What the examples ask about is there."""
    rows = [{"item": item, "title": item, "categories": ["city"]} for item in ("harbour-bridge-reopens", "a", "b", "c")]
    assert service.lines("/v1/sample/items", rows).json["accepted"] == 4
    assert service.keyed("PUT", "/v1/sample/items/c/editorial", {"boost": 2, "note": "the desk"}).status == 200
    assert service.keyed("POST", "/v1/sample/corrections", {"visitor": "nobody"}).status == 202
    return service


# ---- What is answered

@each_operation()
def test_every_operation_answers_as_documented(filled, document, path, method):
    operation = operation_of(document, path, method)
    for media, body in bodies(operation):
        answer = send(filled, document, path, method, None, media, body, **key_of(operation))
        assert answer.status < 300, answer.body
        assert not (media == NDJSON and answer.json["rejected"]), answer.body
        check(document, operation, answer)


@each_operation(is_of_a_site)
def test_nothing_documented_is_unknown(filled, document, path, method):
    """With the key an unknown parameter or field is an error: none of those that are documented is."""
    operation = operation_of(document, path, method)
    answer = send(filled, document, path, method, **KEY)
    assert answer.status < 300, answer.body
    check(document, operation, answer)
    answer = send(filled, document, path, method, target(path, operation, planted="1"), **KEY)
    if path.endswith("/view.gif"):
        assert answer.status == 200
        return
    assert (answer.status, answer.json["code"]) == (400, "unknown_parameter")
    check(document, operation, answer)


FORMS = {"html": "text/html; charset=utf-8", "feed": "application/feed+json", "rss": "application/rss+xml; charset=utf-8"}


@pytest.mark.parametrize("form", FORMS)
@each_operation(has_formats)
def test_other_formats(filled, document, form, path, method):
    operation = operation_of(document, path, method)
    plain = send(filled, document, path, method, target(path, operation, limit=5))
    assert plain.status == 200 and plain.headers["content-type"] == "application/json"
    for limit, status in ((5, 200), (0, 400)):
        answer = send(filled, document, path, method, target(path, operation, format=form, limit=limit))
        assert answer.status == status
        assert status != 200 or answer.headers["content-type"] == FORMS[form], "the JSON of before is another body"
        check(document, operation, answer)


@each_operation(has_etag)
def test_what_is_unchanged(filled, document, path, method):
    operation = operation_of(document, path, method)
    first = send(filled, document, path, method, **key_of(operation))
    again = send(filled, document, path, method, If_None_Match=first.headers["etag"], **key_of(operation))
    assert again.status == 304
    check(document, operation, again)


def test_an_export_with_all_that_it_can_hold(filled, document):
    site = "/v1/exported.example"
    assert filled.lines(site + "/items", [{"item": "a", "title": "A", "base": {"views": 1, "votes": {"up": 2}},
                                           "categories": ["x"], "published_at": 1}]).json["accepted"] == 1
    rows = [{"type": kind, "item": "a", "visitor": "v"} for kind in ("view", "vote")]
    assert filled.lines(site + "/events?wait=true", rows).json["accepted"] == 2
    assert filled.keyed("PUT", site + "/items/a/editorial", {"pin": 1, "boost": 2, "until": "2099-01-01T00:00:00Z",
                                                             "note": "n"}).status == 200
    answer = filled.keyed("GET", site + "/export")
    assert [json.loads(line)["type"] for line in answer.body.splitlines()] == ["item", "vote", "editorial", "end"]
    check(document, operation_of(document, "/v1/{site}/export", "get"), answer)


# ---- What is refused

def refusals(path, operation):
    """(name, status, what is sent) for whatever this operation must refuse."""
    security = operation.get("security", [])
    key = key_of(operation)
    media = list(operation["requestBody"].get("content", {}))
    if path.endswith("/view.gif"):  # an image whatever is asked, and by whom
        return
    if not path.startswith("/v1/"):
        if key:
            yield "wrong key", 403, {"Authorization": "Bearer wrong"}
        return
    yield "site", 400, dict(key, address=target(path, operation, site="-"))
    if "{item}" in path:
        yield "item", 400, dict(key, address=target(path, operation, item="x" * 513))
    for parameter in operation["parameters"]:
        if parameter["schema"].get("type") == "integer":
            yield parameter["name"], 400, dict(key, address=target(path, operation, **{parameter["name"]: parameter["schema"]["maximum"] + 1}))
        if parameter["in"] == "query" and parameter.get("required"):
            yield parameter["name"], 400, dict(key, address=target(path, operation, **{parameter["name"]: []}))
    if "{ranking}" in path:
        yield "ranking", 404, dict(key, address=target(path, operation, ranking="none"))
    if security:
        yield "origin", 403, dict(key, Origin="https://a\\b")
    if key:
        yield "no key", 401, {}
        yield "wrong key", 403, {"Authorization": "Bearer wrong"}
    if {"visitor": []} in security:
        yield "visitor", 401, {"Engaged_Visitor": "ev1.forged"}
    if media:
        coded = {"Content_Encoding": "gzip"} if operation["operationId"] in ("unvote", "eraseMe") else {}  # a DELETE has any type
        yield "type", 415, dict(key, media="image/png", body="{}", **coded)
    if "application/json" in media:
        yield "json", 400, dict(key, media="application/json", body="{")
        yield "size", 413, dict(key, media="application/json", body='{"a":"' + "a" * 20000 + '"}')


@each_operation(lambda path, operation: any(refusals(path, operation)))
def test_every_refusal_is_documented(filled, document, path, method):
    operation = operation_of(document, path, method)
    for name, status, sent in refusals(path, operation):
        answer = send(filled, document, path, method, **sent)
        assert answer.status == status, (name, answer.status, answer.body)
        check(document, operation, answer)


# ---- The document itself

def test_every_reference_leads_somewhere_and_every_object_is_used(document):
    wanted = {one["$ref"] for one in parts(document) if "$ref" in one}
    for reference in wanted:
        assert resolve(document, {"$ref": reference})
    for kind in document["components"].keys() - {"securitySchemes"}:
        for name in document["components"][kind]:
            assert f"#/components/{kind}/{name}" in wanted
    for requirement in (one for path, method in OPERATIONS for one in document["paths"][path][method]["security"]):
        assert requirement.keys() <= document["components"]["securitySchemes"].keys()


def test_schemas_are_sound(document):
    schemas = [one[name] for one in parts(document["paths"]) for name in ("schema", "x-itemSchema") if name in one]
    for schema in schemas + list(document["components"]["schemas"].values()):
        jsonschema.Draft202012Validator.check_schema(schema)


def test_operations_are_named_once(document):
    names = [document["paths"][path][method]["operationId"] for path, method in OPERATIONS]
    assert len(set(names)) == len(names)


@each_operation()
def test_examples_fit_their_schemas(document, path, method):
    operation = operation_of(document, path, method)
    assert re.findall(r"{(\w+)}", path) == [one["name"] for one in operation["parameters"] if one["in"] == "path"]
    for parameter in operation["parameters"]:
        if "example" in parameter:
            validate(document, parameter["schema"], parameter["example"])
    content = operation["requestBody"].get("content", {})
    for media, body in bodies(operation):
        if media == NDJSON:
            validate(document, content[media]["x-itemSchema"], json.loads(body))
        elif media:  # text/plain is the same JSON
            validate(document, content["application/json"]["schema"], json.loads(body))
