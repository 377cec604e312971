# SPDX-License-Identifier: MIT
"""Who may count: rate limits behind a trusted proxy, crawlers, opt-outs, unknown items. Each service has its own settings.

The tests' connections come from loopback, which is listed as a proxy: X-Forwarded-For says who calls."""
import http.client
import json
import os
import socket
import signal
import subprocess
import time

import pytest

from support.ports import free_port
from support.program import PROGRAM
from support.service import Service
from support.wait import wait_until

GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
HEADLESS = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
S = "/v1/s"


@pytest.fixture
def start(own):
    return lambda **settings: own(**{"trusted_proxies": "127.0.0.1", **settings})


def all_ready(service):
    """/readyz speaks for the worker that the connection has reached: asked until none is found that isn't."""
    while service.metrics()["engaged_processes_ready{role=\"worker\"}"] < service.settings["workers"]:
        time.sleep(0.02)
    good = 0
    while good < 50:
        good = good + 1 if service.get("/readyz").status == 200 else 0


def token(service):
    return service.keyed("POST", S + "/visitors").json["visitor"]


def vote(service, item="a", address="192.0.2.1", **headers):
    return service.post(f"{S}/items/{item}/votes", X_Forwarded_For=address, **headers)


def view(service, item="a", address="192.0.2.1", **headers):
    return service.post(f"{S}/items/{item}/views", X_Forwarded_For=address, **headers)


def refused(service, by):
    return service.metrics()[f'engaged_refused_total{{by="{by}"}}']


def check_refusal(answer):
    assert (answer.status, answer.json["code"]) == (429, "too_many_requests")
    assert "engaged-visitor" not in answer.headers and "set-cookie" not in answer.headers
    return int(answer.headers["retry-after"])


@pytest.mark.contract("Networks", "Rate limits are per network")
def test_votes_of_one_network(start):
    service = start(votes_per_minute=6, votes_burst=3)
    answers = [vote(service, Engaged_Visitor=token(service)) for _ in range(5)]
    assert [a.status for a in answers] == [200, 200, 200, 429, 429]
    assert 8 <= check_refusal(answers[3]) <= 10  # one every ten seconds
    assert vote(service, address="192.0.2.2", Engaged_Visitor=token(service)).json["votes"]["up"] == 4
    assert service.get(S + "/items/a").json["votes"]["up"] == 4
    assert refused(service, "votes") == 2


def test_the_network_is_what_the_proxy_appended(start):
    service = start(votes_per_minute=1, votes_burst=1, trusted_proxies="127.0.0.1 10.0.0.0/8")
    assert vote(service, address="198.51.100.1, 192.0.2.1").status == 200
    for spoofed in ("198.51.100.2, 192.0.2.1", "192.0.2.1:4711, 10.1.1.1", "10.0.0.1, 192.0.2.1", "x, ::ffff:192.0.2.1"):
        check_refusal(vote(service, address=spoofed))
    forwarded = {"Forwarded": 'for=198.51.100.1, for="[2001:db8:1:2::3]:4711"'}
    assert service.post(S + "/items/a/votes", **forwarded).status == 200
    check_refusal(vote(service, address="2001:db8:1:2:ffff::9"))  # one /64
    assert vote(service, address="2001:db8:1:3::9").status == 200


def test_a_prefix_of_ones_own(start):
    service = start(votes_per_minute=1, votes_burst=1, ipv6_prefix=48)
    assert vote(service, address="2001:db8:1:2::3").status == 200
    check_refusal(vote(service, address="2001:db8:1:3::3"))
    assert vote(service, address="2001:db8:2:3::3").status == 200


def test_a_peer_that_is_not_listed_names_nobody_and_on_loopback_has_no_rate_limit(start):
    service = start(votes_per_minute=1, votes_burst=1, trusted_proxies="10.0.0.0/8")
    assert {vote(service).status for _ in range(5)} == {200}
    assert service.log().count("clients on 127.0.0.1") == 1
    listed = start(votes_per_minute=1, votes_burst=1)
    assert "clients on" not in listed.log()
    assert [listed.post(S + "/items/a/votes").status for _ in range(2)] == [200, 429]  # the proxy itself, saying nothing


def test_a_unix_socket(start, tmp_path):
    def status(path):
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        client.sendall(b"POST /v1/s/items/a/votes HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n"
                       b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        answer = client.recv(65536)
        client.close()
        return int(answer.split()[1])

    for name, proxies, expected in (("a", "unix", [200, 429]), ("b", "", [200, 200])):
        path = str(tmp_path / name)
        program = AtOwnAddress(listen="unix:" + path, votes_per_minute=1, votes_burst=1, trusted_proxies=proxies)
        try:
            assert [status(path) for _ in range(2)] == expected
            assert ("clients on unix:" in program.log()) == (not proxies)
        finally:
            program.stop()


class AtOwnAddress(Service):
    """/readyz is asked on the operators' listener."""

    def get(self, path, **headers):
        return self.request("GET", path, port=self.ops_port, **headers)


@pytest.mark.contract("Networks", "Rate limits are per network")
def test_a_visitors_loop_is_stopped_and_takes_nothing_from_its_network(start):
    service = start(visitor_votes_per_minute=60, visitor_votes_burst=5, votes_per_minute=60, votes_burst=10,
                    visitor_views_per_minute=6, visitor_views_burst=2)
    looping, other = token(service), token(service)
    statuses = [vote(service, f"i{n}", Engaged_Visitor=looping).status for n in range(50)]
    assert statuses[:5] == [200] * 5 and statuses.count(429) >= 40
    check_refusal(vote(service, address="198.51.100.7", Engaged_Visitor=looping))  # another network changes nothing
    assert vote(service, Engaged_Visitor=other).status == 200
    assert refused(service, "votes") == 0 and refused(service, "visitor_votes") >= 40
    counted = [view(service, f"v{n}", Engaged_Visitor=looping).json for n in range(4)]
    assert [a["counted"] for a in counted] == [True, True, False, False]
    assert counted[3]["reason"] == "limit" and refused(service, "visitor_views") == 2


def test_new_visitors(start):
    service = start(new_visitors_per_minute=6, new_visitors_burst=3)
    xff = {"X-Forwarded-For": "192.0.2.1"}
    assert service.post(S + "/visitors", **xff).status == 201
    assert vote(service).status == 200 and view(service).json["counted"]  # each is given a token too
    answer = service.post(S + "/visitors", **xff)
    assert 8 <= check_refusal(answer) <= 10
    assert "retry-after" in service.post(S + "/visitors", Origin="https://x.example", **xff).headers[
        "access-control-expose-headers"].lower()
    check_refusal(vote(service))
    lost = view(service)
    assert (lost.status, lost.json) == (202, {"item": "a", "counted": False, "reason": "limit"})
    assert "engaged-visitor" not in lost.headers and "set-cookie" not in lost.headers
    assert vote(service, Engaged_Visitor=token(service)).json["votes"]["up"] == 2  # who has a token goes on
    assert refused(service, "new_visitors") == 4


def test_views_of_one_network(start):
    service = start(views_per_minute=6, views_burst=2)
    tokens = [token(service) for _ in range(4)]
    assert [view(service, Engaged_Visitor=t).json["counted"] for t in tokens] == [True, True, False, False]
    gif = service.get(S + "/items/a/view.gif", X_Forwarded_For="192.0.2.1", Engaged_Visitor=token(service))
    assert (gif.status, gif.headers["content-type"]) == (200, "image/gif")
    assert service.metrics()['engaged_views_total{result="limit"}'] == 3 == refused(service, "views")
    assert service.metrics()['engaged_views_total{result="counted"}'] == 2


def test_new_items(start):
    service = start(new_items_per_minute=6, new_items_burst=2)
    visitor = {"Engaged_Visitor": token(service)}
    service.keyed("PUT", S + "/items/card", {"title": "t"})
    assert vote(service, "one", **visitor).status == 200
    assert view(service, "two", **visitor).json["counted"]
    assert check_refusal(vote(service, "three", **visitor)) <= 10
    assert view(service, "four", **visitor).json["reason"] == "limit"
    for known in ("one", "two", "card"):
        assert vote(service, known, **visitor).status == 200
    assert vote(service, "three", "192.0.2.2", **visitor).status == 200
    assert vote(service, "three", **visitor).status == 200  # now it is there
    assert refused(service, "new_items") == 2
    assert service.get(S + "/items/four").json["views"] == 0


def test_calls_with_the_key_have_no_rate_limit(start):
    service = start(**{f"{name}_{part}": 1 for part in ("per_minute", "burst")
                       for name in ("votes", "views", "new_visitors", "new_items", "visitor_votes", "visitor_views")})
    headers = {"X-Forwarded-For": "192.0.2.1", "Engaged-Visitor": "user-1", "User-Agent": GOOGLEBOT}
    for n in range(5):
        assert service.keyed("POST", f"{S}/items/i{n}/votes", **headers).status == 200
        assert service.keyed("POST", f"{S}/items/i{n}/views", **headers).json["counted"]
        assert service.keyed("POST", f"{S}/visitors").status == 201
    assert service.lines(S + "/events", [{"type": "view", "item": f"e{n}", "visitor": "u"} for n in range(9)]).json[
        "accepted"] == 9


def test_off_and_none(start):
    service = start(rate_limits="off", votes_per_minute=1)
    assert {vote(service).status for _ in range(5)} == {200}
    service = start(votes_per_minute=0, votes_burst=1)
    assert {vote(service).status for _ in range(5)} == {200}


def test_all_workers_share_one_rate_limit(start):
    service = start(workers=3, votes_per_minute=1, votes_burst=20)
    all_ready(service)
    statuses = [vote(service, Engaged_Visitor=token(service)).status for _ in range(60)]
    assert statuses == [200] * 20 + [429] * 40


def test_a_rate_limit_outlives_its_worker_and_a_reload(start):
    service = start(votes_per_minute=1, votes_burst=2)
    assert [vote(service).status for _ in range(3)] == [200, 200, 429]
    os.kill(service.children("worker")[0], signal.SIGKILL)
    check_refusal(patiently(lambda: vote(service)))
    service.process.send_signal(signal.SIGHUP)
    time.sleep(1)
    check_refusal(patiently(lambda: vote(service)))


def test_a_reload_with_a_higher_limit_lets_those_in_that_the_lower_one_kept_out(start):
    service = start(configuration="votes_per_minute = 1\nvotes_burst = 1\nlimits_share = 1/100\n")
    tokens = [token(service) for _ in range(2)]
    assert vote(service, Engaged_Visitor=tokens[0]).status == 200
    assert check_refusal(vote(service, item="b", Engaged_Visitor=tokens[1])) > 5900
    service.configure("votes_per_minute = 60\nvotes_burst = 1\n")
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: patiently(lambda: vote(service, item="b", Engaged_Visitor=tokens[1])).status == 200, 20, service.log)


def patiently(call):
    for _ in range(200):
        try:
            answer = call()
            if answer.status != 503:
                return answer
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    raise AssertionError("no answer")


def machine_address():
    """An address of this machine that is not loopback; None without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def test_a_peer_from_elsewhere_has_its_own_rate_limit_and_names_nobody():
    address = machine_address()
    if not address or address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    port, statuses = free_port(), []
    service = AtOwnAddress(listen=f"{address}:{port}", votes_per_minute=1, votes_burst=1)
    for n in range(3):
        connection = http.client.HTTPConnection(address, port, timeout=30)
        connection.request("POST", S + "/items/a/votes", headers={"X-Forwarded-For": f"198.51.100.{n}"})
        statuses.append(connection.getresponse().status)
        connection.close()
    log = service.log()
    service.stop()
    assert statuses == [200, 429, 429]
    assert log.count("names another client") == 1 and "198.51.100." not in log


def test_a_thousand_readers_behind_one_address_lose_nothing(start):
    """A minute of theirs, all at once: each a token, two views and a vote, on the presets."""
    service = start(workers=2)
    all_ready(service)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)

    def call(path, visitor=None):
        headers = {"X-Forwarded-For": "192.0.2.1", "User-Agent": FIREFOX}
        if visitor:
            headers["Engaged-Visitor"] = visitor
        connection.request("POST", S + path, headers=headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    for n in range(1000):
        status, body = call("/visitors")
        assert status == 201
        for path in (f"/items/a{n}/views", "/items/front/views"):
            answer = call(path, body["visitor"])
            assert answer[1].get("counted"), answer
        assert call(f"/items/a{n % 100}/votes", body["visitor"])[0] == 200
    connection.close()
    assert not any(value for name, value in service.metrics().items() if name.startswith("engaged_refused_total"))


def test_no_address_or_agent_is_logged(start):
    service = start(votes_per_minute=1, votes_burst=1, log_level="debug")
    for _ in range(3):
        vote(service, User_Agent=FIREFOX)
        vote(service, User_Agent=GOOGLEBOT)
    assert "192.0.2.1" not in service.log() and "ozilla" not in service.log()


@pytest.mark.parametrize("value", ["10.0.0.0/33", "10.0.0", "proxy.example", "10.0.0.1,10.0.0.2", "fe80::1%eth0"])
def test_a_wrong_list_of_proxies_refuses_to_start(value):
    done = subprocess.run([PROGRAM, "check", "--trusted-proxies", value],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "--trusted-proxies: " in done.stderr


# ---- Crawlers

def counts(service, item="a"):
    body = service.get(f"{S}/items/{item}").json
    return body["votes"]["up"], body["views"]


def test_crawlers_are_answered_but_not_counted(start):
    service = start()
    answer = view(service, User_Agent=GOOGLEBOT)
    assert (answer.status, answer.json) == (202, {"item": "a", "counted": False, "reason": "bot"})
    vote(service, User_Agent=FIREFOX)
    voted = vote(service, User_Agent=GOOGLEBOT, Engaged_Visitor=token(service))
    assert (voted.status, voted.json) == (200, {"item": "a", "votes": {"up": 1}, "vote": None})
    for unseen in (answer, vote(service, "new", User_Agent=GOOGLEBOT)):
        assert "engaged-visitor" not in unseen.headers and "set-cookie" not in unseen.headers
    gone = service.request("DELETE", S + "/items/a/votes", User_Agent=GOOGLEBOT, Engaged_Visitor=token(service))
    assert gone.json["votes"] == {"up": 1}
    assert counts(service) == (1, 0)
    metrics = service.metrics()
    assert (metrics['engaged_views_total{result="bot"}'], metrics['engaged_votes_total{result="bot"}']) == (1, 3)


@pytest.mark.parametrize("bots,agent,counted", [
    ("drop", FIREFOX, True), ("drop", "curl/7.88.1", True), ("drop", GOOGLEBOT, False), ("strict", "curl/7.88.1", False),
    ("drop", HEADLESS, True), ("strict", HEADLESS, False),    ("strict", FIREFOX, True), ("strict", GOOGLEBOT, False), ("count", GOOGLEBOT, True)])
def test_which_agents_count(start, bots, agent, counted):
    service = start(bots=bots)
    assert view(service, User_Agent=agent).json["counted"] == counted
    assert vote(service, User_Agent=agent).json["vote"] == ("up" if counted else None)


def test_without_an_agent_it_counts(start):
    service = start(bots="strict")
    assert view(service).json["counted"] and view(service, User_Agent="").json["counted"]


# ---- Opt-outs

@pytest.mark.parametrize("opt_out,counted,learnt", [("anonymous", True, False), ("drop", False, False),
                                                    ("ignore", True, True)])
@pytest.mark.parametrize("header", ["Sec-GPC", "DNT"])
def test_opt_outs(start, opt_out, counted, learnt, header):
    service = start(opt_out=opt_out)
    for n in range(4):
        visitor = token(service)
        for item in ("a", "b"):
            answer = view(service, item, Engaged_Visitor=visitor, **{header: "1"})
            assert answer.json["counted"] == counted
            assert answer.json.get("reason") == (None if counted else "opt_out")
    assert vote(service, **{header: "1"}).json["vote"] == "up"
    service.lines(S + "/events?wait=true", [{"type": "view", "item": "z", "visitor": "u"}])
    related = service.get(S + "/items/b/related").json["items"]
    assert any(row["reason"] == "related" for row in related) == learnt
    assert service.metrics()['engaged_views_total{result="opt_out"}'] == (0 if counted else 8)
    assert view(service, Engaged_Visitor=token(service), **{header: "0"}).json["counted"]


# ---- unknown_items = reject

def test_only_items_with_a_card_take_views(start):
    service = start(unknown_items="reject")
    for answer in (view(service, "x"), vote(service, "x"), vote(service, "x", User_Agent=GOOGLEBOT),
                   service.keyed("POST", S + "/items/x/views")):
        assert (answer.status, answer.json["code"]) == (404, "unknown_item")
        assert "engaged-visitor" not in answer.headers
    image = service.get(S + "/items/x/view.gif")
    assert image.status == 200 and "engaged-visitor" not in image.headers
    rows = [{"type": "view", "item": item, "visitor": "u"} for item in ("x", "card", "x")]
    service.keyed("PUT", S + "/items/card", {"title": "t"})
    answer = service.lines(S + "/events?wait=true", rows).json
    assert answer["accepted"] == 1 and [row["code"] for row in answer["rejected"]] == ["unknown_item"] * 2
    assert view(service, "card").json["counted"] and vote(service, "card").status == 200
    assert service.metrics()['engaged_views_total{result="counted"}'] == 2
    service.keyed("DELETE", S + "/items/card")
    assert view(service, "card").status == 404
