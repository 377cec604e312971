#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/unit/vectors: decayed sums and neighbour tables computed from their definitions, in 60-digit decimals.

Nothing here shares code or method with src/model: a decayed sum is the plain sum of w·2^((t − epoch)/h) over the events
that are still there, and its logarithm is taken at the end. `decay.txt`: "half_life_s events" then per event "sign
time_s", then the expected log2 of the sum. `neighbours.txt`: a sequence of updates and the table that they leave.
"""
import os
import random
from decimal import Decimal, getcontext

getcontext().prec = 60
EPOCH, LN2 = 1704067200, Decimal(2).ln()
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors")


def log2_sum(times, half_life):
    total = sum((((Decimal(t) - EPOCH) / half_life) * LN2).exp() for t in times)
    return total.ln() / LN2


def decay_cases():
    draw = random.Random(7)
    year = 31557600
    yield 10800, [(1, EPOCH + draw.randrange(86400 * 3)) for _ in range(50)]  # out of order
    yield 10800, [(1, EPOCH), (1, EPOCH + 10 * year)]  # ten years apart, both ways
    yield 10800, [(1, EPOCH + 10 * year), (1, EPOCH)]
    yield 604800, [(1, EPOCH - 8 * year), (1, EPOCH + 90 * year), (1, EPOCH + 90 * year)]
    events = [(1, EPOCH + draw.randrange(7200)) for _ in range(60)]  # votes and some taken back
    yield 10800, events + [(-1, t) for _, t in draw.sample(events, 25)]
    yield 60, [(1, EPOCH + n) for n in range(300)]


def write_decay():
    with open(os.path.join(FOLDER, "decay.txt"), "w", encoding="utf-8") as file:
        for half_life, events in decay_cases():
            left = [t for sign, t in events if sign > 0]
            for sign, t in events:
                if sign < 0:
                    left.remove(t)
            file.write(f"{half_life} {len(events)}\n" + "".join(f"{s} {t}\n" for s, t in events))
            file.write(f"{log2_sum(left, half_life):.20f}\n")


def write_neighbours():
    draw, weights, total, updates = random.Random(11), {}, Decimal(0), 0
    sequence = [(draw.choice(range(1, 120)), draw.choice((1, 2, 3, 5)), draw.randrange(0, 259200000)) for _ in range(950)]
    for item, distance, age in sequence:
        weight = ((-Decimal(age) / 21600000) * LN2).exp() / distance
        weights[item], total, updates = weights.get(item, Decimal(0)) + weight, total + weight, updates + 1
        if updates == 400:
            weights, total, updates = {k: v / 2 for k, v in weights.items()}, total / 2, 0
    best = sorted(weights.items(), key=lambda pair: -pair[1])
    with open(os.path.join(FOLDER, "neighbours.txt"), "w", encoding="utf-8") as file:
        file.write(f"{len(sequence)}\n" + "".join(f"{i} {d} {a}\n" for i, d, a in sequence))
        file.write(f"{len(best)} {total:.20f}\n" + "".join(f"{item} {weight:.20f}\n" for item, weight in best))


os.makedirs(FOLDER, exist_ok=True)
write_decay()
write_neighbours()
