#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the model of the road of a vote (road.pml) with spin: the rules of the code find no error, each flaw is found.

Prints a table with bounds, states, time and memory. README.md says what is modelled. `--short` takes less than a minute on
two cores. To add a flaw: an `#ifdef FLAW_…` in road.pml and a row of FLAWS.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "road.pml")
MEGABYTES = 3500  # of one search
AT_ONCE = 2

# What is tried, its bounds, and "none" or "found": what the search has to find. `short`: also in the short run.
Row = collections.namedtuple("Row", "name bounds wants short")


def rules(name, bounds, short=False):
    return Row(name, bounds, "none", short)


def flaw(switch, bounds, short=False):
    return Row(switch, bounds, "found", short)


# The rules as they are in the code. The bounds are WRITES, FAILOVERS and so on, see the head of road.pml.
RULES = (
    rules("one projector", "WRITES=2 FAILOVERS=1", short=True),
    rules("one projector", "WRITES=3 FAILOVERS=1"),
    rules("a second failover", "WRITES=2 FAILOVERS=2"),
    rules("votes and views", "WRITES=2 FAILOVERS=2 VOTES=1 NO_TRIM"),
    rules("partitions that do not answer", "WRITES=3 FAILOVERS=0 AWAYS=2", short=True),
    rules("deaths, no answers, deletions", "WRITES=2 FAILOVERS=1 CRASHES=1 AWAYS=1 DELETES=1"),
    rules("both projections", "WRITES=2 FAILOVERS=1 PROJECTIONS=2"),
    rules("two projectors, deletions", "WRITES=2 FAILOVERS=0 PROCESSES=2 DELETES=1", short=True),
    rules("two projectors, deaths", "WRITES=2 FAILOVERS=0 PROCESSES=2 DELETES=1 CRASHES=1"),
    rules("two projectors, failover", "WRITES=1 FAILOVERS=1 PROCESSES=2"),
    rules("the second still at an old master", "WRITES=3 FAILOVERS=1 PROCESSES=2 CRASHES=1 NO_TRIM NARROW"),
    rules("one Redis, log_kept = 0", "WRITES=2 FAILOVERS=1 ONE_STREAM", short=True),
    rules("one Redis, two failovers", "WRITES=2 FAILOVERS=2 ONE_STREAM"),
)
# Rules that are a second line: each may be left out as long as the others hold.
SPARE = (
    rules("FLAW_VERSION_COUNTS", "WRITES=2 FAILOVERS=1 DELETES=2"),
    rules("FLAW_TRIM_ANY_LIFE", "WRITES=2 FAILOVERS=1"),
)
FLAWS = (
    flaw("FLAW_NO_OPEN", "WRITES=2 FAILOVERS=1", short=True),
    flaw("FLAW_OPEN_NOT_AHEAD", "WRITES=2 FAILOVERS=1", short=True),
    flaw("FLAW_OPENED_BY_OTHERS", "WRITES=2 FAILOVERS=1"),
    flaw("FLAW_LIFE_NOT_NOTICED", "WRITES=2 FAILOVERS=1"),
    flaw("FLAW_OFFSETS_OF_ANY_LIFE", "WRITES=2 FAILOVERS=1", short=True),
    flaw("FLAW_OFFSETS_FIRST", "WRITES=1 FAILOVERS=0 CRASHES=1"),
    flaw("FLAW_OFFSET_PAST_BEHIND", "WRITES=2 FAILOVERS=0 AWAYS=1", short=True),
    flaw("FLAW_CURSOR_STAYS", "WRITES=2 FAILOVERS=0 AWAYS=1"),
    flaw("FLAW_NO_VERSION", "WRITES=2 FAILOVERS=0 DELETES=1", short=True),
    flaw("FLAW_DELETE_KEEPS_VERSION", "WRITES=2 FAILOVERS=0 DELETES=1"),
    flaw("FLAW_STATES_FIRST", "WRITES=2 FAILOVERS=0 DELETES=1"),
    flaw("FLAW_COMMIT_IN_ANY_LIFE", "WRITES=2 FAILOVERS=1 DELETES=1", short=True),
    flaw("FLAW_COMMIT_IN_ANY_LIFE READ_AT_ONCE", "WRITES=2 FAILOVERS=1 DELETES=1"),
    flaw("FLAW_COMMIT_IN_ANY_LIFE FLAW_VERSION_COUNTS", "WRITES=2 FAILOVERS=1 DELETES=1"),
    flaw("FLAW_COMMIT_BEFORE_OPEN", "WRITES=2 FAILOVERS=1"),
    flaw("FLAW_NO_APPLIED", "WRITES=1 FAILOVERS=0 CRASHES=1"),
    flaw("FLAW_APPLIED_OF_THE_ROUND", "WRITES=1 FAILOVERS=0 PROCESSES=2"),
    flaw("FLAW_TRIM_AT_ONCE", "WRITES=2 FAILOVERS=1", short=True),
    flaw("FLAW_TRIM_ONE", "WRITES=1 FAILOVERS=0 PROJECTIONS=2"),
    flaw("FLAW_NOTES_OUTLIVE", "WRITES=2 FAILOVERS=1 ONE_STREAM"),
    flaw("FLAW_NOTE_WHILE_STALE", "WRITES=2 FAILOVERS=1", short=True),
)
# The assumptions about the world: without one of them entries are lost or ids repeat.
ASSUMPTIONS = (
    flaw("BROKEN_CLOCKS", "WRITES=2 FAILOVERS=1"),
    flaw("BROKEN_LATE_OPEN", "WRITES=2 FAILOVERS=2"),
    flaw("BROKEN_SLEEP", "WRITES=2 FAILOVERS=2"),
    flaw("BROKEN_RAISE", "WRITES=3 FAILOVERS=1 PROCESSES=2 CRASHES=1 NO_TRIM NARROW"),
)
# The search comes to an end in which everything has happened and is projected, so it can find what is left out.
REACHED = (
    flaw("REACHED", "WRITES=2 FAILOVERS=1 CRASHES=1 AWAYS=1 DELETES=1", short=True),
    flaw("REACHED", "WRITES=2 FAILOVERS=1 PROCESSES=2"),
    flaw("REACHED", "WRITES=2 FAILOVERS=1 PROJECTIONS=2"),
    flaw("REACHED", "WRITES=2 FAILOVERS=1 ONE_STREAM"),
)
PARTS = (("the rules of the code", RULES), ("a rule of the second line is left out", SPARE), ("a flaw", FLAWS),
         ("an assumption does not hold", ASSUMPTIONS), ("the end is reached", REACHED))


def switches(row):
    named = row.name.split() if row.name.isupper() else []
    return [f"-D{word}" for word in [*named, *row.bounds.split()]]


def build(row, folder):
    done = subprocess.run(["spin", *switches(row), "-a", MODEL], cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode or "Error" in done.stdout:
        raise RuntimeError(f"{MODEL}: {done.stdout}")
    speed = "-O2" if row.wants == "none" else "-O0"  # what is found is found at once
    subprocess.run(["gcc", "-w", speed, "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEGABYTES}", "-o", "pan", "pan.c"], cwd=folder, check=True)


def search(row):
    """What was found: "none", "found", or why the search did not come to an end; the states, seconds and megabytes."""
    with tempfile.TemporaryDirectory(prefix="engaged-model-") as folder:
        build(row, folder)
        began = time.monotonic()
        process = subprocess.Popen(["./pan", "-m400000", "-n"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output = process.stdout.read()
        process.stdout.close()
        usage = os.wait4(process.pid, 0)[2]
        process.returncode = 0
        seconds = time.monotonic() - began
    states = int((re.findall(r"(\d+) states, stored", output) or ["0"])[0])
    errors = re.search(r"errors: (\d+)", output)
    whole = errors and "Search not completed" not in output and "max search depth too small" not in output
    result = "found" if "assertion violated" in output else "none" if whole and errors.group(1) == "0" else output[-300:]
    return row, result, states, seconds, usage.ru_maxrss // 1024


def shown(row):
    return row.name if row.name.isupper() else f"({row.name})"


def check(title, rows):
    """How many of the rows did not find what they had to."""
    print(f"\n{title}\n", flush=True)
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
        for row, result, states, seconds, megabytes in threads.map(search, rows):
            good = result == row.wants
            wrong += not good
            said = {"none": "no error", "found": "counterexample"}.get(result, result)
            print(f"  {'' if good else 'WRONG: '}{shown(row):44} {row.bounds:56} {said:15} {states:>11,} states {seconds:6.1f} s {megabytes:5} MB",
                  flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="some of the rows, with small bounds")
    parser.add_argument("--only", default="", help="rows whose name or bounds contain this")
    options = parser.parse_args()
    began, wrong, count = time.monotonic(), 0, 0
    for title, rows in PARTS:
        chosen = [row for row in rows if (row.short or not options.short) and options.only in row.name + " " + row.bounds]
        wrong += check(title, chosen) if chosen else 0
        count += len(chosen)
    print(f"\n{count} searches, {wrong} wrong, {time.monotonic() - began:.0f} s, at most "
          f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MB each")
    sys.exit(1 if wrong or not count else 0)


if __name__ == "__main__":
    main()
