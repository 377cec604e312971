# SPDX-License-Identifier: MIT
"""The program's file, while it runs: replaced, removed, replaced by one with other metrics."""
import json
import os
import shutil
import signal

import pytest

from support.program import PROGRAM
from support.service import Service
from support.wait import wait_until


class Copied(Service):
    program = None  # of the test's folder

    def __init__(self, folder, **settings):
        self.program = str(folder / "engaged")
        shutil.copy2(PROGRAM, self.program)
        super().__init__(**settings)

    def replace(self, change=lambda text: text):
        with open(PROGRAM, "rb") as file:
            text = change(file.read())
        with open(self.program + ".new", "wb") as file:
            file.write(text)
        os.chmod(self.program + ".new", 0o755)
        os.replace(self.program + ".new", self.program)

    def reload(self, word):
        before = self.log().count(word)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log().count(word) > before, 30, self.log)


@pytest.fixture
def service(ending, tmp_path):
    return ending(Copied(tmp_path, log_format="json"))


def votes(service, visitor):
    return service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor=visitor).json["votes"]["up"]


def test_one_with_other_metrics_is_refused_by_name_and_what_runs_goes_on(service):
    assert votes(service, "v") == 1
    service.replace(lambda text: text.replace(b"engaged_short_lists_total", b"engaged_other_lists_total"))
    service.reload("those before stay")
    assert "this program has other metrics than the running one: SIGHUP cannot take it, a new start does" in service.log()
    for line in service.log().splitlines():
        json.loads(line)
    assert votes(service, "w") == 2 and service.metrics()["engaged_process_restarts_total"] == 0
    service.replace()
    service.reload("have taken over")
    service.replace(lambda text: text.replace(b"engaged_short_lists_total", b"engaged_other_lists_total"))
    service.process.terminate()
    assert service.process.wait(40) == 0
    service.start()
    assert votes(service, "x") == 3 and "engaged_other_lists_total" in service.metrics()


def test_one_that_is_removed_goes_on_also_after_a_reload_and_a_crash(service):
    os.unlink(service.program)
    service.reload("have taken over")
    wait_until(lambda: len(service.children("worker")) == 1, 20, "those of before end")
    [worker] = service.children("worker")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: service.children("worker") not in ([], [worker]) and service.is_ready(), 30, service.log)
    assert votes(service, "v") == 1


def test_one_that_is_no_program_is_refused_and_what_runs_goes_on(service):
    service.replace(lambda text: text[:1000])
    service.reload("those before stay")
    assert votes(service, "v") == 1
    service.replace()
    service.reload("have taken over")
