# SPDX-License-Identifier: MIT
"""Listeners that are Unix sockets: who may connect (listen_mode), and whose file is at the path.

    what is done                                     what is expected
    another user, another group connect              by listen_mode, exactly; by the umask without it
    a reload with another listen_mode                the mode follows when the new processes have taken over
    the same path for two services, at any moment    the second one is refused, the first one never loses its socket
    two listeners, one file by two paths             refused in a line
    the file is removed, then a reload               it is there again
    another's file stands there at the end           it stays
"""
import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from support.ports import free_port
from support.program import PROGRAM, options_of
from support.service import Service
from support.wait import wait_until

ASK = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[3]))
client = socket.socket(socket.AF_UNIX); client.settimeout(20)
try:
    client.connect(sys.argv[1])
except PermissionError:
    sys.exit(13)
client.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
sys.exit(0 if client.recv(100).startswith(b"HTTP/1.1 200") else 1)
"""
GROUP, USER, OTHERS = 54321, 54322, 54323  # none of them is anybody's
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def gets_in(path, group, user):
    code = subprocess.run([sys.executable, "-c", ASK, path, str(group), str(user)]).returncode
    assert code in (0, 13), code
    return code == 0


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.fixture
def folder(open_folder):
    """A folder that others may pass, and whose files have the group GROUP."""
    made = open_folder / "run"
    made.mkdir()
    if os.geteuid() == 0:
        os.chown(made, 0, GROUP)
        made.chmod(0o2755)
    return made


@ROOT_ONLY
@pytest.mark.parametrize("mode,same_group,others", [("0660", True, False), ("0600", False, False), ("666", True, True),
                                                     ("0606", False, True)])
def test_who_gets_in_goes_by_listen_mode(own, folder, mode, same_group, others):
    paths = [str(folder / "ops.sock"), str(folder / "publisher.sock")]
    own(listen_mode=mode, ops_listen=f"unix:{paths[0]}", publisher_listen=f"unix:{paths[1]}")
    for path in paths:
        assert mode_of(path) == int(mode, 8)
        assert gets_in(path, GROUP, USER) == same_group
        assert gets_in(path, OTHERS, USER) == others


def test_without_it_the_umask_counts(own, folder):
    path = str(folder / "ops.sock")
    before = os.umask(0o037)
    try:
        own(ops_listen=f"unix:{path}")
    finally:
        os.umask(before)
    assert mode_of(path) == 0o740


@pytest.mark.parametrize("mode", ["0460", "660x", "06600", "6", "0o660", "1660", "rw", "0668", "-660"])
def test_what_is_no_mode_is_refused(mode):
    done = subprocess.run([PROGRAM, "check", f"--listen-mode={mode}"], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "listen-mode" in done.stderr.replace("_", "-") and "0600 to 0777" in done.stderr


def reload(service, word="have taken over", times=1):
    count = service.log().count(word)
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: service.log().count(word) >= count + times, 20, service.log)


def test_a_reload_changes_the_mode_and_one_that_is_refused_does_not(own, folder):
    path = str(folder / "ops.sock")
    service = own(configuration="listen_mode = 0600\n", ops_listen=f"unix:{path}")
    service.configure("listen_mode = 0666\nmax_age = soon\n")
    reload(service, "the settings before stay")
    assert mode_of(path) == 0o600
    service.configure("listen_mode = 0666\n")
    reload(service)
    assert mode_of(path) == 0o666
    service.configure("listen_mode = 0640\n")
    reload(service)
    assert mode_of(path) == 0o640 and answers(path)


def answers(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        try:
            client.connect(path)
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


def start_another(folder, **settings):
    named = {"listen": f"127.0.0.1:{free_port()}", "ops_listen": f"127.0.0.1:{free_port()}", "workers": 1,
             "redis": f"embedded:{folder}", **settings}
    return subprocess.run([PROGRAM, *options_of(named)], stderr=subprocess.PIPE, text=True, timeout=60)


def test_a_second_service_on_the_path_is_refused_and_takes_nothing_away(own, folder, tmp_path):
    path = str(folder / "ops.sock")
    own(ops_listen=f"unix:{path}")
    inode = os.stat(path).st_ino
    done = start_another(tmp_path / "other", ops_listen=f"unix:{path}")
    assert done.returncode == 1 and f"cannot listen on unix:{path}: address already in use" in done.stderr.lower(), done.stderr
    assert os.stat(path).st_ino == inode and answers(path)


def test_a_second_service_takes_no_socket_away_that_does_not_listen_yet(folder, tmp_path):
    """As it is for a moment of each start: bound, and its workers have not begun to listen."""
    path = str(folder / "ops.sock")
    with socket.socket(socket.AF_UNIX) as first:
        first.bind(path)
        done = start_another(tmp_path / "other", ops_listen=f"unix:{path}")
        assert done.returncode == 1 and "address already in use" in done.stderr.lower(), done.stderr
        first.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


@pytest.mark.parametrize("spelling", ["{folder}/./ops.sock", "{folder}/../run/ops.sock", "{link}/ops.sock", "ops.sock"])
def test_two_listeners_of_one_file_are_refused(folder, tmp_path, spelling):
    (tmp_path / "link").symlink_to(folder)
    other = spelling.format(folder=folder, link=tmp_path / "link")
    named = {"listen": f"unix:{folder}/ops.sock", "ops_listen": f"unix:{other}", "workers": 1, "redis": f"embedded:{tmp_path}/d"}
    done = subprocess.run([PROGRAM, *options_of(named)], cwd=folder, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert f"unix:{other}" in done.stderr or "ops_listen" in done.stderr, done.stderr
    assert not os.path.exists(folder / "ops.sock"), "its own goes when it ends"
    named.pop("workers"), named.pop("redis")
    checked = subprocess.run([PROGRAM, "check", *options_of(named)], cwd=folder, stderr=subprocess.PIPE, text=True, timeout=60)
    assert checked.returncode == 1 and "ops_listen" in checked.stderr, checked.stderr


def test_a_file_that_somebody_removed_is_there_again_after_a_reload(own, folder):
    path = str(folder / "ops.sock")
    service = own(ops_listen=f"unix:{path}", workers=2, listen_mode="0660")
    os.unlink(path)
    reload(service)
    assert answers(path) and mode_of(path) == 0o660
    service.stop()
    assert not os.path.exists(path)


def test_what_another_has_put_there_stays_at_the_end(own, folder):
    path = str(folder / "ops.sock")
    service = own(ops_listen=f"unix:{path}")
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        service.stop()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_the_file_that_a_killed_service_left_is_replaced(own, folder):
    path = str(folder / "ops.sock")
    service = own(ops_listen=f"unix:{path}")
    service.process.kill()
    service.process.wait()
    wait_until(lambda: not answers(path), 10, "its workers go with it")
    assert os.path.exists(path)
    service.start()
    assert answers(path)
