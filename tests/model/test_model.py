# SPDX-License-Identifier: MIT
"""The model of the road of a vote holds with small bounds, and flaws of it are found. The whole: make model."""
import os
import shutil
import subprocess
import sys

import pytest

FOLDER = os.path.dirname(os.path.abspath(__file__))


def run(*options):
    done = subprocess.run([sys.executable, os.path.join(FOLDER, "run.py"), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    print(done.stdout)
    return done


@pytest.mark.skipif(not shutil.which("spin"), reason="spin is not installed")
def test_the_rules_hold_and_flaws_are_found():
    done = run("--short")
    assert done.returncode == 0, done.stdout
    assert "0 wrong" in done.stdout and "no error" in done.stdout and "counterexample" in done.stdout
