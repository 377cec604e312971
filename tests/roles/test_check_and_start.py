# SPDX-License-Identifier: MIT
"""`engaged check` and a start say the same: wrong configurations made from the table of settings (src/ops/settings.def) are
refused by both with the same line, by the supervisor, before a process was started; right ones, at each edge, are taken by
both."""
import concurrent.futures
import hashlib
import os
import re
import socket
import subprocess

import pytest

from support.launch import Launch, end
from support.place import Place
from support.program import BUILD, PROGRAM, ROOT
from support.redis_server import RedisServer
from support.settings_table import settings_table

MOST = 2**63
UNITS = {"DURATION": {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "": 1},
         "SIZE": {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}}


def edges(kind, fields):
    low, high = fields[:2]
    if kind in ("NUMBER", "SECONDS"):
        return int(low), int(high)
    return tuple(int(number) * UNITS[kind][unit] for number, unit in
                 (re.fullmatch(r"(\d+)(\D*)", text).groups() for text in (low, high)))


def text_of(kind, value):
    return f"{value}ms" if kind == "DURATION" and value else str(value)


TABLE = settings_table()
HEX, LONG = "ab" * 32, "x" * 190
NOT_LISTENED = ["8080", ":8080", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x", "::1:8080",
                "[::1]", "[]:8080", "[::1:8080", "unix:", "unix:/nowhere/at/all/socket", "unix:/" + "x" * 120, "192.0.2.1:8080",
                "no such host:8080", "127.0.0.300:8080", "[::g]:8080", "fd:x", "/tmp/socket", "http://127.0.0.1:8080"]
NOT_A_KEY = ["ab" * 31, HEX + "a", HEX[:-1] + "g", "sha256:" + HEX, HEX[:-1] + " ;"]
NOT_AN_ORIGIN = ["news.example", "ftp://news.example", "https://", "https://news.example/", "https://news.example/a",
                 "https://*.example", "https://a@news.example", "https://news.example:0", "https://news.example:65536",
                 "https://news.example:x", "https://news.example:", "https://:443", "https://n\u00fcws.example", "https://.example",
                 "https://[::g]", "https://[::1", "https://news.example?", "https://news.example#a", "https://a.example\thttps://b.example"]
# For each text what is wrong, and what is right (tried together with the first right ones of all others).
TEXTS = {
    "listen": (["", *NOT_LISTENED], ["localhost:8080", "[::1]:8080", "0.0.0.0:8080", "127.0.0.1:65535", "127.0.0.1:1"]),
    "ops_listen": (["", *NOT_LISTENED], ["127.0.0.2:8080", "[::1]:8080"]),
    "publisher_listen": (["listen", *NOT_LISTENED], ["", "ops_listen", "127.0.0.1:8082"]),
    "listen_mode": (["0577", "577", "0800", "66", "06600", "rw-rw----", "0x1b0", "-660"], ["", "0600", "0777", "660"]),
    "redis": (["", "embedded:", "embedded:" + "x" * 120, "embedded:/nowhere/at/all", "redis:", "redis://", "redis://:6379",
               "redis://127.0.0.1:0", "redis://127.0.0.1:65536", "redis://127.0.0.1:x", "redis://127.0.0.1/x", "redis://127.0.0.1/65536",
               "redis://[::1", "unix:", "unix:/" + "x" * 120, "127.0.0.1:6379", "rediss://", "redis+tls://127.0.0.1", "http://127.0.0.1",
               "cluster://", "cluster://h1/1", "cluster://h1,h1", "cluster://h1,", "sentinel://h1", "sentinel://h1/", "sentinel://h1:0/m"],
              ["redis://127.0.0.1", "rediss://127.0.0.1", "rediss://u:p@[::1]:6379/3", "redis://u:p@[::1]:6379/3", "unix:/nowhere/socket", "cluster://h1,h2", "sentinel://h1,h2/m"]),
    "sentinel_user": (["u" * 64], ["", "u" * 63]),
    "sentinel_password": (["p" * 256], ["", "p" * 150, "a b"]),
    "redis_password": (["p" * 256], ["", "p" * 150, "a b"]),
    **{name: (["/nowhere/at/all", "/", "/dev/null"], [""]) for name in ("redis_ca", "redis_cert", "redis_key")},
    "redis_tls_name": (["a b", "a/b", "*.a.example", "[::1]", "\u00fc"], ["", "a.example", "::1"]),
    **{f"{name}_file": (["/nowhere/at/all", "/", "/dev/null"], [""]) for name in
       ("redis_password", "sentinel_password", "secret", "secret_old", "hash_key", "secret_key")},
    "secret": (NOT_A_KEY, ["AB" * 32]),
    "secret_old": (NOT_A_KEY, ["", HEX]),
    "hash_key": (NOT_A_KEY, ["AB" * 32]),
    "secret_key": (["two words", "a\tb", "\u00fc", "sha256:", "sha256:" + HEX[:-1], "sha256:" + HEX + "0", "sha256:" + "x" * 64,
                    "SHA256:" + HEX],
                   ["", "k", "!~", "sha256:" + HEX]),
    "kinds": (["", "up up", "up/down", ".up", "\u00fcp", "up,down", "up\tdown", "x" * 64, " ".join(f"k{i}" for i in range(9))],
              ["x" * 63, " ".join(f"k{i}" for i in range(8))]),
    "time_zone": (["", "utc", "Nowhere/City", "Europe", "CET-1CEST", "/etc/localtime", "../zoneinfo/UTC", "localtime", "right/UTC",
                   "zone.tab", "europe/berlin", ":UTC"], ["UTC", "Europe/Berlin", "America/Argentina/ComodRivadavia", "Etc/GMT+12"]),
    "limits_share": (["", "0", "2", "0/3", "4/3", "1/0", "1/", "/3", "-1/3", "1/-3", "1 / 3", "0.33", "33%", "1/3/4", "1/1001", "a/3", "+1/3",
                      "1/99999999999999999999"], ["1", "1/1", "1/3", "2/3", "2/6", "1000/1000", "1/1000"]),
    "trusted_proxies": (["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::/129", "10.0.0", "proxy.example", "autom", "10.0.0.1;10.0.0.2",
                         "010.0.0.1", "[::1]", "10.0.0.1:80"], ["", "auto", "10.0.0.0/8 ::1/128 unix auto"]),
    "public_url": (NOT_AN_ORIGIN, ["", "https://a.example", "http://[::1]:8080"]),
}

# What a setting needs beside it.
BEHIND_SENTINELS = f"redis = sentinel://h1/m\nsecret = {HEX}\nhash_key = {HEX}\n"
NEEDS = {**dict.fromkeys(("redis_tls", "redis_tls_name"), f"redis = rediss://h1\nsecret = {HEX}\nhash_key = {HEX}\n"),
         "redis_password": f"redis = redis://h1\nsecret = {HEX}\nhash_key = {HEX}\n",
         "wait_replicas_strict": "wait_replicas = 1\n", "sentinel_user": BEHIND_SENTINELS + "sentinel_password = p\n",
         "sentinel_password": BEHIND_SENTINELS}

# Whole files, each wrong as a whole or in the line named.
FILES = [
    # Forms of lines
    (b"workers\n", 1), (b"workers 1\n", 1), (b"= 1\n", 1), (b"Workers = 1\n", 1), (b"work-ers = 1\n", 1), (b"nothing = 1\n", 1),
    (b"demo = on\n workers = 2\n", 2), (b"demo = on\n\tworkers = 2\n", 2), (b"workers = 1\nworkers = 1\n", 2),
    (b"workers = 2\0junk\n", 1), (b"workers = 2\0junk", 1), (b"# a\0b\nworkers = x\n", 1), (b"# a\rworkers = x\r", 1),
    (b"workers = 2\x01\n", 1), (b"workers = 2\x1b[0m\n", 1), (b"\xff\xfew\0o\0r\0k\0e\0r\0s\0", 1), (b"\xef\xbb\xbfworkers = x\n", 1),
    (b"demo = on\n\xef\xbb\xbfworkers = 2\n", 2), (b"workers = x\r\n", 1), (b"workers = 2 3\n", 1), (b"secret_key = " + LONG.encode(), 1),
    (b"# " + b"x" * 400 + b"\n", 1), (b"workers = 2 # two\n", 1), (b"[site a.example]\r\nworkers = 2\r\n", 2),
    # Sections
    (b"[]\n", 1), (b"[site]\n", 1), (b"[site ]\n", 1), (b"[ranking]\n", 1), (b"[sites a]\n", 1), (b"[Site a]\n", 1), (b"[site a\n", 1),
    (b"[site a] secret_key = x\n", 1), (b"[ranking a]]\n", 1), (b"[ site a]\n", 1), (b"[site -a]\n", 1), (b"[site .a]\n", 1),
    (b"[site a_b]\n", 1), (b"[site a b]\n", 1), (b"[site a/b]\n", 1), ("[site \u00fc]\n".encode(), 1), (b"[site " + b"a" * 64 + b"]\n", 1),
    (b"[site " + b"a" * 150 + b"]\n", 1), (b"[ranking .a]\n", 1), (b"[ranking a b]\n", 1), (b"[ranking " + b"a" * 64 + b"]\n", 1),
    (b"[site a]\n[site a]\n", 2), (b"[ranking a]\n[ranking a]\n", 2), (b"\xef\xbb\xbf[site a]\nnothing = x\n", 2),
    (b"\xef\xbb\xbf[nope a]\n", 1), (b"".join(b"[ranking r%d]\n" % i for i in range(33)), 33),
    (b"".join(b"[site s%d]\n" % i for i in range(1025)), 1025),
    # Keys of sections
    (b"[site a]\nworkers = 1\n", 2), (b"[site a]\ntype = total\n", 2), (b"[site a]\nsecret_key = a b\n", 2), (b"[site a]\nsecret_key = a\nsecret_key = a\n", 3),
    *[(b"[site a]\n" + line + b"\n", 2) for line in (
        b"key = x", b"key. = x", b"key.a =", b"key.a = b c", b"key.a = sha256:", b"key.a = sha256:" + HEX[1:].encode(), b"key.a = Sha256:" + HEX.encode(),
        b"key.a b = x", b"key.a/b = x",
        "key.\u00fc = x".encode(), b"key..a = x", b"key.-a = x", b"key." + b"a" * 32 + b" = x", b"key.secret_key = x", b"key.Secret_Key = x", b"key.a = " + b"x" * 256,
        b"key.a_file = /nowhere/at all")],
    (b"[site a]\nkey.a = x\nkey.a = y\n", 3), (b"[site a]\nkey.a = x\nkey.A = y\n", 3), (b"[ranking a]\nkey.a = x\n", 2), (b"key.a = x\n", 1),
    (b"[site a]\n" + b"".join(b"key.k%d = x%d\n" % (i, i) for i in range(17)), 18),
    (b"[site a]\norigins =\n", 2), (b"[site a]\norigins = *\n", 2), (b"[site a]\n" + b"origins = https://a.example\n" * 17, 18),
    *[(b"[site a]\nsite_url = %s\n" % url, 2) for url in (
        b"", b"news.example", b"ftp://news.example", b"https://", b"https:///a", b"https://a@news.example", b"https://*.example", b"/a", b"https://n.example?a",
        b"https://n.example/?a", b"https://n.example/#a", b"https://n.example/a b", b"https://n.example/\"", "https://n.example/\u00fc".encode(),
        b"https://n.example:0/")],
    (b"[site a]\nsite_url = https://n.example\nsite_url = https://n.example\n", 3),
    (b"[ranking a]\nsecret_key = a\n", 2), (b"[ranking a]\nworkers = 1\n", 2), (b"[ranking a]\ntype = hot\n", 2), (b"[ranking a]\ntype =\n", 2),
    (b"[ranking a]\nhalf_life = 59s\n", 2), (b"[ranking a]\nhalf_life = 3651d\n", 2), (b"[ranking a]\nhalf_life = 3\n", 2),
    (b"[ranking a]\nhalf_life = -1h\n", 2), (b"[ranking a]\nvotes = up\n", 2), (b"[ranking a]\nvotes = down:1\n", 2), (b"[ranking a]\nvotes = up:x\n", 2),
    (b"[ranking a]\nvotes = nan\n", 2), (b"[ranking a]\nvotes = inf\n", 2), (b"[ranking a]\nvotes = 1000001\n", 2), (b"[ranking a]\nvotes = up:1\tup:2\n", 2),
    (b"[ranking a]\nviews = up:1\n", 2), (b"[ranking a]\nviews =\n", 2), (b"[ranking a]\nviews = -1000001\n", 2), (b"[ranking a]\nfloor = -1\n", 2),
    (b"[ranking a]\nfloor = 1000001\n", 2), (b"[ranking a]\nfloor = 1.5\n", 2), (b"[ranking a]\noldest_age = 36501d\n", 2),
    (b"[ranking a]\noldest_age = 1y\n", 2), (b"[ranking a]\ntype = total\ntype = total\n", 3),
    # Contradictions
    (b"[site a]\nkey.a = x\nkey.b = x\n", None), (b"[site a]\nkey.a = x\nsecret_key = x\n", None), (b"secret_key = x\n[site a]\nkey.a = x\n", None),
    (f"[site a]\nkey.a = x\nkey.b = sha256:{hashlib.sha256(b'x').hexdigest().upper()}\n".encode(), None),
    (b"[ranking a]\ntype = window\nviews = -1\n", 3), (b"[ranking a]\ntype = window\nvotes = up:-0.000001\n", 3), (b"[ranking a]\nviews = -1\ntype = window\n", 3),
    (b"kinds = up down\n[ranking a]\nvotes = up:1 down:-1\nwindow = 7d\ntype = window\n", 5),
    (b"request_line_limit = 32KiB\nhead_limit = 31KiB\n", None), (b"[ranking a]\nvotes = 0\nviews = 0\n", None),
    (b"[ranking a]\ntype = best\n", None), (b"[ranking a]\ntype = total\nhalf_life = 3h\n", None), (b"kinds = a b\n[ranking a]\nvotes = up:1\n", 3),
    (b"".join(b"[ranking r%d]\nhalf_life = %dh\n" % (i, 7 + i) for i in range(16)), None),
    (b"".join(b"[ranking r%d]\ntype = rising\nhalf_life = %dh\n" % (i, 7 + 30 * i) for i in range(8)), None),
    (b"listen = 127.0.0.1:8080\nops_listen = 127.0.0.1:8080\n", None), (b"listen = 127.0.0.1:8080\nops_listen = 0.0.0.0:8080\n", None),
    (b"listen = 127.0.0.1:8080\nops_listen = [::ffff:127.0.0.1]:8080\n", None), (b"listen = 127.0.0.1:8080\npublisher_listen = localhost:8080\n", None),
    (b"listen = 127.0.0.1:8080\nops_listen = [::ffff:0.0.0.0]:8080\n", None),
    (b"listen = unix:/tmp/engaged-a\nops_listen = unix:/tmp//engaged-a\n", None), (b"listen = unix:/tmp/engaged-a\nops_listen = unix:/tmp/./engaged-a\n", None),
    (b"listen = unix:/tmp/engaged-a\npublisher_listen = unix:/tmp/../tmp/engaged-a\n", None), (b"ops_listen = 127.0.0.1:8081\npublisher_listen = 0.0.0.0:8081\n", None),
    (b"redis = redis://127.0.0.1\nsecret = %s\n" % HEX.encode(), None), (b"redis = redis://127.0.0.1\nhash_key = %s\n" % HEX.encode(), None),
    (b"redis = unix:/nowhere\n", None), (b"wait_replicas_strict = on\n", None), (b"sentinel_user = u\n", None),
    (b"sentinel_password = p\n", None), (b"redis_password = p\n", None),
    (f"redis = redis://:p@h1\nredis_password = p\nsecret = {HEX}\nhash_key = {HEX}\n".encode(), None), (f"{BEHIND_SENTINELS}sentinel_user = u\n".encode(), None),
    (f"redis = cluster://h1\nsecret = {HEX}\nhash_key = {HEX}\nwait_replicas = 0\nwait_replicas_strict = on\n".encode(), None),
]

GOOD_FILES = [
    b"", b"\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbfworkers = 1\n", b"\xef\xbb\xbf[site a]\nsecret_key = x\n", b"workers = 1\r\n[site a]\r\nsecret_key = x\r\n",
    b"workers=1", b"workers: 1\n", b"workers\t=\t1\t\n", b"# x\n; y\n  # z\n", b"workers = 1 ; one\n", b"[site a] # x\n", b"[site a] ; x\n",
    b"[site " + b"a" * 63 + b"]\n", b"[ranking " + b"a" * 63 + b"]\n", b"[ranking site]\n", b"[site ranking]\n", b"[site a]\n[ranking a]\n",
    b"".join(b"[ranking r%d]\n" % i for i in range(32)), b"".join(b"[site s%d]\n" % i for i in range(1024)),
    b"[site a]\nkey." + b"a" * 31 + b" = x\nkey.0_b-c.D = sha256:" + HEX.upper().encode() + b"\n[site b]\nkey.a = x\n",
    b"[site a]\n" + b"".join(b"key.k%d = x%d\n" % (i, i) for i in range(16)), b"[site a]\nkey.a = " + b"x" * 150 + b"\n",
    b"[site a]\n" + b"origins = https://a.example\n" * 16, b"[site a]\norigins = https://A.example:443  http://[::1]:80\n",
    *[b"[site a]\nsite_url = %s\n" % url for url in (b"https://N.example", b"http://[::1]:8080/", b"https://n.example:443/a/b-c_d~e%20f", b"http://localhost/" + b"a" * 150)],
    b"[ranking a]\nhalf_life = 1m\n", b"[ranking a]\nhalf_life = 3650d\n", b"[ranking a]\ntype = window\nviews = 0\n", b"[ranking a]\nvotes = 1e6\nviews = -1e6\n", b"[ranking a]\nvotes = -0.000001\nviews = 1e-6\n", b"[ranking a]\nfloor = 1000000\n",
    b"[ranking a]\noldest_age = 36500d\n", b"[ranking a]\nfloor = 0\noldest_age = 0\n", b"kinds = a b\n[ranking x]\ntype = best\n",
    b"".join(b"[ranking r%d]\nhalf_life = %dh\n" % (i, 7 + i) for i in range(15)), b"request_line_limit = 32KiB\nhead_limit = 32KiB\n",
    b"listen = unix:/tmp/engaged-a\nops_listen = unix:/tmp/engaged-b\n", b"listen = 127.0.0.1:8080\nops_listen = [::ffff:127.0.0.2]:8080\n",
]


def wrong_values(kind, name, fields):
    if kind == "TEXT":
        size = int(fields[0])
        return TEXTS[name][0] + (["x" * size] if size < 190 else [])
    if kind == "CHOICE":
        return ["", "none", "allow", fields[0].upper(), fields[0].capitalize(), fields[0][:-1], fields[0] + "s", " ".join(fields[:2])]
    if kind == "SWITCH":
        return ["", "yes", "On", "1", "true", "on off"]
    low, high = edges(kind, fields)
    below = [text_of(kind, low - 1)] if low > 1 else []
    unit = ["1s", "1KiB"] if kind == "NUMBER" else ["1 s", "500ms", "1KiB", "36500d"] if kind == "SECONDS" else ["1 " + ("s" if kind == "DURATION" else "KiB"), "1kb", "1" + ("KiB" if kind == "DURATION" else "s")]
    bare = ["1"] if kind == "DURATION" else []
    zero = ["0"] if low > 0 else []
    return [*below, *zero, *unit, *bare, text_of(kind, high + 1), "", "-1", "+1", "1.5", "0x10", "1e1", "two", str(MOST), str(2 * MOST + 1), "9" * 40]


def right_values(kind, name, fields):
    if kind == "TEXT":
        return TEXTS[name][1]
    if kind == "CHOICE":
        return [*fields[1:], fields[0]]
    if kind == "SECONDS":
        return [*map(str, edges(kind, fields)), "1m", "0s"]
    return ["on", "off"] if kind == "SWITCH" else [text_of(kind, value) for value in edges(kind, fields)]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def all_of(work, cases):
    """Tries them beside each other; what fails is told together."""
    def fault_of(case):
        try:
            work(*case)
        except AssertionError as fault:
            return case, str(fault)
        return None

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        faults = [fault for fault in pool.map(fault_of, cases) if fault]
    assert not faults, "\n".join(map(str, faults))


def wrong_rows():
    return [(name, value) for kind, name, fields in TABLE for value in wrong_values(kind, name, fields)]


def refuses_value(place, name, value):
    line = place.compare("--config", place.write(f"# a comment\n\n{name} = {value}\n"))
    by_line = ".conf:3: " in line
    assert by_line or name == "kinds" or "listen" in name or name == "redis" or ("secret" in name and "required" in line) or name.endswith("_file") or "Redis is not spoken to by TLS" in line, (name, value, line)
    assert not ("secret" in name and not name.endswith("_file") and len(value) > 8 and value in line), "a secret is not repeated"


def test_the_table_is_read_whole():
    said = subprocess.run([PROGRAM, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    named = re.findall(r"^  --([a-z0-9-]+) ", said, re.M)
    assert [name.replace("_", "-") for _, name, _ in TABLE] == named
    assert {name for kind, name, _ in TABLE if kind == "TEXT"} == set(TEXTS), "each text needs its wrong and right values in TEXTS"


def test_the_example_configuration_has_the_sentences_of_the_help():
    said = subprocess.run([PROGRAM, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    with open(os.path.join(ROOT, "deploy/engaged.conf"), encoding="utf-8") as file:
        paragraphs = re.findall(r"((?:^# .*\n)+)^# (\w+) = ?.*$", file.read(), re.M)
    example = {name: " ".join(line[2:] for line in text.splitlines()) for text, name in paragraphs}
    for option, sentences in re.findall(r"^  --([a-z0-9-]+) +(\S.*) \[[^\[]*\]$", said, re.M):
        assert example[option.replace("-", "_")].startswith(sentences), option


def test_a_wrong_value_is_refused_by_both_with_its_line(place):
    rows = wrong_rows()
    assert len(rows) > 600
    rows = rows[::1 if BUILD == "build" else 7]  # under sanitizers each start takes its time
    all_of(lambda name, value: refuses_value(place, name, value), rows)
    assert [name for name in os.listdir(place.folder) if not name.endswith(".conf")] in ([], ["data"])
    assert not (place.folder / "data").exists() or os.listdir(place.folder / "data") == ["secrets"], "no Redis was started"


def test_a_wrong_file_is_refused_by_both_with_its_line(place):
    def refuses(text, number):
        line = place.compare("--config", place.write(text))
        assert number is None or f".conf:{number}: " in line, (text, line)

    all_of(refuses, FILES)


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), lambda path: path.mkdir(), lambda path: None,
                                  lambda path: socket.socket(socket.AF_UNIX).bind(str(path))])
def test_what_is_no_file_is_refused(place, make):
    path = place.folder / "odd"
    make(path)
    assert str(path) in place.compare("--config", path)


def test_a_pipe_is_refused_as_it_is_read_several_times(place):
    for arguments in (["check"], []):
        done = subprocess.run([PROGRAM, *arguments, "--config", "/dev/stdin"], input=b"workers = 1\n[site a]\nsecret_key = x\n",
                              stderr=subprocess.PIPE, timeout=60, cwd=place.folder)
        assert done.returncode == 1 and b"pipe" in done.stderr, done.stderr


OPTIONS = [["--workers"], ["--workers", "x"], ["--workers=257"], ["--wrkers", "1"], ["--workers", ""], ["--Workers", "1"], ["workers=1"],
           ["-workers", "1"], ["--"], ["--="], ["--config"], ["--config", "/nowhere"], ["--config="], ["--site", "a"], ["--" + "x" * 300, "1"],
           ["--workers", "1", "2"], ["--workers", "1", "check"], ["--redis", "embedded:"], ["--kinds", "up up"]]


def test_a_wrong_option_is_refused_by_both(place):
    all_of(lambda options: place.compare(*options), [(options,) for options in OPTIONS])


def test_a_wrong_variable_is_refused_by_both(place):
    for name, value in [("WORKERS", "x"), ("WORKERS", ""), ("WRKERS", "1"), ("", "1"), ("CONFIG", "/nowhere"), ("CONFIG", ""),
                        ("SECRET", "no hex"), ("PARTITIONS", "0"), ("LISTEN", "8080"), ("workers", "x"), ("X" * 200, "1")]:
        line = place.compare(**{"ENGAGED_" + name: value})
        assert name == "CONFIG" or line.startswith("ENGAGED_"), line


def test_a_folder_that_cannot_be_used_is_refused_by_both(place):
    file, bad = place.folder / "file", place.folder / "bad"
    file.write_text("precious", encoding="utf-8")
    bad.mkdir()
    for text in ("", "secret x\n", f"secret {HEX}\n", f"secret {'x' * 64}\nhash_key {HEX}\n", f"secret {HEX}\nhash_key {'y' * 64}\n"):
        (bad / "secrets").write_text(text, encoding="utf-8")
        assert place.compare("--redis", f"embedded:{bad}")
    assert place.compare("--redis", f"embedded:{file}")
    assert place.compare("--redis", f"embedded:{file}/x")
    assert place.compare("--listen", f"unix:{file}")
    assert place.compare("--ops-listen", f"unix:{file}/x")
    assert place.compare("--listen", f"unix:{bad}")
    assert file.read_text(encoding="utf-8") == "precious"


def test_without_a_redis_server_an_embedded_one_is_refused_by_both(place):
    for path in ("", "/nowhere", ":", "/nowhere::/nowhere/else:"):
        code, said = place.run("check", "--redis", "embedded:d", PATH=path)
        assert code == 1 and "redis-server" in said, (path, said)
        assert not (place.folder / "d").exists()
    code, said = place.run("--redis", "embedded:d", PATH="/nowhere")
    assert code == 1 and "redis-server" in said, said
    assert place.run("check", "--redis", "embedded:d")[0] == 0


def test_a_right_value_at_each_edge_is_taken(place):
    rows = [(name, value) for kind, name, fields in TABLE for value in right_values(kind, name, fields)]

    def takes(name, value):
        ports = "" if "listen" in name else "listen = 127.0.0.1:8083\nops_listen = 127.0.0.1:8084\n"
        lines = NEEDS.get(name, "") if value else ""
        lines += "head_limit = 256KiB\n" if name == "request_line_limit" else "request_line_limit = 1KiB\n" if name == "head_limit" else ""
        secrets = "".join(f"{key} = {HEX}\n" for key in ("secret", "hash_key") if name == "redis")
        code, said = place.run("check", "--config", place.write(f"{ports}{lines}{secrets}{name} = {value}\n"))
        assert code == 0, (name, value, said)

    all_of(takes, rows)


def test_a_right_file_is_taken(place):
    def takes(text):
        code, said = place.run("check", "--config", place.write(text))
        assert code == 0, (text, said)

    all_of(takes, [(text,) for text in GOOD_FILES])


def test_a_mark_before_the_first_line_is_none_of_it(place):
    said = subprocess.run([PROGRAM, "--print-config", "--config", place.write(b"\xef\xbb\xbf[site a.example]\nsecret_key = x\n")],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "\n[site a.example]\nsecret_key = (set)" in said and "\nsecret_key = \n" in said


def test_check_makes_nothing_and_asks_no_redis(place):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.setblocking(False)
        code, said = place.run("check", "--redis", f"redis://127.0.0.1:{silent.getsockname()[1]}", "--secret", HEX, "--hash-key", HEX)
        assert code == 0, said
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert place.run("check", "--redis", "embedded:d", "--listen", "unix:s")[0] == 0
    assert os.listdir(place.folder) == []


# ---- Processes take what check takes: all edges at once, in a few starts

NOT_AT_EDGE = {"redis_password", "redis_tls", "redis_tls_name", "partitions", "listen", "ops_listen", "publisher_listen", "redis", "secret", "hash_key", "kinds", "sites",
               "sentinel_user", "sentinel_password"}
OTHERWISE = {"workers": "2",  # 256 are too many for a test
             "request_line_limit": "64KiB", "head_limit": "256KiB"}


def starts(redis, settings):
    """Ready, and nobody was refused or came up twice."""
    launch = Launch(redis=redis.url, secret=HEX, hash_key=HEX, partitions=1, **settings)
    process = launch.spawn()
    launch.wait_ready([process])
    log = launch.log()
    assert "refused" not in log and "starting" not in log, log
    launch.judge(end(process))


@pytest.mark.parametrize("edge", [0, 1, 2])
def test_processes_take_every_edge_that_check_takes(edge):
    settings = {name: right_values(kind, name, fields)[min(edge, len(right_values(kind, name, fields)) - 1)]
                for kind, name, fields in TABLE if name not in NOT_AT_EDGE}
    if edge:
        settings |= OTHERWISE
    else:
        settings |= {"workers": "1", "send_timeout": "10s", "request_timeout": "10s", "redis_timeout": "2s", "idle_timeout": "10s",
                     "wait_replicas_strict": "off"}
    settings |= {"hang_timeout": "30s", "log_level": "info"}
    with RedisServer() as redis:
        starts(redis, settings)


def test_a_renamed_setting_is_still_taken_by_its_old_name(place):
    with open(os.path.join(ROOT, "src/ops/settings_renamed.def"), encoding="utf-8") as file:
        renamed = re.findall(r"^RENAMED\((\w+), (\w+)\)", file.read(), re.M)
    assert renamed
    for old, _ in renamed:
        for options, environment in [((f"--{old}=off",), {}), ((), {f"ENGAGED_{old.upper()}": "off"}),
                                     (("--config", place.write(f"{old} = off\n")), {})]:
            code, said = place.run("check", *options, **environment)
            assert code == 0, said
        code, said = place.run("check", f"--{old}=neither")
        assert code == 1 and old in said
