# SPDX-License-Identifier: MIT
"""A made-up log of six weeks in a zone that changes its clocks, replayed as `make windows` replays a real one: every count
of every window, sliding lists and lists of periods, with processes killed between and votes taken back."""
import os
import random

import pytest

from exact_counts import DAY, HOUR, Calendar
from log_replay import Replay, with_retractions

pytestmark = pytest.mark.skipif(os.environ.get("BUILD", "build") != "build", reason="a preloaded clock does not go with a sanitizer")
ZONE = "Europe/Berlin"
BEGIN, DAYS = 1790100000, 45  # 2026-09-22 to 2026-11-06; on 2026-10-25 the clocks are set back
ARTICLES, READERS, VIEWS, VOTES = 2500, 400, 9000, 1500


def made_up(chance):
    """Articles appear one after another; each is read most when it is new, and a few are read much."""
    born = sorted(chance.randrange(BEGIN, BEGIN + DAYS * DAY) for _ in range(ARTICLES))
    likes = [chance.paretovariate(1.1) for _ in born]
    events, voted = [], set()
    for number, article in enumerate(chance.choices(range(ARTICLES), likes, k=VIEWS + VOTES)):
        when = born[article] + int(chance.expovariate(1 / (18 * HOUR)))
        kind, visitor, item = "view" if number < VIEWS else "vote", f"v{chance.randrange(READERS)}", f"i{article}"
        if when > BEGIN + DAYS * DAY or (kind == "vote" and (visitor, item) in voted):
            continue
        voted.add((visitor, item))
        events.append((when, kind, visitor, item))
    for article in range(ARTICLES):  # an hour in which each is read
        events.append((BEGIN + (DAYS - 1) * DAY + chance.randrange(HOUR), "view", f"v{chance.randrange(READERS)}", f"i{article}"))
    return with_retractions(sorted(set(events)), chance, 0.2)


def instants():
    calendar = Calendar(ZONE)
    _, changed, behind = calendar.period_at(1792936800, "today")
    assert behind - changed == 25 * HOUR
    first_of_month = calendar.period_at(behind, "month")[2]
    end = BEGIN + DAYS * DAY
    return [BEGIN + 9 * DAY + 600, changed + 1, behind + HOUR + 1, first_of_month + 1, end - DAY // 3600 * 3600, end]


def test_every_count_and_every_list_is_as_an_exact_computation_says():
    chance = random.Random(17)
    replay = Replay(made_up(chance), ZONE, chance, kills=2, depths=(10, 100))
    try:
        replay.run([instant // HOUR * HOUR + min(instant % HOUR, 3000) for instant in instants()])
        before = replay.service.get("/v1/s/rankings/most-read")
        replay.run([replay.clock + 2 * HOUR])  # without an event hours leave the windows
        after = replay.service.get("/v1/s/rankings/most-read", If_None_Match=before.headers["etag"])
        assert after.status == 200 and after.json["from"] > before.json["from"]
    finally:
        replay.close()
    tally = replay.tally
    assert tally["instants"] == 7 and tally["windows of items"] == 7 * 8 * len(replay.items)
    assert tally["past today, 10 places: lists"] > 0 and tally["24h, 10 places: exact"] > 0
    assert 0 < replay.exact_share() < 1, f"both kinds were there: {tally}"
