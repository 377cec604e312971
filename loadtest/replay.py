#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make replay DATA=clicks.tsv.gz: loads a click log (unix_time TAB visitor TAB item, gzipped) through the HTTP API of a
running service (`make run`). ENGAGED_URL, ENGAGED_KEY and ENGAGED_SITE say where to; visitors are opaque ids."""
import gzip
import os
import sys
import time

from client import ROOT, Client

CHUNK = 5000


def rows_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            moment, visitor, item = line.rstrip("\n").split("\t")
            yield {"type": "view", "item": item, "visitor": visitor, "time": float(moment)}


def own_key():
    with open(os.path.join(ROOT, "data/key"), encoding="utf-8") as file:
        return file.read().strip()


def main():
    if len(sys.argv) != 2:
        return "replay: say which log: make replay DATA=FILE.tsv.gz"
    url, site = os.environ.get("ENGAGED_URL", "http://127.0.0.1:8080"), os.environ.get("ENGAGED_SITE", "replay")
    client = Client(url, os.environ.get("ENGAGED_KEY") or own_key())
    accepted, chunk, begin = 0, [], time.monotonic()
    for row in rows_of(sys.argv[1]):
        chunk.append(row)
        if len(chunk) == CHUNK:
            accepted, chunk = accepted + client.lines(f"/v1/{site}/events", chunk), []
    accepted += client.lines(f"/v1/{site}/events?wait=true", chunk)
    seconds = time.monotonic() - begin
    print(f"{accepted} events in {seconds:.1f} s, {accepted / seconds:.0f} a second\nLook at {url}/v1/{site}/rankings/top")
    return 0


sys.exit(main())
