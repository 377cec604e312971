# SPDX-License-Identifier: MIT
"""Made-up items take no place in a ranking from items with a card, however many views and votes they get.

A partition keeps 73 places of a ranking, a site 1,168 at the most: 1,500 made-up items are more than that."""
import os
import signal

import pytest
import redis

from support.service import Service
from support.wait import wait_until

RANKINGS = """
[ranking top]
type = total
votes = 1
views = 1

[ranking hot]
type = decayed
half_life = 3h
votes = 1
views = 1
"""
CARDS, MADE_UP, ENOUGH = 100, 1500, 20


@pytest.fixture(scope="module")
def service():
    running = Service(configuration=RANKINGS, unknown_items_kept="0")
    yield running
    running.stop()


@pytest.fixture
def site(request):
    return "/v1/" + "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[-40:].strip("-")


def known(count):
    return [f"card-{n:03}" for n in range(count)]


def made_up(count=MADE_UP):
    return [f"made-up-{n:04}" for n in range(count)]


def cards(service, site, names, **fields):
    rows = [{"item": name, "title": name, **fields} for name in names]
    answer = service.lines(f"{site}/items", rows)
    assert answer.json["accepted"] == len(rows), answer.body[:500]


def events(service, site, names, each, kind="view"):
    rows = [{"type": kind, "item": name, "visitor": f"{name}-{n}"} for name in names for n in range(each)]
    answer = service.lines(f"{site}/events?wait=true", rows)
    assert answer.json["accepted"] == len(rows), answer.body[:500]


def listed(service, path):
    answer = service.get(path)
    return [one["item"] for one in answer.json["items"]] if answer.status == 200 else []


def shows(service, path, expected):
    """As many of them as a list has: of equal ones a partition keeps whichever."""
    def right():
        found = listed(service, path)
        return len(set(found)) == min(100, len(expected)) and set(found) <= set(expected)
    wait_until(right, 10, lambda: (path, listed(service, path)))


def places(service, ranking):
    """How many each set of the ranking in Redis has, and all of their members."""
    store = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))
    sets = [store.zrange(key, 0, -1) for key in store.scan_iter(f"{{e*}}r????????????????:{ranking}*", 1000)]
    return [len(one) for one in sets], {member.decode() for one in sets for member in one}


def set_of(service, name):
    """The sets of the ranking top that hold an item, without those of categories."""
    store = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))
    return {key.decode().split(":", 1)[1] for key in store.scan_iter("{e*}r????????????????:top*", 1000)
            if store.zscore(key, name) is not None}


@pytest.mark.parametrize("kind", ["view", "vote"])
def test_made_up_items_take_no_place_from_those_with_a_card(service, site, kind):
    cards(service, site, known(CARDS), categories=["news"])
    events(service, site, known(CARDS), 3)
    events(service, site, made_up(), 4, kind)
    short = service.metrics()["engaged_short_lists_total"]
    for ranking in ("top", "hot"):
        assert sorted(listed(service, f"{site}/rankings/{ranking}?limit=100")) == known(CARDS)
        assert sorted(listed(service, f"{site}/rankings/{ranking}?limit=100&category=news")) == known(CARDS)
    assert len(listed(service, f"{site}/items/card-000/related?limit=50")) == 50
    assert service.metrics()["engaged_short_lists_total"] == short
    assert max(places(service, "top")[0]) <= 2 * 73


def test_a_site_that_gets_its_twentieth_card_lists_its_cards_at_once_and_back(service, site):
    """The made-up ones come first, while items without a card are listed; nothing is counted between."""
    path = f"{site}/rankings/top?limit=100"
    cards(service, site, known(ENOUGH - 1))
    events(service, site, known(ENOUGH), 3)
    events(service, site, made_up(), 4)
    shows(service, path, made_up())
    cards(service, site, known(ENOUGH)[-1:])
    shows(service, path, known(ENOUGH))
    assert service.keyed("DELETE", f"{site}/items/card-000").status == 204
    shows(service, path, made_up())
    events(service, site, ["card-000"], 5)
    wait_until(lambda: listed(service, path)[0] == "card-000", 10, lambda: listed(service, path))
    cards(service, site, ["card-000"])
    wait_until(lambda: listed(service, path)[0] == "card-000" and len(listed(service, path)) == ENOUGH, 10,
               lambda: listed(service, path))


def test_below_twenty_cards_each_item_is_listed_once_by_what_it_is_worth(service, site):
    names = [f"thing-{n:02}" for n in range(2 * ENOUGH)]  # of no other site here
    for worth, name in enumerate(names, 1):
        events(service, site, [name], worth)
    path = f"{site}/rankings/top?limit=100"
    assert listed(service, path) == names[::-1]
    for name in names[3:ENOUGH - 1]:
        cards(service, site, [name])
        assert listed(service, path) == names[::-1], name
        wait_until(lambda n=name: set_of(service, n) == {"top"}, 10, lambda n=name: (n, set_of(service, n)))
    events(service, site, names[5:6], 60, "vote")
    assert listed(service, path) == [names[5]] + [name for name in names[::-1] if name != names[5]]
    assert service.keyed("DELETE", f"{site}/items/{names[5]}").status == 204
    assert listed(service, path) == [name for name in names[::-1] if name != names[5]]


def test_list_unknown_changes_by_a_reload(own):
    service = own(configuration="list_unknown = auto\n" + RANKINGS, unknown_items_kept="0")
    path = "/v1/s/rankings/top?limit=100"
    cards(service, "/v1/s", known(ENOUGH))
    events(service, "/v1/s", known(ENOUGH), 3)
    events(service, "/v1/s", made_up(), 4)
    for choice, expected in (("auto", known(ENOUGH)), ("on", made_up()), ("off", known(ENOUGH)), ("on", made_up()),
                             ("auto", known(ENOUGH))):
        service.configure(f"list_unknown = {choice}\n" + RANKINGS)
        before = service.log().count("have taken over")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.log().count("have taken over") > before, 20, service.log)
        shows(service, path, expected)


def test_where_they_took_all_places_under_an_older_program_a_start_gives_them_back(own):
    """Until now both stood in one set, in which those without a card had pushed the others out."""
    service = own(configuration=RANKINGS, unknown_items_kept="0")
    path = "/v1/s/rankings/top?limit=100"
    cards(service, "/v1/s", known(ENOUGH))
    events(service, "/v1/s", known(ENOUGH), 3)
    events(service, "/v1/s", made_up(), 4)
    store = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))
    for key in list(store.scan_iter("{e*}r????????????????:top:no-card", 1000)):
        mixed = key[:-len(b":no-card")]
        store.delete(mixed)
        store.rename(key, mixed)
    for key in store.scan_iter("{e*}pos", 1000):
        store.hset(key, "plan", "0123456789abcdef")
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(30) == 0
    service.start()
    shows(service, path, known(ENOUGH))
