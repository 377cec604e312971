# SPDX-License-Identifier: MIT
"""The preset trusted_proxies = auto: proxies on this machine that nobody has listed, and programs that name no reader.
Also wrong keys: after many of them a guesser learns nothing more."""
import http.client
import os
import socket
import subprocess
import tempfile

import pytest

from support.service import PROGRAM, Service, free_port
from support.wait import wait_until

S = "/v1/s"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
UNLIMITED = "engaged_unlimited_writes_total"


def vote(service, address=None, item="a", **headers):
    if address is not None:
        headers["X_Forwarded_For"] = address
    return service.post(f"{S}/items/{item}/votes", **headers)


def token(service):
    return service.keyed("POST", S + "/visitors").json["visitor"]


def test_the_preset_is_auto_and_says_nothing(own):
    service = own()
    assert "clients on" not in service.log()
    assert "\ntrusted_proxies = auto\n" in subprocess.run(
        [PROGRAM, "--print-config"], capture_output=True, text=True,
        check=True).stdout


@pytest.mark.contract("Networks", "With trusted_proxies = auto")
def test_the_last_element_is_the_reader(own):
    service = own(votes_per_minute=1, votes_burst=1)
    assert vote(service, "198.51.100.1, 192.0.2.1").status == 200
    for same in ("192.0.2.1", "198.51.100.2, 192.0.2.1", "192.0.2.1:4711", "192.0.2.1, "):
        assert vote(service, same).status == 429, same
    assert vote(service, "192.0.2.1", Forwarded="for=203.0.113.9").status == 429
    assert vote(service, "192.0.2.1, 192.0.2.2").status == 200
    assert vote(service, "2001:db8:1:2::3").status == 200 and vote(service, "2001:db8:1:2:9::9").status == 429
    assert service.metrics()[UNLIMITED] == 0


def test_one_that_cannot_be_read_is_the_peer_itself(own):
    service = own(votes_per_minute=1, votes_burst=1)
    assert [vote(service, text).status for text in ("unknown", "", "192.0.2.1, x", "127.0.0.1")] == [200, 429, 429, 429]


def test_a_listed_proxy_before_this_machines_is_looked_through(own):
    service = own(votes_per_minute=1, votes_burst=1, trusted_proxies="auto 10.0.0.0/8")
    assert vote(service, "192.0.2.1, 10.1.1.1").status == 200
    assert vote(service, "192.0.2.1, 10.2.2.2").status == 429
    assert vote(service, "192.0.2.2, 10.1.1.1").status == 200


@pytest.mark.contract("Networks", "A peer on this machine that sends no X-Forwarded-For")
def test_a_proxy_that_names_no_reader_has_no_limit_and_is_counted(own):
    names = ("votes", "views", "new_visitors", "new_items", "visitor_votes", "visitor_views", "erasures",
             "network_item_votes", "wrong_keys")
    service = own(**{f"{name}_{part}": 1 for name in names for part in ("per_minute", "burst")})
    visitor = service.post(S + "/visitors").json["visitor"]
    assert service.metrics()[UNLIMITED] == 1
    for n in range(3):
        assert vote(service, None, f"i{n}", Engaged_Visitor=visitor).status == 200
        assert service.post(f"{S}/items/i{n}/views", Engaged_Visitor=visitor).json["counted"]
        assert service.request("DELETE", f"{S}/items/i{n}/votes", Engaged_Visitor=visitor).status == 200
        assert vote(service, None, "i0", Forwarded="for=192.0.2.1").status == 200
        assert service.request("DELETE", S + "/me", Engaged_Visitor=visitor).status == 202
    assert service.metrics()[UNLIMITED] == 16
    service.get(S + "/items/i0")
    vote(service, None, Authorization="Bearer k")
    vote(service, "192.0.2.1")
    assert service.metrics()[UNLIMITED] == 16  # reads, calls with the key, readers that are named


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2", "127.1.0.1", "127.255.255.254"])
def test_all_of_127_is_this_machine(own, source):
    service = own(votes_per_minute=1, votes_burst=1)
    for _ in range(3):
        client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30, source_address=(source, 0))
        client.request("POST", S + "/items/a/votes")
        assert client.getresponse().status == 200
        client.close()
    assert service.metrics()[UNLIMITED] == 3


def test_without_limits_nothing_is_counted_as_unlimited(own):
    service = own(rate_limits="off")
    vote(service)
    assert service.metrics()[UNLIMITED] == 0


@pytest.mark.contract("Networks", "One warning says so")
def test_one_warning_when_a_browser_has_no_limit(own):
    service = own()
    for agent in ("curl/7.88.1", "", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"):
        vote(service, None, User_Agent=agent)
    assert "browser" not in service.log()
    vote(service, "192.0.2.1", User_Agent=FIREFOX)
    service.get(S + "/items/a", User_Agent=FIREFOX)
    assert "browser" not in service.log()
    for _ in range(3):
        vote(service, None, User_Agent=FIREFOX)
    assert service.log().count("a browser's write came from this machine") == 1
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in service.log() and "Firefox" not in service.log()


@pytest.mark.parametrize("proxies,limited", [("auto", True), ("unix", True), ("", False)])
def test_a_unix_socket(own, tmp_path, proxies, limited):
    path = str(tmp_path / "s")

    class ByOps(Service):
        def get(self, path, **headers):
            return self.request("GET", path, port=self.ops_port, **headers)

    service = ByOps(listen="unix:" + path, votes_per_minute=1, votes_burst=1, trusted_proxies=proxies)
    try:
        statuses = []
        for named in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(f"POST {S}/items/a/votes HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {named}\r\n"
                               "Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
                statuses.append(int(client.recv(65536).split()[1]))
        assert statuses == ([200, 429, 200] if limited else [200, 200, 200])
    finally:
        service.stop()


# ---- The joint limit

@pytest.mark.contract("Networks", "All that comes by auto has a joint limit")
def test_all_that_comes_so_has_a_joint_limit(own):
    service = own(votes_per_minute=2, votes_burst=1, auto_proxies_factor=5, wide_network_factor=0)
    visitor = [token(service) for _ in range(8)]
    statuses = [vote(service, f"198.51.100.{n}", f"i{n}", Engaged_Visitor=visitor[n]).status for n in range(8)]
    assert statuses == [200] * 5 + [429] * 3  # five times one
    refused = vote(service, "203.0.113.1", "i9", Engaged_Visitor=visitor[0])
    assert refused.status == 429 and 1 <= int(refused.headers["retry-after"]) <= 6  # ten a minute
    log = service.log()
    assert log.count("joint limit of 5 networks") == 1 and "proxy_set_header X-Forwarded-For $remote_addr;" in log
    assert "198.51.100." not in log
    assert vote(service).status == 200  # who names nobody is not of them


@pytest.mark.contract("Networks", "All that comes by auto has a joint limit")
def test_the_preset_of_the_joint_limit_is_fifty_networks(own):
    service = own(new_visitors_per_minute=1, new_visitors_burst=1)
    statuses = [service.post(S + "/visitors", X_Forwarded_For=f"198.51.{n}.1").status for n in range(52)]
    assert statuses[:50] == [201] * 50 and statuses[51] == 429  # one may have come back meanwhile


@pytest.mark.parametrize("settings", [{"trusted_proxies": "127.0.0.1"}, {"trusted_proxies": "127.0.0.0/8 auto"},
                                      {"auto_proxies_factor": 0}])
@pytest.mark.contract("Networks", "Listing the proxy ends both")
def test_listing_the_proxy_ends_it(own, settings):
    service = own(**{"votes_per_minute": 1, "votes_burst": 1, "auto_proxies_factor": 2, **settings})
    visitor = [token(service) for _ in range(6)]
    assert {vote(service, f"198.51.{n}.1", Engaged_Visitor=visitor[n]).status for n in range(6)} == {200}
    assert "joint limit" not in service.log()


def test_who_is_over_his_own_limit_takes_nothing_of_the_joint_one(own):
    service = own(votes_per_minute=1, votes_burst=1, auto_proxies_factor=2)
    assert [vote(service, "192.0.2.1").status for _ in range(5)] == [200, 429, 429, 429, 429]
    assert vote(service, "198.51.100.1").status == 200


# ---- Behind a real nginx

@pytest.fixture
def nginx():
    running = []

    def one(service, field):
        folder = tempfile.mkdtemp()
        os.chmod(folder, 0o755)
        port = free_port()
        paths = " ".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(f"{folder}/conf", "w", encoding="utf-8") as file:
            file.write(f"""daemon off; pid {folder}/pid; error_log {folder}/error warn; worker_processes 1;
                {"user root;" if os.geteuid() == 0 else ""} events {{}}
                http {{ access_log off; {paths}
                server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{service.port}; {field} }} }} }}""")
        process = subprocess.Popen(["/usr/sbin/nginx", "-c", f"{folder}/conf", "-p", folder], stderr=subprocess.DEVNULL)
        running.append(process)
        wait_until(lambda: answers(port), what="nginx does not answer")
        return port

    yield one
    for process in running:
        process.terminate()
        process.wait(10)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False


def through(port, source, **headers):
    """The status of a vote through nginx, from a loopback address of one's own."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    client.request("POST", S + "/items/a/votes", headers={"User-Agent": FIREFOX, **headers})
    answer = client.getresponse()
    answer.read()
    client.close()
    return answer.status


@pytest.mark.parametrize("value", ["$remote_addr", "$proxy_add_x_forwarded_for"])
def test_nginx_that_names_the_reader(own, nginx, value):
    service = own(votes_per_minute=1, votes_burst=1)
    port = nginx(service, f"proxy_set_header X-Forwarded-For {value};")
    assert through(port, "127.0.0.2") == 200
    for n in range(3):  # whatever the client writes itself
        assert through(port, "127.0.0.2", **{"X-Forwarded-For": f"198.51.100.{n}", "Forwarded": f"for=198.51.100.{n}"}) == 429
    assert through(port, "127.0.0.3") == 200
    assert service.metrics()[UNLIMITED] == 0 and "a browser's write" not in service.log()


def test_nginx_that_hands_on_what_clients_write_meets_the_joint_limit(own, nginx):
    service = own(votes_per_minute=1, votes_burst=1, auto_proxies_factor=3)
    port = nginx(service, "")
    assert [through(port, "127.0.0.2", **{"X-Forwarded-For": f"198.51.{n}.1"}) for n in range(5)] == [200] * 3 + [429] * 2
    assert "joint limit of 3 networks" in service.log()
    assert through(port, "127.0.0.2") == 200  # nobody is named
    assert service.log().count("a browser's write came from this machine") == 1


# ---- Wrong keys

def bearer(service, key, address="192.0.2.1", method="PUT", path="/items/a", body="{}", **headers):
    return service.request(method, S + path, body, Authorization=f"Bearer {key}", X_Forwarded_For=address, **headers)


@pytest.mark.contract("Networks", "Wrong keys are limited too")
def test_wrong_keys_have_a_limit_and_the_right_one_passes(own):
    service = own(wrong_keys_per_minute=60, wrong_keys_burst=3)
    assert [bearer(service, f"x{n}").status for n in range(5)] == [403, 403, 403, 429, 429]
    wrong = bearer(service, "x")
    assert (wrong.status, wrong.json["code"], int(wrong.headers["retry-after"])) == (429, "too_many_requests", 1)
    assert bearer(service, "k").status == 200
    assert bearer(service, "x", "192.0.2.2").status == 403  # another network
    wait_until(lambda: bearer(service, "x").status == 403, 5)
    assert service.metrics()['engaged_refused_total{by="wrong_keys"}'] >= 3


def test_right_keys_and_no_keys_take_nothing_of_it(own):
    service = own(wrong_keys_per_minute=1, wrong_keys_burst=2)
    for _ in range(5):
        assert bearer(service, "k").status == 200
        assert service.request("PUT", S + "/items/a", "{}", X_Forwarded_For="192.0.2.1").status == 401
        assert vote(service, "192.0.2.1").status == 200
    assert [bearer(service, "x").status for _ in range(3)] == [403, 403, 429]
    assert vote(service, "192.0.2.1").status == 200  # without a key


@pytest.mark.parametrize("method,path,body", [("PUT", "/items/a", "{}"), ("DELETE", "/items/b", None), ("GET", "/export", None),
                                              ("GET", "/editorial", None), ("POST", "/corrections", {"visitor": "x"})])
def test_every_call_that_needs_the_key_has_the_limit(own, method, path, body):
    service = own(wrong_keys_per_minute=1, wrong_keys_burst=2)
    statuses = [bearer(service, f"x{n}", method=method, path=path, body=body).status for n in range(4)]
    assert statuses == [403, 403, 429, 429]
    assert bearer(service, "k", method=method, path=path, body=body).status < 300


def test_wrong_keys_of_the_public_listener_when_publishers_have_their_own(own):
    service = own(publisher_listen=f"127.0.0.1:{free_port()}", wrong_keys_per_minute=1, wrong_keys_burst=2)
    statuses = [bearer(service, f"x{n}", method="POST", path="/visitors", body={"visitor": "x"}).status for n in range(4)]
    assert statuses == [401] * 4  # no key is needed there: a wrong one is passed over


def test_the_preset_of_wrong_keys(own):
    service = own()
    statuses = [bearer(service, "x").status for _ in range(62)]
    assert statuses == [403] * 60 + [429] * 2 or statuses.count(403) == 61  # one may have come back meanwhile
