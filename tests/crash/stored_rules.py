# SPDX-License-Identifier: MIT
"""The rules that what Redis holds must keep when all is quiet, against itself and against every log entry ever seen. Each rule
is a function of the partitions (stored.py) and the tailer that yields pairs (item or None, text): its violations.

They hold whatever was lost: a failover loses the end of a partition's history, never its middle, and all of it at once.
"""
import datetime
import math
from collections import Counter, defaultdict

import lives
from packed import VIEWS, log2_of_sum
from stored import PROJECTIONS, sums_of

HOUR_MS = 3600 * 1000
VOTE_WEIGHT, VIEW_WEIGHT, RISING_FLOOR = 1.0, 0.1, 3  # of the preset rankings
VIEW_WEIGHT_LOG2 = math.log2(VIEW_WEIGHT)
SAME = 1e-8  # values are rounded to 1e-9
KINDS_MOST = 8
AHEAD_LEAST_MS = 30000  # a minute (store/open.c), but for the time until it was seen


def name_of(item):
    return item.name[1]


def check_stored_counts(parts, _):
    """Each item's votes are its voters and what its sums were made of; nothing has sums that is not an item."""
    for part in parts:
        for ref, item in part.items.items():
            if item.has_base:
                continue
            voters = part.voters[ref] if item.buckets else Counter(item.voters)
            sums = sums_of(part, ref)
            for kind in range(KINDS_MOST):
                counts = (item.votes[kind] if kind < len(item.votes) else 0, voters[kind], sums.count(kind))
                if len(set(counts)) > 1:
                    yield name_of(item), "kind %d: the item counts %d votes, has %d voters, its sums say %d" % (kind, *counts)
        for ref in set(part.sums) - set(part.items):
            yield None, f"partition {part.number} has sums of {ref:016x}, which is no item"


def check_stored_totals(parts, _):
    """The sites' totals of a partition are the views of its items."""
    for part in parts:
        totals = sum(total.count(VIEWS) for total in part.totals.values())
        views = sum(sums.count(VIEWS) for sums in part.sums.values())
        if totals != views:
            yield None, f"partition {part.number}: the sites' totals are {totals} views, the items' sums {views}"


# ---- Rankings


def weighted(sums, life):
    parts = [value + (0 if signal < VIEWS else VIEW_WEIGHT_LOG2) for signal, value in sums.sums.get(life, {}).items()]
    return log2_of_sum(parts) if parts else None


def decayed(life):
    return lambda sums: weighted(sums, life)


def rising(sums):
    enough = sum(sums.counts.values()) >= RISING_FLOOR
    return weighted(sums, 3 * HOUR_MS) - weighted(sums, 12 * HOUR_MS) if enough else None


def total(sums):
    value = sum(count * (VOTE_WEIGHT if signal < VIEWS else VIEW_WEIGHT) for signal, count in sums.counts.items())
    return value or None


# Value of an item; None: it has no place.
RANKINGS = {"hot": decayed(3 * HOUR_MS), "day": decayed(24 * HOUR_MS), "week": decayed(168 * HOUR_MS), "rising": rising,
            "top": total, ".popular": lambda sums: sums.sums.get(6 * HOUR_MS, {}).get(VIEWS)}


def site_names(parts):
    """The site of each reference that has a ranking, by what it ranks: the run gives no id to two sites."""
    found = {}
    for part in parts:
        sites = {name_of(item): item.name[0] for item in part.items.values()}
        for key, members in part.rankings.items():
            for member in members:
                if member in sites:
                    found[key[1:17]] = sites[member]
    return found


def check_stored_rankings(parts, _):
    """Each place in a ranking is what the item's sums are worth, and who is worth a place has one."""
    sites = site_names(parts)
    for part in parts:
        items = {name_of(item): ref for ref, item in part.items.items()}
        for key, members in part.rankings.items():
            yield from wrong_places(part, key, members, items)
        for site_ref, site in sites.items():
            yield from missing_places(part, site_ref, site)


def wrong_places(part, key, members, items):
    value_of = RANKINGS.get(key[18:].split(":")[0])
    for member, score in members.items() if value_of else ():  # the newest cards are no ranking
        value = value_of(sums_of(part, items[member])) if member in items else None
        if value is None:
            yield member, f"is in {key} of partition {part.number} with {-score}, and has no place there"
        elif abs(value + score) > SAME:
            yield member, f"is in {key} of partition {part.number} with {-score}, its sums make {value}"


def missing_places(part, site_ref, site):
    for name, value_of in RANKINGS.items():
        for item_ref, item in part.items.items():
            if item.name[0] != site:
                continue
            place = f"{site_ref}:{name}" + ("" if item.has_card else ":no-card")
            value = value_of(sums_of(part, item_ref))
            cut = value is not None and place in part.cutoffs and -value >= part.cutoffs[place] - SAME
            if value is not None and not cut and name_of(item) not in part.rankings.get("r" + place, {}):
                yield name_of(item), f"is not in {place} of partition {part.number}, where its {value} has a place"


MOST_READ, DAYS_OPEN = "most-read", 35  # the preset ranking of views by day, of days that are open


def days_of(sums):
    """The views of a day, by its name."""
    days = sums.series.get(VIEWS, {}).get("day", {})
    return {(datetime.date(1970, 1, 1) + datetime.timedelta(day)).isoformat(): count for day, count in days.items()}


def check_stored_periods(parts, _):
    """In each open day a member's score is its views there, and what is no member has at most the cut."""
    sites, now = site_names(parts), datetime.datetime.now(datetime.timezone.utc).date()
    open_days = {(now - datetime.timedelta(back)).isoformat() for back in range(-1, DAYS_OPEN - 1)}
    for part in parts:
        worth = {}
        for ref, item in part.items.items():
            for day, count in days_of(sums_of(part, ref)).items():
                worth[name_of(item), day, item.has_card] = count
        for key, members in part.rankings.items():
            name, _, day = key[18:].split(":")[0].partition("@")
            for member, score in members.items() if name == MOST_READ and key.count(":") == 1 + key.endswith(":no-card") else ():
                value = worth.get((member, day, not key.endswith(":no-card")))
                if day in open_days and value != -score:
                    yield member, f"is in {key} of partition {part.number} with {-score}, its series say {value}"
        for site_ref, site in sites.items():
            yield from missing_in_days(part, site_ref, site, open_days)


def missing_in_days(part, site_ref, site, open_days):
    for ref, item in part.items.items():
        tail = "" if item.has_card else ":no-card"
        for day, count in days_of(sums_of(part, ref)).items() if item.name[0] == site else ():
            cut = -part.period_cutoffs.get(day, {}).get(f"{site_ref}:{MOST_READ}{tail}", 0)
            held = name_of(item) in part.rankings.get(f"r{site_ref}:{MOST_READ}@{day}{tail}", {})
            if day in open_days and not held and count > cut:
                yield name_of(item), f"is not in {MOST_READ} of {day} of partition {part.number}, its {count} views are above the cut, {cut}"


# ---- Sets of categories and authors: their names are hashes, so they are told apart by what they have

GROUPED = {"top": "a category", ".author": "an author", ".unread": "an author, of what nobody has read"}


def sets_by_item(part):
    """By kind and item: the names of the sets of groups that have it."""
    found = defaultdict(set)
    for key, members in part.rankings.items():
        site, kind, *group = key.split(":")
        for member in members if kind in GROUPED and group and group != ["no-card"] else ():
            found[kind, member].add((site, group[0]))
    return found


def wanted_sets(item, sums):
    """Of each kind, how many."""
    has_events = any(sums.counts.values())
    return {"top": len(item.categories) if item.has_card and total(sums) else 0,
            ".author": int(bool(item.author) and has_events), ".unread": int(bool(item.author) and not has_events)}


def check_stored_groups(parts, _):
    """An item is in a set for each of its categories, in one of its author, and in none of another."""
    of_author, of_set = {}, {}
    for part in parts:
        items, held = {name_of(item): (ref, item) for ref, item in part.items.items()}, sets_by_item(part)
        cut = {kind for kind in GROUPED for name in part.cutoffs if f":{kind}:" in name}
        for (kind, member) in held:
            if member not in items:
                yield member, f"is in a set of {GROUPED[kind]} of partition {part.number}, and is no item"
        for name, (ref, item) in items.items():
            for kind, count in wanted_sets(item, sums_of(part, ref)).items():
                sets = held[kind, name]
                if len(sets) > count or (len(sets) < count and kind not in cut):
                    yield name, f"is in {len(sets)} sets of {GROUPED[kind]} of partition {part.number}, not in {count}"
            for place in held[".author", name] | held[".unread", name]:
                author = (place[0], item.author)
                if of_author.setdefault(author, place) != place or of_set.setdefault(place, author) != author:
                    yield name, f"is in the set of another author in partition {part.number}"


# ---- Against the logs


def check_tail_views(parts, tailer):
    """An entry that is still there, or was trimmed, is counted once in each item that it names; one that was lost once at
    most. Items that a script has set meanwhile are left out."""
    least, most, names, reset = Counter(), Counter(), {}, set()
    for log in tailer.logs:
        for seen in log.all():
            reset |= seen.entry.reset
            for view in seen.entry.views:
                names[view.item] = view.name
                most[view.item] += 1
                least[view.item] += not tailer.is_lost(seen)
    missed = tailer.missed()
    for part in parts:
        for ref, item in part.items.items():
            names[ref] = item.name
    for ref, (site, name) in names.items():
        views = sums_of(parts[ref % len(parts)], ref).count(VIEWS)
        wrong = views < least[ref] or (views > most[ref] and not missed)
        if wrong and ref not in reset and site != lives.SITE:
            yield name, f"{views} views, by the logs {least[ref]} to {most[ref]}"


def check_tail_ids(_, tailer):
    """No id has two entries, and ids of a log only rise: also above what a failover has lost, as it may be projected. A restore
    undoes that too: with a clock set back Redis counts on from the last id that is left."""
    for log in tailer.logs:
        for seen in log.replaced:
            if not tailer.is_undone(seen):
                yield None, f"log {log.partition}: id {seen.ident[0]}-{seen.ident[1]} has had two values"
        for ident, higher in log.fallen:
            for seen in higher:
                if not tailer.is_undone(seen):
                    yield None, f"log {log.partition}: id {ident[0]}-{ident[1]} came after {seen.ident[0]}-{seen.ident[1]}"
                    break


def check_tail_lives(parts, tailer):
    """The first id of a master's life is ahead of the clock, so that the life before, which may still go on elsewhere, does not give
    it too. Of one Redis there is one life, and its clock may have been set back."""
    for part, log in zip(parts, tailer.logs) if tailer.of_several else ():
        first = log.entries.get(part.began)
        if first and part.began[0] < 1000 * first.when + AHEAD_LEAST_MS:
            yield None, f"log {part.number}: the first id of its life, {part.began[0]}, came at {1000 * first.when:.0f}"


def last_touching(tailer, projection):
    """By source: the last entry that is not lost and touches each partition, and all that are lost."""
    count = len(tailer.logs)
    for log in tailer.logs:
        last, lost = {}, defaultdict(set)
        for ident in log.order:
            seen = log.entries[ident]
            for target in {item % count for item in seen.entry.touched[projection]}:
                if tailer.is_lost(seen):
                    lost[target].add(ident)
                else:
                    last[target] = ident
        yield log, last, lost


def check_tail_applied(parts, tailer):
    """Each partition has applied the last entry of each log that touches it, and each offset is a log's last id."""
    for number, projection in enumerate(PROJECTIONS):
        for log, last, lost in last_touching(tailer, number):
            source = parts[log.partition]
            if source.offsets[projection] != source.last:
                yield None, f"{projection} has read log {log.partition} to {source.offsets[projection]}, its last id is {source.last}"
            for part in parts:
                applied, wanted = part.applied[projection].get(log.partition, (0, 0)), last.get(part.number, (0, 0))
                of_before = applied in lost[part.number] or applied < source.began
                if applied < wanted or (applied > wanted and not of_before and not tailer.missed()):
                    yield None, (f"{projection} of partition {part.number} has applied log {log.partition} to {applied}, "
                                 f"the last entry that touches it is {wanted}")


STORED = [check_stored_counts, check_stored_totals, check_stored_rankings, check_stored_periods, check_stored_groups, check_tail_views, check_tail_ids, check_tail_lives, check_tail_applied]
