#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make bench-compare A=rev B=rev: builds two revisions in temporary worktrees and sets them side by side in alternating
drives of the same traffic. Ratios are B over A; the revision "." means the working tree."""
import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

from bench import drive, stopping
from client import ROOT
from report import machine, median, number, spread
from run import Plan
from scenarios import PAIRED, open_service, visitors_of

MAIN = "ranking,page,votes-spread,votes-zipf,views,mixed"


class Tree:
    """A revision, built."""

    def __init__(self, revision, folder):
        self.revision, self.folder = revision, ROOT if revision == "." else folder
        self.program = f"{self.folder}/build/engaged"
        if revision != ".":
            subprocess.run(["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", folder, revision], check=True)
        try:
            subprocess.run(["make", "-s", f"-j{os.cpu_count()}", "-C", self.folder, "all"], check=True,
                           stdout=subprocess.DEVNULL)
        except subprocess.CalledProcessError:
            self.stop()
            raise

    def stop(self):
        if self.folder != ROOT:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", self.folder], check=True)


def compare(scenario, plans):
    with contextlib.ExitStack() as opened:
        targets = [opened.enter_context(stopping(open_service(scenario, plan)))[0] for plan in plans]
        results = ([], [])
        for _ in range(plans[0].pairs):
            for target, plan, into in zip(targets, plans, results):
                work = {**scenario.work, **plan.work(visitors_of(scenario)), "ITEMS": scenario.items}
                into.append(drive(target, plan.seconds, scenario.connections, work))
    return results


FIGURES = {"/s": lambda one: one.rate, "p99 µs": lambda one: one.latency.get("p99", 0),
           "worker µs": lambda one: one.cpu["worker"], "projector µs": lambda one: one.cpu.get("projector", 0),
           "Redis µs": lambda one: one.redis_us, "all µs": lambda one: one.all_us(),
           "Redis commands": lambda one: one.commands, "AOF bytes": lambda one: one.aof_bytes}


# Most of B ÷ A, by revision A, scenario and figure.
AIMS = {("2765bec", "votes-zipf", "Redis µs"): 0.6}


def verdict(aim, ratios):
    if aim is None or not ratios:
        return ""
    return f"≤ {aim}: {'yes' if median(ratios) <= aim else '**no**'}"


def print_rows(scenario, results, before_revision):
    for name, figure in FIGURES.items():
        before, after = ([figure(one) for one in side] for side in results)
        if scenario.seed == "reads" and "TARGET" in scenario.work and name in ("projector µs", "Redis µs", "AOF bytes"):
            continue  # what the timers do
        ratios = [b / a for a, b in zip(before, after) if a]
        print(f"| {scenario.name} | {name} | {number(median(before))} | {number(median(after))} | "
              f"{spread(ratios) if ratios else ''} | {verdict(AIMS.get((before_revision, scenario.name, name)), ratios)} |", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("a")
    options.add_argument("b")
    options.add_argument("--only", default=MAIN)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--turns", type=int, help="drives of each revision in a scenario")
    given = options.parse_args()
    wanted = [scenario for scenario in PAIRED if scenario.name in given.only.split(",")]
    folder = tempfile.mkdtemp(prefix="engaged-compare-")
    try:
        with stopping(Tree(given.a, f"{folder}/a"), Tree(given.b, f"{folder}/b")) as trees:
            plans = []
            for tree in trees:
                own = tempfile.mkdtemp(dir=folder)
                plans.append(Plan(given.quick, None, own, tree.program))
                plans[-1].pairs = given.turns or plans[-1].pairs
            print(f"{machine()}; A {given.a}, B {given.b}; {plans[0].pairs} × {plans[0].seconds} s, 64 connections\n\n"
                  "| scenario | figure | A | B | B ÷ A (min–max) | aim, reached |\n|---|---|---|---|---|---|", flush=True)
            for scenario in wanted:
                print_rows(scenario, compare(scenario, plans), given.a)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
