# SPDX-License-Identifier: MIT
"""Each rule of what is stored and of the logs finds what it is meant for, and nothing in what is right."""
import datetime
import math
import struct
from copy import deepcopy

import pytest

from packed import VIEWS, Item, Sums, read_entry
from stored import Part
from stored_rules import STORED, check_tail_ids
from tailer import Log, Whole

SITE, HOUR_MS = b"crash.example", 3600000
ITEM, OTHER = 0x20, 0x21  # of partitions 0 and 1
READER = 7
NOW = datetime.datetime.now(datetime.timezone.utc).date()
TODAY = NOW.isoformat()
SITE_KEY = "r0000000000000005"


def view(item, name, before=()):
    record = b"W" + struct.pack("<QQd", item, READER, 1e12) + struct.pack("<B", len(SITE)) + SITE
    record += struct.pack("<H", len(name)) + name + struct.pack("<B", len(before))
    return struct.pack("<d", 1e12) + record + b"".join(struct.pack("<Qd", other, 1e12 - 5) for other in before)


def vote(item, kind):
    return struct.pack("<d", 1e12) + b"B" + struct.pack("<QQQBiBi", item, 5, READER, kind, 0, 255, 0)


def whole(rows, added):
    return Whole(rows, added, rows[-1][0])


class Tailer:
    """Two logs: a vote and a view of an item of partition 0, then a view of another one by the same reader."""

    undone, of_several = (), True

    def __init__(self):
        self.logs = [Log(0, "{e0}log"), Log(1, "{e1}log")]
        self.logs[0].take_whole(whole([((1, 0), vote(ITEM, 0)), ((2, 0), view(ITEM, b"a"))], 2))
        self.logs[1].take_whole(whole([((1, 0), view(OTHER, b"b", [ITEM]))], 1))

    def is_undone(self, seen):
        return seen in self.undone

    def is_lost(self, seen):
        return seen.lost or self.is_undone(seen)

    def missed(self):
        return sum(log.missed for log in self.logs)


def rank(part, rankings):
    for name, members in rankings.items():
        part.rankings[f"{SITE_KEY}:{name}"] = {member: -value for member, value in members.items()}


def top_of(item, value):
    """In the site and in its two categories."""
    return {name: {item: value} for name in ("top", "top:0c", "top:0d")}


def stored():
    parts = [Part(0, last=(2, 0)), Part(1, last=(1, 0))]
    parts[0].items[ITEM] = Item((SITE.decode(), "a"), 0, [1], [0], True, False, ("c0", "all"), "Author 1")
    parts[1].items[OTHER] = Item((SITE.decode(), "b"), 0, [0], [], False, False)
    lives = [3 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, 24 * HOUR_MS, 168 * HOUR_MS]
    parts[0].sums[ITEM] = Sums({0: 1, VIEWS: 1}, {life: {0: 9.0, VIEWS: 9.0} for life in lives})
    parts[1].sums[OTHER] = Sums({VIEWS: 1}, {life: {VIEWS: 9.0} for life in lives})
    for part in parts:
        part.totals[5] = Sums({VIEWS: 1}, {})
        part.offsets = {"sums": part.last, "near": part.last}
    parts[0].applied = {"sums": {0: (2, 0)}, "near": {1: (1, 0)}}
    parts[1].applied = {"sums": {1: (1, 0)}, "near": {1: (1, 0)}}
    for part, ref in ((parts[0], ITEM), (parts[1], OTHER)):
        part.sums[ref].series = {VIEWS: {"day": {(NOW - datetime.date(1970, 1, 1)).days: 1}}}
    both, third = 9 + math.log2(1.1), 9 + math.log2(0.1)
    rank(parts[0], {"hot": {"a": both}, "day": {"a": both}, "week": {"a": both}, "top": {"a": 1.1}, ".popular": {"a": 9.0},
                    f"most-read@{TODAY}": {"a": 1}})
    rank(parts[0], {**top_of("a", 1.1), ".author:0a": {"a": 5.0}})
    rank(parts[1], {"hot:no-card": {"b": third}, "day:no-card": {"b": third}, "week:no-card": {"b": third},
                    "top:no-card": {"b": 0.1}, ".popular:no-card": {"b": 9.0}, f"most-read@{TODAY}:no-card": {"b": 1}})
    return parts


def broken_rules(parts, tailer):
    return {rule.__name__[len("check_"):] for rule in STORED if list(rule(parts, tailer))}


def test_what_is_right_breaks_no_rule():
    assert not [found for rule in STORED for found in rule(stored(), Tailer())]


def count_wrong(parts, _):
    parts[0].items[ITEM].votes[0] = 2


def voter_gone(parts, _):
    parts[0].items[ITEM].voters.clear()


def sums_alone(parts, _):
    parts[0].sums[0x40] = Sums({0: 1}, {})


def total_wrong(parts, _):
    parts[1].totals[5].counts[VIEWS] = 2


def place_gone(parts, _):
    del parts[0].rankings[f"{SITE_KEY}:top"]


def place_too_many(parts, _):
    parts[0].rankings[f"{SITE_KEY}:top"]["gone"] = -1.0


def place_wrong(parts, _):
    parts[0].rankings[f"{SITE_KEY}:hot"]["a"] -= 0.001


def category_gone(parts, _):
    del parts[0].rankings[f"{SITE_KEY}:top:0c"]


def author_gone(parts, _):
    del parts[0].rankings[f"{SITE_KEY}:.author:0a"]


def author_left(parts, _):
    rank(parts[0], {".author:0b": {"a": 5.0}})


def author_of_another(parts, _):
    parts[1].items[OTHER].author = "Author 2"
    rank(parts[1], {".author:0a": {"b": 5.0}})


def unread_left(parts, _):
    rank(parts[0], {".unread:0a": {"a": 5.0}})


def gone_item_in_a_set(parts, _):
    rank(parts[1], {".unread:0a": {"gone": 5.0}})


def day_gone(parts, _):
    del parts[0].rankings[f"{SITE_KEY}:most-read@{TODAY}"]


def day_wrong(parts, _):
    parts[1].rankings[f"{SITE_KEY}:most-read@{TODAY}:no-card"]["b"] = -2.0


def day_cut(parts, _):
    """What is worth more than the cut is missing."""
    parts[0].period_cutoffs[TODAY] = {f"{SITE_KEY[1:]}:most-read": -0.0}
    del parts[0].rankings[f"{SITE_KEY}:most-read@{TODAY}"]


def counted_twice(parts, _):
    parts[0].sums[ITEM].counts[VIEWS] = parts[0].totals[5].counts[VIEWS] = 2
    rank(parts[0], {**top_of("a", 1.2), "rising": {"a": 0.0}})  # three events


def not_counted(_, tailer):
    tailer.logs[1].take_some([((2, 0), view(ITEM, b"a"))])


def id_twice(_, tailer):
    tailer.logs[0].take_some([((1, 0), vote(ITEM, 1))])


def id_falls(parts, tailer):
    tailer.logs[0].take_some([((1, 5), struct.pack("<d", 1e12) + b"F")])


def passed_over(parts, _):
    parts[1].applied["sums"][1] = (0, 5)


def ahead(parts, _):
    parts[1].applied["near"][1] = (1, 1)


def offset_behind(parts, _):
    parts[0].offsets["near"] = (1, 0)


def begun_at_the_clock(parts, tailer):
    seen = tailer.logs[1].entries[1, 0]
    parts[1].began, seen.when = (1, 0), 0.0


@pytest.mark.parametrize("spoil, rules", [
    (count_wrong, {"stored_counts"}), (voter_gone, {"stored_counts"}), (sums_alone, {"stored_counts"}), (total_wrong, {"stored_totals"}),
    (place_gone, {"stored_rankings"}), (place_too_many, {"stored_rankings"}), (place_wrong, {"stored_rankings"}),
    (category_gone, {"stored_groups"}), (author_gone, {"stored_groups"}), (author_left, {"stored_groups"}),
    (author_of_another, {"stored_groups"}), (unread_left, {"stored_groups"}), (gone_item_in_a_set, {"stored_groups"}),
    (day_gone, {"stored_periods"}), (day_wrong, {"stored_periods"}), (day_cut, {"stored_periods"}),
    (counted_twice, {"tail_views"}), (not_counted, {"tail_views", "tail_applied"}), (id_twice, {"tail_ids"}), (id_falls, {"tail_ids"}),
    (passed_over, {"tail_applied"}), (ahead, {"tail_applied"}), (offset_behind, {"tail_applied"}), (begun_at_the_clock, {"tail_lives"})], ids=lambda value: getattr(value, "__name__", ""))
def test_rule_finds(spoil, rules):
    parts, tailer = deepcopy(stored()), Tailer()
    spoil(parts, tailer)
    assert broken_rules(parts, tailer) == rules


def test_lost_entry_may_be_counted_or_not():
    for views in (1, 2):
        parts, tailer = stored(), Tailer()
        tailer.logs[1].take_some([((2, 0), view(ITEM, b"a"))])
        tailer.logs[1].take_whole(whole([((1, 0), view(OTHER, b"b", [ITEM]))], 1))
        parts[0].sums[ITEM].counts[VIEWS] = parts[0].totals[5].counts[VIEWS] = views
        rank(parts[0], {**top_of("a", 1 + views / 10), **({"rising": {"a": 0.0}} if views == 2 else {})})
        if views == 2:
            parts[0].applied["sums"][1] = (2, 0)
        assert not broken_rules(parts, tailer)


@pytest.mark.parametrize("undone", [False, True], ids=["by a failover", "by a restore"])
@pytest.mark.parametrize("taken", [(2, 0), (3, 0)], ids=["its own", "a higher"])
def test_only_what_a_restore_has_undone_may_leave_ids_to_others(taken, undone):
    tailer = Tailer()
    tailer.logs[1].take_some([(taken, view(ITEM, b"a"))])
    tailer.logs[1].take_whole(whole([((1, 0), view(OTHER, b"b", [ITEM]))], 1))
    seen = tailer.logs[1].entries[taken]
    tailer.undone = [seen] if undone else []
    tailer.logs[1].take_some([((2, 0), vote(ITEM, 255))])
    assert seen.lost and bool(list(check_tail_ids(None, tailer))) != undone


def test_what_was_trimmed_is_not_lost():
    tailer = Tailer()
    tailer.logs[0].take_whole(whole([((2, 0), view(ITEM, b"a"))], 2))
    assert not broken_rules(stored(), tailer)
    assert tailer.missed() == 0
    tailer.logs[0].take_whole(whole([((4, 0), struct.pack("<d", 1e12) + b"F")], 4))
    assert tailer.missed() == 1


def test_entry_is_read():
    entry = read_entry(view(OTHER, b"b", [ITEM, OTHER]) + vote(ITEM, 255)[8:])
    assert [(one.item, one.name, one.recent) for one in entry.views] == [(OTHER, ("crash.example", "b"), [ITEM])]
    assert entry.votes == [(ITEM, None)]
    assert entry.touched == ({ITEM, OTHER}, {ITEM, OTHER})
