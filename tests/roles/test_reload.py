# SPDX-License-Identifier: MIT
"""A reload that is refused, given up, slow or repeated: the generation that runs is never disturbed by it."""
import ctypes
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
import redis
from support.beside import Beside
from support.launch import status_at
from support.ports import free_port
from support.redis_server import RedisServer
from support.service import PROGRAM, Service
from support.systemd import NotifySocket
from support.wait import wait_until

KEPT = "those before stay"
SIXTEEN_TOO_MANY = "".join(f"[ranking r{hours}]\nhalf_life = {hours}h\n" for hours in range(1, 21))


class FileService(Service):
    """A service whose configuration file names its Redis; the tests rewrite the file."""

    def __init__(self, folder, text="", program=PROGRAM, **settings):
        self.program = program
        self.config, self.directory = folder / "engaged.conf", folder / "d"
        self.write(text)
        super().__init__(**{"workers": 2, "config": self.config, **settings})

    def write(self, text):
        head = "" if "redis =" in text else f"redis = embedded:{self.directory}\n"
        self.config.write_text(head + text)

    def start(self):
        self.settings.pop("redis", None)
        super().start()


@pytest.fixture
def own(tmp_path, ending):
    return lambda text="", **settings: ending(FileService(tmp_path, text, **settings))


def reload(service, text=None):
    if text is not None:
        service.write(text)
    service.process.send_signal(signal.SIGHUP)


def wait_for_log(service, words, count=1, seconds=15):
    wait_until(lambda: service.log().count(words) >= count, seconds, lambda: f"{words} not in\n{service.log()}")


def children_of(service, role="worker"):
    """{generation: pids}."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{pid}/environ", encoding="utf-8") as file:
                environment = dict(part.split("=", 1) for part in file.read().split("\0") if "=" in part)
        except OSError:
            continue
        if parent == service.process.pid and environment.get("ENGAGED_ROLE") == role:
            found.setdefault(int(environment.get("ENGAGED_GENERATION", "0").split()[0]), []).append(int(pid))
    return found


def redis_of(service):
    return redis.Redis(unix_socket_path=f"{service.directory}/redis.sock", decode_responses=True)


def redis_pid(service):
    return int((service.directory / "redis.pid").read_text())


class Callers(Beside):
    """Two who ask /healthz on a new connection each time. `refused` holds what went wrong, `longest` the worst wait."""

    def __init__(self, port):
        super().__init__(self.ask, self.ask)
        self.port, self.calls, self.refused, self.longest = port, 0, [], 0.0

    def ask(self):
        while not self.over.is_set():
            begun, connection = time.monotonic(), http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("GET", "/healthz")
                if connection.getresponse().read() != b"ok\n":
                    self.refused.append("status")
            except (OSError, http.client.HTTPException) as error:
                self.refused.append(repr(error))
            finally:
                connection.close()
            self.calls += 1
            self.longest = max(self.longest, time.monotonic() - begun)

    def __exit__(self, *failure):
        try:
            if not failure[0]:  # they go on for a while after what they are beside, also on a slow machine
                wait_until(lambda: self.calls > 100, 30, lambda: f"{self.calls} calls")
        finally:
            super().__exit__(*failure)

    def assert_unharmed(self):
        assert self.calls > 100 and not self.refused and self.longest < 2, (self.calls, self.refused[:5], self.longest)


def assert_serves(service, max_age, pids=None):
    # One that has just been told to end may still take a connection that was there.
    wait_until(lambda: f"max-age={max_age}," in service.get("/v1/s/rankings/top").headers["cache-control"], 3, service.log)
    # Where Redis was frozen before, a worker may still be connecting again: 503, and safe to repeat.
    wait_until(lambda: service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="v").status == 200, 3, service.log)
    assert service.process.poll() is None
    if pids is not None:  # those that were refused may take a moment to end
        wait_until(lambda: children_of(service) == pids, 10, lambda: children_of(service))


@pytest.mark.parametrize("text,why", [
    ("max_age = 9\npartitions = 8\n", "partitions: the data has 16, the setting says 8"),
    ("max_age = 9\nkinds = down\n", 'kinds: the data has "up"'),
    (f"max_age = 9\nhash_key = {'ab' * 32}\n", "hash_key: not the key"),
    ("max_age = 9\n" + SIXTEEN_TOO_MANY, "half-lives"),
    ("max_age = nine\n", "not a whole number"),
    ("max_age = 9\nredis = embedded:./elsewhere\n", "an embedded Redis comes and goes only with a new start"),
], ids=["partitions", "kinds", "hash_key", "half_lives", "wrong", "redis"])
def test_a_reload_that_is_refused_disturbs_nobody(own, text, why):
    service = own("max_age = 7\n")
    pids = children_of(service)
    with Callers(service.port) as callers:
        reload(service, text)
        wait_for_log(service, " stay")
        time.sleep(1.5)
    callers.assert_unharmed()
    assert why in service.log(), service.log()
    assert_serves(service, 7, pids)
    reload(service, "max_age = 7\nshared_max_age = 8\n")
    wait_for_log(service, "have taken over")
    wait_until(lambda: "s-maxage=8," in service.get("/v1/s/rankings/top").headers["cache-control"], 3, service.log)


class Stopped:
    """A process that is frozen for a while."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


@pytest.mark.parametrize("text,end,max_age", [("max_age = 9\npartitions = 8\n", KEPT, 7),
                                              ("max_age = 9\n", "have taken over", 9)], ids=["wrong", "right"])
def test_a_reload_waits_for_a_redis_that_does_not_answer(own, text, end, max_age):
    service = own("max_age = 7\n", redis_timeout="5s")
    with Callers(service.port) as callers:
        with Stopped(redis_pid(service)):
            reload(service, text)
            time.sleep(2.5)
            assert "have taken over" not in service.log() and KEPT not in service.log()
        wait_for_log(service, end)
        time.sleep(0.5)
    callers.assert_unharmed()
    assert_serves(service, max_age)


def test_a_reload_that_redis_does_not_answer_in_time_is_given_up_and_the_next_one_works(own):
    service = own("max_age = 7\nreload_timeout = 1s\n", redis_timeout="5s")
    with Callers(service.port) as callers:
        with Stopped(redis_pid(service)):
            begun = time.monotonic()
            reload(service, "max_age = 9\nreload_timeout = 1s\n")
            wait_for_log(service, "do not get ready; those before stay")
            assert 0.9 < time.monotonic() - begun < 5
        wait_until(lambda: len(children_of(service)) == 1, what="one generation")
    callers.assert_unharmed()
    assert_serves(service, 7)
    reload(service, "max_age = 9\n")
    wait_for_log(service, "have taken over")
    assert_serves(service, 9)


def test_a_worker_that_hangs_when_a_reload_comes_is_killed(own):
    service = own("max_age = 7\n", hang_timeout="2s", drain_timeout="1s")
    hung = next(iter(children_of(service).values()))[0]
    os.kill(hung, signal.SIGSTOP)
    reload(service, "max_age = 9\n")
    wait_for_log(service, "have taken over")
    wait_until(lambda: hung not in sum(children_of(service).values(), []), 6, "the one that hangs is still there")
    assert "was told to end and has not: killed" in service.log()
    assert_serves(service, 9)


def test_of_reloads_in_quick_sequence_the_last_one_counts(own):
    service = own("max_age = 7\n")
    for max_age in (20, 21, 22, 23, 24):
        reload(service, f"max_age = {max_age}\n")
        time.sleep(0.03)
    wait_until(lambda: "max-age=24," in service.get("/v1/s/rankings/top").headers["cache-control"], 15, service.log)
    wait_until(lambda: len(children_of(service)) == 1, what="one generation")


def test_a_reload_that_comes_during_one_that_is_given_up_is_not_lost(own):
    service = own("max_age = 7\n")
    with Stopped(redis_pid(service)):
        reload(service, "max_age = 9\npartitions = 8\n")
        time.sleep(0.3)
        reload(service, "max_age = 11\n")
    wait_for_log(service, KEPT)
    wait_for_log(service, "have taken over")
    assert_serves(service, 11)


# ---- Another program

@pytest.fixture
def installed(own, tmp_path):
    """A service that runs from a file of its own, and a function that puts another file there, as install(1) does."""
    place = tmp_path / "engaged"
    shutil.copy(PROGRAM, place)

    def install(source, mode=0o755):
        fresh = tmp_path / "engaged.new"
        if isinstance(source, bytes):
            fresh.write_bytes(source)
        else:
            shutil.copy(source, fresh)
        fresh.chmod(mode)
        os.replace(fresh, place)

    service = own("max_age = 7\n", program=str(place))
    service.place = place
    return service, install


def programs_of(service):
    """For each child; nothing when one has ended meanwhile."""
    try:
        return {os.stat(f"/proc/{pid}/exe").st_ino for pids in children_of(service).values() for pid in pids}
    except FileNotFoundError:
        return set()


def test_a_reload_runs_the_program_that_was_installed(installed):
    service, install = installed
    for number in (1, 2):
        install(PROGRAM)
        reload(service, "max_age = 9\n")
        wait_for_log(service, "have taken over", number)
        wait_until(lambda: programs_of(service) == {os.stat(service.place).st_ino}, what="the file that was installed runs")
        assert service.log().count("is another file than the one that this process runs") == number
    assert_serves(service, 9)


def test_a_reload_to_a_program_that_ends_at_once_disturbs_nobody(installed):
    service, install = installed
    pids = children_of(service)
    install("/bin/false")
    with Callers(service.port) as callers:
        begun = time.monotonic()
        reload(service, "max_age = 9\n")
        wait_for_log(service, "the new processes keep ending; those before stay")
        assert time.monotonic() - begun < 3
        time.sleep(1.5)
    callers.assert_unharmed()
    assert_serves(service, 7, pids)


def test_a_program_that_cannot_be_run_is_not_and_the_one_that_runs_is_started_again(installed):
    service, install = installed
    before = programs_of(service)
    install(b"no program", 0o644)
    if os.access(service.place, os.X_OK):
        pytest.skip("every file may be run here")
    reload(service, "max_age = 9\n")
    wait_for_log(service, "have taken over")
    wait_until(lambda: len(children_of(service)) == 1 and programs_of(service) == before, what="it runs again")
    assert "the program that runs is started again" in service.log()


def test_a_program_with_other_counters_is_refused_by_a_reload(installed):
    """It would read and write the supervisor's memory as it is not."""
    service, install = installed
    pids = children_of(service)
    with open(PROGRAM, "rb") as file:
        install(file.read().replace(b"engaged_votes_total", b"engaged_votez_total"))
    reload(service, "max_age = 9\n")
    wait_for_log(service, KEPT)
    assert "SIGHUP cannot take it, a new start does" in service.log()
    assert_serves(service, 7, pids)


# ---- Kinds of vote

def test_a_reload_that_was_given_up_records_no_kind(own):
    service = own("reload_timeout = 1s\n", redis_timeout="5s")
    with Stopped(redis_pid(service)):
        reload(service, "reload_timeout = 1s\nkinds = up down\n")
        wait_for_log(service, KEPT)
    wait_until(lambda: len(children_of(service)) == 1, what="one generation")
    assert redis_of(service).hget("engaged:meta", "kinds") == "up"
    reload(service, "kinds = up down\n")
    wait_for_log(service, "have taken over")
    wait_until(lambda: redis_of(service).hget("engaged:meta", "kinds") == "up down", what="the new kind is recorded")
    voted = service.keyed("POST", "/v1/s/items/a/votes", {"kind": "down"}, Engaged_Visitor="v")
    assert voted.status == 200 and voted.json["votes"] == {"up": 0, "down": 1}


def test_a_tool_records_nothing(own):
    service = own()
    before = redis_of(service).hgetall("engaged:meta")
    done = subprocess.run([PROGRAM, "memory", "--config", str(service.config), "--kinds", "up down"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and "all keys" in done.stdout, done.stderr
    now = redis_of(service).hgetall("engaged:meta")
    assert {name: now[name] for name in ("format", "partitions", "hash-key", "kinds")} == \
        {name: before[name] for name in ("format", "partitions", "hash-key", "kinds")}
    done = subprocess.run([PROGRAM, "memory", "--config", str(service.config), "--kinds", "down"], stderr=subprocess.PIPE,
                          text=True)
    assert done.returncode == 1 and "kinds" in done.stderr


def test_data_that_turns_foreign_under_a_running_service_does_not_end_it(own):
    service = own(workers=1)
    client = redis_of(service)
    assert service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="v").status == 200
    time.sleep(0.3)  # the supervisor has seen that the settings were right
    client.hset("engaged:meta", "kinds", "sideways up")
    client.client_kill_filter(_type="normal")
    wait_until(lambda: service.get("/readyz").status == 503, what="not ready")
    wait_until(lambda: b"kinds" in service.get("/readyz").body, what="why")
    worker = next(iter(children_of(service).values()))[0]
    os.kill(worker, signal.SIGKILL)  # the one that follows it is refused at once
    time.sleep(1.5)
    assert service.process.poll() is None, service.log()
    redis_of(service).hset("engaged:meta", "kinds", "up")
    wait_until(lambda: status_at(service.port) == 200, 15, service.log)
    assert service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="w").json["votes"] == {"up": 2}


# ---- Sockets

def listening_sockets(pid):
    """Copies of a process's listening TCP sockets."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = libc.syscall(434, pid, 0)  # pidfd_open
    found = []
    for number in map(int, os.listdir(f"/proc/{pid}/fd")):
        if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
            continue
        copy = libc.syscall(438, process, number, 0)  # pidfd_getfd
        if copy < 0:
            pytest.skip("sockets of another process cannot be had here")
        one = socket.socket(fileno=copy)
        if one.family == socket.AF_INET and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.append(one)
    os.close(process)
    return found


def test_a_listening_socket_that_is_shut_down_is_listened_on_again(own):
    service = own(workers=1)
    (worker,) = children_of(service)[1]
    sockets = listening_sockets(worker)
    assert len(sockets) == 2  # the public one and the operators'
    for one in sockets:
        one.shutdown(2)
        one.close()
    wait_until(lambda: can_connect(service.port) and can_connect(service.ops_port), 3, "nobody listens")
    assert children_of(service)[1] == [worker]
    ticks = cpu_ticks(worker)
    time.sleep(1)
    assert cpu_ticks(worker) - ticks < 50, "it spins"


def can_connect(port, seconds=1):
    try:
        with socket.create_connection(("127.0.0.1", port), seconds) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))


def all_are_answered(service, worker_is_away):
    """Whether a dozen clients, one after the other, had their answers while the worker was still away."""
    for _ in range(12):
        if not worker_is_away():
            return False
        assert can_connect(service.port, 10)
    return worker_is_away()


def test_a_worker_that_keeps_ending_keeps_no_client_waiting(own):
    """New connections go to the other while it waits for its next start, and to it again afterwards. The waits grow to 5 s: on a
    busy machine the longer ones show it."""
    service = own(workers=2)
    other, victim = children_of(service)[1]
    rounds = []
    for number in range(7):
        os.kill(victim, signal.SIGKILL)
        # Before the supervisor has noticed, a connection may still come to the socket of the one that is gone.
        wait_until(lambda: service.log().count("(signal 9), starting it again") == number + 1, 5, service.log)
        rounds.append(all_are_answered(service, lambda: children_of(service)[1] == [other]))
        wait_until(lambda: len(children_of(service)[1]) == 2, 20, service.log)
        (victim,) = set(children_of(service)[1]) - {other}
        time.sleep(0.3)
        if number >= 3 and rounds[-1]:
            break
    assert rounds[-1], rounds
    os.kill(other, signal.SIGSTOP)  # what comes to it waits: some come to the one that was started again
    try:
        wait_until(lambda: can_connect(service.port), 20, "it listens again")
    finally:
        os.kill(other, signal.SIGCONT)


def test_what_a_reload_that_is_given_up_had_opened_is_gone(own, tmp_path):
    service = own("max_age = 7\n")
    path = tmp_path / "new.sock"
    with Callers(service.port) as callers:
        reload(service, f"partitions = 8\npublisher_listen = unix:{path}\n")
        wait_for_log(service, KEPT)
        wait_until(lambda: not path.exists(), 3, "the socket's file is gone")
    callers.assert_unharmed()
    assert_serves(service, 7)


# ---- What systemd hears

@pytest.mark.parametrize("text", ["partitions = 8\n", "max_age = nine\n"])
def test_systemd_hears_that_the_service_is_ready_after_a_reload_that_was_refused(own, tmp_path, text):
    systemd = NotifySocket(tmp_path / "notify")
    service = own("max_age = 7\n", environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    wait_until(lambda: len(systemd.heard("READY=1")) == 1, 15, "ready")
    for number in (2, 3):
        reload(service, text)
        wait_until(lambda: len(systemd.heard("RELOADING=1")) == number - 1, 5, "reloading")
        wait_until(lambda: len(systemd.heard("READY=1")) == number, 5, "ready again")
        assert any("last reload was refused" in line for _, line in systemd.words if line.startswith("STATUS="))
    reload(service, "max_age = 9\n")
    wait_until(lambda: len(systemd.heard("READY=1")) == 4, 15, "ready with the new ones")
    assert_serves(service, 9)


# ---- Redis away, the end

def test_a_reload_mends_the_address_of_a_redis_that_was_never_there(tmp_path):
    keys = f"secret = {'1a' * 32}\nhash_key = {'2b' * 32}\n"
    with RedisServer() as server:
        service = Unready(tmp_path, f"redis = redis://127.0.0.1:{free_port()}\n{keys}")
        try:
            assert service.get("/readyz").status == 503
            reload(service, f"redis = {server.url}\n{keys}")
            wait_for_log(service, "have taken over")
            wait_until(lambda: service.get("/readyz").status == 200, 5, service.log)
        finally:
            service.stop()


class Unready(FileService):
    def is_ready(self):
        return status_at(self.port, "/healthz") == 200


def test_a_worker_that_hangs_at_the_end_is_killed(own):
    service = own("", drain_timeout="1s", hang_timeout="0")
    os.kill(children_of(service)[1][0], signal.SIGSTOP)
    begun = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(15) == 0
    assert 1.9 < time.monotonic() - begun < 6 and "was told to end and has not: killed" in service.log()


def test_a_child_takes_the_variables_that_an_older_supervisor_sets(own):
    """After an upgrade SIGHUP starts the new program from the old supervisor, so no name of these may change."""
    named = {"ENGAGED_ROLE", "ENGAGED_ROW", "ENGAGED_METRICS_FD", "ENGAGED_CEILINGS_FD", "ENGAGED_GENERATION"}
    ((worker, *_),) = children_of(own(""), "worker").values()
    with open(f"/proc/{worker}/environ", encoding="utf-8") as file:
        assert named <= {row.split("=", 1)[0] for row in file.read().split("\0")}
