# SPDX-License-Identifier: MIT
"""Each fenced block of README.md and docs/ is tried by a test, or commands.txt says why none can, and so is each command in the
sentences of the documents for operators; each make target and each command of the program that a document names is there;
each document is linked from README.md."""
import os
import re
import subprocess

import pytest

from support.documents import NAMES, all_blocks, text_of
from support.program import PROGRAM, ROOT


IN_SENTENCES = ("docs/operating.md", "docs/upgrading.md", "docs/cluster.md")  # their commands in sentences have rows, too
COMMANDS = ("apt-get", "build/engaged", "curl", "docker", "engaged", "install", "make", "openssl", "redis-cli", "redis-server", "systemctl")


def spans_of(name, text):
    """The commands between single backquotes, each once, as blocks are listed."""
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))]
    return [(name, "", f"`{span}`") for span in dict.fromkeys(spans) if span.partition(" ")[0] in COMMANDS and " " in span]


def all_commands():
    return [*all_blocks(), *(span for name in IN_SENTENCES for span in spans_of(name, text_of(name)))]


def rows():
    with open(os.path.join(ROOT, "tests/check/commands.txt"), encoding="utf-8") as file:
        return [line.strip().split(" | ", 2) for line in file if line.strip() and not line.startswith("#")]


def faults_of(blocks, table):
    used = set()
    for document, _, text in blocks:
        found = [row for row in table if row[0] == document and text.lstrip().startswith(row[1])]
        if not found:
            yield f"{document}: nothing tries {text.strip()[:60]!r}"
        used.update(map(tuple, found))
    for row in table:
        if tuple(row) not in used:
            yield f"commands.txt: {row[0]} has no block that begins with {row[1]!r}"
        if row[2].startswith("-"):
            if len(row[2]) < 10:
                yield f"commands.txt: {row[0]}: {row[1]}: no reason"
            continue
        path, _, name = row[2].partition("::")
        where = os.path.join(ROOT, path)
        if not os.path.exists(where) or not re.search(rf"^def {name}\(", open(where, encoding="utf-8").read(), re.M):
            yield f"commands.txt: no test {row[2]}"


def test_every_block_and_every_command_is_tried():
    assert not list(faults_of(all_commands(), rows()))


@pytest.mark.parametrize("blocks, table, fault", [
    ([("README.md", "sh", "engaged planted\n")], [], "nothing tries"),
    (spans_of("docs/operating.md", "Say `engaged\n  planted --now`, not `planted`.\n```sh\nengaged other --now\n```\n"),
     [["docs/operating.md", "`engaged planted`", "- a reason that is long"]], "nothing tries '`engaged planted --now`'"),
    ([], [["README.md", "make gone", "- a reason that is long"]], "no block that begins"),
    ([("README.md", "sh", "make it\n")], [["README.md", "make it", "-"]], "no reason"),
    ([("README.md", "sh", "make it\n")], [["README.md", "make it", "tests/check/test_commands.py::test_gone"]], "no test"),
])
def test_what_is_not_tried_is_found(blocks, table, fault):
    assert [one for one in faults_of(blocks, table) if fault in one]


def test_targets_and_commands_that_are_named_are_there():
    targets = set(re.findall(r"^([a-z][a-z-]*):", open(os.path.join(ROOT, "Makefile"), encoding="utf-8").read(), re.M))
    tools = subprocess.run([PROGRAM, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for name in NAMES:
        text = text_of(name)
        for target in re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.M):
            assert target in targets, f"{name}: make {target}"
        for tool in re.findall(r"`(?:build/)?engaged\s+([a-z]+)\b", text):
            assert re.search(rf"^  engaged {tool}\b", tools, re.M), f"{name}: engaged {tool}"


def test_every_document_is_linked_and_every_link_leads_somewhere():
    for name in NAMES:
        assert name == "README.md" or f"]({name})" in text_of("README.md"), name
        for link in re.findall(r"\]\(([^)#\s]+)\)", text_of(name)):
            if not re.match(r"https?:", link):
                assert os.path.exists(os.path.join(ROOT, os.path.dirname(name), link)), f"{name}: {link}"
