# SPDX-License-Identifier: MIT
"""Lists are not short while there are cards that nobody has read, also old ones."""
import time

import pytest

from support.contract import ids, load
from support.service import Service
from support.wait import wait_until

contract = pytest.mark.contract
OLD = ["old1", "old2", "old3"]


@pytest.fixture(scope="module")
def service():
    running = Service(partitions=1, rate_limits="off")
    yield running
    running.stop()


def publish(service, site, newer):
    """Three old cards of one author and category, and newer ones of others."""
    now = int(time.time())
    rows = [{"item": item, "title": item, "author": "Nobody Reads", "categories": ["attic"], "published_at": now - 400 * 86400 + n}
            for n, item in enumerate(OLD)]
    rows += [{"item": f"n{n}", "title": "x", "author": "Somebody", "categories": ["news"], "published_at": now - n} for n in range(newer)]
    for first in range(0, len(rows), 1000):
        assert service.lines(f"{site}/items", rows[first:first + 1000]).json["rejected"] == []
    load(service, site, [{"type": "view", "item": "n0", "visitor": "v"}])


def token(service, site):
    return service.post(f"{site}/visitors").json["visitor"]


LISTS = ("items/n0/related", "me/recommendations")


@contract("Rules of lists", "That holds for cards that nobody has read, too")
def test_all_that_an_author_has_written_is_there_though_nobody_has_read_it(service):
    """More cards are newer than a list looks at."""
    site = "/v1/authors.example"
    publish(service, site, 2600)
    for what in LISTS:
        answer = wait_until(lambda: (got := service.get(f"{site}/{what}?author=Nobody+Reads", Engaged_Visitor=token(service, site))) and ids(got) and got, 20)  # noqa: B023
        assert ids(answer) == OLD[::-1] and {entry["reason"] for entry in answer.json["items"]} == {"popular"}, what
    assert ids(service.get(f"{site}/rankings/top?author=Nobody+Reads")) == []
    load(service, site, [{"type": "vote", "item": "old1", "visitor": "v"}])
    assert ids(service.get(f"{site}/items/n0/related?author=Nobody+Reads&limit=3")) == ["old1", "old3", "old2"]
    assert ids(service.get(f"{site}/rankings/top?author=Nobody+Reads")) == ["old1"]
    load(service, site, [{"type": "unvote", "item": "old1", "visitor": "v"}])
    wait_until(lambda: ids(service.get(f"{site}/items/n0/related?author=Nobody+Reads&exclude=x")) == OLD[::-1], 20)
    assert service.keyed("DELETE", f"{site}/items/old2").status == 204
    assert service.keyed("PUT", f"{site}/items/old3", {"title": "t", "author": "Another"}).status == 200
    wait_until(lambda: ids(service.get(f"{site}/items/n0/related?author=Nobody+Reads&exclude=y")) == ["old1"], 20)


@contract("Rules of lists", "That holds for cards that nobody has read, too")
def test_a_list_of_few_partitions_looks_at_as_many_cards_as_any(service):
    site = "/v1/categories.example"
    publish(service, site, 600)
    for what in LISTS:
        assert ids(service.get(f"{site}/{what}?category=attic", Engaged_Visitor=token(service, site))) == OLD[::-1], what
