# SPDX-License-Identifier: MIT
"""A redis-server for one test, on a free port or on a Unix socket. It can be killed, frozen, thawed and restarted."""
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

import redis

from support.ports import free_port
from support.wait import wait_until


class RedisServer:
    """`with RedisServer() as server`, or start and stop. `settings` are those of Redis, with _ for -."""

    password = None  # of the default user
    tls = None  # support.certificates.Authority

    def __init__(self, port=None, unix=False, program=("redis-server",), **settings):
        self.program, self.is_frozen = program, False
        self.directory = tempfile.mkdtemp(prefix="engaged-redis-")
        self.socket = os.path.join(self.directory, "redis.sock") if unix else None
        self.port = 0 if unix else port or free_port()
        self.url = f"unix:{self.socket}" if unix else f"redis://127.0.0.1:{self.port}"
        self.settings = {"port": self.port, "bind": "127.0.0.1", "dir": self.directory, "save": "",
                         "logfile": os.path.join(self.directory, "log"), **settings}
        if unix:
            self.settings["unixsocket"] = self.socket
        self.process = None

    def speak_tls(self, tls, certificate, **settings):
        """From its next start on, and nothing else. `tls`: the authority by which it knows clients."""
        self.tls = tls
        self.settings.update(tls_port=self.settings.get("tls_port", self.settings["port"]), port=0, tls_cert_file=certificate[0],
                             tls_key_file=certificate[1], tls_ca_cert_file=tls.certificate,
                             **{"tls_auth_clients": self.settings.get("tls_auth_clients", "no"), **settings})
        self.url = self.url.replace("redis://", "rediss://")
        return self

    def start(self):
        options = [part for name, value in self.settings.items() for part in ("--" + name.replace("_", "-"), str(value))]
        self.process = subprocess.Popen([*self.program, *options], stdout=subprocess.DEVNULL)
        wait_until(self.answers, 20, "redis-server does not answer")
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.is_frozen = False

    def restart(self):
        """With the data on its disk, killed before or not."""
        self.kill()
        return self.start()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_frozen = False

    def stop(self):
        if self.process:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def client(self, **more):
        place = {"unix_socket_path": self.socket} if self.socket else {"port": self.port}
        return redis.Redis(**place, password=self.password, **self.secured(), **more)

    def secured(self):
        if not self.tls:
            return {}
        return {"ssl": True, "ssl_cert_reqs": "none", "ssl_certfile": self.tls.client[0], "ssl_keyfile": self.tls.client[1]}

    def ask(self, *words):
        """The reply as text. Each call has a connection of its own, as the server may have died since the last. One that loads
        its data, as a replica does that was just started, is asked again."""
        with contextlib.closing(self.client(decode_responses=True, socket_timeout=10)) as client:
            for _ in range(200):
                with contextlib.suppress(redis.BusyLoadingError):
                    return client.execute_command(*words)
                time.sleep(0.05)
            return client.execute_command(*words)

    def answers(self):
        try:
            return self.client().ping()
        except redis.RedisError:
            return False

    def can_answer(self):
        """Whether it is neither dead nor frozen."""
        return self.process is not None and self.process.poll() is None and not self.is_frozen

    def is_master(self):
        return self.can_answer() and self.ask("INFO", "replication")["role"] == "master"


class Keeper(RedisServer):
    """A Redis whose data of an earlier instant comes back."""

    def keep(self):
        self.client().save()
        shutil.copy(f"{self.directory}/dump.rdb", f"{self.directory}/kept.rdb")

    def start_again(self):
        self.kill()
        shutil.copy(f"{self.directory}/kept.rdb", f"{self.directory}/dump.rdb")
        self.start()

    def replace(self):
        """As `engaged restore` does it: the connections of others stay open."""
        staged = RedisServer(repl_diskless_sync_delay=0)
        shutil.copy(f"{self.directory}/kept.rdb", f"{staged.directory}/dump.rdb")
        with staged:
            self.client().replicaof("127.0.0.1", staged.port)
            wait_until(lambda: self.client().info("replication").get("master_link_status") == "up", 10, "copied")
            self.client().replicaof("NO", "ONE")
