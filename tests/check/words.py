# SPDX-License-Identifier: MIT
"""Old words, each with the word to use instead."""
import re

from tree import code, comments, files, programs, read

# In identifiers and file names of C: one meaning, one word.
CODE = [
    (r"\w+_MOST\b", "…_MAX"), (r"MAX_[A-Z]\w*", "…_MAX"), (r"\w*shel(?:f|ves)\w*", "cached_body"), (r"\w*ceilings?\w*", "rate_limit"),
    (r"door_\w+", "auth_…"), (r"lanes?(?:_\w+)?", "write_queue"), (r"link_(?:send|call|start|stop|ready)\w*", "redis_…"),
    (r"\w*greetings?\w*", "handshake"), (r"gather\w*|GATHER\w*", "pipeline"), (r"touch(?:es)?(?:_\w+)?", "delta"),
    (r"refill\w*", "rebuild"), (r"torn\w*", "corrupt"), (r"\w*foreign\w*", "wrong_type"), (r"recipes?(?:_\w+)?", "body_builder"),
    (r"levels(?:_\w+)?", "bucket_cache"), (r"(?:on|take)_(?:un)?mark(?:s|ed)?", "…_rule"),
]
# In comments and documents: only what has no other sense there.
TEXT = [
    (r"shel(?:f|ves)", "cached body"), (r"[Cc]eilings?", "rate limit"), (r"refill\w*", "rebuild"),
    (r"(?<!\w/)\bDESIGN\b(?!\.md)", "docs/design.md, or the reason itself"), (r"(?<![\w/])API\.md", "docs/api.md"),
    (r"(?<![\w/])FAULTS(?:\.md)?\b", "docs/faults.md"), (r"(?<![Bb]y )[Hh]ands?", "editorial rules, or passes"),
    (r"(?<!@pytest\.)[Mm]arks?", "editorial rule, or applied id"), (r"[Dd]oors?", "authentication"), (r"[Ll]anes?", "write queue"),
    (r"[Gg]reet(?:s|ed|ings?)?", "handshake"), (r"[Tt]orn", "corrupt, or cut"), (r"[Gg]ather(?:s|ed|ing)?", "pipeline, or collects"),
]
# What the connection to Redis throws away; a deleted item of format 2 left a tombstone.
REDIS = [(r"[Tt]ombstones?", "abandoned reply")]
# (file, phrase): it is right there.
STAYS = {
    ("src/api/auth.c", "call->foreign"): "a page of another origin", ("src/api/call.h", "bool foreign"): "a page of another origin",
    ("src/api/views.c", "call->foreign"): "a page of another origin",
    ("src/ops/settings_renamed.def", "RENAMED(ceilings,"): "a setting's old name",
    ("Makefile", "FAULTS="): "make's variable", ("CONTRIBUTING.md", "FAULTS="): "make's variable",
    ("tests/crash/test_crash.py", "FAULTS="): "make's variable", ("loadtest/README.md", "FAULTS="): "make's variable",
    ("src/http/accept.c", "`mark`"): "a character", ("src/model/network.c", "`mark`"): "a character",
    ("src/ops/settings_file.c", "byte order mark"): "of Unicode", ("tests/browser/test_widget_looks.py", "question mark"): "a character",
    ("src/web/dashboard_panels.js", "history, marks,"): "names of that code",
}
PAST = ("CHANGELOG.md", "docs/upgrading.md", "tests/check/")


def without_phrases(path, text):
    for file, phrase in STAYS:
        if file == path:
            text = text.replace(phrase, "")
    return text


def faults(path, line, text, table):
    if not re.search("|".join(pattern for pattern, _ in table), text):
        return
    for pattern, instead in table:
        for word in re.findall(rf"(?<!\w)(?:{pattern})(?!\w)", without_phrases(path, text)):
            yield f"{path}:{line}: {word} is now {instead}"


def unused_phrases():
    for path, phrase in STAYS:
        if phrase not in read(path):
            yield f"tests/check/words.py: {path} says {phrase} no more: take it out of the table"


def check_words():
    yield from unused_phrases()
    for path in files(".c", ".h", ".def", under="src/"):
        plain = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', code(path))
        for line, text in enumerate(plain.split("\n"), 1):
            yield from faults(path, line, text, CODE)
    for path in [one for one in programs() if not one.startswith(PAST)]:
        for line, text in comments(path):
            yield from faults(path, line, text, TEXT + (REDIS if path.startswith("src/redis/") else []))
    for path in [one for one in files(".md") if not one.startswith(PAST)]:
        for line, text in enumerate(read(path).split("\n"), 1):
            yield from faults(path, line, text, TEXT)
