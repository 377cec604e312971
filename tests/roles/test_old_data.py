# SPDX-License-Identifier: MIT
"""What is in Redis outlives the program: a data directory of each state before is read in place, and nothing is lost."""
import glob
import json
import os
import tarfile

import pytest

from support.service import ROOT, Service
from support.wait import wait_until

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
    service = OldData(expected_path[:-5] + ".tar.gz", **expected["settings"])
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


def same(now, before):
    """Equal but for instants, and for scores of Related, which fade."""
    if isinstance(before, dict):
        keys = set(before) - {"computed_at", "score"}
        return isinstance(now, dict) and keys <= set(now) and all(same(now[key], before[key]) for key in keys)
    if isinstance(before, list):
        return len(now) == len(before) and all(map(same, now, before))
    return now == before
