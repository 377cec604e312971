#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make test-install: the tests of this folder, where root and debootstrap allow it; else it says why they are left out."""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
PACKAGES = ("debootstrap", "debhelper", "lintian")


def main():
    if os.geteuid() == 0:
        subprocess.run([os.path.join(ROOT, "deploy/install-packages"), *PACKAGES])
    from support.bare_debian import why_not
    reason = why_not()
    if reason:
        print(f"The tests of installations are left out: {reason}.")
        return 0
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=900", "-n", "3", "--dist", "loadfile",
                           "tests/install", *sys.argv[1:]],
                          cwd=ROOT).returncode


sys.exit(main())
