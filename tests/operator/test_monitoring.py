# SPDX-License-Identifier: MIT
"""The dashboard for Grafana, the alerts and the example for Prometheus: against the table of metrics, by promtool, and by a
Prometheus that scrapes a service."""
import contextlib
import json
import os
import re
import subprocess
import urllib.parse
import urllib.request

import pytest

from support.launch import end
from support.ports import free_port
from support.program import ROOT
from support.prometheus import promtool, tool
from support.service import Service
from support.wait import wait_until

DEPLOY = os.path.join(ROOT, "deploy")
ALERTS = os.path.join(DEPLOY, "prometheus", "alerts.yml")
# The labels that a family of metrics.def has by its two columns; those of a scrape.
LABELS_OF = {"ROUTE": {"method", "route"}, "STATUS": {"status"}, "CALL": {"kind"}, "SITE": {"site"}, "REASON": {"reason"}, "ONE": set()}
OF_A_SCRAPE = {"job", "instance"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def metrics_of_the_table():
    """Name -> label -> the values it may have; None: they are not in the table."""
    found = {"up": {}, "engaged_build_info": {"version": None, "revision": None}}
    table = read("src/ops/metrics.def")
    for name, label, value in re.findall(r'^METRIC\(\w+, \w+, "(\w+)", "(?:(\w+)=\\"(\w+)\\")?",', table, re.M):
        labels = found.setdefault(name, {})
        if label:
            labels[label] = labels.get(label, set()) | {value}
    for kind, name, outer, inner in re.findall(r'^FAMILY\(\w+, (\w+), "(\w+)", (\w+), (\w+),', table, re.M):
        labels = dict.fromkeys(LABELS_OF[outer] | LABELS_OF[inner])
        suffixes = {"_sum": {}, "_count": {}, "_bucket": {"le": None}} if kind == "histogram" else {"": {}}
        found.update({name + suffix: {**labels, **more} for suffix, more in suffixes.items()})
    return found


def dashboard():
    return json.loads(read("deploy/grafana/engaged.json"))


def queries():
    """Each query of the dashboard, as Prometheus gets it."""
    found = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]
    return [query.replace("$__rate_interval", "1m").replace("$job", ".+").replace("$instance", ".+") for query in found]


def alert_queries():
    """Each `expr` of alerts.yml: on its line, or below it."""
    found = re.findall(r"^        expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", read(ALERTS), re.M)
    return [block or line for block, line in found]


def faults_of(query, table):
    """What it names and the table has not."""
    labels_there = set(OF_A_SCRAPE)
    bare = re.sub(r'"[^"]*"', '""', query)
    for name in re.findall(r"\b(engaged_\w+|up)\b(?!\s*\()", bare):
        if name not in table:
            yield f"no metric {name}"
        labels_there |= set(table.get(name, ()))
    for name, matchers in re.findall(r"\b(engaged_\w+|up)\s*\{((?:[^}\"]|\"[^\"]*\")*)\}", query):
        for label, sign, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
            values = table.get(name, {}).get(label)
            if label not in OF_A_SCRAPE and label not in table.get(name, {}):
                yield f"{name} has no label {label}"
            elif sign == "=" and values and value not in values:
                yield f"{name} has no {label}={value}"
    for words in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", bare):
        for label in re.findall(r"\w+", words):
            if label not in labels_there:
                yield f"no label {label}"


def test_the_check_of_queries_finds_what_is_wrong():
    table = metrics_of_the_table()
    for query in ("rate(engaged_none_total[5m])", 'engaged_votes_total{resul="x"}', 'engaged_votes_total{result="x"}',
                  "sum by (route) (engaged_votes_total)", 'engaged_http_requests_total{code=~"5.."}', "engaged_redis_round_trip_seconds"):
        assert list(faults_of(query, table)), query


def test_each_query_names_what_there_is():
    table = metrics_of_the_table()
    faults = {query: list(faults_of(query, table)) for query in queries() + alert_queries()}
    assert len(faults) > 40 and not {query: found for query, found in faults.items() if found}


def test_legends_name_labels_of_their_queries():
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            grouped = re.findall(r"\bby \(([^)]*)\)", target["expr"])
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert not grouped or any(label in words for words in grouped), (panel["title"], label)


def test_the_dashboard_is_sound():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ["Readers' requests", "Votes and views", "Projection", "Redis", "Memory", "Limits", "Machines"]
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        places = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not places & taken, panel["title"]
        taken |= places


def test_each_query_parses(tmp_path):
    rules = [f"      - record: parsed:{number}\n        expr: {json.dumps(query)}\n" for number, query in enumerate(queries())]
    path = tmp_path / "rules.yml"
    path.write_text("groups:\n  - name: parsed\n    rules:\n" + "".join(rules))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", str(path))


# ---- Alerts

def alerts():
    return re.findall(r"^      - alert: (\w+)$", read(ALERTS), re.M)


def test_the_documents_say_what_to_do_for_each_alert():
    assert re.findall(r"^\| `(Engaged\w+)` \|", read("docs/operating.md"), re.M) == alerts()


def test_each_alert_is_tried_when_it_is_due_and_when_not():
    tried = read("deploy/prometheus/alerts_test.yml")
    assert set(re.findall(r"alertname: (\w+)\n        exp_alerts", tried)) == set(alerts())
    assert set(re.findall(r"\{alertname: (\w+), eval_time: \w+, exp_alerts: \[\]\}", tried)) == set(alerts())


def test_alerts_are_due_as_their_tests_say():
    assert "SUCCESS" in promtool("test", "rules", os.path.join(DEPLOY, "prometheus", "alerts_test.yml"))


def test_the_example_of_a_scrape():
    said = promtool("check", "config", os.path.join(DEPLOY, "prometheus", "prometheus.yml"))
    assert f"SUCCESS: {len(alerts())} rules found" in said


# ---- A Prometheus

class Prometheus:
    """With the delivered example, but for the address, and a scrape each half second."""

    def __init__(self, folder, targets):
        text = read("deploy/prometheus/prometheus.yml").replace("15s", "500ms")
        assert '["127.0.0.1:8081"]' in text and "alerts.yml" in text
        text = text.replace('["127.0.0.1:8081"]', json.dumps(targets)).replace("alerts.yml", ALERTS)
        (folder / "prometheus.yml").write_text(text)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(folder / "log", "ab")
        self.process = subprocess.Popen([tool("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                         f"--web.listen-address={self.url[7:]}"], stdout=self.log, stderr=self.log, cwd=folder)

    def ask(self, path, **parameters):
        """None while it does not answer."""
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
                return json.loads(answer.read())["data"]

    def query(self, query):
        found = self.ask("query", query=query)
        return found and found["result"]

    def stop(self):
        end(self.process)
        self.log.close()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    tool("prometheus")
    service = Service()
    prometheus = None
    try:
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), [f"127.0.0.1:{service.ops_port}"])
        wait_until(lambda: use(service) or quantile(prometheus) > 0, 60)
        yield service, prometheus
    finally:
        if prometheus:
            prometheus.stop()
        service.stop()


def quantile(prometheus):
    """The latency of readers' calls; 0 or NaN: none was seen to rise yet."""
    found = prometheus.query('histogram_quantile(0.99, sum by (le) (rate(engaged_http_request_duration_seconds_bucket{route=~"/v1/.*"}[1m])))')
    return float(found[0]["value"][1]) if found else 0


def use(service):
    token = service.post("/v1/s/visitors").json["visitor"]
    service.post("/v1/s/items/a/votes", {}, Engaged_Visitor=token)
    service.post("/v1/s/items/a/views", {}, Engaged_Visitor=token)
    service.post("/v1/s/items/a/views", {}, user_agent="Googlebot/2.1 (+http://www.google.com/bot.html)")
    for _ in range(5):
        service.get("/v1/s/rankings/hot")
    service.get("/none")


def test_a_prometheus_scrapes_the_service(scraped):
    service, prometheus = scraped
    [target] = prometheus.ask("targets")["activeTargets"]
    assert (target["health"], target["lastError"], target["labels"]["job"]) == ("up", "", "engaged")
    [build] = prometheus.query("engaged_build_info")
    assert build["metric"]["version"]
    hot = 'engaged_http_requests_total{method="GET",route="/v1/{site}/rankings/{name}",status="200"}'
    wait_until(lambda: int(prometheus.query(hot)[0]["value"][1]) == service.metrics()[hot] > 0, 20)


def test_it_answers_each_query_of_the_dashboard(scraped):
    _, prometheus = scraped
    answers = {query: prometheus.query(query) for query in queries()}
    assert all(answer is not None for answer in answers.values())
    without = [query for query, answer in answers.items() if not answer]
    # What this service has not: errors, a memory limit of less than the machine, a Cluster.
    assert [query for query in without if "5.." not in query and "memory_limit" not in query] == []
    assert 0 < quantile(prometheus) < 10


def test_it_takes_the_alerts_and_none_is_due(scraped):
    _, prometheus = scraped
    [group] = prometheus.ask("rules")["groups"]
    assert [rule["name"] for rule in group["rules"]] == alerts()
    assert {rule["name"]: rule["state"] for rule in group["rules"] if rule["state"] != "inactive" or rule.get("lastError")} == {}
