# SPDX-License-Identifier: MIT
"""Free ports. A port that was given is given to no other process of the tests while its receiver lives, even before
somebody listens there and while a test lets it rest: a socket with the port's number in its name is held."""
import collections
import contextlib
import socket

HELD = collections.deque(maxlen=200)  # older ones are of tests that have ended


def held(port):
    claim = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(OSError):
        claim.bind(f"\0engaged-tests-{port}")
        HELD.append(claim)
        return True
    claim.close()
    return False


def free_port():
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if held(port):
            return port
