# SPDX-License-Identifier: MIT
import pytest

from support.machines import Machines


@pytest.fixture(scope="module")
def three():
    with Machines() as machines:
        yield machines


@pytest.fixture
def machines(three):
    """All three run, whatever the test before has done."""
    three.make_whole()
    return three
