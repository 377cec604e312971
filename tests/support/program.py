# SPDX-License-Identifier: MIT
"""Where the tree and the built program are, and what the program is given."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", "build")
PROGRAM = os.path.join(ROOT, BUILD, "engaged")
with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as _makefile:
    VERSION = re.search(r"^VERSION := (\S+)$", _makefile.read(), re.M).group(1)


def options_of(settings):
    """None: not given, so that the file of settings has it."""
    given = {name: value for name, value in settings.items() if value is not None}
    return [part for name, value in given.items() for part in ("--" + name.replace("_", "-"), str(value))]


def script_text(name):
    """A script of lua/ as the build embeds it: the parts that its head includes come first."""
    with open(os.path.join(ROOT, "lua", f"{name}.lua"), "rb") as file:
        text = file.read()
    parts = re.findall(rb"^-- include: (\w+)$", text, re.M)
    return b"".join(script_text(part.decode()) for part in parts) + text
