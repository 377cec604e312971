# SPDX-License-Identifier: MIT
"""Windows and series while a month ends and nothing is written: what leaves a window leaves its answers. A proxy tells the
service, which goes by Redis's clock, a later time."""
import datetime
import email.utils
import random
import time

from support.by_time import ALL_WINDOWS, DAY, HOUR, KEPT, UTC, Events, stamp
from support.contract import load
from support.scripted_redis import ScriptedRedis
from support.service import Service
from support.wait import wait_until

BEFORE = 25  # seconds: the service starts in them
SITE = "/v1/s"
READS = [SITE + "/items/a?" + "&".join("window=" + name for name in ALL_WINDOWS), *(f"{SITE}/items/a/series?step={step}" for step in KEPT),
         *(f"{SITE}/series?step={step}" for step in KEPT), SITE + "/rankings/top?window=24h&window=month"]


def show(redis, instant):
    """Redis tells a time that is this one now."""
    ahead = instant.timestamp() - time.time()

    def act(client, ask):
        ask()
        parts = [part.encode() for part in f"{time.time() + ahead:.6f}".split(".")]
        client.sendall(b"*2\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))

    redis.rule("time", act)


def clock_of(service):
    return email.utils.parsedate_to_datetime(service.get("/healthz").headers["date"])


def shown(service):
    """Of each read its answer without the instant at which it was made, and its ETag."""
    answers = [service.get(path) for path in READS]
    assert all(answer.status == 200 for answer in answers)
    return [{name: value for name, value in answer.json.items() if name != "computed_at"} for answer in answers], [answer.headers["etag"] for answer in answers]


def expected(events, instant):
    windows = events.windows("a", ALL_WINDOWS, instant)
    series = [events.series(item, step, instant) for item in ("a", None) for step in KEPT]
    return windows, series, {name: events.windows("a", [name], instant)[name] for name in ("24h", "month")}


def is_as_at(service, events, instant):
    answers, _ = shown(service)
    windows, series, of_ranking = expected(events, instant)
    return answers[0]["windows"] == windows and answers[1:7] == series and answers[7]["items"][0]["windows"] == of_ranking


def test_a_month_ends_and_nothing_is_written():
    first = datetime.datetime(2027, 3, 1, tzinfo=UTC)
    with ScriptedRedis() as server:
        show(server, first - datetime.timedelta(seconds=BEFORE))
        service = Service(redis=f"redis://127.0.0.1:{server.port}", secret="11" * 32, hash_key="22" * 32, refresh_interval="200ms")
        try:
            draw, events, rows = random.Random(3), Events(["up"]), []
            for n in range(200):  # near what leaves at the full hour, and anywhere
                back = draw.choice([HOUR * draw.choice([1, 2, 24, 25, 26, 47, 48]), DAY * draw.randrange(40)])
                at = first - back + datetime.timedelta(seconds=draw.choice([-1, 0, 1, 1800])) if back else first - HOUR
                at = min(at, first - datetime.timedelta(seconds=BEFORE + 5))
                events.add("views", "a", at)
                rows.append({"type": "view", "item": "a", "visitor": f"u{n}", "time": at.timestamp()})
            load(service, SITE, rows)
            last = first - datetime.timedelta(seconds=1)
            wait_until(lambda: is_as_at(service, events, last), 20, lambda: str((shown(service), expected(events, last))))
            assert clock_of(service) < first, "too slow for this test: more seconds before the end of the month are needed"
            etags = shown(service)[1]
            oldest = f"{SITE}/items/a/series?from={stamp(first - HOUR * 48)}"
            assert len(service.get(oldest).json["views"]) == 48
            wait_until(lambda: clock_of(service) >= first, 60)
            wait_until(lambda: is_as_at(service, events, first), 20, lambda: str((shown(service), expected(events, first))))
            assert all(before != now for before, now in zip(etags, shown(service)[1]))
            assert service.get(oldest).json["code"] == "bad_time", "it was in memory, and is no longer kept"
        finally:
            service.stop()
