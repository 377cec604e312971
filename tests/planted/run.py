#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plants one bug at a time into a copy of the tree, and looks whether its test finds it.

A planted bug is a patch of this folder: a line that says what is wrong, a line "test: tests/api/test_writes.py -k name" (what must
find it), and a diff with one line of context. The file's name begins with the bug's room. Each process of JOBS has a copy of its own.
"""
import argparse
import collections
import glob
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "tests", "planted")
LEFT_OUT = shutil.ignore_patterns(".git", "build-*", "__pycache__", "planted")
PATCH = ("patch", "-p1", "--fuzz=1", "--batch", "--silent", "--no-backup-if-mismatch", "--reject-file=-")
FOUND, NOT_FOUND, NOT_APPLYING, BROKEN, TEST_FAILS = "found", "not found", "does not apply", "does not build", "fails without the bug"
SECONDS_MAX = 300  # a test that takes longer hangs: that is found too

Planted = collections.namedtuple("Planted", "name path bug test")


def planted_of(path):
    with open(path, encoding="utf-8") as file:
        bug, test = file.readline().strip(), file.readline().strip()
    assert bug and test.startswith("test: tests/"), f"{path}: the head is the bug and 'test: tests/…'"
    return Planted(os.path.basename(path)[:-len(".patch")], path, bug, test[len("test: "):])


def call(folder, *command, seconds=None):
    """Its exit status and what it printed. One that takes too long is ended and has failed."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
            status = 1
        output.seek(0)
        return status, output.read()


def programs_of(test):
    if test.endswith(".c"):
        return ["build/unit/" + os.path.basename(test)[:-2]]
    return ["build/engaged", "build/responder"] if test.startswith("tests/http/") else ["build/engaged"]


def build(folder, test):
    return call(folder, "make", "-s", "SANITIZER=", *programs_of(test))


def run_test(folder, test):
    if test.endswith(".c"):
        return call(folder, *programs_of(test), seconds=SECONDS_MAX)
    path, _, only = test.partition(" -k ")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout=200", path]
    return call(folder, *command, *(["-k", only.strip("'\"")] if only else []), seconds=SECONDS_MAX)


def what_failed(output):
    found = re.findall(r"^(?:FAILED|ERROR) \S*?(?:::(\S+)|$)", output, re.M) or re.findall(r"^\[  FAILED  \] (\w+)", output, re.M)
    return found[0] if found else "it hangs"


class Copy:
    """A copy of the tree, in which one process of the pool works."""
    folder = None

    @classmethod
    def make(cls, parent):
        cls.folder = tempfile.mkdtemp(dir=parent)
        shutil.copytree(ROOT, cls.folder, ignore=LEFT_OUT, dirs_exist_ok=True, symlinks=True)


def verify(test):
    """The test has to pass without a bug, or nothing is shown."""
    status, output = build(Copy.folder, test)
    status, output = run_test(Copy.folder, test) if status == 0 else (status, output)
    return test, "" if status == 0 else output


def plant(planted):
    """What became of it, and which test found it, or why it could not be tried."""
    if call(Copy.folder, *PATCH, "--dry-run", "-i", planted.path)[0] != 0:
        return planted, NOT_APPLYING, ""
    call(Copy.folder, *PATCH, "-i", planted.path)
    try:
        status, output = build(Copy.folder, planted.test)
        if status != 0:
            return planted, BROKEN, output
        status, output = run_test(Copy.folder, planted.test)
    finally:
        call(Copy.folder, *PATCH, "--reverse", "-i", planted.path)
    if status == 0:
        return planted, NOT_FOUND, ""
    return (planted, FOUND, what_failed(output)) if status == 1 or planted.test.endswith(".c") else (planted, BROKEN, output)


def try_all(bugs, jobs):
    with tempfile.TemporaryDirectory(prefix="engaged-planted-") as parent, \
            multiprocessing.Pool(jobs, Copy.make, (parent,)) as pool:
        failing = {test: output for test, output in pool.imap_unordered(verify, sorted({bug.test for bug in bugs})) if output}
        for test, output in failing.items():
            print(f"{TEST_FAILS}: {test}\n{output[-2000:]}", flush=True)
        for bug in bugs:
            if bug.test in failing:
                yield bug, TEST_FAILS, ""
        yield from pool.imap_unordered(plant, [bug for bug in bugs if bug.test not in failing])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="names that begin so; several with commas between")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    bugs = [planted_of(path) for path in sorted(glob.glob(os.path.join(FOLDER, "*.patch")))]
    bugs = [bug for bug in bugs if bug.name.startswith(tuple(options.only.split(",")))]
    counts = collections.Counter()
    for bug, result, detail in try_all(bugs, min(options.jobs, len(bugs)) or 1):
        counts[result] += 1
        print(f"{result}: {bug.name} ({bug.test}{'; ' + detail if result == FOUND else ''})", flush=True)
        if result != FOUND:
            print(f"  {bug.bug}\n{detail[-2000:]}", flush=True)
    print(", ".join(f"{count} {result}" for result, count in counts.items()) or "no such planted bug")
    sys.exit(0 if counts and set(counts) == {FOUND} else 1)


if __name__ == "__main__":
    main()
