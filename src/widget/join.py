#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""join.py script|module: the widget's parts as one file, as it is served. Comments and blanks go, and the names
of variables and of our own members become short; what the page, the service or the browser knows keeps its name."""
import itertools
import os
import re
import sys

TOKEN = re.compile(r"""
    (?P<comment>//[^\n]*|/\*.*?\*/) | (?P<text>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*") | (?P<style>`[^`]*`)
  | (?P<regexp>(?:(?<=[(!])|(?<=[=:,&|?]\s)|(?<=\n\s{6}))/(?:\\.|\[(?:\\.|[^\]])*\]|[^/\\\n])+/\w*)
  | (?P<name>[A-Za-z_$][\w$]*) | (?P<blank>\s+) | (?P<other>=>|\.\.\.|\d+(?:\.\d+)?|.)""", re.X | re.S)

PARTS = "settings store calls writes schedule elements start".split()
# Members of our own: no other object has any of these names.
MEMBERS = set("""most alone asked because by called counting draw drawn explain have id_ key limit lost mine more news
    all button by newsCount of open plain text row sending take turn unseen update wait said root""".split())
WRAP = {
    "script": ("((here,address)=>{'use strict';", "})(document.currentScript,'')"),
    "module": ("export default((here,address)=>{'use strict';", "})(null, import.meta.url)"),
}
LOCAL, WHOLE = "etonisra", "pmhfgvbywkxjqzlcduABCDEFGHIJKLMNOPQRSTUVWXYZ_$"


def open_brackets(words):
    """Of each word the bracket that is open about it: ( [ or of the braces object, class or block."""
    stack = ["block"]
    for at, word in enumerate(words):
        if word in (")", "]", "}"):
            stack.pop()
        yield stack[-1]
        if word in ("(", "["):
            stack.append(word)
        elif word == "{":
            before = words[at - 1]
            is_class = words[at - 2] in ("class", "extends")
            is_object = before in ("(", "=", ",", ":", "?", "[", "return", "const", "let", "...", "&", "|")
            stack.append("class" if is_class else "object" if is_object else "block")


def roles(words, about):
    """What a name is: a variable, a member (after a dot, a key, a method), or both at once, as in { name }."""
    for at, word in enumerate(words):
        before, after = words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
        if before == "." or about[at] == "class":
            yield "member"
        elif about[at] == "object" and before in ("{", ",") and after == ":":
            yield "member"
        elif about[at] == "object" and before in ("{", ",") and after in (",", "}"):
            yield "both"
        else:
            yield "variable"


def is_name(word):
    return re.match(r"[A-Za-z_$][\w$]*$", word) is not None


def parameters(words, close):
    """The names between the parentheses that end there."""
    begin = next(place for place in range(close, -1, -1) if words[place:close + 1].count("(") == words[place:close + 1].count(")"))
    return {words[place] for place in range(begin + 1, close) if words[place - 1] in ("(", ",", "[", "{") and is_name(words[place])}


def declaration(words, at):
    """The names of a const or let: those before its first =, also within braces, and those behind its commas."""
    found, depth, begins = set(), 0, True
    for place in itertools.count(at + 1):
        word = words[place]
        depth += word in ("(", "[", "{")
        if depth == 0 and word in (";", "of"):
            return found
        if is_name(word) and (begins or depth == 0 and words[place - 1] == ","):
            found.add(word)
        begins = begins and word != "="
        depth -= word in (")", "]", "}")
        if depth < 0:
            return found


def declared(words, about):
    found = set()
    for at, word in enumerate(words):
        if word in ("const", "let"):
            found |= declaration(words, at)
        elif word == "class":
            found.add(words[at + 1])
        elif word == "catch" and words[at + 1] == "(" and is_name(words[at + 2]):
            found.add(words[at + 2])
        elif word == "=>" and is_name(words[at - 1]):
            found.add(words[at - 1])
        elif word == ")" and (words[at + 1] == "=>" or words[at + 1] == "{" and about[at + 1] == "class"):
            found |= parameters(words, at)
    return found


def by_use(names, words, letters):
    return dict(zip(sorted(names, key=lambda name: (-words.count(name), name)), letters))


def by_place(names, words, letters):
    return dict(zip(sorted(names, key=words.index), letters))


def shortened(words):
    """Variables of the whole are told apart from those of one outermost statement, which begin anew with the next."""
    about = list(open_brackets(words))
    role = list(roles(words, about))
    depth = list(itertools.accumulate((word in ("(", "[", "{")) - (word in (")", "]", "}")) for word in words))
    top = set()
    for at, word in enumerate(words):
        if depth[at] == 0 and word in ("const", "let"):
            top |= declaration(words, at)
        elif depth[at] == 0 and word == "class":
            top.add(words[at + 1])
    ours = declared(words, about)
    variables = [word for word, is_a in zip(words, role) if is_a != "member"]
    foreign = set(variables) - ours | {"do", "is", "in", "if", "of", "as"}
    more = [a + b for a in LOCAL for b in LOCAL + WHOLE]
    whole = by_use(top, variables, [name for name in [*WHOLE, *more] if name not in foreign])
    member = by_use(MEMBERS, words, LOCAL + WHOLE)
    out, begin = [], 0
    for end in [at for at, word in enumerate(words) if depth[at] == 0 and word == ";" or
                word == "}" and (about[at] == "class" or depth[at] == 0 and words[at + 1:at + 2] == ["try"])] + [len(words) - 1]:
        unit = words[begin:end + 1]
        local = by_place(declared([*unit, ""], about[begin:end + 1] + [""]) - top, unit,
                       [*LOCAL, *(letter for letter in WHOLE if letter not in {whole.get(word, word) for word in unit})])
        for at in range(begin, end + 1):
            name, known = local.get(words[at]) or whole.get(words[at], words[at]), member.get(words[at], words[at])
            out.append(known if role[at] == "member" or role[at] == "both" and name == known else
                       name if role[at] == "variable" else known + ":" + name)
        begin = end + 1
    return out


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
    for kind, word in merged(list(zip(kinds, shortened([word for _, word in found])))):
        if kind == "name":
            word = {"true": "!0", "false": "!1"}.get(word, word)
        if kind == "style":
            word = re.sub(r"\s*\n\s*", "", word)
        if re.match(r"[\w$]", word) and re.search(r"[\w$]$", out):
            out += " "
        out += word
    return re.sub(r",([}\])])", r"\1", out)


def main():
    begin, end = WRAP[sys.argv[1]]
    folder = os.path.dirname(os.path.abspath(__file__))
    parts = "".join(open(os.path.join(folder, name + ".js"), encoding="utf-8").read() for name in PARTS)
    print("// SPDX-License-Identifier: MIT\n" + begin + join(parts) + end)


main()
