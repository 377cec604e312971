# SPDX-License-Identifier: MIT
"""Others on the machine can read neither secrets nor data of a service. Also what `make install` leaves."""
import os
import re
import shutil
import signal
import stat
import subprocess

import pytest
from support.documents import blocks, text_of
from support.launch import status_at
from support.ports import free_port
from support.processes import redis_pid
from support.program import BUILD, ROOT, options_of
from support.service import PROGRAM, Service
from support.wait import wait_until

SECRET, OLD, HASH, KEY = "1a" * 32, "2b" * 32, "3c" * 32, "publishers-key"


def read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def processes_of(service):
    return [service.process.pid, *service.children("worker"), *service.children("projector")]


def test_secrets_of_the_command_line_stand_in_no_command_line(own, tmp_path):
    service = own(redis=f"embedded:{tmp_path}/d", secret=SECRET, secret_old=OLD, hash_key=HASH, secret_key=KEY, workers=2)
    put = lambda: service.request("PUT", "/v1/s/items/a", {"title": "t"}, Authorization=f"Bearer {KEY}").status  # noqa: E731
    assert put() == 200
    for reloads in (1, 2):
        wait_until(lambda: len(processes_of(service)) == 4, 15, "processes of before the reload end")
        for pid in [*processes_of(service), redis_pid(tmp_path / "d")]:
            command = read(pid, "cmdline")
            parts = [secret[at:at + 8] for secret in (SECRET, OLD, HASH) for at in range(0, len(secret), 8)]
            assert not any(part.encode() in command for part in (*parts, KEY)), command
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.log().count("have taken over") == reloads, 15, service.log)
        assert put() == 200 and service.get("/v1/s/items/a").status == 200
    assert not any(secret in service.log() for secret in (SECRET, OLD, HASH, KEY))


def test_the_command_line_still_beats_the_environment(tmp_path):
    service = Service(environment={"ENGAGED_SECRET_KEY": "another"}, secret_key=KEY)
    try:
        for key, status in ((KEY, 200), ("another", 403)):
            assert service.request("PUT", "/v1/s/items/a", {}, Authorization=f"Bearer {key}").status == status
    finally:
        service.stop()


def test_redis_does_not_get_the_secrets(tmp_path):
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "redis-server"
    wrapper.write_text(f'#!/bin/sh\nenv >{tmp_path}/environment\nexec {shutil.which("redis-server")} "$@"\n')
    wrapper.chmod(0o755)
    service = Service(environment={"ENGAGED_SECRET_KEY": KEY, "ENGAGED_SECRET": SECRET, "KEPT": "yes",
                                   "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}, redis=f"embedded:{tmp_path}/d", secret_old=OLD)
    try:
        environment = (tmp_path / "environment").read_text()
        assert "ENGAGED_" not in environment and "KEPT=yes" in environment
        assert not any(secret in environment for secret in (KEY, SECRET, OLD))
    finally:
        service.stop()


def open_to_others(directory):
    found = []
    for folder, _, files in os.walk(directory):
        found += [path for name in files if stat.S_IMODE(os.stat(path := os.path.join(folder, name)).st_mode) & 0o077]
    return found


def test_the_data_is_readable_for_its_owner_alone_also_in_a_folder_that_is_open(own, tmp_path):
    """`mkdir data` under the usual umask, as people do."""
    directory = tmp_path / "d"
    directory.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        service = own(redis=f"embedded:{directory}")
        assert service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="v").status == 200
        assert "secrets" in os.listdir(directory) and os.listdir(directory / "appendonlydir")
        assert open_to_others(directory) == []
        assert stat.S_IMODE(os.stat(directory / "secrets").st_mode) == 0o600
        service.stop()
        for name in os.listdir(directory / "appendonlydir"):
            os.chmod(directory / "appendonlydir" / name, 0o644)  # as a version before left them
        again = own(redis=f"embedded:{directory}")
        assert open_to_others(directory) == []
        assert again.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="w").json["votes"] == {"up": 2}
    finally:
        os.umask(before)


# ---- What is installed

def install(folder):
    sanitizer = BUILD.removeprefix("build-").replace("-", ",") if BUILD.startswith("build-") else ""
    subprocess.run(["make", "-s", "install", f"DESTDIR={folder}", f"SANITIZER={sanitizer}"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)


@pytest.mark.skipif(os.path.isabs(BUILD), reason="another tree's program")
def test_make_install_leaves_a_unit_that_starts_and_keeps_a_configuration_that_is_there(tmp_path):
    install(tmp_path)
    unit = (tmp_path / "usr/local/lib/systemd/system/engaged.service").read_text()
    command = re.search(r"^ExecStart=(.*)$", unit, re.M).group(1).split()
    assert "redis = embedded:/var/lib/engaged\n" in (tmp_path / "etc/engaged.conf").read_text()
    command = [word if word.startswith("--") else f"{tmp_path}{word}" for word in command]
    port = free_port()
    process = subprocess.Popen([*command, "--redis", f"embedded:{tmp_path}/data", "--listen", f"127.0.0.1:{port}", "--ops-listen", f"127.0.0.1:{free_port()}",
                                "--workers", "1"], stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: process.poll() is not None or status_at(port) == 200, 20)
        assert process.poll() is None, process.stderr.read()
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
    (tmp_path / "etc/engaged.conf").write_text("max_age = 7\n")
    install(tmp_path)
    assert (tmp_path / "etc/engaged.conf").read_text() == "max_age = 7\n"
    assert "max_age = 1" in (tmp_path / "usr/local/share/doc/engaged/examples/engaged.conf").read_text()
    examples = tmp_path / "usr/local/share/doc/engaged/examples"
    named = {path for name in ("operating", "cluster") for path in re.findall(r"\]\(\.\./deploy/([\w/.-]+\.(?:conf|yml|json))\)", text_of(f"docs/{name}.md"))}
    assert len(named) > 9 and not [path for path in named if not (examples / path).exists() and not (examples / os.path.basename(path)).exists()]
    assert "B engaged check" in (tmp_path / "usr/local/share/man/man8/engaged.8").read_text()
    assert "B max_age\n" in (tmp_path / "usr/local/share/man/man5/engaged.conf.5").read_text()


def test_the_secrets_of_the_compose_file_stay_where_they_are(tmp_path):
    """Nobody else reads them, a second call keeps them, and neither git nor the image takes them along."""
    command = next(text for text in blocks("docs/operating.md", "sh") if "docker compose" in text)
    (tmp_path / "deploy/container").mkdir(parents=True)
    made = tmp_path / "deploy/container/.env"
    texts = []
    for _ in range(2):
        subprocess.run(["sh", "-ec", "docker() { :; }\n" + command], cwd=tmp_path, check=True, umask=0o022)
        assert stat.S_IMODE(made.stat().st_mode) == 0o600
        texts.append(made.read_text())
    assert texts[0] == texts[1] and len(re.findall(r"^ENGAGED_\w+=[0-9a-f]{64}$", texts[0], re.M)) == 3
    with open(os.path.join(ROOT, "deploy/container/Dockerfile.dockerignore"), encoding="utf-8") as file:
        assert "**/.env\n" in file.readlines()
    if os.path.exists(os.path.join(ROOT, ".git")):
        assert subprocess.run(["git", "check-ignore", "-q", "deploy/container/.env"], cwd=ROOT).returncode == 0


def test_make_run_beside_one_that_runs_says_so_and_starts_nothing(own):
    service = own()
    done = subprocess.run([f"{ROOT}/deploy/run-sample"], env={**os.environ, "ENGAGED_LISTEN": f"127.0.0.1:{service.port}"},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1 and "answers on" in done.stderr and "engaged runs on" not in done.stdout


def test_the_unit_leaves_little_open():
    try:
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", f"{ROOT}/deploy/engaged.service"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError:
        pytest.skip("no systemd-analyze")
    level = re.search(r"Overall exposure level for engaged.service: ([\d.]+)", done.stdout)
    if not level:
        pytest.skip("an older systemd-analyze")
    assert float(level.group(1)) <= 2, done.stdout


def calls_of(name):
    """The system calls of one of systemd's sets."""
    shown = subprocess.run(["systemd-analyze", "syscall-filter", name], stdout=subprocess.PIPE, text=True, check=True).stdout
    names = [line.strip() for line in shown.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*(calls_of(one) if one.startswith("@") else {one} for one in names))


class Traced(Service):
    def __init__(self, trace, **settings):
        self.wrapper = ("strace", "-D", "-f", "-qq", "-o", str(trace))
        super().__init__(**settings)


@pytest.mark.skipif(BUILD != "build" or not shutil.which("strace") or not shutil.which("systemd-analyze"),
                    reason="no strace, no systemd-analyze, or a program that calls more for its sanitizer")
def test_the_units_filter_allows_all_that_is_called(tmp_path):
    with open(f"{ROOT}/deploy/engaged.service", encoding="utf-8") as file:
        filters = re.findall(r"^SystemCallFilter=(~?)(\S+)$", file.read(), re.M)
    allowed = set().union(*(calls_of(name) for no, name in filters if not no))
    allowed -= set().union(*(calls_of(name) for no, name in filters if no))
    service = Traced(tmp_path / "trace", hang_timeout="0")
    try:
        assert service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="v").status == 200
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "have taken over" in service.log(), 30, service.log)
    finally:
        service.stop()
    called = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", (tmp_path / "trace").read_text(errors="replace"), re.M))
    assert len(called) > 40 and called <= allowed, called - allowed


# ---- engaged check says what the start would

@pytest.mark.parametrize("text,why", [
    ("".join(f"[ranking r{n}]\nhalf_life = {n}h\n" for n in range(7, 23)), "half-lives"),
    ("".join(f"[ranking r{n}]\ntype = rising\nhalf_life = {5 ** n}m\n" for n in range(1, 9)), "half-lives"),
    ("redis = redis://127.0.0.1:1\n", "secret"),
    (f"redis = redis://127.0.0.1:1\nsecret = {SECRET}\n", "hash_key"),
    (f"redis = redis://127.0.0.1:0\nsecret = {SECRET}\nhash_key = {HASH}\n", "redis"),
    (f"redis = redis://127.0.0.1:70000\nsecret = {SECRET}\nhash_key = {HASH}\n", "redis"),
    ("redis = embedded:\n", "directory"),
    ("redis = embedded:" + "d" * 97 + "\n", "107 bytes"),
    ("redis = embedded:{folder}/file\n", "not a directory"),
    ("redis = embedded:{folder}/spoilt\n", "not a file of secrets"),
    ("redis = embedded:{folder}/not/there\n", "no such file"),
    ("redis = embedded:{folder}/file/d\n", "not a directory"),
    ("ops_listen = no-such-host.invalid:80\n", "cannot listen on no-such-host.invalid:80"),
    ("publisher_listen = 203.0.113.5:80\n", "cannot listen on 203.0.113.5:80"),
    ("listen = unix:{folder}/not/there.sock\n", "cannot listen on unix:"),
    ("body_cache = 17179869185GiB\n", "size"),
    ("body_cache = 9223372036854775808\n", "size"),
])
def test_check_refuses_what_the_start_refuses(tmp_path, text, why):
    (tmp_path / "file").write_text("")
    (tmp_path / "spoilt").mkdir()
    (tmp_path / "spoilt" / "secrets").write_text("nothing\n")
    config = tmp_path / "engaged.conf"
    config.write_text(text.replace("{folder}", str(tmp_path)))
    before = sorted(os.listdir(tmp_path))
    for command in (["check"], []):
        options = ["--config", str(config)]
        for name in ("listen", "ops_listen"):
            if f"\n{name} =" not in "\n" + text.replace("publisher_listen", ""):
                options += [f"--{name.replace('_', '-')}", f"127.0.0.1:{free_port()}"]
        done = subprocess.run([PROGRAM, *command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=20)
        assert done.returncode == 1 and why in done.stderr.lower(), (command, done.stdout, done.stderr)
        assert SECRET not in done.stderr
    assert sorted(os.listdir(tmp_path)) == before


def test_check_beside_the_service_that_runs(own):
    service = own()
    done = subprocess.run([PROGRAM, "check", *options_of(service.settings)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert service.get("/readyz").status == 200


@pytest.mark.parametrize("text", [
    "".join(f"[ranking r{n}]\nhalf_life = {n}h\n" for n in range(7, 22)),  # with the site's popularity, 16
    "".join(f"[ranking r{n}]\nhalf_life = {n}h\n" for n in range(6, 22)),  # whose half-life one of them has
    "".join(f"[ranking t{n}]\ntype = total\n" for n in range(32)),
    f"redis = redis://127.0.0.1:1\nsecret = {SECRET}\nhash_key = {HASH}\n", "redis = embedded:" + "d" * 96 + "\n",
    "body_cache = 64GiB\n", "listen = unix:here.sock\n", "publisher_listen = ops_listen\n", "redis = embedded:d/\n",
])
def test_check_takes_what_the_start_takes_and_makes_nothing(tmp_path, text):
    config = tmp_path / "engaged.conf"
    config.write_text(text)
    done = subprocess.run([PROGRAM, "check", "--config", str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == ["engaged.conf"]


def test_a_kind_of_vote_that_a_ranking_does_not_name_weighs_nothing():
    service = Service(configuration="kinds = up down\n[ranking r]\nvotes = up:1\nviews = 0\n[ranking all]\nvotes = 1\nviews = 0\n"
                                    "[ranking both]\nvotes = up:2 down:-1\nviews = 0\n")
    try:
        for item, kind, visitors in (("a", "up", 3), ("b", "down", 5), ("b", "up", 2)):
            for number in range(visitors):
                voted = service.keyed("POST", f"/v1/s/items/{item}/votes", {"kind": kind}, Engaged_Visitor=f"{kind}{number}")
                assert voted.status == 200
        def order(name):
            listed = service.get(f"/v1/s/rankings/{name}").json["items"]
            return [(entry["item"], round(entry["score"])) for entry in listed if entry["reason"] == "ranked"]
        wait_until(lambda: order("all") == [("b", 7), ("a", 3)], 5, lambda: order("all"))
        assert order("r") == [("a", 3), ("b", 2)] and order("both") == [("a", 6)]
    finally:
        service.stop()
