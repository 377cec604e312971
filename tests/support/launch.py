# SPDX-License-Identifier: MIT
"""What every way to start the service shares: free ports, a folder with its data and its log, a verdict on the log."""
import http.client
import os
import shutil
import subprocess
import tempfile

from support.ports import free_port
from support.processes import children, read_file, redis_pid
from support.program import PROGRAM, options_of
from support.reports import reports_in
from support.wait import comes_true


def status_at(port, path="/readyz", timeout=5):
    """The status of a GET on a connection of its own; None when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def given_to_all():
    """WITH="cross_slot=off" before pytest: settings that all services have, unless a test says otherwise."""
    return dict(setting.split("=", 1) for setting in os.environ.get("WITH", "").split())


class Launch:
    """Settings, and processes that have them. `presets` are those of a kind of service; `configuration` is the text of a
    file of settings, for what has sections."""

    presets = {}
    program = PROGRAM
    wrapper = ()  # a tool to run it under
    flags = ()  # options without a value

    def __init__(self, configuration=None, **settings):
        self.folder = tempfile.mkdtemp(prefix="engaged-")
        self.log_path = os.path.join(self.folder, "log")
        self.port, self.ops_port = free_port(), free_port()
        self.settings = {"redis": f"embedded:{self.folder}/d", "listen": f"127.0.0.1:{self.port}",
                         "ops_listen": f"127.0.0.1:{self.ops_port}", **given_to_all(), **self.presets, **settings}
        if configuration is not None:
            self.settings["config"] = os.path.join(self.folder, "engaged.conf")
            self.configure(configuration)

    def configure(self, configuration):
        """Writes the file of settings; a running service takes it by SIGHUP."""
        with open(self.settings["config"], "w", encoding="utf-8") as file:
            file.write(configuration)

    def spawn(self, role=None, **environment):
        """The supervisor, or without one a process of the role: a child of the test, which dies with its thread."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGED_")}
        named = {**kept, **environment, **({"ENGAGED_ROLE": role} if role else {})}
        with open(self.log_path, "ab") as log:
            return subprocess.Popen([*self.wrapper, self.program, *options_of(self.settings), *self.flags], stderr=log, env=named)

    def children(self, role):
        """The supervisor's children of a role ("worker", "projector"), by pid."""
        return children(self.process.pid, role)

    def redis_pid(self):
        """Of the embedded one, whose folder is here unless a test has one of its own."""
        return redis_pid(os.path.join(self.folder, "d"))

    def log(self):
        return read_file(self.log_path).decode(errors="replace")

    def is_ready(self):
        return status_at(self.port) == 200

    def wait_ready(self, processes, seconds=60):
        """Until it is, or one of its processes has ended."""
        def there():
            return any(process.poll() is not None for process in processes) or self.is_ready()

        comes_true(there, seconds)
        if any(process.poll() is not None for process in processes) or not self.is_ready():
            for process in processes:
                process.kill()
            log = self.log()
            self.remove()
            raise AssertionError("not ready:\n" + log)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def judge(self, codes):
        """After the end: each process ended with 0, and the log has no forbidden line. The folder is removed."""
        log = self.log()
        self.remove()
        assert not any(codes), (codes, log[-8000:])
        assert not reports_in(log), log[-8000:]


def end(*processes, seconds=30):
    """Their codes after one SIGTERM each; what does not end is killed."""
    for process in processes:
        process.terminate()
    return [wait_for(process, seconds) for process in processes]


def wait_for(process, seconds):
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
