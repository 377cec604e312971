# SPDX-License-Identifier: MIT
"""Rights that the service's user of Redis lacks or loses while it works (ACL): the log names them, calls are 503 at worst,
nothing is half written, and the service recovers when they are given."""
import json
import re
import subprocess

import pytest
from support.fault_service import FaultService
from support.program import PROGRAM, ROOT
from support.redis_server import RedisServer
from support.scripted_redis import ScriptedRedis, answer
from support.service import WaitingService
from support.wait import wait_until

SECONDS = 20
KEYS_REFUSED = "Redis refuses this user some of our keys ({e* and engaged:*)"


class User:
    """The service's user on a Redis of its own."""

    def __init__(self, server, *rights):
        self.client, self.url = server.client(), f"redis://u:p@127.0.0.1:{server.port}"
        self.set("on", ">p", "~*", "&*", "+@all", *rights)

    def set(self, *rights):
        self.client.execute_command("ACL", "SETUSER", "u", *rights)


class OneWorker(FaultService):
    worker_count = 1


@pytest.fixture
def server():
    with RedisServer() as server:
        yield server


@pytest.mark.parametrize("command", ["xadd", "mset", "mget", "xrange", "zadd", "hset", "evalsha", "script|load", "role", "time"])
def test_a_right_of_the_road_that_lacks_from_the_start_is_named_and_taken_when_it_is_given(ending, server, command):
    user = User(server, f"-{command}")
    service = ending(WaitingService(redis=user.url))
    wait_until(lambda: command in service.trouble()[1].lower(), SECONDS, lambda: f"{service.trouble()}\n{service.log()}")
    assert service.trouble()[0] == 503 and command in service.log().lower() and service.vote("v").status == 503
    user.set(f"+{command}")
    assert service.wait_taken().json["votes"]["up"] == 1


def test_one_that_is_taken_away_is_named_in_the_answer_the_log_and_readyz(ending, server):
    user = User(server)
    service = ending(WaitingService(redis=user.url))
    service.wait_taken()
    user.set("-xadd")
    refused = service.vote("v")
    assert refused.status == 503 and "XADD" in refused.json["detail"] and refused.headers["retry-after"], refused.body
    service.wait_named("XADD")
    assert "error: Redis refuses XADD" in service.log()
    user.set("+xadd")
    service.wait_taken()
    assert service.vote("v").json["votes"]["up"] == 2 and "no longer so: Redis refuses XADD" in service.log()


def test_one_that_nobody_uses_just_now_is_named_too(ending, server):
    user = User(server)
    service = ending(WaitingService(redis=user.url))
    service.wait_taken()
    user.set("-zrange")
    service.wait_named("ZRANGE")
    user.set("+zrange")
    service.wait_taken()


def test_a_user_that_is_removed_or_turned_off_is_named_and_back_when_it_is_there_again(ending, server):
    user = User(server)
    service = ending(WaitingService(redis=user.url))
    service.wait_taken()
    user.client.execute_command("ACL", "DELUSER", "u")  # closes its connections
    service.wait_named("WRONGPASS")
    assert "WRONGPASS" in service.log() and service.vote("v").status == 503
    user.set("on", ">p", "~*", "&*", "+@all")
    assert service.wait_taken(visitor="v").json["votes"]["up"] == 2


def test_where_redis_cannot_tell_the_first_refusal_says_it():
    """As a Redis before 7: the script of rights answers nothing, and no script asks beforehand."""
    with ScriptedRedis() as scripted:
        scripted.rule("rights", answer(b"$-1\r\n"))
        user = User(scripted)
        with OneWorker(scripted, redis=f"redis://u:p@127.0.0.1:{scripted.port}") as service:
            assert vote(service, "a", "v")[0] == 200
            user.set("-mget")
            wait_until(lambda: b"refuses" in vote(service, "a", "w")[1], SECONDS, service.log)
            assert vote(service, "a", "w")[0] == 503 and "error: Redis refuses" in service.log()
            user.set("+mget")
            wait_until(lambda: vote(service, "a", "w")[0] == 200 and service.is_ready(), SECONDS, service.log)
            assert json.loads(vote(service, "a", "w")[1])["votes"] == {"up": 2}


def test_keys_that_are_not_ours_to_use_are_named(ending, server):
    user = User(server, "resetkeys", "~other:*")
    service = ending(WaitingService(redis=user.url))
    service.wait_named("our keys ({e* and engaged:*)")
    user.set("~{e*", "~engaged:*")
    service.wait_taken()


def test_keys_of_some_partitions_are_named_and_the_log_says_it_once_and_not_with_each_refusal(ending, server):
    user = User(server)
    service = ending(WaitingService(redis=user.url))
    service.wait_taken()
    user.set("resetkeys", "~{e0}*", "~{e1}*", "~engaged:*")
    answers = [service.vote("v", item=f"i{n}") for n in range(300)]
    refused = [answer for answer in answers if answer.status == 503]
    assert len(refused) > 100 and {answer.json["detail"] for answer in refused} == {KEYS_REFUSED}
    lines = [line for line in service.log().splitlines() if KEYS_REFUSED in line]
    assert 1 <= len(lines) < 60, (len(lines), lines[:10])
    user.set("~*")
    service.wait_taken()
    assert f"no longer so: {KEYS_REFUSED}" in service.log()


def test_a_user_without_channels_is_served_without_a_pause_and_without_a_word_of_refused_commands(ending, server):
    user = User(server, "resetchannels")
    service = ending(WaitingService(redis=user.url))
    service.wait_taken()
    for n in range(3):  # each wakes the projector by a message that is refused
        answer = service.lines("/v1/s/events?wait=true", [{"type": "view", "item": "a", "visitor": f"reader-{n}"}])
        assert (answer.status, answer.json["accepted"]) == (200, 1), answer.body
        assert service.trouble() == (200, "ready\n") and service.vote(f"voter-{n}").status == 200
    assert service.get("/v1/s/items/a").json["views"] == 3 and "Redis refuses" not in service.log()


def test_without_scan_votes_are_taken_and_what_cannot_run_is_named_and_runs_later(ending, server):
    user = User(server, "-scan")
    service = ending(WaitingService(redis=user.url))
    service.wait_taken()
    status, text = service.trouble()
    assert status == 200 and "SCAN" in text and "erasure" in text, (status, text)
    assert "error: Redis refuses SCAN" in service.log()
    refused = service.keyed("GET", "/v1/s/export")
    assert refused.status == 503 and "SCAN" in refused.json["detail"]
    assert service.keyed("POST", "/v1/s/corrections", {"visitor": "taker"}).status == 202
    user.set("+scan")
    wait_until(lambda: service.trouble() == (200, "ready\n"), SECONDS, service.trouble)
    assert service.keyed("GET", "/v1/s/export").body.splitlines()[-1].startswith(b'{"type":"end"')
    wait_until(lambda: service.get("/v1/s/items/a").json["votes"]["up"] == 0, SECONDS, service.log)


@pytest.mark.parametrize("command", ["del", "hlen"])
def test_an_export_goes_without_what_only_others_need(ending, server, command):
    user = User(server, f"-{command}")
    service = ending(WaitingService(redis=user.url))
    service.wait_taken()
    wait_until(lambda: command.upper() in service.trouble()[1], SECONDS, service.trouble)
    export = service.keyed("GET", "/v1/s/export")
    assert export.status == 200 and export.body.splitlines()[-1].startswith(b'{"type":"end"'), export.body


def test_a_user_without_dangerous_commands_but_role_and_info_is_served(ending, server):
    user = User(server, "-@dangerous", "+info", "+role")
    service = ending(WaitingService(redis=user.url))
    service.wait_taken()
    wait_until(lambda: service.trouble() == (200, "ready\n"), what=service.log)


def test_without_the_right_of_the_audit_log_alone_calls_go_on(ending, server):
    user = User(server, "-xdel")
    service = ending(WaitingService(redis=user.url))
    service.wait_taken()
    wait_until(lambda: "XDEL" in service.trouble()[1] and service.trouble()[0] == 200, SECONDS, service.trouble)
    assert service.keyed("PUT", "/v1/s/items/a", {"title": "t"}).status == 200
    entry, = service.keyed("GET", "/v1/s/audit").json["entries"]
    assert (entry["item"], entry["status"]) == ("a", None)
    user.set("+xdel")
    wait_until(lambda: service.trouble() == (200, "ready\n"), SECONDS, service.trouble)
    service.keyed("PUT", "/v1/s/items/b", {"title": "t"})
    wait_until(lambda: [(one["item"], one["status"]) for one in service.keyed("GET", "/v1/s/audit").json["entries"]] == [("b", 200), ("a", None)], SECONDS)


def check(url):
    """What `engaged check --connect` says of this Redis: its exit status and its text."""
    done = subprocess.run([PROGRAM, "check", "--connect", "--redis", url, "--secret", "11" * 32, "--hash-key", "22" * 32],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize("command", ["id", "tracking", "caching"])
def test_without_the_right_to_track_workers_read_again_and_it_is_named_until_it_is_given(ending, server, command):
    user = User(server, f"-client|{command}")
    service = ending(WaitingService(redis=user.url, refresh_interval="200ms"))
    service.wait_taken()
    named = f"Redis refuses CLIENT {command.upper()} to this user, or has it renamed: without it no memory of unchanged states"
    wait_until(lambda: service.trouble() == (200, f"ready; {named}\n"), SECONDS, lambda: f"{service.trouble()}\n{service.log()}")
    assert service.metrics()["engaged_tracking_up"] == 0 and service.log().count(f"error: {named}") == 1, service.log()
    code, said = check(user.url)
    assert code == 0 and f"warning: redis: 127.0.0.1:{server.port}: {named}\n" in said
    user.set(f"+client|{command}")
    wait_until(lambda: service.trouble() == (200, "ready\n") and service.metrics()["engaged_tracking_up"] == 1, SECONDS, service.log)
    assert check(user.url)[1].startswith("The configuration is right")


def test_nobody_misses_the_right_to_track_who_tracks_nothing(ending, server):
    user = User(server, "-client")
    service = ending(WaitingService(redis=user.url, redis_tracking="off"))
    service.wait_taken()
    wait_until(lambda: service.trouble() == (200, "ready\n"), what=service.trouble)
    assert "CLIENT" not in service.log()


def test_check_names_what_a_user_lacks_and_what_is_lost_by_it(server):
    """All that docs/operating.md says that a user needs, less some of it."""
    user = User(server, "reset", "on", ">p", *enough())
    assert check(user.url) == (0, "The configuration is right, and so is the Redis that answers.\n")
    user.set("-xadd", "-scan")
    code, said = check(user.url)
    assert code == 1 and "Redis refuses XADD to this user" in said, said
    user.set("+xadd", "-xdel", "resetchannels")
    code, said = check(user.url)
    assert code == 0, said
    for words in ("Redis refuses SCAN to this user, or has it renamed: without it no erasure", "Redis refuses XDEL",
                  "Redis refuses PUBLISH engaged:wake, SUBSCRIBE engaged:wake to this user", "Redis refuses SUBSCRIBE __redis__:invalidate to this user"):
        assert f"engaged: warning: redis: 127.0.0.1:{server.port}: {words}" in said, said
    user.set("-script")
    assert check(user.url)[0] == 1


def enough():
    """The rights that docs/operating.md and src/store/rights.def name."""
    with open(f"{ROOT}/src/store/rights.def", encoding="utf-8") as file:
        commands = re.findall(r'^RIGHT\("(\w+)(?: (\w+))?', file.read(), re.M)
    named = {f"+{name}|{second}" if name in ("CLIENT", "CLUSTER") else f"+{name}" for name, second in commands}
    return ["~{e*", "~engaged:*", "&engaged:wake", "&__redis__:invalidate", "+evalsha", "+script|load", "+info", "+ping", "+auth", *sorted(named)]


def test_a_user_with_what_the_document_names_has_enough(ending, server):
    with open(f"{ROOT}/docs/operating.md", encoding="utf-8") as file:
        text = " ".join(file.read().split())
    for words in ("the keys `{e*` and `engaged:*`", "`src/store/rights.def`", "`EVALSHA`, `SCRIPT LOAD`, `INFO`", "`&engaged:wake &__redis__:invalidate`",
                  "`CLIENT ID`, `CLIENT TRACKING`, `CLIENT CACHING`"):
        assert words in text, words
    user = User(server, "reset", "on", ">p", *enough())
    service = ending(WaitingService(redis=user.url, refresh_interval="200ms"))
    service.wait_taken()
    wait_until(lambda: service.trouble() == (200, "ready\n") and service.metrics()["engaged_tracking_up"] == 1, SECONDS, service.log)
    assert "Redis refuses" not in service.log() and "NOPERM" not in service.log()


@pytest.mark.parametrize("command", ["XADD", "SCAN"])
def test_a_command_that_is_renamed_is_named(ending, tmp_path, command):
    (tmp_path / "renamed.conf").write_text(f'rename-command {command} ""\n')
    with RedisServer(include=tmp_path / "renamed.conf") as server:
        service = ending(WaitingService(redis=server.url))
        wait_until(lambda: command in service.trouble()[1], SECONDS, lambda: f"{service.trouble()}\n{service.log()}")
        assert service.trouble()[0] == (503 if command == "XADD" else 200)


# ---- Nothing half written

@pytest.fixture(scope="module")
def bench():
    """A worker without a projector, so that nobody else writes; an item with voters in buckets (b) and one without (a)."""
    with RedisServer() as server:
        user = User(server)
        with OneWorker(server, redis=user.url, log_level="error") as service:
            for n in range(80):
                assert vote(service, "b", f"v{n}")[0] == 200
            assert vote(service, "a", "v0")[0] == 200
            wait_until(lambda: server.client().keys("*voters*") or server.client().keys("{e*}v*"), 10, "buckets")
            yield user, service


def call(service, method, path, visitor=None, body=None):
    return service.client().call(method, f"/v1/s/items/{path}", body, visitor=visitor)


def vote(service, item, visitor):
    return call(service, "POST", f"{item}/votes", visitor)


def held(client):
    """But for the audit log, which has the calls that are refused too."""
    return {key: client.dump(key) for key in client.keys() if b"}k" not in key}


WRITES = {
    "vote": lambda service, n: vote(service, "a", f"new{n}"),
    "vote in a bucket": lambda service, n: vote(service, "b", f"new{n}"),
    "retract": lambda service, n: call(service, "DELETE", "a/votes", "v0"),
    "retract in a bucket": lambda service, n: call(service, "DELETE", "b/votes", "v7"),
    "view": lambda service, n: call(service, "POST", "a/views", f"new{n}", "{}"),
    "card": lambda service, n: call(service, "PUT", "a", body=f'{{"title":"t{n}","categories":["c{n}"]}}'),
    "delete": lambda service, n: call(service, "DELETE", "a"),
}
HALVES = [("xadd", "vote"), ("xadd", "vote in a bucket"), ("mset", "vote in a bucket"), ("hset", "vote in a bucket"),
          ("xadd", "retract"), ("hdel", "retract in a bucket"), ("xadd", "view"), ("xadd", "card"), ("zadd", "card"),
          ("hset", "card"), ("zremrangebyrank", "card"), ("xadd", "delete"), ("zrem", "delete"), ("hset", "delete")]


@pytest.mark.parametrize("command,write", HALVES)
def test_a_write_of_which_a_part_is_refused_leaves_nothing(bench, command, write):
    user, service = bench
    wait_until(service.is_ready, SECONDS, service.log)
    before = held(user.client)
    user.set(f"-{command}")
    status, text = WRITES[write](service, command)
    after = held(user.client)
    user.set(f"+{command}")
    assert status == 503 and command.upper().encode() in text, (status, text)
    assert {key for key in before | after if before.get(key) != after.get(key)} == set()
    wait_until(service.is_ready, SECONDS, service.log)
