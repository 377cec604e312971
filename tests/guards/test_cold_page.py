# SPDX-License-Identifier: MIT
"""What a page that is not in memory asks of Redis: commands, each of which is a round trip of its own at worst."""
import time

import pytest
import redis

from support.counted import Counted
from support.redis_server import RedisServer

READS = ("get", "mget", "pfcount", "exists")
PAGE = "/v1/s/items/i{}/page?related=8&ranking=8&recommendation=8&exclude=x{}"
ITEMS = 60


@pytest.fixture(scope="module")
def service():
    with RedisServer(unix=True) as server:
        running = Counted(redis=server.url, secret="11" * 32, hash_key="22" * 32, neighbour_interval="0")
        running.client = redis.Redis(unix_socket_path=server.socket)
        cards = [{"item": f"i{n}", "title": f"Title {n}", "url": f"/{n}", "categories": ["news"]} for n in range(ITEMS)]
        assert running.lines("/v1/s/items", cards).json["accepted"] == ITEMS
        views = [{"type": "view", "item": f"i{(reader * 7 + step * step) % ITEMS}", "visitor": f"r{reader}"}
                 for reader in range(120) for step in range(6)]
        assert running.lines("/v1/s/events?wait=true", views).json["rejected"] == []
        yield running
        running.stop()


def asked(service, work):
    def counts():
        stats = service.client.info("commandstats")
        return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in READS}
    before = counts()
    work()
    return {name: count - before[name] for name, count in counts().items()}


def test_a_cold_page_asks_few_commands_and_one_whose_states_are_known_hardly_any(service):
    def page(item, number):
        answer = service.get(PAGE.format(item, number))
        assert answer.status == 200 and all(len(answer.json[name]["items"]) == 8 for name in ("related", "ranking", "recommendation"))

    page(0, 0)  # rankings and editorial rules are in memory from now on
    found = []
    for number in range(1, 6):
        time.sleep(1.05)  # nothing of the last page counts any more
        found.append(asked(service, lambda: page(number, number)))
    for counts in found:
        assert counts["mget"] <= 10 and counts["get"] <= 1, found  # twice as many while Redis is asked to watch what is known
        assert counts["pfcount"] == 0, found  # it would write, too
    time.sleep(1.05)
    page(7, 100)
    again = []
    for number in range(8):  # the same states within a second, if the machine is not too slow: the best of eight
        again.append(asked(service, lambda: page(7, 101 + number)))
    assert min(sum(counts.values()) for counts in again) == 0, again
    kept = []
    for number in range(5):  # longer than a second afterwards, as Redis says that they are the same; once they were read twice
        time.sleep(1.05)
        kept.append(asked(service, lambda: page(7, 200 + number)))
    assert min(sum(counts.values()) for counts in kept) == 0, kept
    print("commands of cold pages:", found, "of those that know the states:", again, "a second later:", kept)
