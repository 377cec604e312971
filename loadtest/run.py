#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make loadtest: the figures of loadtest/README.md, each beside its yardstick in the same run; ends by itself.

--quick        in some two minutes: fewer and shorter drives, smaller states, not all scenarios
--only A,B     these scenarios alone; --list names them
--minutes N    how long "keeps-up" lasts
--into FOLDER  where the report and its plots go: build/loadtest; loadtest/report holds those of loadtest/README.md

Rate limits are off; one worker, as each peer has one process.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

from bench import PROGRAMS
from cluster import CLUSTER
from costs import COSTS
from latency import LATENCIES
from peers import KEYS
from report import Report, machine
from scenarios import PAIRED, run_paired
from tls import TLS


LEFT_OUT_IF_QUICK = ("related", "page-wrk", "tail-related", "tail-fragment", "votes-always", "undo", "mixed-long-tail", "open-loop-reads", "visible", "cluster", "tls")


class Plan:
    """How much: drives, seconds, states, and the files of visitors."""

    def __init__(self, quick, minutes, folder, program=f"{PROGRAMS}/engaged"):
        self.quick, self.folder, self.program = quick, folder, program
        self.pairs, self.seconds = (1, 2) if quick else (3, 5)
        self.items = 10**6
        self.visitors = 10**5 if quick else 10**6
        self.readers = 5000 if quick else 20000
        self.minutes = minutes or (0.25 if quick else 10)
        self.files, self.seed = {}, 0

    def tokens(self):
        """Visitors of the service: signed tokens."""
        if "visitors" not in self.files:
            path = f"{self.folder}/visitors"
            options = [part for name, value in KEYS.items() for part in ("--" + name.replace("_", "-"), value)]
            with open(path, "w", encoding="utf-8") as file:
                subprocess.run([self.program, "tokens", "--site", "load", "--count", str(self.visitors), *options],
                               stdout=file, check=True)
            self.files["visitors"] = path
        return self.files["visitors"]

    def file(self, kind):
        """visitors; readers: the first of them; users: the peers' short names, which they need not check."""
        if kind == "visitors" or kind in self.files:
            return self.files.get(kind) or self.tokens()
        path = f"{self.folder}/{kind}"
        with open(path, "w", encoding="utf-8") as file, open(self.tokens(), encoding="utf-8") as tokens:
            file.writelines(f"u{n}\n" for n in range(self.visitors)) if kind == "users" else \
                file.writelines(line for line, _ in zip(tokens, range(self.readers)))
        self.files[kind] = path
        return path

    def work(self, kind):
        """The rest of wrk's environment (traffic.lua). No two drives draw the same: a vote made again changes nothing."""
        self.seed += 1
        return {"ITEMS": self.items, "SEED": self.seed, **({"TOKENS": self.file(kind)} if kind else {})}


def scenarios():
    named = {scenario.name: lambda plan, report, it=scenario: run_paired(it, plan, report) for scenario in PAIRED}
    return {**named, **LATENCIES, **COSTS, **CLUSTER, **TLS}


def arguments(known):
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--only", default="")
    options.add_argument("--minutes", type=float)
    options.add_argument("--into", default="build/loadtest")
    options.add_argument("--list", action="store_true")
    given = options.parse_args()
    wanted = [name for name in given.only.split(",") if name]
    unknown = [name for name in wanted if name not in known]
    if unknown or given.list:
        print("\n".join(known) if given.list else f"unknown: {', '.join(unknown)}; there are: {', '.join(known)}")
        sys.exit(2 if unknown else 0)
    return given, wanted or [name for name in known if not (given.quick and name in LEFT_OUT_IF_QUICK)]


def main():
    known = scenarios()
    given, wanted = arguments(known)
    with tempfile.TemporaryDirectory(prefix="engaged-load-") as folder:
        plan = Plan(given.quick, given.minutes, folder)
        report = Report(f"Load test{', quick' if given.quick else ''}: {machine()}", given.into)
        print(report.lines[0], flush=True)
        if len(wanted) < len(known):
            report.say("\nLeft out: " + ", ".join(name for name in known if name not in wanted))
        for name in wanted:
            begin = time.monotonic()
            known[name](plan, report)
            print(f"\n({name}: {time.monotonic() - begin:.0f} s)", flush=True)
        reached = report.end()
    print("\n" + ("every aim is reached" if reached else "some aims are not reached"))
    return 0


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.exit(main())
