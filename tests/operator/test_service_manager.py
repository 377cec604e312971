# SPDX-License-Identifier: MIT
"""What an operator relies on: systemd's protocol, hung and crash-looping children, the access log, the memory limit, an
ordinary user on a read-only file system, the cgroup's quota."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
import redis

from support.launch import status_at
from support.ports import free_port
from support.program import PROGRAM
from support.systemd import NotifySocket
from support.wait import wait_until


def worker_of(service):
    return next(iter(service.children("worker")), None)


# ---- systemd

def test_systemd_hears_of_readiness_reload_end_and_that_it_turns(own, tmp_path, monkeypatch):
    systemd = NotifySocket(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    service = own(workers=2)
    monkeypatch.delenv("NOTIFY_SOCKET")
    wait_until(lambda: systemd.heard("READY=1"), 15, "ready")
    assert status_at(service.port) == 200
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: systemd.heard("RELOADING=1") and len(systemd.heard("READY=1")) == 2, 15, "reloaded")
    before = len(systemd.heard("WATCHDOG=1"))
    time.sleep(1)
    assert len(systemd.heard("WATCHDOG=1")) - before >= 3, "twice in the time that systemd waits"
    os.kill(service.process.pid, signal.SIGSTOP)
    systemd.heard("")
    count = len(systemd.heard("WATCHDOG=1"))
    time.sleep(1)
    assert len(systemd.heard("WATCHDOG=1")) == count, "a supervisor that stands still says so by silence"
    os.kill(service.process.pid, signal.SIGCONT)
    service.stop()
    assert systemd.heard("STOPPING=1")


def test_ready_is_said_when_the_embedded_redis_has_its_data_and_also_while_a_given_one_is_away(tmp_path):
    systemd = NotifySocket(tmp_path / "notify")
    environment = dict(os.environ, NOTIFY_SOCKET=str(tmp_path / "notify"))
    options = ["--listen", f"127.0.0.1:{free_port()}", "--ops-listen", f"127.0.0.1:{free_port()}", "--workers", "1"]
    keys = ["--secret", "11" * 32, "--hash-key", "22" * 32, "--redis", f"redis://127.0.0.1:{free_port()}"]
    process = subprocess.Popen([PROGRAM, *options, *keys], env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: systemd.heard("READY=1"), 15, "up, and waiting for Redis")
        assert any("0 with Redis" in line for _, line in systemd.words)
    finally:
        process.terminate()
        assert process.wait(20) == 0


# ---- Children that hang or keep ending

def test_a_worker_that_stands_still_is_killed_and_another_serves(own):
    service = own(hang_timeout="1s")
    worker = worker_of(service)
    os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: worker_of(service) not in (worker, None) and status_at(service.port) == 200, 10, "another worker")
    assert "has stood still for" in service.log()


def test_a_worker_that_keeps_ending_backs_off_and_is_reported(own):
    service, starts = own(), []
    end = time.monotonic() + 120
    while "times in a row" not in service.log() and time.monotonic() < end:
        worker = worker_of(service)
        if worker:
            starts.append(time.monotonic())
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: worker_of(service) != worker, 15, "gone")
        time.sleep(0.01)
    assert "has ended 5 times in a row" in service.log()
    waits = [b - a for a, b in zip(starts, starts[1:])]
    assert len(starts) == 5 and waits[-1] > 0.7, waits  # 100 ms, and each time twice as long
    wait_until(lambda: worker_of(service) and status_at(service.port) == 200, 15, "it comes back")
    assert service.metrics()["engaged_process_restarts_total"] == 5


# ---- Logs

def lines_of_access(service):
    return [line for line in service.log().splitlines() if " access: " in line or '"level":"access"' in line]


def test_the_access_log_names_what_was_asked_without_query_token_or_address(own):
    service = own(access_log="on")
    token = service.post("/v1/s/visitors").json["visitor"]
    assert service.post("/v1/s/items/a%20b/votes", {"kind": "up"}, Engaged_Visitor=token).status == 200
    assert service.get(f"/v1/s/items/a%20b/view.gif?visitor={token}&x=1").status in (200, 400, 401)
    assert service.get("/v1/s/rankings/none").status == 404
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(b"nonsense\r\n\r\n")
        client.recv(1000)
    wait_until(lambda: len([line for line in lines_of_access(service) if "/readyz" not in line]) >= 5, 15, "five lines")
    text = "\n".join(lines_of_access(service))
    assert re.search(r"^\S+Z worker\[\d+\] access: POST /v1/s/items/a%20b/votes 200 \d+ \d+\.\d{3}$", text, re.M)
    assert " GET /v1/s/rankings/none 404 " in text and " - - 400 " in text
    assert token not in service.log() and "127.0.0.1" not in text and "?" not in text


def test_the_access_log_as_json_and_none_by_default(own):
    service = own(access_log="on", log_format="json", workers=2)
    for _ in range(200):
        assert service.get("/healthz").status == 200
    wait_until(lambda: len([line for line in lines_of_access(service) if "/healthz" in line]) == 200, 15, "a line each")
    for line in service.log().splitlines():
        json.loads(line)
    line = json.loads(next(line for line in lines_of_access(service) if "/healthz" in line))
    assert (line["method"], line["path"], line["status"], line["bytes"]) == ("GET", "/healthz", 200, 3) and line["ms"] >= 0
    assert not lines_of_access(own())


# ---- Memory

def test_near_the_memory_limit_it_warns_once_and_at_the_limit_writes_are_503_while_reads_go_on(own, tmp_path):
    service = own(redis=f"embedded:{tmp_path}/d", memory_limit="24MiB")
    client = redis.Redis(unix_socket_path=f"{tmp_path}/d/redis.sock")
    assert int(client.config_get("maxmemory")["maxmemory"]) == 24 << 20
    vote = lambda visitor: service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor=visitor)  # noqa: E731
    assert vote("before").status == 200 and service.get("/v1/s/rankings/top").status == 200
    filler = int(0.84 * (24 << 20)) - client.info("memory")["used_memory"]
    for begin in range(0, filler, 1 << 18):
        client.append("filler", b"x" * (1 << 18))
    wait_until(lambda: "80 % of the limit" in service.log(), 15, "warned")
    assert service.metrics()["engaged_redis_memory_limit_bytes"] == 24 << 20
    assert vote("at 80").status == 200
    client.config_set("maxmemory", 20 << 20)  # what is used is over it now
    refused = vote("over")
    assert refused.status == 503 and refused.headers["retry-after"], refused.body
    assert service.get("/v1/s/rankings/top").status == 200
    client.config_set("maxmemory", 24 << 20)
    client.delete("filler")
    wait_until(lambda: vote("after").status == 200, 15, "room again")
    assert vote("after").json["votes"]["up"] == 3
    assert service.log().count("80 % of the limit") == 1


# ---- Rights

@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user and remount")
def test_an_ordinary_user_on_a_read_only_file_system_with_one_writable_folder(open_folder):
    """As the unit in deploy/ runs it: nothing is written but in DIR."""
    folder = open_folder / "state"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    program = shutil.copy(PROGRAM, open_folder / "engaged")
    port = free_port()
    run = (f"mount --bind {folder} {folder} && mount -o remount,ro,bind / && "
           f"if touch {open_folder}/no 2>/dev/null; then exit 9; fi; "
           f"exec setpriv --reuid 65534 --regid 65534 --clear-groups {program} --redis embedded:{folder}/d "
           f"--listen 127.0.0.1:{port} --ops-listen 127.0.0.1:{free_port()} --workers 1 --secret-key k")
    process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", run], stderr=subprocess.PIPE,
                               cwd="/", text=True)
    try:
        wait_until(lambda: process.poll() is not None or status_at(port) == 200, 20, "ready")
        if process.poll() is not None and "unshare:" in (text := process.stderr.read()):
            pytest.skip(f"no mount namespace here: {text}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/v1/s/items/a/votes")
        assert connection.getresponse().status == 200
        assert os.stat(f"/proc/{process.pid}").st_uid == 65534
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("where", ["root", "unit"])
def test_as_many_workers_as_the_cgroups_quota_has_cores(tmp_path, where):
    """A quota of half a core on the container's root, or on the unit's own group: as files that look like it."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        group = next((line[3:].strip() for line in file if line.startswith("0::")), "/")
    quota = tmp_path / "group" / ("" if where == "root" else group.strip("/"))
    quota.mkdir(parents=True, exist_ok=True)
    (quota / "cpu.max").write_text("50000 100000\n")
    options = ["--listen", f"127.0.0.1:{free_port()}", "--ops-listen", f"127.0.0.1:{free_port()}", "--redis",
               f"redis://127.0.0.1:{free_port()}", "--secret", "11" * 32, "--hash-key", "22" * 32, "--rate_limits", "off"]
    run = f'mount --bind {tmp_path}/group /sys/fs/cgroup && exec "$@"'
    process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", run, "sh", PROGRAM, *options],
                               stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        if line.startswith("unshare:") or "permission denied" in line.lower():
            pytest.skip(f"no mount namespace here: {line}")
        while " workers on" not in line and line:  # its children write too, and may be first
            line = process.stderr.readline()
        assert ": 1 workers on" in line, line
    finally:
        process.terminate()
        process.communicate(timeout=20)
