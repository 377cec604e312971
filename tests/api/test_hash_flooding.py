# SPDX-License-Identifier: MIT
"""Request targets that fall into one bucket of a hash table without a key cost no more than others. Anybody can make such
targets beforehand. The hash is SuperFastHash, which knows no key."""
import os
import random
import socket

import pytest

from support.colliding import ALPHABET, PREFIX, STAGES, colliding, step
from support.service import Service

@pytest.fixture
def service():
    running = Service(refresh_interval="1h", body_cache="256MiB")
    yield running
    running.stop()


def worker_of(service):
    pid = service.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        for child in file.read().split():
            with open(f"/proc/{child}/environ", "rb") as environment:
                if b"ENGAGED_ROLE=worker" in environment.read():
                    return int(child)
    raise AssertionError("no worker")


def read_all(service, ids):
    """Asks for each, 32 at once on one connection; all must be answered 200."""
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        for at in range(0, len(ids), 32):
            part = ids[at:at + 32]
            client.sendall(b"".join(b"HEAD " + PREFIX + one + b" HTTP/1.1\r\nHost: x\r\n\r\n" for one in part))
            held = b""
            while held.count(b"\r\n\r\n") < len(part):
                data = client.recv(1 << 16)
                assert data
                held += data
            assert held.count(b"HTTP/1.1 200 ") == len(part)


def cost(service, ids):
    """Nanoseconds of the worker for a read of each that is in memory."""
    read_all(service, ids)
    path = f"/proc/{worker_of(service)}/schedstat"
    spent = []
    for _ in range(3):
        with open(path, encoding="ascii") as file:
            before = int(file.read().split()[0])
        read_all(service, ids)
        with open(path, encoding="ascii") as file:
            spent.append((int(file.read().split()[0]) - before) / len(ids))
    return min(spent)


@pytest.mark.skipif(bool(os.environ.get("BARE_SERVICE")), reason="times are not the program's own")
def test_names_made_to_collide_cost_no_more_than_others(service):
    draw = random.Random(8)
    others = [bytes(draw.choices(ALPHABET, k=8 * STAGES)) for _ in range(1 << STAGES)]
    usual = cost(service, others)
    made = colliding()
    assert len(set(made)) == 1 << STAGES and len({step(0xcafebabe, PREFIX + one) for one in made}) == 1
    flooded = cost(service, made)
    assert flooded < 2 * usual + 2000
