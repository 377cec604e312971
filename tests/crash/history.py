# SPDX-License-Identifier: MIT
"""The calls with their answers, and which states they allow at which time.

A visitor's calls come one after the other from one client, so that a vote is a register: an acknowledged call sets it
between its begin and its end; an unknown one (503, a cut connection, no answer) may set it once, at any time after its
begin, even long afterwards: a frozen process may still hold it.
"""
import bisect
import time

OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"  # refused: nothing was sent
FOREVER = float("inf")
START = time.time() - time.monotonic()


def now():
    """Unix time that does not step."""
    return START + time.monotonic()


class Call:
    """One call. `want` is the kind that a vote sets, None that it is taken back."""

    __slots__ = ("client", "what", "visitor", "item", "want", "begin", "end", "outcome", "status", "answer",
                 "checked", "patience", "may_be_lost")

    def __init__(self, client, what, visitor=None, item=None, want=None, patience=None):
        self.client, self.what, self.visitor, self.item, self.want = client, what, visitor, item, want
        self.patience = patience
        self.begin = self.end = 0.0
        self.outcome, self.status, self.answer, self.checked = UNKNOWN, None, None, None
        self.may_be_lost = False  # though it was acknowledged

    def line(self, zero):
        subject = " ".join(str(part) for part in (self.visitor, self.item, self.want) if part is not None)
        return (f"{self.begin - zero:9.3f} {self.end - zero:9.3f}  client {self.client}  {self.what:7} {self.outcome:7} "
                f"{self.status or '-'}  {subject}  {self.answer if self.answer is not None else ''}")


def again_unknown(call):
    """As if nobody had answered it."""
    made = Call(call.client, call.what, call.visitor, call.item, call.want, call.patience)
    made.begin, made.end, made.may_be_lost = call.begin, call.end, call.may_be_lost
    return made


def still_true(calls, voids):
    """The calls without what a restore has undone. Each of `voids` is the begin and end of a backup, and those of its
    restore: what was answered between the two is gone, what ran beside one of them may be."""
    for begin, saved, restoring, end in voids:
        kept = []
        for call in calls:
            if call.end < begin or call.begin > end or call.outcome == REFUSED:
                kept.append(call)
            elif not (call.outcome == OK and call.begin > saved and call.end < restoring):
                kept.append(again_unknown(call))
        calls = kept
    return calls


def note_losses(calls, losses, partition_of):
    """Notes what a failover may have lost: what ran while the master of its item was losing. Each of `losses` is begin, end and
    the partitions of that master; partition_of(call) is None when it may be any."""
    for call in calls:
        partition = partition_of(call)
        call.may_be_lost = any(call.begin < end and call.end > begin and (partition is None or partition in partitions)
                               for begin, end, partitions in losses)


def vote_states(calls):
    """(time, the set of kinds that may be in place from then on), in order of time; None means no vote. What was acknowledged
    and may be lost is in place, or what was before it; it does not come true later."""
    possible, zombies = {None}, set()
    states = [(0.0, frozenset(possible))]
    for call in calls:
        if call.outcome == REFUSED:
            continue
        possible = possible | {call.want}
        states.append((call.begin, frozenset(possible)))
        if call.outcome == OK and not call.may_be_lost:
            possible = {call.want} | zombies
            states.append((call.end, frozenset(possible)))
        elif call.outcome != OK:
            zombies.add(call.want)
    return states


def spans(states, true):
    """The spans of time in which a state fulfils the condition."""
    found, begin = [], None
    for when, state in states:
        if true(state) and begin is None:
            begin = when
        elif not true(state) and begin is not None:
            found.append((begin, when))
            begin = None
    if begin is not None:
        found.append((begin, FOREVER))
    return found


class Bounds:
    """How many of many registers certainly, and possibly, hold a value in a window of time."""

    def __init__(self):
        self.certain, self.possible = ([], []), ([], [])

    def add(self, states, kind):
        self.note(self.certain, spans(states, lambda state: state == {kind}))
        self.note(self.possible, spans(states, lambda state: kind in state))

    @staticmethod
    def note(lists, found):
        for begin, end in found:
            lists[0].append(begin)
            lists[1].append(end)

    def sort(self):
        for lists in (self.certain, self.possible):
            lists[0].sort()
            lists[1].sort()

    def least(self, begin, end):
        """Never more than the number of those that hold it all through the window."""
        return max(0, bisect.bisect_right(self.certain[0], begin) - bisect.bisect_left(self.certain[1], end))

    def most(self, begin, end):
        return bisect.bisect_right(self.possible[0], end) - bisect.bisect_left(self.possible[1], begin)
