# SPDX-License-Identifier: MIT
"""Guards: counts that do not depend on how fast the machine is. Plain build only: it is the program that is
delivered."""
import pytest

from support.program import BUILD
from support.redis_server import RedisServer


@pytest.fixture(autouse=True)
def plain_build_only():
    if BUILD != "build":
        pytest.skip("left out: only the plain build is counted")


@pytest.fixture
def store():
    """A Redis apart: it has an allocator of its own, which a tool's would break."""
    with RedisServer(unix=True) as server:
        yield server.url
