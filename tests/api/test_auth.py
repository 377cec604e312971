# SPDX-License-Identifier: MIT
"""Who may call: keys of sites, hashed keys, the publisher's own listener, forms of the cookie, rotation of the secret."""
import hashlib
import re

import pytest

from support.ports import free_port

NEW, OLD, HASH = "11" * 32, "22" * 32, "33" * 32


@pytest.fixture
def start(own):
    return lambda configuration=None, **settings: own(configuration=configuration, **settings)


def bearer(service, method, path, key, body=None):
    return service.request(method, path, body, Authorization=f"Bearer {key}")


@pytest.mark.contract("Secret key", "The key stands in Authorization")
def test_a_key_opens_its_own_site_only(start):
    hashed = hashlib.sha256(b"beta's own").hexdigest().upper()  # in either case
    service = start(f"[site alpha]\nsecret_key = alphas-own\n[site beta]\nsecret_key = sha256:{hashed}\n",
                    secret_key="sha256:" + hashlib.sha256(b"general").hexdigest().upper())
    opens = {"alpha": "alphas-own", "beta": "beta's own", "gamma": "general"}
    for site in opens:
        for owner, key in [*opens.items(), ("nobody", "sha256:" + hashed), ("nobody", hashed), ("nobody", "x")]:
            answer = bearer(service, "PUT", f"/v1/{site}/items/a", key, {"title": owner})
            assert answer.status == (200 if owner == site else 403), (site, owner)
    for site in opens:
        assert service.get(f"/v1/{site}/items/a").json["title"] == site
    # a key of another site is no key: strictness and ids of one's own come with the right one only
    assert service.request("POST", "/v1/beta/items/a/votes", Authorization="Bearer alphas-own",
                           Engaged_Visitor="user-1").status == 401


def test_the_publishers_own_listener(start):
    port = free_port()
    service = start(publisher_listen=f"127.0.0.1:{port}")
    card = {"title": "A"}
    for where, status in ((service.port, 405), (service.ops_port, 200), (port, 200)):
        answer = service.request("PUT", "/v1/s/items/a", card, port=where, Authorization="Bearer k")
        assert answer.status == status
    assert service.request("GET", "/v1/s/export", port=service.port, Authorization="Bearer k").status == 404
    assert service.request("POST", "/v1/s/items/a/votes", port=port).status == 200
    assert service.request("GET", "/metrics", port=port).status == 404
    assert service.get("/v1/s/items/a").json["title"] == "A"


def test_the_publishers_calls_on_the_operators_listener(start):
    ops = free_port()
    service = start(ops_listen=f"127.0.0.1:{ops}", publisher_listen=f"127.0.0.1:{ops}")
    assert service.request("PUT", "/v1/s/items/a", {"title": "A"}, port=ops, Authorization="Bearer k").status == 200
    assert service.keyed("PUT", "/v1/s/items/a", {"title": "B"}).status == 405


@pytest.mark.parametrize("form, pattern", [
    ("lax", r"engaged_[0-9a-f]{8}=ev1\.[^;]+; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax"),
    ("host", r"__Host-engaged_[0-9a-f]{8}=ev1\.[^;]+; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure"),
    ("partitioned",
     r"__Host-engaged_[0-9a-f]{8}=ev1\.[^;]+; Path=/; Max-Age=\d+; HttpOnly; SameSite=None; Secure; Partitioned")])
@pytest.mark.contract("Visitors", "The cookie is named engaged_")
def test_forms_of_the_cookie(start, form, pattern):
    service = start(cookie_form=form)
    first = service.post("/v1/s/items/a/votes")
    assert re.fullmatch(pattern, first.headers["set-cookie"])
    cookie = first.headers["set-cookie"].split(";")[0]
    again = service.post("/v1/s/items/a/votes", Cookie="other=1; " + cookie)
    assert again.json["votes"] == {"up": 1} and "set-cookie" not in again.headers
    other = service.post("/v1/t/items/a/votes", Cookie=cookie)  # of another site: replaced
    assert "set-cookie" in other.headers


def test_the_secret_is_rotated_without_losing_anybody(start, tmp_path):
    data = f"embedded:{tmp_path}/d"
    before = start(redis=data, secret=OLD, hash_key=HASH)
    token = before.post("/v1/s/visitors").json["visitor"]
    assert before.post("/v1/s/items/a/votes", Engaged_Visitor=token).json["votes"] == {"up": 1}
    before.stop()
    for settings, status in (({"secret": NEW, "secret_old": OLD}, 200), ({"secret": NEW}, 401)):
        after = start(redis=data, hash_key=HASH, **settings)
        answer = after.post("/v1/s/items/a/votes", Engaged_Visitor=token)
        assert answer.status == status
        if status == 200:
            assert answer.json["votes"] == {"up": 1}  # the same voter
        after.stop()


@pytest.mark.parametrize("value", ["sha256:12", "sha256:" + "G" * 64, "with space"])
def test_an_invalid_key_refuses_to_start(start, value):
    with pytest.raises(AssertionError, match="secret_key"):
        start(f"[site a]\nsecret_key = {value}\n")
