# SPDX-License-Identifier: MIT
import time


def wait_until(true, seconds=10, what="the condition is not met", pause=0.02):
    """The first true value of `true()`. `what`, a text or a function that makes one, says what is missing at the end."""
    end = time.monotonic() + seconds
    while True:
        value = true()
        if value:
            return value
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(pause)
