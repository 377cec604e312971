# SPDX-License-Identifier: MIT
"""Free ports. A port that was given is given to no other process of the tests while its receiver lives, even before
somebody listens there and while a test lets it rest: a socket with the port's number in its name is held."""
import collections
import contextlib
import random
import socket

with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as _range:
    _FIRST = int(_range.read().split()[0])
# Below those that the kernel may give to any connection at any moment, also between two starts of a service.
PORTS = range(10000, _FIRST) if _FIRST > 12000 else range(10000, 65536)
DICE = random.SystemRandom()
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
        port = DICE.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if held(port):
                return port
