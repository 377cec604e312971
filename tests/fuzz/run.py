#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make fuzz: every target for SECONDS (600), as many at once as there are cores; ends with what was found.

Seeds are in tests/fuzz/corpus; the inputs that the fuzzers find stay in the build folder. An input that breaks something
stays there too, and its path is printed.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(program, seconds):
    name = os.path.basename(program)
    grown = os.path.join(os.path.dirname(program), "corpus-" + name)
    os.makedirs(grown, exist_ok=True)
    done = subprocess.run([program, f"-max_total_time={seconds}", "-max_len=8192", "-timeout=5", "-rss_limit_mb=2048", "-close_fd_mask=2",
                           f"-artifact_prefix={grown}-bad-", "-print_final_stats=1", grown,
                           os.path.join(ROOT, "tests/fuzz/corpus", name)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    runs = re.search(r"stat::number_of_executed_units: (\d+)", done.stdout)
    edges = re.findall(r"cov: (\d+)", done.stdout)
    print(f"  {name}: {runs.group(1) if runs else '?'} inputs, {edges[-1] if edges else '?'} edges, "
          f"{'no finding' if done.returncode == 0 else 'FINDING'}", flush=True)
    if done.returncode:
        print(done.stdout[-4000:])
    return done.returncode == 0


def main():
    seconds, programs = int(sys.argv[1]), sys.argv[2:]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        good = list(pool.map(lambda program: run(program, seconds), programs))
    print(f"{sum(good)} of {len(good)} targets without a finding, {seconds} s each")
    return 0 if all(good) else 1


sys.exit(main())
