# SPDX-License-Identifier: MIT
"""Processes start, die and end: an operator sees why, and nothing acknowledged is lost."""
import os
import signal
import subprocess
import time

import pytest

from support.ports import free_port
from support.program import PROGRAM, options_of
from support.wait import wait_until


@pytest.mark.parametrize("options,place", [
    (["--worker", "2"], "--worker"), (["--workers", "many"], "--workers"), (["--view-window", "5"], "--view-window"),
    (["--rate_limits", "yes"], "--rate_limits"), (["--config", "/does/not/exist"], "/does/not/exist"),
    (["--redis", "http://x"], "redis")])
def test_a_wrong_setting_refuses_to_start_and_names_its_place(tmp_path, options, place):
    options = options if "--redis" in options else options + ["--redis", f"embedded:{tmp_path}/d"]
    keys = ["--secret", "1" * 64, "--hash-key", "2" * 64]
    done = subprocess.run([PROGRAM, *options, *keys], stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode not in (0, -6, -11)
    assert place in done.stderr


def test_a_file_names_its_line(tmp_path):
    config = tmp_path / "engaged.conf"
    config.write_text("workers = 1\n[ranking hot]\nhalf_life = soon\n")
    done = subprocess.run([PROGRAM, "check", "--config", str(config)], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and f"{config}:3" in done.stderr


def test_a_taken_port_refuses_to_start(own, tmp_path):
    service = own()
    done = subprocess.run([PROGRAM, "--redis", f"embedded:{tmp_path}/d", "--listen", f"127.0.0.1:{service.port}",
                           "--ops-listen", f"127.0.0.1:{free_port()}"], stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1 and str(service.port) in done.stderr


def test_a_killed_worker_and_projector_come_back(own):
    service = own()
    for role in ("worker", "projector"):
        before = service.children(role)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: service.children(role) and service.children(role) != before and service.is_ready())
    assert service.lines("/v1/s/events?wait=true", [{"type": "view", "item": "a", "visitor": "v"}]).json["accepted"] == 1
    assert service.metrics()["engaged_process_restarts_total"] == 2


@pytest.mark.contract("405, 429 and 503", "A 503 has Retry-After")
@pytest.mark.contract("POST /v1/{site}/items/{item}/views", "202 means: durably logged")
def test_redis_killed_writes_are_503_and_nothing_acknowledged_is_lost(own):
    service = own(refresh_interval="1s")
    for number in range(50):
        service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor=f"v{number}")
    service.get("/v1/s/items/a")
    os.kill(service.redis_pid(), signal.SIGKILL)
    wait_until(lambda: service.post("/v1/s/items/a/votes").status == 503, 2)
    assert service.get("/v1/s/items/a").status == 200  # from memory
    wait_until(service.is_ready)
    wait_until(lambda: service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="v0").status == 200)
    assert service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="v1").json["votes"]["up"] >= 50


def test_a_frozen_redis_is_answered_within_the_deadline(own):
    service = own(redis_timeout="500ms")
    pid = service.redis_pid()
    os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    answer = service.post("/v1/s/items/a/votes")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert time.monotonic() - begin < 2
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: service.post("/v1/s/items/a/votes").status == 200)


def test_a_killed_supervisor_leaves_its_redis_to_the_next_start(own):
    service = own()
    service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="v")
    redis = service.redis_pid()
    service.process.kill()
    service.process.wait()
    wait_until(lambda: not service.is_ready())
    service.start()
    assert service.redis_pid() == redis
    assert service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="v").json["votes"] == {"up": 1}


def test_other_kinds_than_those_recorded_refuse_to_start(own):
    service = own(kinds="up down")
    service.process.terminate()
    assert service.process.wait(20) == 0
    done = subprocess.run([PROGRAM, *options_of({**service.settings, "kinds": "down up"})], stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1 and "kinds" in done.stderr
    service.start()


def test_reload_takes_new_settings_and_a_wrong_one_keeps_the_old(own, tmp_path):
    config = tmp_path / "engaged.conf"
    config.write_text("view_window = 30m\n")
    service = own(config=str(config))
    before = service.children("worker")
    config.write_text("view_window = soon\n")
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload" in service.log() or "soon" in service.log())
    assert service.children("worker") == before
    config.write_text("view_window = 1h\n")
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: service.children("worker") and not set(service.children("worker")) & set(before), 15)
    assert service.is_ready()


def test_score_follows_its_count_when_the_projection_comes_late(own):
    """A body made between the count and the projection was kept: order and counts no longer changed."""
    service = own()
    top = "/v1/site.example/rankings/top"

    def shown():
        return [(entry["votes"]["up"], entry["score"]) for entry in service.get(top).json["items"]]

    def vote(visitor):
        path = "/v1/site.example/items/a/votes"
        assert service.keyed("POST", path, {}, Engaged_Visitor=visitor).status == 200

    vote("v1")
    wait_until(lambda: shown() == [(1, 1)])
    [projector] = service.children("projector")
    os.kill(projector, signal.SIGSTOP)
    vote("v2")
    assert shown() == [(2, 1)]
    os.kill(projector, signal.SIGCONT)
    wait_until(lambda: shown() == [(2, 2)])
