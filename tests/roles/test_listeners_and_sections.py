# SPDX-License-Identifier: MIT
"""A configuration that contradicts itself is refused, with file and line; an unusual but right one is accepted."""
import socket
import subprocess

import pytest

from support.ports import free_port
from support.service import PROGRAM, Service


def check(tmp_path, text, *options):
    """What `engaged check` says of a configuration: its exit code and its line."""
    path = tmp_path / "engaged.conf"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([PROGRAM, "check", "--config", path, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=30)
    return done.returncode, done.stdout


@pytest.mark.parametrize("settings", [
    "listen = 127.0.0.1:8080\nops_listen = 127.0.0.1:8080",
    "listen = 0.0.0.0:8080\nops_listen = 127.0.0.1:8080",
    "listen = 127.0.0.1:8080\nops_listen = [::]:8080",
    "listen = localhost:8080\nops_listen = 127.0.0.1:8080",
    "listen = unix:/tmp/a\nops_listen = unix:/tmp/a",
    "listen = 127.0.0.1:8080\npublisher_listen = 127.0.0.1:8080",
    "ops_listen = 127.0.0.1:8081\npublisher_listen = 0.0.0.0:8081",
])
def test_two_listeners_of_one_address_are_refused(tmp_path, settings):
    code, said = check(tmp_path, settings + "\n")
    assert code != 0 and "the address is taken by" in said, said


@pytest.mark.parametrize("settings", [
    "listen = 127.0.0.1:8080\nops_listen = 127.0.0.1:8081",
    "listen = 127.0.0.1:8080\nops_listen = 127.0.0.2:8080",
    "listen = 127.0.0.1:8080\nops_listen = unix:/tmp/ops",
    "ops_listen = 127.0.0.1:8081\npublisher_listen = 127.0.0.1:8081",
    "ops_listen = 127.0.0.1:8081\npublisher_listen = localhost:8081",
    "publisher_listen = ops_listen",
    "listen = 127.0.0.1:8090\npublisher_listen = 127.0.0.1:8082",
])
def test_listeners_that_can_be_told_apart_are_taken(tmp_path, settings):
    assert check(tmp_path, settings + "\n")[0] == 0


@pytest.mark.parametrize("as_word", [True, False])
def test_the_operators_listener_takes_the_publishers_calls_and_stays_the_operators(as_word):
    port = free_port()
    service = Service(workers=2, ops_listen=f"127.0.0.1:{port}", publisher_listen="ops_listen" if as_word else f"127.0.0.1:{port}")
    try:
        for _ in range(60):  # each call may meet another worker
            assert service.request("GET", "/metrics", port=port).status == 200
            assert service.request("GET", "/v1/s/export", port=port, Authorization="Bearer k").status == 200
            assert service.keyed("GET", "/v1/s/export").status == 404
    finally:
        service.stop()


@pytest.mark.parametrize("text, line, said", [
    ("workers = 1\nworkers = 2\n", 2, "workers: it is set twice"),
    ("[site a.example]\nsecret_key = a\nsecret_key = b\n", 3, "secret_key: it is set twice"),
    ("[site a.example]\nsecret_key = a\n[site a.example]\nsecret_key = b\n", 3, "there are two sections of this site"),
    ("[ranking a]\ntype = total\n[ranking b]\n[ranking a]\n", 4, "there are two sections of this ranking"),
    ("[nope x]\n", 1, "sections are"),
    ("[site]\n", 1, "sections are"),
    ("[]\n", 1, "sections are"),
    ("[lists related]\n", 1, "sections are"),
    ("[list ranking]\n", 1, "the lists are related and recommendation"),
    ("[list related]\n[list related]\n", 2, "there are two sections of this list"),
    ("[list related]\nmax_age = 3y\n", 2, "max_age: \"3y\" is not a duration"),
    ("[list related]\ncategory =\n", 2, "category: \"\" is not 1 to 64 characters"),
    ("[list related]\ncategory = " + "c" * 65 + "\n", 2, "is not 1 to 64 characters"),
    ("[list related]\nauthor = a\nauthor =  a\n", 3, "author: \"a\" is named twice"),
    ("[list related]\nauthor = a\nwithout_author = a\n", 3, "is wanted and not wanted"),
    ("[list related]\n" + "".join(f"author = {n}\n" for n in range(17)), 18, "at most 16"),
    ("[list related]\nper_author = 101\n", 2, "per_author: \"101\" is not a number"),
    ("[list related]\nfloor = x\n", 2, "floor: \"x\" is not a number of readers"),
    ("[list recommendation]\nfill = some\n", 2, "fill: \"some\" is not category, site or none"),
    ("[list recommendation]\nfill = site\nfill = none\n", 3, "fill: it is set twice"),
    ("[list recommendation]\nkind = x\n", 2, "kind: a list has no such key"),
    ("[ranking a]\nviews = 1e-10\n", 2, "views: \"1e-10\" is not a weight: 0, or from 0.000001"),
    ("[ranking a]\nvotes = up:1e-7\n", 2, "votes: \"up:1e-7\" is not a weight (0, or from 0.000001"),
    ("[ranking a]\nper_category = -1\n", 2, "per_category: \"-1\" is not a number"),
    ("category = a\n", 1, "no such setting"),
    ("[site bad_name]\n", 1, "a site's name"),
    ("[site a.example]\norigins =\n", 2, "origins: none is named"),
    ("[site a.example]\norigins = https://*.example\n", 2, "origins: at most 16 of the form"),
    ("[site a.example]\norigins = *\n", 2, "origins: at most 16 of the form"),
    ("[site a.example]\norigins = https://a.example@b.example\n", 2, "origins: at most 16 of the form"),
    ("[ranking .x]\n", 1, "a ranking's name"),
])
def test_a_section_or_key_that_cannot_be_meant_is_refused_with_its_line(tmp_path, text, line, said):
    code, text = check(tmp_path, text)
    assert code != 0 and f"engaged.conf:{line}: " in text and said in text, text


@pytest.mark.parametrize("text, said", [
    ("[ranking a]\ntype = total\nhalf_life = 1h\n", "half_life means nothing"),
    ("[ranking a]\nhalf_life = 1h\ntype = best\n", "half_life means nothing"),
    ("[ranking a]\nvotes = 0\nviews = 0\n", "has a weight"),
    ("[ranking a]\ntype = best\n", "one kind only"),
])
def test_a_ranking_that_means_nothing_is_refused(tmp_path, text, said):
    code, text = check(tmp_path, text)
    assert code != 0 and "[ranking a]" in text and said in text, text


def test_origins_add_up_line_by_line(tmp_path):
    assert check(tmp_path, "[site a.example]\norigins = https://a.example\norigins = https://b.example\n")[0] == 0


def test_a_section_without_a_line_in_it_counts(tmp_path):
    path = tmp_path / "engaged.conf"
    path.write_text("sites = declared\n[ranking only]\n[ranking other]\ntype = total\n[site bare.example]\n", encoding="utf-8")
    service = Service(config=path)
    try:
        assert {row["name"] for row in service.get("/v1/bare.example/rankings").json["rankings"]} == {"only", "other"}
        assert service.get("/v1/bare.example/items/a").status == 200
        assert service.get("/v1/else.example/items/a").status == 404
    finally:
        service.stop()


def test_a_file_in_the_place_of_a_unix_socket_stays(tmp_path):
    path = tmp_path / "precious"
    path.write_text("precious", encoding="utf-8")
    done = subprocess.run([PROGRAM, "--redis", f"embedded:{tmp_path}/d", "--listen", f"unix:{path}", "--ops-listen",
                           f"127.0.0.1:{free_port()}"], stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode != 0 and "cannot listen on unix:" in done.stderr, done.stderr
    assert path.read_text(encoding="utf-8") == "precious"


def test_a_socket_that_nobody_listens_on_is_taken_over(tmp_path):
    path = str(tmp_path / "stale")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    service = Service(ops_listen=f"unix:{path}")
    try:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(path)
            wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert wire.recv(4096).startswith(b"HTTP/1.1 200")
    finally:
        service.stop()
