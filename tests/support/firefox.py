# SPDX-License-Identifier: MIT
"""Firefox over WebDriver BiDi, without a driver between."""
import json
import os
import re
import shutil
import subprocess
import tempfile

from support.devtools import DevTools
from support.processes import read_file
from support.wait import wait_until

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="engaged-firefox-")
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([PROGRAM, "--headless", "--no-remote", "--profile", self.folder, "--remote-debugging-port=0"],
                                            stdout=log, stderr=log, env=dict(os.environ, HOME=self.folder, MOZ_DISABLE_CONTENT_SANDBOX="1"))
        wait_until(self.port, 60, "Firefox listens")
        self.wire = DevTools(self.port(), "/session")
        self.call = self.wire.call
        self.call("session.new", capabilities={})
        self.context = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def port(self):
        found = re.search(rb"WebDriver BiDi listening on ws://127\.0\.0\.1:(\d+)", read_file(self.log_path))
        return found and int(found.group(1))

    def open(self, url):
        self.call("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def run(self, script):
        answer = self.call("script.callFunction", functionDeclaration=f"() => JSON.stringify((() => {{ {script} }})() ?? null)",
                           awaitPromise=False, target={"context": self.context})
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def close(self):
        self.wire.close()
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
