# SPDX-License-Identifier: MIT
"""Commands of the program that answer at once: help, version, tokens."""
import os
import re
import subprocess

from support.program import PROGRAM, ROOT, VERSION, options_of
from support.service import Service


def said(*words):
    return subprocess.run([PROGRAM, *words], stdout=subprocess.PIPE, text=True, check=True, timeout=20).stdout


def test_help_and_version():
    assert said("--version") == f"engaged {VERSION}\n"
    with open(os.path.join(ROOT, "src/roles/tools.def"), encoding="utf-8") as file:
        tools = re.findall(r"^TOOL\((\w+)", file.read(), re.M)
    shown = said("--help")
    assert len(tools) > 5 and all(re.search(rf"^  engaged {tool}\b", shown, re.M) for tool in tools)


def test_tokens_are_those_of_readers():
    service = Service(secret="11" * 32, hash_key="22" * 32)
    try:
        tokens = said("tokens", "--site", "s", "--count", "3", *options_of({name: service.settings[name] for name in ("secret", "hash_key")}))
        counts = [service.post("/v1/s/items/a/votes", {"kind": "up"}, Engaged_Visitor=token).json["votes"]["up"] for token in tokens.split()]
        assert counts == [1, 2, 3]
    finally:
        service.stop()
