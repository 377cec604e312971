#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make quality: Related on real reading data, asked before learnt, over HTTP.

The protocol is that of ../shared/data/README.md: events are walked in order of time; the first 70 % are only learnt; in
the last 30 %, before a view that is not the first of its session is learnt, 20 items are asked for the item that the
visitor read just before. A hit is the item viewed now.
"""
import gzip
import os
import sys
import urllib.parse

from client import ROOT, Client, OwnService

DATA = os.path.join(ROOT, "../shared/data/deskdrop_views.tsv.gz")
SESSION_S, LEARN_ONLY, CHUNK = 1800, 0.7, 5000
TARGETS = {"HR@20": 0.625, "MRR@20": 0.285, "cov@10": 0.55}
# Known figures on this data by the same protocol, as its README gives them; not measured here.
BASELINES = [("most viewed, all time", 0.010, 0.025, 0.004, 0.00, 0), ("recently popular, 12 h", 0.433, 0.537, 0.194, 0.23, 0),
             ("co-views, cosine", 0.349, 0.371, 0.213, 0.60, 0.92),
             ("sequential rules, filled up", 0.512, 0.603, 0.263, 0.57, 0),
             ("co-view counts, filled up", 0.524, 0.618, 0.274, 0.61, 0),
             ("best bounded streaming known", 0.558, 0.636, 0.296, 0.64, 0)]


def read_views():
    """(time, visitor, item, item read just before in this session or None); repeats inside a session are dropped."""
    last_time, seen, before, views = {}, {}, {}, []
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        for line in file:
            time, visitor, item = line.rstrip("\n").split("\t")
            time = int(time)
            if time - last_time.get(visitor, -10**12) > SESSION_S:
                seen[visitor], before[visitor] = set(), None
            last_time[visitor] = time
            if item in seen[visitor]:
                continue
            seen[visitor].add(item)
            views.append((time, visitor, item, before[visitor]))
            before[visitor] = item
    return views


def learn(client, views):
    for begin in range(0, len(views), CHUNK):
        rows = [{"type": "view", "item": v[2], "visitor": v[1], "time": v[0]} for v in views[begin:begin + CHUNK]]
        client.lines("/v1/q/events?wait=true", rows)


def ask(client, item):
    answer = client.get(f"/v1/q/items/{urllib.parse.quote(item, safe='')}/related?limit=20")
    return [entry["item"] for entry in answer["items"]]


def measure(client, views):
    items, shown = {v[2] for v in views}, set()
    ranks, short, waiting = [], 0, []
    first = int(len(views) * LEARN_ONLY)
    learn(client, views[:first])
    for view in views[first:]:
        if view[3] is not None:
            learn(client, waiting)
            waiting = []
            listed = ask(client, view[3])
            assert view[3] not in listed
            ranks.append(listed.index(view[2]) + 1 if view[2] in listed else None)
            short += len(listed) < 20
            shown.update(listed[:10])
        waiting.append(view)
    hits = [rank for rank in ranks if rank]
    count = len(ranks)
    return count, {"HR@10": sum(r <= 10 for r in hits) / count, "HR@20": len(hits) / count,
                   "MRR@20": sum(1 / r for r in hits) / count, "cov@10": len(shown) / len(items),
                   "short": short / count}


def main():
    if not os.path.exists(DATA):
        print("quality: left out, ../shared/data is not here")
        return 0
    with OwnService(refresh_interval="0", neighbour_interval="0", projection_interval="1ms",
                    view_window="30m") as service:
        count, figures = measure(Client(service.url, service.key), read_views())
    print(f"Related on Deskdrop, {count} questions\n\n| method | HR@10 | HR@20 | MRR@20 | cov@10 | short |\n|---|---|---|---|---|---|")
    print("| **engaged, over HTTP** | " + " | ".join(f"{value:.3f}" for value in figures.values()) + " |")
    for row in BASELINES:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    missed = [f"{name} {figures[name]:.3f} < {least}" for name, least in TARGETS.items() if figures[name] < least]
    if figures["short"]:
        missed.append("some lists are short")
    print("\n" + ("missed: " + ", ".join(missed) if missed else "every target is reached"))
    return bool(missed)


sys.exit(main())
