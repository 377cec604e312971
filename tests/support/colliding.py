# SPDX-License-Identifier: MIT
"""Targets that fall into one bucket of a table without a key (SuperFastHash), which anybody can make beforehand."""
import itertools
import random

PREFIX = b"/v1/s/items/"  # twelve bytes, so that blocks of four follow it whole
STAGES = 13
ALPHABET = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


def step(state, block):
    """SuperFastHash over whole blocks of four bytes, before its end."""
    for at in range(0, len(block), 4):
        low, high = block[at] | block[at + 1] << 8, block[at + 2] | block[at + 3] << 8
        state = (state + low) & 0xffffffff
        state = ((state << 16) ^ (high << 11) ^ state) & 0xffffffff
        state = (state + (state >> 11)) & 0xffffffff
    return state


def colliding():
    """2 to the STAGES ids: at each stage two blocks that lead to the same state."""
    draw, state, pairs = random.Random(7), step(0xcafebabe, PREFIX), []
    for _ in range(STAGES):
        seen = {}
        while True:
            block = bytes(draw.choices(ALPHABET, k=8))
            after = step(state, block)
            if seen.setdefault(after, block) != block:
                break
        pairs.append((seen[after], block))
        state = after
    return [b"".join(choice) for choice in itertools.product(*pairs)]
