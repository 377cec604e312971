#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make loadtest: first figures, each beside its yardstick in the same run. Prints a table; stops by itself.

(a) A ranking from memory against nginx serving the same bytes from a file, in alternating pairs.
(b) Votes over a million items against the same Redis settings driven by redis-benchmark with one vote a call.
wrk runs with one thread and 64 connections. Figures are medians; the ratio is what travels between machines.
"""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from client import ROOT, Client, OwnService, free_port

QUICK = "--quick" in sys.argv
SECONDS, PAIRS, ITEMS, VISITORS = (2, 1, 1000000, 2000) if QUICK else (6, 3, 1000000, 100000)


def wrk(url, *more, **environment):
    command = ["wrk", "-t1", "-c64", f"-d{SECONDS}s", *more, url]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True,
                          env={**os.environ, **environment}).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if bad:
        print(f"warning: {bad.group(0)} at {url}", file=sys.stderr)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


class Nginx:
    """Two workers at most, as the service has; access log off, keep-alive without end."""

    def __init__(self, body):
        self.folder, self.port = tempfile.mkdtemp(prefix="engaged-nginx-"), free_port()
        with open(f"{self.folder}/list.json", "wb") as file:
            file.write(body)
        os.chmod(self.folder, 0o755)
        with open(f"{self.folder}/conf", "w", encoding="utf-8") as file:
            file.write(f"""daemon off; worker_processes 1; pid {self.folder}/pid; error_log {self.folder}/error;
                events {{ worker_connections 1024; }}
                http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=100;
                  types {{ application/json json; }}
                  server {{ listen 127.0.0.1:{self.port}; root {self.folder}; }} }}""")
        self.process = subprocess.Popen(["nginx", "-p", self.folder, "-c", f"{self.folder}/conf"])
        time.sleep(0.5)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


class Redis:
    def __init__(self, fsync):
        self.folder = tempfile.mkdtemp(prefix="engaged-redis-")
        self.socket = f"{self.folder}/redis.sock"
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--dir", self.folder, "--unixsocket", self.socket, "--save", "",
             "--appendonly", "yes", "--appendfsync", fsync, "--hash-max-listpack-entries", "512",
             "--hash-max-listpack-value", "2048", "--logfile", f"{self.folder}/log"])
        while not os.path.exists(self.socket):
            time.sleep(0.02)

    def cli(self, *command):
        done = subprocess.run(["redis-cli", "-s", self.socket, *command], stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    def cpu_us(self):
        used = dict(line.split(":") for line in self.cli("INFO", "cpu").splitlines() if ":" in line)
        return 1e6 * (float(used["used_cpu_user"]) + float(used["used_cpu_sys"]))

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


def measure_rankings():
    with OwnService() as service:
        client, path = Client(service.url, service.key), "/v1/load/rankings/top?limit=10"
        client.lines("/v1/load/items", [{"item": f"i{n}", "title": f"The title of article {n}"} for n in range(20)])
        client.lines("/v1/load/events?wait=true", [{"type": "vote", "item": f"i{n}", "visitor": f"v{m}"}
                                                   for n in range(20) for m in range(n + 1)])
        time.sleep(1.5)
        client.call("GET", path)
        client.connection.request("GET", path)
        body = client.connection.getresponse().read()
        nginx = Nginx(body)
        try:
            pairs = [(wrk(service.url + path), wrk(f"http://127.0.0.1:{nginx.port}/list.json")) for _ in range(PAIRS)]
        finally:
            nginx.stop()
    return len(body), statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def measure_page():
    """A page of 8 + 10 + 8 entries with cards against a ranking of as many bytes, in alternating pairs."""
    with OwnService() as service:
        client = Client(service.url, service.key)
        client.lines("/v1/load/items", [{"item": f"i{n}", "title": f"The title of article {n:03}", "url": f"/articles/{n:03}",
                                         "categories": ["news"], "author": "A. Writer"} for n in range(60)])
        client.lines("/v1/load/events?wait=true", [{"type": "view", "item": f"i{n}", "visitor": f"v{m}"}
                                                   for m in range(60) for n in range(60 - m)])
        time.sleep(1.5)
        page = "/v1/load/items/i7/page?related=8&ranking=10&recommendation=8"

        def size(path):
            client.connection.request("GET", path)
            return len(client.connection.getresponse().read())
        wanted = size(page)
        sizes = {f"/v1/load/rankings/top?limit={limit}": 0 for limit in range(20, 40)}
        ranking = min(sizes, key=lambda path: abs(size(path) - wanted))
        pairs = [(wrk(service.url + page), wrk(service.url + ranking)) for _ in range(PAIRS)]
        return wanted, size(ranking), statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def measure_service_votes(fsync):
    redis = Redis(fsync)
    keys = {"secret": "11" * 32, "hash_key": "22" * 32}
    try:
        with OwnService(redis=f"unix:{redis.socket}", **keys) as service:
            tokens = f"{service.folder}/tokens"
            with open(tokens, "w", encoding="utf-8") as file:
                subprocess.run([f"{ROOT}/build/engaged", "tokens", "--site", "load", "--count", str(VISITORS),
                                *service.options], stdout=file, check=True)
            before = redis.cpu_us()
            rate = wrk(service.url, "-s", f"{ROOT}/loadtest/votes.lua", TOKENS=tokens, ITEMS=str(ITEMS))
            return rate, (redis.cpu_us() - before) / (rate * SECONDS)
    finally:
        redis.stop()


def measure_yardstick_votes(fsync):
    redis = Redis(fsync)
    try:
        with open(f"{ROOT}/loadtest/yardstick_vote.lua", encoding="utf-8") as file:
            sha = redis.cli("SCRIPT", "LOAD", file.read())
        count, before = 30000 * SECONDS, redis.cpu_us()
        text = subprocess.run(
            ["redis-benchmark", "-s", redis.socket, "-c", "64", "-n", str(count), "-r", str(ITEMS), "--csv", "EVALSHA",
             sha, "4", "v:__rand_int__", "i:__rand_int__", "hot", "day", "u__rand_int__", "i__rand_int__"],
            stdout=subprocess.PIPE, text=True, check=True).stdout
        return float(text.strip().splitlines()[-1].split('","')[1].strip('"')), (redis.cpu_us() - before) / count
    finally:
        redis.stop()


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    versions = subprocess.run(["redis-server", "--version"], stdout=subprocess.PIPE, text=True).stdout.split()[2]
    return f"{os.cpu_count()} cores, {model.group(1) if model else 'unknown'}, Redis {versions}"


def main():
    print(f"{machine()}; wrk -t1 -c64, {SECONDS} s each, one worker\n")
    size, ours, theirs = measure_rankings()
    print("| work | engaged /s | yardstick /s | ratio | Redis µs a vote, engaged / yardstick |\n|---|---|---|---|---|")
    print(f"| ranking from memory, {size} bytes; nginx, same bytes | {ours:.0f} | {theirs:.0f} | {ours / theirs:.2f} | |")
    size, ranking_size, ours, theirs = measure_page()
    print(f"| page of 8 + 10 + 8 entries, {size} bytes; a ranking of {ranking_size} bytes | {ours:.0f} | {theirs:.0f} | "
          f"{ours / theirs:.2f} | |", flush=True)
    for fsync in ("everysec", "always"):
        rate, cost = measure_service_votes(fsync)
        yard, yard_cost = measure_yardstick_votes(fsync)
        print(f"| votes over {ITEMS} items, {fsync}; redis-benchmark -c 64, a vote a call | {rate:.0f} | {yard:.0f} | "
              f"{rate / yard:.2f} | {cost:.1f} / {yard_cost:.1f} |", flush=True)


main()
