# SPDX-License-Identifier: MIT
"""A ranking that leaves the configuration and comes back lists what is right now, not what it held when it left."""
import signal

import pytest
import redis

from support.service import Service
from support.wait import wait_until

TOP = "[ranking top]\ntype = total\nviews = 0\n"
SLOW = "[ranking slow]\ntype = total\nviews = 0\n"
SITE = "/v1/s"
VOTERS = [f"v{number}" for number in range(9)]


class Configured(Service):
    def __init__(self, folder, **settings):
        self.path = folder / "engaged.conf"
        self.path.write_text(TOP + SLOW, encoding="utf-8")
        super().__init__(config=self.path, **settings)

    def reload(self, text):
        self.path.write_text(text, encoding="utf-8")
        done = self.log().count("have taken over")
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log().count("have taken over") > done, 15, self.log)

    def refilled(self):
        return self.log().count("rankings were refilled")

    def reload_and_refill(self, text):
        before = self.refilled()
        self.reload(text)
        wait_until(lambda: self.refilled() > before, 15, self.log)

    def events(self, kind, item, visitors=tuple(VOTERS)):
        self.lines(f"{SITE}/events?wait=true", [{"type": kind, "item": item, "visitor": visitor} for visitor in visitors])

    def listed(self, ranking, query=""):
        answer = self.get(f"{SITE}/rankings/{ranking}?limit=50{query}")  # right after a reload it may be 503 once
        rows = answer.json["items"] if answer.status == 200 else []
        return [row["item"] for row in rows if row["reason"] == "ranked"]

    def sets(self):
        """Keys of rankings' sets that Redis holds."""
        client = redis.Redis(unix_socket_path=f"{self.folder}/d/redis.sock")
        return {key.decode().split(":")[1] for key in client.scan_iter("{e*}r*", 1000)}


@pytest.fixture
def service(tmp_path):
    running = Configured(tmp_path)
    running.keyed("PUT", f"{SITE}/items/i0", {"title": "the first", "categories": ["c1"]})
    running.events("vote", "i0")
    running.events("vote", "other", VOTERS[:3])
    assert running.listed("slow") == ["i0", "other"]
    yield running
    running.stop()


def test_votes_taken_back_meanwhile(service):
    service.reload_and_refill(TOP)
    service.events("unvote", "i0")
    service.reload_and_refill(TOP + SLOW)
    wait_until(lambda: service.listed("slow") == ["other"], 5, lambda: service.listed("slow"))


def test_an_item_deleted_meanwhile_and_a_new_card_under_its_id(service):
    service.reload_and_refill(TOP)
    assert service.keyed("DELETE", f"{SITE}/items/i0").status == 204
    service.keyed("PUT", f"{SITE}/items/i0", {"title": "new article"})
    service.reload_and_refill(TOP + SLOW)
    wait_until(lambda: service.listed("slow") == ["other"], 5, lambda: service.listed("slow"))
    assert service.listed("top") == ["other"]


def test_an_item_moved_to_another_category_meanwhile(service):
    service.reload_and_refill(TOP)
    service.keyed("PUT", f"{SITE}/items/i0", {"title": "the first", "categories": ["c2"]})
    service.reload_and_refill(TOP + SLOW)
    wait_until(lambda: service.listed("slow", "&category=c2") == ["i0"], 5, lambda: service.listed("slow", "&category=c2"))
    assert service.listed("slow", "&category=c1") == []


def test_the_sets_of_a_ranking_that_was_removed_are_removed(service):
    assert {"slow", "top"} <= service.sets()
    service.reload_and_refill(TOP)
    assert "slow" not in service.sets() and "top" in service.sets()
    assert service.listed("top") == ["i0", "other"]


def test_a_ranking_that_stays_is_never_empty_while_another_comes_and_goes(service):
    for text in (TOP, TOP + SLOW, TOP):
        before = service.refilled()
        service.reload(text)
        while service.refilled() == before:
            assert service.listed("top") == ["i0", "other"]
    assert service.listed("top") == ["i0", "other"]


def test_the_same_by_a_restart(service):
    service.path.write_text(TOP, encoding="utf-8")
    restart(service)
    service.events("unvote", "i0")
    service.path.write_text(TOP + SLOW, encoding="utf-8")
    restart(service)
    wait_until(lambda: service.listed("slow") == ["other"], 5, lambda: service.listed("slow"))


def restart(service):
    before = service.refilled()
    service.process.terminate()
    assert service.process.wait(20) == 0
    service.start()
    wait_until(lambda: service.refilled() > before, 15, service.log)
