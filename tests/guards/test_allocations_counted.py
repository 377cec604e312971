# SPDX-License-Identifier: MIT
"""A read from memory allocates nothing."""
import os
import re
import struct

import pytest
from support.counted import HOT, PAGE, Counted, Wire, request_of
from support.program import BUILD, ROOT

READS = 2000
LEAST_TIMERS = 100  # what timers may take meanwhile: far less than one for each read


@pytest.fixture
def counted(tmp_path, store):
    service = Counted(environment={"LD_PRELOAD": os.path.join(ROOT, BUILD, "allocations.so"),
                                   "ALLOCATIONS": str(tmp_path / "allocations")},
                      redis=store, secret="11" * 32, hash_key="22" * 32)
    try:
        path = tmp_path / f"allocations.{service.worker()}"
        service.allocations = lambda: struct.unpack("=Q", path.read_bytes())[0]
        service.fill()
        yield service
    finally:
        service.stop()


def taken(counted, data, replies=1):
    wire = Wire(counted.port)
    for _ in range(3):
        wire.call(data, replies)
    before = counted.allocations()
    for _ in range(READS // replies):
        wire.call(data, replies)
    after = counted.allocations()
    wire.close()
    return after - before


def test_a_read_from_memory_allocates_nothing(counted):
    etag = re.search(rb"ETag: (\S+)", Wire(counted.port).call(request_of("GET", PAGE))[0][0], re.I).group(1).decode()
    kinds = {"ranking": request_of("GET", HOT), "page": request_of("GET", PAGE), "item": request_of("GET", "/v1/s/items/i7"),
             "gzip": request_of("GET", PAGE, "Accept-Encoding: gzip"), "not modified": request_of("GET", PAGE,
                                                                                               f"If-None-Match: {etag}")}
    found = {kind: taken(counted, data) for kind, data in kinds.items()}
    found["16 together"] = taken(counted, 16 * kinds["ranking"], 16)
    assert all(number < LEAST_TIMERS for number in found.values()), found
    print("allocations in", READS, "reads:", found)


def test_the_counter_counts(counted):
    """What asks Redis takes memory for the question."""
    assert taken(counted, request_of("GET", "/v1/s/me?id=a", f"Engaged-Visitor: {counted.token()}")) >= READS
