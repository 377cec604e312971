# SPDX-License-Identifier: MIT
"""docs/api.md sentence by sentence: each has a test that names it, or a line of untried.txt that says why it has none.

A sentence is a line that begins with a dash; it is named by its heading and by its beginning, without backquotes:
`@pytest.mark.contract("Lists", "limit is 1 to 100")`, with as many sentences of one heading as the test tries.
"""
import ast
import glob
import re

CONTRACT, UNTRIED = "docs/api.md", "tests/check/untried.txt"


def plain(text):
    return " ".join(text.replace("`", "").split())


def sentences():
    """(heading, text) of each."""
    heading = None
    with open(CONTRACT, encoding="utf-8") as file:
        for line in file.read().split("\n"):
            if line.startswith("#"):
                heading = plain(line.lstrip("#"))
            elif line.startswith("- "):
                yield heading, plain(line[2:])


def calls():
    """Of a site, as the table of routes has them."""
    with open("src/api/routes.def", encoding="utf-8") as file:
        for method, path in re.findall(r'^ROUTE\((\w+), "(/v1/[^"]+)"', file.read(), re.M):
            yield f"{method} {path.replace('{name}', '{ranking}')}"


def markers(path):
    """(line, heading, beginning) of each that a file of tests names."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if "contract(" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and "contract" in (getattr(node.func, "attr", None), getattr(node.func, "id", None)):
            heading, *beginnings = [getattr(one, "value", None) for one in node.args] or [None]
            for beginning in beginnings or [None]:
                yield node.lineno, heading, beginning


def named_by_tests():
    for path in sorted(glob.glob("tests/**/test_*.py", recursive=True)):
        for line, heading, beginning in markers(path):
            yield f"{path}:{line}", heading, beginning


def named_as_untried():
    with open(UNTRIED, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.startswith("#"):
                heading, beginning, reason = (re.split(r"\s*\|\s*", line.strip(), maxsplit=2) + ["", ""])[:3]
                yield f"{UNTRIED}:{number}", heading, beginning if reason else None


def check_sentences():
    """docs/api.md: each sentence is tried, or said not to be; and what is named is there."""
    known, tried, untried = list(sentences()), set(), set()
    if len(known) < 100:
        yield f"{CONTRACT}: only {len(known)} sentences are read"
    for named, where in ((named_by_tests(), tried), (named_as_untried(), untried)):
        for place, heading, beginning in named:
            found = [one for one in known if one[0] == heading and beginning and one[1].startswith(plain(beginning))]
            where.update(found)
            if len(found) != 1:
                yield f"{place}: {len(found)} sentences of {heading!r} begin with {beginning!r}"
    for call in calls():
        if call not in [heading for heading, _ in known]:
            yield f"{CONTRACT}: no heading {call}"
    for heading, text in known:
        if (heading, text) in tried and (heading, text) in untried:
            yield f"{UNTRIED}: {heading}: {text[:60]!r} has a test"
        if (heading, text) not in tried | untried:
            yield f"{CONTRACT}: {heading}: no test names {text[:90]!r}"
