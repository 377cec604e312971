#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make instructions: what a worker spends on a request, in instructions and allocations, counted by callgrind.

Such counts say the same on a busy machine as on a quiet one. A worker runs alone under valgrind; wrk loads it with 64
connections, and what it did meanwhile is divided by the requests answered (its few timers are in it). The kernel's part
is not: that is what the pairs of `make loadtest` show. Prints a table; stops by itself.
"""
import collections
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from client import ROOT, Client
from own import OwnService, RedisServer, free_port, options_of

SECONDS = 2 if "--quick" in sys.argv else 6
RANKING, PAGE = "/v1/load/rankings/top?limit=8", "/v1/load/items/i7/page?related=8&ranking=10&recommendation=8"
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Accept": "*/*", "Accept-Language": "en-US,en;q=0.9,de;q=0.8", "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://news.example.org/articles/harbour-bridge-reopens", "Origin": "https://news.example.org",
    "Sec-Ch-Ua": '"Chromium";v="126", "Not/A)Brand";v="8"', "Sec-Ch-Ua-Mobile": "?0", "Sec-Ch-Ua-Platform": '"Linux"',
    "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "cross-site", "Priority": "u=1, i"}
# Name, method (NEW: POST without a token), path (with %d an item is drawn), with a browser's head, pipelined by.
WORKS = [("ranking from memory", "GET", RANKING, False, 1), ("the same, pipelined by 16", "GET", RANKING, False, 16),
         ("the same, a browser's head", "GET", RANKING, True, 1), ("page from memory", "GET", PAGE, False, 1),
         ("vote", "POST", "/v1/load/items/i%d/votes", False, 1), ("vote, a browser's head", "POST", "/v1/load/items/i%d/votes", True, 1),
         ("vote of a new visitor", "NEW", "/v1/load/items/i%d/votes", False, 1), ("view", "POST", "/v1/load/items/i%d/views", False, 1)]
SCRIPT = """
local tokens = {}
for line in io.lines('%(tokens)s') do tokens[#tokens + 1] = line end
local fields = {%(fields)s}
function request()
    if '%(method)s' == 'NEW' then return wrk.format('POST', string.format('%(path)s', math.random(100000))) end
    if '%(method)s' == 'POST' then fields['Engaged-Visitor'] = tokens[math.random(#tokens)] end
    return wrk.format('%(method)s', string.format('%(path)s', math.random(100000)), fields):rep(%(pipelined)d)
end
"""


class Bench:
    """A Redis with some data, and the options of a service upon it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="engaged-instructions-")
        self.tokens = f"{self.folder}/tokens"
        self.redis = RedisServer(unix=True).start()
        with OwnService(redis=self.redis.url, secret="11" * 32, hash_key="22" * 32) as service:
            self.options = options_of(service.settings)
            with open(self.tokens, "w", encoding="utf-8") as file:
                subprocess.run([f"{ROOT}/build/engaged", "tokens", "--site", "load", "--count", "20000", *self.options],
                               stdout=file, check=True)
            client = Client(service.url, service.key)
            client.lines("/v1/load/items", [{"item": f"i{n}", "title": f"The title of article {n:03}", "author": "A. Writer",
                                             "url": f"/articles/{n:03}", "categories": ["news"]} for n in range(60)])
            client.lines("/v1/load/events?wait=true", [{"type": kind, "item": f"i{n}", "visitor": f"v{m}"}
                                                       for kind in ("view", "vote") for m in range(60) for n in range(60 - m)])

    def stop(self):
        self.redis.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_for(port):
    for _ in range(1200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("the worker does not come up")


def wrk(port, script, seconds):
    text = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{port}"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    if "Non-2xx" in text:
        sys.exit(f"not all were answered well:\n{text}")
    return int(re.search(r"(\d+) requests in", text).group(1))


def count(profile):
    """Instructions, and calls of malloc, calloc and realloc that are not from one of them."""
    names, calls, function, callee = {}, collections.Counter(), None, None
    with open(profile, encoding="utf-8", errors="replace") as file:
        for line in file:
            if found := re.match(r"(c?fn)=\((\d+)\)(?: (.*))?", line):
                names.setdefault(found.group(2), found.group(3))
                if found.group(1) == "fn":
                    function = found.group(2)
                else:
                    callee = found.group(2)
            elif line.startswith("calls="):
                calls[function, callee] += int(line[6:].split()[0])
            elif line.startswith(("summary:", "totals:")):
                instructions = int(line.split()[1])
    allocators = ("malloc", "calloc", "realloc")
    return instructions, sum(number for (caller, called), number in calls.items()
                             if names[called] in allocators and names[caller] not in allocators)


def measure(bench, method, path, browser, pipelined):
    port, profile, script = free_port(), f"{bench.folder}/profile", f"{bench.folder}/script.lua"
    fields = "".join(f"['{name}'] = '{value}'," for name, value in (BROWSER if browser else {}).items())
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT % {"tokens": bench.tokens, "fields": fields, "method": method, "path": path, "pipelined": pipelined})
    options = [*bench.options, "--listen", f"127.0.0.1:{port}", "--ops-listen", f"127.0.0.1:{free_port()}"]
    worker = subprocess.Popen(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={profile}",
                               f"{ROOT}/build/engaged", *options], env={**os.environ, "ENGAGED_ROLE": "worker"},
                              stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        wrk(port, script, 1)
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["callgrind_control", "-z", str(worker.pid)], **quiet)
        requests = wrk(port, script, SECONDS)
        subprocess.run(["callgrind_control", "-d", str(worker.pid)], **quiet)
        instructions, allocations = count(f"{profile}.1")
        return instructions / requests, allocations / requests
    finally:
        worker.kill()
        worker.wait()


def main():
    bench = Bench()
    try:
        print("| a request | instructions | allocations |\n|---|---|---|")
        for name, *work in WORKS:
            instructions, allocations = measure(bench, *work)
            print(f"| {name} | {instructions:,.0f} | {allocations:.2f} |", flush=True)
    finally:
        bench.stop()


main()
