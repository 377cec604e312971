# SPDX-License-Identifier: MIT
"""promtool and Prometheus, of PATH or of Debian's package, unpacked into a cache folder (`make deps-prometheus`)."""
import os
import shutil
import subprocess

import pytest

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "engaged-prometheus", "usr", "bin")


def tool(name):
    """Its path; the test is left out where there is none."""
    path = shutil.which(name) or shutil.which(os.path.join(CACHE, name))
    if not path:
        pytest.skip(f"left out: {name} is not there: make deps-prometheus")
    return path


def promtool(*arguments, text=None):
    """What it says; it must be content."""
    done = subprocess.run([tool("promtool"), *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout
