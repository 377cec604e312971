#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make check: the rules of CONTRIBUTING.md that can be proved, in seconds. Each rule is a function that yields faults.

`check.py FOLDER RULE` looks at another tree, and at one rule: test_check.py plants violations in a copy.
"""
import glob
import gzip
import json
import os
import re
import subprocess
import sys

from contract import check_sentences
from fields import check_declarations, check_fields
from manuals import check_manuals
from modules import check_modules
from names import check_headings, check_links, check_named, check_twice
from packages import check_packages
from versions import check_version
from widget import check_widget_document
from words import check_words

RANK = {"base": 0, "model": 1, "ops": 1, "redis": 2, "http": 2, "store": 3, "serve": 4, "project": 4, "api": 5, "roles": 6}
# Of the same rank, one may not know the other.
STRANGERS = {("store", "http"), ("project", "http")}  # a room to the left that this room may not know
THIRD_PARTY = {
    "uv.h": ("src/redis/", "src/store/", "src/http/", "src/serve/", "src/project/", "src/roles/"),
    "hiredis/": ("src/redis/", "src/store/"),
    "openssl/": ("src/redis/tls.c",),
    "llhttp.h": ("src/http/",),
    "jansson.h": ("src/ops/json_in.c",),
    "sodium.h": ("src/base/keyed.c",),
    "ini.h": ("src/ops/",),
    "zlib.h": ("src/http/",),
}
LINES_MAX = 400
FAULT_ROWS_LEAST = 40
WIDGET_BYTES_MOST = 6000
FUNCTION_LINES_MOST = 80  # a longer one says why in a comment "long: …"


def sources(suffixes=(".c", ".h")):
    return sorted(f for f in glob.glob("src/**/*", recursive=True) if f.endswith(suffixes))


def includes(path):
    with open(path, encoding="utf-8") as file:
        return re.findall(r'^#include ["<]([^">]+)[">]', file.read(), re.M)


def room_of(path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else "main"


def check_direction():
    for path in sources():
        mine = room_of(path)
        for included in includes(path):
            theirs = included.split("/")[0] if "/" in included else None
            if theirs not in RANK or mine in ("main", theirs):
                continue
            if (mine, theirs) in STRANGERS:
                yield f"{path}: includes {included}; {mine} does not know {theirs}"
            if RANK[theirs] >= RANK[mine]:
                yield f"{path}: includes {included}, which is not to the left"


def check_cycles():
    graph = {p[4:]: [i for i in includes(p) if os.path.exists("src/" + i)] for p in sources((".h",))}
    done, path = set(), []

    def visit(node):
        if node in path:
            return [" -> ".join(path[path.index(node):] + [node])]
        if node in done:
            return []
        done.add(node)
        path.append(node)
        found = [cycle for following in graph.get(node, []) for cycle in visit(following)]
        path.pop()
        return found

    for node in graph:
        for cycle in visit(node):
            yield f"include cycle: {cycle}"


def check_third_party():
    for path in sources():
        for included in includes(path):
            for header, rooms in THIRD_PARTY.items():
                named = included.startswith(header) if header.endswith("/") else included == header
                if named and not path.startswith(rooms):
                    yield f"{path}: includes <{included}>, which keeps to {', '.join(rooms)}"


def check_headers_alone():
    flags = subprocess.run(["pkg-config", "--cflags", "libuv", "hiredis"], stdout=subprocess.PIPE, text=True).stdout
    command = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Isrc", "-isystem", "/usr/share/include/llhttp", "-fsyntax-only",
               *flags.split(), "-x", "c", "-"]
    for path in sources((".h",)):
        done = subprocess.run(command, input=f'#include "{path[4:]}"\n', stderr=subprocess.PIPE, text=True)
        if done.returncode:
            yield f"{path}: does not compile alone: {done.stderr.splitlines()[0]}"


def check_format():
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *sources()], stderr=subprocess.PIPE, text=True)
    for line in done.stderr.splitlines():
        if "error:" in line:
            yield line


def check_opening():
    for path in sources((".c", ".h")) + sorted(glob.glob("lua/*.lua") + glob.glob("tests/**/*.py", recursive=True)):
        with open(path, encoding="utf-8") as file:
            head = [file.readline() for _ in range(3)]
        if not path.endswith(".lua") and not any("SPDX-License-Identifier: MIT" in line for line in head):
            yield f"{path}: no SPDX line at its head"


def check_scripts():
    texts = {path: open(path, encoding="utf-8").read() for path in glob.glob("lua/*.lua")}
    included = {f"lua/{name}.lua" for text in texts.values() for name in re.findall(r"^-- include: (\w+)$", text, re.M)}
    for path in texts.keys() - included:
        head = re.match(r"(--.*\n)+\n?(--.*\n)*", texts[path])
        for word in ("KEYS", "ARGV", "Reply"):
            if not head or word not in head.group(0):
                yield f"{path}: its head block does not name {word}"


def check_lengths():
    for path in sources((".c", ".h", ".def", ".js")) + sorted(glob.glob("lua/*.lua")):
        with open(path, encoding="utf-8") as file:
            count = sum(1 for _ in file)
        if count > LINES_MAX:
            yield f"{path}: {count} lines, over {LINES_MAX}"


def functions(lines):
    """(first line, length) of each function: clang-format puts its end at the left margin."""
    begin = None
    for number, line in enumerate(lines):
        if begin is None and re.match(r"\w.*[^;]$", line) and line.endswith("{") and "(" in line:
            begin = number
        elif begin is not None and line.startswith("}"):
            yield begin, number - begin + 1
            begin = None


def check_functions():
    for path in sources((".c",)):
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
        for begin, length in functions(lines):
            if length > FUNCTION_LINES_MOST and not any("long:" in line for line in lines[begin - 3:begin + 3]):
                yield f"{path}:{begin + 1}: a function of {length} lines, over {FUNCTION_LINES_MOST}"


def table(path, pattern):
    with open(path, encoding="utf-8") as file:
        return re.findall(pattern, file.read(), re.M)


def check_documents():
    documents = {}
    for name in ("api", "errors", "metrics"):
        with open(f"docs/{name}.md", encoding="utf-8") as file:
            documents[name] = file.read()
    with open("deploy/engaged.conf", encoding="utf-8") as file:
        configuration = file.read()
    settings = table("src/ops/settings.def", r"^(?:TEXT|CHOICE|NUMBER|SECONDS|DURATION|SIZE|SWITCH)\((\w+)")
    for name in table("src/ops/settings.def", r"^RATE_LIMIT\((\w+)"):
        settings += [f"{name}_per_minute", f"{name}_burst"]
    for name in settings:
        if not re.search(rf"^#? ?{name} =", configuration, re.M):
            yield f"deploy/engaged.conf: setting {name} is missing"
    for status, code in table("src/base/outcomes.def", r'^OUTCOME\(\w+, (\d+), "(\w+)"'):
        if code != "ok" and f"| `{code}` | {status} |" not in documents["errors"]:
            yield f"docs/errors.md: outcome {code} ({status}) is missing"
    for name in set(table("src/ops/metrics.def", r'^(?:METRIC|FAMILY)\(\w+, \w+, "(\w+)"')):
        if f"`{name}`" not in documents["metrics"]:
            yield f"docs/metrics.md: metric {name} is missing"
    for method, pattern in table("src/api/routes.def", r'^ROUTE\((\w+), "([^"]+)", (?!asset_start)'):
        shown = pattern.replace("{name}", "{ranking}")
        if f"`{method} {shown}`" not in documents["api"]:
            yield f"docs/api.md: {method} {shown} is missing"


def check_contract():
    """src/web/openapi.json has the routes and the error codes that there are, and no others."""
    with open("src/web/openapi.json", encoding="utf-8") as file:
        document = json.load(file)
    documented = {(method.upper(), path) for path, item in document["paths"].items()
                  for method in item if method in ("get", "put", "post", "delete")}
    routed = {(method, pattern.replace("{name}", "{ranking}"))
              for method, pattern in table("src/api/routes.def", r'^ROUTE\((\w+), "([^"]+)"')
              if not re.match(r"/(demo|dashboard)\w*\.(js|css|svg)$", pattern)}
    for method, path in sorted(routed - documented):
        yield f"src/web/openapi.json: {method} {path} is missing"
    for method, path in sorted(documented - routed):
        yield f"src/web/openapi.json: {method} {path} is no route"
    codes = {code for code in table("src/base/outcomes.def", r'^OUTCOME\(\w+, \d+, "(\w+)"') if code != "ok"}
    for code in sorted(codes ^ set(document["components"]["schemas"]["Code"]["enum"])):
        yield f"src/web/openapi.json: the error code {code} is in one place only"


def check_faults():
    """docs/faults.md has a row for each fault, numbered in order, and the tests that it names are there."""
    with open("docs/faults.md", encoding="utf-8") as file:
        rows = re.findall(r"^\| (\d+) \|.*\| (?:`(\S+)::(\w+)`|–) \|$", file.read(), re.M)
    if [int(number) for number, _, _ in rows] != list(range(1, max(FAULT_ROWS_LEAST, len(rows)) + 1)):
        yield f"docs/faults.md: rows 1 to {FAULT_ROWS_LEAST} or more are not all there, in order"
    for number, path, name in rows:
        if not path and number != "8":
            yield f"docs/faults.md: row {number} names no test"
        if path and not (os.path.exists(path) and table(path, rf"^def ({name})\(")):
            yield f"docs/faults.md: row {number}: no {name} in {path}"


def widget_bytes():
    """Of the widget as it is served, after gzip -9."""
    done = subprocess.run([sys.executable, "src/widget/join.py", "script"], stdout=subprocess.PIPE, check=True)
    return len(gzip.compress(done.stdout, 9))


def check_widget():
    if widget_bytes() >= WIDGET_BYTES_MOST:
        yield f"src/widget: {widget_bytes()} bytes by gzip -9, not under {WIDGET_BYTES_MOST}"


CHECKS = [check_direction, check_cycles, check_third_party, check_headers_alone, check_format, check_opening,
          check_scripts, check_lengths, check_functions, check_documents,
          check_contract, check_sentences, check_widget_document, check_faults, check_widget,
          check_twice, check_named, check_headings, check_links, check_words, check_modules, check_fields, check_declarations,
          check_manuals, check_packages, check_version]


def main():
    os.chdir(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    names = {check.__name__[6:]: check for check in CHECKS}
    chosen = sys.argv[2:] or names
    faults = [f"{name}: {fault}" for name in chosen for fault in names[name]()]
    print("\n".join(faults) if faults else f"{len(CHECKS)} checks, no fault; the widget has {widget_bytes()} bytes (gzip -9)")
    sys.exit(bool(faults))


main()
