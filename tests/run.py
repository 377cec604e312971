#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs all tests: unit tests, then the outside ones, then both again under ASan and UBSan.

With an argument (a SANITIZER value, "" for none) only that build is tested. Ends with "N passed, N failed".

Folders whose tests run beside each other load the machine more than the service ever does. A few tests that fail there
are tried once more, alone. One that then passes counts as passed, and the last lines name it: it has to be mended.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

# What a folder's tests do beside each other: whole files, or single tests; 1: nothing may disturb them. Most of them wait
# for processes most of the time, so there are more at once than cores.
AT_ONCE = {"http": 4, "api": 4, "roles": 4, "operator": 4, "faults": 4, "crash": 2, "check": 1, "browser": 2, "guards": 1}
SHARED_OUT_BY = {"crash": "load"}  # else by "loadfile"
# What a sanitizer would see in a browser it sees in tests/api; counts are of the plain build; checks read texts.
PLAIN_ONLY = ("check", "browser", "guards")
TRIED_AGAIN_MOST = 3  # of a folder: more are no accident
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


def beside_each_other(name):
    return ["-n", str(AT_ONCE[name]), "--dist", SHARED_OUT_BY.get(name, "loadfile")] if AT_ONCE[name] > 1 else []


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


def run_folder(name, build):
    output, succeeded, failed = run_pytest([*beside_each_other(name), f"tests/{name}"], build)
    good, bad, tail = counts_in(output)
    bad = bad or (0 if succeeded else 1)
    if bad:
        print(output[-12000:])
    print(f"  tests/{name} ({build}): {tail}", flush=True)
    if beside_each_other(name) and bad == len(failed) and 0 < bad <= TRIED_AGAIN_MOST:
        again = try_again_alone(failed, build)
        good, bad = good + again, bad - again
    return good, bad


def run_outside_tests(build):
    passed = failed = 0
    for name in AT_ONCE:
        if build != "build" and name in PLAIN_ONLY:
            continue
        good, bad = run_folder(name, build)
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
    for test in PASSED_ALONE:
        print(f"failed beside others, passed alone: {test}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0 or passed == 0)


main()
