# SPDX-License-Identifier: MIT
"""Editors who change an item's author several times while nobody projects. The item and its authors come up nowhere else: a
place that is left in the set of an earlier author stays there, until what Redis holds is judged (stored_rules.py)."""
import contextlib
import itertools
import signal

from clients import Caller, send_card, send_votes
from fault import shoot_all, thaw
from service import KINDS

SITE = "edits.example"
AUTHORS = 3  # that only the log has known
NUMBERS = itertools.count(1)


def edit(caller, item, number):
    return send_card(caller, SITE, item, {"title": item, "categories": ["edited"], "author": f"{item} {number}"})


def edit_unprojected(service, dice):
    """False if a call is not acknowledged. The vote is projected when it is answered, and so is the card before it."""
    with contextlib.closing(Caller(service.port, "-", [])) as caller:
        item = f"edited-{next(NUMBERS)}"
        if not edit(caller, item, 0):
            return False
        send_votes(caller, SITE, [("editor", item, KINDS[0])])
        shoot_all("projector", signal.SIGSTOP)(service, dice)
        try:
            return all([edit(caller, item, number) for number in range(1, AUTHORS + 1)])
        finally:
            thaw("projector")(service, dice)
