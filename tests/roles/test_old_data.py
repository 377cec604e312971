# SPDX-License-Identifier: MIT
"""Data of older programs: a data directory of each older format is read in place, and nothing is lost."""
import glob
import json
import os
import subprocess
import tarfile
import time

import pytest
import redis

from support.ports import free_port
from support.program import PROGRAM, ROOT, options_of
from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

AS_THEN = "[list related]\nfill = site\n[list recommendation]\nfill = site\n"  # before lists were filled up by category
FIXTURES = sorted(glob.glob(os.path.join(ROOT, "tests", "fixtures", "*.json")))


class OldData(Service):
    """The service on a data directory that another program has left."""

    def __init__(self, archive, **settings):
        self.archive = archive
        super().__init__(**settings)

    def start(self):
        with tarfile.open(self.archive) as packed:
            packed.extractall(os.path.join(self.folder, "d"))
        super().start()


@pytest.mark.parametrize("expected_path", FIXTURES, ids=[os.path.basename(path)[:-5] for path in FIXTURES])
def test_data_of_before_answers_the_same(expected_path):
    with open(expected_path, encoding="utf-8") as file:
        expected = json.load(file)
    long_ago = {"list_unknown": "on", "unknown_items_kept": "0"}  # a second after the start its old items could go
    service = OldData(expected_path[:-5] + ".tar.gz", configuration=AS_THEN, **{**long_ago, **expected["settings"]})
    try:
        for path, answer in expected["answers"].items():
            wait_until(lambda path=path, answer=answer: same(service.get(path).json, answer), 20,
                       lambda path=path, answer=answer: f"{path}\nexpected {answer}\nis {service.get(path).json}")
        exported = service.keyed("GET", "/v1/a.example/export").body.splitlines()
        assert len(exported) == expected["export_lines"]
        token = service.post("/v1/a.example/visitors").json["visitor"]
        voted = service.post("/v1/a.example/items/crowd/votes", {"kind": "up"}, Engaged_Visitor=token).json
        assert voted["votes"]["up"] == 901, voted
    finally:
        service.stop()


def redis_of(service):
    return redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))


def recorded_format(service, to=None):
    """The format that the data's record says; with `to`, written there."""
    client = redis_of(service)
    return client.hget("engaged:meta", "format").decode() if to is None else client.hset("engaged:meta", "format", to)


def all_data(server):
    """Every key and its value, as Redis packs it."""
    return {key: server.dump(key) for key in server.scan_iter(count=1000)}


def test_data_of_format_2_becomes_format_4():
    with open(FIXTURES[0], encoding="utf-8") as file:
        service = OldData(FIXTURES[0][:-5] + ".tar.gz", **json.load(file)["settings"])
    try:
        assert recorded_format(service) == "4"
    finally:
        service.stop()


@pytest.mark.parametrize("format,line", [
    ("1", "the data has format 1, this program reads 2 to 4: take it over with the export"),
    ("0", "the data has format 0, this program reads 2 to 4"),
    ("2.5", "the data has format 2.5, this program reads 2 to 4"),
    ("two", "the data has format two, this program reads 2 to 4"),
    ("5", "the data has format 5 of a newer program, this program reads 2 to 4"),
])
def test_data_of_another_format_is_refused_and_left_as_it_is(format, line, made):
    server, settings = made
    server.hset("engaged:meta", "format", format)
    before = all_data(server)
    assert len(before) > 16, "it has logs, an item and votes"
    second = subprocess.run([PROGRAM, *settings], stderr=subprocess.PIPE, text=True, timeout=20)
    assert second.returncode == 1 and line in second.stderr, second.stderr
    assert all_data(server) == before


@pytest.fixture(scope="module")
def made():
    """A Redis with the data of a service that has ended, and the options of one for it."""
    with RedisServer() as server:
        service = Service(redis=server.url, secret="11" * 32, hash_key="22" * 32)
        assert service.keyed("POST", "/v1/s/items/a/votes", {"kind": "up"}, Engaged_Visitor="v").status == 200
        wanted = options(service)
        service.stop()
        yield server.client(), wanted


def save(server, path):
    """All that a Redis holds, as a backup."""
    subprocess.run(["redis-cli", *(["-s", server.socket] if server.socket else ["-p", str(server.port)]), "--rdb", path],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def clients(service):
    return {one["id"] for one in redis_of(service).client_list() if not one["cmd"].startswith("client")}


def restore(service, path):
    """Its exit code, and what it says. A restore waits for those that are connected when it begins: not for who comes and goes at a start."""
    wait_until(lambda: (before := clients(service)) and not time.sleep(0.3) and clients(service) == before, 20)
    done = subprocess.run([PROGRAM, "restore", path, *options_of(service.settings)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120)
    return done.returncode, done.stdout


def test_a_backup_of_an_older_format_is_restored_in_place_and_one_of_a_newer_is_refused(tmp_path):
    old = [path for path in FIXTURES if "format-3" in path][-1]
    with tarfile.open(old[:-5] + ".tar.gz") as packed:
        packed.extractall(tmp_path / "d")
    with open(old, encoding="utf-8") as file, RedisServer(dir=str(tmp_path / "d"), appendonly="yes", repl_diskless_sync_delay=0) as server:
        settings = json.load(file)["settings"]
        save(server, str(tmp_path / "older"))
        server.client().hset("engaged:meta", "format", 5)
        save(server, str(tmp_path / "newer"))
    service = OldData(old[:-5] + ".tar.gz", **settings)
    try:
        site, crowd = "/v1/a.example", "/v1/a.example/items/crowd"
        token = service.post(f"{site}/visitors").json["visitor"]
        assert service.post(crowd + "/votes", {"kind": "up"}, Engaged_Visitor=token).json["votes"]["up"] == 901
        code, said = restore(service, str(tmp_path / "newer"))
        assert code == 1 and "the data has format 5 of a newer program, this program reads 2 to 4" in said
        assert service.get(crowd).json["votes"]["up"] == 901, "nothing is changed"

        code, said = restore(service, str(tmp_path / "older"))
        assert code == 0, said
        wait_until(lambda: (answer := service.get(crowd + "?window=month")).status == 200 and answer.json["votes"]["up"] == 900, 20)
        assert service.get(crowd + "?window=month").json["windows"]["month"]["votes"]["up"] is None, "in which month they were is not known"
        wait_until(lambda: recorded_format(service) == "4", 20)
    finally:
        service.stop()


@pytest.mark.contract("Windows", "A count is `null` where the span begins before")
def test_counts_by_time_of_before_the_upgrade_are_null_and_not_0():
    """Of an item that was there; one that came since has what it has."""
    old = [path for path in FIXTURES if "format-3" in path][-1]
    with open(old, encoding="utf-8") as file:
        service = OldData(old[:-5] + ".tar.gz", **json.load(file)["settings"])
    try:
        token = service.post("/v1/a.example/visitors").json["visitor"]
        for item in ("crowd", "new"):
            assert service.post(f"/v1/a.example/items/{item}/votes", {"kind": "up"}, Engaged_Visitor=token).status == 200
        windows = "?window=1h&window=today&window=month"
        wait_until(lambda: service.get("/v1/a.example/items/new" + windows).json["windows"]["month"]["votes"]["up"] == 1, 20)
        crowd = service.get("/v1/a.example/items/crowd" + windows).json["windows"]
        assert [crowd[name]["votes"]["up"] for name in ("1h", "today", "month")] == [None] * 3
        assert [crowd[name]["views"] for name in ("1h", "today", "month")] == [None] * 3
        for step, points in (("hour", 48), ("day", 37), ("month", 36)):
            assert service.get(f"/v1/a.example/items/crowd/series?step={step}").json["votes"]["up"] == [None] * points
            assert service.get(f"/v1/a.example/series?step={step}").json["views"] == [None] * points
            assert service.get(f"/v1/a.example/items/new/series?step={step}").json["votes"]["up"] == [0] * (points - 1) + [1]
    finally:
        service.stop()


def options(service):
    settings = {**service.settings, "listen": f"127.0.0.1:{free_port()}", "ops_listen": f"127.0.0.1:{free_port()}"}
    return options_of(settings)


def same(now, before):
    """Equal but for instants, and for scores of Related, which fade."""
    if isinstance(before, dict):
        keys = set(before) - {"computed_at", "score"}
        return isinstance(now, dict) and keys <= set(now) and all(same(now[key], before[key]) for key in keys)
    if isinstance(before, list):
        return len(now) == len(before) and all(map(same, now, before))
    return now == before
