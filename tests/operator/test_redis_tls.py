# SPDX-License-Identifier: MIT
"""TLS to Redis: what is verified, what is refused and in which words, and that bytes come through whole."""
import concurrent.futures
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

from support.certificates import Authority, TlsProxy, new_key, write_key
from support.place import Place
from support.program import PROGRAM, options_of
from support.redis_server import RedisServer
from support.service import WaitingService
from support.wait import wait_until

HEX = "ab" * 32


@pytest.fixture(scope="module", name="authority")
def _authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", name="other")
def _other(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"), "other")


@pytest.fixture(scope="module", name="right")
def _right(authority):
    return authority.issue("right")


@pytest.fixture(scope="module", name="plain")
def _plain():
    with RedisServer() as server:
        yield server


def check(service):
    """What `engaged check --connect` says of its settings."""
    done = subprocess.run([PROGRAM, "check", "--connect", *options_of(service.settings)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


# ---- Good

@pytest.mark.parametrize("host, settings", [
    ("localhost", {}), ("127.0.0.1", {}), ("localhost", {"wait_replicas": 1}), ("127.0.0.1", {"redis_tls_name": "localhost"})])
def test_votes_are_counted_over_tls(ending, authority, right, host, settings):
    with RedisServer().speak_tls(authority, right) as server:
        service = ending(WaitingService(redis=f"rediss://{host}:{server.port}", redis_ca=authority.certificate, **settings))
        assert service.wait_taken().json["votes"] == {"up": 1}
        assert check(service)[0] == 0, check(service)


def test_a_certificate_of_its_own_is_shown(ending, authority, right):
    with RedisServer().speak_tls(authority, right, tls_auth_clients="yes") as server:
        cert, key = authority.client
        service = ending(WaitingService(redis=f"redis://localhost:{server.port}", redis_tls="on", redis_ca=authority.certificate,
                                        redis_cert=cert, redis_key=key))
        service.wait_taken()
        assert check(service)[0] == 0, check(service)


def test_the_versions_and_the_name_that_are_asked_for(ending, authority, right, plain):
    for context, host, words in (({"maximum_version": ssl.TLSVersion.TLSv1_2}, "localhost", None), ({}, "127.0.0.1", None),
                                 ({"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1_1},
                                  "localhost", "TLS: ")):
        with TlsProxy(plain.port, right, **context) as proxy:
            service = ending(WaitingService(redis=f"rediss://{host}:{proxy.port}", redis_ca=authority.certificate))
            service.wait_named(words) if words else service.wait_taken(visitor=host)
            assert words or set(proxy.names) == {host if host == "localhost" else None}, proxy.names
            service.stop()
            assert words or (proxy.ends and set(proxy.ends) == {"clean"}), proxy.ends


# ---- Bad

BAD = {  # what is wrong: (the server's certificate, more of its settings, settings of the service, words)
    "wrong CA": (lambda a, b: b.issue("stranger"), {}, {}, "TLS: the certificate of localhost: unable to get local issuer certificate"),
    "wrong name": (lambda a, b: a.issue("elsewhere", ("redis.example", "127.0.0.1")), {}, {}, "TLS: the certificate of localhost: hostname mismatch"),
    "wrong address": (lambda a, b: a.issue("named", ("localhost", "127.0.0.2")), {}, {"host": "127.0.0.1"}, "TLS: the certificate of 127.0.0.1: IP address mismatch"),
    "common name": (lambda a, b: a.issue("common", ()), {}, {}, "hostname mismatch"),
    "other name wanted": (lambda a, b: a.issue("right"), {}, {"redis_tls_name": "redis.example"}, "TLS: the certificate of redis.example: hostname mismatch"),
    "expired": (lambda a, b: a.issue("expired", days=(-3, -2)), {}, {}, "certificate has expired"),
    "not yet": (lambda a, b: a.issue("not-yet", days=(1, 2)), {}, {}, "certificate is not yet valid"),
    "self-signed": (lambda a, b: a.issue("right"), {}, {"redis_ca": ""}, "TLS: the certificate of localhost: "),
    "no certificate shown": (lambda a, b: a.issue("right"), {"tls_auth_clients": "yes"}, {}, ": it may want redis_cert"),
    "no certificate shown, 1.2": (lambda a, b: a.issue("right"), {"tls_auth_clients": "yes", "tls_protocols": "TLSv1.2"}, {}, "handshake failure: it may want redis_cert"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_named_and_mended_while_it_runs(ending, authority, other, right, what):
    make, of_server, of_service, words = BAD[what]
    server = RedisServer().speak_tls(authority, make(authority, other), **of_server)
    host = of_service.pop("host", "localhost")
    with server:
        service = ending(WaitingService(redis=f"rediss://{host}:{server.port}", **{"redis_ca": authority.certificate, **of_service}))
        service.wait_named(words)
        vote = service.vote("v")
        assert vote.status == 503 and vote.json["code"] == "unavailable", vote.body
        code, said = check(service)
        assert code == 1 and words in said and said.count("\n") == 1, said
        assert words in service.log() and "warn: redis: TLS: " in service.log(), service.log()
        if not of_service:
            server.speak_tls(authority, right, tls_auth_clients="no", **({"tls_protocols": "TLSv1.2 TLSv1.3"} if of_server else {}))
            server.restart()
            service.wait_taken()
            assert check(service)[0] == 0


def test_a_server_without_tls_is_named(ending, authority, plain):
    service = ending(WaitingService(redis=f"rediss://localhost:{plain.port}", redis_ca=authority.certificate, redis_timeout="1s"))
    service.wait_named("no answer to TLS in time: perhaps nobody speaks TLS at this port")  # Redis waits for the end of a line
    assert "nobody speaks TLS" in check(service)[1]


def test_a_server_with_tls_alone_refuses_plain_commands(ending, authority, right):
    with RedisServer().speak_tls(authority, right) as server:
        service = ending(WaitingService(redis=f"redis://localhost:{server.port}"))
        wait_until(lambda: "while in handshake" in service.log(), 20, service.log)
        assert service.trouble()[0] == 503 and check(service)[0] == 1


def test_a_server_that_is_silent_in_the_handshake_is_left_in_time(ending, authority):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = ending(WaitingService(redis=f"rediss://127.0.0.1:{silent.getsockname()[1]}", redis_ca=authority.certificate,
                                        redis_timeout="300ms"))
        wait_until(lambda: service.log().count("no answer to TLS in time") >= 4, 20, service.log)
        assert service.trouble()[0] == 503 and "no answer to TLS in time" in service.trouble()[1], service.trouble()
        assert "no answer to TLS in time" in check(service)[1]


def test_a_server_that_breaks_off_in_a_record_is_left(ending, authority):
    """Half a handshake record, one out of turn, an alert, no record at all."""
    seen = {"closed by Redis while in the TLS handshake": b"\x16\x03\x03\x40\x00half", "TLS: unexpected message": b"\x17\x03\x03\x00\x04abcd",
            "TLS: sslv3 alert handshake failure": b"\x15\x03\x03\x00\x02\x02\x28",
            "TLS: wrong version number: nobody speaks TLS at this port": b"-ERR unknown command\r\n"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        service = ending(WaitingService(redis=f"rediss://127.0.0.1:{listening.getsockname()[1]}", redis_ca=authority.certificate))
        for words, answer in seen.items():
            while f"warn: redis: {words}" not in service.log():  # one connection logs nothing: the one that listens for messages
                client, _ = listening.accept()
                client.recv(4096)
                client.sendall(answer)
                client.close()
    assert service.trouble()[0] == 503


# ---- Bytes

def load(service, numbers, body):
    """Cards of some size, many at a time."""
    rows = [{"item": f"i{number}", "title": "t", "url": f"https://s.example/{number}", "image": f"https://s.example/{number}?" + body}
            for number in numbers]
    answer = service.lines("/v1/s/items", rows)
    assert answer.status == 200, answer.body[:300]
    return answer.json


def test_large_commands_and_replies_come_through_whole(ending, authority, right):
    """Calls of many cards while Redis stands still: more than its socket takes, so writes are partial."""
    body = "x" * 1500
    with RedisServer().speak_tls(authority, right) as server:
        service = ending(WaitingService(redis=server.url, redis_ca=authority.certificate, redis_timeout="50s", body_limit="1MiB",
                                        redis_queue=100000, rate_limits="off"))
        service.wait_taken()
        server.freeze()
        with concurrent.futures.ThreadPoolExecutor(34) as pool:
            cards = [pool.submit(load, service, range(first, first + 200), body) for first in range(0, 6000, 200)]
            votes = [pool.submit(service.vote, f"v{number}", f"i{number % 50}") for number in range(100)]
            wait_until(lambda: waits_to_send(server.port), 30, "the socket is full")
            server.thaw()
            assert sum(call.result()["accepted"] for call in cards) == 6000
            assert all(vote.result().status == 200 for vote in votes)
        exported = service.keyed("GET", "/v1/s/export").body.decode().splitlines()
        found = {row["item"]: row for row in map(json.loads, exported) if "image" in json.dumps(row) and "item" in row}
        assert len(found) >= 6000 and sum(body in line for line in exported) == 6000
        assert service.get("/v1/s/items/i7").json["votes"] == {"up": 2}


def waits_to_send(port):
    """Bytes wait in a socket that is connected to the port."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return any(int(row[2].partition(":")[2], 16) == port and int(row[4].partition(":")[0], 16) > 100000 for row in rows)


def test_a_connection_that_is_lost_is_made_again(ending, authority, right):
    with RedisServer(appendonly="yes").speak_tls(authority, right) as server:
        service = ending(WaitingService(redis=server.url, redis_ca=authority.certificate))
        service.wait_taken()
        server.ask("CLIENT", "KILL", "TYPE", "normal")
        service.wait_taken(visitor="second")
        server.restart()
        assert service.wait_taken(visitor="third").json["votes"]["up"] == 3


# ---- Files and settings

def is_refused(place, words, **settings):
    line = place.compare(*options_of({"redis": "rediss://localhost:1", "secret": HEX, "hash_key": HEX, **settings}))
    assert words in line and line.count("\n") == 0, line


def test_what_the_start_refuses(tmp_path, authority, other, right):
    place, (cert, key) = Place(tmp_path), right
    ca = authority.certificate

    def made(name, content, mode=0o600):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
        return tmp_path / name

    def text(path):
        with open(path, "rb") as file:
            return file.read()

    write_key(tmp_path / "locked", new_key(), b"password")
    for words, settings in (
            ("redis_tls: redis is a Unix socket", {"redis": f"unix:{tmp_path}/socket", "redis_tls": "on"}),
            ("redis_tls: redis is a Unix socket", {"redis": "embedded:d", "redis_tls": "on"}),
            ("redis_ca: Redis is not spoken to by TLS", {"redis": "redis://localhost", "redis_ca": ca}),
            ("redis_key: Redis is not spoken to by TLS", {"redis": "redis://localhost", "redis_key": key, "redis_cert": cert}),
            ("redis_tls_name: Redis is not", {"redis": "redis://localhost", "redis_tls_name": "a"}),
            ("redis_cert: redis_key is missing", {"redis_cert": cert}), ("redis_key: redis_cert is missing", {"redis_key": key}),
            (f"redis_ca: {tmp_path}/none No such file", {"redis_ca": tmp_path / "none"}),
            (f"redis_ca: {tmp_path} is a directory", {"redis_ca": tmp_path}),
            ("empty is empty", {"redis_ca": made("empty", b"")}),
            ("redis_ca: the file holds no certificates", {"redis_ca": made("nonsense", b"nonsense\n")}),
            ("redis_ca: the file holds no certificates", {"redis_ca": key}),
            ("or a spoilt one", {"redis_ca": made("half", text(ca) + text(ca)[:300] + b"\n-----END CERTIFICATE-----\n")}),
            ("is too large", {"redis_ca": made("large", text(ca) * 3000)}),
            ("redis_cert: the file holds no certificate", {"redis_cert": key, "redis_key": key}),
            ("redis_key: the file holds no private key", {"redis_cert": cert, "redis_key": made("open-cert", text(cert))}),
            ("redis_key: the file holds no private key without a password", {"redis_cert": cert, "redis_key": tmp_path / "locked"}),
            ("redis_key: it is not the key of redis_cert", {"redis_cert": cert, "redis_key": other.client[1]}),
            ("is a secret that other users can read", {"redis_cert": cert, "redis_key": made("open", text(key), 0o644)}),
            ("is a secret that other users can read", {"redis_cert": tmp_path / "both", "redis_key": made("both", text(cert) + text(key), 0o644)})):
        is_refused(place, words, **settings)
    both = made("both", text(cert) + text(ca) + text(key))
    code, said = place.run("check", *options_of({"redis": "rediss://localhost:1", "secret": HEX, "hash_key": HEX, "redis_ca": ca,
                                                 "redis_cert": both, "redis_key": both}))
    assert code == 0, said


def test_a_reload_reads_the_certificates_again(ending, tmp_path, authority, other, right):
    ca = tmp_path / "ca"
    shutil.copy(authority.certificate, ca)
    with RedisServer(appendonly="yes").speak_tls(authority, right) as server:
        service = ending(WaitingService(redis=server.url, redis_ca=ca))
        service.wait_taken()
        ca.write_text("spoilt\n")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload: redis_ca: the file holds no certificates" in service.log(), 20, service.log)
        assert service.vote("second").status == 200
        (worker,) = service.children("worker")
        os.kill(worker, signal.SIGKILL)  # one that is started again has the certificates of its generation
        wait_until(lambda: service.children("worker") not in ([], [worker]), 20, service.log)
        service.wait_taken(visitor="third")
        shutil.copy(other.certificate, ca)
        server.speak_tls(other, other.issue("new"))
        server.restart()
        service.wait_named("self-signed certificate in certificate chain")
        service.process.send_signal(signal.SIGHUP)
        assert service.wait_taken(visitor="fourth").json["votes"]["up"] == 4


# ---- Tools

def test_backup_and_restore_over_tls(ending, tmp_path, authority, right):
    with RedisServer(appendonly="yes").speak_tls(authority, right) as server:
        service = ending(WaitingService(redis=server.url, redis_ca=authority.certificate))
        service.wait_taken()
        options = options_of(service.settings)

        def run(*words):
            return subprocess.run([PROGRAM, *map(str, words), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)

        done = run("backup", tmp_path / "file")
        assert done.returncode == 0, done.stdout
        service.vote("second")
        server.ask("CONFIG", "SET", "tls-replication", "yes")
        done = run("restore", tmp_path / "file")
        assert done.returncode == 1 and "tls-replication is on" in done.stdout, done.stdout
        assert service.wait_taken(visitor="second").json["votes"]["up"] == 2
        server.ask("CONFIG", "SET", "tls-replication", "no")
        done = run("restore", tmp_path / "file")
        assert done.returncode == 0, done.stdout
        assert service.wait_taken(visitor="third").json["votes"]["up"] == 2
        for tool in (["memory"], ["partitions", "--seconds", "1"]):
            assert run(*tool).returncode == 0, run(*tool).stdout
