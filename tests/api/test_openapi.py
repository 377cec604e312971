# SPDX-License-Identifier: MIT
"""The served contract against the service: every operation is called with its own examples, every reply is one that is
documented, by status, media type and schema."""
import json
import os
import urllib.parse

import jsonschema
import pytest

from engaged_service import ROOT

METHODS = ("get", "put", "post", "delete")


def resolve(document, value):
    if "$ref" not in value:
        return value
    found = document
    for part in value["$ref"].split("/")[1:]:
        found = found[part]
    return found


def operations():
    with open(os.path.join(ROOT, "src/web/openapi.json"), encoding="utf-8") as file:
        document = json.load(file)
    return [(path, method) for path, item in document["paths"].items() for method in METHODS if method in item]


@pytest.fixture(scope="module")
def document(service):
    return service.get("/openapi.json").json


@pytest.fixture(scope="module")
def filled(service):
    """What the examples ask about is there."""
    rows = [{"item": item, "title": item, "categories": ["city"]} for item in ("harbour-bridge-reopens", "a", "b", "c")]
    assert service.lines("/v1/sample/items", rows).json["accepted"] == 4
    return service


def target(document, path, operation):
    query = []
    for parameter in (resolve(document, p) for p in operation.get("parameters", [])):
        example = parameter["example"]
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", urllib.parse.quote(example, safe=""))
            continue
        for value in example if isinstance(example, list) else [example]:
            query.append((parameter["name"], str(value).lower() if isinstance(value, bool) else value))
    assert "{" not in path
    return path + ("?" + urllib.parse.urlencode(query) if query else "")


def send(service, document, path, method, operation, keyed=True):
    headers, body = {}, None
    if "requestBody" in operation:
        (media, content), = operation["requestBody"]["content"].items()
        headers["Content_Type"] = media
        body = content["example"] if isinstance(content["example"], str) else json.dumps(content["example"])
        body = body.encode()
    if keyed and any("key" in one for one in operation.get("security", [])):
        headers["Authorization"] = "Bearer k"
    port = service.ops_port if "servers" in document["paths"][path] else service.port
    return service.request(method.upper(), target(document, path, operation), body, port=port, **headers)


def check(document, operation, answer):
    assert str(answer.status) in operation["responses"], (answer.status, answer.body)
    documented = resolve(document, operation["responses"][str(answer.status)])
    if not documented.get("content"):
        assert not answer.body
        return
    media = answer.headers["content-type"]
    assert media in documented["content"], media
    if media.endswith("json") and media != "application/x-ndjson":
        schema = dict(documented["content"][media]["schema"], components=document["components"])
        jsonschema.Draft202012Validator(schema).validate(answer.json)


@pytest.mark.parametrize("path, method", operations())
def test_every_operation_answers_as_documented(filled, document, path, method):
    operation = document["paths"][path][method]
    answer = send(filled, document, path, method, operation)
    assert answer.status < 300, answer.body
    check(document, operation, answer)


@pytest.mark.parametrize("path, method", operations())
def test_every_keyed_operation_refuses_as_documented(filled, document, path, method):
    operation = document["paths"][path][method]
    if operation.get("security") != [{"key": []}]:
        return
    answer = send(filled, document, path, method, operation, keyed=False)
    assert answer.status == 401
    check(document, operation, answer)


@pytest.mark.parametrize("form", ["html", "feed"])
@pytest.mark.parametrize("path", ["rankings/hot", "items/a/related", "me/recommendations"])
def test_other_formats(filled, document, form, path):
    template = {"rankings/hot": "rankings/{ranking}", "items/a/related": "items/{item}/related"}.get(path, path)
    operation = document["paths"]["/v1/{site}/" + template]["get"]
    check(document, operation, filled.get(f"/v1/sample/{path}?format={form}"))


def test_export_lines_have_types(filled):
    lines = filled.keyed("GET", "/v1/sample/export").body.decode().splitlines()
    assert {json.loads(line)["type"] for line in lines} <= {"item", "vote", "editorial", "end"}


def test_every_object_of_the_document_is_used_and_sound(document):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(document)
    for kind in ("schemas", "parameters", "responses"):
        for name in document["components"][kind]:
            assert f"#/components/{kind}/{name}\"" in text, name
