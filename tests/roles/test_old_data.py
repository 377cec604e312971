# SPDX-License-Identifier: MIT
"""Data of older programs: a data directory of each older format is read in place, and nothing is lost."""
import glob
import json
import os
import subprocess
import tarfile

import pytest

from support.ports import free_port
from support.program import PROGRAM, ROOT, options_of
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
    service = OldData(expected_path[:-5] + ".tar.gz", configuration=AS_THEN, **{"list_unknown": "on", **expected["settings"]})
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


def recorded_format(service, to=None):
    """The format that the data's record says; with `to`, written there."""
    redis = os.path.join(service.folder, "d", "redis.sock")
    command = ["HGET", "engaged:meta", "format"] if to is None else ["HSET", "engaged:meta", "format", to]
    return subprocess.run(["redis-cli", "-s", redis, *command], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


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
def test_data_of_another_format_is_refused_and_left_as_it_is(format, line):
    service = Service()
    try:
        wait_until(lambda: service.log().count("redis: ready") == 2)
        recorded_format(service, format)
        with subprocess.Popen([PROGRAM, *options(service)], stderr=subprocess.PIPE, text=True) as second:
            said = second.communicate(timeout=20)[1]
        assert second.returncode == 1 and line in said, said
        assert recorded_format(service) == format
        recorded_format(service, "4")
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
