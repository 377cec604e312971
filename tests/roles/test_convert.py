# SPDX-License-Identifier: MIT
"""`engaged convert` from outside: logs and tables as they are found in the wild become lines that a running service takes
without an error, and the counts are right. The recipes of docs/migrating.md run as they are written."""
import datetime
import gzip
import json
import os
import random
import re
import subprocess
import time

import pytest

from support.documents import blocks
from support.program import PROGRAM
from support.service import Service
from support.wait import wait_until

PATTERN = "^/articles/([^/]+)/?$"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
CURL = "curl/8.5.0"


@pytest.fixture(scope="module")
def service():
    one = Service()
    yield one
    one.stop()


def convert(form, text, *options):
    """The lines, what is said, and the exit code."""
    done = subprocess.run([PROGRAM, "convert", form, *options], input=text if isinstance(text, bytes) else text.encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode(), done.returncode


def from_log(text, *options):
    return convert("access-log", text, "--item-pattern", PATTERN, *options)


def entry(path="/articles/a", address="192.0.2.1", when="26/Nov/2026:18:00:00 +0100", status=200, agent=FIREFOX, method="GET", user="-"):
    return f'{address} - {user} [{when}] "{method} {path} HTTP/1.1" {status} 1234 "https://e.example/?q=\\"x\\"" "{agent}"\n'


def report(said):
    """read, written, bots, assets, others, bad"""
    return [int(number) for number in re.findall(r"\d+", said.splitlines()[-1])]


def send(service, call, lines):
    answer = service.lines(f"/v1/{call}", lines).json
    assert answer == {"accepted": len(lines), "rejected": []}
    return answer


# ---- Access logs

@pytest.mark.parametrize("path, item", [
    ("/articles/a", "a"), ("/articles/a/", "a"), ("/articles/a?utm=b/c#d", "a"), ("/articles/caf%C3%A9", "café"),
    ("/articles/caf\\xC3\\xA9", "café"), ("/articles/a%20b", "a b"), ("/articles/%22q%22", '"q"'), ('/articles/\\"q\\"', '"q"'),
    ("https://e.example/articles/a", "a"), ("/articles/a%5Cb", "a\\b"), ("/articles/a+b", "a+b"),
])
def test_the_item_is_the_group_of_the_decoded_path(path, item):
    lines, said, code = from_log(entry(path))
    assert [line["item"] for line in lines] == [item] and code == 0, said


@pytest.mark.parametrize("fields, place", [
    ({"agent": BOT}, 2), ({"path": "/articles/a.css"}, 3), ({"path": "/articles/a.WEBP?x"}, 3), ({"path": "/about"}, 4),
    ({"status": 404}, 4), ({"status": 301}, 4), ({"method": "POST"}, 4), ({"method": "HEAD"}, 4), ({"path": "/articles/a.css", "agent": BOT}, 3),
])
def test_what_no_reader_has_read_is_left_out_and_counted(fields, place):
    lines, said, code = from_log(entry(**fields) + entry("/articles/b"))
    assert [line["item"] for line in lines] == ["b"] and code == 0
    numbers = report(said)
    assert numbers[:2] == [2, 1] and numbers[place] == 1 and sum(numbers[2:]) == 1, said


@pytest.mark.parametrize("bots, agents", [("drop", [FIREFOX, CURL]), ("strict", [FIREFOX]), ("count", [FIREFOX, CURL, BOT])])
def test_which_agents_count_can_be_said(bots, agents):
    lines, _, _ = from_log("".join(entry(agent=agent) for agent in (FIREFOX, CURL, BOT)), "--bots", bots)
    assert len(lines) == len(agents)


@pytest.mark.parametrize("when, utc", [
    ("26/Nov/2026:18:00:00 +0100", "2026-11-26T17:00:00.000Z"), ("26/Nov/2026:18:00:01 -0330", "2026-11-26T21:30:01.000Z"),
    ("01/Jan/2026:00:15:00 +0545", "2025-12-31T18:30:00.000Z"), ("29/Feb/2024:23:59:60 +0000", "2024-03-01T00:00:00.000Z"),
])
def test_the_time_has_the_zone_of_the_log(when, utc):
    assert [line["time"] for line in from_log(entry(when=when))[0]] == [utc]


def test_a_visitor_is_a_hash_of_address_and_agent(tmp_path):
    text = (entry(address="2001:db8::1") + entry(address="2001:DB8:0:0::0001") + entry(address="::ffff:192.0.2.1") + entry(address="192.0.2.1") +
            entry(address="192.0.2.1", agent="other") + entry(address="host.example"))
    lines, said, _ = from_log(text)
    visitors = [line["visitor"] for line in lines]
    assert visitors[0] == visitors[1] and visitors[2] == visitors[3] and len(set(visitors)) == 4
    assert all(re.fullmatch("[0-9a-f]{32}", visitor) for visitor in visitors) and "192.0.2" not in json.dumps(lines) + said
    assert [line["visitor"] for line in from_log(text)[0]] != visitors, "the key is another one in each run"
    key = tmp_path / "key"
    key.write_text("a random text of mine")
    kept = [line["visitor"] for line in from_log(text, "--visitor-key", key)[0]]
    assert kept == [line["visitor"] for line in from_log(text, "--visitor-key", key)[0]] != visitors


@pytest.mark.parametrize("host", ["www.e.example:443", "www.e.example", "e.example:80", "[2001:db8::9]:443"])
@pytest.mark.parametrize("first, second", [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
def test_a_log_of_several_hosts_has_the_address_second(host, first, second):
    """As Debian sets up Apache: readers with one browser are not one reader."""
    lines, said, code = from_log("".join(f"{host} " + entry(address=address) for address in (first, second, first)), "--bots", "count")
    visitors = [line["visitor"] for line in lines]
    assert code == 0 and visitors[0] == visitors[2] != visitors[1], said


def test_a_log_that_is_still_compressed_is_named():
    lines, said, code = from_log(gzip.compress(entry().encode() * 50))
    assert lines == [] and code == 1 and "line 1: it is compressed: zcat -f" in said, said


BROKEN = {
    "no time": b"broken\n", "no quotes": b"192.0.2.1 - - [26/Nov/2026:18:00:00 +0100] GET\n",
    "no agent": entry().rsplit(' "', 1)[0].encode() + b"\n", "half a line": entry()[:90].encode() + b"\n",
    "a month that is none": entry(when="26/Nox/2026:18:00:00 +0100").encode(), "a day that is none": entry(when="31/Nov/2026:18:00:00 +0100").encode(),
    "a NUL": entry().replace("Linux", "Li\0nux").encode(), "a NUL that is escaped": entry("/articles/a%00b").encode(),
    "a wrong escape": entry("/articles/a%zz").encode(), "no UTF-8": entry("/articles/a%ff").encode(), "a control": entry("/articles/a%07").encode(),
    "an item too long": entry("/articles/" + "a" * 513).encode(), "a line too long": entry("/articles/b?" + "x" * 70000).encode(),
    "a huge line": entry("/articles/b?" + "x" * 3_000_000).encode(), "the future": entry(when="26/Nov/9998:18:00:00 +0100").encode(),
    "bytes": bytes(range(1, 10)) + bytes(range(11, 256)) + b"\n",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_bad_line_is_named_and_stops_nothing(what):
    lines, said, code = from_log(entry("/articles/before").encode() + BROKEN[what] + entry("/articles/after").encode())
    assert [line["item"] for line in lines] == ["before", "after"] and code == 0
    assert said.startswith("engaged: convert: line 2: ") and report(said)[-1] == 1, said


def test_a_log_with_crlf_empty_lines_and_no_last_newline():
    text = (entry("/articles/a") + "\n" + entry("/articles/b")).replace("\n", "\r\n").rstrip()
    lines, said, code = from_log(text)
    assert [line["item"] for line in lines] == ["a", "b"] and code == 0 and report(said)[-1] == 0


def test_what_a_client_wrote_as_its_user_or_agent_moves_nothing():
    lines, _, _ = from_log(entry(user="a [b] \\\"c") + entry(user="x [y z", agent='"quoted" [26/Nov/2020:00:00:00 +0000] \\\\') + entry(agent="") + entry(agent="-"))
    assert [(line["item"], line["time"]) for line in lines] == [("a", "2026-11-26T17:00:00.000Z")] * 4


def test_random_bytes_are_bad_lines_and_no_more():
    noise = random.Random(7)
    text = b"".join(noise.randbytes(noise.randrange(300)).replace(b"\n", b"") + b"\n" for _ in range(2000))
    chopped = b"".join(entry().encode()[:noise.randrange(150)] + noise.randbytes(5).replace(b"\n", b"") + b"\n" for _ in range(2000))
    lines, said, code = from_log(text + chopped + entry("/articles/last").encode())
    assert lines[-1]["item"] == "last" and code == 0
    assert "only the first 1000 bad lines are named" in said and said.count("\n") < 1010


@pytest.mark.parametrize("options, why", [
    ((), "popular-posts is needed"), (("gopher",), "popular-posts is needed"), (("access-log",), "--item-pattern is needed"),
    (("access-log", "--item-pattern", "("), "no extended regular expression"), (("access-log", "--item-pattern", "a"), "no group"),
    (("access-log", "--item-pattern"), "no value"), (("access-log", "--time-zone", "UTC"), "access-log: there is no such option; it has --item-pattern, --visitor-key, --bots"),
    (("access-log", "--item-pattern", "(.)", "--bots", "all"), "drop, strict or count"),
    (("access-log", "--item-pattern", "(.)", "--visitor-key", "/nowhere"), "can't be read"),
    (("popular-posts", "--help"), "popular-posts: there is no such option; it has --item-prefix, --time-zone"),
    (("popular-posts", "--time-zone", "Mars/Base"), "popular-posts: --time-zone is not a time zone"),
])
def test_wrong_options_are_refused_by_name(options, why):
    done = subprocess.run([PROGRAM, "convert", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (1, "") and why in done.stderr


def test_an_output_that_cannot_be_written_and_a_wrong_form_are_failures():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "convert", "access-log", "--item-pattern", PATTERN], input=entry().encode(), stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"can't be written" in done.stderr
    assert from_log("a,b\n1,2\n")[2] == 1


def test_a_days_log_is_taken_without_an_error_and_counts_right(service):
    """Readers of three articles in the last hours, each also with pictures and beside bots."""
    dice, now, expected, text = random.Random(1), int(time.time()) - 60, {}, []
    for reader in range(400):
        address = f"2001:db8::{reader:x}" if reader % 2 else f"198.51.100.{reader % 256}"
        for item in dice.sample(["bridge", "caf%C3%A9", "a%20b"], dice.randrange(1, 4)):
            when = datetime.datetime.fromtimestamp(now - dice.randrange(7200), datetime.timezone(datetime.timedelta(hours=dice.choice([-5, 0, 2]))))
            stamp = when.strftime("%d/%b/%Y:%H:%M:%S %z")
            text.append(entry(f"/articles/{item}", address, stamp, agent=f"{FIREFOX} {reader}"))
            text.append(entry(f"/articles/{item}.jpg", address, stamp))
            text.append(entry(f"/articles/{item}", address, stamp, agent=BOT))
            expected[item] = expected.get(item, 0) + 1
    text.insert(100, "broken\n")
    lines, said, code = from_log("".join(text))
    assert code == 0 and len(lines) == sum(expected.values()) and report(said)[-1] == 1
    send(service, "log/events?wait=true", lines)
    assert {item: service.get(f"/v1/log/items/{item}").json["views"] for item in expected} == expected
    related = service.get("/v1/log/items/bridge/related").json
    assert {"café", "a b"} <= {one["item"] for one in related["items"]}


# ---- WordPress Popular Posts

SUMMARY = ('"ID","postid","pageviews","view_date","view_datetime"\n"1","147","2","2026-11-20","2026-11-20 10:00:00"\n'
           '"2","148","1","2026-11-20","2026-11-20 23:30:00"\n"3","147","3","2026-07-01","2026-07-01 12:00:00"\n')
DATA = '"postid","day","last_viewed","pageviews"\n"147","2022-09-09 16:49:28","2026-11-20 10:00:00","61"\n"148","2022-09-10 08:33:05","2026-11-20 23:30:00","0"\n'


@pytest.mark.parametrize("change", [lambda text: text, lambda text: text.replace('"', ""), lambda text: text.replace(",", ";"), lambda text: "\ufeff" + text,
                                    lambda text: text.replace('"', "").replace(",", "\t"), lambda text: text.replace("\n", "\r\n"), lambda text: text.rstrip()])
def test_tables_in_all_the_forms_that_programs_export(change):
    lines, said, code = convert("popular-posts", change(DATA), "--item-prefix", "post-")
    assert lines == [{"item": "post-147", "base": {"views": 61}}, {"item": "post-148", "base": {"views": 0}}] and code == 0, said
    lines, said, code = convert("popular-posts", change(SUMMARY), "--time-zone", "Europe/Berlin")
    assert [(line["item"], line["time"]) for line in lines] == [
        *[("147", "2026-11-20T09:00:00.000Z")] * 2, ("148", "2026-11-20T22:30:00.000Z"), *[("147", "2026-07-01T10:00:00.000Z")] * 3]
    assert len({line["visitor"] for line in lines}) == 6 and code == 0


def test_rows_with_a_day_alone_are_spread_over_it():
    """The day of a change of the clocks has 25 hours."""
    lines, _, _ = convert("popular-posts", "ID,postid,pageviews,view_date,last_viewed\n1,5,2,2026-10-25,x\n", "--time-zone", "Europe/Berlin")
    assert [line["time"] for line in lines] == ["2026-10-25T04:15:00.000Z", "2026-10-25T16:45:00.000Z"]


@pytest.mark.parametrize("row, why", [
    ("1,x,2,2026-11-20", "postid"), ("1,5,-2,2026-11-20", "pageviews"), ("1,5,2,0000-00-00", "date"), ("1,5,2,2026-02-30", "date"),
    ("1,5,2,2026-11-20 25:00:00", "date"), ("1,5,2", "fewer fields"), ('1,5,2,"2026-11-20', "quote"), ("1,5,1000001,2026-11-20", "million"),
    ("1,5,2,9998-01-01", "future"), ("1,5,2,2026-11-20 10:00", "date"), (",".join("1" * 40), "fewer fields"),
])
def test_a_bad_row_is_named_and_stops_nothing(row, why):
    lines, said, code = convert("popular-posts", f"ID,postid,pageviews,view_date\n1,6,1,2026-11-20\n{row}\n2,7,1,2026-11-20\n")
    assert [line["item"] for line in lines] == ["6", "7"] and code == 0
    assert said.startswith("engaged: convert: line 3: ") and why in said.splitlines()[0], said


def test_a_table_without_its_columns_is_a_failure():
    lines, said, code = convert("popular-posts", "1,147,2\n2,148,1\n")
    assert lines == [] and code == 1 and "does not name the columns" in said
    lines, said, code = convert("popular-posts", "INSERT INTO `wp_popularpostsdata` VALUES (1,'2025-01-01 00:00:00','2025-02-01 00:00:00',5);\n")
    assert lines == [] and code == 1 and "line 1: the first line does not name the columns" in said and report(said.rpartition("\n")[0].rpartition("\n")[0])[-1] == 1, said


def test_totals_are_shown_also_after_the_cards_and_days_are_ranked(service):
    send(service, "wp/items", convert("popular-posts", DATA)[0])
    send(service, "wp/items", [{"item": "147", "title": "A title"}])
    send(service, "wp/events?wait=true", convert("popular-posts", SUMMARY)[0])
    item = service.get("/v1/wp/items/147").json
    assert (item["views"], item["title"]) == (61 + 5, "A title") and service.get("/v1/wp/items/148").json["views"] == 1


# ---- The document's recipes

GOAT = """2Path,Title,Event,UserAgent,Browser,System,Session,Bot,Referrer,Referrer scheme,Screen size,Location,FirstVisit,Date
/,Home,false,,Chrome 120,Windows 10,s1,0,,,,,true,2026-11-20T10:00:00Z
/bridge,"The bridge, at last",false,,Chrome 120,Windows 10,s1,0,,,,,false,2026-11-20T10:01:00Z
/bridge,"The bridge, at last",false,,Firefox 120,Linux,s2,0,,,,,true,2026-11-20T10:02:00Z
/bridge,x,false,,,,s3,1,,,,,true,2026-11-20T10:03:00Z
click-menu,x,true,,,,s1,0,,,,,true,2026-11-20T10:04:00Z
"""
MYSQL = """#!/bin/sh
case "$3 $4" in
*"FROM wp_popularpostssummary") printf 'postid\\tpageviews\\tview_datetime\\n7\\t2\\t2026-11-20 10:00:00\\n' ;;
*"FROM wp_popularpostsdata d"*) printf 'postid\\tpageviews\\n7\\t40\\n' ;;
*"FROM wp_top_ten_daily") printf 'postid\\tpageviews\\tview_datetime\\n7\\t3\\t2026-11-20 10:00:00\\n' ;;
*"FROM wp_top_ten t"*) printf 'postid\\tpageviews\\n7\\t50\\n' ;;
*) exit 1 ;;
esac
"""


def run_recipe(beginning, folder, **environment):
    """A block of the document, by how it begins."""
    text = next(text for text in blocks("docs/migrating.md", "sh") if text.startswith(beginning))
    path = f"{folder}:{os.path.dirname(os.path.abspath(PROGRAM))}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=folder, env={**os.environ, "PATH": path, **environment}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def send_by_recipe(service, site, folder):
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data/key").write_text("k")
    return [json.loads(line) for line in run_recipe("send()", folder, site=f"http://127.0.0.1:{service.port}/v1/{site}").replace("}{", "}\n{").splitlines()]


@pytest.mark.parametrize("beginning, site, views", [("mysql --batch wordpress -e 'SELECT postid,", "wpp", 42), ("mysql --batch wordpress -e 'SELECT postnumber", "top", 53)])
def test_the_recipes_of_the_plug_ins(service, tmp_path, beginning, site, views):
    (tmp_path / "mysql").write_text(MYSQL)
    (tmp_path / "mysql").chmod(0o755)
    run_recipe(beginning, tmp_path)
    assert all(answer["rejected"] == [] and answer["accepted"] for answer in send_by_recipe(service, site, tmp_path))
    wait_until(lambda: service.get(f"/v1/{site}/items/post-7").json["views"] == views)


def test_the_recipe_of_goatcounter(service, tmp_path):
    (tmp_path / "goatcounter-export.csv.gz").write_bytes(gzip.compress(GOAT.encode()))
    (tmp_path / "items.ndjson").write_text("")
    run_recipe("gzip -cd goatcounter", tmp_path)
    assert send_by_recipe(service, "goat", tmp_path)[-1] == {"accepted": 2, "rejected": []}
    item = service.get("/v1/goat/items/bridge").json
    assert (item["views"], item["visitors"]) == (2, 2)


def test_the_recipe_of_logs(tmp_path):
    (tmp_path / "access.log").write_text(entry("/articles/new"))
    (tmp_path / "access.log.2.gz").write_bytes(gzip.compress(entry("/articles/old").encode()))
    run_recipe("zcat -f", tmp_path)
    assert [json.loads(line)["item"] for line in (tmp_path / "events.ndjson").read_text().splitlines()] == ["new", "old"]
