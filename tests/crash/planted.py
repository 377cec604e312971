# SPDX-License-Identifier: MIT
"""Planted bugs: each patch of planted/ is applied to a copy of the tree and built there. Its head names the faults that show
the bug and the rules, each of which must find it; `Seconds: 15` if eight are too few."""
import os
import re
import shutil
import subprocess
import tempfile

from support.program import ROOT

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "planted")
TREE = ("src", "lua", "Makefile", "build")  # what is built already is copied too: a patch compiles few files


def names():
    return sorted(name[:-len(".patch")] for name in os.listdir(FOLDER) if name.endswith(".patch"))


class Planted:
    def __init__(self, name):
        self.path = os.path.join(FOLDER, name + ".patch")
        with open(self.path, encoding="utf-8") as file:
            head = dict(re.findall(r"^(Faults|Expect|Seconds): (.+)$", file.read(), re.M))
        self.faults, self.expected, self.seconds = head["Faults"], head["Expect"].split(), head.get("Seconds", "8")

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="engaged-planted-")
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def build(self):
        for name in TREE:
            source, target = os.path.join(ROOT, name), os.path.join(self.folder, name)
            if os.path.isdir(source):
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("unit", "engaged", "responder"))
            elif os.path.exists(source):
                shutil.copy2(source, target)
        # Without fuzz: a patch whose place has changed must fail, and be looked at again.
        self.call("patch", "-p1", "--fuzz=0", "--batch", "-i", self.path)
        self.call("make", "-s", "-j2", "SANITIZER=", "build/engaged")
        self.program = os.path.join(self.folder, "build", "engaged")

    def call(self, *command):
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, f"{os.path.basename(self.path)}: {' '.join(command)}\n{done.stdout}"
