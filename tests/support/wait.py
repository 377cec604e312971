# SPDX-License-Identifier: MIT
import time


def comes_true(true, seconds, pause=0.02):
    """The first true value of `true()`, or its last one when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = true()
        if value or time.monotonic() >= end:
            return value
        time.sleep(pause)


def wait_until(true, seconds=30, what="the condition is not met", pause=0.02):
    """The first true value of `true()`. `what`, a text or a function that makes one, says what is missing at the end. The time
    costs nothing when it comes true: give a shorter one only where that is what is tried."""
    value = comes_true(true, seconds, pause)
    assert value, what() if callable(what) else what
    return value
