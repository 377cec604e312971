# SPDX-License-Identifier: MIT
"""The judge of loadtest/soak.py: what grows is found, what only moves is not."""
import pytest

from soak import MIB, judge_process
from soak_load import is_within


def rows(resident, descriptors=lambda n: 20):
    return [(5.0 * n, int(resident(n) * MIB), descriptors(n), 0.01 * n) for n in range(100)]


@pytest.mark.parametrize("what, samples", [
    ("memory rises", rows(lambda n: 8 + n * 0.05)), ("memory has a peak", rows(lambda n: 30 if n == 50 else 8)),
    ("descriptors rise", rows(lambda n: 8, lambda n: 20 + n // 10)), ("descriptors", rows(lambda n: 8, lambda n: 300))])
def test_what_grows_is_wrong(what, samples):
    assert any(what in line for line in judge_process("worker 0", samples)[1])


def test_what_moves_is_not():
    assert judge_process("worker 0", rows(lambda n: 8 + n % 7 * 0.3, lambda n: 20 + n % 11))[1] == []


def test_counts_must_be_right_but_for_those_in_doubt():
    wanted = {"up": 3, "down": 1}, 7
    assert is_within(wanted, wanted, 0) and is_within(({"up": 4, "down": 1}, 7), wanted, 1)
    assert not is_within(({"up": 4, "down": 1}, 7), wanted, 0) and not is_within(({"up": 3, "down": 1}, 9), wanted, 1)
