# SPDX-License-Identifier: MIT
"""One of several machines on a Redis of the test: a whole service with a file of settings of its own, which can be frozen, thawed,
killed and restarted with other settings."""
import contextlib
import os
import signal

from support.launch import end
from support.processes import alive
from support.service import Service
from support.wait import wait_until


class Machine(Service):
    """Two workers, a projector and their supervisor; the Redis is the test's, and shared."""

    presets = {**Service.presets, "workers": 2, "secret": "11" * 32, "hash_key": "22" * 32, "trusted_proxies": "127.0.0.1",
               "rate_limits": "off"}

    frozen = ()  # the processes that a test has stopped

    def __init__(self, redis_url, configuration="", **settings):
        super().__init__(**{"redis": redis_url, "configuration": configuration, **settings})

    def __repr__(self):
        return f"the machine at port {self.port}"

    def pids(self):
        """Of all its processes, the supervisor first."""
        return [self.process.pid, *self.children("worker"), *self.children("projector")]

    def freeze(self):
        """All its processes at once, as a machine whose power saving is at fault: its sockets stay open."""
        self.frozen = self.pids()
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in reversed(self.frozen):  # the supervisor last, as it kills a child that hangs
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.frozen = ()

    def kill(self):
        """All its processes at once, as by a power cut."""
        pids = self.pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.frozen = ()
        wait_until(lambda: not any(map(alive, pids)), 20, f"{self} lives")

    def end(self):
        """By SIGTERM, cleanly. What it has stays for a restart."""
        assert end(self.process) == [0], self.log()[-8000:]

    def conclude(self, failure, *_):
        """One that a test has left killed is no fault; one that runs must end cleanly."""
        self.thaw()
        if failure is None and self.is_running():
            return self.stop()
        print(self.log()[-4000:])
        end(self.process)
        return self.remove()

    def is_running(self):
        return self.process.poll() is None

    def restart(self, configuration=None, **settings):
        """With a changed file, or changed settings. One that still runs is ended first."""
        if self.is_running():
            self.end()
        if configuration is not None:
            self.configure(configuration)
        self.settings.update(settings)
        self.start()

    def reload(self, configuration):
        """Takes another file by SIGHUP, with new processes."""
        before = self.pids()[1:]
        self.configure(configuration)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not any(map(alive, before)) and self.is_ready(), 30, self.log)
