# SPDX-License-Identifier: MIT
"""The folder of the embedded Redis, and the redis-server that runs in it.

    what is done                                what is expected
    the folder is moved away, Redis restarts    named, 503, back when it is moved back
    another one is put in its place             no Redis begins there: what was acknowledged is not forgotten
    the disk is full                            503, and Redis's own words in the log; nothing acknowledged is lost; back by
                                                itself when there is room
    no rights, a file, a dangling link          refused in one line with the path
    a link to a folder                          works
    redis-server that ends, hangs, is stopped   named; back when it is another one
"""
import os
import shutil
import signal
import subprocess

import pytest

from support.ports import free_port
from support.processes import redis_pid
from support.program import PROGRAM, options_of
from support.service import Service
from support.wait import wait_until

REDIS = shutil.which("redis-server")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may")


def vote(service, visitor, item="a"):
    return service.keyed("POST", f"/v1/s/items/{item}/votes", Engaged_Visitor=visitor)


def back(service, visitor="w"):
    return wait_until(lambda: (answer := vote(service, visitor)).status == 200 and answer, 30, service.log)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_is_moved_away_is_named_and_no_other_one_is_begun(own, replaced):
    service = own()
    for visitor in range(5):
        assert vote(service, f"v{visitor}").status == 200
    folder = f"{service.folder}/d"
    os.rename(folder, folder + ".moved")
    if replaced:
        os.mkdir(folder)
    os.kill(redis_pid(folder + ".moved"), signal.SIGKILL)
    wait_until(lambda: "was moved or replaced" in service.log(), 20, service.log)
    assert folder in service.log() and vote(service, "no").status == 503
    if replaced:
        assert os.listdir(folder) == []
        os.rmdir(folder)
    os.rename(folder + ".moved", folder)
    assert back(service).json["votes"]["up"] == 6


@ROOT_ONLY
def test_a_full_disk_is_503_and_named_and_nothing_acknowledged_is_lost(own, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no mount here")
    try:
        service, acknowledged = own(redis=f"embedded:{disk}/d"), 0
        while acknowledged < 60000:
            rows = [{"type": "vote", "item": f"a{acknowledged + n}", "visitor": "v"} for n in range(100)]
            answer = service.lines("/v1/s/events", rows)
            if answer.status != 200 or answer.json["accepted"] != len(rows):
                break
            acknowledged += len(rows)
        assert 0 < acknowledged < 60000
        wait_until(lambda: "AOF write error" in service.log(), 20, service.log)
        wait_until(lambda: vote(service, "w", "more").status == 503, 20, "it takes votes without a disk")
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        back(service)
        for number in range(0, acknowledged, 97):
            assert vote(service, "v", f"a{number}").json["votes"]["up"] == 1
        service.stop()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def refused(folder, *wrapper, environment=None):
    named = {"listen": f"127.0.0.1:{free_port()}", "ops_listen": f"127.0.0.1:{free_port()}", "workers": 1,
             "redis": f"embedded:{folder}"}
    environment = {**(environment or os.environ), "ASAN_OPTIONS": "detect_leaks=0"}  # it ends at once, with all that it holds
    done = subprocess.run([*wrapper, PROGRAM, *options_of(named)], stderr=subprocess.PIPE, text=True, timeout=60, env=environment)
    assert done.returncode == 1 and str(folder) in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.lower()


def test_what_is_no_folder_of_data_is_refused_in_a_line(tmp_path):
    (tmp_path / "file").write_text("x", encoding="ascii")
    (tmp_path / "link").symlink_to("/nowhere")
    assert "not a directory" in refused(tmp_path / "file")
    assert "no such file" in refused(tmp_path / "link")
    assert "no such file" in refused(tmp_path / "a" / "b")
    assert "redis-server: no such file" in refused(tmp_path / "d", environment={"PATH": "/nowhere"})


@ROOT_ONLY
def test_a_folder_without_rights_is_refused_in_a_line(open_folder):
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    (open_folder / "own").mkdir()
    (open_folder / "own").chmod(0o555)
    assert "permission denied" in refused(open_folder / "own", *nobody)
    assert "permission denied" in refused(open_folder / "new", *nobody)


def test_a_link_to_a_folder_works(own, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    service = own(redis=f"embedded:{tmp_path}/link")
    assert vote(service, "v").status == 200
    os.kill(redis_pid(tmp_path / "link"), signal.SIGKILL)
    assert back(service).json["votes"]["up"] == 2


def test_the_last_words_of_a_redis_that_ends_are_in_the_log(tmp_path):
    program = tmp_path / "redis-server"
    program.symlink_to(REDIS)
    service = Service(environment={"PATH": f"{tmp_path}:/bin:/usr/bin"})
    try:
        assert vote(service, "v").status == 200
        program.unlink()
        program.write_text("#!/bin/sh\necho 'this version knows no such option'\nexit 3\n", encoding="ascii")
        program.chmod(0o755)
        os.kill(service.redis_pid(), signal.SIGKILL)
        wait_until(lambda: "ended (status 3)" in service.log(), 20, service.log)
        assert ": this version knows no such option" in service.log()
        program.unlink()
        program.symlink_to(REDIS)
        assert back(service).json["votes"]["up"] == 2
    finally:
        service.stop()


def test_a_redis_that_does_not_answer_is_named_once_and_when_it_is_over(own):
    service = own()
    os.kill(redis := service.redis_pid(), signal.SIGSTOP)
    try:
        wait_until(lambda: "has not answered" in service.log(), 40, service.log)
        assert vote(service, "v").status == 503
    finally:
        os.kill(redis, signal.SIGCONT)
    wait_until(lambda: "answers again" in service.log(), 20, service.log)
    back(service)
    assert service.log().count("has not answered") == 1 and service.redis_pid() == redis


def test_a_redis_that_never_listens_is_named(tmp_path, ending):
    class Begun(Service):
        def start(self):
            self.process = self.spawn(**self.environment)

    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\nexec sleep 600\n", encoding="ascii")
    program.chmod(0o755)
    service = ending(Begun(environment={"PATH": f"{tmp_path}:/bin:/usr/bin"}))
    wait_until(lambda: "has not answered" in service.log(), 40, service.log)
    assert "redis.sock" in service.log()
