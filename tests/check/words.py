# SPDX-License-Identifier: MIT
"""Old words, each with the word to use instead."""
import re

from tree import code, comments, files, programs, read

# In identifiers and file names of C: one meaning, one word.
CODE = [
    (r"\w+_MOST\b", "…_MAX"), (r"MAX_[A-Z]\w*", "…_MAX"), (r"\w*shel(?:f|ves)\w*", "cached_body"), (r"\w*ceilings?\w*", "rate_limit"),
    (r"door_\w+", "auth_…"), (r"lanes?(?:_\w+)?", "write_queue"), (r"link_(?:send|call|start|stop|ready)\w*", "redis_…"),
    (r"\w*greetings?\w*", "handshake"), (r"gather(?:_\w+)?", "pipeline"), (r"touch(?:es)?(?:_\w+)?", "delta"),
    (r"refill\w*", "rebuild"), (r"torn\w*", "corrupt"), (r"\w*foreign\w*", "wrong_type"), (r"recipes?(?:_\w+)?", "body_builder"),
    (r"levels(?:_\w+)?", "bucket_cache"),
]
# In comments and documents: only what has no other sense there.
TEXT = [
    (r"shel(?:f|ves)", "cached body"), (r"[Cc]eilings?", "rate limit"), (r"refill\w*", "rebuild"),
    (r"(?<!\w/)\bDESIGN\b(?!\.md)", "docs/design.md, or the reason itself"), (r"(?<![\w/])API\.md", "docs/api.md"),
    (r"(?<![\w/])FAULTS(?:\.md)?\b", "docs/faults.md"),
]
# (file, word): it is right there.
STAYS = {
    ("src/api/auth.c", "foreign"): "a token of another site", ("src/api/call.h", "foreign"): "a page of another origin",
    ("src/api/views.c", "foreign"): "a page of another origin", ("src/ops/settings_renamed.def", "ceilings"): "a setting's old name",
    ("Makefile", "FAULTS"): "make's variable", ("CONTRIBUTING.md", "FAULTS"): "make's variable",
    ("tests/crash/test_crash.py", "FAULTS"): "make's variable", ("loadtest/README.md", "FAULTS"): "make's variable",
}
PAST = ("CHANGELOG.md", "docs/upgrading.md", "tests/check/")


def faults(path, line, text, table):
    if not re.search("|".join(pattern for pattern, _ in table), text):
        return
    for pattern, instead in table:
        for word in re.findall(rf"(?<!\w){pattern}(?!\w)", text):
            if (path, word) not in STAYS:
                yield f"{path}:{line}: {word} is now {instead}"


def check_words():
    for path in files(".c", ".h", ".def", under="src/"):
        plain = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', code(path))
        for line, text in enumerate(plain.split("\n"), 1):
            yield from faults(path, line, text, CODE)
    for path in [one for one in programs() if not one.startswith(PAST)]:
        for line, text in comments(path):
            yield from faults(path, line, text, TEXT)
    for path in [one for one in files(".md") if not one.startswith(PAST)]:
        for line, text in enumerate(read(path).split("\n"), 1):
            yield from faults(path, line, text, TEXT)
