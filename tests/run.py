#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs all tests: unit tests and the outside ones, plain and under ASan and UBSan.

With an argument (a SANITIZER value, "" for none) only that build is tested. Ends with "N passed, N failed".

Tests wait more than they compute, so folders run beside each other. Tests that run beside each other load the machine more
than the service ever does. A few tests that fail there are tried once more, alone. One that then passes counts as passed,
and the last lines name it: it has to be mended.
"""
import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from typing import NamedTuple

# Each folder with the number of its files (or single tests) that run beside each other. They begin in this order, each as
# soon as there are places for it. The folders that take longest come first: else one of them would run alone at the end.
FOLDERS = {"crash": 2, "browser": 2, "faults": 4, "cluster": 2, "model": 1, "guards": 1, "api": 4, "check": 1, "roles": 3,
           "operator": 3, "windows": 1, "machines": 1, "http": 3}
PLACES = 8  # so many files run beside each other
SHARED_OUT_BY = {"crash": "load"}  # else by "loadfile"
# What a sanitizer would see in a browser it sees in tests/api; counts are of the plain build; checks read texts.
PLAIN_ONLY = ("check", "browser", "guards", "model")
TRIED_AGAIN_MAX = 6  # of a folder: more are no accident
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SANITIZERS = "address,undefined"
PASSED_ALONE = []  # the tests that failed beside others and passed alone


class Places:
    """Who wants more than are free waits."""

    def __init__(self, number):
        self.free, self.changed = number, threading.Condition()

    def take(self, number):
        with self.changed:
            self.changed.wait_for(lambda: number <= self.free)
            self.free -= number

    def give(self, number):
        with self.changed:
            self.free += number
            self.changed.notify_all()


def build_folder(sanitizer):
    return "build" + ("-" + sanitizer.replace(",", "-") if sanitizer else "")


def compile_programs(sanitizer):
    subprocess.run(["make", "-s", "-j2", f"SANITIZER={sanitizer}", "programs"], check=True)
    return 0, 0, []


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
    return passed, failed, []


def beside_each_other(name, number):
    return ["-n", str(number), "--dist", SHARED_OUT_BY.get(name, "loadfile")] if number > 1 else []


def run_pytest(arguments, build, on_idle=lambda: None):
    """Its output, whether it succeeded, and the tests that failed. tests/conftest.py notes them, and says by a pipe when one
    of several processes has nothing more to do."""
    idle, idle_in_pytest = os.pipe()
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as failures, tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        environment = dict(os.environ, BUILD=build, FAILED_TESTS=failures.name, IDLE_PIPE=str(idle_in_pytest))
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # pytest compiles a test file once, not in each process and for each build
        if build != "build":
            environment["SHORT_TESTS"] = "1"  # fewer kills: the same moments, under the sanitizers
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=300", *arguments]
        with subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, pass_fds=[idle_in_pytest]) as running:
            os.close(idle_in_pytest)
            with os.fdopen(idle, "rb", buffering=0) as said:
                while said.read(1):
                    on_idle()
        output.seek(0)
        failed = sorted({"tests/" + test for test in failures.read().splitlines()})
        return output.read(), running.returncode == 0, failed


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


def run_folder(name, number, build, on_idle=lambda: None):
    """Passed and failed, and the tests to try again."""
    output, succeeded, failed = run_pytest([*beside_each_other(name, number), f"tests/{name}"], build, on_idle)
    good, bad, tail = counts_in(output)
    bad = bad or (0 if succeeded else 1)
    print((output[-12000:] + "\n" if bad else "") + f"  tests/{name} ({build}): {tail}", flush=True)
    again = bad == len(failed) and 0 < bad <= TRIED_AGAIN_MAX
    return good, bad, failed if again else []


class Job(NamedTuple):
    name: str
    places: int
    sanitizer: str

    def run(self, on_idle=lambda: None):
        """Passed and failed, and the tests to try again."""
        if self.name == "programs":
            return compile_programs(self.sanitizer)
        build = build_folder(self.sanitizer)
        return run_unit_tests(build) if self.name == "unit" else run_folder(self.name, self.places, build, on_idle)


def jobs_of(sanitizer):
    return [Job("unit", 1, sanitizer)] + [Job(name, places, sanitizer) for name, places in FOLDERS.items()
                                          if not (sanitizer and name in PLAIN_ONLY)]


def run_in_places(job, places, programs):
    """What is of a build waits for its programs. Places are given back one by one, as soon as one is idle."""
    held = [job.places]

    def on_idle():
        if held[0] > 1:
            held[0] -= 1
            places.give(1)

    try:
        if job.name != "programs" and job.sanitizer in programs:
            programs[job.sanitizer].result()
        return job.run(on_idle)
    finally:
        places.give(held[0])


def run_beside_each_other(jobs):
    """Each begins, in their order, when there are places for it."""
    places, results, programs = Places(PLACES), [], {}
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as threads:
        for job in jobs:
            places.take(job.places)
            results.append(threads.submit(run_in_places, job, places, programs))
            if job.name == "programs":
                programs[job.sanitizer] = results[-1]
    return [result.result() for result in results]


def run_all(sanitizers):
    """The jobs, and what came of each. While the first build is tested the next one is compiled."""
    first, *others = sanitizers
    compile_programs(first)
    jobs = [Job("programs", 2, sanitizer) for sanitizer in others] + [job for sanitizer in sanitizers for job in jobs_of(sanitizer)]
    return jobs, run_beside_each_other(jobs)


def main():
    os.chdir(ROOT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it, and so would all that is started here
    jobs, results = run_all([sys.argv[1]] if len(sys.argv) > 1 else ["", SANITIZERS])
    passed, failed = sum(good for good, _, _ in results), sum(bad for _, bad, _ in results)
    again = sum(try_again_alone(tests, build_folder(job.sanitizer)) for job, (_, _, tests) in zip(jobs, results) if tests)
    passed, failed = passed + again, failed - again
    for test in PASSED_ALONE:
        print(f"failed beside others, passed alone: {test}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0 or passed == 0)


main()
