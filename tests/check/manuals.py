# SPDX-License-Identifier: MIT
"""The manual pages that the build makes have every setting and every command, and groff takes them without a warning."""
import os
import re
import shutil
import subprocess
import sys

from tree import read

PAGES = {"engaged.8": ("src/roles/tools.def", r"^TOOL\((\w+)", r"^\.B engaged {}\b"),
         "engaged.conf.5": ("src/ops/settings.def", r"^(?:TEXT|CHOICE|NUMBER|SECONDS|DURATION|SIZE|SWITCH)\((\w+)", r"^\.B {}$")}


def names_of(path, pattern):
    names = re.findall(pattern, read(path), re.M)
    for name in re.findall(r"^RATE_LIMIT\((\w+)", read(path), re.M):
        names += [f"{name}_per_minute", f"{name}_burst"]
    return names


def page_made(name):
    """Its text, and what its maker says in the end."""
    done = subprocess.run([sys.executable, os.path.join("deploy/man/make.py"), name, "0"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    return done.stdout, done.stderr.strip()


def warnings_of(text):
    if not shutil.which("groff"):
        return []
    return subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8"], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True).stdout.splitlines()


def check_manuals():
    for name, (path, pattern, shown) in PAGES.items():
        text, error = page_made(name)
        if error:
            yield f"{name}: it can't be made: {error}"
            continue
        for one in names_of(path, pattern):
            if len(re.findall(shown.format(one), text, re.M)) != 1:
                yield f"{name}: {one} of {path} is not there once"
        for left in re.findall(r"@[A-Z]+@", text):
            yield f"{name}: {left} is not filled in"
        for warning in warnings_of(text):
            yield f"{name}: {warning}"
