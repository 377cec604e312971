# SPDX-License-Identifier: MIT
"""All tests of this folder share one service; each test has a site of its own."""
import itertools

import pytest

from support.service import Service

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def service():
    running = Service(kinds="up down")
    yield running
    running.stop()


@pytest.fixture
def site():
    return f"/v1/site-{next(numbers)}.example"


@pytest.fixture
def token(service, site):
    answer = service.post(site + "/visitors")
    assert answer.status == 201
    return answer.json["visitor"]
