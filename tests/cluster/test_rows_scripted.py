# SPDX-License-Identifier: MIT
"""What a Cluster may answer, row by row: the real service before nodes that answer by rules (support/scripted_cluster.py).

Two nodes own half of the slots each. `near` is an item of the first one, `far` of the second.
"""
import contextlib
import itertools
import json
import time

import pytest

from support.beside import Beside
from support.fault_calls import TIMEOUT_MS, OneWorker, call, vote
from support.fault_service import item_id
from support.launch import end
from support.ports import free_port
from support.redis_cluster import SLOTS, Cluster, slot_of
from support.scripted_cluster import HALF, ScriptedCluster, in_slot, refuse, send_to
from support.scripted_redis import after, answer, be_silent, cut_in_the_middle
from support.service import WaitingService
from support.wait import wait_until


IN_TIME_S = 5  # ten times redis_timeout: the machine may be busy


def is_refused_in_time(reply):
    status, headers, _, took = reply
    return status == 503 and "Retry-After" in headers and took < IN_TIME_S


@pytest.fixture(scope="module")
def real():
    with Cluster(masters=1, replicas=0, appendonly="no") as cluster:
        yield cluster


STAGES = itertools.count()  # they share the data


class Stage:
    """A service that is ready, with an item on each node. Counts of votes are checked at the end of each test."""

    def __init__(self, cluster, service):
        self.cluster, self.service = cluster, service
        self.first, self.second = cluster.nodes
        self.number, self.counted, self.visitors = next(STAGES), {}, 0
        self.unknown = 0  # votes that were refused: they may have been counted

    def find_items(self):
        for number in range(40):
            assert vote(self.service, f"{self.number}i{number}", "first")[0] == 200
        with contextlib.closing(self.cluster.real.nodes[0].client()) as client:
            slots = {item_id(client.get(key)): slot_of(key) for key in client.scan_iter("{e*}i*")}
        self.slots = slots = {name: slot for name, slot in slots.items() if name.startswith(f"{self.number}i")}
        self.near = next(name for name, slot in slots.items() if slot < HALF)
        self.far = next(name for name, slot in slots.items() if slot >= HALF)
        self.near_slot, self.far_slot = slots[self.near], slots[self.far]

    def vote(self, item):
        self.visitors += 1
        reply = vote(self.service, item, f"{self.number}v{self.visitors}")
        if reply[0] == 200:
            self.counted[item] = self.counted.get(item, 0) + 1
        self.unknown += reply[0] != 200
        return reply

    def voted(self, item):
        return self.vote(item)[0] == 200

    def wait_voted(self, item, seconds=10):
        wait_until(lambda: self.voted(item), seconds, lambda: f"no vote on {item}\n{self.service.log()}")

    def count(self, item):
        return json.loads(vote(self.service, item, "first")[2])["votes"]["up"]

    def obey(self):
        for node in self.cluster.nodes:
            node.obey_redis()
        self.cluster.views, self.cluster.ranges = {}, [(0, HALF - 1, self.first), (HALF, SLOTS - 1, self.second)]
        for node in (self.first, self.second):
            self.take_map(node)
        self.wait_voted(self.near)
        self.wait_voted(self.far)

    def take_map(self, node):
        """Has the service ask this node for the map: a MOVED that names it is a reason."""
        maps, send = node.counts.get("cluster", 0), send_to(node)
        others = [other for other in self.cluster.nodes if other is not node]

        def asked():
            for other in others:
                if not any(rule[1] is send for rule in other.rules):
                    other.rule("vote", send, times=1)
            self.vote(self.far if node is self.first else self.near)
            return node.counts.get("cluster", 0) > maps

        wait_until(asked, 20, "the map is asked for", pause=0.1)
        for other in others:
            with other.lock:
                other.rules[:] = [rule for rule in other.rules if rule[1] is not send]

    def judge(self):
        """Each acknowledged vote counts once; one of unknown fate at most once."""
        for item, counted in self.counted.items():
            self.wait_voted(item)
            assert 1 + self.counted[item] <= self.count(item) <= 1 + self.counted[item] + self.unknown, (item, counted)


@contextlib.contextmanager
def staged(real, cluster, **settings):
    with OneWorker(cluster.nodes[0], **{"redis": cluster.url, "redis_timeout": f"{TIMEOUT_MS}ms", **settings}) as service:
        stage = Stage(cluster, service)
        stage.find_items()
        yield stage


@pytest.fixture(scope="module")
def shared(real):
    with ScriptedCluster(real) as cluster, staged(real, cluster) as stage:
        stage.service.start_projector()
        yield stage


@pytest.fixture
def stage(shared):
    """All is as in the beginning, before and after."""
    shared.obey()
    yield shared
    shared.obey()
    shared.judge()


# ---- MOVED

def test_moved_is_followed_and_the_map_is_asked_for(stage):
    stage.cluster.give_all_to(stage.second)
    stage.first.rule(None, send_to(stage.second))
    maps = stage.second.counts.get("cluster", 0)
    assert stage.vote(stage.near)[0] == 200
    wait_until(lambda: stage.second.counts.get("cluster", 0) > maps, 10, "the node that MOVED names is asked for the map")
    votes = stage.first.counts["vote"]
    for _ in range(5):
        stage.wait_voted(stage.near)
    assert stage.first.counts["vote"] <= votes + 1, "the owner is remembered"


def test_moved_to_the_own_address_drops_the_connection(stage):
    connects = stage.first.connects
    stage.first.rule("vote", send_to(stage.first), times=1)
    stage.vote(stage.near)
    wait_until(lambda: stage.first.connects > connects, 10, "a new connection")
    stage.wait_voted(stage.near)


def test_two_nodes_that_name_each_other_are_not_asked_without_end(stage):
    stage.first.rule("vote", send_to(stage.second))
    stage.second.rule("vote", send_to(stage.first))
    before = stage.first.counts["vote"] + stage.second.counts["vote"]
    assert is_refused_in_time(stage.vote(stage.near))
    assert stage.first.counts["vote"] + stage.second.counts["vote"] - before <= 8
    for node in (stage.first, stage.second):
        node.obey_redis()
    stage.wait_voted(stage.near)


def test_moved_without_a_host_means_the_node_that_was_asked(stage):
    other = stage.cluster.new_node()
    assert other.host == stage.first.host
    stage.cluster.give_all_to(other)
    stage.first.rule(None, refuse(f"MOVED {{slot}} :{other.port}"))
    stage.second.rule(None, send_to(other))
    assert stage.vote(stage.near)[0] == 200 and other.counts["vote"] >= 1


@pytest.mark.parametrize("host, named", [("::1", "::1"), ("127.0.0.1", "localhost")], ids=["IPv6", "name"])
def test_moved_to_another_kind_of_address(stage, host, named):
    other = stage.cluster.new_node(host)
    stage.cluster.ranges = [(0, SLOTS - 1, (named, other.port, other.id))]
    for node in (stage.first, stage.second):
        node.rule(None, refuse(f"MOVED {{slot}} {named}:{other.port}"))
    stage.wait_voted(stage.near)
    stage.wait_voted(stage.far)
    assert other.counts["vote"] >= 2


def test_moved_to_a_node_that_refuses_is_waited_for(stage):
    """A slot of a dead master answers so until its replica has taken over."""
    stage.first.rule(None, refuse(f"MOVED {{slot}} 127.0.0.1:{free_port()}"))
    assert is_refused_in_time(stage.vote(stage.near)) and stage.vote(stage.far)[0] == 200
    stage.first.obey_redis()
    stage.wait_voted(stage.near)


def test_many_moved_in_one_turn_ask_for_the_map_once(stage):
    slots = {slot for slot in stage.slots.values() if slot < HALF}
    stage.cluster.give_all_to(stage.second)
    stage.first.rule(None, send_to(stage.second))
    maps = stage.cluster.asked_for_maps()
    rows = "".join(json.dumps({"item": f"many{number}", "title": "t"}) + "\n" for number in range(400))
    status, _, text, _ = call(stage.service, "POST", "/v1/s/items", rows)
    assert status == 200 and json.loads(text)["accepted"] == 400, text[-300:]
    moved = sum(name == "put" for _, name, _ in stage.first.seen)
    assert len(slots) > 1 and moved >= 20, "many of the 64 lines with which a bulk call begins met MOVED"
    assert stage.cluster.asked_for_maps() - maps <= 4


# ---- ASK

def commands_of(node, *names):
    return [name for _, name, _ in node.seen if name in names]


def test_ask_is_one_command_and_changes_no_map(stage):
    time.sleep(3)  # what a MOVED before is a reason for is asked within 2.1 s
    maps, began, before = stage.cluster.asked_for_maps(), time.monotonic(), len(stage.second.seen)
    stage.first.rule("vote", send_to(stage.second, "ASK"), times=6)
    for _ in range(6):
        assert stage.vote(stage.near)[0] == 200
        time.sleep(0.3)  # so each would be a reason of its own to ask for the map
    by_time = 2 * (1 + (time.monotonic() - began) // 5)  # the worker and the projector each ask every five seconds
    assert stage.cluster.asked_for_maps() - maps <= by_time, "ASK is no reason to ask"
    is_near = in_slot(stage.near_slot)
    names = [name for _, name, words in stage.second.seen[before:] if name == "asking" or name == "vote" and is_near(words)]
    assert names == ["asking", "vote"] * 6
    asked = stage.second.counts["asking"]
    assert stage.vote(stage.near)[0] == 200 and stage.second.counts["asking"] == asked


def test_ask_to_a_node_in_no_map(stage):
    other = stage.cluster.new_node()
    stage.first.rule("vote", send_to(other, "ASK"))
    assert stage.vote(stage.near)[0] == 200
    assert commands_of(other, "asking", "vote") == ["asking", "vote"]


def test_ask_to_a_node_that_refuses_is_503_in_time_and_is_over(stage):
    stage.first.rule("vote", refuse(f"ASK {{slot}} 127.0.0.1:{free_port()}"))
    assert is_refused_in_time(stage.vote(stage.near)) and stage.vote(stage.far)[0] == 200
    stage.first.obey_redis()
    stage.wait_voted(stage.near)


def test_asking_that_is_refused_counts_nothing_there(stage):
    """The command behind it then meets MOVED, as it does when the flag is missing."""
    stage.first.rule("vote", send_to(stage.second, "ASK"))
    stage.second.rule("asking", answer(b"-ERR no\r\n"))
    stage.second.rule("vote", send_to(stage.first), when=in_slot(stage.near_slot))
    assert is_refused_in_time(stage.vote(stage.near))
    stage.first.obey_redis()
    stage.second.obey_redis()
    stage.wait_voted(stage.near)


def test_noscript_behind_asking_is_asked_again_with_asking(stage):
    stage.first.rule("vote", send_to(stage.second, "ASK"))
    stage.second.rule("vote", answer(b"-NOSCRIPT no such script\r\n"), times=1, when=in_slot(stage.near_slot))
    before = len(stage.second.seen)
    assert stage.vote(stage.near)[0] == 200
    names = [name for _, name, words in stage.second.seen[before:]
             if name in ("asking", "script", "eval") or (name == "vote" and in_slot(stage.near_slot)(words))]
    assert names[:2] == ["asking", "vote"] and names[-2] == "asking" and names[-1] in ("vote", "eval"), names


# ---- TRYAGAIN, CLUSTERDOWN

@pytest.mark.parametrize("text", ["TRYAGAIN Multiple keys request during rehashing of slot", "CLUSTERDOWN Hash slot not served",
                                  "CLUSTERDOWN The cluster is down", "LOADING Redis is loading the dataset in memory",
                                  "MASTERDOWN Link with MASTER is down", "READONLY You can't write against a read only replica."])
def test_a_partition_that_rests_without_end_is_503_in_time_and_others_go_on(stage, text):
    stage.first.rule("vote", refuse(text), when=in_slot(stage.near_slot))
    before = stage.first.counts["vote"]
    with Beside(*30 * [lambda: stage.vote(stage.near)]) as callers:
        assert stage.vote(stage.far)[0] == 200
    assert len(callers.results) == 30 and all(is_refused_in_time(reply) for reply in callers.results)
    assert stage.first.counts["vote"] - before <= 16 * 20, "probes, no storm"
    stage.first.obey_redis()
    stage.wait_voted(stage.near)


def test_a_refusal_that_is_short_is_not_seen(stage):
    stage.first.rule("vote", refuse("TRYAGAIN Multiple keys request during rehashing of slot"), times=3)
    assert stage.vote(stage.near)[0] == 200
    stage.first.rule("vote", refuse("CLUSTERDOWN The cluster is down"), times=1)
    assert stage.vote(stage.near)[0] == 200


# ---- Maps

def ready(service):
    status, _, text, _ = call(service, "GET", "/readyz")
    return status, text.decode()


def take_maps(stage):
    for node in (stage.first, stage.second):
        stage.take_map(node)


def test_a_map_with_a_gap_serves_the_others(stage):
    slot = stage.near_slot
    stage.cluster.ranges = [(0, slot - 1, stage.first), (slot + 1, HALF - 1, stage.first), (HALF, SLOTS - 1, stage.second)]
    wait_until(lambda: stage.vote(stage.near)[0] == 503, 15, "nobody has it")
    assert is_refused_in_time(stage.vote(stage.near))
    for item, its in stage.slots.items():
        assert its == slot or stage.vote(item)[0] == 200, item
    status, text = ready(stage.service)
    assert status == 200 and "1" in text, text
    stage.cluster.ranges = [(0, HALF - 1, stage.first), (HALF, SLOTS - 1, stage.second)]
    stage.wait_voted(stage.near)


@pytest.mark.parametrize("endpoint", [None, "", "?"], ids=["NIL", "empty", "unknown"])
def test_an_endpoint_that_is_not_told(stage, endpoint):
    """None or "" is the address that was asked; "?" the last one of that node's id."""
    first, second = (0, HALF - 1), (HALF, SLOTS - 1)
    stage.cluster.views = {stage.first: [(*first, (endpoint, stage.first.port, stage.first.id)), (*second, stage.second)],
                           stage.second: [(*first, stage.first), (*second, (endpoint, stage.second.port, stage.second.id))]}
    take_maps(stage)
    for _ in range(5):
        assert stage.vote(stage.near)[0] == 200 and stage.vote(stage.far)[0] == 200


def test_ranges_out_of_bounds_are_left_out(stage):
    stage.cluster.ranges += [(-5, 3, stage.second), (16000, 99999, stage.first), (9, 2, stage.second), (2**40, 2**41, stage.first)]
    take_maps(stage)
    for item in stage.slots:
        assert stage.vote(item)[0] == 200, item


@pytest.mark.parametrize("fault", [cut_in_the_middle, answer(b"*2\r\n*3\r\n:0\r\n:x\r\n"), answer(b"+OK\r\n"), answer(b"*-1\r\n"),
                                   answer(b"*1\r\n*1\r\n:0\r\n"), answer(b"-ERR unknown subcommand\r\n")],
                         ids=["cut", "malformed", "a status", "nil", "short", "an error"])
def test_a_map_that_cannot_be_read_is_asked_for_elsewhere(stage, fault):
    stage.first.rule("cluster", fault)
    stage.cluster.ranges = [(0, SLOTS - 1, stage.second)]
    stage.first.rule(None, send_to(stage.second))
    for _ in range(3):
        stage.wait_voted(stage.near)
    wait_until(lambda: stage.cluster.nodes[1].counts.get("cluster", 0), 20, "the other node is asked")
    assert stage.vote(stage.far)[0] == 200


def test_a_huge_map(stage):
    """A range for each slot. While the nodes of this test write such a map they answer nothing else, so a vote may be refused."""
    stage.cluster.ranges = [(slot, slot, stage.first if slot < HALF else stage.second) for slot in range(SLOTS)]
    take_maps(stage)
    stage.wait_voted(stage.near)
    stage.wait_voted(stage.far)


def test_a_map_that_lags_behind_moved_is_not_believed_at_once(stage):
    """The node that is asked for the map has not heard of the move yet."""
    stage.first.rule(None, send_to(stage.second))  # it knows; its map and the other's say it does not
    before = stage.first.counts["vote"]
    for _ in range(10):
        assert stage.vote(stage.near)[0] == 200
    assert stage.first.counts["vote"] - before <= 4


def test_a_map_of_a_minority_names_nobody_and_the_others_are_asked(stage):
    """A node that is cut off has nothing to say; it must not take away what others serve."""
    stage.cluster.views[stage.first] = []
    stage.first.rule(None, refuse("CLUSTERDOWN The cluster is down"))
    stage.cluster.ranges = [(0, SLOTS - 1, stage.second)]
    stage.wait_voted(stage.near, 20)
    stage.wait_voted(stage.far)


# ---- Nodes that go

def test_all_nodes_go_and_come_back_under_other_addresses(real):
    with ScriptedCluster(real) as cluster:
        seed = cluster.nodes[0]
        with staged(real, cluster, redis=f"cluster://localhost:{seed.port}") as stage:
            others = [cluster.new_node(), cluster.new_node()]
            for node, other in zip(cluster.nodes[:2], others):
                other.id = node.id  # they keep their ids, as those of a real Cluster do
                node.go_away()
            assert is_refused_in_time(stage.vote(stage.near)) and is_refused_in_time(stage.vote(stage.far))
            cluster.ranges = [(0, HALF - 1, others[0]), (HALF, SLOTS - 1, others[1])]
            seed.listen()
            wait_until(lambda: stage.voted(stage.near) and others[0].counts.get("vote"), 20, "the new map is taken")
            stage.wait_voted(stage.far, 20)
            assert others[1].counts["vote"]
            stage.judge()


def test_an_address_that_another_cluster_has_got_is_not_followed(real):
    with ScriptedCluster(real) as cluster:
        with staged(real, cluster) as stage:
            for node in cluster.nodes:
                node.go_away()
            assert is_refused_in_time(stage.vote(stage.near)) and is_refused_in_time(stage.vote(stage.far))
            strangers = [cluster.new_node(), cluster.new_node()]
            cluster.ranges = [(0, HALF - 1, strangers[0]), (HALF, SLOTS - 1, strangers[1])]
            stage.first.listen()
            wait_until(lambda: "is of another Cluster: it is not followed" in stage.service.log(), 20, stage.service.log)
            assert is_refused_in_time(stage.vote(stage.near)) and is_refused_in_time(stage.vote(stage.far))
            assert not any(node.counts for node in strangers), "nobody has gone there"
            cluster.ranges = [(0, SLOTS - 1, stage.first)]
            stage.wait_voted(stage.far, 20)
            stage.judge()


def test_a_node_that_knows_no_cluster_any_more_takes_nobody_out_of_service(stage):
    stage.cluster.views[stage.second] = []  # it was reset
    words = "it was reset, or it has lost its disk"
    before = stage.service.log().count(words)
    for _ in range(3):
        stage.take_map(stage.second)
        assert stage.voted(stage.near)
    assert stage.service.log().count(words) == before + 1
    assert stage.voted(stage.near) and stage.voted(stage.far)


def test_a_node_that_is_silent_holds_up_its_own_partitions_alone(stage):
    stage.second.rule(None, be_silent)
    sent = [stage.vote(stage.far) for _ in range(2)]
    assert all(is_refused_in_time(reply) for reply in sent), sent
    for _ in range(5):
        assert stage.vote(stage.near)[0] == 200
    stage.cluster.give_all_to(stage.first)  # it has been replaced
    stage.wait_voted(stage.far, 20)


def test_a_late_reply_of_the_old_master_is_nobodys(stage):
    stage.second.rule("vote", after(TIMEOUT_MS / 1000 + 0.5), times=1)
    assert is_refused_in_time(stage.vote(stage.far))
    stage.cluster.give_all_to(stage.first)
    stage.second.rule(None, send_to(stage.first))
    end_s = time.monotonic() + 1.5
    while time.monotonic() < end_s:
        status, _, text, _ = stage.vote(stage.far)
        assert status in (200, 503)
        if status == 200:
            taken = json.loads(text)
            assert 0 <= taken["votes"]["up"] - 1 - stage.counted[stage.far] <= stage.unknown, "it is the answer to this vote"
    assert stage.vote(stage.near)[0] == 200


# ---- The service itself

def test_calls_that_send_others_from_within_are_answered_while_all_is_redirected(stage):
    """An import and an erasure make calls out of the answers of calls."""
    def now_and_then(words, state={"count": 0}):
        state["count"] += 1
        return state["count"] % 3 == 0

    status, _, exported, _ = call(stage.service, "GET", "/v1/s/export")
    assert status == 200
    for node, other in ((stage.first, stage.second), (stage.second, stage.first)):
        for name in ("import", "put", "vote", "voters", "get"):
            node.rule(name, send_to(other, "ASK"), when=now_and_then)
    for number in range(2):
        status = call(stage.service, "POST", "/v1/s/import", exported)[0]
        assert status in (200, 503)
        assert call(stage.service, "GET", f"/v1/s/me?id={stage.near}&id={stage.far}")[0] in (200, 503)
        assert call(stage.service, "PUT", f"/v1/s/items/{stage.near}", json.dumps({"title": f"t{number}"}))[0] in (200, 201, 503)
        stage.vote(stage.near)
        stage.vote(stage.far)


@pytest.mark.parametrize("text", ["MOVED {{slot}} 127.0.0.1:{port}", "ASK {{slot}} 127.0.0.1:{port}", "TRYAGAIN later"],
                         ids=["MOVED", "ASK", "TRYAGAIN"])
def test_the_service_ends_in_the_middle_of_a_redirect(real, text):
    with ScriptedCluster(real) as cluster, staged(real, cluster, redis_timeout="2s") as stage:
        stage.first.rule("vote", refuse(text.format(port=stage.second.port)))
        stage.second.rule(None, be_silent)
        refused = stage.first.counts["vote"]
        with Beside(lambda: stage.vote(stage.near)[0]) as caller:
            wait_until(lambda: stage.first.counts["vote"] > refused, 10, "the call is redirected")
            codes = end(*stage.service.workers)
            stage.service.workers = []
        assert codes == [0] and caller.results == [503], (codes, caller.results)


def test_a_cluster_that_nobody_has_reached_is_not_served(ending):
    """The worker and the projector each say so."""
    service = WaitingService(redis=f"cluster://127.0.0.1:{free_port()}", partitions=16)
    ending(service)
    wait_until(lambda: service.metrics().get("engaged_partitions_unserved") == 2 * 16, 20, "it is told")


def test_a_call_that_comes_late_from_another_node_drops_no_connection(real):
    """The connection for writes is idle for long, and the call that comes there has little time left."""
    with ScriptedCluster(real) as cluster, staged(real, cluster, redis_timeout="2s", wait_replicas=1) as stage:
        def move_late(client, ask):
            time.sleep(1.8)
            cluster.give_all_to(stage.second)
            send_to(stage.second)(client, ask)

        time.sleep(2.2)
        stage.first.rule("vote", move_late, times=1)
        stage.second.rule("vote", after(0.6), times=1, when=in_slot(stage.near_slot))
        connects = stage.second.connects
        assert is_refused_in_time(stage.vote(stage.near))
        time.sleep(0.6)
        assert stage.second.connects == connects, stage.service.log()
        stage.wait_voted(stage.near)
        stage.judge()
