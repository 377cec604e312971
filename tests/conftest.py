# SPDX-License-Identifier: MIT
import contextlib

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
def own():
    """A maker of services with settings of their own; those that still run are stopped, and all are judged, in the end."""
    with contextlib.ExitStack() as services:
        def start(**settings):
            service = Service(**settings)
            services.callback(end, service)
            return service

        yield start
