# SPDX-License-Identifier: MIT
"""Packed states of src/model, read in Python."""
import datetime
import struct

GRAINS = "hour", "day", "month"


def unpack_state(packed):
    """The sums, as unpack_sums has them, and the series."""
    form, life_count, signal_count = struct.unpack_from("<BBB", packed)
    assert form in (1, 2, 3, 4)
    at = 3 + 8
    lives = [ms / 1000 for ms in struct.unpack_from(f"<{life_count}Q", packed, at)]
    at += 8 * life_count
    signals = {}
    for _ in range(signal_count):
        number, count = struct.unpack_from("<BQ", packed, at)
        at += 9
        signals[number] = count, dict(zip(lives, struct.unpack_from(f"<{life_count}d", packed, at)))
        at += 8 * life_count
    if form in (2, 4):  # early visitors
        at += 1 + 4 * packed[at]
    return signals, unpack_series(packed[at:]) if form > 2 else {}


def unpack_sums(packed):
    """The format of src/model/sums.h: {signal: (count, {half-life in s: log2 sum})}."""
    return unpack_state(packed)[0]


def month_of(day):
    date = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
    return (date.year - 1970) * 12 + date.month - 1


class Packed:
    def __init__(self, packed):
        self.packed, self.at = packed, 0

    def byte(self):
        self.at += 1
        return self.packed[self.at - 1]

    def varint(self):
        byte = self.byte()
        return byte if byte < 128 else byte % 128 + 128 * self.varint()

    def buckets(self, newest):
        found, last = {}, False
        while not last:
            head = self.byte()
            newest -= head >> 2
            found[newest] = self.varint() + 2 if head & 1 else 1
            newest, last = newest - 1, head & 2
        return found


def unpack_series(packed):
    """The format of src/model/series.h: {signal: {grain: {number: count}}}."""
    reader, series, last = Packed(packed), {}, False
    head = int.from_bytes(packed[:3], "little")
    reader.at = (16 if packed[3] == 255 else 12) if head & 1 else 3
    day = (head >> 3) // 24 - 1 + (head >> 1 & 3)
    newest = {"hour": head >> 3, "day": day, "month": month_of(day)}
    while not last:
        signal, last = divmod(reader.byte(), 16)
        if signal == 15:
            break
        found = {grain: reader.buckets(newest[grain]) if last >> bit & 1 else {} for bit, grain in enumerate(GRAINS)}
        for day, count in found["day"].items():
            found["month"][month_of(day)] = found["month"].get(month_of(day), 0) + count
        series[signal], last = found, last & 8
    assert reader.at == len(packed)
    return series
