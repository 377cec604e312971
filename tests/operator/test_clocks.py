# SPDX-License-Identifier: MIT
"""Machines whose clocks are wrong: the service goes by Redis's clock, so theirs harm nothing (Redis's own clock:
tests/faults/test_clock.py).

    what is done                                          what is expected
    a service ten years behind, or an hour ahead           it reads the tokens of before, counts, orders, and gives tokens
                                                           that are good everywhere
    services with different clocks on one Redis            they agree on counts, tokens and the order
    a clock that is set back an hour while it runs         nothing changes
"""
import datetime
import glob
import os

import pytest

from support.redis_server import RedisServer
from support.service import Service
from support.wait import wait_until

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
KEYS = {"secret": "11" * 32, "hash_key": "22" * 32}
pytestmark = pytest.mark.skipif(not LIBRARY or os.environ.get("BUILD", "build") != "build",
                                reason="no libfaketime here, or it does not go with a sanitizer")


@pytest.fixture(scope="module")
def server():
    with RedisServer() as running:
        yield running


class Shifted(Service):
    """With a clock that is as far off as a file says."""

    def __init__(self, server, folder, shift):
        self.file = folder / f"shift{shift}"
        self.shift(shift)
        super().__init__(environment={"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                                      "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}, redis=server.url, **KEYS)

    def shift(self, shift):
        part = self.file.with_suffix(".new")
        part.write_text(shift + "\n", encoding="ascii")
        part.rename(self.file)


def token(service):
    return service.post("/v1/s/visitors").json["visitor"]


def vote(service, visitor, item):
    return service.post(f"/v1/s/items/{item}/votes", Engaged_Visitor=visitor)


def date_of(answer):
    return datetime.datetime.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S %Z")


def is_now(answer):
    return abs((datetime.datetime.utcnow() - date_of(answer)).total_seconds()) < 60


@pytest.mark.parametrize("shift", ["-3650d", "+3600"])
def test_a_service_whose_clock_is_wrong_goes_by_that_of_redis(ending, server, tmp_path, shift):
    right = ending(Service(redis=server.url, **KEYS))
    item, before = f"a{shift[1:]}", token(right)
    assert vote(right, before, item).json["votes"]["up"] == 1
    wrong = ending(Shifted(server, tmp_path, shift))
    assert vote(wrong, before, item).json["votes"]["up"] == 1, "the token is good, and has voted"
    assert vote(wrong, token(wrong), item).json["votes"]["up"] == 2
    assert vote(right, token(wrong), item).json["votes"]["up"] == 3, "a token of there is good here"
    assert is_now(wrong.get("/v1/s/rankings/hot")), "its answers have Redis's time"
    for service in (right, wrong):
        found = lambda: {row["item"]: row for row in service.get("/v1/s/rankings/hot").json["items"]}.get(item)  # noqa: E731,B023
        wait_until(lambda: found() and 2.9 < found()["score"] <= 3.01, 20, lambda: str(found()))  # noqa: B023
        assert found()["votes"]["up"] == 3


def test_a_clock_that_is_set_back_and_forward_while_it_runs_changes_nothing(ending, server, tmp_path):
    service = ending(Shifted(server, tmp_path, "+0"))
    visitor = token(service)
    for number, shift in enumerate(["-3600", "+3600", "+0"]):
        service.shift(shift)
        assert vote(service, visitor, f"b{number}").json["votes"]["up"] == 1
        assert service.post(f"/v1/s/items/b{number}/views", Engaged_Visitor=visitor).json["counted"] is True
        assert service.post(f"/v1/s/items/b{number}/views", Engaged_Visitor=visitor).json["reason"] == "repeat"
        wait_until(lambda: is_now(service.get("/v1/s/rankings/hot")), 40, lambda: str(service.get("/healthz").headers))
    assert vote(service, token(service), "b0").json["votes"]["up"] == 2
    assert service.metrics()["engaged_process_restarts_total"] == 0
