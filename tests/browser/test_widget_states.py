# SPDX-License-Identifier: MIT
"""Storage, token, service and script in each of their states: what the widget shows, says to a screen reader and sends. All
pairs of states; with FULL=1 (make test-widget FULL=1) all combinations."""
import os

import pytest

from support.gate import Gate, Publisher
from support.widget_rows import ALL, STATES, Row, all_pairs, load_items, name_of

# All pairs have the slow answer of a reader with a vote only where storage is forbidden, so that nobody knows of it.
LATE = dict(storage="fine", token="good", service="slow-me", script="head")
ROWS = ALL if os.environ.get("FULL") else [*all_pairs(), LATE]


@pytest.fixture(scope="module")
def stage(own_browser):
    service, browser = own_browser
    load_items(service, ROWS)
    gate, publisher = Gate(service), Publisher()
    yield service, gate, publisher, browser
    gate.stop()
    publisher.stop()


def test_all_pairs_are_there():
    rows, names = all_pairs(), list(STATES)
    for i, one in enumerate(names):
        for two in names[i + 1:]:
            assert len({(row[one], row[two]) for row in rows}) == len(STATES[one]) * len(STATES[two])
    assert len(ALL) == 240 and len(rows) < 30 and rows == all_pairs()


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_state_of_the_widget(stage, row):
    Row(row, *stage).play()
