# SPDX-License-Identifier: MIT
"""The contract as the service has it in src/web/openapi.json: its operations, their examples, and whether an answer is
documented, by status, media type, header fields and schema."""
import json
import os
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
        example = changed.pop(parameter["name"], parameter.get("example"))
        if example is None:
            continue  # it does not go with the other examples
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


def ids(answer):
    """The items of a list, in its order."""
    assert answer.status == 200, answer.body
    return [entry["item"] for entry in answer.json["items"]]


def load(service, site, rows):
    """Sends events and waits until they are projected."""
    answer = service.lines(f"{site}/events?wait=true", rows)
    assert answer.json == {"accepted": len(rows), "rejected": []}, answer.body[:500]


# ---- What is documented

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
