#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manual pages, made from the tables that the program itself is built from: the settings (src/ops/settings.def, with
the sentences of deploy/engaged.conf) and the commands (src/roles/tools.def).

`make.py engaged.8 VERSION` prints a page. A row that it can't read, or a setting without sentences, is an error.
The text around the tables is in NAME.in beside this file: @SETTINGS@, @SECTIONS@, @COMMANDS@ and @VERSION@ are filled in.
"""
import os
import re
import sys
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STRING = r'"(?:\\.|[^"\\])*"'


class Unreadable(Exception):
    """What a table or the configuration lacks."""


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def rows_of(path, root=ROOT):
    """(macro, arguments) of each row of a .def file; adjacent strings are one, and a CHOICE's words stay together."""
    with open(os.path.join(root, path), encoding="utf-8") as file:
        text = re.sub(r"^(?:\s*//|#).*(?:\n.*(?<=\\\n).*)*$", "", re.sub(r"\\\n", " ", file.read()), flags=re.M)
    for macro, inside in re.findall(rf"^([A-Z_]+)\(((?:{STRING}|[A-Z_]+\([^()]*\)|[^()\"])*)\)", text, re.M):
        parts = re.findall(rf"(?:\s*(?:{STRING}|\w+\([^()]*\)|[^\s,()\"]+))+", inside)
        yield macro, [unquoted(part.strip()) for part in parts]


def unquoted(part):
    if not part.startswith('"'):
        return part
    return "".join(re.findall(r'"((?:\\.|[^"\\])*)"', part)).replace('\\"', '"')


# ---- Settings: what a value is, by its macro

def span(what, low, high, preset):
    return [f"{what} from {low} to {high}.", f"Preset: {preset}."]


def value_of(macro, rest):
    """The sentences on the value: its kind, its bounds, its preset."""
    if macro == "TEXT":
        return [f"Preset: {rest[2]}." if rest[2] else "Preset: empty."]
    if macro == "CHOICE":
        words = re.findall(r'WORD\(\w+, "(\w+)"\)', rest[1])
        return [f"One of {', '.join(words)}.", f"Preset: {rest[0]}."]
    if macro == "SWITCH":
        return ["on or off.", "Preset: " + ("on." if rest[0] == "true" else "off.")]
    kinds = {"NUMBER": "A number", "SECONDS": "Seconds", "DURATION": "A duration", "SIZE": "A size"}
    if macro not in kinds:
        raise Unreadable(f"settings.def: {macro} is unknown to {os.path.basename(__file__)}")
    return span(kinds[macro], *rest[:3])


def settings(root=ROOT):
    """(name, sentences on its value) of each setting, in the order of the table."""
    with open(os.path.join(root, "src/ops/settings.def"), encoding="utf-8") as file:
        most = re.search(r"NUMBER\(name##_per_minute, 0, (\d+),", file.read()).group(1)
    for macro, (name, *rest) in rows_of("src/ops/settings.def", root):
        if macro == "RATE_LIMIT":
            yield name + "_per_minute", span("A number", "0", most, rest[0])
            yield name + "_burst", span("A number", "0", most, rest[1])
        else:
            yield name, value_of(macro, rest)


def paragraphs(root=ROOT):
    """Of deploy/engaged.conf: the sentences on each setting, by name; and the sections, each (sentences, lines)."""
    with open(os.path.join(root, "deploy/engaged.conf"), encoding="utf-8") as file:
        blocks = file.read().strip().split("\n\n")[1:]
    by_name, sections = {}, []
    for block in blocks:
        lines = [line[2:] if line.startswith("# ") else line for line in block.split("\n")]
        first = next((at for at, line in enumerate(lines) if re.match(r"\[|\w+ =", line)), len(lines))
        name = re.match(r"(\w+) =", lines[first]) if first < len(lines) else None
        if name:
            by_name[name.group(1)] = " ".join(lines[:first])
        elif lines[:first] or not sections:
            sections.append((" ".join(lines[:first]), lines[first:]))
        else:
            sections[-1][1].extend(["", *lines])
    return by_name, sections


# ---- roff

def escaped(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("–", "\\(en").replace("×", "\\(mu")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def flowing(text):
    """Lines that begin with no dot or quote, whatever the text has."""
    return escaped("\n".join(textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False)))


def sentence(text):
    return text if text.endswith(".") else text + "."


def settings_part(root=ROOT):
    by_name, _ = paragraphs(root)
    parts = []
    for name, value in settings(root):
        if not by_name.get(name):
            raise Unreadable(f"deploy/engaged.conf: {name} has no sentences")
        parts.append(f".TP\n.B {name}\n{flowing(sentence(by_name[name]))}\n.br\n{flowing(' '.join(value))}")
    return "\n".join(parts)


def sections_part(root=ROOT):
    return "\n".join(f".PP\n{flowing(text)}\n.PP\n.RS\n.nf\n{escaped(chr(10).join(lines))}\n.fi\n.RE"
                     for text, lines in paragraphs(root)[1])


def commands_part(root=ROOT):
    parts = []
    for macro, row in rows_of("src/roles/tools.def", root):
        if macro != "TOOL" or len(row) != 3:
            raise Unreadable(f"tools.def: {macro}({', '.join(row)})")
        parts.append(f".TP\n.B engaged {escaped(' '.join(row[:2]).strip())}\n{flowing(sentence(row[2][0].upper() + row[2][1:]))}")
    return "\n".join(parts)


def page(name, version, root=ROOT):
    with open(os.path.join(root, "deploy/man", name + ".in"), encoding="utf-8") as file:
        text = file.read()
    for word, part in (("SETTINGS", settings_part), ("SECTIONS", sections_part), ("COMMANDS", commands_part)):
        if f"@{word}@" in text:
            text = text.replace(f"@{word}@\n", part(root) + "\n")
    return text.replace("@VERSION@", version)


def main():
    try:
        sys.stdout.write(page(sys.argv[1], sys.argv[2]))
    except Unreadable as why:
        sys.exit(f"make.py: {why}")


if __name__ == "__main__":
    main()
