# SPDX-License-Identifier: MIT
"""What a worker holds and reads for lists whose rules leave out nearly all: rules by author, by category, by age. Anybody may
ask for them, each with an author of its own."""
import os
import time
import urllib.parse

import pytest
import redis

from support.processes import resident_bytes
from support.service import PROGRAM, Service

SITE, MB = "/v1/s", 1 << 20
CACHE, BESIDES = 8 * MB, 16 * MB  # docs/operating.md: body_cache, and less than so much besides
AUTHORS, EACH, LISTS = 17, 450, 12
DESK = "views = 1\nvotes = 0\n" + "".join(f"author = Author {number} {'x' * 150}\n" for number in range(1, AUTHORS)) + "\n"
OTHERS = "views = 1\nvotes = 0\n" + DESK[DESK.index("author"):].replace("author", "without_author")
RANKINGS = f"[ranking rest]\ntype = window\nwindow = 24h\n{OTHERS}[ranking desk]\ntype = window\nwindow = 24h\n{DESK}[ranking desk-total]\ntype = total\n{DESK}" + "".join(f"[ranking r{number}]\ntype = window\nwindow = 24h\nviews = 1\nvotes = {number}\n\n" for number in range(LISTS))


BEST = f"i{AUTHORS - 1}"  # of the last author


def author(number):
    return f"Author {number} " + "x" * 150


@pytest.fixture(scope="module")
def service():
    running = Service(configuration=RANKINGS, body_cache=str(CACHE // MB) + "MiB", refresh_interval="1h", rate_limits="off")
    now = int(time.time())
    for first in range(0, AUTHORS * EACH, EACH):
        items = range(first, first + EACH)
        cards = [{"item": f"i{n}", "title": "t", "author": author(n % AUTHORS), "categories": ["c" * 60], "published_at": now - 30 * 86400} for n in items]
        assert running.lines(f"{SITE}/items", cards).json["rejected"] == []
        answer = running.lines(f"{SITE}/events?wait=true", [{"type": "view", "item": f"i{n}", "visitor": f"v{n}"} for n in items])
        assert answer.json["rejected"] == []
    best = [{"type": "view", "item": BEST, "visitor": f"b{n}"} for n in range(5)]
    assert running.lines(f"{SITE}/events?wait=true", best).json["rejected"] == []
    yield running
    running.stop()


def ask(service, number, ranking, rest=""):
    answer = service.get(f"{SITE}/rankings/r{ranking}?author={urllib.parse.quote(author(number))}&limit=1{rest}")
    assert answer.status == 200
    return answer.json["items"]


@pytest.mark.skipif("address" in PROGRAM, reason="a sanitizer keeps what was freed")
def test_lists_of_authors_whose_items_are_all_left_out_stay_within_the_cache(service):
    before = resident_bytes(service.children("worker")[0])
    for ranking in range(LISTS):
        for number in range(AUTHORS):
            assert len(ask(service, number, ranking)) == 1
            assert ask(service, number, ranking, "&max_age=1h") == [], "all items are a month old"
    held = resident_bytes(service.children("worker")[0]) - before
    assert held < CACHE + BESIDES, f"{held / MB:.0f} MiB"


def keys_read(service):
    with redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock")) as asked:
        stats = asked.info("stats")
    return stats["keyspace_hits"] + stats["keyspace_misses"]


def test_authors_that_there_are_not_cost_no_reads_of_what_is_known(service):
    """Each list looks for items of its author among the popular ones. What an item is, is read once."""
    paths = [f"{SITE}/items/i{number}/related?author=Nobody{number}" for number in range(41)]
    assert service.get(paths[0]).json["items"] == []
    before = keys_read(service)
    for path in paths[1:]:
        assert service.get(path).json["items"] == []
    assert keys_read(service) - before < 40 * 300, "each would read 2,000 items"


@pytest.mark.parametrize("ranking", ["desk", "desk-total"])
def test_of_more_items_than_a_list_has_room_for_the_best_are_there(service, ranking):
    """16 authors with 450 items each, read author by author: a list has room for 4,096."""
    answer = service.get(f"{SITE}/rankings/{ranking}?limit=1").json
    assert [(entry["item"], entry["score"]) for entry in answer["items"]] == [(BEST, 6)]
    assert answer.get("exact", True) is True
    assert service.get(f"{SITE}/rankings/{ranking}?limit=2").json.get("exact", False) is False, "thousands are worth as much as the second"


@pytest.mark.contract("Rules of lists", "At most 2,000 candidates")
def test_a_list_by_window_whose_rules_leave_too_few_of_what_is_kept_says_so(service):
    """All but one of 17 authors are left out. That one has 450 items, but few of them are among the best of the site."""
    before = service.metrics()["engaged_short_lists_total"]
    answer = service.get(f"{SITE}/rankings/rest?limit=100").json
    assert 0 < len(answer["items"]) < 100 and answer["exact"] is False
    assert service.metrics()["engaged_short_lists_total"] == before + 1
    assert len(service.get(f"{SITE}/rankings/r0?limit=100").json["items"]) == 100
    assert service.metrics()["engaged_short_lists_total"] == before + 1
