#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs all tests: unit tests, then the outside ones, then both again under ASan and UBSan.

With an argument (a SANITIZER value, "" for none) only that build is tested. Ends with "N passed, N failed".

Tests that run beside each other load the machine more than the service ever does. A few tests that fail there are tried
once more, alone. One that then passes counts as passed, and the last lines name it: it has to be mended.
"""
import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile

# The folders of a row run at the same time: where tests wait for processes, others use the processors. The number says how
# many files (or single tests) of a folder run beside each other. What needs two processors, or must not be disturbed, has
# a row of its own.
AT_ONCE = ({"http": 4, "api": 4}, {"roles": 4, "operator": 4, "check": 1, "machines": 1}, {"faults": 4, "cluster": 2, "crash": 2, "model": 1, "windows": 1}, {"browser": 2},
           {"guards": 1})
SHARED_OUT_BY = {"crash": "load"}  # else by "loadfile"
# What a sanitizer would see in a browser it sees in tests/api; counts are of the plain build; checks read texts.
PLAIN_ONLY = ("check", "browser", "guards", "model")
TRIED_AGAIN_MAX = 6  # of a folder: more are no accident
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SANITIZERS = "address,undefined"
PASSED_ALONE = []  # the tests that failed beside others and passed alone


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


def beside_each_other(name, number):
    return ["-n", str(number), "--dist", SHARED_OUT_BY.get(name, "loadfile")] if number > 1 else []


def run_pytest(arguments, build):
    """Its output, whether it succeeded, and the tests that failed (tests/conftest.py notes them)."""
    environment = dict(os.environ, BUILD=build)
    if build != "build":
        environment["SHORT_TESTS"] = "1"  # fewer kills: the same moments, under the sanitizers
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as failures:
        environment["FAILED_TESTS"] = failures.name
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=300", *arguments]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        failed = sorted({"tests/" + test for test in failures.read().splitlines()})
        return done.stdout, done.returncode == 0, failed


def counts_in(output):
    """Passed and failed, by pytest's last line; and that line."""
    tail = output.strip().splitlines()[-1] if output.strip() else ""
    good = sum(int(n) for n in re.findall(r"(\d+) passed", tail))
    return good, sum(int(n) for n in re.findall(r"(\d+) (?:failed|error)", tail)), tail


def try_again_alone(failed, build):
    """How many of them pass now."""
    output, succeeded, still = run_pytest(failed, build)
    if not succeeded:
        print(output[-12000:])
    passed_alone = [test for test in failed if test not in still] if succeeded or still else []
    PASSED_ALONE.extend(passed_alone)
    return len(passed_alone)


def run_folder(name, number, build):
    """Passed and failed, and the tests to try again."""
    output, succeeded, failed = run_pytest([*beside_each_other(name, number), f"tests/{name}"], build)
    good, bad, tail = counts_in(output)
    bad = bad or (0 if succeeded else 1)
    print((output[-12000:] + "\n" if bad else "") + f"  tests/{name} ({build}): {tail}", flush=True)
    again = number > 1 and bad == len(failed) and 0 < bad <= TRIED_AGAIN_MAX
    return good, bad, failed if again else []


def run_row(row, build):
    """Folders at the same time, then what failed in them alone."""
    with concurrent.futures.ThreadPoolExecutor(len(row)) as threads:
        results = list(threads.map(lambda name: run_folder(name, row[name], build), row))
    again = sum(try_again_alone(failed, build) for _, _, failed in results if failed)
    return sum(good for good, _, _ in results) + again, sum(bad for _, bad, _ in results) - again


def run_outside_tests(build):
    left_out = PLAIN_ONLY if build != "build" else ()
    rows = [{name: number for name, number in row.items() if name not in left_out} for row in AT_ONCE]
    results = [run_row(row, build) for row in rows if row]
    return sum(good for good, _ in results), sum(bad for _, bad in results)


def run_build(sanitizer):
    subprocess.run(["make", "-s", "-j2", f"SANITIZER={sanitizer}", "programs"], check=True)
    build = build_folder(sanitizer)
    unit, outside = run_unit_tests(build), run_outside_tests(build)
    return unit[0] + outside[0], unit[1] + outside[1]


def main():
    os.chdir(ROOT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it, and so would all that is started here
    builds = [sys.argv[1]] if len(sys.argv) > 1 else ["", SANITIZERS]
    results = [run_build(sanitizer) for sanitizer in builds]
    passed, failed = sum(r[0] for r in results), sum(r[1] for r in results)
    for test in PASSED_ALONE:
        print(f"failed beside others, passed alone: {test}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0 or passed == 0)


main()
