# SPDX-License-Identifier: MIT
"""What answers hold and what queries may hold is in src/web/openapi.json; and no comment breaks a declaration apart."""
import json
import re

from tree import code, files, read

# Of a JSON Feed, which is not described field by field there, or of the log.
ELSEWHERE = {"_engaged", "authors", "date_published", "tags", "bytes", "process", "path", "method", "ms", "level", "text", "cut"}


def properties(node):
    if isinstance(node, dict):
        here = node.get("properties")
        yield from here if isinstance(here, dict) else ()
        for value in node.values():
            yield from properties(value)
    elif isinstance(node, list):
        for value in node:
            yield from properties(value)


def parameters(node):
    if isinstance(node, dict):
        if "in" in node and "name" in node:
            yield node["name"]
        for value in node.values():
            yield from parameters(value)
    elif isinstance(node, list):
        for value in node:
            yield from parameters(value)


def check_fields():
    document = json.loads(read("src/web/openapi.json"))
    described, taken = set(properties(document)), set(parameters(document))
    told = {word for quoted in re.findall(r"`([^`\n]+)`", read("docs/api.md")) for word in re.findall(r"\w+", quoted)}
    for name in sorted((described | taken) - told - {"Engaged-Visitor"}):
        yield f"docs/api.md: the field or parameter {name} of src/web/openapi.json is missing"
    for path in files(".c", under="src/api/") + files(".c", under="src/serve/"):
        for name in sorted(set(re.findall(r'json_key\(&?\w+, BYTES\("(\w+)"\)\)', code(path))) - described - ELSEWHERE):
            yield f"src/web/openapi.json: the field {name} of {path} is missing"
    for name in sorted(set(re.findall(r'^    \{PARAM_\w+, \w+, "(\w+)"', read("src/api/params.c"), re.M)) - taken):
        yield f"src/web/openapi.json: the parameter {name} is missing"
    for document, table, pattern in (("metrics", "src/ops/metrics.def", r"^\| `(engaged_\w+)`"),
                                     ("errors", "src/base/outcomes.def", r"^\| `(\w+)` \| \d+ \|")):
        for name in re.findall(pattern, read(f"docs/{document}.md"), re.M):
            if f'"{name}"' not in read(table):
                yield f"docs/{document}.md: {name} is not in {table}"


def check_declarations():
    """clang-format puts a member's name on a line of its own when the comment behind it is too long: it goes above."""
    for path in files(".c", ".h"):
        for match in re.finditer(r"^ +(?:const )?(?:(?:struct|enum|union) \w+|bool|int|char|double|u?int\d+_t|size_t)(?: \*)?\n +\w+.*//.*$",
                                 read(path), re.M):
            yield f"{path}:{read(path).count(chr(10), 0, match.start()) + 1}: the comment belongs above its member"
