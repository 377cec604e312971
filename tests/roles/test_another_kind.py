# SPDX-License-Identifier: MIT
"""A reload that adds a kind of vote, while votes come: for a moment workers with and without it write the same items."""
import itertools
import signal

from support.beside import Beside
from support.service import Service
from support.wait import wait_until

ITEMS = 3


def test_a_reload_that_adds_a_kind_refuses_no_vote_and_counts_all(ending):
    service = ending(Service(configuration="kinds = up down\n", workers=2))
    kept, wrong = [0] * ITEMS, []

    def vote(item):
        for count in itertools.count():
            if voters.over.is_set():
                return
            answer = service.keyed("POST", f"/v1/s/items/i{item}/votes", {"kind": "up"}, Engaged_Visitor=f"v{count}")
            if answer.status == 200 and answer.json["vote"] == "up":
                kept[item] += 1
            else:
                wrong.append((answer.status, answer.body))

    voters = Beside(*(lambda item=item: vote(item) for item in range(ITEMS)))
    with voters:
        for more in range(1, 6):
            service.configure("kinds = up down" + "".join(f" more{n}" for n in range(more)) + "\n")
            service.process.send_signal(signal.SIGHUP)
            wait_until(lambda more=more: service.log().count("have taken over") == more, 60, "reloaded")
    assert not wrong, wrong[:3]
    counts = [service.get(f"/v1/s/items/i{item}").json["votes"] for item in range(ITEMS)]
    assert [votes["up"] for votes in counts] == kept and min(kept) > 0
    assert set(counts[0]) == {"up", "down", "more0", "more1", "more2", "more3", "more4"}
    late = service.keyed("POST", "/v1/s/items/i0/votes", {"kind": "more4"}, Engaged_Visitor="late")
    assert late.json["votes"]["more4"] == 1 and late.json["votes"]["up"] == kept[0]
