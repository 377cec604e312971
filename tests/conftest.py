# SPDX-License-Identifier: MIT
import contextlib
import os
import pathlib
import tempfile

import pytest

from support.reports import reports_in
from support.service import Service

# The files that take longest, each folder's longest first. They begin before the others: else one of them would run alone
# at the end of its folder.
LONGEST = (
    "faults/test_allocations.py", "faults/test_innocent.py", "faults/test_projection_kill.py", "faults/test_clock.py",
    "faults/test_attack.py", "faults/test_rows_redis.py", "faults/test_lag.py", "faults/test_period_sets.py",
    "faults/test_partitions_apart.py", "faults/test_read_flood.py", "faults/test_ranking_bounds.py", "faults/test_rows_clients.py",
    "cluster/test_rows_scripted.py", "cluster/test_rows.py", "cluster/test_projection.py", "cluster/test_sentinel.py", "cluster/test_harness.py",
    "operator/test_redis_table.py", "operator/test_redis_tls.py", "operator/test_redis_rights.py", "operator/test_folders.py",
    "roles/test_erasures.py", "roles/test_check_and_start.py", "roles/test_reload.py", "roles/test_log.py", "roles/test_time_zone.py",
    "roles/test_backup.py", "roles/test_handshake.py",
    "api/test_openapi_statuses.py", "api/test_lists.py", "api/test_rate_limits.py", "api/test_deletion.py", "api/test_freshness.py",
    "api/test_corrections.py", "api/test_export_is_whole.py", "api/test_offset.py", "api/test_counts_as_time_passes.py",
    "browser/test_demo.py", "browser/test_widget_page.py", "browser/test_widget_firefox.py", "browser/test_dashboard_in_place.py",
    "browser/test_dashboard_states.py", "browser/test_widget_states.py",
)


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.nodeid.partition("::")[0]
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)


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
def open_folder():
    """A folder that every user may pass. Folders of pytest are not: each new run of pytest closes them to others."""
    with tempfile.TemporaryDirectory(prefix="engaged-open-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


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


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown():
    """For tests/run.py: of the processes that run files beside each other, one has nothing more to do."""
    pipe = os.environ.get("IDLE_PIPE")
    if pipe:
        os.write(int(pipe), b".")
