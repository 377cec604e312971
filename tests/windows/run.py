#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make windows: a real log is replayed through the service at its own time, and at INSTANTS instants every window of every
item and the lists by window and period are compared with exact counts (log_replay.py). Every tenth vote is taken back, and
processes are killed all the while. SEED and ZONE repeat a run or change the calendar."""
import argparse
import gzip
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from log_replay import Replay, with_retractions  # noqa: E402
from support.program import ROOT  # noqa: E402

DATA = os.path.join(ROOT, "../shared/data")
AIM = 0.99  # of the sliding lists are exact


def rows_of(name, kind):
    with gzip.open(os.path.join(DATA, f"deskdrop_{name}.tsv.gz"), "rt", encoding="utf-8") as file:
        for line in file:
            when, visitor, item = line.rstrip("\n").split("\t")
            yield int(when), kind, visitor, item


def read_log(chance):
    """One vote of a visitor on an item, the first; a tenth of them are taken back."""
    votes = {}
    for when, kind, visitor, item in rows_of("votes", "vote"):
        votes.setdefault((visitor, item), (when, kind, visitor, item))
    return with_retractions(sorted([*rows_of("views", "view"), *votes.values()], key=lambda event: event[0]), chance, 0.1)


def instants_of(events, count, calendar, chance):
    """Most anywhere; some in the first minute of a day, a week, a month, and of days on which the clocks are changed. None in
    the last minutes of an hour, because comparing takes a minute."""
    first, last = events[0][0], events[-1][0]
    special, at = [], first
    while at < last:
        _, begin, behind = calendar.period_at(at, "today")
        if behind - begin != 86400 or calendar.day_of(begin).day == 1 or (calendar.day_of(begin).weekday() == 0 and chance.random() < 0.2):
            special.append(max(begin, first) + 1)
            special.append(behind + 1)
        at = behind
    special = chance.sample(special, min(len(special), count * 3 // 10))
    anywhere = [moment // 3600 * 3600 + chance.randrange(3000) for moment in
                (chance.choice(events)[0] for _ in range(count - len(special)))]
    return sorted({max(moment, first + 60) for moment in special + anywhere})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instants", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--zone", default="America/Sao_Paulo")
    parser.add_argument("--kills", type=int, default=3, help="between two instants")
    options = parser.parse_args()
    if not os.path.exists(DATA):
        print("windows: left out, ../shared/data is not here")
        return 0
    chance = random.Random(options.seed)
    events = read_log(chance)
    replay = Replay(events, options.zone, chance, kills=options.kills)
    instants = instants_of(events, options.instants, replay.exact.calendar, chance)
    begin = time.monotonic()
    try:
        replay.run(instants)
    finally:
        replay.close()
    print(f"{len(events)} events, {len(replay.items)} items, {len(instants)} instants, zone {options.zone}, seed {options.seed}, "
          f"{time.monotonic() - begin:.0f} s\n")
    for what, count in sorted(replay.tally.items()):
        print(f"  {what:32} {count}")
    share = replay.exact_share()
    print(f"\nEvery count and every list that said `exact` was right. Exact: {share:.4f} of the sliding lists (aim {AIM}).")
    return share < AIM


sys.exit(main())
