# SPDX-License-Identifier: MIT
"""engaged backup and engaged restore, on a running service: counts, voters, rankings and logs are those of the
file, and nothing acknowledged afterwards is lost, even when Redis is killed right then."""
import os
import signal
import subprocess
import time

import pytest
import redis

from support.beside import Beside
from support.processes import redis_pid
from support.program import PROGRAM, options_of
from support.service import Service
from support.wait import wait_until


@pytest.fixture
def service(tmp_path):
    service = Service(redis=f"embedded:{tmp_path}/d", kinds="up down")
    yield service
    service.stop()


def run_tool(service, tool, file, **changed):
    options = options_of({**service.settings, **changed})
    return subprocess.run([PROGRAM, tool, str(file), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120)


def vote(service, item, visitor):
    return service.keyed("POST", f"/v1/s/items/{item}/votes", {"kind": "up"}, Engaged_Visitor=visitor)


def is_new(service, item, visitor):
    """Whether this visitor's vote is counted now, by the exact counts of two answers."""
    before = vote(service, item, "a witness").json["votes"]["up"]
    return vote(service, item, visitor).json["votes"]["up"] - before == 1


def bulk(service, kind, visitors, items=5):
    rows = [{"type": kind, "item": f"i{n % items}", "visitor": f"v{n}"} for n in visitors]
    # It is safe to repeat: a connection that was cut may not be back yet.
    wait_until(lambda: service.lines("/v1/s/events?wait=true", rows).json.get("accepted") == len(rows), 15, "taken and projected")


def counts(service):
    answer = service.get("/v1/s/items?" + "&".join(f"id=i{n}" for n in range(5)))
    return {item["item"]: (item["votes"]["up"], item["views"]) for item in answer.json["items"]}


def top(service):
    return [(item["item"], item["votes"]["up"]) for item in service.get("/v1/s/rankings/top").json["items"]]


def staged_redises():
    """Processes that load a file for a restore."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith("/tmp/engaged-restore-"):
                found.add(int(pid))
        except OSError:
            pass
    return found


def role_of(folder):
    try:
        return redis.Redis(unix_socket_path=f"{folder}/redis.sock").execute_command("ROLE")[0]
    except redis.RedisError:
        return None


@pytest.mark.parametrize("who", ["the tool", "the exchange"])
def test_a_restore_that_is_killed_leaves_no_replica(service, tmp_path, who):
    bulk(service, "vote", range(100))
    file = tmp_path / "backup.rdb"
    assert run_tool(service, "backup", file).returncode == 0
    bulk(service, "vote", range(100, 200))
    others = staged_redises()
    tool = subprocess.Popen([PROGRAM, "restore", str(file), *options_of(service.settings)], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    wait_until(lambda: role_of(tmp_path / "d") == b"slave" or tool.poll() is not None, 30, "a replica for a while", pause=0)
    assert tool.poll() is None
    with open(f"/proc/{tool.pid}/task/{tool.pid}/children", encoding="utf-8") as children:
        exchanges = [pid for pid in map(int, children.read().split()) if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(PROGRAM)]
    os.kill(tool.pid if who == "the tool" else exchanges[0], signal.SIGKILL)
    said = tool.communicate(timeout=60)[0]
    assert tool.returncode != 0
    wait_until(lambda: role_of(tmp_path / "d") == b"master", 10, "a master again")
    wait_until(lambda: service.get("/readyz").status == 200, 15, "ready again")
    wait_until(lambda: staged_redises() <= others, 10, "the staged Redis is gone")
    assert redis.Redis(unix_socket_path=f"{tmp_path}/d/redis.sock").config_get("masterauth")["masterauth"] == ""
    if who == "the tool":
        wait_until(lambda: sum(v for v, _ in counts(service).values()) == 100, 15, lambda: f"{counts(service)} {said}")
    else:
        assert "is a master again" in said
    assert is_new(service, "i0", "somebody else")


def test_a_restore_returns_when_the_service_is_back(service, tmp_path):
    bulk(service, "vote", range(50))
    file = tmp_path / "backup.rdb"
    assert run_tool(service, "backup", file).returncode == 0
    for number in range(6):
        done = run_tool(service, "restore", file)
        assert done.returncode == 0, done.stdout
        assert service.get("/readyz").status == 200, number
        assert vote(service, "i0", f"w{number}").status == 200


def test_a_restore_brings_back_what_the_backup_holds_and_the_service_goes_on(service, tmp_path):
    bulk(service, "vote", range(100))
    bulk(service, "view", range(50))
    wait_until(lambda: sum(v for v, _ in counts(service).values()) == 100, 15, "counted")
    before, ranked, file = counts(service), top(service), tmp_path / "backup.rdb"
    done = run_tool(service, "backup", file)
    assert done.returncode == 0 and "hash_key" in done.stdout, done.stdout
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    bulk(service, "vote", range(100, 300))
    bulk(service, "view", range(50, 150))
    done = run_tool(service, "restore", file)
    assert done.returncode == 0 and "before-" in done.stdout, done.stdout
    assert len(list(tmp_path.glob("backup.rdb.before-*"))) == 1
    wait_until(lambda: service.get("/readyz").status == 200, 5, "ready again")
    wait_until(lambda: counts(service) == before, 15, "the counts of the backup")
    wait_until(lambda: top(service) == ranked, 15, "the ranking of the backup")
    assert not is_new(service, "i0", "v0")  # its voters are known …
    assert is_new(service, "i1", "v101")  # … and those of later are not
    bulk(service, "vote", range(100, 200))
    wait_until(lambda: sum(v for v, _ in counts(service).values()) == 202, 15, "counted on from there, and projected")
    os.kill(redis_pid(tmp_path / "d"), signal.SIGKILL)
    wait_until(lambda: service.get("/readyz").status == 200, 15, "Redis again")
    wait_until(lambda: sum(v for v, _ in counts(service).values()) == 202, 15, "as before the kill")


def test_what_is_acknowledged_after_a_restore_under_load_stays(service, tmp_path):
    bulk(service, "vote", range(20))
    file = tmp_path / "backup.rdb"
    assert run_tool(service, "backup", file).returncode == 0
    acknowledged = []

    def go_on():
        for n in range(10000, 100000):
            if writer.over.is_set():
                return
            began = time.time()
            try:
                if vote(service, "late", f"w{n}").status == 200:
                    acknowledged.append((began, f"w{n}"))
            except OSError:
                pass

    writer = Beside(go_on)
    with writer:
        time.sleep(0.5)
        assert run_tool(service, "restore", file).returncode == 0
        restored = time.time()
        time.sleep(1.5)
    later = [visitor for began, visitor in acknowledged if began > restored]
    assert later, "none was acknowledged after the restore"
    before = vote(service, "late", "a witness").json["votes"]["up"]
    assert len(later) <= before - 1 <= len(acknowledged)
    for visitor in later:
        assert vote(service, "late", visitor).json["votes"]["up"] == before, visitor


def test_a_log_that_is_behind_its_marks_is_raised(service, tmp_path):
    """As after a failover to a Redis whose clock is behind: new entries must not be taken as projected already."""
    bulk(service, "vote", range(10))
    wait_until(lambda: sum(v for v, _ in counts(service).values()) == 10, 15, "counted")
    client = redis.Redis(unix_socket_path=f"{tmp_path}/d/redis.sock")
    ahead = f"{int(time.time() * 1000) + 3600000}-5"
    tags = {key.decode().split("}")[0] + "}" for key in client.scan_iter("{*}pos")}
    sources = len(tags)
    for tag in tags:
        for projection in ("sums", "near"):
            client.hset(f"{tag}{projection}", mapping={str(source): ahead for source in range(sources)} | {"version": 10**6})
    client.client_kill_filter(_type="normal", skipme=True)
    wait_until(lambda: "raised" in service.log(), 15, "said so")
    bulk(service, "vote", range(10, 30))
    wait_until(lambda: sum(v for _, v in top(service)) == 30, 15, "projected")


def test_what_is_no_backup_or_another_services_is_refused_and_nothing_changes(service, tmp_path):
    bulk(service, "vote", range(10))
    junk, file = tmp_path / "junk", tmp_path / "backup.rdb"
    junk.write_bytes(b"not a file of Redis")
    assert run_tool(service, "backup", file).returncode == 0
    for done, why in ((run_tool(service, "restore", junk), "does not load it"),
                      (run_tool(service, "restore", tmp_path / "none"), "No such file"),
                      (run_tool(service, "restore", file, hash_key="33" * 32), "hash_key"),
                      (run_tool(service, "restore", file, time_zone="Asia/Kolkata"), "time_zone: the days of the data are those of UTC"),
                      (run_tool(service, "restore", file, partitions=8), "partitions"),
                      (run_tool(service, "backup", tmp_path / "no" / "folder"), "nothing was written")):
        assert done.returncode == 1 and why in done.stdout, done.stdout
    assert vote(service, "i0", "v0").json["votes"]["up"] == 2
    assert not list(tmp_path.glob("*.partial"))
