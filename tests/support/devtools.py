# SPDX-License-Identifier: MIT
"""A browser's own protocol over a WebSocket: calls with a number, and their answers. wsproto comes with python3-selenium."""
import json
import socket

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage


class DevTools:
    def __init__(self, port, path):
        self.number = 0
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.wire = WSConnection(ConnectionType.CLIENT)
        self.socket.sendall(self.wire.send(Request(host=f"127.0.0.1:{port}", target=path)))
        assert isinstance(self.event(), AcceptConnection)

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
                assert "result" in answer, answer
                return answer["result"]

    def close(self):
        self.socket.close()
