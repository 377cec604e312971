# SPDX-License-Identifier: MIT
"""Packed states of src/model, read in Python."""
import struct


def unpack_sums(packed):
    """The format of src/model/sums.h: {signal: (count, {half-life in s: log2 sum})}."""
    form, life_count, signal_count = struct.unpack_from("<BBB", packed)
    assert form in (1, 2)
    at = 3 + 8
    lives = [ms / 1000 for ms in struct.unpack_from(f"<{life_count}Q", packed, at)]
    at += 8 * life_count
    signals = {}
    for _ in range(signal_count):
        number, count = struct.unpack_from("<BQ", packed, at)
        at += 9
        signals[number] = count, dict(zip(lives, struct.unpack_from(f"<{life_count}d", packed, at)))
        at += 8 * life_count
    if form == 2:  # early visitors
        at += 1 + 4 * packed[at]
    assert at == len(packed)
    return signals
