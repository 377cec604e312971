# SPDX-License-Identifier: MIT
"""Starts the responder (responder.c) and checks that it ends well: exit code 0, no sanitizer report."""
import os
import signal
import subprocess
from pathlib import Path

import pytest

from support.program import BUILD, ROOT
from support.reports import reports_in
from wire import Wire


def program():
    given = os.environ.get("ENGAGED_RESPONDER")
    path = Path(given) if given else Path(ROOT, BUILD, "responder")
    if not path.exists():
        pytest.fail(f"{path} is not built: run make")
    return str(path)


class Responder:
    def __init__(self, preexec=None, **options):
        arguments = [f"{name}={value}" for name, value in options.items()]
        self.process = subprocess.Popen(
            [program(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=preexec)
        line = self.process.stdout.readline().split()
        if line[:1] != ["listening"]:
            raise RuntimeError(f"the responder did not start: {self.process.communicate()[1]}")
        self.port = int(line[1])
        self.path = options.get("listen", "").partition("unix:")[2] or None

    def connect(self, **options):
        return Wire(self.path or self.port, **options)

    def get(self, target="/hello", **options):
        with self.connect(**options) as wire:
            wire.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
            return wire.answer()

    def stats(self):
        return {name: int(value) for name, value in (line.split() for line in self.get("/stats").text.splitlines())}

    def memory(self):
        """Resident bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu(self):
        """Seconds of processor time used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sanitized(self):
        return "libasan" in Path(f"/proc/{self.process.pid}/maps").read_text()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def end(self):
        if self.process.poll() is None:
            self.terminate()
        try:
            errors = self.process.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert not reports_in(errors), errors
        assert self.process.returncode == 0, f"exit code {self.process.returncode}: {errors}"


@pytest.fixture
def start():
    """Starts a responder with options of one's own; all of them are ended and judged."""
    started = []

    def start_one(preexec=None, **options):
        started.append(Responder(preexec, **options))
        return started[-1]

    yield start_one
    for responder in started:
        responder.end()


@pytest.fixture(scope="module")
def server():
    """One responder with the default limits for a whole file."""
    responder = Responder()
    yield responder
    responder.end()
