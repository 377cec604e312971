# SPDX-License-Identifier: MIT
"""Two listeners at one address, in all spellings: refused by `check` in one line; a port that is taken, and free later."""
import socket
import subprocess

import pytest

from support.launch import status_at
from support.ports import free_port
from support.program import PROGRAM
from support.service import Service


def check(listen, ops_listen):
    return subprocess.run([PROGRAM, "check", "--listen", listen, "--ops-listen", ops_listen], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("one,other", [
    ("127.0.0.1:{p}", "127.0.0.1:{p}"), ("127.0.0.1:{p}", "127.0.0.1:0{p}"), ("0.0.0.0:{p}", "127.0.0.1:{p}"),
    ("[::]:{p}", "127.0.0.1:{p}"), ("[::1]:{p}", "[0:0:0:0:0:0:0:1]:{p}"), ("127.0.0.1:{p}", "127.1:{p}"),
    ("[::ffff:127.0.0.1]:{p}", "127.0.0.1:{p}"), ("localhost:{p}", "0.0.0.0:{p}"), ("192.0.2.1:{p}", "[::]:{p}"),
])
def test_one_address_in_two_spellings_is_refused(one, other):
    port = free_port()
    for listen, ops in ((one, other), (other, one)):
        done = check(listen.format(p=port), ops.format(p=port))
        assert done.returncode == 1 and "ops" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_one_port_of_two_addresses_is_right():
    port = free_port()
    assert check(f"127.0.0.1:{port}", f"127.0.0.2:{port}").returncode == 0


def test_a_port_that_is_taken_is_refused_and_taken_when_it_is_free(own):
    service = own()
    moved, taken = free_port(), free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", taken))
        other.listen()
        done = subprocess.run([PROGRAM, "--redis", f"embedded:{service.folder}/other", "--listen", f"127.0.0.1:{taken}",
                               "--ops-listen", f"127.0.0.1:{moved}"], stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == 1 and f"127.0.0.1:{taken}" in done.stderr, done.stderr
        assert status_at(service.port) == 200
    again = own_at(taken)
    try:
        assert status_at(taken) == 200
    finally:
        again.stop()


def own_at(port):
    class At(Service):
        def start(self):
            self.port = port
            super().start()

    return At(listen=f"127.0.0.1:{port}")
