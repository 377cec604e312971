# SPDX-License-Identifier: MIT
"""The crash checker finds nothing in the service, and finds each planted bug by the rules that are meant for it.

A longer run: make crash SECONDS=600 FAULTS=all or FAULTS=cluster. SHORT_TESTS=1 leaves the planted bugs out.
"""
import os
import re
import subprocess
import sys

import pytest

from planted import FOLDER, Planted, names

SHORT = os.environ.get("SHORT_TESTS") == "1"
RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")


def crash(*options):
    done = subprocess.run([sys.executable, RUN, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    return done


def test_all_faults():
    margin = ["--margin", "4"] if SHORT else []  # sanitizers are slow
    done = crash("--seconds", "30", *margin)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(SHORT, reason="of the program as it is delivered; the nodes are the same")
def test_cluster():
    done = crash("--seconds", "30", "--faults", "cluster", "--margin", "3")
    assert done.returncode == 0, done.stdout


def looks_for(planted, folder):
    """A run with the faults that bring the bug to light: whether its rules found it, and what the run said."""
    done = crash("--seconds", planted.seconds, "--faults", planted.faults, "--settle", "3", "--program", planted.program,
                 "--keep", str(folder))
    violated = re.findall(r"^violated (\w+) \d+ times", done.stdout, re.M)
    return done.returncode == 1 and set(planted.expected) <= set(violated), done.stdout


@pytest.mark.skipif(SHORT, reason="the same under sanitizers")
@pytest.mark.parametrize("name", names())
def test_planted_bug_is_found(name, tmp_path):
    with Planted(name) as planted:
        for turn in ("first", "second", "third"):  # where a fault strikes is chance: it may miss the bug
            folder = tmp_path / turn
            found, output = looks_for(planted, folder)
            if found:
                break
    assert found, output
    assert (folder / "service.log").exists()
    assert bool(list(folder.glob("history-*.txt"))) == ("history of" in output)


@pytest.mark.skipif(SHORT, reason="nothing of the program")
def test_patch_that_does_not_apply_is_told(tmp_path):
    path = tmp_path / "old.patch"
    with open(os.path.join(FOLDER, "projected-twice.patch"), encoding="utf-8") as file:
        path.write_text(file.read().replace("double accept_ms = 0;", "double accept = 0;"), encoding="utf-8")
    planted = Planted("projected-twice")
    planted.path = str(path)
    with pytest.raises(AssertionError, match="FAILED"), planted:
        pass
