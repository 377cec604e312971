# SPDX-License-Identifier: MIT
"""The time zone is recorded with the data. Another one is refused by a start and by a reload, and taken by a start with
--accept-time-zone, once."""
import signal
import subprocess

import pytest

from support.launch import wait_for
from support.packed import month_of, unpack_state
from support.program import PROGRAM
from support.redis_cluster import Cluster
from support.redis_server import RedisServer
from support.service import WaitingService
from support.wait import wait_until

RECORDED = ["format", "partitions", "hash-key", "kinds", "time-zone", "era", "since", "days-since"]
ONE_START = "a start with --accept-time-zone"


class ZoneService(WaitingService):
    """On a Redis that outlives it, with a time zone of its own."""

    def __init__(self, server, zone=None, flags=(), **settings):
        self.flags = flags
        super().__init__(configuration=f"time_zone = {zone}\n" if zone else "", redis=server.url, **settings)

    def start(self):
        self.process = self.spawn()

    def wait(self):
        self.wait_ready([self.process])
        return self.wait_taken()


@pytest.fixture
def server():
    with RedisServer() as running:
        yield running


def record(server):
    """Of the data; the projectors write other fields."""
    holder = server.owner("engaged:meta") if isinstance(server, Cluster) else server
    values = holder.client().hmget("engaged:meta", RECORDED)
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in zip(RECORDED, values)}


def refused(server, zone):
    """The log of a start that ends by itself."""
    service = ZoneService(server, zone)
    code = wait_for(service.process, 30)
    log = service.log()
    service.remove()
    assert code == 1, f"{code}: it ends by itself\n{log}"
    return log


def works(server, zone, flags=()):
    """What is recorded after a start that takes votes."""
    service = ZoneService(server, zone, flags)
    service.wait()
    kept = record(server)
    service.stop()
    return kept


def test_another_zone_is_refused_until_it_is_accepted(server):
    kept = works(server, None)
    assert (kept["time-zone"], kept["era"], kept["since"], kept["days-since"]) == ("UTC", "0", "0", "0")
    log = refused(server, "Europe/Berlin")
    assert "time_zone: the days of the data are those of UTC, the setting says Europe/Berlin" in log and ONE_START in log
    assert record(server) == kept
    now = server.client().time()[0]
    changed = works(server, "Europe/Berlin", ["--accept-time-zone"])
    assert (changed["time-zone"], changed["era"], changed["since"]) == ("Europe/Berlin", "1", "0")
    assert now <= int(changed["days-since"]) <= server.client().time()[0] + 1
    assert works(server, "Europe/Berlin") == changed
    assert works(server, "Europe/Berlin", ["--accept-time-zone"]) == changed, "there was nothing to accept"
    assert "are those of Europe/Berlin, the setting says UTC" in refused(server, None)


def test_a_reload_changes_no_zone_even_where_the_start_accepted_one(server, ending):
    works(server, "UTC")
    service = ending(ZoneService(server, "Asia/Kolkata", ["--accept-time-zone"], workers=2))
    service.wait()
    kept = record(server)
    service.configure("time_zone = Europe/Berlin\n")
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "those before stay" in service.log(), 20, service.log)
    assert "are those of Asia/Kolkata, the setting says Europe/Berlin" in service.log()
    service.configure("time_zone = Nowhere/City\n")
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "engaged.conf:1: \"Nowhere/City\" is not a time zone" in service.log(), 20, service.log)
    service.wait_taken(visitor="another")
    assert record(server) == kept
    service.configure("time_zone = Asia/Kolkata\n")
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "have taken over" in service.log(), 20, service.log)
    assert record(server) == kept


def test_two_services_that_accept_do_not_change_it_back_and_forth(server, ending):
    one = ending(ZoneService(server, "UTC", ["--accept-time-zone"]))
    one.wait()
    other = ending(ZoneService(server, "Asia/Kolkata", ["--accept-time-zone"]))
    other.wait()
    kept = record(server)
    assert (kept["time-zone"], kept["era"]) == ("Asia/Kolkata", "1")
    one.wait_named("are those of Asia/Kolkata, the setting says UTC")
    other.wait_taken(visitor="another")
    assert record(server) == kept


def test_a_record_that_is_deleted_is_written_again_as_it_was(server, ending):
    works(server, "UTC")
    service = ending(ZoneService(server, "Asia/Kolkata", ["--accept-time-zone"]))
    service.wait()
    kept = record(server)
    server.client().delete("engaged:meta")
    wait_until(lambda: record(server) == kept, 20, lambda: f"{kept}\n{record(server)}")


def test_a_record_that_is_deleted_while_no_service_runs_comes_back_as_it_was(server):
    works(server, "UTC")
    kept = works(server, "Asia/Kolkata", ["--accept-time-zone"])
    server.client().delete("engaged:meta")
    assert "the days of the data are those of Asia/Kolkata, the setting says UTC" in refused(server, "UTC")
    assert works(server, "Asia/Kolkata") == kept and kept["era"] == "1"


def test_data_without_series_is_counted_from_now_on_in_any_zone(server):
    works(server, "UTC")
    server.client().hdel("engaged:meta", "time-zone", "era", "since", "days-since")
    now = server.client().time()[0]
    kept = works(server, "America/Santiago")
    assert (kept["time-zone"], kept["era"], kept["days-since"]) == ("America/Santiago", "0", "0")
    assert now + 60 <= int(kept["since"]) <= server.client().time()[0] + 61


def counted(server):
    """Of the only item: by signal, grain and number."""
    [key] = server.client().scan_iter("*}s" + 16 * "?", count=1000)
    return unpack_state(server.client().get(key))[1]


def test_days_and_months_begin_again_and_hours_stay(server):
    today = server.client().time()[0] // 86400
    late = today * 86400 - 4 * 3600  # 20:00 UTC of yesterday, 1:30 of today in Kolkata
    hour, empty = late // 3600, {"hour": {}, "day": {}, "month": {}}

    def send(zone, flags, event):
        service = ZoneService(server, zone, flags)
        service.wait_ready([service.process])
        row = {"item": "a", "visitor": event["type"], "time": late, **event}
        wait_until(lambda: service.lines("/v1/s/events?wait=true", [row]).json.get("accepted") == 1, 20, service.log)
        service.stop()
        return counted(server)

    assert send("UTC", [], {"type": "vote"}) == {0: {"hour": {hour: 1}, "day": {today - 1: 1}, "month": {month_of(today - 1): 1}}}
    accepted = send("Asia/Kolkata", ["--accept-time-zone"], {"type": "view"})
    assert accepted.get(8, empty) == {"hour": {hour: 1}, "day": {today: 1}, "month": {month_of(today): 1}}
    assert accepted.get(0, empty) == {"hour": {hour: 1}, "day": {}, "month": {}}
    later = send("Asia/Kolkata", [], {"type": "view", "visitor": "another"})
    assert later[8] == {"hour": {hour: 2}, "day": {today: 2}, "month": {month_of(today): 2}} and later[0] == accepted[0]


@pytest.mark.contract("Windows", "A count is `null` where the span begins before")
def test_readers_are_told_null_for_days_of_before_and_hours_as_ever(server):
    for zone, flags in (("UTC", []), ("Asia/Kolkata", ["--accept-time-zone"])):
        service = ZoneService(server, zone, flags)
        service.wait_ready([service.process])
        wait_until(lambda: service.lines("/v1/s/events?wait=true", [{"type": "view", "item": "a", "visitor": zone}]).json.get("accepted") == 1, 20, service.log)  # noqa: B023
        item = service.get("/v1/s/items/a?window=24h&window=today&window=7d&window=month").json
        exact = service.get("/v1/s/rankings/most-read").json["exact"]
        assert exact is (zone == "UTC"), "its set of the day before began again"
        series = {step: [service.get(f"/v1/s/{of}series?step={step}").json["views"] for of in ("", "items/a/")] for step in ("hour", "day", "month")}
        service.stop()
    assert item["views"] == 2 and {name: window["views"] for name, window in item["windows"].items()} == {"24h": 2, "today": None, "7d": None, "month": None}
    assert all(sum(points) == 2 for points in series["hour"])
    assert all(set(points) == {None} for step in ("day", "month") for points in series[step])


def test_in_a_cluster_it_is_the_same():
    with Cluster(replicas=0) as cluster:
        assert works(cluster, "UTC")["era"] == "0"
        assert "are those of UTC, the setting says Europe/Berlin" in refused(cluster, "Europe/Berlin")
        changed = works(cluster, "Europe/Berlin", ["--accept-time-zone"])
        assert (changed["time-zone"], changed["era"]) == ("Europe/Berlin", "1") and works(cluster, "Europe/Berlin") == changed
        assert "are those of Europe/Berlin, the setting says UTC" in refused(cluster, "UTC")


def test_no_zone_is_needed_for_utc_and_a_missing_one_is_named(tmp_path):
    for zone, right in (("UTC", True), ("Europe/Berlin", False)):
        done = subprocess.run([PROGRAM, "check", "--redis", f"embedded:{tmp_path}", "--time-zone", zone],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"TZDIR": str(tmp_path), "PATH": "/usr/bin:/bin"})
        assert (done.returncode == 0) is right, done.stderr
        assert right or "package tzdata" in done.stderr
