# SPDX-License-Identifier: MIT
"""Items that are deleted and appear again. One client alone writes to each, one call after the other, so the right counts
are known: what was acknowledged before the last deletion is gone, what was sent after its answer counts."""
from collections import defaultdict

from history import OK, REFUSED, UNKNOWN, Call, vote_states

SITE = "lives.example"
PREFIX = "life/"  # of their ids, by which the other rules leave them out
AT_ONCE, DEATHS = 3, 3  # of each client; of each item
REBIRTH = 0.6  # of all turns: the others begin a new item
END = "end"  # the client whose calls come when all is quiet: nothing of before can still come true


class Lives:
    """What a client does to its own items. `do` repeats a call until it is acknowledged; false when it gave up."""

    def __init__(self, number, dice, do):
        self.number, self.dice, self.do = number, dice, do
        self.items, self.deaths, self.made, self.readers = [], {}, 0, 0

    def turn(self):
        if self.items and self.dice.random() < REBIRTH:
            item = self.dice.choice(self.items)
            self.deaths[item] += 1
            if self.dice.random() < 0.5 and not self.do("life-view", self.reader(), item, None, True):
                return
            if not self.do("delete", None, item, None, True):
                return
        else:
            item = self.bear()
        for _ in range(self.dice.randint(1, 3)):
            if not self.do("life-view", self.reader(), item, None, self.dice.random() < 0.5):
                return
        if self.dice.random() < 0.5:
            self.do("life-vote", self.reader(), item, "up", False)
        if self.deaths[item] == DEATHS:
            self.items.remove(item)

    def bear(self):
        self.made += 1
        item = f"{PREFIX}{self.number}/{self.made}"
        self.items = [*self.items, item][-AT_ONCE:]
        self.deaths[item] = 0
        return item

    def reader(self):
        self.readers += 1
        return f"l{self.number}-{self.readers}"


class Life:
    """What may be shown of an item after its calls."""

    def __init__(self, calls):
        self.least = self.most = 0  # views
        self.mortal = False  # a deletion that nobody answered may still come
        self.asked, self.lost = defaultdict(list), 0
        self.certain = set()
        for call in calls:
            if call.outcome != REFUSED:
                (self.die if call.what == "delete" else self.live)(call)
        self.votes = [vote_states(of_visitor(calls, visitor))[-1][1]
                      for visitor in sorted({call.visitor for call in calls if call.what == "life-vote"})]

    def die(self, call):
        if call.outcome == UNKNOWN:
            self.mortal = True
            return
        unanswered = sum(call.outcome == UNKNOWN for calls in self.asked.values() for call in calls)
        self.mortal, self.lost = self.mortal and call.client != END, 0 if call.client == END else self.lost + unanswered
        self.asked.clear()

    def live(self, call):
        if call.what == "life-view":
            self.asked[call.visitor].append(call)

    def views(self):
        """(least, most): a reader's view is there once any of his calls was acknowledged."""
        known = sum(any(call.outcome == OK for call in calls) for calls in self.asked.values())
        return 0 if self.mortal else known, len(self.asked) + self.lost

    def ups(self):
        certain = sum(state == {"up"} for state in self.votes)
        return 0 if self.mortal else certain, sum("up" in state for state in self.votes)


def of_visitor(calls, visitor):
    """A visitor's votes on an item, and its deletions, as the calls of one register."""
    found = []
    for call in calls:
        if call.what == "delete" or call.what == "life-vote" and call.visitor == visitor:
            found.append(call)
    return [as_register(call) for call in found]


def as_register(call):
    made = Call(call.client, "vote", call.visitor, call.item, None if call.what == "delete" else call.want)
    made.begin, made.end, made.outcome = call.begin, call.end, call.outcome
    return made


def by_item(calls):
    found = defaultdict(list)
    for call in calls:
        if call.what in ("life-view", "life-vote", "delete"):
            found[call.item].append(call)
    return {item: own for item, own in found.items() if not any(call.may_be_lost for call in own)}


def in_doubt(calls):
    """The items of which a deletion's end is unknown: deleted once more, when all is quiet, they are as good as others."""
    return sorted(item for item, own in by_item(calls).items() if Life(own).mortal)
