# SPDX-License-Identifier: MIT
"""The page at the end of a run, and the history of an item that went wrong."""
import os
from collections import Counter

from faults import TABLES
from history import OK
from judge import staleness

MOST_SHOWN = 5  # of each rule
NAMES = list(dict.fromkeys(fault.name for table in TABLES.values() for fault in table))


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def calls_table(history):
    counts = Counter((call.what, call.outcome) for call in history.calls)
    yield f"{'calls':10} {'ok':>8} {'refused':>8} {'unknown':>8}"
    for what in sorted({what for what, _ in counts}):
        numbers = "".join(f"{counts[what, outcome]:9}" for outcome in ("ok", "refused", "unknown"))
        yield f"{what:10}{numbers}"
    took = [call.end - call.begin for call in history.calls if call.outcome == "ok" and call.client != "-"]
    yield f"acknowledged calls took p50 {percentile(took, 0.5):.3f} s, p99 {percentile(took, 0.99):.3f} s, " \
          f"max {max(took, default=0):.3f} s"


def faults_table(history):
    yield f"{'faults':20} {'times':>6} {'recovered p50':>14} {'max':>8}   (s after all was whole again)"
    done = {strike.name.split(" ")[0] for strike in history.strikes}
    for name in [name for name in NAMES if name in done]:
        strikes = [s for s in history.strikes if s.name.split(" ")[0] == name and not s.skipped]
        took = [s.recovered - s.healed for s in strikes if s.recovered and s.recovered > s.healed]
        if strikes:
            yield f"{name:20} {len(strikes):6} {percentile(took, 0.5):14.3f} {max(took, default=0):8.3f}"
    took = [s.recovered - s.healed for s in history.strikes if s.recovered > s.healed]
    yield f"{'all':20} {len(took):6} {percentile(took, 0.5):14.3f} {max(took, default=0):8.3f}"


def logs_line(tailer):
    entries = [seen for log in tailer.logs for seen in log.all()]
    views = sum(len(seen.entry.views) for seen in entries)
    votes = sum(len(seen.entry.votes) for seen in entries)
    return (f"the logs had {len(entries)} entries of {votes} votes and {views} views; {len(tailer.lost())} of them were lost or "
            f"undone, {tailer.missed()} trimmed unseen")


def losses_line(history, final):
    """Of what forced failovers may lose, how many votes are not there: of each voter and item the last one can be told."""
    calls = [calls[-1] for calls in history.votes.values() if calls[-1].may_be_lost and calls[-1].outcome == OK]
    lost = [call for call in calls if final and final.own[call.visitor].get(call.item) != call.want]
    seconds = sum(end - begin for begin, end, _ in history.losses)
    return (f"{len(history.losses)} forced failovers, in which {seconds:.1f} s of a master's writes may be lost: of {len(calls)} "
            f"acknowledged votes {len(lost)} are")


def page(history, outcome, options, tailer):
    old = staleness(history)
    yield f"crash checker: {options.seconds} s, faults {options.faults}, seed {options.seed}"
    yield ""
    yield from calls_table(history)
    yield ""
    yield from faults_table(history)
    yield ""
    yield f"oldest shared read {max((age for age, _ in old), default=0):.2f} s; final state right " \
          f"{outcome.settled:.2f} s after the last call; {len(history.states)} registers, " \
          f"{sum(len(states[-1][1]) > 1 for states in history.states.values())} of them left unknown and settled by reading"
    yield logs_line(tailer)
    yield f"the machine was {history.slower(history.zero, history.calls[-1].end):.1f} times slower than alone"
    if history.takeovers:
        took = [end - begin for begin, end, _ in history.takeovers]
        yield f"{len(took)} times a machine went, and another one had projected after {percentile(took, 0.5):.1f} s, {max(took):.1f} s at most"
    if history.losses:
        yield losses_line(history, outcome.final)
    yield f"{len(outcome.violations)} violations"
    for rule in sorted({rule for rule, _, _ in outcome.violations}):
        found = [(item, text) for name, item, text in outcome.violations if name == rule]
        yield f"violated {rule} {len(found)} times:"
        for item, text in found[:MOST_SHOWN]:
            yield f"  {item or '-'}: {text}"


def save_item(history, item, folder):
    """The whole history of one item, in order of time."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"history-{item.replace('/', '-')}.txt")
    zero = history.zero
    events = [(call.begin, call.line(zero)) for call in history.of_item(item)]
    events += [(s.begin, f"{s.begin - zero:9.3f} {s.healed - zero:9.3f}  FAULT {s.name}") for s in history.strikes]
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for _, line in sorted(events)))
    return path
