# SPDX-License-Identifier: MIT
import socket
import time


class NotifySocket:
    """What systemd holds at the other end of $NOTIFY_SOCKET."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0.05)
        self.words = []

    def heard(self, word):
        try:
            while True:
                self.words += [(time.monotonic(), line) for line in self.socket.recv(4096).decode().splitlines()]
        except TimeoutError:
            pass
        return [when for when, line in self.words if line.startswith(word)]
