# SPDX-License-Identifier: MIT
"""A redis-server for one test, on a free port or on a Unix socket."""
import os
import shutil
import subprocess
import tempfile

import redis

from support.ports import free_port
from support.wait import wait_until


class RedisServer:
    """`with RedisServer() as server`, or start and stop. `settings` are those of Redis, with _ for -."""

    def __init__(self, port=None, unix=False, program=("redis-server",), **settings):
        self.program = program
        self.directory = tempfile.mkdtemp(prefix="engaged-redis-")
        self.socket = os.path.join(self.directory, "redis.sock") if unix else None
        self.port = 0 if unix else port or free_port()
        self.url = f"unix:{self.socket}" if unix else f"redis://127.0.0.1:{self.port}"
        self.settings = {"port": self.port, "bind": "127.0.0.1", "dir": self.directory, "save": "",
                         "logfile": os.path.join(self.directory, "log"), **settings}
        if unix:
            self.settings["unixsocket"] = self.socket
        self.process = None

    def start(self):
        options = [part for name, value in self.settings.items() for part in ("--" + name.replace("_", "-"), str(value))]
        self.process = subprocess.Popen([*self.program, *options], stdout=subprocess.DEVNULL)
        wait_until(self.answers, 20, "redis-server does not answer")
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def client(self):
        return redis.Redis(unix_socket_path=self.socket) if self.socket else redis.Redis(port=self.port)

    def answers(self):
        try:
            return self.client().ping()
        except redis.RedisError:
            return False
