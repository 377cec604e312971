# SPDX-License-Identifier: MIT
"""The real service with the sample site, and real browsers: each with a profile of its own."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import pytest
from selenium import webdriver
from selenium.common.exceptions import JavascriptException
from selenium.webdriver.chrome.service import Service as Driver

from support.program import ROOT
from support.service import Service
from support.widget_stage import Stage

ARTEFACTS = os.path.join(ROOT, "tests", "artefacts")


class Browser:
    """Headless Chromium; `open` waits for the page, `errors` is what its console says is wrong."""

    def __init__(self, javascript=True):
        self.folder = tempfile.mkdtemp(prefix="engaged-browser-")
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                         f"--user-data-dir={self.folder}", "--window-size=1280,1000"):
            options.add_argument(argument)
        if not javascript:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Driver("/usr/bin/chromedriver"), options=options)
        self.driver.set_page_load_timeout(20)
        self.driver.set_script_timeout(20)
        self.take_focus()

    def take_focus(self):
        """The window of some headless Chromiums, such as 150, never has it by itself: then `focus()` leads to no ring."""
        self.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})

    def open(self, url):
        """Until the page's modules have run. The first page of a new tab comes back before that on a busy machine (chromedriver 150)."""
        self.driver.get(url)
        blank = "about:blank"
        self.until("return document.readyState === 'complete' && (location.href === arguments[0]) === arguments[1]", blank, url == blank)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, script, *arguments, seconds=25):
        """The first true value of the script. Polled from here: a page's policy forbids scripts made of text later on."""
        end = time.time() + seconds
        while True:
            try:
                value = self.run(script, *arguments)
            except JavascriptException:
                value = None
            if value:
                return value
            assert time.time() < end, f"not within {seconds} s: {script}\n{self.driver.get_log('browser')}"
            time.sleep(0.02)

    def errors(self):
        return [row["message"] for row in self.driver.get_log("browser") if row["level"] == "SEVERE"]

    def picture(self, name, width=1280, height=1400, dark=False):
        os.makedirs(ARTEFACTS, exist_ok=True)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.save_screenshot(os.path.join(ARTEFACTS, name + ".png"))
        wide = self.run("return document.documentElement.scrollWidth > innerWidth")
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        assert not wide, f"{name}: wider than the screen"

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def service():
    running = Service(refresh_interval="50ms", redis_timeout="2s")
    subprocess.run([sys.executable, os.path.join(ROOT, "loadtest/sample.py"), "--url",
                    f"http://127.0.0.1:{running.port}", "--key", "k"], check=True, stdout=subprocess.DEVNULL)
    yield running
    running.stop()


@pytest.fixture
def browsers():
    """A maker of browsers, closed in the end."""
    made = []

    def make(**options):
        made.append(Browser(**options))
        return made[-1]

    yield make
    for browser in made:
        browser.close()


@pytest.fixture(scope="module")
def shared_browser():
    """One for all tests of a file."""
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def own_browser(shared_browser):
    """A service without samples whose rate limits are out of the way, and one browser for all tests of a file."""
    running = Service(refresh_interval="50ms", redis_timeout="2s", new_visitors_per_minute="100000", new_visitors_burst="100000",
                      views_per_minute="100000", views_burst="100000", votes_per_minute="100000", votes_burst="100000")
    yield running, shared_browser
    running.stop()


@pytest.fixture(scope="module")
def shared_stage(own_browser):
    made = Stage(*own_browser)
    yield made
    made.gate.stop()
    made.publisher.stop()


@pytest.fixture
def stage(shared_stage):
    """The stage of a file, without what the test before has left there."""
    shared_stage.gate.reset()
    shared_stage.browser.driver.get_log("browser")
    return shared_stage


@pytest.fixture
def browser(browsers):
    return browsers()


@pytest.fixture(scope="module")
def one_browser():
    made = Browser()
    yield made
    made.close()


@pytest.fixture
def tab(one_browser):
    """A new tab of one browser for all tests of a file: faster than a browser each. Only localStorage and cookies are shared."""
    driver = one_browser.driver
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    one_browser.take_focus()
    one_browser.errors()
    yield one_browser
    for handle in driver.window_handles:
        if handle != first:
            driver.switch_to.window(handle)
            driver.close()
    driver.switch_to.window(first)
