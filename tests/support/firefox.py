# SPDX-License-Identifier: MIT
"""Firefox over WebDriver BiDi: a WebSocket without a driver between. wsproto comes with python3-selenium."""
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

from support.processes import read_file
from support.wait import wait_until

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="engaged-firefox-")
        self.log_path, self.number, self.text = os.path.join(self.folder, "log"), 0, ""
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([PROGRAM, "--headless", "--no-remote", "--profile", self.folder, "--remote-debugging-port=0"],
                                            stdout=log, stderr=log, env=dict(os.environ, HOME=self.folder, MOZ_DISABLE_CONTENT_SANDBOX="1"))
        wait_until(self.port, 60, "Firefox listens")
        self.socket = socket.create_connection(("127.0.0.1", self.port()), timeout=60)
        self.wire = WSConnection(ConnectionType.CLIENT)
        self.socket.sendall(self.wire.send(Request(host=f"127.0.0.1:{self.port()}", target="/session")))
        assert isinstance(self.event(), AcceptConnection)
        self.call("session.new", capabilities={})
        self.context = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def port(self):
        found = re.search(rb"WebDriver BiDi listening on ws://127\.0\.0\.1:(\d+)", read_file(self.log_path))
        return found and int(found.group(1))

    def event(self):
        while True:
            for event in self.wire.events():
                return event
            self.wire.receive_data(self.socket.recv(1 << 16))

    def message(self):
        text = ""
        while True:
            event = self.event()
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        self.socket.sendall(self.wire.send(TextMessage(data=json.dumps({"id": self.number, "method": method, "params": parameters}))))
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def open(self, url):
        self.call("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def run(self, script):
        answer = self.call("script.callFunction", functionDeclaration=f"() => JSON.stringify((() => {{ {script} }})() ?? null)",
                           awaitPromise=False, target={"context": self.context})
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
