# SPDX-License-Identifier: MIT
"""Instructions of a worker a request, by callgrind, within 5 % of what `recorded.json` says.

The figures hold for one compiler and one set of libraries, which are recorded with them; with others they are not
compared, and the test says so. `make guards-record` records the figures of this tree; use it after a change for the better too.
"""
import json
import os
import random
import re
import shutil
import subprocess
import time

import pytest

from support.counted import HOT, PAGE, QUIET, Counted, Wire, request_of
from support.launch import Launch, end
from support.wait import wait_until

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded.json")
SLACK, REQUESTS = 0.05, 400
SLICE, SLICES = 8, 6  # of what is made for each request: the slice with the fewest, in which no state was too old
KEYS = {"secret": "11" * 32, "hash_key": "22" * 32}
BORDER = "health_start"  # callgrind writes its counts down whenever this is called: GET /healthz


def said(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def made_with():
    """All that the number of instructions depends on besides our sources."""
    header = next((path for path in ("/usr/share/include/llhttp/llhttp.h", "/usr/include/llhttp.h") if os.path.exists(path)),
                  None)
    with open(header or os.devnull, encoding="utf-8") as file:
        llhttp = re.findall(r"LLHTTP_VERSION_\w+ (\d+)", file.read())
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = set(re.search(r"^flags\s*: (.*)$", file.read() + "\nflags : ", re.M).group(1).split())
    libraries = {name: said("pkg-config", "--modversion", name) for name in ("libuv", "hiredis", "libsodium")}
    return {"gcc": said("gcc", "-dumpfullversion"), "llhttp": ".".join(llhttp), **libraries,
            "libc": said("ldd", "--version").split("\n")[0].split()[-1], "machine": os.uname().machine,
            "valgrind": said("valgrind", "--version"), "vectors": " ".join(sorted(flags & {"sse4_2", "avx", "avx2"}))}


class Worker(Launch):
    """A worker by itself under callgrind, over what a service left in Redis."""

    presets = {**QUIET, **KEYS, "secret_key": "k"}

    def __init__(self, folder, store):
        super().__init__(redis=store)
        self.counts = folder
        folder.mkdir()
        self.wrapper = ("valgrind", "-q", "--tool=callgrind", f"--dump-before={BORDER}", f"--callgrind-out-file={folder}/counts")
        self.process = self.spawn("worker")
        self.wait_ready([self.process], 60)

    def parts(self):
        """Instructions between one border and the next, in order."""
        names = sorted((name for name in os.listdir(self.counts) if re.fullmatch(r"counts\.\d+", name)),
                       key=lambda name: int(name.split(".")[1]))
        texts = [(self.counts / name).read_text(errors="replace") for name in names]
        return [int(found.group(1)) for found in (re.search(r"^totals: (\d+)", text, re.M) for text in texts) if found]

    def stop(self):
        end(self.process, seconds=60)
        self.remove()


def cases(service):
    """Name -> the request of that number, and how many there are."""
    tokens = [service.token() for _ in range(1 + REQUESTS // 8)]
    etag = "\"" + "0" * 16 + "\""

    def write(what):
        return lambda n: request_of("POST", f"/v1/s/items/i{n % 8}/{what}", f"Engaged-Visitor: {tokens[n // 8]}",
                                    "Content-Length: 0")
    return {"ranking": (lambda n: request_of("GET", HOT), 1),
            "ranking, 16 together": (lambda n: 16 * request_of("GET", HOT), 16),
            "page": (lambda n: request_of("GET", PAGE), 1),
            "page, gzip, other ETag": (lambda n: request_of("GET", PAGE, "Accept-Encoding: gzip", f"If-None-Match: {etag}"), 1),
            "vote": (write("votes"), 1), "view": (write("views"), 1)}


def read_by_many(service):
    """A site whose lists are full and learned, and no two of whose items are worth the same."""
    draw, begin = random.Random(18), time.time() - 3600
    cards = [{"item": f"i{n}", "title": f"The title of article {n:03}", "url": f"/articles/{n:03}", "image": f"/images/{n:03}.jpg",
              "author": f"A. Writer {n % 7}", "categories": ["news"], "published_at": "2026-11-20T10:00:00Z"} for n in range(60)]
    assert service.lines("/v1/m/items", cards).json["accepted"] == len(cards)
    views = [{"type": "view", "item": f"i{int(60 * draw.random() ** 1.5)}", "visitor": f"r{reader}", "time": begin + 7 * reader + step}
             for reader in range(300) for step in range(6)]
    assert service.lines("/v1/m/events?wait=true", views).json["rejected"] == []
    wait_until(lambda: all("popular" not in entry["reason"] for entry in service.get("/v1/m/items/i7/related?limit=8").json["items"]), 30)


def made_cases():
    """Bodies that are in no memory, made of rankings, states and tables that are: no two have the same exclusion."""
    related = "/v1/m/items/i7/related?limit=8&"
    paths = {"page, made": "/v1/m/items/i7/page?related=8&ranking=8&recommendation=8&", "Related, made": related,
             "fragment, made": related + "format=html&"}
    return {name: lambda n, path=path: request_of("GET", f"{path}exclude=x{n}") for name, path in paths.items()}


def measure(folder, store):
    service = Counted(redis=store, **{**KEYS, "neighbour_interval": "0", "refresh_interval": "1s"})
    try:
        service.fill()
        read_by_many(service)
        requests = cases(service)
    finally:
        service.stop()
    worker = Worker(folder, store)
    try:
        wire, border = Wire(worker.port), request_of("GET", "/healthz")
        for make, together in requests.values():
            wire.call(make(0), together)  # in memory, and what is made once is made
        for make, together in requests.values():
            wire.call(border)
            for number in range(1, 1 + REQUESTS, together):
                wire.call(make(number), together)
        for make in made_cases().values():
            for number in range(SLICE * SLICES):
                if number % SLICE == 0:
                    wire.call(border)
                wire.call(make(number))
        wire.call(border)
        wire.close()
    finally:
        worker.stop()
    counts = worker.parts()[1:]  # the first is the start
    found = {name: round(count / REQUESTS) for name, count in zip(requests, counts)}
    for name in made_cases():
        slices, counts = counts[len(requests):len(requests) + SLICES], counts[:len(requests)] + counts[len(requests) + SLICES:]
        assert len(slices) == SLICES, counts
        found[name] = round(min(slices) / SLICE)
    assert len(counts) == len(requests), counts
    return found


def off(found, recorded):
    return {name: (found.get(name), figure) for name, figure in recorded.items()
            if abs(found.get(name, 0) - figure) > SLACK * figure}


def test_instructions_are_as_recorded(tmp_path, store):
    if not shutil.which("valgrind"):
        pytest.skip("left out: valgrind is not installed")
    with open(RECORDED, encoding="utf-8") as file:
        recorded = json.load(file)
    if recorded["made_with"] != made_with() and not os.environ.get("RECORD"):
        pytest.skip(f"left out: recorded with {recorded['made_with']}, this is {made_with()}")
    found = measure(tmp_path / "first", store)
    if os.environ.get("RECORD"):
        with open(RECORDED, "w", encoding="utf-8") as file:
            json.dump({"made_with": made_with(), "instructions": found}, file, indent=1)
            file.write("\n")
        return
    if off(found, recorded["instructions"]):  # the fewer of two: timers of a slow machine only add
        again = measure(tmp_path / "again", store)
        found = {name: min(figure, again[name]) for name, figure in found.items()}
    wrong = off(found, recorded["instructions"])
    assert not wrong, f"(found, recorded): {wrong}; if it is meant so: make guards-record"
