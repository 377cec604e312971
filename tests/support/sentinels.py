# SPDX-License-Identifier: MIT
"""Three sentinels that watch a master and its replicas, for one test, on loopback.

`with Sentinels() as group`: `group.url` is the setting of the service. `group.master()` is the node that most sentinels name;
data nodes and sentinels alike can be killed, frozen, thawed and restarted.
"""
import collections
import contextlib
import os

import redis

from support.redis_server import RedisServer
from support.wait import wait_until

NAME = "engaged"
SETTINGS = {"repl_diskless_sync_delay": 0, "appendonly": "yes", "appendfsync": "everysec", "enable_debug_command": "local"}


class Member(RedisServer):
    """A data node or a sentinel. What it has stored stays there from a kill to a restart."""

    def __init__(self, password=None, tls=None, **settings):
        super().__init__(**settings)
        self.password = password
        if tls:
            self.speak_tls(*tls, tls_replication="yes")
        if password:
            self.settings.update(requirepass=password)

    def __repr__(self):
        return f"{type(self).__name__} at port {self.port}"


class DataNode(Member):
    """A sentinel writes into its settings who its master is, so they are a file."""

    def __init__(self, password, tls=None, **settings):
        super().__init__(password, tls, **SETTINGS, **settings)
        self.path = os.path.join(self.directory, "redis.conf")
        if password:
            self.settings.update(masterauth=password)

    def start(self):
        if not os.path.exists(self.path):
            write_settings(self.path, self.settings)
        self.program, self.settings = ("redis-server", self.path), {}
        return super().start()


class Sentinel(Member):
    def __init__(self, password, data_password, master, quorum, down_after, quick, tls):
        super().__init__(password, tls)
        self.quick = quick
        self.path = os.path.join(self.directory, "sentinel.conf")
        lines = [f"monitor {NAME} 127.0.0.1 {master.port} {quorum}", f"down-after-milliseconds {NAME} {down_after}",
                 f"failover-timeout {NAME} 6000"]
        lines += [f"auth-pass {NAME} {data_password}"] if data_password else []
        lines += [f"sentinel-pass {password}"] if password else []
        settings = {name: value for name, value in self.settings.items() if name != "save"}
        write_settings(self.path, settings, [f"sentinel {line}" for line in lines])
        self.program, self.settings = ("redis-server", self.path, "--sentinel"), {}

    def start(self):
        super().start()
        if self.quick:
            self.ask("SENTINEL", "DEBUG", "INFO-PERIOD", 1000, "PUBLISH-PERIOD", 500)
        return self

    def named(self):
        """The master's port according to it; None when it does not answer."""
        try:
            return int(self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])
        except (redis.RedisError, TypeError):
            return None


def write_settings(path, settings, lines=()):
    with open(path, "w", encoding="utf-8") as file:
        for name, value in settings.items():
            file.write(f'{name.replace("_", "-")} {value if value != "" else chr(34) * 2}\n')
        file.writelines(line + "\n" for line in lines)


class Sentinels:
    """`settings` are those of the data nodes, with _ for -. Sentinels that are not quick make a replica of a master that
    returns only after some ten seconds: that long it is a second master."""

    def __init__(self, sentinels=3, replicas=1, down_after=1000, quick=True, password=None, sentinel_password=None,
                 tls=None, **settings):
        self.password = password
        self.nodes = [DataNode(password, tls, **settings) for _ in range(1 + replicas)]
        for node in self.nodes[1:]:
            node.settings.update(replicaof=f"127.0.0.1 {self.nodes[0].port}")
        quorum = sentinels // 2 + 1
        self.sentinels = [Sentinel(sentinel_password, password, self.nodes[0], quorum, down_after, quick, tls)
                          for _ in range(sentinels)]

    def __enter__(self):
        try:
            for member in self.nodes + self.sentinels:
                member.start()
            self.wait_ok()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for member in self.sentinels + self.nodes:
            member.stop()

    @property
    def url(self):
        login = f":{self.password}@" if self.password else ""
        return f"sentinel://{login}" + ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels) + f"/{NAME}"

    def named(self):
        """By sentinel that answers: the node that it names."""
        ports = {sentinel: sentinel.named() for sentinel in self.sentinels if sentinel.can_answer()}
        return {sentinel: next((node for node in self.nodes if node.port == port), None) for sentinel, port in ports.items()}

    def master(self):
        """The node that most of them name."""
        return collections.Counter(self.named().values()).most_common(1)[0][0]

    def replicas(self):
        return [node for node in self.nodes if node is not self.master() and node.can_answer()]

    def wait_switch(self, old, seconds=30):
        """Until all sentinels that answer name one other node, which is a master. Returns it."""
        def agreed():
            named = set(self.named().values())
            new = named.pop() if len(named) == 1 else None
            return new if new not in (None, old) and new.is_master() else None

        return wait_until(agreed, seconds, lambda: f"no sentinel names another: {self.named()}", pause=0.05)

    def failover(self):
        """A planned one; returns the new master."""
        old = self.master()

        def switched():  # refused or given up: another is under way, or the replica is not yet known
            with contextlib.suppress(redis.ResponseError):
                next(sentinel for sentinel in self.sentinels if sentinel.can_answer()).ask("SENTINEL", "FAILOVER", NAME)
            with contextlib.suppress(AssertionError):
                return self.wait_switch(old, 5)

        return wait_until(switched, 40, lambda: f"no failover: {self.named()}", pause=0.2)

    def is_ok(self):
        """Sentinels that answer agree, know each other and the replicas; each replica that answers has the data."""
        named = set(self.named().values())
        master = named.pop() if len(named) == 1 else None
        if not master or not master.is_master():
            return False
        others = [node.ask("INFO", "replication") for node in self.nodes if node is not master and node.can_answer()]
        known = [dict(zip(*[iter(sentinel.ask("SENTINEL", "MASTER", NAME))] * 2)) for sentinel in self.sentinels if sentinel.can_answer()]
        return (all(info["role"] == "slave" and info["master_link_status"] == "up" for info in others)
                and all(int(row["num-slaves"]) >= len(others) and int(row["num-other-sentinels"]) == len(self.sentinels) - 1
                        for row in known))

    def wait_ok(self, seconds=30):
        def good():
            try:
                return self.is_ok()
            except redis.RedisError:
                return False

        wait_until(good, seconds, lambda: f"the sentinels are not ok: {self.named()}", pause=0.05)
