# SPDX-License-Identifier: MIT
"""Older revisions of the program, built from the history of this tree and kept in a cache folder."""
import os
import shutil
import subprocess
import tempfile

import pytest

from support.program import ROOT
from support.service import Service

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "engaged-upgrade")


def build(revision, program):
    """In a folder of its own; only what is whole gets to `program`."""
    with tempfile.TemporaryDirectory(prefix="new-", dir=CACHE) as tree:
        archive = subprocess.run(["git", "-C", ROOT, "archive", revision], stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "-C", tree, "-xf", "-"], input=archive, check=True)
        done = subprocess.run(["make", "-s", "-j2", "all"], cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout[-3000:]
        shutil.copy(os.path.join(tree, "build/engaged"), program + ".new")
        os.rename(program + ".new", program)


def old_program(revision):
    """The path of the program of that revision. Without the history the test is skipped."""
    known = subprocess.run(["git", "-C", ROOT, "cat-file", "-e", revision + "^{commit}"], stderr=subprocess.DEVNULL)
    if known.returncode:
        pytest.skip(f"the history of this tree does not reach {revision}")
    os.makedirs(CACHE, exist_ok=True)
    program = os.path.join(CACHE, f"engaged-{revision}")
    if not os.path.exists(program):
        build(revision, program)
    return program


def format_of(revision):
    """The format of the data that the program of that revision writes; of HEAD, too."""
    found = subprocess.run(["git", "-C", ROOT, "grep", "-hE", r"enum \{ (DATA_)?FORMAT = [0-9]+ \}; // of the data", revision, "--", "src"],
                           stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(found.split("=")[1].split()[0])


class Upgraded(Service):
    """A service whose program is exchanged. Its log is one."""

    def __init__(self, program, **settings):
        self.program = program
        super().__init__(**settings)

    def end(self):
        self.process.terminate()
        assert self.process.wait(30) == 0

    def go_on_with(self, program):
        self.end()
        self.program = program
        self.start()

    def refusal(self):
        """The exit status and the last lines of a start that fails."""
        process = self.spawn()
        return process.wait(30), self.log()[-1500:]
