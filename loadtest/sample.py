#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Loads the sample site: cards written for it, and readers made by a seeded generator. Nothing when it is there already.

The readers' laws: each has one or two favourite topics; visits begin uniformly over the last three days; a visit has
1 + geometric(0.35) articles, a minute or so apart; an article is drawn by 1/rank within the topic (four times of five a
favourite one); one view in eight is followed by a vote.
"""
import argparse
import json
import os
import random
import time

from client import Client

READERS, DAYS = 400, 3


def make_events(cards, now):
    draw = random.Random(20240101)
    topics = sorted({card["categories"][0] for card in cards})
    by_topic = {topic: [c["item"] for c in cards if c["categories"][0] == topic] for topic in topics}
    for reader in range(READERS):
        favourites = draw.sample(topics, draw.choice((1, 2)))
        moment, length = now - draw.random() * DAYS * 86400, 1
        while draw.random() > 0.35 and length < 12:
            length += 1
        for _ in range(length):
            topic = draw.choice(favourites) if draw.random() < 0.8 else draw.choice(topics)
            items = by_topic[topic]
            item = draw.choices(items, [1 / (rank + 1) for rank in range(len(items))])[0]
            yield {"type": "view", "item": item, "visitor": f"reader-{reader}", "time": min(moment, now)}
            if draw.random() < 0.125:
                yield {"type": "vote", "item": item, "visitor": f"reader-{reader}", "time": min(moment + 20, now)}
            moment += draw.uniform(30, 120)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--url", required=True)
    options.add_argument("--key", required=True)
    arguments = options.parse_args()
    client = Client(arguments.url, arguments.key)
    if client.get("/v1/sample/rankings/top")["items"]:
        return
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "sample_site.json"), encoding="utf-8") as file:
        cards, now = json.load(file), time.time()
    for number, card in enumerate(cards):
        card["url"] = f"/?item={card['item']}"  # the demo page shows it
        card["image"] = f"/demo.svg#{card['categories'][0]}"
        card["published_at"] = now - (number * 7 % 40 + 1) * 3600
    client.lines("/v1/sample/items", cards)
    loaded = client.lines("/v1/sample/events?wait=true", sorted(make_events(cards, now), key=lambda e: e["time"]))
    print(f"Sample site loaded: {len(cards)} articles, {loaded} events.")


main()
