# SPDX-License-Identifier: MIT
"""Generations of processes, two services on one directory, Ctrl-C, sockets that workers share."""
import os
import signal
import socket
import subprocess
import time

import pytest

from support.beside import Beside
from support.launch import status_at
from support.ports import free_port
from support.processes import alive, redis_pid
from support.program import PROGRAM
from support.wait import wait_until


def vote(service, visitor):
    return service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor=visitor)


def test_two_services_on_one_directory_share_its_redis_and_the_second_takes_over(own, tmp_path):
    directory = str(tmp_path / "d")
    first, second = own(redis=f"embedded:{directory}"), own(redis=f"embedded:{directory}")
    redis = redis_pid(directory)
    assert vote(first, "v").status == vote(second, "w").status == 200
    assert vote(second, "v").json["votes"] == {"up": 2}
    second.stop()
    assert alive(redis) and vote(first, "x").json["votes"] == {"up": 3}
    third = own(redis=f"embedded:{directory}")
    first.stop()
    assert not alive(redis)
    wait_until(lambda: vote(third, "y").status == 200, 15, "the one that is left starts a Redis of its own")
    assert vote(third, "y").json["votes"] == {"up": 4}
    last = redis_pid(directory)
    third.stop()
    assert not alive(last)


def test_an_adopted_redis_ends_with_the_service_that_adopted_it(own, tmp_path):
    directory = str(tmp_path / "d")
    service = own(redis=f"embedded:{directory}")
    redis = redis_pid(directory)
    service.process.kill()
    service.process.wait()
    assert alive(redis)
    service.start()
    assert redis_pid(directory) == redis
    service.stop()
    assert not alive(redis)


def test_ctrl_c_to_the_whole_group_ends_everything_cleanly(tmp_path):
    directory, port = str(tmp_path / "d"), free_port()
    options = ["--redis", f"embedded:{directory}", "--listen", f"127.0.0.1:{port}", "--ops-listen",
               f"127.0.0.1:{free_port()}", "--workers", "2"]
    process = subprocess.Popen([PROGRAM, *options], stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_until(lambda: status_at(port) == 200, 15, "ready")
        redis = redis_pid(directory)
        os.killpg(process.pid, signal.SIGINT)
        errors = process.communicate(timeout=20)[1]
    finally:
        process.kill()
    assert process.returncode == 0 and "error" not in errors, errors
    assert not alive(redis)


def test_workers_share_a_unix_socket_and_remove_it_at_the_end(own, tmp_path):
    path = str(tmp_path / "http.sock")
    service = own(ops_listen=f"unix:{path}", workers=2)
    for _ in range(8):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(path)
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert "ended" not in service.log()
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "have taken over" in service.log(), 15, "reload")
    assert os.path.exists(path)
    service.stop()
    assert not os.path.exists(path)


def test_a_reload_refuses_nobody(own):
    service = own(workers=2)
    faults = []

    def ask():
        while not askers.over.is_set():
            try:
                if service.get("/healthz").status != 200:
                    faults.append("status")
            except OSError as error:
                faults.append(repr(error))

    askers = Beside(ask, ask)
    with askers:
        for number in range(1, 4):
            service.process.send_signal(signal.SIGHUP)
            wait_until(lambda: service.log().count("have taken over") == number, 60, "reload")
            time.sleep(0.3)
    assert not faults


def test_a_child_started_again_has_the_settings_that_were_read(own, tmp_path):
    config = tmp_path / "engaged.conf"
    config.write_text("view_window = 30m\n")
    service = own(config=str(config))
    config.write_text("view_window = soon\n")
    [worker] = service.children("worker")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not alive(worker) and status_at(service.port) == 200, 15, "a worker again")


def test_a_reload_to_a_taken_address_keeps_the_old_and_to_a_free_one_moves(tmp_path):
    config, log, port, new_port = tmp_path / "engaged.conf", tmp_path / "log", free_port(), free_port()
    written = f"redis = embedded:{tmp_path}/d\nops_listen = 127.0.0.1:{free_port()}\nworkers = 1\nlisten = 127.0.0.1:"
    config.write_text(f"{written}{port}\n")
    with open(log, "w", encoding="utf-8") as file, socket.socket() as other:
        process = subprocess.Popen([PROGRAM, "--config", str(config)], stderr=file)
        try:
            wait_until(lambda: status_at(port) == 200, 15, "ready")
            other.bind(("127.0.0.1", 0))
            other.listen()
            config.write_text(f"{written}{other.getsockname()[1]}\n")
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: "the settings before stay" in log.read_text(), 15, "refused")
            assert status_at(port) == 200
            config.write_text(f"{written}{new_port}\n")
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: status_at(new_port) == 200 and status_at(port) is None, 15, "moved")
        finally:
            process.terminate()
            assert process.wait(30) == 0


@pytest.mark.parametrize("text,line,why", [
    ("worker = 2\n", 1, "no such setting"),
    ("# a\nworkers = 2\n  listen = 127.0.0.1:1\n", 3, "begins with a blank"),
    ("workers = 2\n[site a]\norigins = " + "https://a.example " * 40 + "\n", 3, "longer"),
    ("[ranking .hot]\nfloor = 1\n", 1, "name"),
    ("[ranking hot]\nhalf_life = 0\n", 2, "half_life"),
    ("[ranking hot]\nvotes = down:1\n", 2, "votes"),
    ("[rankings hot]\nfloor = 1\n", 1, "sections"),
    ("workers\n", 1, "name = value"),
    ("workers = two\nview_window = soon\n", 1, "whole number"),
    ("secret = abc\n", 1, "64 hex digits"),
    ("redis = http://a\n", 1, "redis://"),
])
def test_a_wrong_line_is_named(tmp_path, text, line, why):
    config = tmp_path / "engaged.conf"
    config.write_text(text)
    done = subprocess.run([PROGRAM, "check", "--config", str(config)], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and f"{config}:{line}: " in done.stderr and why in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1 and "abc" not in done.stderr


def test_the_command_line_beats_the_environment_and_that_the_file(tmp_path):
    config = tmp_path / "engaged.conf"
    name = "n" * 63
    config.write_text(f"workers = 3\nmax_age = 4\nfield_limit = 50\n[site {name}]\norigins = https://a\norigins = https://b\n")
    environment = dict(os.environ, ENGAGED_WORKERS="5", ENGAGED_MAX_AGE="6", ENGAGED_ROW="7")
    done = subprocess.run([PROGRAM, "--print-config", "--config", str(config), "--workers", "8"], env=environment,
                          stdout=subprocess.PIPE, text=True)
    printed = done.stdout.splitlines()
    assert done.returncode == 0 and f"[site {name}]" in printed
    assert {"workers = 8", "max_age = 6", "field_limit = 50", "origins = https://a", "origins = https://b"} <= set(printed)
