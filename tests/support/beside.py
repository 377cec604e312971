# SPDX-License-Identifier: MIT
"""What goes on in threads of its own beside a test."""
import threading
import time


class Beside:
    """`with Beside(work, …) as beside`: each work begins in a thread of its own, and the block ends when all have ended. `over` is
    set at its end: works that go on look at it. `results` are what they have returned, in the order of their ends; what one has
    raised is raised at the end of the block."""

    def __init__(self, *works, pause=0):
        self.over, self.pause, self.results, self.raised = threading.Event(), pause, [], []
        self.threads = [threading.Thread(target=self.carry_out, args=(work,)) for work in works]

    def carry_out(self, work):
        try:
            self.results.append(work())
        except BaseException as failure:
            self.raised.append(failure)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
            time.sleep(self.pause)
        return self

    def __exit__(self, failure, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        if self.raised and not failure:
            raise self.raised[0]
