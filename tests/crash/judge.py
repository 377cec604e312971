# SPDX-License-Identifier: MIT
"""The rules that a history must keep: bounds during the run, exact values after it. Each rule is a function that yields
pairs (item or None, text): its violations."""
import bisect
import json
from collections import Counter, defaultdict

import lives
from clients import HIDDEN, ITEMS, WRITES
from faults import RECOVER_S
from history import OK, REFUSED, Bounds, still_true, vote_states
from service import KINDS, REDIS_TIMEOUT_S

CLOCK_S = 0.05  # between the service's clock and ours
UNREAD_S, FRESH_S = 10.0, 1.0  # a body that was read within ten seconds may be sent unchanged
HANDOVER_S = 5.0
ALIVE_S = 2.0  # without an answer of /healthz
TAKEOVER_S = 5.0
AHEAD_S = 2.0
FLOOD_BEGINS_S, FLOOD_WRITES, FLOOD_SHARE = 0.3, 50, 0.02
VIEW_WEIGHT = 0.1  # of a view among votes in `top`
# 503 means an unknown end; a fault must have no other result.
EXPECTED = {503}


class History:
    """All calls of a run, sorted out."""

    def __init__(self, calls, strikes, margin, voids=(), alive=(), losses=(), slower=lambda begin, end: 1, takeovers=()):
        self.calls = sorted(calls, key=lambda call: call.begin)
        self.zero = self.calls[0].begin
        self.strikes, self.voids, self.alive, self.losses = strikes, voids, sorted(alive), losses
        self.margin, self.slower, self.takeovers = margin, slower, takeovers
        self.votes, self.views = defaultdict(list), defaultdict(list)
        kept = still_true(self.calls, voids)
        self.lives = {item: lives.Life(calls) for item, calls in lives.by_item(kept).items()}
        for call in kept:
            if call.what in ("vote", "unvote"):
                self.votes[call.visitor, call.item].append(call)
            elif call.what == "view":
                self.views[call.visitor, call.item].append(call)
        self.states = {pair: vote_states(calls) for pair, calls in self.votes.items()}
        self.bounds = {(item, kind): Bounds() for item in ITEMS for kind in KINDS}
        for (_, item), states in self.states.items():
            for kind in KINDS:
                self.bounds[item, kind].add(states, kind)
        for bounds in self.bounds.values():
            bounds.sort()

    def was_undone(self, begin, end):
        """Whether what was in place in this window has partly been undone, or was shown by a master that was none any more."""
        return (any(begin < void[3] and end > void[0] for void in self.voids)
                or any(begin < loss[1] and end > loss[0] for loss in self.losses))

    def allowed(self, begin, end):
        """Seconds beyond a deadline: the margin of a machine that the run has for itself, by how much slower this one was then."""
        return self.margin * self.slower(begin, end)

    def at(self, event):
        """Seconds since the first call, as in the saved histories."""
        return event.begin - self.zero

    def of_item(self, item):
        return [call for call in self.calls if call.item == item or call.what in ("me", "top")]


# ---- Answers


def check_statuses(history):
    for call in history.calls:
        if call.outcome != OK and call.status is not None and call.status not in EXPECTED:
            yield call.item, f"{call.what} is answered by {call.status}: {call.answer}"


def frozen(history, begin, end):
    """How long, in this window, a worker stood still."""
    return sum(max(0.0, min(end, strike.healed) - max(begin, strike.begin))
               for strike in history.strikes if strike.freezes)


def check_deadlines(history):
    for call in history.calls:
        took = call.end - call.begin
        if call.what in WRITES + ("me", "item", "top") and took > REDIS_TIMEOUT_S + history.margin:
            took -= frozen(history, call.begin, call.end)
            if took > REDIS_TIMEOUT_S + history.allowed(call.begin, call.end):
                yield call.item, f"{call.what} is answered after {took:.2f} s ({call.outcome}, {call.answer})"


def check_answers(history):
    """A vote's answer names the vote, a view's tells the first from its repeats."""
    for pair, calls in history.votes.items():
        for call in calls:
            if call.outcome == OK and call.answer and call.answer[1] != call.want and clean(calls, call):
                yield pair[1], f"{call.what} of {call.want} by {pair[0]} is answered with {call.answer[1]}"
    for pair, calls in history.views.items():
        counted = [call for call in calls if call.outcome == OK and call.answer is True]
        if len(counted) > 1 + sum(call.may_be_lost for call in calls):
            yield pair[1], f"the view of {pair[0]} is counted {len(counted)} times"
        if calls[0].outcome == OK and calls[0].answer is False:
            yield pair[1], f"the first view of {pair[0]} is called a repeat"


def clean(calls, call):
    before = [other for other in calls if other.begin < call.begin]
    return not any(other.outcome == "unknown" or other.may_be_lost for other in [*before, call])


# ---- Counts during the run


def count_claims(history):
    """(call, item, {kind: count}, begin of the window in which they were right)."""
    for call in history.calls:
        if call.outcome != OK or not call.answer:
            continue
        if call.what in ("vote", "unvote"):
            yield call, call.item, call.answer[0], call.begin
        elif call.what == "card":
            yield call, call.item, call.answer[0], call.begin
        elif call.what == "me":
            for item, votes in call.answer[1].items():
                yield call, item, votes, call.begin
        elif call.what == "item":
            yield call, call.item, call.answer[0], min(call.begin, call.checked - CLOCK_S)
        elif call.what == "top":
            for item, row in call.answer.items():
                yield call, item, row[0], min(call.begin, call.checked - CLOCK_S)


def check_bounds(history):
    """Of kinds that a fault has added there are no votes."""
    for call, item, votes, begin in count_claims(history):
        if history.was_undone(begin, call.end):
            continue
        for kind, count in votes.items():
            bounds = history.bounds.get((item, kind), Bounds())
            least, most = bounds.least(begin, call.end), bounds.most(begin, call.end)
            if not least <= count <= most:
                yield item, (f"{call.what} at {history.at(call):.3f} shows {count} {kind}, "
                             f"which must be {least} to {most} ({call.end - begin:.3f} s)")


def check_views_seen(history):
    """A projection shows no view before it was made."""
    first = defaultdict(list)  # sorted, as the calls are
    seen = set()
    for call in history.calls:
        again = call.may_be_lost or (call.visitor, call.item) not in seen
        if call.what == "view" and call.outcome != REFUSED and again:
            seen.add((call.visitor, call.item))
            first[call.item].append(call.begin)
    for call in history.calls:
        rows = {call.item: call.answer} if call.what == "item" else call.answer if call.what == "top" else {}
        for item, row in (rows.items() if call.outcome == OK else ()):
            most = bisect.bisect_right(first[item], call.end)
            if row[1] > most:
                yield item, f"{call.what} at {history.at(call):.3f} shows {row[1]} views, of at most {most}"


def check_own_votes(history):
    for call in history.calls:
        if call.what != "me" or call.outcome != OK or history.was_undone(call.begin, call.end):
            continue
        for item in ITEMS:
            kind, states = call.answer[0].get(item), history.states.get((call.visitor, item), [(0.0, {None})])
            if not any(kind in state for state in within(states, call.begin, call.end)):
                yield item, f"{call.visitor}'s own vote at {history.at(call):.3f} is {kind}: that cannot be"


def within(states, begin, end):
    for (when, state), following in zip(states, [*states[1:], (float("inf"), None)]):
        if when <= end and following[0] >= begin:
            yield state


# ---- Freshness and recovery


def staleness(history):
    return [(call.end - call.checked, call) for call in history.calls
            if call.outcome == OK and call.checked is not None]


def calm(history, begin, end):
    return all(strike.healed < begin or strike.begin > end for strike in history.strikes)


def check_staleness(history):
    """In calm times; while Redis is away the old body is sent, and says how old it is."""
    least = UNREAD_S + FRESH_S + REDIS_TIMEOUT_S
    for age, call in staleness(history):
        most = least + (history.allowed(call.end - least, call.end) if age > least else 0)
        if age > most and calm(history, call.end - most, call.end):
            yield call.item, f"{call.what} at {history.at(call):.3f} shows the state of {age:.1f} s before"


def check_recovery(history):
    for strike in history.strikes:
        if strike.unserved:
            yield None, f"{strike.name} at {history.at(strike):.3f}: {strike.unserved}"
        elif strike.recovered - strike.healed > RECOVER_S + history.allowed(strike.healed, strike.recovered):
            yield None, f"{strike.name} at {history.at(strike):.3f}: {strike.recovered - strike.healed:.1f} s to recover"


def violations(rules, *arguments):
    """(the rule's name, item or None, text)"""
    return [(rule.__name__[len("check_"):], *found) for rule in rules for found in rule(*arguments)]


def check_reload(history):
    """New processes take over without a refused connection."""
    begins = [strike.begin for strike in history.strikes] + [float("inf")]
    for strike, following in zip(history.strikes, begins[1:]):
        until = min(following, strike.begin + HANDOVER_S)
        refused = [call for call in history.calls if call.outcome == REFUSED and strike.begin <= call.begin < until]
        if strike.name.startswith("reload") and refused:
            yield None, f"{len(refused)} connections are refused from the reload at {history.at(strike):.3f} on"


def check_alive(history):
    """/healthz is answered all the time, but for faults that leave nobody who could."""
    for before, after in zip(history.alive, history.alive[1:]):
        down = any(strike.down and strike.begin < after and strike.healed > before for strike in history.strikes)
        if after - before > ALIVE_S and after - before > history.allowed(before, after) and not down:
            yield None, f"nobody answers /healthz for {after - before:.1f} s at {before - history.zero:.3f}"


def check_takeover(history):
    """What a machine has projected, another one projects after it has gone (docs/operating.md)."""
    for begin, end, done in history.takeovers:
        if not done or end - begin > TAKEOVER_S + history.allowed(begin, end):
            yield None, f"nothing is projected for {end - begin:.1f} s after a machine has gone at {begin - history.zero:.3f}"


def check_flood(history):
    """Reads, however many, do not take the place of writes. A deletion that has hidden its item was written: it waits for the
    projection, which a busy machine delays."""
    for strike in history.strikes:
        begin, end = strike.begin + FLOOD_BEGINS_S, strike.ended
        others = [other for other in history.strikes if other is not strike and begin < other.healed and other.begin < end]
        if strike.name != "flood" or others:
            continue
        writes = [call for call in history.calls
                  if call.what in WRITES and begin < call.begin < end and HIDDEN not in str(call.answer)]
        refused = [call for call in writes if call.status == 503]
        if len(writes) >= FLOOD_WRITES and len(refused) > FLOOD_SHARE * len(writes):
            answers = Counter(f"{call.what}: {call.answer}" for call in refused)
            yield None, f"{len(refused)} of {len(writes)} writes are 503 in the flood of reads at {history.at(strike):.3f}: {dict(answers)}"


def check_clock(history):
    """Redis's clock may jump and come back: nothing is dated in times to come."""
    for call in history.calls:
        if call.outcome == OK and call.checked is not None and call.checked > call.end + AHEAD_S:
            yield call.item, f"{call.what} at {history.at(call):.3f} is dated {call.checked - call.end:.1f} s ahead"


DURING = [check_statuses, check_deadlines, check_answers, check_bounds, check_views_seen, check_own_votes,
          check_staleness, check_recovery, check_reload, check_alive, check_takeover, check_flood, check_clock]


# ---- After the run


def views_expected(history):
    """By item, the least and the most. One for every visitor and item of which a view was sent: the run asked again where no
    answer had come. What a failover may have lost may be counted all the same, and once more when it was sent again."""
    least, most = dict.fromkeys(ITEMS, 0), dict.fromkeys(ITEMS, 0)
    for (_, item), calls in history.views.items():
        sent = [call for call in calls if call.outcome != REFUSED]
        least[item] += any(not call.may_be_lost for call in sent)
        most[item] += min(len(sent), 1 + sum(call.may_be_lost for call in sent))
    return least, most


def check_final_votes(history, final):
    """Each own vote is possible by its history, and together they are the count, in every place that shows it."""
    sums = {item: dict.fromkeys(KINDS, 0) for item in ITEMS}
    for (visitor, item), states in history.states.items():
        kind = final.own[visitor].get(item)
        if kind not in states[-1][1]:
            yield item, f"{visitor}'s vote is {kind} at the end, possible is {wording(states[-1][1])}"
        if kind:
            sums[item][kind] += 1
    for item in ITEMS:
        for place, counts in (("me", final.counts), ("item", final.items), ("top", final.top)):
            shown = counts[item][0] if place != "me" else counts[item]
            if voted(shown) != voted(sums[item]):
                yield item, f"{place} shows {json.dumps(shown)}, the voters' own votes are {json.dumps(sums[item])}"


def voted(counts):
    return {kind: count for kind, count in counts.items() if count}


def wording(state):
    return " or ".join(sorted(str(kind) for kind in state))


def check_final_projection(history, final):
    least, most = views_expected(history)
    for item in ITEMS:
        seen = final.items[item][1]
        if not least[item] <= seen <= most[item] or final.top[item][1] != seen:
            yield item, f"{seen} views at the end ({final.top[item][1]} in top), {least[item]} to {most[item]} were made"
        score = sum(final.counts[item].values()) + VIEW_WEIGHT * min(max(seen, least[item]), most[item])
        if abs(final.top[item][2] - score) > 1e-6:
            yield item, f"top gives {final.top[item][2]} at the end, votes and views make {score:.1f}"


def check_final_lives(history, final):
    """What was sent after a deletion was answered counts, what was acknowledged before it is gone; everywhere the same."""
    for item, life in sorted(history.lives.items()):
        votes, views = final.lives[item]
        for what, count, (least, most) in (("views", views, life.views()), ("votes", votes["up"], life.ups())):
            if not least <= count <= most:
                yield item, f"{count} {what} at the end, after its last deletion there were {least} to {most}"
        if item in final.lives_top:
            row = final.lives_top[item]
            score = votes["up"] + VIEW_WEIGHT * views
            if row[0]["up"] != votes["up"] or row[1] != views or abs(row[2] - score) > 1e-6:
                yield item, f"top gives {row} at the end, the item itself {votes['up']} votes and {views} views"


AFTER = [check_final_votes, check_final_projection, check_final_lives]
