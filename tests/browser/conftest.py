# SPDX-License-Identifier: MIT
"""The real service with the sample site, and a real browser. Each test has a reader of its own there, unless its file says that
its tests share one."""
import contextlib
import os
import subprocess
import sys

import pytest

from support.chromium import Browser, Chromium
from support.program import ROOT
from support.service import Service
from support.widget_stage import Stage


@pytest.fixture(scope="session")
def service():
    running = Service(refresh_interval="50ms", redis_timeout="2s")
    subprocess.run([sys.executable, os.path.join(ROOT, "loadtest/sample.py"), "--url",
                    f"http://127.0.0.1:{running.port}", "--key", "k"], check=True, stdout=subprocess.DEVNULL)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def chromium():
    """One for all files that a process of pytest runs."""
    with contextlib.closing(Chromium()) as running:
        yield running


@pytest.fixture
def browsers(chromium):
    """A maker of readers' browsers, closed in the end."""
    with contextlib.ExitStack() as made:
        yield lambda **options: made.enter_context(contextlib.closing(Browser(chromium, **options)))


@pytest.fixture
def browser(browsers):
    return browsers()


@pytest.fixture(scope="module")
def own_browser(chromium):
    """A service without samples whose rate limits are out of the way, and one reader for all tests of a file."""
    running = Service(refresh_interval="50ms", redis_timeout="2s", new_visitors_per_minute="100000", new_visitors_burst="100000",
                      views_per_minute="100000", views_burst="100000", votes_per_minute="100000", votes_burst="100000")
    with contextlib.closing(Browser(chromium)) as reader:
        yield running, reader
    running.stop()


@pytest.fixture(scope="module")
def shared_stage(own_browser):
    made = Stage(*own_browser)
    yield made
    made.gate.stop()
    made.publisher.stop()


@pytest.fixture
def stage(shared_stage):
    """The stage of a file, without what the test before has left there."""
    shared_stage.gate.reset()
    shared_stage.browser.driver.get_log("browser")
    return shared_stage
