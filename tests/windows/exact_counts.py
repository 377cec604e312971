# SPDX-License-Identifier: MIT
"""What docs/api.md says of windows and periods, counted from the events themselves: every event is kept with its time, and
each count is made anew. Nothing here is of the service: days and zones are those of Python's datetime and zoneinfo."""
import bisect
import collections
import datetime
import zoneinfo

HOUR, DAY = 3600, 86400
SPANS = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
WINDOWS = ("1h", "24h", "7d", "30d", "today", "yesterday", "week", "month")
SIGNALS = ("views", "up")


class Calendar:
    def __init__(self, zone):
        self.zone = zoneinfo.ZoneInfo(zone)

    def day_of(self, time):
        return datetime.datetime.fromtimestamp(time, self.zone).date()

    def begin_of(self, day):
        """The first second of a day: midnight, or where the clocks are set forward then, the instant of that."""
        return int(datetime.datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())

    def midnight(self, time):
        return self.begin_of(self.day_of(time))

    def window(self, name, now):
        """The first second of a window, and the first one behind it (later than now: all to now)."""
        today = self.day_of(now)
        if name in ("1h", "24h"):
            return (now - SPANS[name]) // HOUR * HOUR, now + 1
        if name in SPANS:
            return self.midnight(now - SPANS[name]), now + 1
        if name == "yesterday":
            return self.begin_of(today - datetime.timedelta(1)), self.begin_of(today)
        return self.period_at(now, name)[1:]

    def period_at(self, time, kind):
        """Name, first second and first second behind it of the day ("today"), week or month of an instant."""
        day = self.day_of(time)
        if kind == "today":
            first, behind, name = day, day + datetime.timedelta(1), day.isoformat()
        elif kind == "week":
            first = day - datetime.timedelta(day.weekday())
            behind = first + datetime.timedelta(7)
            year, number, _ = day.isocalendar()
            name = f"{year}-W{number:02}"
        else:
            first = day.replace(day=1)
            behind = (first + datetime.timedelta(31)).replace(day=1)
            name = f"{day.year:04}-{day.month:02}"
        return name, self.begin_of(first), self.begin_of(behind)

    def past(self, time, kind, count):
        """That many periods as period_at gives them, this one first."""
        periods, at = [], time
        for _ in range(count):
            periods.append(self.period_at(at, kind))
            at = periods[-1][1] - 1
        return periods


class Events:
    """All that counts: the times of an item's views, and of the votes on it that are not taken back."""

    def __init__(self, calendar):
        self.calendar = calendar
        self.times = {signal: collections.defaultdict(list) for signal in SIGNALS}
        self.cast = {}  # (visitor, item): when

    def items(self):
        return sorted({item for times in self.times.values() for item in times})

    def view(self, time, _visitor, item):
        bisect.insort(self.times["views"][item], time)

    def vote(self, time, visitor, item):
        assert (visitor, item) not in self.cast
        self.cast[visitor, item] = time
        bisect.insort(self.times["up"][item], time)

    def unvote(self, _time, visitor, item):
        times = self.times["up"][item]
        del times[bisect.bisect_left(times, self.cast.pop((visitor, item)))]

    def count(self, signal, item, begin, behind):
        times = self.times[signal].get(item, ())
        return bisect.bisect_left(times, behind) - bisect.bisect_left(times, begin)

    def windows(self, item, now):
        """As `windows` of an item shows them, but for `from`."""
        spans = {name: self.calendar.window(name, now) for name in WINDOWS}
        return {name: {"views": self.count("views", item, *span), "votes": {"up": self.count("up", item, *span)}}
                for name, span in spans.items()}

    def values(self, weights, begin, behind):
        """The weighted count of each item that has one, (value, item), best first."""
        found = []
        for item in self.items():
            value = sum(weights[signal] * self.count(signal, item, begin, behind) for signal in SIGNALS if weights[signal])
            if value > 0:
                found.append((value, item))
        return sorted(found, key=lambda row: (-row[0], row[1].encode()))
