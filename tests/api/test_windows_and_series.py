# SPDX-License-Identifier: MIT
"""Windows and series: equal to counts that tests/support/by_time.py makes of the same events, in several zones."""
import datetime
import itertools
import random

import pytest

from support.by_time import ALL_WINDOWS, DAY, HOUR, KEPT, UTC, Events, full_hour, stamp
from support.contract import ids, load
from support.service import Service
from support.wait import wait_until

contract = pytest.mark.contract
ALL = "&".join("window=" + name for name in ALL_WINDOWS)
KINDS = ["up", "down"]
ZONES = ["UTC", "Asia/Kolkata", "America/New_York"]


@pytest.fixture(scope="module", params=ZONES)
def zoned(request):
    running = Service(kinds=" ".join(KINDS), time_zone=request.param)
    yield running, request.param
    running.stop()


def now():
    return datetime.datetime.now(UTC)


def steady(act):
    """What it returns within one clock hour: nothing has to be compared over a full hour."""
    while True:
        hour = full_hour(now())
        found = act()
        if full_hour(now()) == hour:
            return found


def unix(at):
    return int(at.timestamp())


def draw_events(seed, events, items):
    """A month and more of views and votes, most of them late ones, some votes taken back: rows for `POST …/events`."""
    draw, rows, at_most = random.Random(seed), [], unix(now()) - 60
    for n in range(600):
        at = at_most - int(min(draw.expovariate(1 / (3 * 86400)), 900 * 86400)) - draw.randrange(60)
        item, signal = draw.choice(items), draw.choice(["views", "views", *KINDS])
        row = {"type": "view" if signal == "views" else "vote", "item": item, "visitor": f"u{n}", "time": at}
        rows.append(row if signal == "views" else {**row, "kind": signal})
        if signal != "views" and draw.random() < 0.3:
            rows.append({"type": "unvote", "item": item, "visitor": f"u{n}", "time": min(at + draw.randrange(4 * 86400), at_most)})
        else:
            events.add(signal, item, datetime.datetime.fromtimestamp(at, UTC))
    return rows


def windows_of(rows):
    return {row["item"]: row["windows"] for row in rows}


@contract("Windows", "`?window=24h` on an item", "`from` is the full hour", "An event counts at its own time")
@contract("GET /v1/{site}/items/{item}/series", "200 `{\"item\"", "Zeros are there")
@contract("GET /v1/{site}/series", "200, the same for the whole site")
def test_every_window_and_series_is_equal_to_an_independent_count(zoned, site):
    service, zone = zoned
    events, items = Events(KINDS, zone), [f"i{n}" for n in range(8)]
    rows = draw_events(7, events, items)
    for part in range(0, len(rows), 200):  # as they came, a part of it late
        load(service, site, rows[part:part + 200])

    def compare():
        at = now()
        for item in [*items, "never-seen"]:
            assert service.get(f"{site}/items/{item}?{ALL}").json["windows"] == events.windows(item, ALL_WINDOWS, at), item
            for step in KEPT:
                assert service.get(f"{site}/items/{item}/series?step={step}").json == events.series(item, step, at), (item, step)
        for step in KEPT:
            assert service.get(f"{site}/series?step={step}").json == events.series(None, step, at), step

    steady(lambda: retried(compare))


def retried(compare):
    """The hour may have changed during it: then it is made again."""
    hour = full_hour(now())
    try:
        compare()
    except AssertionError:
        if full_hour(now()) == hour:
            raise


@contract("Windows", "`?window=24h` on an item")
def test_windows_stand_wherever_an_item_does(service, site):
    names = [f"a{n}" for n in range(5)]
    load(service, site, [{"type": "view", "item": name, "visitor": f"u{m}"} for n, name in enumerate(names) for m in range(n + 1)])
    load(service, site, [{"type": "vote", "item": "a1", "visitor": "u0"}])
    expected = {name: n + 1 for n, name in enumerate(names)}
    token = service.post(site + "/visitors").json["visitor"]
    page = service.get(f"{site}/items/a0/page?window=24h").json
    lists = [service.get(f"{site}/rankings/hot?window=24h").json, service.get(f"{site}/items/a0/related?window=24h").json,
             service.get(f"{site}/me/recommendations?window=24h", Engaged_Visitor=token).json, service.get(f"{site}/items?id=a3&id=a4&window=24h").json,
             service.post(f"{site}/me?window=24h", {"recommendations": 5}, Engaged_Visitor=token, Content_Type="text/plain").json["recommendation"],
             page["related"], page["ranking"], page["recommendation"], {"items": [page["item"]]}]
    for found in lists:
        for row in found["items"]:
            assert row["windows"]["24h"]["views"] == expected[row["item"]] == row["views"], row
            assert row["windows"]["24h"]["votes"] == row["votes"] == {"up": int(row["item"] == "a1"), "down": 0}
    assert sum(len(found["items"]) for found in lists) >= 5 + 4 + 5 + 2 + 5 + 4 + 1
    assert "windows" not in service.get(f"{site}/rankings/hot").body.decode()


@contract("Windows", "HTML fragments and RSS have no windows")
def test_windows_in_other_formats(service, site):
    load(service, site, [{"type": "view", "item": "a", "visitor": "u"}])
    feed = service.get(f"{site}/rankings/hot?format=feed&window=1h").json
    assert feed["items"][0]["_engaged"]["windows"]["1h"]["views"] == 1
    for form in ("html", "rss"):
        with_window, without = (service.get(f"{site}/rankings/hot?format={form}{more}") for more in ("&window=1h", ""))
        assert with_window.status == 200 and with_window.headers["etag"] == without.headers["etag"]
        assert form == "rss" or with_window.body == without.body


@contract("Windows", "A window is `1h`")
def test_order_and_repetition_of_windows_mean_nothing(service, site):
    load(service, site, [{"type": "view", "item": "a", "visitor": "u"}])
    bodies = {service.get(f"{site}/items/a?" + "&".join("window=" + name for name in names)).body
              for names in ([*order, order[0]] for order in itertools.permutations(["24h", "today", "7d"]))}
    assert len(bodies) == 1
    assert list(service.get(f"{site}/items/a?{ALL}").json["windows"]) == ALL_WINDOWS


@contract("Windows", "A window is `1h`")
@pytest.mark.parametrize("query", ["window=2h", "window=", "window=24H", "window=24h%00", "window=1h,24h", "&".join(["window=1h"] * 9)])
@pytest.mark.parametrize("path", ["/items/a", "/items?id=a", "/rankings/hot", "/items/a/related", "/items/a/page", "/me/recommendations"])
def test_a_wrong_window_is_refused(service, site, path, query):
    answer = service.get(site + path + ("&" if "?" in path else "?") + query)
    assert (answer.status, answer.json["code"]) == (400, "bad_parameter"), answer.body
    assert service.get(site + path + ("&" if "?" in path else "?") + "&".join(["window=1h"] * 8)).status == 200


@contract("Windows", "An event counts at its own time")
def test_what_is_in_no_window(service, site):
    """Counts from an older system, and a vote that is taken back."""
    service.keyed("PUT", f"{site}/items/a", {"title": "A", "base": {"views": 1000, "votes": {"up": 10}}})
    load(service, site, [{"type": "view", "item": "a", "visitor": "u"}])
    for method in ("POST", "DELETE"):
        assert service.keyed(method, f"{site}/items/a/votes", Engaged_Visitor="u").status == 200
    load(service, site, [{"type": "view", "item": "a", "visitor": "w"}])
    answer = service.get(f"{site}/items/a?window=month").json
    assert answer["views"] == 1002 and answer["votes"]["up"] == 10
    assert answer["windows"]["month"]["views"] == 2 and answer["windows"]["month"]["votes"]["up"] == 0


def test_another_kind_of_vote_moves_within_its_hour(service, site):
    for kind in ("up", "down"):
        assert service.keyed("POST", f"{site}/items/a/votes", {"kind": kind}, Engaged_Visitor="u").status == 200
    wait_until(lambda: service.get(f"{site}/items/a?window=1h").json["windows"]["1h"]["votes"] == {"up": 0, "down": 1}, 20)
    load(service, site, [{"type": "unvote", "item": "a", "visitor": "u"}])
    assert service.get(f"{site}/items/a?window=1h").json["windows"]["1h"]["votes"] == {"up": 0, "down": 0}


@contract("GET /v1/{site}/series", "200, the same for the whole site")
def test_what_is_deleted_stays_in_the_sites_series(service, site):
    load(service, site, [{"type": "view", "item": item, "visitor": "u"} for item in "ab"])
    assert sum(service.get(f"{site}/series?step=month").json["views"]) == 2
    assert service.keyed("DELETE", f"{site}/items/a").status == 204
    assert sum(service.get(f"{site}/items/a/series?step=month").json["views"]) == 0
    assert sum(service.get(f"{site}/series?step=month").json["views"]) == 2


# ---- The span of a series

def part(service, site, query):
    return service.get(f"{site}/items/a/series?step=hour&{query}")


@contract("GET /v1/{site}/items/{item}/series", "It begins with the point that holds `from`")
def test_a_part_of_a_series(service, site):
    load(service, site, [{"type": "view", "item": "a", "visitor": f"u{n}", "time": unix(full_hour(now()) - HOUR * n)} for n in range(10)])

    def compare():
        hour = full_hour(now())
        whole = service.get(f"{site}/items/a/series").json
        assert whole["step"] == "hour" and len(whole["views"]) == 48 and whole["views"][-10:] == [1] * 10
        for first, last, begin, end in ((-12, -8, 0, 0), (-12, -8, 59.9, 0.001), (-3, 0, 30, 60 * 59), (-47, -46, 0, 0), (-1, 9, 0, 0), (0, 1, 0, 0)):
            start, stop = hour + HOUR * first + datetime.timedelta(seconds=begin), hour + HOUR * last + datetime.timedelta(seconds=end)
            found = part(service, site, f"from={stamp(start)}&to={stamp(stop)}").json
            points = min(last, 1) - first + (end > 0 and last < 1)
            assert found["from"] == stamp(hour + HOUR * first) and len(found["views"]) == points, (first, last, found)
            assert found["views"] == whole["views"][47 + first:47 + first + points]
        assert part(service, site, f"from={unix(hour - HOUR)}").json["views"] == [1, 1]
        assert part(service, site, f"from={unix(hour - HOUR)}.5&to={unix(hour)}.0009").json["views"] == [1]  # to the millisecond
        assert part(service, site, f"from={unix(hour - HOUR)}.999&to={unix(hour)}.001").json["views"] == [1, 1]
        assert part(service, site, f"to={unix(hour)}").json["views"] == whole["views"][:-1]
        same = part(service, site, f"from={unix(hour) - 7}&to={unix(hour) - 7}").json
        assert same["views"] == [1] and same["from"] == stamp(hour - HOUR)

    steady(lambda: retried(compare))


@contract("GET /v1/{site}/items/{item}/series", "A `from` before what is kept")
@pytest.mark.parametrize("step,first,beyond", [("hour", HOUR * 47, HOUR), ("day", DAY * 36, DAY), ("month", DAY * 31 * 35, DAY * 32)])
def test_what_is_no_longer_kept(service, site, step, first, beyond):
    for of in (f"{site}/items/a/series", f"{site}/series"):
        def asked(at, of=of):
            return service.get(f"{of}?step={step}&from={stamp(at)}")

        kept, gone = steady(lambda: (asked(now() - first), asked(now() - first - beyond)))  # noqa: B023
        if step != "month":
            assert kept.status == 200 and len(kept.json["views"]) == KEPT[step], kept.body
        assert (gone.status, gone.json["code"]) == (400, "bad_time") and "before what is kept" in gone.json["detail"]


@contract("GET /v1/{site}/items/{item}/series", "A `from` before what is kept")
@pytest.mark.parametrize("query,code,detail", [
    ("from=2026-11-27T10:00:00Z&to=2026-11-27T09:59:59Z", "bad_time", "from is after to"),
    ("from=1970-01-01T00:00:00Z", "bad_time", "at most 1000 points"), ("to=9999-12-31T23:59:59Z", "bad_time", "at most 1000 points"),
    ("to=0", "bad_time", "before what is kept"), ("from=4102444800", "bad_time", "lies ahead"), ("from=yesterday", "bad_time", "RFC 3339"),
    ("from=", "bad_time", "RFC 3339"), ("from=-1", "bad_time", "RFC 3339"), ("to=1969-12-31T23:59:59Z", "bad_time", "RFC 3339"),
    ("from=1795000000.5.5", "bad_time", "RFC 3339"), ("from=1795000000.", "bad_time", "RFC 3339"), ("from=.5", "bad_time", "RFC 3339"),
    ("from=1e9", "bad_time", "RFC 3339"), ("from=1795000000.%00", "bad_time", "RFC 3339"), ("from=1." + "5" * 38, "bad_time", "RFC 3339"), ("to=253402300800", "bad_time", "RFC 3339"),
    ("step=week", "bad_parameter", "step: hour, day or month"), ("step=", "bad_parameter", "step:"), ("step=hour&step=hour", "repeated_parameter", "step"),
    ("from=1&from=1", "repeated_parameter", "from")])
def test_a_span_that_cannot_be_had(service, site, query, code, detail):
    for path in ("/items/a/series", "/series"):
        answer = service.get(f"{site}{path}?{query}")
        assert (answer.status, answer.json["code"]) == (400, code) and detail in answer.json["detail"], answer.body


def test_the_edge_of_a_thousand_points(service, site):
    """Both are refused: the one for what is kept, the other for their number."""
    for points, detail in ((1000, "before what is kept"), (1001, "at most 1000 points")):
        answer = steady(lambda: service.get(f"{site}/series?from={stamp(now() - HOUR * (points - 1))}"))  # noqa: B023
        assert (answer.status, answer.json["code"]) == (400, "bad_time") and detail in answer.json["detail"], answer.body


# ---- Shared reads

@contract("Shared reads", "`HEAD` answers as `GET` would", "`If-None-Match` that names it")
def test_they_are_shared_reads(service, site):
    load(service, site, [{"type": "view", "item": "a", "visitor": "u"}])
    for path in (f"/items/a?{ALL}", "/items/a/series", "/series?step=day", f"/items?id=a&{ALL}"):
        answer = service.get(site + path, Accept_Encoding="gzip")
        assert answer.headers["content-encoding"] == "gzip" and answer.headers["cache-control"].startswith("public"), path
        assert answer.headers["access-control-allow-origin"] == "*"
        again = service.get(site + path, If_None_Match=answer.headers["etag"])
        assert again.status == 304 and not again.body
        head = service.request("HEAD", site + path)
        assert head.status == 200 and not head.body and head.headers["etag"] == answer.headers["etag"]
    before = service.get(f"{site}/items/a/series").headers["etag"]
    load(service, site, [{"type": "view", "item": "a", "visitor": "w"}])
    assert service.get(f"{site}/items/a/series", If_None_Match=before).status == 200


def test_a_series_of_a_path_with_a_dash(service, site):
    load(service, site, [{"type": "view", "item": "https://x.example/a", "visitor": "u"}])
    answer = service.get(f"{site}/items/-/series?id=https%3A%2F%2Fx.example%2Fa&step=day").json
    assert answer["item"] == "https://x.example/a" and answer["views"][-1] == 1


def test_the_order_of_a_list_does_not_change_with_its_windows(service, site):
    load(service, site, [{"type": "view", "item": f"a{n}", "visitor": f"u{m}"} for n in range(6) for m in range(n)])
    assert ids(service.get(f"{site}/rankings/top?{ALL}")) == ids(service.get(f"{site}/rankings/top"))
