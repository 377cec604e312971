# SPDX-License-Identifier: MIT
"""Files that belong to no site: the widget in its forms, the pages, the OpenAPI document; and `engaged widget`."""
import base64
import gzip
import hashlib
import json
import os
import subprocess

import pytest

from support.program import PROGRAM, ROOT

SCRIPT = "text/javascript; charset=utf-8"
OPEN = [("/widget.js", SCRIPT), ("/widget.mjs", SCRIPT), ("/widget.d.ts", "text/plain; charset=utf-8"),
        ("/openapi.json", "application/json")]


@pytest.mark.parametrize("path, media", OPEN)
@pytest.mark.parametrize("query", ["", "?site=sample&item=https%3A%2F%2Fnews.example%2Fa", "?", "?x", "?limit=x&id=%ff&id=%zz", "?site=a&site=b"])
def test_an_asset_is_everybodys_and_its_query_its_own(service, path, media, query):
    before = service.metrics()["engaged_unknown_parameters_total"]
    bare = service.get(path)
    for port in (service.port, service.ops_port):
        answer = service.request("GET", path + query, port=port, Origin="https://page.example")
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, media, bare.body)
        assert answer.headers["etag"] == bare.headers["etag"] and answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["access-control-allow-origin"] == "*" and "set-cookie" not in answer.headers
        assert answer.headers["cache-control"].startswith("public, max-age=300")
    again = service.get(path + query, If_None_Match=bare.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    packed = service.get(path + query, Accept_Encoding="gzip")
    assert gzip.decompress(packed.body) == bare.body and packed.headers["content-encoding"] == "gzip"
    head = service.request("HEAD", path + query)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(bare.body)))
    assert service.metrics()["engaged_unknown_parameters_total"] == before


@pytest.mark.parametrize("path", ["/widget.js", "/widget.mjs"])
def test_a_script_may_be_brought_into_any_page(service, path):
    assert service.get(path).headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize("path", [path for path, _ in OPEN] + ["/healthz", "/readyz", "/", "/demo.js", "/demo.css"])
@pytest.mark.parametrize("key", ["k", "wrong", ""])
def test_the_key_makes_no_difference_to_what_belongs_to_no_site(service, path, key):
    for query in ("", "?odd=1&odd=2&%zz"):
        assert service.request("GET", path + query, Authorization=f"Bearer {key}").status == 200


@pytest.mark.parametrize("path", ["/metrics", "/dashboard", "/dashboard.js", "/dashboard.css", "/healthz"])
@pytest.mark.parametrize("sent", [{}, {"Authorization": "Bearer k"}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
def test_the_operators_pages_need_no_key(service, path, sent):
    for query in ("", "?odd=1&odd=2"):
        answer = service.request("GET", path + query, port=service.ops_port, **sent)
        assert answer.status == 200 and "www-authenticate" not in answer.headers
    if path == "/dashboard":
        assert b'type="password"' in answer.body and answer.headers["content-security-policy"].startswith("default-src 'none'")
    if path != "/healthz":
        assert service.get(path).status == 404  # nothing of them on the public listener


@pytest.mark.parametrize("method, path", [("GET", "/editorial"), ("PUT", "/items/a/editorial"), ("DELETE", "/items/a/editorial"),
                                          ("GET", "/export"), ("GET", "/corrections"), ("PUT", "/items/a")])
def test_the_calls_behind_the_page_need_it(service, site, method, path):
    for sent, status in (({}, 401), ({"Authorization": "Basic eDp5"}, 401), ({"Authorization": "Bearer wrong"}, 403)):
        answer = service.request(method, site + path, "{}" if method == "PUT" else None, port=service.ops_port, **sent)
        assert answer.status == status
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


def test_a_site_is_strict_with_the_key_as_ever(service, site):
    assert service.keyed("GET", site + "/rankings?odd=1").json["code"] == "unknown_parameter"
    assert service.get(site + "/rankings?odd=1").status == 200


def test_the_module_is_a_module_and_the_types_are_types(service):
    assert b"export default" in service.get("/widget.mjs").body
    assert b"declare" in service.get("/widget.d.ts").body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_405(service, method):
    answer = service.request(method, "/widget.js?site=a")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


# ---- engaged widget

def run(*arguments, **more):
    return subprocess.run([PROGRAM, "widget", *arguments], capture_output=True, timeout=20, **more)


def test_the_program_prints_the_widget_that_it_serves_and_its_hash(service):
    served = service.get("/widget.js").body
    printed = run()
    assert (printed.returncode, printed.stderr, printed.stdout) == (0, b"", served)
    hashed = run("--hash")
    assert hashed.stdout.decode() == "sha384-" + base64.b64encode(hashlib.sha384(served).digest()).decode() + "\n"
    assert (hashed.returncode, hashed.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [["--hash", "x"], ["x"], ["--Hash"], ["--hash", "--hash"], ["--listen", "127.0.0.1:1"]])
def test_it_takes_nothing_else(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, b"") and b"widget" in done.stderr


def test_a_disk_that_is_full_is_an_error():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "widget"], stdout=full, stderr=subprocess.PIPE, timeout=20)
    assert done.returncode == 1 and done.stderr


def test_the_help_names_it():
    assert b"engaged widget [--hash]" in subprocess.run([PROGRAM, "--help"], capture_output=True, timeout=20).stdout


def test_the_document_names_each(service):
    with open(os.path.join(ROOT, "src/web/openapi.json"), encoding="utf-8") as file:
        paths = json.load(file)["paths"]
    assert {path for path, _ in OPEN} <= paths.keys()
