# SPDX-License-Identifier: MIT
"""Each number of the operators' page is the metric that its name says: in the test all metrics have different values."""
import re
import types

import pytest

from support.dashboard_page import facts, open_page, refreshed, strict_proxy

# (panel, name, metric), of what is shown as a number, and what came of it in two minutes
COUNTS = [
    ("processes", "restarts", "engaged_process_restarts_total"), ("processes", "cut off by a time limit", "engaged_http_timeouts_total"),
    ("projection", "gaps in logs", "engaged_projection_gaps_total"), ("redis", "errors", "engaged_redis_errors_total"),
    ("redis", "too slow", "engaged_redis_timeouts_total"), ("redis", "calls shed", "engaged_redis_shed_total"),
    ("redis", "keys thrown away", "engaged_redis_evicted_keys_total")]
PLAIN = [
    ("processes", "workers ready", 'engaged_processes_ready{role="worker"}'), ("processes", "projectors ready", 'engaged_processes_ready{role="projector"}'),
    ("processes", "open connections", "engaged_http_connections_open"), ("redis", "links ready", "engaged_redis_links_up"),
    ("redis", "connections made", "engaged_redis_connects_total"), ("projection", "corrections running", "engaged_corrections_running"),
    ("reading", "short lists", "engaged_short_lists_total")]
DROPPED = {
    "Views: the same reader again": 'engaged_views_total{result="repeat"}', "Views: crawlers and monitors": 'engaged_views_total{result="bot"}',
    "Views: fetched ahead": 'engaged_views_total{result="prefetch"}', "Views: readers who opted out": 'engaged_views_total{result="opt_out"}',
    "Views: from a foreign page": 'engaged_views_total{result="origin"}', "Views: over a rate limit": 'engaged_views_total{result="limit"}',
    "Votes: was so already": 'engaged_votes_total{result="unchanged"}', "Votes: crawlers and monitors": 'engaged_votes_total{result="bot"}',
    "Refused: wrong keys": 'engaged_refused_total{by="wrong_keys"}', "Refused: network item votes": 'engaged_refused_total{by="network_item_votes"}',
    "Unknown parameters": "engaged_unknown_parameters_total", "Bad requests": "engaged_http_bad_requests_total",
    "Connections refused": "engaged_http_connections_refused_total", "Calls shed: queue to Redis full": "engaged_redis_shed_total",
    "Log lines lost": "engaged_log_lines_lost_total"}
STATE = "return [...document.querySelectorAll('#state p')].map(e => e.textContent)"


class Values:
    """The value of the nth metric: 1000 n at first, n more from then on; or what `fixed` says."""

    def __init__(self, **fixed):
        self.names, self.asked, self.fixed = [], 0, fixed

    def first(self, name):
        return 1000 * (self.names.index(name) + 1)

    def more(self, name):
        return self.names.index(name) + 1

    def answer(self, body):
        rows = [line.rsplit(" ", 1)[0] for line in body.decode().splitlines() if not line.startswith("#")]
        self.names, self.asked = rows, self.asked + 1
        return "".join(f"{name} {self.value(name)}\n" for name in rows).encode()

    def value(self, name):
        family = re.sub(r"\{.*", "", name)
        return self.fixed.get(family, self.first(name) + (self.more(name) if self.asked > 1 else 0))


def shown(browser, service, values):
    with strict_proxy(service.ops_port, {"/metrics": values.answer}) as port:
        open_page(browser, types.SimpleNamespace(ops_port=port))
        refreshed(browser, 3)
        result = {panel: facts(browser, panel) for panel in ("processes", "redis", "projection", "reading")}
        rows = browser.run("return [...document.querySelectorAll('#dropped tr')].map(row => [...row.cells].map(e => e.textContent))")
        state = browser.run(STATE)
        browser.open("about:blank")
    assert browser.errors() == []
    return result, {row[0]: row[1:] for row in rows}, state


def test_each_number_is_of_its_name(service, browser):
    values = Values()
    result, rows, state = shown(browser, service, values)
    for panel, name, metric in COUNTS:
        more = values.more(metric)
        assert result[panel][name] == f"{values.first(metric) + more:,} – {more} in the last 2 minutes", name
    for panel, name, metric in PLAIN:
        assert result[panel][name] == f"{values.first(metric) + values.more(metric):,}", name
    for name, metric in DROPPED.items():
        assert rows[name] == [f"{values.more(metric)}", f"{values.first(metric) + values.more(metric):,}"], name
    bad = ["engaged_bad_log_entries_total", "engaged_bad_states_total"]
    more = sum(values.more(name) for name in bad)
    assert result["projection"]["unusable entries and states"] == f"{sum(values.first(name) for name in bad) + more:,} – {more} in the last 2 minutes"
    for name, projection in (("rankings", "sums"), ("related", "neighbours")):
        metric = f'engaged_projection_lag_seconds{{projection="{projection}"}}'
        assert result["projection"]["lag of " + name].endswith(" h – late"), name
        shown_h = float(result["projection"]["lag of " + name].split()[0])
        assert abs(shown_h - (values.first(metric) + values.more(metric)) / 3600) < 0.06, name
    assert len(state) >= 7 and "All is well." not in state and not any(re.search(r"\d", line) for line in state)


@pytest.mark.parametrize("fixed,says", [
    ({}, "All is well."), ({"engaged_redis_links_up": 0}, "Redis is away"), ({"engaged_projection_lag_seconds": 10.5}, "Rankings or Related are late"),
    ({"engaged_redis_memory_bytes": 80, "engaged_redis_memory_limit_bytes": 100}, "Redis is nearly full"), ({"engaged_projectors_waiting": 1}, "Another service projects"),
    ({"engaged_partitions_behind": 1}, "A part of the data does not answer")])
def test_each_alarm_is_of_its_number(service, browser, fixed, says):
    quiet = {name: 0 for name in ("engaged_process_restarts_total", "engaged_redis_shed_total", "engaged_projection_gaps_total", "engaged_bad_states_total",
             "engaged_bad_log_entries_total", "engaged_projectors_waiting", "engaged_redis_evicted_keys_total",
             "engaged_partitions_behind")}
    calm = {"engaged_projection_lag_seconds": 9.5, "engaged_redis_memory_bytes": 79, "engaged_redis_memory_limit_bytes": 100, "engaged_redis_links_up": 1}
    _, _, state = shown(browser, service, Values(**{**quiet, **calm, **fixed}))
    assert len(state) == 1 and state[0].startswith(says), state
