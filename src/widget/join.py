#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""join.py script|module PART…: the widget's parts as one file, as it is served. Comments and blanks go, and the names
of variables and of our own members become short; what the page, the service or the browser knows keeps its name."""
import itertools
import re
import sys

TOKEN = re.compile(r"""
    (?P<comment>//[^\n]*|/\*.*?\*/) | (?P<text>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*") | (?P<style>`[^`]*`)
  | (?P<regexp>(?<=[(!])/(?:\\.|\[(?:\\.|[^\]])*\]|[^/\\\n])+/\w* | (?<=[=:,&|?]\s)/(?:\\.|\[(?:\\.|[^\]])*\]|[^/\\\n])+/\w*
             | (?<=\n\s{6})/(?:\\.|\[(?:\\.|[^\]])*\]|[^/\\\n])+/\w*)
  | (?P<name>[A-Za-z_$][\w$]*) | (?P<blank>\s+) | (?P<other>=>|\.\.\.|\d+(?:\.\d+)?|.)""", re.X | re.S)

# Variables whose name is a member's or a key's too, of the browser, the service or the page.
KEEP = set("""address attributes body code consent detail dir do document entries error here href if ids in item items keys
    kind label lang location method now of one page part query ranking reason rel service site size src status style
    title type url values view views visitor vote votes""".split())
MEMBERS = set("""again all alone asked because button by called counting draw drawn explain have id_ key limit lost mine more news
    newsCount open own plain root row said seen sending take text turn unseen update wait""".split())
WRAP = {
    "script": ("((here,address)=>{'use strict';", "})(document.currentScript,'')"),
    "module": ("export default((here,address)=>{'use strict';", "})(null,import.meta.url)"),
}


def declared(words, only_top=()):
    """The names after const, let and class, with those behind their commas, and the parameters of arrows."""
    found = set()
    for at, word in enumerate(words):
        if only_top and only_top[at] > 0:
            continue
        if word == "class" or word in ("const", "let") and words[at + 1].isidentifier():
            found.add(words[at + 1])
        if word in ("const", "let"):
            depth = 0
            for place in itertools.count(at + 1):
                depth += (words[place] in "([{") - (words[place] in ")]}")
                if depth < 0 or depth == 0 and words[place] in (";", "of"):
                    break
                if depth == 0 and words[place] == "," and words[place + 1].isidentifier():
                    found.add(words[place + 1])
        if word in ("=>", "catch") and only_top:
            continue
        if word == "catch" and words[at + 1] == "(" and words[at + 2].isidentifier():
            found.add(words[at + 2])
        if word == "=>" and words[at - 1].isidentifier():
            found.add(words[at - 1])
        if word == "=>" and words[at - 1] == ")":
            begin = max(place for place in range(at) if words[place] == "(" and words[place:at].count("(") == words[place:at].count(")"))
            found.update(words[place] for place in range(begin + 1, at) if words[place].isidentifier() and words[place - 1] in "(,[")
    return found


def depths(words):
    depth = 0
    for word in words:
        depth -= word in (")", "]", "}")
        yield depth
        depth += word in ("(", "[", "{")


def short_names(words):
    """A name for each word that is ours, else itself. Those of the whole are told apart from those of one statement of
    the outermost level, which begin anew with the next."""
    depth, taken = list(depths(words)), set(words) | {"do", "if", "in", "is", "of", "as"}
    top = declared(words, depth) | MEMBERS
    letters = [c for c in "abcdefghijklmnopqrstuvwxyz" if c not in taken]
    capitals = [a + b for a in ["", *"abcdefghijklmnopqrstuvwxyz"] for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if a + b not in taken]
    whole = dict(zip(sorted(top - KEEP, key=lambda name: (-words.count(name), name)), capitals))
    begin = 0
    for end in [at for at, word in enumerate(words) if word == ";" and depth[at] == 0] + [len(words) - 1]:
        unit = words[begin:end + 1]
        inner = sorted(declared(unit) - top - KEEP, key=lambda name: (-unit.count(name), name))
        local = dict(zip(inner, letters + [c + "1" for c in letters]))
        for at, word in enumerate(unit):
            member = at and unit[at - 1] == "."
            yield (not member and local.get(word)) or (whole.get(word, word) if not member or word in MEMBERS else word)
        begin = end + 1


def merged(found):
    """Declarations that follow each other become one; a semicolon before a brace goes."""
    out, declares = [], [False]
    for at, (kind, word) in enumerate(found):
        following = found[at + 1][1] if at + 1 < len(found) else ""
        if word in ("(", "[", "{"):
            declares.append(False)
        elif word in (")", "]", "}"):
            declares.pop()
        elif word in ("const", "let") and kind == "name":
            if declares[-1]:
                continue
            declares[-1], word = True, "let"
        elif word == ";":
            if declares[-1] and following in ("const", "let"):
                word = ","
            else:
                declares[-1] = False
                if following == "}":
                    continue
        out.append((kind, word))
    return out


def join(text):
    found = [(match.lastgroup, match.group()) for match in TOKEN.finditer(text)]
    found = [(kind, word) for kind, word in found if kind not in ("comment", "blank")]
    kinds, out = [kind for kind, _ in found], ""
    for kind, word in merged(list(zip(kinds, short_names([word for _, word in found])))):
        if kind == "style":
            word = re.sub(r"\s*\n\s*", "", word)
        if re.match(r"[\w$]", word) and re.search(r"[\w$]$", out):
            out += " "
        out += word
    return re.sub(r",([}\])])", r"\1", out)


def main():
    begin, end = WRAP[sys.argv[1]]
    parts = "".join(open(path, encoding="utf-8").read() for path in sys.argv[2:])
    print("// SPDX-License-Identifier: MIT\n" + begin + join(parts) + end)


main()
