# SPDX-License-Identifier: MIT
"""Secrets that files hold: which files are refused, and that processes have what was there when the settings were read."""
import os
import signal

import pytest

from support.place import Place
from support.processes import read_file
from support.redis_server import RedisServer
from support.service import Service, WaitingService
from support.wait import wait_until

SECRET, HASH, KEY = "1a" * 32, "3c" * 32, "publishers-key"


def write(path, text, mode=0o600):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def put(service, key, site="s"):
    return service.request("PUT", f"/v1/{site}/items/a", {"title": "t"}, Authorization=f"Bearer {key}").status


# ---- What is refused

@pytest.mark.parametrize("make, why", [
    (lambda path: write(path, ""), "is empty"),
    (lambda path: write(path, "\n"), "is empty"),
    (lambda path: write(path, "\r\n"), "is empty"),
    (lambda path: path.mkdir(), "is a directory"),
    (lambda path: None, "No such file"),
    (lambda path: os.mkfifo(path), "is not a file"),
    (lambda path: path.symlink_to("/dev/null"), "is not a file"),
    (lambda path: path.symlink_to(path), "symbolic links"),
    (lambda path: write(path, SECRET, 0o604), "other users can read or change"),
    (lambda path: write(path, SECRET, 0o602), "other users can read or change"),
    (lambda path: write(path, SECRET, 0o620), "other users can read or change"),
    (lambda path: write(path, "a" * 4097), "is too large"),
    (lambda path: write(path, SECRET + "\n\n"), "more than one line"),
    (lambda path: write(path, SECRET + "\n" + SECRET), "more than one line"),
    (lambda path: write(path, SECRET + "\0"), "control character"),
    (lambda path: write(path, SECRET[:-1]), "not 64 hex digits"),
    (lambda path: write(path, SECRET + " "), "longer than 64 bytes"),
    (lambda path: write(path, "a" * 4096), "longer than 64 bytes"),
])
def test_a_file_that_holds_no_secret_is_refused_by_name(tmp_path, make, why):
    path = tmp_path / "secret"
    make(path)
    line = Place(tmp_path).compare("--secret-file", path)
    assert line.startswith(f"settings: secret_file: {path}") and why in line and SECRET[:16] not in line, line


@pytest.mark.parametrize("name", ["secret", "secret_old", "hash_key", "secret_key", "sentinel_password"])
def test_a_secret_and_its_file_are_too_much(tmp_path, name):
    path = write(tmp_path / "file", SECRET)
    line = Place(tmp_path).compare("--config", write(tmp_path / "conf", f"{name} = {HASH}\n"), f"--{name.replace('_', '-')}-file", path)
    assert f"{name}_file: {name} is set too" in line and HASH not in line, line


@pytest.mark.parametrize("lines, why", [
    ("secret_key = a\nsecret_key_file = {path}\n", "only one of them"), ("secret_key_file = {path}\nsecret_key = a\n", "only one of them"),
    ("secret_key_file = {path}\nsecret_key_file = {path}\n", "twice"), ("secret_key_file =\n", "No such file"),
    ("secret_key_file = {path}.not\n", "No such file"), ("secret_key_file = {open}\n", "other users can read")])
def test_the_key_file_of_a_site_is_refused_with_its_line(tmp_path, lines, why):
    path, public = write(tmp_path / "key", KEY), write(tmp_path / "open", KEY, 0o644)
    text = "[site a.example]\n" + lines.format(path=path, open=public)
    line = Place(tmp_path).compare("--config", write(tmp_path / "conf", text))
    assert f"conf:{text.count(chr(10))}: " in line and why in line, line


def test_an_editors_line_end_and_a_group_are_right(tmp_path):
    place = Place(tmp_path)
    write(tmp_path / "unix", SECRET + "\n", 0o640)
    write(tmp_path / "dos", HASH + "\r\n", 0o400)
    (tmp_path / "link").symlink_to("dos")
    write(tmp_path / "key", "sha256:" + HASH.upper())
    code, said = place.run("check", "--redis", "redis://127.0.0.1:1", "--secret-file", "unix", "--hash-key-file", "link",
                           "--secret-key-file", "key", "--secret-old-file", "dos")
    assert code == 0, said


# ---- Credentials of systemd

def test_credentials_are_taken_where_nothing_else_is_set(tmp_path):
    place, folder = Place(tmp_path), tmp_path / "credentials"
    folder.mkdir()
    write(folder / "engaged.secret", SECRET, 0o440)  # as systemd makes them for a user that is not their owner
    write(folder / "engaged.hash_key", HASH, 0o440)
    at = {"CREDENTIALS_DIRECTORY": str(folder)}
    assert "secret: is required" in place.run("check", "--redis", "redis://h1")[1]
    assert place.run("check", "--redis", "redis://h1", **at)[0] == 0
    code, said = place.run("check", "--redis", "redis://h1", "--secret", HASH, **at)
    assert code == 1 and "credential engaged.secret: secret is set too" in said, said
    code, said = place.run("check", "--redis", "redis://h1", "--secret-file", write(tmp_path / "other", "no key"), **at)
    assert code == 1 and "secret_file: " in said, "the setting wins over the credential"
    write(folder / "engaged.hash_key", HASH, 0o444)
    code, said = place.run("check", "--redis", "redis://h1", **at)
    assert code == 1 and f"credential engaged.hash_key: {folder}/engaged.hash_key is a secret that other users" in said, said


def test_a_service_has_its_secrets_from_credentials(tmp_path):
    write(tmp_path / "engaged.secret_key", KEY + "\n", 0o440)
    service = Service(environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}, secret_key="")
    try:
        assert put(service, KEY) == 200 and put(service, "k") == 403
    finally:
        service.stop()


# ---- What processes have

def test_a_reload_reads_the_files_again_and_nothing_else_does(own, tmp_path):
    key, site = write(tmp_path / "key", "first"), write(tmp_path / "site", "sites")
    service = own(secret_key="", secret_key_file=key, configuration=f"[site t]\nsecret_key_file = {site}\n")
    assert (put(service, "first"), put(service, "sites", "t"), put(service, "sites")) == (200, 200, 403)
    write(key, "second")
    write(site, "another")
    (worker,) = service.children("worker")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: service.children("worker") not in ([worker], []) and service.is_ready(), 20, service.log)
    assert (put(service, "first"), put(service, "second"), put(service, "sites", "t")) == (200, 403, 200), "as its generation began"
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: (put(service, "first"), put(service, "second"), put(service, "another", "t"), put(service, "sites", "t"))
               == (403, 200, 200, 403), 20, service.log)
    key.chmod(0o644)
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: f"secret_key_file: {key} is a secret" in service.log(), 20, service.log)
    assert "the settings before stay" in service.log() and put(service, "second") == 200
    key.unlink()
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: f"secret_key_file: {key} No such file" in service.log(), 20, service.log)
    assert put(service, "second") == 200 and "another" not in service.log()


@pytest.mark.parametrize("unix", [False, True])
def test_the_password_of_redis_comes_from_a_file(ending, tmp_path, unix):
    server = RedisServer(unix=unix, requirepass=KEY)
    server.password = KEY
    with server:
        path = write(tmp_path / "password", KEY + "\n")
        service = ending(WaitingService(redis=server.url, redis_password_file=path))
        service.wait_taken()
        write(path, "wrong")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "WRONGPASS" in service.log(), 20, service.log)
        assert service.vote("another").status == 200, "the new processes never get ready; those before go on"


def test_passwords_stand_in_no_command_line(ending):
    service = ending(WaitingService(redis="sentinel://127.0.0.1:1/m", redis_password=KEY, sentinel_password=SECRET))
    for pid in [service.process.pid, *service.children("worker"), *service.children("projector")]:
        command = read_file(f"/proc/{pid}/cmdline")
        assert KEY.encode() not in command and SECRET.encode() not in command, command
