# SPDX-License-Identifier: MIT
"""The fenced blocks of the documents, as they are written."""
import glob
import os
import re

from support.program import ROOT

NAMES = ["README.md", "CONTRIBUTING.md", "loadtest/README.md"] + sorted(
    os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, "docs/*.md")))


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def blocks(name, language):
    """All blocks of one document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(name), re.M | re.S)


def all_blocks():
    """(document, language, text) of every block."""
    for name in NAMES:
        for language, text in re.findall(r"^```(\w*)\n(.*?)^```", text_of(name), re.M | re.S):
            yield name, language, text
