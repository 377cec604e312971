# SPDX-License-Identifier: MIT
"""The served contract against the service: every operation is called with its own examples and in ways that must be
refused; every reply is one that is documented, by status, media type, header fields and schema."""
import json
import os
import re
import urllib.parse

import jsonschema
import pytest

from support.program import ROOT

METHODS = ("get", "put", "post", "delete")
KEY = {"Authorization": "Bearer k"}
NDJSON = "application/x-ndjson"


# ---- Reading the document

def resolve(document, value):
    if "$ref" not in value:
        return value
    found = document
    for part in value["$ref"].split("/")[1:]:
        found = found[part]
    return found


def parts(value):
    """Every object of the document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from parts(inner)


def operation_of(document, path, method):
    operation = document["paths"][path][method]
    parameters = [resolve(document, one) for one in operation.get("parameters", [])]
    return dict(operation, parameters=parameters, requestBody=resolve(document, operation.get("requestBody", {})))


with open(os.path.join(ROOT, "src/web/openapi.json"), encoding="utf-8") as file:
    SOURCE = json.load(file)
OPERATIONS = [(path, method) for path, item in SOURCE["paths"].items() for method in METHODS if method in item]


def each_operation(fits=lambda path, operation: True):
    return pytest.mark.parametrize("path, method", [(path, method) for path, method in OPERATIONS
                                                    if fits(path, operation_of(SOURCE, path, method))])


def is_of_a_site(path, operation):
    return path.startswith("/v1/")


def has_formats(path, operation):
    return "format" in [one["name"] for one in operation["parameters"]]


def has_etag(path, operation):
    return "304" in operation["responses"]


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


# ---- Examples and schemas

def validate(document, schema, value):
    jsonschema.Draft202012Validator(dict(schema, components=document["components"])).validate(value)


def bodies(operation):
    """(media type, text) of each example of the request body; one without a body where it takes none."""
    for media, content in operation["requestBody"].get("content", {}).items():
        named = content.get("examples", {"": {"value": content.get("example")}})
        for example in (one["value"] for one in named.values()):
            yield media, example if isinstance(example, str) else json.dumps(example)
    if not operation["requestBody"]:
        yield None, None


# ---- Calling

def target(path, operation, **changed):
    query = []
    for parameter in operation["parameters"]:
        example = changed.pop(parameter["name"], parameter["example"])
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", urllib.parse.quote(example, safe=""))
            continue
        for value in example if isinstance(example, list) else [example]:
            query.append((parameter["name"], str(value).lower() if isinstance(value, bool) else value))
    query += changed.items()
    assert "{" not in path
    return path + ("?" + urllib.parse.urlencode(query) if query else "")


def send(service, document, path, method, address=None, media=None, body=None, **headers):
    operation = operation_of(document, path, method)
    if media is None:
        media, body = next(bodies(operation))
    if media:
        headers.setdefault("Content_Type", media)
    port = service.ops_port if "servers" in document["paths"][path] else service.port
    return service.request(method.upper(), address or target(path, operation), body and body.encode(), port=port,
                           **headers)


def key_of(operation):
    """What the operation needs: the key, or nothing."""
    return KEY if operation.get("security") == [{"key": []}] else {}


def check(document, operation, answer):
    assert str(answer.status) in operation["responses"], (answer.status, answer.body)
    documented = resolve(document, operation["responses"][str(answer.status)])
    for name, header in documented.get("headers", {}).items():
        header, value = resolve(document, header), answer.headers.get(name.lower())
        assert value is not None or not header.get("required"), name
        if value is not None:
            validate(document, header["schema"], int(value) if header["schema"].get("type") == "integer" else value)
    if not documented.get("content"):
        assert not answer.body
        return
    media = answer.headers["content-type"]
    assert media in documented["content"], media
    content = documented["content"][media]
    if media == NDJSON:
        for line in answer.body.decode().splitlines():
            validate(document, content["x-itemSchema"], json.loads(line))
    elif media.endswith("json"):
        validate(document, content["schema"], answer.json)
    elif media.startswith("text/"):
        validate(document, content["schema"], answer.body.decode())


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


@pytest.mark.parametrize("form", ["html", "feed"])
@each_operation(has_formats)
def test_other_formats(filled, document, form, path, method):
    operation = operation_of(document, path, method)
    for limit, status in ((5, 200), (0, 400)):
        answer = send(filled, document, path, method, target(path, operation, format=form, limit=limit))
        assert answer.status == status
        assert answer.headers["content-type"].startswith("text/html") == (form == "html")
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
            yield parameter["name"], 400, dict(key, address=target(path, operation, **{parameter["name"]: 101}))
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
        validate(document, parameter["schema"], parameter["example"])
    content = operation["requestBody"].get("content", {})
    for media, body in bodies(operation):
        if media == NDJSON:
            validate(document, content[media]["x-itemSchema"], json.loads(body))
        elif media:  # text/plain is the same JSON
            validate(document, content["application/json"]["schema"], json.loads(body))
