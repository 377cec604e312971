# SPDX-License-Identifier: MIT
"""What the tests of installations share: bare systems, and this tree in them."""
import subprocess

import pytest

from support.bare_debian import BareDebian, why_not
from support.program import ROOT


def pytest_collection_modifyitems(items):
    reason = why_not()
    for item in items if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def machine():
    one = BareDebian()
    try:
        yield one
    finally:
        one.remove()


@pytest.fixture(scope="session")
def put_tree():
    """Copies this tree, as it is, without what is built, into a system."""
    def put(machine, folder):
        machine.run(f"mkdir -p {folder}")
        pack = subprocess.Popen(["tar", "-C", ROOT, "--exclude=./build*", "--exclude=./data", "--exclude=./.git", "--exclude=__pycache__",
                                 "-cf", "-", "."], stdout=subprocess.PIPE)
        subprocess.run(["tar", "--no-same-owner", "-C", machine.path(folder), "-xf", "-"], stdin=pack.stdout, check=True)
        assert pack.wait() == 0
    return put
