#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/unit/vectors: decayed sums and neighbour tables computed from their definitions, in 60-digit decimals.

Nothing here shares code or method with src/model: a decayed sum is the plain sum of w·2^((t − epoch)/h) over the events
that are still there, and its logarithm is taken at the end. `decay.txt`: "half_life_s events" then per event "sign
time_s", then the expected log2 of the sum. `neighbours.txt`: a sequence of updates and the table that they leave.
`calendar.txt`: the seconds at which days begin, found by reading a zone's clock every minute, each with its date and week.
`windows.txt`: instants, and when each window of them begins.
"""
import datetime
import os
import random
import zoneinfo
from decimal import Decimal, getcontext

getcontext().prec = 60
EPOCH, LN2 = 1704067200, Decimal(2).ln()
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors")


def log2_sum(times, half_life):
    total = sum((((Decimal(t) - EPOCH) / half_life) * LN2).exp() for t in times)
    return total.ln() / LN2


def decay_cases():
    draw = random.Random(7)
    year = 31557600
    yield 10800, [(1, EPOCH + draw.randrange(86400 * 3)) for _ in range(50)]  # out of order
    yield 10800, [(1, EPOCH), (1, EPOCH + 10 * year)]  # ten years apart, both ways
    yield 10800, [(1, EPOCH + 10 * year), (1, EPOCH)]
    yield 604800, [(1, EPOCH - 8 * year), (1, EPOCH + 90 * year), (1, EPOCH + 90 * year)]
    events = [(1, EPOCH + draw.randrange(7200)) for _ in range(60)]  # votes and some taken back
    yield 10800, events + [(-1, t) for _, t in draw.sample(events, 25)]
    yield 60, [(1, EPOCH + n) for n in range(300)]


def write_decay():
    with open(os.path.join(FOLDER, "decay.txt"), "w", encoding="utf-8") as file:
        for half_life, events in decay_cases():
            left = [t for sign, t in events if sign > 0]
            for sign, t in events:
                if sign < 0:
                    left.remove(t)
            file.write(f"{half_life} {len(events)}\n" + "".join(f"{s} {t}\n" for s, t in events))
            file.write(f"{log2_sum(left, half_life):.20f}\n")


def write_neighbours():
    draw, weights, total, updates = random.Random(11), {}, Decimal(0), 0
    sequence = [(draw.choice(range(1, 120)), draw.choice((1, 2, 3, 5)), draw.randrange(0, 259200000)) for _ in range(950)]
    for item, distance, age in sequence:
        weight = ((-Decimal(age) / 21600000) * LN2).exp() / distance
        weights[item], total, updates = weights.get(item, Decimal(0)) + weight, total + weight, updates + 1
        if updates == 400:
            weights, total, updates = {k: v / 2 for k, v in weights.items()}, total / 2, 0
    best = sorted(weights.items(), key=lambda pair: -pair[1])
    with open(os.path.join(FOLDER, "neighbours.txt"), "w", encoding="utf-8") as file:
        file.write(f"{len(sequence)}\n" + "".join(f"{i} {d} {a}\n" for i, d, a in sequence))
        file.write(f"{len(best)} {total:.20f}\n" + "".join(f"{item} {weight:.20f}\n" for item, weight in best))


# (zone, a date within the five days that are read). All lie in the past, so that newer rules of zones do not move them.
DAYS = [
    ("UTC", "2024-02-29"), ("UTC", "2023-03-01"), ("UTC", "2000-02-29"), ("UTC", "1900-03-01"), ("UTC", "1969-12-31"),
    ("UTC", "2020-12-31"), ("UTC", "2024-12-30"), ("Europe/Berlin", "2024-03-31"), ("Europe/Berlin", "2024-10-27"),
    ("Europe/Berlin", "2021-01-03"), ("America/New_York", "2024-03-10"), ("America/New_York", "2024-11-03"),
    ("America/Santiago", "2024-04-07"), ("America/Santiago", "2023-09-03"), ("Asia/Beirut", "2024-03-31"),
    ("Asia/Beirut", "2024-10-27"), ("America/Havana", "2024-03-10"), ("America/Havana", "2024-11-03"),
    ("America/Sao_Paulo", "2018-11-04"), ("Asia/Kolkata", "2024-02-29"), ("Asia/Kathmandu", "2023-12-31"),
    ("Australia/Lord_Howe", "2024-04-07"), ("Pacific/Apia", "2011-12-30"), ("Pacific/Kiritimati", "1995-01-01"),
    ("Pacific/Kwajalein", "1993-08-21"), ("America/St_Johns", "2010-11-07"), ("Europe/Moscow", "2014-10-26"),
    ("Africa/Monrovia", "1972-01-07"), ("Pacific/Chatham", "2024-09-29"),
]


def days_that_begin(zone, middle):
    """(second, date) of each day that begins within two days of the middle: the date has never been so late before."""
    noon = datetime.datetime.fromisoformat(middle).replace(hour=12, tzinfo=datetime.timezone.utc).timestamp()
    first, last = int(noon - 4 * 86400), int(noon + 2 * 86400)
    latest = None
    for second in range(first, last, 1 if zone == "Africa/Monrovia" else 60):
        date = datetime.datetime.fromtimestamp(second, zoneinfo.ZoneInfo(zone)).date()
        if latest is not None and date > latest:
            yield second, date
        latest = max(latest or date, date)


def write_calendar():
    with open(os.path.join(FOLDER, "calendar.txt"), "w", encoding="utf-8") as file:
        for zone, middle in DAYS:
            for second, date in days_that_begin(zone, middle):
                year, week, _ = date.isocalendar()
                file.write(f"{zone} {second} {(date - datetime.date(1970, 1, 1)).days} {date} {year:04}-W{week:02}\n")


# Instants near what changes: midnights, the days of a change of clocks, a day that was left out, the ends of weeks and months.
INSTANTS = [
    ("UTC", "2024-02-29T23:59:59"), ("UTC", "2024-03-01T00:00:00"), ("UTC", "2024-12-30T00:30:00"), ("UTC", "1970-03-15T05:00:00"),
    ("Europe/Berlin", "2024-03-31T00:59:59"), ("Europe/Berlin", "2024-03-31T22:30:00"), ("Europe/Berlin", "2024-04-07T12:00:00"),
    ("Europe/Berlin", "2024-10-27T01:30:00"), ("Europe/Berlin", "2024-11-03T00:10:00"), ("America/New_York", "2024-03-11T03:59:59"),
    ("Asia/Kolkata", "2024-02-29T18:29:59"), ("Asia/Kolkata", "2024-02-29T18:30:00"), ("Asia/Kathmandu", "2023-12-31T18:20:00"),
    ("Asia/Beirut", "2024-03-31T12:00:00"), ("Pacific/Apia", "2011-12-31T12:00:00"), ("Australia/Lord_Howe", "2024-04-08T00:00:00"),
]


def begin_of(zone, date):
    """The first full minute whose date is this or a later one, and the days since 1970."""
    second = int(datetime.datetime(date.year, date.month, date.day, tzinfo=datetime.timezone.utc).timestamp()) - 86400
    while datetime.datetime.fromtimestamp(second, zone).date() < date:
        second += 60
    return second


def write_windows():
    """Per line: zone, now, then of each window when it begins and, for the days, when its last one begins."""
    with open(os.path.join(FOLDER, "windows.txt"), "w", encoding="utf-8") as file:
        for name, text in INSTANTS:
            zone, now = zoneinfo.ZoneInfo(name), int(datetime.datetime.fromisoformat(text + "+00:00").timestamp())
            day, one = datetime.datetime.fromtimestamp(now, zone).date(), datetime.timedelta(days=1)
            back = {days: datetime.datetime.fromtimestamp(now - days * 86400, zone).date() for days in (7, 30)}
            hours = [(now - span) // 3600 * 3600 for span in (3600, 86400)]
            days = [back[7], back[30], day, day - one, day - one * day.weekday(), day.replace(day=1)]
            begins = [*hours, *(begin_of(zone, date) for date in days)]
            file.write(f"{name} {now} {' '.join(map(str, begins))}\n")


os.makedirs(FOLDER, exist_ok=True)
write_calendar()
write_windows()
write_decay()
write_neighbours()
