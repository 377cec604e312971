# SPDX-License-Identifier: MIT
"""docs/widget.md has what the widget's source has, and nothing else."""
import glob
import re

OWN = {"label", "vote", "views", "votes"}  # texts that an attribute of another name sets


def source(pattern="src/widget/*.js"):
    return "\n".join(open(path, encoding="utf-8").read() for path in sorted(glob.glob(pattern)))


def block(text, begin, end):
    """The first text that begins so, up to the end that is given."""
    return text.split(begin, 1)[1].split(end, 1)[0] if begin in text else ""


def keys(text):
    """The members of an object's literal; those in inner braces, brackets or texts do not count."""
    plain = re.sub(r"'[^']*'", "''", text)
    while re.search(r"\{[^{}]*\}|\([^()]*\)", plain):
        plain = re.sub(r"\{[^{}]*\}|\([^()]*\)", "", plain)
    return set(re.findall(r"(?:^|,)\s*(\w+)(?=:|,|\s*$)", plain.strip().rstrip(",")))


def in_source():
    text, types = source(), source("src/web/widget.d.ts")
    texts = keys(block(text, "const texts = {", "\n};")) | set(re.findall(r"\.text\('(\w+)'\)", text))
    parts = {part for third in re.findall(r"\bmake\([\w.]+, [^,)\n]+, ([^,)\n]+)", text)
             for words in re.findall(r"'([\w ]+)'", third) for part in words.split()}
    return {
        "script's attribute": {"data-" + name for name in re.findall(r"\boption\('(\w+)'\)", text)},
        "attribute": set(re.findall(r"'([\w-]+)'", block(text, "observedAttributes() {", "}")))
        | set(re.findall(r"\.get\('([a-z-]+)'\)", text)) | {"text-" + name for name in texts - OWN},
        "text": texts,
        "part": parts | keys(block(text, "const about = {", "\n    };"))
        | set(re.findall(r"'(\w+)'", block(types, "type Reason =", ";"))),
        "variable": set(re.findall(r"var\((--engaged-[\w-]+)", text)),
        "name": {"engaged." + name for name in re.findall(r"\w+", block(text, "window.engaged = {", "}"))}
        | {"list." + name for name in re.findall(r"HTMLElement & \{ (\w+)\?", types)},
        "typed method": {"engaged." + name for name in re.findall(r"\n  (\w+)\(", block(types, "interface Engaged {", "\n}"))},
        "event": {"engaged:" + name for name in re.findall(r"\btell\([^,]+, '(\w+)'", text)},
        "typed event": set(re.findall(r"'(engaged:\w+)': CustomEvent", types)),
    }


TABLES = {"script's attribute": "| attribute | what |", "attribute": "| attribute | of | what |", "text": "| key | English |",
          "part": "| part | what |", "variable": "| variable | of | preset |", "name": "| name | what |", "event": "| event | at | detail |"}


def in_document():
    with open("docs/widget.md", encoding="utf-8") as file:
        text = file.read().replace("`detail`", "detail")
    found = {}
    for name, head in TABLES.items():
        rows = [line.split(" | ")[0] for line in block(text, head + "\n", "\n\n").splitlines()[1:]]
        found[name] = {word.split("(")[0] for row in rows for word in re.findall(r"`([^`]+)`", row)}
    found["typed method"] = {name for name in found["name"] if name.startswith("engaged.")}
    found["typed event"] = found["event"]
    return found


def check_widget_document():
    there, told = in_source(), in_document()
    for name in there:
        for word in sorted(there[name] - told[name]):
            yield f"docs/widget.md: the {name} {word} is missing"
        for word in sorted(told[name] - there[name]):
            yield f"docs/widget.md: {word} is no {name}"
