# SPDX-License-Identifier: MIT
import contextlib
import os

import pytest

from support.reports import reports_in
from support.service import Service


def end(service):
    if service.process.poll() is None:
        service.stop()
        return
    log = service.log()
    service.remove()
    assert not reports_in(log), log


@pytest.fixture
def ending():
    """Takes services: those that still run are stopped, and all are judged, in the end."""
    with contextlib.ExitStack() as services:
        def take(service):
            services.callback(end, service)
            return service

        yield take


@pytest.fixture
def own(ending):
    """A maker of services with settings of their own, which end with the test."""
    return lambda **settings: ending(Service(**settings))


def pytest_runtest_logreport(report):
    """For tests/run.py, which tries a few of them again."""
    noted = os.environ.get("FAILED_TESTS")
    if noted and report.failed:
        with open(noted, "a", encoding="utf-8") as file:
            file.write(report.nodeid + "\n")
