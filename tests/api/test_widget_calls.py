# SPDX-License-Identifier: MIT
"""The calls that the widget needs: a view that brings the token, a hundred counters in one call, the page in one call with what
boxes need, and refusals that a page's developer can read. None of these calls needs a preflight."""
import json
import time
import urllib.parse

import pytest

from support.service import Service

PLAIN = "text/plain;charset=UTF-8"
EXPOSED = {"engaged-visitor", "engaged-checked-at", "retry-after", "etag"}


@pytest.fixture(scope="module")
def widget():
    running = Service(kinds="up down", configuration="[site listed]\norigins = https://news.example\n")
    for site in ("listed", "news.example", "anywhere"):
        rows = [{"item": f"i{n:02}", "title": f"Title {n}", "categories": ["city" if n % 2 else "sport"]} for n in range(40)]
        assert running.lines(f"/v1/{site}/items", rows).json["accepted"] == 40
        events = [{"type": "vote", "item": f"i{n:02}", "visitor": f"v{m}"} for n in range(40) for m in range(40 - n)]
        assert running.lines(f"/v1/{site}/events?wait=true", events).json["rejected"] == []
    yield running
    running.stop()


def exposed(answer):
    return {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}


# ---- A view without a token returns one

@pytest.mark.parametrize("site, origin, cookie", [
    ("listed", "https://news.example", True), ("news.example", "https://www.news.example", True), ("anywhere", "https://page.example", False),
    ("anywhere", "null", False), ("listed", None, True)])
@pytest.mark.parametrize("media, body", [(PLAIN, "{}"), (PLAIN, ""), ("application/json", "{}"), (None, "{}"), (None, None)])
def test_a_view_without_a_token_returns_one(widget, site, origin, cookie, media, body):
    sent = {**({"Origin": origin} if origin else {}), **({"Content_Type": media} if media else {})}
    path = f"/v1/{site}/items/viewed-{time.monotonic_ns()}"
    first = widget.post(path + "/views", body, **sent)
    assert (first.status, first.json["counted"]) == (202, True)
    token = first.headers["engaged-visitor"]
    assert token.startswith("ev1.") and first.headers["cache-control"] == "no-store"
    if origin:
        assert first.headers["access-control-allow-origin"] == origin and exposed(first) >= EXPOSED
        assert first.headers.get("access-control-allow-credentials") == ("true" if cookie else None)
    assert ("set-cookie" in first.headers) == cookie
    # It is the visitor's: in the body, the view repeats, the vote is theirs, and no other token comes.
    again = widget.post(path + "/views", json.dumps({"visitor": token}), **sent)
    assert again.json == {"item": path.split("/")[-1], "counted": False, "reason": "repeat"} and "engaged-visitor" not in again.headers
    vote = widget.post(path + "/votes", json.dumps({"visitor": token}), **sent)
    assert vote.json["votes"] == {"up": 1, "down": 0} and "engaged-visitor" not in vote.headers and "set-cookie" not in vote.headers
    me = widget.post(f"/v1/{site}/me", json.dumps({"visitor": token, "ids": [path.split("/")[-1]]}), **sent)
    assert me.json["votes"] == {path.split("/")[-1]: "up"}


def test_a_vote_without_a_token_returns_one_too(widget):
    answer = widget.post("/v1/anywhere/items/voted/votes", "{}", Origin="https://page.example", Content_Type=PLAIN)
    assert answer.headers["engaged-visitor"].startswith("ev1.") and "set-cookie" not in answer.headers and exposed(answer) >= EXPOSED


@pytest.mark.parametrize("sent", [{"User_Agent": "Googlebot/2.1"}, {"Sec_Purpose": "prefetch"}, {"Origin": "https://evil.example"}])
def test_what_does_not_count_brings_no_token(widget, sent):
    answer = widget.post("/v1/listed/items/uncounted/views", "{}", Content_Type=PLAIN, **sent)
    assert answer.status == (403 if "Origin" in sent else 202)
    assert "engaged-visitor" not in answer.headers and "set-cookie" not in answer.headers
    assert widget.get("/v1/listed/items/uncounted").json["views"] == 0


# ---- A hundred counters in one call, 8,000 bytes of address

def ids_of(answer):
    return [one["item"] for one in answer.json["items"]]


@pytest.mark.parametrize("count, status", [(1, 200), (99, 200), (100, 200), (101, 400), (0, 400)])
def test_items_take_a_hundred_ids(widget, count, status):
    asked = [f"i{n:02}" for n in range(count)]
    answer = widget.get("/v1/listed/items?" + urllib.parse.urlencode([("id", one) for one in asked]))
    assert answer.status == status
    if status == 200:
        assert ids_of(answer) == asked and answer.json["items"][0]["votes"] == {"up": 40, "down": 0}
        assert answer.headers["access-control-allow-origin"] == "*" and "max-age" in answer.headers["cache-control"]
    else:
        assert answer.json["code"] == "bad_parameter"


@pytest.mark.parametrize("length", [7990, 8000, 8192, 16000])
def test_an_address_of_eight_thousand_bytes(widget, length):
    start = "/v1/listed/items?"
    each = (length - len(start)) // 50
    asked = [f"https://news.example/{n:02}" + "x" * (each - 36) for n in range(50)]
    address = start + urllib.parse.urlencode([("id", one) for one in asked])
    address += "&id=" + "y" * (length - len(address) - 4)
    assert len(address) == length
    answer = widget.get(address)
    assert answer.status == 200 and ids_of(answer)[:50] == asked
    assert widget.get(address, If_None_Match=answer.headers["etag"]).status == 304


def test_ids_are_answered_in_the_order_asked_also_twice(widget):
    assert ids_of(widget.get("/v1/listed/items?id=b&id=i01&id=b&id=a")) == ["b", "i01", "b", "a"]


# ---- The page in one call

BOXES = ("related", "ranking", "recommendation")


@pytest.mark.parametrize("counts", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (5, 5, 5), (100, 0, 0), (13, 13, 13), (100, 100, 100)])
def test_as_many_in_each_box_as_asked_for_and_no_article_twice(widget, counts):
    query = "&".join(f"{name}={count}" for name, count in zip(BOXES, counts))
    page = widget.get(f"/v1/listed/items/i05/page?{query}").json
    assert list(page) == ["item"] + [name for name, count in zip(BOXES, counts) if count]
    shown = ["i05"] + [entry["item"] for name in BOXES if name in page for entry in page[name]["items"]]
    assert len(set(shown)) == len(shown)
    if sum(counts) <= 39:
        assert [len(page[name]["items"]) for name in page if name != "item"] == [count for count in counts if count]
    assert len(shown) <= 40 and page["item"]["title"] == "Title 5"


def test_the_boxes_ranking_its_category_and_what_is_excluded(widget):
    address = "/v1/listed/items/i05/page?related=5&ranking=10&recommendation=5&name=top&category=city"
    page = widget.get(address).json
    assert page["ranking"]["name"] == "top" and {tuple(entry["categories"]) for entry in page["ranking"]["items"]} == {("city",)}
    gone = [entry["item"] for name in BOXES for entry in page[name]["items"]][:4] + ["never-seen"]
    other = widget.get(address + "".join("&exclude=" + one for one in gone)).json
    assert not set(gone) & {entry["item"] for name in BOXES for entry in other[name]["items"]}
    for name in BOXES:
        assert len(other[name]["items"]) == len(page[name]["items"])


@pytest.mark.parametrize("query, status, code", [
    ("related=101", 400, "bad_limit"), ("ranking=-1", 400, "bad_limit"), ("recommendation=x", 400, "bad_limit"), ("related=", 400, "bad_limit"),
    ("related=1&related=2", 400, "repeated_parameter"), ("name=none", 404, "unknown_ranking"), ("name=none&ranking=0", 404, "unknown_ranking"),
    ("category=", 400, "bad_parameter"), ("category=" + "x" * 65, 400, "bad_parameter"), ("exclude=", 400, "bad_exclude"),
    ("&".join(f"exclude=e{n}" for n in range(101)), 400, "bad_exclude"), ("&".join(f"exclude=e{n}" for n in range(100)), 200, None)])
def test_what_a_page_is_refused(widget, query, status, code):
    answer = widget.get(f"/v1/listed/items/i05/page?{query}")
    assert answer.status == status and answer.json.get("code") == code
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_first_visit_and_the_next_page_without_a_preflight(widget):
    """The calls of both pages, with what a browser sends without asking first: no field of its own, text/plain."""
    page = {"Origin": "https://page.example"}
    simple = {**page, "Content_Type": PLAIN}
    assert widget.get("/widget.js?site=anywhere", **page).status == 200
    boxes = widget.get("/v1/anywhere/items/i30/page?related=5&ranking=5&recommendation=0&name=hot", **page).json
    shown = [entry["item"] for name in ("related", "ranking") for entry in boxes[name]["items"]]
    me = widget.post("/v1/anywhere/me", json.dumps({"ids": ["i30"], "recommendations": 5, "exclude": ["i30", *shown]}), **simple)
    assert me.json["votes"] == {} and not {"i30", *shown} & {entry["item"] for entry in me.json["recommendation"]["items"]}
    assert me.json["counts"]["i30"]["up"] == boxes["item"]["votes"]["up"]
    token = widget.post("/v1/anywhere/items/i30/views", "{}", **simple).headers["engaged-visitor"]
    assert widget.post("/v1/anywhere/items/i30/votes", json.dumps({"visitor": token}), **simple).json["vote"] == "up"
    me = widget.post("/v1/anywhere/me", json.dumps({"visitor": token, "ids": ["i31"], "recommendations": 30, "exclude": ["i31"]}), **simple)
    assert "i30" not in [entry["item"] for entry in me.json["recommendation"]["items"]]  # read on the page before


# ---- A refusal that a page can read

@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://news.example", "https://news.example:8443", "file://", "app://evil",
                                    "https://news.example.evil.example", "HTTPS://EVIL.EXAMPLE"])
@pytest.mark.parametrize("method, call", [("POST", "/items/i05/votes"), ("DELETE", "/items/i05/votes"), ("POST", "/items/i05/views"), ("POST", "/visitors"),
                                          ("POST", "/me"), ("GET", "/me?id=i05"), ("DELETE", "/me"), ("GET", "/me/recommendations"),
                                          ("PUT", "/items/i05"), ("GET", "/export"), ("GET", "/editorial")])
def test_a_refused_origin_is_told_why(widget, method, call, origin):
    before = widget.metrics()
    asked = widget.request("OPTIONS", "/v1/listed" + call.split("?")[0], Origin=origin, Access_Control_Request_Method=method,
                           Access_Control_Request_Headers="content-type,engaged-visitor")
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, origin)
    assert method in asked.headers["access-control-allow-methods"].split(", ")
    assert {"content-type", "engaged-visitor"} <= set(asked.headers["access-control-allow-headers"].lower().split(", "))
    answer = widget.request(method, "/v1/listed" + call, "{}" if method != "GET" else None, Origin=origin, Content_Type=PLAIN)
    assert (answer.status, answer.json["code"]) == (403, "bad_origin")
    assert answer.headers["access-control-allow-origin"] == origin and exposed(answer) >= EXPOSED
    for one in (asked, answer):
        assert "access-control-allow-credentials" not in one.headers and one.headers["vary"] == "Origin"
        assert "set-cookie" not in one.headers and "engaged-visitor" not in one.headers
    after = widget.metrics()
    for name in before:
        if name.startswith(("engaged_votes_total", "engaged_views_total", "engaged_write_batches_total")):
            assert after[name] == before[name], name


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_with_a_good_token_and_cookie_it_is_refused_all_the_same(widget, origin):
    first = widget.post("/v1/listed/items/i06/views")
    sent = {"Engaged_Visitor": first.headers["engaged-visitor"], "Cookie": first.headers["set-cookie"].split(";")[0], "Origin": origin}
    votes = widget.get("/v1/listed/me?id=i06").json["counts"]["i06"]["up"]
    for call in ("/items/i06/votes", "/me"):
        answer = widget.post("/v1/listed" + call, "{}", **sent)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (403, origin)
        assert "access-control-allow-credentials" not in answer.headers
    assert widget.get("/v1/listed/me?id=i06").json["counts"]["i06"]["up"] == votes


@pytest.mark.parametrize("origin", ["https://news.example", "https://evil.example", "null"])
@pytest.mark.parametrize("call", ["/rankings/hot", "/rankings/none", "/items/i05/page?related=101", "/items?id=i05", "/items/i05/related"])
def test_shared_reads_are_open_also_to_those(widget, origin, call):
    answer = widget.get("/v1/listed" + call, Origin=origin)
    assert answer.status != 403 and answer.headers["access-control-allow-origin"] == "*"
    assert "origin" not in answer.headers.get("vary", "").lower()


# ---- The image across sites: each load that brings no cookie is a visitor of its own

def test_without_a_cookie_each_load_of_the_image_is_another_visitor(widget):
    tokens = {widget.get("/v1/listed/items/seen/view.gif", Referer="https://news.example/a").headers["engaged-visitor"] for _ in range(4)}
    assert len(tokens) == 4
    cookie = widget.get("/v1/listed/items/seen/view.gif", Referer="https://news.example/a").headers["set-cookie"].split(";")[0]
    assert "engaged-visitor" not in widget.get("/v1/listed/items/seen/view.gif", Cookie=cookie, Referer="https://news.example/a").headers
