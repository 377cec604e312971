# SPDX-License-Identifier: MIT
"""An embedded Redis that cannot start says why, and is back by itself when the cause is gone."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import redis

from support.ports import free_port
from support.service import PROGRAM, Service
from support.wait import wait_until

REDIS = shutil.which("redis-server")


class RawRedis:
    """A connection of a program that is not ours."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)

    def command(self, *words):
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words))
        return self.socket.recv(4096)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def redis_pid(service):
    with open(os.path.join(service.folder, "d", "redis.pid"), encoding="ascii") as file:
        return int(file.read())


def kill_redis(service):
    os.kill(redis_pid(service), signal.SIGKILL)


def ready(service):
    return service.get("/readyz").status == 200


def test_a_redis_server_that_is_gone_is_named_and_started_when_it_is_back(tmp_path):
    program = tmp_path / "redis-server"
    program.symlink_to(REDIS)
    service = Service(environment={"PATH": f"{tmp_path}:/nowhere"})
    try:
        program.unlink()
        kill_redis(service)
        wait_until(lambda: "does not start: redis-server" in service.log(), 10, service.log)
        assert "no such file" in service.log()
        program.symlink_to(REDIS)
        wait_until(lambda: ready(service), 15, service.log)
        assert service.log().count("does not start: redis-server") == 1
    finally:
        service.stop()


def lines_of_redis(service):
    return [line for line in service.log().splitlines() if "redis-server: " in line]


def test_what_it_writes_is_in_our_log_in_our_form_and_in_no_file_of_its_own():
    service = Service(log_format="json")
    try:
        wait_until(lambda: any("ready to accept connections" in line for line in lines_of_redis(service)), 10, service.log)
        first = json.loads(lines_of_redis(service)[0])
        assert first["process"] == "supervisor" and first["level"] == "info" and "Redis is starting" in first["text"]
        assert not any(re.search(r"\d+:M \d\d", line) for line in lines_of_redis(service)), "our time alone"
        assert "redis.log" not in os.listdir(os.path.join(service.folder, "d"))
    finally:
        service.stop()


def test_one_that_outlives_its_supervisor_is_heard_by_the_next_one():
    service = Service()
    try:
        service.process.kill()
        service.process.wait()
        with RawRedis(os.path.join(service.folder, "d/redis.sock")) as redis:
            assert redis.command("CONFIG", "SET", "loglevel", "verbose").startswith(b"+OK")  # it also tells of connections
            before = len(lines_of_redis(service))
            assert redis.command("BGREWRITEAOF")[:1] in b"+-"
        service.start()
        wait_until(lambda: any("rewriting" in line for line in lines_of_redis(service)[before:]), 10, service.log)
    finally:
        service.stop()


def test_it_waits_for_nobody_who_reads_its_log():
    """The supervisor stands still, and Redis writes more than its pipe holds."""
    service = Service(hang_timeout="0")
    try:
        os.kill(service.process.pid, signal.SIGSTOP)
        with RawRedis(os.path.join(service.folder, "d/redis.sock")) as redis:
            for _ in range(1500):
                assert redis.command("EVAL", "redis.log(redis.LOG_WARNING, string.rep('x', 900))", "0").startswith(b"$-1")
        os.kill(service.process.pid, signal.SIGCONT)
        wait_until(lambda: " warn: redis-server: xxx" in service.log(), 10, service.log)
        assert service.log().count("redis-server: xxx") < 1500
    finally:
        os.kill(service.process.pid, signal.SIGCONT)
        service.stop()


def test_a_redis_server_that_may_not_be_run_is_named_and_not_the_folder(tmp_path):
    program = tmp_path / "redis-server"
    program.write_text("", encoding="ascii")
    program.chmod(0o644)
    done = subprocess.run([PROGRAM, "--redis", f"embedded:{tmp_path}/d", "--listen", f"127.0.0.1:{free_port()}", "--ops-listen",
                           f"127.0.0.1:{free_port()}"], env={"PATH": str(tmp_path)}, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode != 0 and "redis-server: permission denied" in done.stderr, done.stderr


def test_the_embedded_redis_has_the_settings_that_are_named_for_one_of_your_own():
    with open(os.path.join(os.path.dirname(PROGRAM), "..", "deploy", "redis.conf"), encoding="utf-8") as file:
        wanted = dict(line.split(None, 1) for line in file.read().splitlines() if line and not line.startswith("#"))
    service = Service()
    try:
        client = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))
        assert wanted["appendfsync"] == "always"
        assert {name: client.config_get(name)[name] for name in wanted} == {name: value.strip('"') for name, value in wanted.items()}
    finally:
        service.stop()


def test_a_rankings_set_is_compact_only_while_it_is_small():
    """A commit would read a long compact set from its beginning for each place, every score from text."""
    service = Service(partitions=1, rate_limits="off")
    try:
        client = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))

        def encoding(items):
            done = service.lines("/v1/s/events?wait=true", [{"type": "vote", "item": f"i{n}", "visitor": f"v{n}"} for n in range(items)])
            assert done.json["accepted"] == items
            sets = list(client.scan_iter("*:hot:no-card", count=1000))
            assert [client.zcard(key) for key in sets] == [items]
            return client.object("encoding", sets[0])

        assert (encoding(60), encoding(100)) == (b"listpack", b"skiplist")
    finally:
        service.stop()
