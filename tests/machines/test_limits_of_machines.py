# SPDX-License-Identifier: MIT
"""Rate limits over three machines behind nginx, with the files of deploy/machines: where nginx keeps each network at one
machine, and where it spreads calls evenly and each machine has its part (limits_share). A minute has one more than the burst."""
import os
import time

import pytest

from support.machines import Machines, replaced
from support.program import ROOT

S = "/v1/s"
CDN = "127.0.0.9"
BURST = 30
FORGED = {"X_Forwarded_For": "203.0.113.99", "X_Real_IP": "203.0.113.99", "Forwarded": "for=203.0.113.99", "True_Client_IP": "203.0.113.99"}


def settings_of_file():
    """deploy/machines/engaged.conf, but for what the harness gives as options: addresses and the Redis."""
    with open(os.path.join(ROOT, "deploy/machines/engaged.conf"), encoding="utf-8") as file:
        return replaced(file.read(), "trusted_proxies = 10.0.0.10", "trusted_proxies = 127.0.0.1")


def three(edit=lambda text: text, share="", **settings):
    text = settings_of_file()
    text = replaced(text, "# limits_share = 1/3", "limits_share = 1/3") if share else text
    return Machines(configuration=text, edit=edit, rate_limits="on", trusted_proxies=None, wide_network_factor=2, new_visitors_per_minute=1,
                    new_visitors_burst=BURST, erasures_per_minute=1, erasures_burst=2, network_item_coviews_per_hour=10, **settings)


def count(calls, most):
    """How many of the calls were taken, which is `most` and one more for each minute that they took."""
    begin = time.monotonic()
    taken = [call().status for call in calls]
    more = int((time.monotonic() - begin) / 60)
    assert set(taken) <= {201, 429} and most <= taken.count(201) <= most + more, (taken.count(201), most)
    assert taken.count(429) > most / 2, "there was nothing to refuse"


# ---- nginx keeps each network at one machine

@pytest.fixture(scope="module")
def pinned():
    with three(lambda text: replaced(text, "set_real_ip_from 192.0.2.0/24", f"set_real_ip_from {CDN}/32")) as machines:
        yield machines


def visitors(machines, sources, **headers):
    return [lambda source=source: machines.ask("POST", f"{S}/visitors", source=source, **headers) for source in sources]


def test_a_network_has_exactly_its_limit(pinned):
    count(visitors(pinned, ["127.0.1.1"] * 60), BURST)
    count(visitors(pinned, ["127.0.2.1"] * 60), BURST)


def test_what_a_client_writes_itself_makes_no_other_network(pinned):
    calls = [lambda number=number: pinned.ask("POST", f"{S}/visitors", source="127.0.3.1",
                                              **{name: value.replace("99", str(number)) for name, value in FORGED.items()})
             for number in range(60)]
    count(calls, BURST)


def test_the_network_around_it_is_at_the_same_machine_too(pinned):
    count(visitors(pinned, [f"127.0.4.{number}" for number in range(1, 121)]), 2 * BURST)


def by_cdn(machines, readers):
    """The CDN adds the address that it sees; what is left of it the reader has made up."""
    return [lambda reader=reader: machines.ask("POST", f"{S}/visitors", source=CDN, X_Forwarded_For=f"198.51.100.1, {reader}") for reader in readers]


@pytest.mark.parametrize("readers,most", [(["203.0.113.7"] * 60, BURST), ([f"2001:db8:1:2::{number:x}" for number in range(60)], BURST),
                                          ([f"2001:db8:7:0:{number:x}::1" for number in range(60)], BURST),
                                          ([f"2001:db8:5:{number:x}::1" for number in range(120)], 2 * BURST)],
                         ids=["ipv4", "ipv6", "ipv6-shortened-elsewhere", "ipv6-around"])
def test_behind_a_cdn_the_reader_has_the_limit(pinned, readers, most):
    count(by_cdn(pinned, readers), most)


def test_networks_are_spread_over_all_machines(pinned):
    answers = [call() for call in by_cdn(pinned, [f"10.{number}.0.1" for number in range(30)])]
    shares = [list(map(pinned.that_answered, answers)).count(machine) for machine in pinned]
    assert min(shares) >= 3, shares


# ---- nginx spreads calls, and each machine has a third

@pytest.fixture(scope="module")
def shared():
    with three(lambda text: replaced(text, "hash $network consistent;", ""), share="1/3") as machines:
        yield machines


def test_spread_evenly_a_network_has_exactly_the_sum_of_the_parts(shared):
    answers = []

    def ask():
        answers.append(shared.ask("POST", f"{S}/visitors", source="127.0.1.1"))
        return answers[-1]

    count([ask] * 90, BURST)
    taken = [shared.that_answered(answer) for answer in answers if answer.status == 201]
    assert [taken.count(machine) for machine in shared] == [BURST // 3] * 3


def direct(machine, reader):
    """As nginx would ask it."""
    return machine.request("POST", f"{S}/visitors", X_Forwarded_For=reader)


def test_spread_unevenly_a_network_has_less_and_never_more(shared):
    statuses = [direct(shared[0], "198.51.100.1").status for _ in range(20)] + [direct(shared[1], "198.51.100.1").status for _ in range(5)]
    assert statuses.count(201) == BURST // 3 + 5


def test_a_part_below_one_is_one_at_once_and_comes_back_later(shared):
    """A burst of two over three machines is one at each; each gives the next one after three minutes: in all one a minute."""
    visitor = shared[0].keyed("POST", f"{S}/visitors").json["visitor"]
    for machine in shared:
        erased = [machine.request("DELETE", f"{S}/me", Engaged_Visitor=visitor, X_Forwarded_For="198.51.100.2") for _ in range(2)]
        assert [answer.status for answer in erased] == [202, 429]
        assert 120 < int(erased[1].headers["retry-after"]) <= 180


def test_the_part_holds_for_co_views_too(shared):
    left_out = "engaged_coviews_left_out_total"
    for number in range(6):
        visitor = shared[0].keyed("POST", f"{S}/visitors").json["visitor"]
        shared[0].post(f"{S}/items/taught/views", Engaged_Visitor=visitor, X_Forwarded_For="198.51.100.3")
    assert shared[0].metrics()[left_out] == 3, "ten an hour are three at each of three machines"
