# SPDX-License-Identifier: MIT
"""A headless Chromium, and its readers: each has a storage, cookies and a cache of his own, as in a browser of his own."""
import os
import shutil
import tempfile
import time

from selenium import webdriver
from selenium.common.exceptions import JavascriptException
from selenium.webdriver.chrome.service import Service as Driver

from support.devtools import DevTools
from support.program import ROOT

ARTEFACTS = os.path.join(ROOT, "tests", "artefacts")


class Chromium:
    """It starts for one test and serves all that come after. The driver acts in one tab at a time: `reader` has it now."""

    def __init__(self):
        self.folder, self.reader = tempfile.mkdtemp(prefix="engaged-browser-"), None
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                         f"--user-data-dir={self.folder}", "--window-size=1280,1000"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Driver("/usr/bin/chromedriver"), options=options)
        self.driver.set_page_load_timeout(20)
        self.driver.set_script_timeout(20)
        self.first_tab = self.driver.current_window_handle
        with open(os.path.join(self.folder, "DevToolsActivePort"), encoding="ascii") as file:
            self.devtools = DevTools(*file.read().split())

    def release(self):
        """The tab of no reader has the driver."""
        self.driver.switch_to.window(self.first_tab)
        self.reader = None

    def close(self):
        self.devtools.close()
        self.driver.quit()
        shutil.rmtree(self.folder, ignore_errors=True)


class Browser:
    """A reader's. `open` waits for the page, `errors` is what the console says is wrong."""

    def __init__(self, chromium, javascript=True):
        self.chromium = chromium
        self.context = chromium.devtools.call("Target.createBrowserContext")["browserContextId"]
        self.new_tab()
        chromium.driver.get_log("browser")
        if not javascript:
            self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})

    def new_tab(self):
        """It is shown. The window of some headless Chromiums, such as 150, has no focus by itself: then `focus()` leads to no ring."""
        self.show(self.chromium.devtools.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"])
        self.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        return self.tab

    def show(self, tab):
        """It has the driver from now on."""
        self.chromium.driver.switch_to.window(tab)
        self.chromium.reader, self.tab = self, tab

    @property
    def driver(self):
        if self.chromium.reader is not self:
            self.show(self.tab)
        return self.chromium.driver

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
        """With all of its tabs and what is stored."""
        self.chromium.release()
        self.chromium.devtools.call("Target.disposeBrowserContext", browserContextId=self.context)
