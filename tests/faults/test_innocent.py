# SPDX-License-Identifier: MIT
"""Honest readers are not taken for attackers with the presets: none of their views and votes is lost. A 429 is no loss when
the widget's second try succeeds.

The clock is scaled: the limits of a minute hold for a fraction of a minute, with the same bursts, and the readers are
faster by the same factor. So an hour passes in seconds.
"""
import concurrent.futures
import json
import os
import threading
import time

import pytest

from support.service import Service
from support.settings_table import settings_table
from support.wait import wait_until
from support.wire import Wire

SHORT = bool(os.environ.get("SHORT_TESTS"))
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
BUNDLE = 20


def presets():
    """Those of what may be done in a minute; bursts stay what they are."""
    found = [(name, *fields[1:3]) for _, name, fields in settings_table() if name.endswith("_per_minute")]
    assert {"votes_per_minute", "network_item_votes_per_minute", "visitor_views_per_minute"} <= {row[0] for row in found}
    return {name: (int(most), int(value)) for name, most, value in found}


@pytest.fixture
def start():
    services = []

    def one(speed, **settings):
        scaled = {name: min(most, round(value * speed)) for name, (most, value) in presets().items()}
        assert all(scaled[name] == round(value * speed) for name, (_, value) in presets().items()), "too fast"
        services.append(Service(**{"trusted_proxies": "127.0.0.1", "workers": 2, "refresh_interval": "1s",
                                   "neighbour_interval": "1s", "projection_interval": "250ms", **scaled, **settings}))
        return services[-1]

    yield one
    for service in services:
        service.stop()


class Crowd:
    """Readers behind one address, who come evenly. What each call is answered is counted; a 429 is tried once more, as late
    as it says."""

    def __init__(self, service, address, speed):
        self.wire, self.speed = Wire(service.port), speed
        self.headers = {"X-Forwarded-For": address, "User-Agent": FIREFOX}
        self.lost, self.second_tries = [], 0

    def call(self, calls):
        """Of (path, visitor or None) each; their bodies."""
        sent = [("POST", path, {**self.headers, **({"Engaged-Visitor": visitor} if visitor else {})}) for path, visitor in calls]
        answers = self.wire.ask(sent)
        for n, (status, headers, _) in enumerate(answers):
            if status == 429:
                self.second_tries += 1
                time.sleep(int(headers["retry-after"]) / self.speed)
                answers[n] = self.wire.ask([sent[n]])[0]
        self.lost += [(path, status, body) for (path, _), (status, _, body) in zip(calls, answers)
                      if status >= 300 or b'"counted":false' in body]
        return [json.loads(body) for _, _, body in answers]

    def visitors(self, count):
        return [body.get("visitor") for body in self.call([("/v1/s/visitors", None)] * count)]

    def come(self, readers, seconds, article, voters, others):
        """Each gets a token and views the article and some of the others; every so-manieth votes on it."""
        begin, voted = time.monotonic(), 0
        for first in range(0, readers, BUNDLE):
            late = begin + seconds * first / readers / self.speed - time.monotonic()
            if late > 0:
                time.sleep(late)
            here = self.visitors(min(BUNDLE, readers - first))
            self.call([(f"/v1/s/items/{article}/views", visitor) for visitor in here])
            for n, other in enumerate(others):
                self.call([(f"/v1/s/items/{other}/views", visitor) for visitor in here[n::len(others)]])
            wanted = voters * (first + len(here)) // readers - voted
            self.call([(f"/v1/s/items/{article}/votes", visitor) for visitor in here[:wanted]])
            voted += wanted
        return time.monotonic() - begin


def shown(service, item):
    answer = service.get(f"/v1/s/items/{item}").json
    return answer["views"], answer["votes"]["up"]


def test_a_thousand_readers_behind_one_address_in_ten_minutes(start):
    speed = 120
    service = start(speed)
    crowd = Crowd(service, "192.0.2.1", speed)
    crowd.come(1000, 600, "a", 50, [f"other-{n}" for n in range(10)])
    assert crowd.lost == [] and crowd.second_tries == 0
    wait_until(lambda: shown(service, "a") == (1000, 50), 20, lambda: str(shown(service, "a")))


def test_a_carriers_readers_on_one_article_within_an_hour(start):
    speed, readers = (160, 20000)
    seconds = 3600
    if SHORT:
        readers, seconds = readers // 8, seconds // 8
    voters = readers // 50
    service = start(speed)
    crowd = Crowd(service, "192.0.2.1", speed)
    took = crowd.come(readers, seconds, "a", voters, [])
    print(f"\n{readers} readers in {took * speed:.0f} scaled seconds, {crowd.second_tries} second tries")
    assert crowd.lost == [], crowd.lost[:5]
    wait_until(lambda: shown(service, "a") == (readers, voters), 30, lambda: str(shown(service, "a")))


def test_a_reader_who_opens_a_hundred_articles_in_half_an_hour(start):
    speed = 150  # all are within one view_window, which is not scaled
    service = start(speed)
    crowd = Crowd(service, "192.0.2.1", speed)
    (reader,) = crowd.visitors(1)
    for n in range(100):
        crowd.call([(f"/v1/s/items/a-{n}/views", reader)])
        if n % 5 == 0:
            crowd.call([(f"/v1/s/items/a-{n}/votes", reader)])
        time.sleep(18 / speed)
    assert crowd.lost == [] and crowd.second_tries == 0
    wait_until(lambda: {shown(service, f"a-{n}") for n in range(100)} == {(1, 0), (1, 1)}, 20, "each is viewed once")


def test_a_hundred_people_who_use_every_call_at_once(start):
    """On the presets' own clock: all of them within a few seconds, from one address, on the same article."""
    service = start(1)
    people, rounds = (100, 3) if not SHORT else (40, 2)
    for n in range(30):
        service.keyed("PUT", f"/v1/s/items/a-{n}", {"title": f"article {n}"})
    together, lost, failed = threading.Barrier(people), [], []

    def person(number):
        crowd = Crowd(service, "192.0.2.1", 1)
        together.wait(60)
        (visitor,) = crowd.visitors(1)
        for turn in range(rounds):
            item = f"a-{(number * 7 + turn * 11) % 30}"
            for path in ("a-0", item):
                if path != "a-0" or turn == 0:
                    crowd.call([(f"/v1/s/items/{path}/views", visitor)])
            if turn == 0:
                crowd.call([("/v1/s/items/a-0/votes", visitor)])
            for path in (f"me?id=a-0&id={item}", "me/recommendations?limit=10", f"items/{item}/related", "rankings/hot",
                         f"rankings/hot?exclude={item}", f"items/{item}/page", f"items?id=a-0&id={item}", "rankings"):
                status = crowd.wire.one("GET", "/v1/s/" + path, Engaged_Visitor=visitor, **{"X-Forwarded-For": "192.0.2.1"})[0]
                failed.extend([path] * (status != 200))
        lost.extend(crowd.lost)

    with concurrent.futures.ThreadPoolExecutor(people) as pool:
        list(pool.map(person, range(people)))
    # Some views of the second article may be of the first one again: a repeat is no loss.
    lost = [row for row in lost if b'"repeat"' not in row[2]]
    assert lost == [], lost[:5]
    print(f"\n{len(failed)} reads of {people * rounds * 8} failed: {sorted(set(failed))[:5]}")
    wait_until(lambda: shown(service, "a-0") == (people, people), 20, lambda: str(shown(service, "a-0")))
    assert len(failed) <= people * rounds * 8 // 100, f"{len(failed)} reads failed"
