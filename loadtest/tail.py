# SPDX-License-Identifier: MIT
"""The long tail: 100,000 articles, of which each is asked for seldom, so that no body of them is in memory.

Each article has a card of 100 to 300 bytes and three readers with five other articles each, drawn at random: a table of some 15
neighbours, so Related and Recommendation are full and learned. Some hundred articles are popular, a third has a vote. What Redis
then holds is kept in build/loadtest-seeds for all runs of the programs whose packed forms, scripts and projections are the same.
"""
import glob
import hashlib
import os
import random
import shutil
import tempfile
import time

from bench import Redis, stopping
from client import ROOT
from own import wait_until
from peers import Engaged

ITEMS, READERS_EACH, READ = 100_000, 3, 6
PAGE, RELATED = "/page?related=8&ranking=8&recommendation=8", "/related?limit=8"
FRAGMENT = RELATED + "&format=html"
SEEDS, KEPT, OLDEST_SECONDS = f"{ROOT}/build/loadtest-seeds", 4, 86400
LISTS = ("related", "ranking", "recommendation")
WORDS = ("harbour bridge council winter market opens after record season plans new local school vote storm museum river train "
         "final week budget police festival summer energy court union").split()
SECTIONS = ("politics city sport culture business science health travel food opinion weather traffic education music film books "
            "housing climate courts football tennis technology history people").split()


def card(draw, number):
    title = " ".join(draw.choice(WORDS) for _ in range(draw.randrange(5, 14))).capitalize()
    slug = f"{title.lower().replace(' ', '-')[:60]}-{number}"
    published = time.gmtime(time.time() - draw.randrange(3 * 365 * 86400))
    return {"item": f"i{number}", "title": title, "url": f"/{slug}", "image": f"/images/{number}-{draw.randrange(10**6)}.jpg",
            "author": f"{draw.choice(WORDS).capitalize()} {draw.choice(WORDS).capitalize()} {draw.randrange(4)}",
            "categories": draw.sample(SECTIONS, draw.choice((1, 1, 2))),
            "published_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", published)}


def events(draw):
    numbers = list(range(1, ITEMS + 1))
    for turn in range(READERS_EACH):
        draw.shuffle(numbers)
        for at, number in enumerate(numbers):
            yield {"type": "view", "item": f"i{number}", "visitor": f"r{turn}-{at // READ}"}
    for n in range(20_000):
        yield {"type": "view", "item": f"i{int(1000 ** draw.random()) * 97}", "visitor": f"once{n}"}
    for n in range(0, ITEMS, 3):
        yield {"type": "vote", "item": f"i{n + 1}", "visitor": f"voter{n}"}


def in_chunks(rows, size=10_000):
    rows = list(rows)
    for begin in range(0, len(rows), size):
        yield rows[begin:begin + size]


def fill(target):
    draw, client = random.Random(18), target.client()
    for rows in in_chunks(card(draw, number) for number in range(1, ITEMS + 1)):
        client.lines("/v1/load/items", rows)
    for rows in in_chunks(events(draw)):
        client.lines("/v1/load/events", rows)
    for projection in 10 * ("sums", "neighbours"):  # between two batches a projector of before says that it has nothing left
        target.wait_projected(projection, 600)


def name_of(program):
    """By what decides the data: this file, and the tree that the program was built in."""
    digest, tree = hashlib.sha256(), os.path.dirname(os.path.dirname(program))
    for path in [__file__, *sorted(glob.glob(f"{tree}/src/model/*") + glob.glob(f"{tree}/src/project/*") + glob.glob(f"{tree}/lua/*"))]:
        with open(path, "rb") as file:
            digest.update(file.read())
    return f"tail-{digest.hexdigest()[:16]}"


def forget_old():
    known = sorted(glob.glob(f"{SEEDS}/tail-*"), key=os.path.getmtime, reverse=True)
    for path in known[KEPT:] + [path for path in known[:KEPT] if time.time() - os.path.getmtime(path) > OLDEST_SECONDS]:
        shutil.rmtree(path)


def make(path, program):
    with stopping(Redis("no")) as (redis,):
        with stopping(Engaged(program=program, redis=redis, neighbour_interval="1s")) as (target,):
            fill(target)
            if "learned of Related 8.0, of Recommendation 8.0" not in full_lists(target):
                raise RuntimeError(f"the articles are not all projected: {full_lists(target)}")
            target.service.__exit__(None, None, None)
            redis.cli("BGREWRITEAOF")
            wait_until(lambda: redis.info("persistence")["aof_rewrite_in_progress"] == "0", 120, pause=0.1)
            os.makedirs(SEEDS, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=SEEDS) as folder:
                shutil.copytree(f"{redis.directory}/appendonlydir", f"{folder}/data")
                os.rename(f"{folder}/data", path)


def stored(program):
    """The folder with the log of a Redis that holds the articles; made at the first call."""
    forget_old()
    path = f"{SEEDS}/{name_of(program)}"
    if not os.path.isdir(path):
        began = time.monotonic()
        make(path, program)
        print(f"\n(100,000 articles made in {time.monotonic() - began:.0f} s)", flush=True)
    return path


def mean_path(target, suffix, sample=200):
    """The article whose body is nearest to the mean in size."""
    draw, connection, sizes = random.Random(1), target.client().connection, {}
    for number in draw.sample(range(1, ITEMS + 1), sample):
        connection.request("GET", f"/v1/load/items/i{number}{suffix}")
        sizes[number] = len(connection.getresponse().read())
    mean = sum(sizes.values()) / len(sizes)
    return f"/v1/load/items/i{min(sizes, key=lambda number: abs(sizes[number] - mean))}{suffix}"


def full_lists(target, sample=50):
    """How full the lists of a page are, in words, and how much of Related and Recommendation was learned."""
    draw, client = random.Random(2), target.client()
    pages = [client.get(f"/v1/load/items/i{number}{PAGE}") for number in draw.sample(range(1, ITEMS + 1), sample)]
    counts = [sum(len(page[name]["items"]) for page in pages) / sample for name in LISTS]
    learned = [sum("popular" not in entry["reason"] for page in pages for entry in page[name]["items"]) / sample for name in LISTS[::2]]
    return (f"{' + '.join(f'{count:.1f}' for count in counts)} entries in {sample} pages; learned of Related {learned[0]:.1f}, "
            f"of Recommendation {learned[1]:.1f}")
