# SPDX-License-Identifier: MIT
"""The page in one call, the visitor's own votes, editorial rules, fragments and feeds, the counting image."""
import json
import socket
import time

import pytest


def ids(box):
    return [entry["item"] for entry in box["items"]]


def read(service, site, item, visitor):
    assert service.keyed("POST", f"{site}/items/{item}/views", Engaged_Visitor=visitor).status == 202


def fill(service, site, count, viewed=None):
    """Cards for `count` items; views in falling number on the first `viewed` of them, by readers of several."""
    rows = [{"item": f"i{n}", "title": f"Title {n}", "url": f"https://example.org/{n}"} for n in range(count)]
    assert service.lines(f"{site}/items", rows).json["accepted"] == count
    events = [{"type": "view", "item": f"i{n}", "visitor": f"r{reader}"}
              for reader in range(12) for n in range((viewed if viewed is not None else count) - reader)]
    assert service.lines(f"{site}/events?wait=true", events).status == 200


# ---- The page

def test_page_is_whole_and_repeats_nothing(service, site):
    fill(service, site, 30)
    answer = service.get(f"{site}/items/i3/page")
    assert answer.status == 200 and answer.json["item"]["title"] == "Title 3"
    boxes = [answer.json[name] for name in ("related", "ranking", "recommendation")]
    assert [len(box["items"]) for box in boxes] == [10, 8, 8]
    assert [box["kind"] for box in boxes] == ["related", "ranking", "recommendation"]
    all_ids = [item for box in boxes for item in ids(box)]
    assert len(set(all_ids)) == 26 and "i3" not in all_ids
    assert all([entry["rank"] for entry in box["items"]] == list(range(1, len(box["items"]) + 1)) for box in boxes)
    assert all(entry["title"] for box in boxes for entry in box["items"])


def test_pages_that_are_not_in_memory_wait_their_turn_and_none_is_refused(service, site):
    """All ask Redis for more at once than its queue takes."""
    fill(service, site, 60, viewed=30)
    clients = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(200)]
    for number, client in enumerate(clients):
        client.sendall(f"GET {site}/items/other-{number}/page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    statuses = []
    for client in clients:
        with client, client.makefile("rb") as file:
            statuses.append(file.readline().split()[1])
    assert set(statuses) == {b"200"}


def test_page_is_filled_with_cards_that_nobody_read(service, site):
    fill(service, site, 40, viewed=3)
    answer = service.get(f"{site}/items/i0/page").json
    assert [len(answer[name]["items"]) for name in ("related", "ranking", "recommendation")] == [10, 8, 8]
    plain = service.get(f"{site}/rankings/hot?limit=20").json
    assert sorted(ids(plain)) == ["i0", "i1", "i2"]  # a ranking alone lists what was ranked


def test_page_of_an_unknown_item_and_of_an_empty_site(service, site):
    answer = service.get(f"{site}/items/nobody/page").json
    assert answer["item"] == {"item": "nobody", "votes": {"up": 0, "down": 0}, "views": 0, "visitors": 0}
    assert answer["related"]["items"] == answer["ranking"]["items"] == answer["recommendation"]["items"] == []


def test_page_counts_leave_lists_out(service, site):
    fill(service, site, 12)
    answer = service.get(f"{site}/items/i1/page?related=0&ranking=3&recommendation=0&name=top").json
    assert set(answer) == {"item", "ranking"} and len(answer["ranking"]["items"]) == 3
    assert answer["ranking"]["name"] == "top"


@pytest.mark.parametrize("query, status, code", [
    ("related=101", 400, "bad_limit"), ("ranking=-1", 400, "bad_limit"), ("recommendation=x", 400, "bad_limit"),
    ("name=nothing", 404, "unknown_ranking"), ("related=1&related=2", 400, "repeated_parameter"),
])
def test_page_refuses(service, site, query, status, code):
    answer = service.get(f"{site}/items/a/page?{query}")
    assert (answer.status, answer.json["code"]) == (status, code)


def test_page_spellings_share_a_body_and_have_an_etag(service, site):
    fill(service, site, 30)
    one = service.get(f"{site}/items/i3/page?ranking=4&related=5")
    two = service.get(f"{site}/items/-/page?related=5&id=i3&ranking=4&recommendation=8")
    assert one.body == two.body and one.headers["etag"] == two.headers["etag"]
    again = service.get(f"{site}/items/i3/page?ranking=4&related=5", If_None_Match=one.headers["etag"])
    assert again.status == 304 and not again.body
    head = service.request("HEAD", f"{site}/items/i3/page?ranking=4&related=5")
    assert head.status == 200 and head.headers["content-length"] == str(len(one.body))


# ---- The visitor's own

def test_me_shows_votes_and_counts(service, site, token):
    other = service.post(site + "/visitors").json["visitor"]
    for visitor, item, kind in ((token, "a", "up"), (other, "a", "up"), (other, "b", "down")):
        assert service.post(f"{site}/items/{item}/votes", {"kind": kind}, Engaged_Visitor=visitor).status == 200
    answer = service.get(f"{site}/me?id=a&id=b&id=c&id=a", Engaged_Visitor=token)
    assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
    assert answer.json == {"votes": {"a": "up"}, "counts": {"a": {"up": 2, "down": 0}, "b": {"up": 0, "down": 1},
                                                            "c": {"up": 0, "down": 0}}}


def test_me_of_nobody_gives_no_token(service, site):
    answer = service.get(f"{site}/me?id=a")
    assert answer.status == 200 and answer.json["votes"] == {}
    assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers
    assert service.get(f"{site}/me?id=a", Engaged_Visitor="ev1.forged").status == 401


def test_me_knows_the_vote_of_an_item_with_many_voters(service, site, token):
    assert service.post(f"{site}/items/a/votes", {"kind": "down"}, Engaged_Visitor=token).status == 200
    rows = [{"type": "vote", "item": "a", "visitor": f"v{n}"} for n in range(1500)]
    assert service.lines(f"{site}/events", rows).json["accepted"] == 1500
    for _ in range(20):  # also while the buckets are still being split
        answer = service.get(f"{site}/me?id=a", Engaged_Visitor=token).json
        assert answer == {"votes": {"a": "down"}, "counts": {"a": {"up": 1500, "down": 1}}}


def test_recommendations_leave_out_what_was_read(service, site, token):
    fill(service, site, 20)
    for item in ("i0", "i1"):
        assert service.post(f"{site}/items/{item}/views", Engaged_Visitor=token).json["counted"]
    answer = service.get(f"{site}/me/recommendations?limit=15&exclude=i2", Engaged_Visitor=token)
    assert answer.status == 200 and answer.json["kind"] == "recommendation"
    assert len(answer.json["items"]) == 15 and not {"i0", "i1", "i2"} & set(ids(answer.json))
    assert answer.headers["cache-control"] == "no-store" and "set-cookie" not in answer.headers
    nobody = service.get(f"{site}/me/recommendations?limit=3")
    assert [entry["reason"] for entry in nobody.json["items"]] == ["popular"] * 3


# ---- Editorial rules

def put_hand(service, site, item, **hand):
    answer = service.keyed("PUT", f"{site}/items/{item}/editorial", hand)
    assert answer.status == 200, answer.body
    return answer.json


def test_pins_boost_bury_and_block(service, site):
    fill(service, site, 10)
    before = ids(service.get(f"{site}/rankings/hot").json)
    put_hand(service, site, "i9", pin=3)
    ranking = service.get(f"{site}/rankings/hot").json
    assert ids(ranking)[2] == "i9" and ranking["items"][2]["reason"] == "pinned"
    assert [i for i in ids(ranking) if i != "i9"] == [i for i in before if i != "i9"]
    put_hand(service, site, "i8", pin=3)  # the later goes first
    assert ids(service.get(f"{site}/rankings/hot").json)[2:4] == ["i8", "i9"]
    put_hand(service, site, before[0], bury=True)
    assert ids(service.get(f"{site}/rankings/hot").json)[-1] == before[0]
    put_hand(service, site, "i8", block=True)
    put_hand(service, site, "i9", boost=1000)
    assert ids(service.get(f"{site}/rankings/hot").json)[0] == "i9"
    for path in ("rankings/hot", "rankings/top", "items/i1/related", "items/i1/page"):
        assert b'"i8"' not in service.get(f"{site}/{path}").body
    listed = service.keyed("GET", f"{site}/editorial").json["editorial"]
    assert {row["item"] for row in listed} == {"i8", "i9", before[0]}
    assert service.keyed("DELETE", f"{site}/items/i8/editorial").status == 204
    assert "i8" in ids(service.get(f"{site}/rankings/hot").json)


def test_a_pin_counts_towards_the_limit_and_loses_to_exclude(service, site):
    fill(service, site, 10)
    put_hand(service, site, "i7", pin=1, lists=["ranking", "related"])
    assert ids(service.get(f"{site}/rankings/hot?limit=2").json)[0] == "i7"
    assert len(ids(service.get(f"{site}/rankings/hot?limit=2").json)) == 2
    assert "i7" not in ids(service.get(f"{site}/rankings/hot?exclude=i7").json)
    assert ids(service.get(f"{site}/items/i1/related").json)[0] == "i7"
    assert "i7" not in ids(service.get(f"{site}/items/i7/related").json)
    page = service.get(f"{site}/items/i1/page").json
    assert sum(ids(page[name]).count("i7") for name in ("related", "ranking", "recommendation")) == 1


def test_a_hand_ends_by_itself(service, site):
    fill(service, site, 5)
    put_hand(service, site, "i4", pin=1, until=time.time() + 0.6, note="until soon")
    assert ids(service.get(f"{site}/rankings/hot").json)[0] == "i4"
    assert service.keyed("GET", f"{site}/editorial").json["editorial"][0]["note"] == "until soon"
    time.sleep(0.7)
    assert ids(service.get(f"{site}/rankings/hot").json)[0] != "i4"
    assert service.keyed("GET", f"{site}/editorial").json["editorial"] == []


@pytest.mark.parametrize("hand", [{}, {"pin": 0}, {"pin": 101}, {"boost": 0}, {"boost": -1}, {"boost": "2"},
                                  {"pin": 1, "lists": ["nothing"]}, {"pin": 1, "lists": []}, {"block": 1},
                                  {"pin": 1, "until": "tomorrow"}, {"pin": 1, "what": 1}, {"pin": 1.5}])
def test_a_hand_that_is_not_right_is_refused(service, site, hand):
    assert service.keyed("PUT", f"{site}/items/a/editorial", hand).status == 400
    assert service.keyed("GET", f"{site}/editorial").json["editorial"] == []


def test_deleting_an_item_takes_the_hand_away(service, site):
    fill(service, site, 5)
    put_hand(service, site, "i4", pin=1)
    assert service.keyed("DELETE", f"{site}/items/i4").status == 204
    assert service.keyed("GET", f"{site}/editorial").json["editorial"] == []
    assert "i4" not in ids(service.get(f"{site}/rankings/hot").json)


def test_editorial_needs_the_key(service, site):
    assert service.request("PUT", f"{site}/items/a/editorial", {"pin": 1}).status == 401
    assert service.get(f"{site}/editorial").status == 401


# ---- Fragments, feeds, the image

def test_fragment_is_escaped_html(service, site):
    rows = [{"item": "x<y", "title": "<script>alert(\"1\")</script> & 'so'", "url": "/a?b=1&c=\"2\""}]
    assert service.lines(f"{site}/items", rows).json["accepted"] == 1
    read(service, site, "x%3Cy", "v")
    time.sleep(0.2)
    answer = service.get(f"{site}/rankings/hot?format=html")
    text = answer.body.decode()
    assert answer.status == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert text.startswith('<ol class="engaged engaged-ranking">') and text.endswith("</ol>\n")
    assert "<script" not in text and "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;so&#39;" in text
    assert 'href="/a?b=1&amp;c=%222%22"' in text and 'data-item="x&lt;y"' in text
    assert answer.headers["etag"] and "max-age" in answer.headers["cache-control"]


def test_an_error_of_a_fragment_is_a_comment(service, site):
    for path, status in (("rankings/none?format=html", 404), ("rankings/hot?format=html&limit=0", 400)):
        answer = service.get(f"{site}/{path}")
        assert answer.status == status and answer.body.startswith(b"<!--") and answer.body.strip().endswith(b"-->")
    assert service.get(f"{site}/rankings/hot?format=xml").json["code"] == "bad_parameter"


def test_feed_is_json_feed(service, site):
    fill(service, site, 3)
    for path in ("rankings/hot", "items/i0/related", "me/recommendations"):
        answer = service.get(f"{site}/{path}?format=feed")
        assert answer.headers["content-type"] == "application/feed+json"
        feed = answer.json
        assert feed["version"] == "https://jsonfeed.org/version/1.1" and feed["title"] and feed["items"]
        for entry in feed["items"]:
            assert entry["id"] and entry["content_text"] and entry["url"].startswith("https://example.org/")
            assert entry["_engaged"]["rank"] >= 1


def test_a_feeds_links_are_whole(service, site):
    """An address on the page's own host means nothing elsewhere: only our own part of the feed has it."""
    rows = [{"item": "rooted", "title": "R", "url": "/rooted"}, {"item": "whole", "title": "W", "url": "https://example.org/w"},
            {"item": "none", "title": "N"}]
    assert service.lines(f"{site}/items", rows).json["accepted"] == 3
    votes = [{"type": "vote", "item": row["item"], "visitor": "v"} for row in rows]
    assert service.lines(f"{site}/events?wait=true", votes).json["accepted"] == 3
    entries = {entry["id"]: entry for entry in service.get(f"{site}/rankings/top?format=feed").json["items"]}
    assert entries.keys() == {"rooted", "whole", "none"}
    assert entries["whole"]["url"] == "https://example.org/w"
    assert "url" not in entries["rooted"] and entries["rooted"]["_engaged"]["url"] == "/rooted"
    assert "url" not in entries["none"]


def test_the_image_counts_a_view_once(service, site):
    head = service.request("HEAD", f"{site}/items/a/view.gif")
    assert head.status == 200 and head.headers["content-length"] == "43" and "set-cookie" not in head.headers
    first = service.get(f"{site}/items/a/view.gif")
    assert first.status == 200 and len(first.body) == 43 and first.body[:6] == b"GIF89a"
    assert first.headers["content-type"] == "image/gif" and first.headers["cache-control"] == "no-store"
    cookie = first.headers["set-cookie"].split(";")[0]
    assert service.get(f"{site}/items/a/view.gif", Cookie=cookie).status == 200
    time.sleep(0.2)
    assert service.get(f"{site}/items/a").json["views"] == 1


@pytest.mark.contract("Addresses", "On every listener: /openapi.json and /widget.js")
def test_listeners_carry_the_pages(service):
    for port in (service.port, service.ops_port):
        assert service.request("GET", "/widget.js", port=port).headers["content-type"].startswith("text/javascript")
        assert json.loads(service.request("GET", "/openapi.json", port=port).body) is not None
    assert service.get("/dashboard").status == 404 and service.get("/metrics").status == 404
    page = service.request("GET", "/dashboard", port=service.ops_port)
    assert page.status == 200 and b"<" in page.body and "content-security-policy" in page.headers
