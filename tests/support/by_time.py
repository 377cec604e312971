# SPDX-License-Identifier: MIT
"""Counts by time, from a list of events and the calendar of Python: what windows and series have to be."""
import datetime
import zoneinfo

UTC = datetime.timezone.utc
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
KEPT = {"hour": 48, "day": 37, "month": 36}
ALL_WINDOWS = ["1h", "24h", "7d", "30d", "today", "yesterday", "week", "month"]


def stamp(at):
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def full_hour(at):
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def begin_of(date, zone):
    """When a date begins in a zone that has each midnight."""
    return datetime.datetime(date.year, date.month, date.day, tzinfo=zone).astimezone(UTC)


def span(window, now, zone=UTC):
    """(from, to) of a window."""
    end, today = now + DAY * 365, now.astimezone(zone).date()
    if window in ("1h", "24h"):
        return full_hour(now - HOUR * int(window[:-1])), end
    if window in ("7d", "30d"):
        return begin_of((now - DAY * int(window[:-1])).astimezone(zone).date(), zone), end
    if window == "yesterday":
        return begin_of(today - DAY, zone), begin_of(today, zone)
    first = {"today": today, "week": today - DAY * today.weekday(), "month": today.replace(day=1)}[window]
    return begin_of(first, zone), end


class Events:
    """(signal, item, instant) of each event that is still there; what an item's windows and series have to be."""

    def __init__(self, kinds, zone="UTC"):
        self.kinds, self.zone, self.at = kinds, zoneinfo.ZoneInfo(zone), []

    def add(self, signal, item, at):
        self.at.append((signal, item, at))

    def count(self, signal, item, begin, end):
        return sum(1 for one, of, at in self.at if one == signal and item in (None, of) and begin <= at < end)

    def windows(self, item, names, now):
        spans = {name: span(name, now, self.zone) for name in names}
        return {name: {"from": stamp(begin), "views": self.count("views", item, begin, end),
                       "votes": {kind: self.count(kind, item, begin, end) for kind in self.kinds}} for name, (begin, end) in spans.items()}

    def bounds(self, step, now, points):
        """When each point begins, the present one the last, and when that one ends."""
        if step == "hour":
            first = full_hour(now) - HOUR * (points - 1)
            return [first + HOUR * n for n in range(points + 1)]
        today = now.astimezone(self.zone).date()
        if step == "day":
            return [begin_of(today - DAY * (points - 1 - n), self.zone) for n in range(points + 1)]
        months = [today.year * 12 + today.month - 1 - (points - 1 - n) for n in range(points + 1)]
        return [begin_of(datetime.date(number // 12, number % 12 + 1, 1), self.zone) for number in months]

    def series(self, item, step, now):
        """`item` None: of the site."""
        bounds = self.bounds(step, now, KEPT[step])
        spans = list(zip(bounds, bounds[1:]))
        return {**({"item": item} if item else {}), "step": step, "time_zone": str(self.zone), "from": stamp(bounds[0]),
                "views": [self.count("views", item, *one) for one in spans],
                "votes": {kind: [self.count(kind, item, *one) for one in spans] for kind in self.kinds}}
