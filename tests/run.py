#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs all tests: unit tests, then the outside ones, then both again under ASan and UBSan.

With an argument (a SANITIZER value, "" for none) only that build is tested. Ends with "N passed, N failed".
"""
import glob
import os
import re
import subprocess
import sys

# What a folder's tests do beside each other: whole files, or single tests; 1: nothing may disturb them. Most of them wait
# for processes most of the time, so there are more at once than cores.
AT_ONCE = {"http": 4, "api": 4, "roles": 4, "operator": 4, "faults": 4, "crash": 2, "check": 1, "browser": 2, "guards": 1}
SHARED_OUT_BY = {"crash": "load"}  # else by "loadfile"
# What a sanitizer would see in a browser it sees in tests/api; counts are of the plain build; checks read texts.
PLAIN_ONLY = ("check", "browser", "guards")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SANITIZERS = "address,undefined"


def build_folder(sanitizer):
    return "build" + ("-" + sanitizer.replace(",", "-") if sanitizer else "")


def run_unit_tests(build):
    passed = failed = 0
    for source in sorted(glob.glob("tests/unit/test_*.c")):
        name = os.path.basename(source)[:-2]
        done = subprocess.run([f"{build}/unit/{name}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        counts = [int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", done.stdout)]
        bad = len(re.findall(r"^\[  FAILED  \] \w+$", done.stdout, re.M))
        if done.returncode and not bad:
            bad = 1
        if done.returncode:
            print(done.stdout)
        passed, failed = passed + sum(counts), failed + bad
    print(f"  unit ({build}): {passed} passed, {failed} failed", flush=True)
    return passed, failed


def pytest_of(name):
    workers = ["-n", str(AT_ONCE[name]), "--dist", SHARED_OUT_BY.get(name, "loadfile")] if AT_ONCE[name] > 1 else []
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=300", *workers, f"tests/{name}"]


def counts_in(output):
    """Passed and failed, by pytest's last line; and that line."""
    tail = output.strip().splitlines()[-1] if output.strip() else ""
    good = sum(int(n) for n in re.findall(r"(\d+) passed", tail))
    return good, sum(int(n) for n in re.findall(r"(\d+) (?:failed|error)", tail)), tail


def run_outside_tests(build):
    passed = failed = 0
    environment = dict(os.environ, BUILD=build)
    if build != "build":
        environment["SHORT_TESTS"] = "1"  # fewer kills: the same moments, under the sanitizers
    for name in AT_ONCE:
        if build != "build" and name in PLAIN_ONLY:
            continue
        done = subprocess.run(pytest_of(name), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        good, bad, tail = counts_in(done.stdout)
        bad = bad or (1 if done.returncode else 0)
        if bad:
            print(done.stdout[-12000:])
        print(f"  tests/{name} ({build}): {tail}", flush=True)
        passed, failed = passed + good, failed + bad
    return passed, failed


def run_build(sanitizer):
    subprocess.run(["make", "-s", "-j2", f"SANITIZER={sanitizer}", "programs"], check=True)
    build = build_folder(sanitizer)
    unit, outside = run_unit_tests(build), run_outside_tests(build)
    return unit[0] + outside[0], unit[1] + outside[1]


def main():
    os.chdir(ROOT)
    builds = [sys.argv[1]] if len(sys.argv) > 1 else ["", SANITIZERS]
    results = [run_build(sanitizer) for sanitizer in builds]
    passed, failed = sum(r[0] for r in results), sum(r[1] for r in results)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0 or passed == 0)


main()
