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


def run_outside_tests(build):
    names = ["http", "api", "roles", "faults", "crash", "check"]
    if build == "build":
        names += ["browser", "guards"]  # what a sanitizer would see there it sees in tests/api; counts are of the plain build
    folders = [f"tests/{name}" for name in names if glob.glob(f"tests/{name}/test_*.py")]
    passed = failed = 0
    for folder in folders:
        environment = dict(os.environ, BUILD=build)
        if build != "build":
            environment["SHORT_TESTS"] = "1"  # fewer kills: the same moments, under the sanitizers
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=300", folder],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        tail = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
        good = sum(int(n) for n in re.findall(r"(\d+) passed", tail))
        bad = sum(int(n) for n in re.findall(r"(\d+) (?:failed|error)", tail))
        if done.returncode and not bad:
            bad = 1
        if bad:
            print(done.stdout[-12000:])
        print(f"  {folder} ({build}): {tail}", flush=True)
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
