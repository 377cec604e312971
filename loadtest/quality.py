#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make quality: Related and Recommendation on real reading data, asked before learnt, over HTTP.

The protocol: events are walked in order of time; the first 70 % are only learnt; in
the last 30 %, before a view that is not the first of its session is learnt, 20 items are asked for: Related for the item
that the visitor read just before; Recommendation for the visitor, if the item viewed now is new to this visitor. A hit
is the item viewed now.
"""
import gzip
import os
import sys
import urllib.parse

from client import ROOT, Client
from own import OwnService

DATA = os.path.join(ROOT, "../shared/data/deskdrop_views.tsv.gz")
SESSION_S, LEARN_ONLY, CHUNK = 1800, 0.7, 5000
# Known figures on this data by the same protocol, as its README gives them; not measured here.
LISTS = {
    "Related": ({"HR@20": 0.625, "MRR@20": 0.285, "cov@10": 0.55}, [
        ("most viewed, all time", 0.010, 0.025, 0.004, 0.00, 0), ("recently popular, 12 h", 0.433, 0.537, 0.194, 0.23, 0),
        ("co-views, cosine", 0.349, 0.371, 0.213, 0.60, 0.92), ("sequential rules, filled up", 0.512, 0.603, 0.263, 0.57, 0),
        ("co-view counts, filled up", 0.524, 0.618, 0.274, 0.61, 0),
        ("best bounded streaming known", 0.558, 0.636, 0.296, 0.64, 0)]),
    "Recommendation": ({"HR@20": 0.625, "MRR@20": 0.30}, [
        ("recently popular, 12 h", 0.472, 0.575, 0.223, 0.23, 0), ("S-kNN, k=100", 0.373, 0.386, 0.250, 0.51, 0.88),
        ("VS-kNN, filled up", 0.537, 0.625, 0.295, 0.58, 0), ("STAN, filled up", 0.542, 0.626, 0.300, 0.51, 0),
        ("best bounded streaming known", 0.564, 0.637, 0.312, 0.58, 0),
        ("… last 10 items left out", 0.577, 0.645, 0.325, "–", 0)]),
}


class View:
    def __init__(self, time, visitor, item, before, is_new):
        self.time, self.visitor, self.item = time, visitor, item
        self.before = before  # the item read just before in this session, or None
        self.is_new = is_new  # to this visitor


def read_views():
    """In order of time; repeats inside a session are dropped."""
    last_time, seen, before, ever, views = {}, {}, {}, {}, []
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
            known = ever.setdefault(visitor, set())
            views.append(View(time, visitor, item, before[visitor], item not in known))
            known.add(item)
            before[visitor] = item
    return views


def learn(client, views):
    for begin in range(0, len(views), CHUNK):
        rows = [{"type": "view", "item": v.item, "visitor": v.visitor, "time": v.time} for v in views[begin:begin + CHUNK]]
        client.lines("/v1/q/events?wait=true", rows)


def items_of(answer):
    return [entry["item"] for entry in answer["items"]]


def ask_related(client, view):
    return items_of(client.get(f"/v1/q/items/{urllib.parse.quote(view.before, safe='')}/related?limit=20"))


def ask_recommendation(client, view):
    client.headers["Engaged-Visitor"] = view.visitor
    listed = items_of(client.get("/v1/q/me/recommendations?limit=20"))
    del client.headers["Engaged-Visitor"]
    return listed


class Score:
    def __init__(self):
        self.ranks, self.short, self.shown = [], 0, set()

    def take(self, listed, wanted):
        self.ranks.append(listed.index(wanted) + 1 if wanted in listed else None)
        self.short += len(listed) < 20
        self.shown.update(listed[:10])

    def figures(self, items):
        hits, count = [rank for rank in self.ranks if rank], len(self.ranks)
        return {"HR@10": sum(r <= 10 for r in hits) / count, "HR@20": len(hits) / count,
                "MRR@20": sum(1 / r for r in hits) / count, "cov@10": len(self.shown) / items,
                "short": self.short / count}


def measure(client, views):
    scores, waiting = {name: Score() for name in LISTS}, []
    first = int(len(views) * LEARN_ONLY)
    learn(client, views[:first])
    for view in views[first:]:
        if view.before is not None:
            learn(client, waiting)
            waiting = []
            listed = ask_related(client, view)
            assert view.before not in listed
            scores["Related"].take(listed, view.item)
            if view.is_new:
                scores["Recommendation"].take(ask_recommendation(client, view), view.item)
        waiting.append(view)
    return scores


def report(name, score, items):
    targets, baselines = LISTS[name]
    figures = score.figures(items)
    print(f"{name} on Deskdrop, {len(score.ranks)} questions\n\n| method | HR@10 | HR@20 | MRR@20 | cov@10 | short |\n"
          "|---|---|---|---|---|---|")
    print("| **engaged, over HTTP** | " + " | ".join(f"{value:.3f}" for value in figures.values()) + " |")
    for row in baselines:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    missed = [f"{key} {figures[key]:.3f} < {least}" for key, least in targets.items() if figures[key] < least]
    if figures["short"]:
        missed.append("some lists are short")
    print("\n" + ("missed: " + ", ".join(missed) if missed else "every target is reached") + "\n")
    return missed


def main():
    if not os.path.exists(DATA):
        print("quality: left out, ../shared/data is not here")
        return 0
    views = read_views()
    with OwnService(refresh_interval="0", neighbour_interval="0", projection_interval="1ms",
                    view_window="30m") as service:
        scores = measure(Client(service.url, service.key), views)
    items = len({view.item for view in views})
    return any([report(name, score, items) for name, score in scores.items()])


sys.exit(main())
