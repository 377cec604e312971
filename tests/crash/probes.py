# SPDX-License-Identifier: MIT
"""A client that always asks whether the service is alive, and a flood of reads that are all different."""
import http.client
import os
import subprocess
import sys
import threading

from history import now

FLOOD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "flood.py")
PROBERS, EVERY_S, PATIENCE_S = 3, 0.1, 0.5


class Prober(threading.Thread):
    """One connection for each question: a frozen worker keeps its connection, the next one reaches another worker."""

    def __init__(self, port, over, answers):
        super().__init__(daemon=True)
        self.port, self.over, self.answers = port, over, answers

    def run(self):
        while not self.over.wait(EVERY_S):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
            try:
                connection.request("GET", "/healthz")
                if connection.getresponse().status == 200:
                    self.answers.append(now())
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()


def start_probers(port, over):
    """The instants at which an answer came, of all of them together."""
    answers = [now()]
    for _ in range(PROBERS):
        Prober(port, over, answers).start()
    return answers


def start_flood(port):
    return subprocess.Popen([sys.executable, FLOOD, str(port)])
