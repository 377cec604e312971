# SPDX-License-Identifier: MIT
"""Names: each means one thing, and what a comment or a document names is in the tree."""
import collections
import functools
import os
import re

from tree import NOT_OURS, code, comments, files, programs, read, tree

# Said as an example, or of somebody else's program.
ELSEWHERE = {
    "name_ms": "a pattern of names", "METRIC_NAME": "a pattern of names", "unix_time": "a column of the user's file",
    "civil_from_days": "H. Hinnant's function", "sd_notify": "systemd's function", "ps": "a command of the shell",
    "pidfd_open": "a system call that the test makes by number", "pidfd_getfd": "a system call that the test makes by number",
    "Node.js": "the language's own name", "tests/artefacts": "made by the test of pictures",
    "uv.h": "libuv's header", "widget.js": "made by the build", "deploy/container/.env": "the operator's file", "card.json": "a member of struct card",
}
# Still used twice, in just these files: to be renamed. A third file with the name is a fault.
TWICE = {
    "body": ("src/http/body.c", "src/project/correction.c"),
    "records_state": ("src/store/correction_records.c", "src/store/transfer.c"),
}
PATH = re.compile(r"(?<![\w./{$<…*%:}-])((?:[\w.-]+/)*[\w-]+(?:\.[\w-]+)*\.(?:c|h|def|lua|js|py|md|conf|patch|html|css)"
                  r"|(?:src|lua|tests|loadtest|deploy|docs)/(?:[\w.-]+/?)*)(?![\w*{<…-]|/\w|\.\w)")
SNAKE = re.compile(r"(?<![\w….*/{:$<-])([A-Za-z][A-Za-z0-9]*_\w+)(?![\w…*<-]|\.\w)")
CALL = re.compile(r"(?<![\w.…>*{:$-])([A-Za-z_]\w*)\(\)")
QUOTED = re.compile(r"`([^`]+)`")
HEADING = re.compile(r"(?:(docs/[\w.-]+\.md|[\w.-]+\.md)`?\)?,? (?:section )?|\bsections? )[\"“]([^\"”]+)[\"”]")
FORMULA = re.compile(r"\w{1,3}_[a-z]|(?:begin|end)_NAME")  # C_i, pop_j; a step's functions in steps.def


def places_of(pattern, suffixes):
    places = collections.defaultdict(list)
    for path in files(*suffixes, under="src/"):
        for name in re.findall(pattern, code(path)):
            places[name].append(path)
    return places


def check_twice():
    """No struct, union or enum has the name of another, and no .c file that of one in another room."""
    structs = places_of(r"\b(?:struct|union|enum) (\w+) \{", (".c", ".h", ".def"))
    for name, places in sorted(structs.items()):
        if len(places) > 1 and tuple(places) != TWICE.get(name):
            yield f"{', '.join(places)}: each defines {name}"
    for name in TWICE:
        if len(structs.get(name, ())) < 2:
            yield f"tests/check/names.py: {name} is not used twice any more: take it out of the table"
    named = collections.defaultdict(list)
    for path in files(".c", under="src/"):
        named[os.path.basename(path)].append(path)
    for name, places in sorted(named.items()):
        if len(places) > 1:
            yield f"{', '.join(places)}: one name in two rooms"


@functools.lru_cache(maxsize=None)
def known_words():
    """All words of code, of texts in it, of tables, and of the files' own names."""
    words = {word for path in tree() for word in re.split(r"[/.]", path)}
    for path in programs():
        words.update(re.findall(r"\w+", code(path)))
    words.update("ENGAGED_" + name.upper() for name in re.findall(r"^[A-Z]+\((\w+)", code("src/ops/settings.def"), re.M))
    for name in re.findall(r"^RATE_LIMIT\((\w+)", code("src/ops/settings.def"), re.M):
        words.update((f"{name}_per_minute", f"{name}_burst"))  # the two settings that the row makes
    for path in files(".json", ".service", ".html", ".ini", ".pml"):
        if not path.startswith(NOT_OURS):
            words.update(re.findall(r"\w+", read(path)))
    return words


@functools.lru_cache(maxsize=None)
def known_paths():
    """Of each file and folder its path, and every end of it: store/open.c is src/store/open.c."""
    parts = [path.split("/") for path in tree()]
    return {"/".join(one[first:last]) for one in parts for first in range(len(one)) for last in range(first + 1, len(one) + 1)}


def documents():
    return [path for path in files(".md") if path not in ("CHANGELOG.md", "docs/upgrading.md")]  # they speak of the past


def told():
    """(path, line, text, is it a comment) of all that is said."""
    for path in programs():
        for line, text in comments(path):
            yield path, line, text, True
    for path in documents():
        for line, text in enumerate(read(path).split("\n"), 1):
            yield path, line, text, False


def identifiers(text, is_comment):
    quoted = QUOTED.findall(text)
    found = {name for one in quoted for name in SNAKE.findall(one)}
    if is_comment:
        plain = [one for one in quoted if re.fullmatch(r"[\w.>()*-]+", one)]
        found |= {name for one in plain for name in re.findall(r"[A-Za-z_]\w+", one)}
        found |= set(SNAKE.findall(text)) | set(CALL.findall(text))
    return {name for name in found if not FORMULA.fullmatch(name)}


def check_named():
    """Paths and identifiers that a comment or a document names are there."""
    for path, line, text, is_comment in told():
        for name in PATH.findall(text):
            beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
            if name.rstrip("./") not in known_paths() and beside not in known_paths() and name not in ELSEWHERE:
                yield f"{path}:{line}: there is no {name}"
        for name in sorted(identifiers(text, is_comment) - known_words() - set(ELSEWHERE)):
            yield f"{path}:{line}: nothing is called {name}"


def headings(path):
    return {head.replace("`", "") for head in re.findall(r"^#+ (.*)$", read(path), re.M)}


def document_of(name, path):
    """The document that a text of this file means; without a name it means itself."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
    return next((one for one in (beside, name, f"docs/{name}") if one in tree()), None)


def check_headings():
    """A heading that is quoted, behind a document's name or the word section, is in that document."""
    for path, line, text, is_comment in told():
        for name, heading in HEADING.findall(text):
            document = document_of(name, path)
            if not name and is_comment:
                if all(heading not in headings(one) for one in documents()):
                    yield f"{path}:{line}: no document has a section {heading}"
            elif document and heading not in headings(document):
                yield f"{path}:{line}: {document} has no heading {heading}"


def anchors(path):
    """Of the headings of a document, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", read(path), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def check_links():
    """A document's links lead to files and headings that are there."""
    for path in files(".md"):
        for link in re.findall(r"\]\(([\w./-]*(?:#[\w-]+)?)\)", read(path)):
            name, _, anchor = link.partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if not os.path.exists(there):
                yield f"{path}: its link {link} leads nowhere"
            elif anchor and there.endswith(".md") and anchor not in anchors(there):
                yield f"{path}: its link {link} has no such heading"
