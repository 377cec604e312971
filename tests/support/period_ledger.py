# SPDX-License-Identifier: MIT
"""The rule of the sets of rankings by period, checked in Redis against all events counted by hand: for each partition,
ranking and open period a member's score is its weighted count there; what is no member has at most the cut; the cut only
rises."""
import calendar
import collections
import datetime
import json
import math
import time

import pytest

SITE = "/v1/s"
WEIGHTS = {"up": 1.0, "view": 0.5}
RANKINGS = {"d": "day", "w": "week", "m": "month"}
CONFIGURATION = "".join(f"[ranking {name}]\ntype = window\nwindow = {window}\nvotes = 1\nviews = 0.5\n"
                        for name, window in (("d", "24h"), ("w", "week"), ("m", "30d")))
OPEN = {"day": 35, "week": 5, "month": 24}
DAY = 86400


def bound(partitions, depth=100):
    """ranking_bound in src/model/ranking.c"""
    mean = depth / partitions
    return int(mean + 6 * math.sqrt(mean) + 8)


def period_of(grain, second):
    day = datetime.datetime.fromtimestamp(second, datetime.timezone.utc).date()
    if grain == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02}"
    return day.isoformat()[:10 if grain == "day" else 7]


def open_periods(grain):
    """The names of those that are open, the present one first."""
    now = datetime.datetime.now(datetime.timezone.utc).date()
    if grain == "month":
        months = [now.year * 12 + now.month - 1 - back for back in range(OPEN[grain])]
        return [f"{month // 12:04}-{month % 12 + 1:02}" for month in months]
    step = 1 if grain == "day" else 7
    return [period_of(grain, calendar.timegm((now - datetime.timedelta(step * back)).timetuple())) for back in range(OPEN[grain])]


class Ledger:
    """Every event that counts, and what each item may be in."""

    def __init__(self, service, client):
        self.service, self.client = service, client
        self.events = collections.defaultdict(list)  # item: [(kind, second, visitor)]
        self.cards = {}  # item: categories
        self.cuts = {}
        self.tags = {}

    def post(self, path, rows):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        status, answer = self.service.client().call("POST", f"{SITE}/{path}", text, "application/x-ndjson")
        assert status == 200 and json.loads(answer)["accepted"] == len(rows), answer[:500]

    def add(self, *events):
        """(item, kind, second, visitor) each"""
        self.post("events?wait=true", [{"type": "vote" if kind == "up" else "view", "item": item, "visitor": visitor, "time": second}
                                       for item, kind, second, visitor in events])
        for item, kind, second, visitor in events:
            self.events[item].append((kind, second, visitor))

    def take(self, item, vote):
        self.post("events?wait=true", [{"type": "unvote", "item": item, "visitor": vote[2], "time": int(time.time())}])
        self.events[item].remove(vote)

    def put(self, item, categories):
        self.post("items", [{"item": item, "title": item, "categories": categories}])
        self.cards[item] = categories
        self.add((item, "up", int(time.time()), f"p{time.monotonic_ns()}"))  # its entry is behind that of the card

    def values(self, grain, period):
        values = {item: sum(WEIGHTS[kind] for kind, second, _ in events if period_of(grain, second) == period)
                  for item, events in self.events.items()}
        return {item: value for item, value in values.items() if value}

    def tag_of(self, item):
        if item not in self.tags:
            for key in self.client.scan_iter("{*}i*", 1000):
                packed = self.client.get(key)
                site_at = 15 + 4 * packed[2]
                at = site_at + 1 + packed[site_at]
                self.tags[packed[at + 2:at + 2 + int.from_bytes(packed[at:at + 2], "little")].decode()] = key.split(b"}")[0] + b"}"
        return self.tags[item]

    def check_set(self, tag, name, field, values, least):
        """`field`: its name among the cutoffs"""
        head, *part = field.split(":", 2)[1:]
        key = tag + b"r" + f"{field.split(':')[0]}:{head}@{name}{':' + part[0] if part else ''}".encode()
        held = {member.decode(): -score for member, score in self.client.zrange(key, 0, -1, withscores=True)}
        cut = -float(self.client.hget(tag + b"floor@" + name.encode(), field) or 0)
        assert cut >= self.cuts.get(key, 0), f"{key} was cut at {self.cuts[key]}, now {cut}"
        self.cuts[key] = cut
        assert len(held) <= 2 * least
        for item, value in values.items():
            if item in held:
                assert held[item] == pytest.approx(value, abs=1e-9), f"{item} in {key}"
            else:
                assert value <= cut, f"{item} is worth {value} and not in {key}, cut at {cut}"
        assert held.keys() <= values.keys(), f"{key} holds {held.keys() - values.keys()}"
        return held, cut

    def check(self, grains=tuple(OPEN), partitions=1):
        """All sets of the site in all open periods. Returns them by ranking, period and kind."""
        found = {}
        site = self.site()
        for ranking, grain in RANKINGS.items():
            if grain not in grains:
                continue
            for name in open_periods(grain):
                values = self.values(grain, name)
                for tag in sorted({self.tag_of(item) for item in self.events} if self.events else []):
                    mine = {item: value for item, value in values.items() if self.tag_of(item) == tag}
                    for no_card in (False, True):
                        these = {item: value for item, value in mine.items() if (item not in self.cards) == no_card}
                        field = f"{site}:{ranking}{':no-card' if no_card else ''}"
                        found[ranking, name, no_card, tag] = self.check_set(tag, name, field, these, bound(partitions))
        return found

    def site(self):
        """The reference of the site, from any key of a ranking."""
        key = next(self.client.scan_iter("{*}r*", 1000))
        return key.split(b"}r")[1].split(b":")[0].decode()


def day(back, second=DAY // 2):
    """A second of the day so many days ago (UTC), of today's at most the present one."""
    now = int(time.time())
    at = now // DAY * DAY - back * DAY + second
    return at if back else min(now, at)


def sets_of(client, item):
    """The sets of periods that hold the item, by key without tag and site."""
    scores = {key: client.zscore(key, item) for key in client.scan_iter("{*}r*@*", 1000)}
    return {key.decode().split(":", 1)[1]: -score for key, score in scores.items() if score is not None}
