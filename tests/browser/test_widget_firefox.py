# SPDX-License-Identifier: MIT
"""The most telling states of the widget in Firefox too. Where there is none (`make deps-browser`), the tests say so."""
import pytest

from support.firefox import PROGRAM, Firefox
from support.gate import Gate, Publisher
from support.service import Service
from support.widget_rows import STATES, Row, all_pairs, load_items, name_of

ROWS = [dict(zip(STATES, values)) for values in (
    ("fine", "none", "up", "head"), ("full", "none", "away-at-click", "module"), ("blocked", "refused", "slow-vote", "end"),
    ("fine", "good", "slow-me", "async"), ("cleared", "refused", "away-at-load", "end"))]


@pytest.fixture(scope="module")
def stage():
    if not PROGRAM:
        pytest.skip("Firefox is not there: make deps-browser")
    service = Service(refresh_interval="50ms", redis_timeout="500ms")
    load_items(service, [*ROWS, *(row for row in all_pairs() if row not in ROWS)])  # what fills the boxes
    gate, publisher, browser = Gate(service), Publisher(), Firefox()
    yield service, gate, publisher, browser
    browser.close()
    gate.stop()
    publisher.stop()
    service.stop()


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_state_of_the_widget_in_firefox(stage, row):
    Row(row, *stage).play()
