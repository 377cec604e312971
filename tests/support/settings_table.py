# SPDX-License-Identifier: MIT
"""src/ops/settings.def as the tests read it: every setting as (type, name, the fields behind it)."""
import os
import re

from support.program import ROOT

TYPES = "TEXT|CHOICE|NUMBER|SECONDS|DURATION|SIZE|SWITCH|RATE_LIMIT"


def fields_of(text):
    """The arguments; a text without its quotes."""
    return [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|([^\s,"]+)', text)]


def settings_table():
    with open(os.path.join(ROOT, "src/ops/settings.def"), encoding="utf-8") as file:
        text = file.read()
    most = re.search(r"NUMBER\(name##_per_minute, 0, (\d+),", text).group(1)
    rows = []
    for kind, name, rest in re.findall(rf"^({TYPES})\((\w+), (.*?)\)$(?=\n[A-Z/])", text, re.M | re.S):
        if kind == "RATE_LIMIT":
            per_minute, burst = fields_of(rest)[:2]
            rows += [("NUMBER", f"{name}_per_minute", ["0", most, per_minute]), ("NUMBER", f"{name}_burst", ["0", most, burst])]
        elif kind == "CHOICE":
            rows.append((kind, name, re.findall(r'WORD\(\w+, "(\w+)"\)', rest)))
        else:
            rows.append((kind, name, fields_of(rest)))
    return rows
