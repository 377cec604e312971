# SPDX-License-Identifier: MIT
"""States of items stay in a worker's memory while Redis says that they are unchanged (CLIENT TRACKING). Whatever happens to the
connections, to Redis or to its rights: what has changed is seen, and no answer is older than it says.

Each answer here is made anew, of what the worker has: the address has an id that nobody has asked for."""
import contextlib
import datetime
import http.client
import itertools
import threading
import time

import pytest
import redis
from support.links import LISTENER, READER, Links
from support.redis_server import Keeper, RedisServer
from support.sentinels import Sentinels
from support.service import Service
from support.wait import wait_until

SECONDS = 10  # a state that is believed to be tracked is kept for ten minutes
SETTINGS = {"secret": "11" * 32, "hash_key": "22" * 32, "refresh_interval": "200ms", "redis_timeout": "30s", "rate_limits": "off"}
NUMBERS = itertools.count()


class Tracked(Service):
    """On a Redis of the test; item 'a' has a card."""

    presets = {**Service.presets, **SETTINGS}

    def look(self, item="a"):
        """The item, as a new answer has it, and the age that the answer says."""
        asked = time.time()
        answer = self.get(f"/v1/s/items?id={item}&id=x{next(NUMBERS)}")
        assert answer.status == 200, answer.body
        checked = datetime.datetime.fromisoformat(answer.headers["engaged-checked-at"].replace("Z", "+00:00")).timestamp()
        return answer.json["items"][0], asked - checked

    def metric(self, name):
        return self.metrics()[f"engaged_{name}"]

    def votes(self):
        return self.look()[0]["votes"]["up"]

    def vote(self):
        answer = self.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor=f"v{next(NUMBERS)}")
        assert answer.status == 200, answer.body
        return answer.json["votes"]["up"]

    def put(self, title):
        assert self.keyed("PUT", "/v1/s/items/a", {"title": title, "url": "/a"}).status in (200, 201)

    def wait_listening(self):
        wait_until(lambda: self.metric("tracking_up"), 20, self.log)

    def wait_kept(self):
        """Until answers are made of what is tracked."""
        self.wait_listening()
        before = self.metric("tracked_reads_total")
        wait_until(lambda: self.look() and self.metric("tracked_reads_total") > before + 3, 20, lambda: f"nothing is kept: {self.metrics()}")

    def wait_seen(self, votes):
        wait_until(lambda: self.votes() == votes, SECONDS, lambda: f"{votes}: {self.look()}")


@pytest.fixture(scope="module")
def stage():
    with RedisServer(appendonly="yes", appendfsync="always") as redis, Links(redis.port) as links:
        service = Tracked(redis=f"redis://127.0.0.1:{links.port}")
        service.links, service.server = links, redis
        service.put("first")
        yield service
        service.stop()


@pytest.fixture
def kept(stage):
    """The service, whose answers are made of what is tracked."""
    stage.links.let_go(LISTENER, READER)
    wait_until(lambda: stage.get("/readyz").status == 200, 20, stage.log)
    stage.put("first")
    stage.wait_kept()
    return stage


def test_what_is_unchanged_is_not_read_again_and_is_no_older_than_the_interval(kept):
    reads = 'engaged_item_reads_total{from="redis"}'
    before, ages = kept.metrics(), []
    for _ in range(12):
        time.sleep(0.05)
        ages.append(kept.look()[1])
    after = kept.metrics()
    assert after[reads] - before[reads] <= 13, (before, after)  # the new ids, and no other
    assert after["engaged_tracked_reads_total"] - before["engaged_tracked_reads_total"] >= 10
    assert min(ages) < 0.2, ages


def test_a_vote_a_card_and_a_deletion_are_seen(kept):
    kept.wait_seen(kept.vote())
    kept.wait_kept()
    kept.put("second")
    wait_until(lambda: kept.look()[0]["title"] == "second", SECONDS, lambda: kept.look())
    kept.wait_kept()
    assert kept.keyed("DELETE", "/v1/s/items/a").status in (200, 204)
    wait_until(lambda: "title" not in kept.look()[0], SECONDS, lambda: kept.look())


def test_an_item_that_nobody_has_seen_is_not_asked_for_again_until_it_appears(kept):
    for _ in range(3):
        assert not kept.look("unseen")[0]["views"]
        time.sleep(0.25)
    before = kept.metric("tracked_reads_total")
    wait_until(lambda: kept.look("unseen") and kept.metric("tracked_reads_total") > before, SECONDS, "it is not kept")
    kept.lines("/v1/s/events?wait=true", [{"type": "view", "item": "unseen", "visitor": f"w{next(NUMBERS)}"}])
    wait_until(lambda: kept.look("unseen")[0]["views"] == 1, SECONDS, lambda: kept.look("unseen"))
    assert kept.keyed("DELETE", "/v1/s/items/unseen").status in (200, 204)


def test_a_view_is_seen(kept):
    before = kept.look()[0]["views"]
    kept.lines("/v1/s/events?wait=true", [{"type": "view", "item": "a", "visitor": f"w{next(NUMBERS)}"}])
    wait_until(lambda: kept.look()[0]["views"] == before + 1, SECONDS, lambda: kept.look())


def test_while_the_messages_are_held_back_states_are_read_again(kept):
    kept.links.hold(LISTENER)
    votes = kept.vote()
    kept.wait_seen(votes)
    wait_until(lambda: kept.look()[1] < 0.5, SECONDS, "an answer is older than what was read for it")
    kept.links.let_go(LISTENER)
    kept.wait_kept()
    kept.wait_seen(kept.vote())


def write_card(server, title):
    """As another worker would: record and card at once, and here nobody knows."""
    client = server.client()
    (record,) = client.scan_iter("{e*}i*")
    client.mset({record: client.get(record), record.replace(b"}i", b"}c"): f'"title":"{title}","url":"/a"'.encode()})


def test_a_message_that_comes_before_the_reply_of_its_read_counts(kept):
    client, named, asked = kept.server.client(), "tracking_invalidations_total", []

    def watched():
        return client.info("stats")["tracking_total_keys"]

    kept.vote()
    kept.put("second")
    kept.look()  # the first read, which is not tracked
    keys = watched()
    time.sleep(0.3)  # longer than the interval
    kept.links.hold(READER)
    reader = threading.Thread(target=lambda: asked.append(kept.look()))
    reader.start()
    wait_until(lambda: watched() > keys, SECONDS, "it is not read")
    before = kept.metric(named)
    write_card(kept.server, "third")
    wait_until(lambda: kept.metric(named) > before, SECONDS, "Redis has told nothing")
    kept.links.let_go(READER)
    reader.join()
    assert asked[0][0]["title"] == "second"
    wait_until(lambda: kept.look()[0]["title"] == "third", SECONDS, lambda: kept.look())


def test_a_connection_that_redis_has_ended_proves_nothing_though_the_listener_hears_redis(kept):
    kept.links.hold(READER)
    for row in kept.server.client().client_list():
        if row["sub"] == "0" and not row["cmd"].startswith("client"):
            kept.server.client().client_kill_filter(_id=row["id"])
    write_card(kept.server, "third")
    time.sleep(0.5)  # longer than the interval
    connection = http.client.HTTPConnection("127.0.0.1", kept.port, timeout=1)
    try:
        connection.request("GET", f"/v1/s/items?id=a&id=x{next(NUMBERS)}")
        answer = connection.getresponse()
        assert answer.status == 503 or b"third" in answer.read()
    except TimeoutError:
        pass  # it waits for Redis
    finally:
        connection.close()
    kept.links.let_go(READER)
    wait_until(lambda: kept.get("/readyz").status == 200 and kept.look()[0]["title"] == "third", 20, kept.log)


def test_a_listener_that_was_cut_off_is_replaced_and_changes_are_seen(kept):
    old = kept.links.of(LISTENER)
    resets = kept.metric("tracking_resets_total")
    kept.links.cut(LISTENER)
    wait_until(lambda: [link for link in kept.links.of(LISTENER) if link not in old], 20, "nobody listens")
    wait_until(lambda: kept.metric("tracking_resets_total") > resets, 20)
    kept.wait_seen(kept.vote())
    kept.wait_kept()
    kept.wait_seen(kept.vote())


@pytest.mark.parametrize("listens", [True, False], ids=["listener", "reader"])
def test_redis_kills_a_connection(kept, listens):
    client = kept.server.client()
    for row in client.client_list():
        if (int(row["sub"]) > 0) == listens and row["cmd"] not in ("client|list",):
            client.client_kill_filter(_id=row["id"])
    wait_until(lambda: kept.get("/readyz").status == 200, 20, kept.log)
    kept.wait_seen(wait_until(lambda: kept.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="k").status == 200 and kept.vote(), 20))
    kept.wait_kept()
    kept.wait_seen(kept.vote())


def test_redis_is_emptied(kept):
    kept.vote()
    kept.wait_kept()
    kept.server.client().flushall()
    wait_until(lambda: "title" not in kept.look()[0], SECONDS, lambda: kept.look())


def test_redis_restarts(kept):
    kept.vote()
    kept.wait_kept()
    kept.server.restart()
    wait_until(lambda: kept.get("/readyz").status == 200, 20, kept.log)
    kept.wait_seen(wait_until(lambda: kept.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor="r").status == 200 and kept.vote(), 20))
    kept.wait_kept()
    kept.wait_seen(kept.vote())


def titles_until(service, title, seconds=30):
    """What is answered until the title is: each title with the instant from which the answer says it is. Answers that fail are none."""
    found = []

    def is_there():
        with contextlib.suppress(AssertionError, OSError, http.client.HTTPException):
            asked = time.time()
            item, age = service.look()
            found.append((item.get("title"), asked - age))
        return found and found[-1][0] == title

    wait_until(is_there, seconds, lambda: f"{found[-5:]}\n{service.log()}")
    return found


def kill(group, old):
    old.kill()
    return group.wait_switch(old)


def freeze(group, old):
    old.freeze()
    return group.wait_switch(old)


def plan(group, old):
    def has_left():
        with contextlib.suppress(redis.RedisError):  # it ends connections as it becomes a replica
            return not old.is_master()

    new = group.failover()
    wait_until(has_left, 30, "it is a master still")
    return new


@pytest.mark.parametrize("fail_over", [kill, freeze, plan])
def test_of_a_master_that_sentinels_replace_nothing_is_remembered(ending, fail_over):
    with Sentinels() as group:
        service = ending(Tracked(redis=group.url, redis_timeout="2s"))
        wait_until(lambda: service.get("/readyz").status == 200, 20, service.log)
        service.put("of the old master")
        (replica,) = group.replicas()
        wait_until(lambda: list(replica.client().scan_iter("{e*}c*")), 20, "it is replicated")
        service.wait_kept()
        replica.client().config_set("replica-read-only", "no")
        write_card(replica, "of the new master")  # which the old one does not know
        old = group.master()
        assert service.look()[0]["title"] == "of the old master"
        gone = time.time() if fail_over in (kill, freeze) else None
        assert fail_over(group, old) is replica
        gone = gone or time.time()
        late = [told for told in titles_until(service, "of the new master") if told[0] == "of the old master" and told[1] > gone + 0.05]
        assert not late, (late, gone)
        if old.is_frozen:
            old.thaw()
        wait_until(lambda: service.get("/readyz").status == 200, 20, service.log)
        service.wait_kept()
        write_card(replica, "changed there")
        changed = time.time()
        late = [told for told in titles_until(service, "changed there") if told[0] != "changed there" and told[1] > changed + 0.05]
        assert not late and time.time() - changed < 2, (late, changed)
        service.wait_seen(wait_until(service.vote, 20))


@pytest.mark.parametrize("come_back", [Keeper.start_again, Keeper.replace], ids=["restarted", "replaced"])
def test_a_redis_that_comes_back_with_older_data(ending, come_back):
    with Keeper() as server:
        service = ending(Tracked(redis=server.url))
        service.put("older")
        server.keep()
        service.put("newer")
        service.wait_kept()
        assert service.look()[0]["title"] == "newer"
        come_back(server)
        back = time.time()
        late = [told for told in titles_until(service, "older") if told[0] == "newer" and told[1] > back]
        assert not late, (late, back)
        service.wait_kept()
        write_card(server, "changed there")
        titles_until(service, "changed there", 3)


def user(server, *rights):
    server.client().execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "resetchannels", "&engaged:wake", "+@all", *rights)
    return f"redis://u:p@127.0.0.1:{server.port}"


@pytest.mark.parametrize("rights", [("&__redis__:invalidate", "-client|tracking"), ()], ids=["command", "channel"])
def test_a_redis_that_refuses_is_read_every_interval(ending, rights):
    with RedisServer() as redis:
        service = ending(Tracked(redis=user(redis, *rights)))
        service.put("first")
        wait_until(lambda: "redis_tracking" in service.log(), 20, service.log)
        service.wait_seen(service.vote())
        assert service.metric("tracking_up") == 0 and service.log().count("redis_tracking") == 1, service.log()


def test_a_right_that_is_taken_away_later(ending):
    with RedisServer() as redis:
        service = ending(Tracked(redis=user(redis, "&__redis__:invalidate")))
        service.put("first")
        service.wait_kept()
        redis.client().execute_command("ACL", "SETUSER", "u", "-client|caching")
        service.wait_seen(service.vote())  # it is no longer tracked, and its next read is not either
        wait_until(lambda: service.look() and "redis_tracking" in service.log(), 20, service.log)
        service.wait_seen(service.vote())


@pytest.mark.parametrize("setting", [{"redis_tracking": "off"}, {"refresh_interval": "0"}], ids=["off", "no interval"])
def test_nobody_listens_if_nothing_is_to_be_kept(ending, setting):
    with RedisServer() as redis:
        service = ending(Tracked(redis=f"redis://127.0.0.1:{redis.port}", **setting))
        service.put("first")
        service.wait_seen(service.vote())
        assert redis.client().pubsub_numsub("__redis__:invalidate")[0][1] == 0 and service.metric("tracking_up") == 0
