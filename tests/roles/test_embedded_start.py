# SPDX-License-Identifier: MIT
"""An embedded Redis that cannot start says why, and is back by itself when the cause is gone."""
import os
import shutil
import signal
import subprocess

from support.ports import free_port
from support.service import PROGRAM, Service
from support.wait import wait_until

REDIS = shutil.which("redis-server")


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


def test_a_log_that_cannot_be_opened_is_named(tmp_path):
    service = Service()
    try:
        log = os.path.join(service.folder, "d", "redis.log")
        os.rename(log, log + ".old")
        os.mkdir(log)
        kill_redis(service)
        wait_until(lambda: "does not start: redis.log" in service.log(), 10, service.log)
        assert "on a directory" in service.log()
        os.rmdir(log)
        wait_until(lambda: ready(service), 15, service.log)
    finally:
        service.stop()


def test_a_redis_server_that_may_not_be_run_is_named_and_not_the_folder(tmp_path):
    program = tmp_path / "redis-server"
    program.write_text("", encoding="ascii")
    program.chmod(0o644)
    done = subprocess.run([PROGRAM, "--redis", f"embedded:{tmp_path}/d", "--listen", f"127.0.0.1:{free_port()}", "--ops-listen",
                           f"127.0.0.1:{free_port()}"], env={"PATH": str(tmp_path)}, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode != 0 and "redis-server: permission denied" in done.stderr, done.stderr
