# SPDX-License-Identifier: MIT
"""The charts of the operators' page: the site by hour and by day, and an item that is clicked; the same as a table."""
import datetime
import json

import pytest

from support.dashboard_page import message, open_page, refreshed, strict_proxy

HOUR = datetime.timedelta(hours=1)
FROM = datetime.datetime(2026, 11, 25, 15)
VIEWS = [None] * 3 + [0] * 5 + [4 * n * n for n in range(20)] + [1000] + [3] * 19
UP = [None] * 3 + [n % 3 for n in range(45)]
DOWN = [None] * 3 + [0] * 44 + [2]
ZERO = {"step": "hour", "time_zone": "UTC", "from": "2026-11-25T15:00:00.000Z", "views": [0] * 48, "votes": {"up": [0] * 48}}
PANELS = "return [...document.querySelectorAll('#of-site section')].filter(e => !e.hidden).map(e => e.id)"
BARS = "return document.querySelector('#panel-' + arguments[0] + ' path.' + arguments[1]).getAttribute('d')"
LEGEND = "return document.querySelector('#legend-' + arguments[0]).textContent"


def hours(**changed):
    return {"step": "hour", "time_zone": "UTC", "from": FROM.isoformat() + ".000Z", "views": VIEWS, "votes": {"up": UP, "down": DOWN}, **changed}


class Behind:
    """The page through a proxy that scripts the series."""


@pytest.fixture
def scripted(service):
    """Sets what a series is; returns the page behind the proxy."""
    answers = {}

    def script(path, value):
        answers["/v1/sample/" + path] = lambda body: json.dumps(value).encode()
        return behind

    with strict_proxy(service.ops_port, answers) as port:
        behind = Behind()
        behind.ops_port = port
        yield script


def first(service):
    entry = service.get("/v1/sample/rankings/hot?limit=1").json["items"][0]
    return entry["item"], entry["title"]


def click_chart(browser, place=0):
    browser.run("document.querySelectorAll('#hot li')[arguments[0]].querySelector('button:last-child').click()", place)


def rows(browser, panel):
    """The table of a panel, opened as a reader by keyboard does."""
    browser.run("const table = document.querySelector('#panel-' + arguments[0] + ' details.table'); if (!table.open) table.firstChild.click()", panel)
    browser.until("return document.querySelector('#panel-' + arguments[0] + ' table tbody tr')", panel)
    return browser.run("return [...document.querySelectorAll('#panel-' + arguments[0] + ' table tr')].map(row => [...row.cells].map(cell => cell.textContent))", panel)


def test_the_site_by_hour_is_drawn_and_is_a_table(scripted, browser):
    open_page(browser, scripted("series?step=hour", hours()))
    browser.until("return document.querySelector('#panel-hours path.views')")
    assert browser.run(BARS, "hours", "views").count("M") == sum(1 for n in VIEWS if n)
    assert browser.run(BARS, "hours", "votes").count("M") == sum(1 for up, down in zip(UP, DOWN) if up or down)
    assert browser.run(BARS, "hours", "unknown").count("M") == 3
    assert browser.run(LEGEND, "hours") == f"views {sum(n or 0 for n in VIEWS):,}, most 1,444 in an hourvotes {sum(n or 0 for n in UP) + 2}, most 4 in an hour"
    table = rows(browser, "hours")
    assert table[0] == ["Hour", "Views", "Votes: up", "Votes: down"] and len(table) == 49
    assert table[1] == ["Fri 27 Nov, 14:00", "3", "2", "2"], "the latest comes first"
    assert table[-1] == ["Wed 25 Nov, 15:00", "not known", "not known", "not known"] and table[-4][1:] == ["0", "0", "0"]
    assert "Dotted" in browser.run("return document.querySelector('#panel-hours .hint').textContent")
    browser.picture("dashboard-series", 1280, 1200)
    browser.picture("dashboard-series-dark", 1280, 1200, dark=True)
    browser.picture("dashboard-series-phone", 390, 2400)
    assert browser.errors() == []


def test_a_bar_is_as_high_as_its_count(scripted, browser):
    views = [0] * 46 + [50, 100]
    open_page(browser, scripted("series?step=hour", {**ZERO, "views": views}))
    browser.until("return document.querySelector('#panel-hours path.views').getAttribute('d')")
    heights = [float(bar.split("v-")[1].split("h")[0]) for bar in browser.run(BARS, "hours", "views").split("M")[1:]]
    assert heights == [heights[1] / 2, heights[1]] and heights[1] > 40


def test_days_have_the_dates_of_the_zone(scripted, browser):
    """Midnight of Apia is the day before in UTC; a day after a change of clocks is no hour off."""
    days = {"step": "day", "time_zone": "Pacific/Apia", "from": "2026-11-24T11:00:00.000Z", "views": [1, 2, 3, 4], "votes": {"up": [0, 1, 0, 0]}}
    open_page(browser, scripted("series?step=day", days))
    assert [row[0] for row in rows(browser, "days")] == ["Day", "Sat 28 Nov", "Fri 27 Nov", "Thu 26 Nov", "Wed 25 Nov"]
    assert "Pacific/Apia" in browser.run("return document.querySelector('#panel-days .hint').textContent")
    assert browser.run(LEGEND, "days").startswith("views 10, most 4 in a day")


def test_a_zone_that_the_browser_does_not_know(scripted, browser):
    open_page(browser, scripted("series?step=hour", {**ZERO, "time_zone": "Nowhere/Atlantis"}))
    assert len(rows(browser, "hours")) == 49
    assert browser.errors() == []


def test_without_data(scripted, browser):
    open_page(browser, scripted("series?step=hour", ZERO))
    browser.until("return document.querySelector('#panel-hours .legend')")
    assert browser.run(LEGEND, "hours") == "views 0, most 0 in an hourvotes 0, most 0 in an hour"
    assert [browser.run(BARS, "hours", part) for part in ("views", "votes", "unknown")] == ["", "", ""]
    assert rows(browser, "hours")[1][1:] == ["0", "0"]


def test_an_item_that_is_clicked(service, scripted, browser):
    item, title = first(service)
    page = scripted(f"items/-/series?id={item}&step=hour", {"item": item, **hours()})
    open_page(browser, page)
    refreshed(browser)
    assert "panel-item-hours" not in browser.run(PANELS)
    browser.run("document.querySelector('#hot li button:last-child').focus()")
    assert browser.run("return document.activeElement.getAttribute('aria-label')") == "Chart of " + title
    click_chart(browser)
    browser.until("return document.getElementById('title-item-hours').textContent === arguments[0]", title + ", by hour")
    browser.until("return document.getElementById('title-item-days').textContent === arguments[0]", title + ", by day")
    assert {"panel-item-hours", "panel-item-days"} <= set(browser.run(PANELS))
    assert message(browser) == f"Shown below: {title}, by hour and by day."
    assert browser.run("return document.activeElement.getAttribute('aria-label')") == "Chart of " + title, "the focus stays"
    assert browser.run(BARS, "item-hours", "views").count("M") == sum(1 for n in VIEWS if n)
    assert rows(browser, "item-hours")[1] == ["Fri 27 Nov, 14:00", "3", "2", "2"]
    assert browser.errors() == []


def test_another_item_and_another_session_show_nothing_of_the_first(service, scripted, browser):
    item, title = first(service)
    page = scripted(f"items/-/series?id={item}&step=hour", {"item": item, **hours()})
    open_page(browser, page)
    click_chart(browser)
    browser.until("return document.getElementById('title-item-hours').textContent === arguments[0]", title + ", by hour")
    click_chart(browser, 1)
    browser.until("return !document.getElementById('title-item-hours').textContent.startsWith(arguments[0])", title)
    browser.until("return document.querySelector('#panel-item-hours path.views')")
    assert browser.run(BARS, "item-hours", "unknown") == ""
    browser.run("document.getElementById('enter').requestSubmit()")
    browser.until("return document.getElementById('panel-item-hours').hidden")
    assert browser.run("return document.querySelector('#panel-item-hours .bars')") is None


def test_a_table_that_is_open_stays_and_changes_in_place(scripted, browser):
    """At the next hour the row of the oldest goes, and a new one comes; the others are the same elements."""
    page = scripted("series?step=hour", hours())
    open_page(browser, page)
    rows(browser, "hours")
    browser.run("window.kept = document.querySelectorAll('#panel-hours tbody tr')[0]")
    scripted("series?step=hour", hours(**{"from": (FROM + HOUR).isoformat() + ".000Z", "views": VIEWS[1:] + [7]}))
    browser.until("return document.querySelector('#panel-hours tbody tr').cells[1].textContent === '7'", seconds=30)
    assert browser.run("return document.querySelectorAll('#panel-hours tbody tr')[1] === kept && document.querySelector('#panel-hours details.table').open")
    assert browser.run("return document.querySelectorAll('#panel-hours tbody tr').length") == 48


def test_a_chart_has_a_name_and_its_table_too(scripted, browser):
    open_page(browser, scripted("series?step=hour", hours()))
    rows(browser, "hours")
    found = browser.run("""const named = id => document.getElementById(id).textContent;
        const bars = document.querySelector('#panel-hours .bars'), table = document.querySelector('#panel-hours table');
        return [bars.role, named(bars.getAttribute('aria-labelledby')), named(bars.getAttribute('aria-describedby')), bars.firstChild.getAttribute('aria-hidden'),
            named(table.getAttribute('aria-labelledby')), document.querySelector('#panel-hours details.table summary').textContent]""")
    assert found[0] == "img" and found[1] == found[4] == "The site by hour" and "most 1,444" in found[2] and found[3] == "true"
    assert found[5] == "As a table: The site by hour"
