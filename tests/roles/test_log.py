# SPDX-License-Identifier: MIT
"""The log when nobody reads it: lines are lost and counted, requests are not (docs/faults.md)."""
import fcntl
import os
import re
import signal
import termios

import pytest

from support.service import Service
from support.wait import wait_until

PIPE_BYTES = 4096  # the least that a pipe may hold, so that it is full at once
REQUESTS = 3000


class LoggedTo(Service):
    """The service with its stderr at `place`, which the shell opens for it."""

    def __init__(self, place, **settings):
        self.wrapper = ("sh", "-c", 'exec "$@" 2>"$0"', place)
        super().__init__(access_log="on", workers=2, hang_timeout="2s", **settings)


@pytest.fixture
def pipe(tmp_path):
    """A named pipe and the descriptor of its reader, which reads only when the test does."""
    path = str(tmp_path / "log")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield path, reader
    os.close(reader)


def read_all(reader):
    parts = []
    while True:
        try:
            part = os.read(reader, 65536)
        except BlockingIOError:
            part = b""
        if not part:
            return b"".join(parts).decode()
        parts.append(part)


def answered(service, count):
    return sum(service.get(f"/v1/s/items/i{number}").status == 200 for number in range(count))


def test_a_reader_of_the_log_that_stalls_stops_nothing(pipe):
    path, reader = pipe
    service = LoggedTo(path)
    try:
        assert answered(service, REQUESTS) == REQUESTS
        lost = service.metrics()["engaged_log_lines_lost_total"]
        assert REQUESTS - 200 < lost < REQUESTS + 100, lost
        assert service.metrics()["engaged_process_restarts_total"] == 0
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(15) == 0
    finally:
        if service.process.poll() is None:
            service.process.kill()


def test_what_was_lost_is_said_when_somebody_reads_again(pipe):
    path, reader = pipe
    service = LoggedTo(path, log_format="json")
    try:
        answered(service, 200)
        read_all(reader)
        answered(service, 20)
        wait_until(lambda: "log lines were lost" in said(reader, service), 5, "nobody says that lines were lost")
    finally:
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(15) == 0


def said(reader, service):
    answered(service, 4)
    text = read_all(reader)
    for line in text.splitlines():
        assert re.fullmatch(r'\{"time":.*\}', line), f"a line is cut or mixed with another: {line}"
    return text


def test_a_terminal_that_is_held_by_ctrl_s_stops_nothing():
    controller, terminal = os.openpty()
    service = None
    try:
        service = LoggedTo(os.ttyname(terminal))
        termios.tcflow(terminal, termios.TCOOFF)
        assert answered(service, 300) == 300
        assert service.metrics()["engaged_log_lines_lost_total"] >= 250
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(15) == 0
    finally:
        if service and service.process.poll() is None:
            service.process.kill()
        os.close(controller)
        os.close(terminal)


def test_a_log_file_is_appended_to_and_loses_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("what was there before\n", encoding="utf-8")
    service = Service(access_log="on", workers=2)
    try:
        assert answered(service, 500) == 500
        assert service.metrics()["engaged_log_lines_lost_total"] == 0
        wait_until(lambda: service.log().count("access: GET /v1/s/items/") == 500, 5, "lines are missing")
    finally:
        service.stop()


def test_a_long_line_of_json_fits_one_write(pipe):
    """A line is cut, not mixed: a path full of what JSON escapes."""
    path, reader = pipe
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 1 << 20)
    service = LoggedTo(path, log_format="json")
    try:
        for _ in range(5):
            service.get("/v1/s/items/" + "%22" * 200)
        wait_until(lambda: said(reader, service), 5, "nothing is written")
    finally:
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(15) == 0
