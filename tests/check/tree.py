# SPDX-License-Identifier: MIT
"""What the rules read: the files of the tree, and of each its comments apart from its code."""
import functools
import glob
import os
import re

C_LIKE = re.compile(r'''"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?P<comment>//[^\n]*|/\*.*?\*/)''', re.S)
JS = re.compile(r'''"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|(?<=[(,=:] )/(?:\\.|[^/\n\\])+/|'''
                r'''(?P<comment>//[^\n]*|/\*.*?\*/)''', re.S)
LUA = re.compile(r'''"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?P<comment>--\[\[.*?\]\]|--[^\n]*)''', re.S)
PYTHON = re.compile(r"""(?P<comment>^[ \t]*[rf]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}))|\"{3}.*?\"{3}|'{3}.*?'{3}|"""
                    r"""\"(?:\\.|[^"\\\n])*\"|'(?:\\.|[^'\\\n])*'|(?P<line>#[^\n]*)""", re.S | re.M)
PLAIN = re.compile(r"(?P<comment>(?<!\S)#[^\n]*)")
LANGUAGES = {".c": C_LIKE, ".h": C_LIKE, ".def": C_LIKE, ".css": C_LIKE, ".js": JS, ".ts": JS, ".lua": LUA, ".py": PYTHON}
ROOTS = ("src", "lua", "tests", "loadtest", "deploy", "docs")
NOT_OURS = ("tests/fixtures/", "tests/fuzz/corpus/", "tests/unit/vectors/", "tests/unit/user_agents/", "loadtest/data/",
            "loadtest/report/")


@functools.lru_cache(maxsize=None)
def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


@functools.lru_cache(maxsize=None)
def tree():
    """All files, but for what is made."""
    found = [path for root in ROOTS for path in glob.glob(root + "/**/*", recursive=True) if os.path.isfile(path)]
    found += [path for path in glob.glob("*") if os.path.isfile(path)]
    return sorted(path for path in found if "__pycache__" not in path and "artefacts" not in path)


def files(*suffixes, under=""):
    return [path for path in tree() if path.endswith(suffixes) and path.startswith(under)]


def room_of(path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else "main"


def language(path):
    return LANGUAGES.get(os.path.splitext(path)[1], PLAIN)


def programs():
    """Files whose comments and code are told apart."""
    suffixes = tuple(LANGUAGES) + ("Makefile", ".conf", "run-sample", "install-packages", "/start")
    return [path for path in files(*suffixes) if not path.startswith(NOT_OURS)]


@functools.lru_cache(maxsize=None)
def comments(path):
    """(line, text) of each line of comment."""
    text, found = read(path), []
    for match in language(path).finditer(text):
        if any(match.groups()):
            first = text.count("\n", 0, match.start()) + 1
            found += [(first + number, line) for number, line in enumerate(match.group(0).split("\n"))]
    return found


@functools.lru_cache(maxsize=None)
def code(path):
    """The text with its comments blanked; lines stay where they are."""
    return language(path).sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)) if any(match.groups()) else match.group(0),
                              read(path))
