#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The crash checker: clients vote and view, a nemesis kills and freezes, and the history must make sense.

    run.py --seconds 600 --faults all|cluster|sentinel|freeze|kill-redis,reload --seed N

Ends with a page, and with 1 when a rule was broken; then the log and the history of the first item that went wrong are
kept in --keep. The same seed draws the same faults and calls, though not the same instants.
"""
import argparse
import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass, field

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # tests/, for support

from clients import ITEMS, SITE, Caller, Client, seed_votes  # noqa: E402
from erasures import Erasures  # noqa: E402
from faults import Nemesis, chosen  # noqa: E402
from distributed import ClusterService, SentinelService  # noqa: E402
from history import OK, REFUSED, note_losses, now, still_true  # noqa: E402
from lives import in_doubt  # noqa: E402
from probes import start_probers  # noqa: E402
from judge import AFTER, DURING, EXPECTED, History, violations  # noqa: E402
from report import page, save_item  # noqa: E402
from service import KINDS, CrashService  # noqa: E402
from stored import read_parts  # noqa: E402
from stored_rules import STORED  # noqa: E402
from support.program import PROGRAM, ROOT  # noqa: E402
from support.wait import comes_true  # noqa: E402

CALM_S = 1.0  # after the last fault: what a frozen process still held has come out by then
READERS = 4
ANSWERED_S = 20.0  # a call that is repeated
SERVICES = {kind.name: kind for kind in (CrashService, ClusterService, SentinelService)}
NO_ROW = (dict.fromkeys(KINDS, 0), 0, 0.0)


@dataclass
class Final:
    """What is shown when all is over."""

    own: dict = field(default_factory=dict)  # visitor → item → kind
    counts: dict = field(default_factory=dict)
    items: dict = field(default_factory=dict)
    top: dict = field(default_factory=dict)
    lives: dict = field(default_factory=dict)
    lives_top: dict = field(default_factory=dict)


@dataclass
class Outcome:
    violations: list
    settled: float = 0.0
    final: Final = None


def rules(all_rules, options):
    return [rule for rule in all_rules if rule.__name__[len("check_"):] not in options.leave_out.split(",")]


class NeverAnswered(Exception):
    """A call, when all is whole again."""


class LastCaller(Caller):
    """For the calls when all is over: each is repeated until it is answered, or with what no fault may lead to."""

    def __init__(self, service, calls):
        super().__init__(service.port, "end", calls)
        self.yardstick = service.yardstick

    def until_answered(self, *arguments, **options):
        calls = []

        def answered():
            calls.append(self.do(*arguments, **options))
            return calls[-1].outcome == OK or calls[-1].status not in (None, *EXPECTED)

        if not self.yardstick.comes_true(answered, ANSWERED_S, pause=0.1) or calls[-1].outcome != OK:
            raise NeverAnswered(f"{arguments} {options} is not answered in {ANSWERED_S:g} s when all is over: "
                                f"{calls[-1].status} {calls[-1].answer}")
        return calls[-1]


def share_out(work, service, calls, do):
    """The same for many visitors, by some threads."""
    never = []

    def run(part):
        caller = LastCaller(service, calls)
        try:
            for one in part:
                do(caller, one)
        except NeverAnswered as error:
            never.append(error)
        caller.close()

    threads = [threading.Thread(target=run, args=[work[number::READERS]], daemon=True) for number in range(READERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if never:
        raise never[0]


def settle_views(service, calls, settled):
    """A view whose every answer was lost is asked for again: after that it counts once, whatever had become of it."""
    pairs = {}
    for call in calls:
        if call.what == "view" and call.outcome != REFUSED:
            known = call.outcome == OK and not call.may_be_lost
            pairs[call.visitor, call.item] = pairs.get((call.visitor, call.item), False) or known
    lost = [pair for pair, known in pairs.items() if not known]
    share_out(lost, service, settled, lambda caller, pair: caller.until_answered("view", pair[0], pair[1]))


def settle_lives(service, calls, settled):
    """An item of which a deletion's end is unknown is deleted once more: then nothing of it is left, and one view counts."""
    def settle(caller, item):
        caller.until_answered("delete", item=item)
        caller.until_answered("life-view", f"end {item}", item)

    share_out(in_doubt(calls), service, settled, settle)


def read_final(service, calls):
    final = Final()
    visitors = sorted({call.visitor for call in calls if call.what in ("vote", "unvote")})

    def read(caller, visitor):
        final.own[visitor] = caller.until_answered("me", visitor).answer[0]

    share_out(visitors, service, calls, read)
    return final


def read_shown(caller, final, lives):
    final.counts = caller.until_answered("me", "nobody").answer[1]
    final.items = {item: caller.until_answered("item", item=item).answer for item in ITEMS}
    top = caller.until_answered("top").answer
    final.top = {item: top.get(item, NO_ROW) for item in ITEMS}
    final.lives = {item: caller.until_answered("life", item=item).answer for item in lives}
    final.lives_top = caller.until_answered("life-top").answer


def wait_for_final(service, calls, history, options):
    """What is shown must become right, once all was quiet; until it is, it is asked again."""
    final, began, wrong = read_final(service, calls), now(), []

    def right():
        read_shown(caller, final, history.lives)
        wrong[:] = violations(rules(AFTER, options), history, final)
        return not wrong

    with contextlib.closing(LastCaller(service, calls)) as caller:
        comes_true(right, options.settle, pause=0.1)
    return Outcome(wrong, now() - began, final)


def run_clients(service, options):
    """The calls and the strikes of the run; the service is whole, and quiet, at its end."""
    over = threading.Event()
    calls = []
    caller = Caller(service.port, "-", calls)
    seed_votes(caller, options.seed)
    caller.close()
    erasures = Erasures(service.port, options.seed, over)
    erasures.start()
    alive = start_probers(service.port, over)
    clients = [Client(service, number, options.seed, over) for number in range(options.clients)]
    for client in clients:
        client.start()
    nemesis = Nemesis(service, clients, options)
    end = now() + options.seconds
    nemesis.torment(end)
    time.sleep(max(0.0, end - now()))
    alive.append(now())  # what was not answered until here counts too
    over.set()
    for client in clients:
        client.join(60)
        calls.extend(client.calls)
    erasures.join()
    nemesis.complaints += [client.broken for client in clients if client.broken]
    return calls, nemesis, alive, erasures


def check_run(service, options):
    calls, nemesis, alive, erasures = run_clients(service, options)
    patience = 1 if nemesis.complaints else 15
    history, outcome = History(calls, nemesis.strikes, options.margin, service.voids, alive, service.losses, service.yardstick.slower, service.takeovers), Outcome([])
    if not service.wait_whole(patience) or not service.yardstick.comes_true(service.is_ready, patience):
        outcome.violations = [("back", None, f"the service does not come back: {service.missing() or 'its readiness'}")]
    else:
        try:
            history, outcome = check_end(service, options, calls, nemesis, alive)
            outcome.violations += erasures.judge(service, options.leave_out.split(","))
            outcome.violations += judge_stored(service, options)
        except NeverAnswered as error:
            outcome.violations.append(("back", None, str(error)))
    outcome.violations += violations(rules(DURING, options), history)
    outcome.violations += [("nemesis", None, complaint) for complaint in nemesis.complaints]
    return history, outcome


def judge_stored(service, options):
    """What Redis holds must become right, as the last of it is projected."""
    wrong = []

    def right():
        service.tailer.reread()
        wrong[:] = violations(rules(STORED, options), read_parts(service), service.tailer)
        return not wrong

    comes_true(right, options.settle, pause=0.1)
    return wrong + [("tailer", None, complaint) for complaint in service.tailer.complaints()]


def vote_partition(call, partitions):
    """A view is logged where its visitor's history is, which the run does not know."""
    return partitions.get((SITE, call.item)) if call.what in ("vote", "unvote") else None


def check_end(service, options, calls, nemesis, alive):
    time.sleep(CALM_S)
    if service.losses:
        partitions = {item.name: part.number for part in read_parts(service) for item in part.items.values()}
        note_losses(calls, service.losses, lambda call: vote_partition(call, partitions))
    done = still_true(sorted(calls, key=lambda call: call.begin), service.voids)
    settled = []
    settle_views(service, done, settled)
    settle_lives(service, done, settled)
    calls += settled
    history = History(calls, nemesis.strikes, options.margin, service.voids, alive, service.losses, service.yardstick.slower, service.takeovers)
    return history, wait_for_final(service, list(calls), history, options)


def tell(service, history, outcome, options):
    print("\n".join(page(history, outcome, options, service.tailer)), flush=True)
    items = [item for _, item, _ in outcome.violations if item]
    if items:
        print("history of", items[0], "in", save_item(history, items[0], options.keep))
    if outcome.violations:
        os.makedirs(options.keep, exist_ok=True)
        with open(os.path.join(options.keep, "service.log"), "w", encoding="utf-8") as file:
            file.write(service.log())


def run(options):
    service = SERVICES[chosen(options.faults)[0]](options.program)
    try:
        service.prepare()
        service.yardstick.start()
        service.start()
        if not service.yardstick.comes_true(service.is_ready, 20):
            raise AssertionError("not ready:\n" + service.log())
        service.tailer.start()
        history, outcome = check_run(service, options)
        service.over.set()
        service.tailer.join()
        wrong = service.stop()
        outcome.violations += [("end", None, text) for text in [wrong, *service.reports()] if text]
        tell(service, history, outcome, options)
        return 1 if outcome.violations else 0
    finally:
        service.over.set()
        service.kill_all()
        service.remove()


def read_options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--faults", default="all")
    parser.add_argument("--leave-out", default="", help="names of faults and rules")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--margin", type=float, default=1.5, help="seconds beyond a deadline; a busy machine gets as many times more as it is slower")
    parser.add_argument("--settle", type=float, default=20.0, help="seconds until the final state must be right")
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--keep", default=os.path.join(ROOT, "tests", "artifacts", "crash"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run(read_options()))
