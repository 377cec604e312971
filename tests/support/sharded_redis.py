# SPDX-License-Identifier: MIT
"""A store whose partitions fail apart, behind one address: a proxy that knows the hash tags of the keys.

`errors` names partitions whose commands are answered by an error. `moved` names partitions that live on a second
redis-server, which can be killed and started again with older data: a failover that loses a tail. The replication id that
INFO tells is made of both servers', so that a new life of either is a new life. A script over several partitions (open,
trim) is sent to each server with the partitions that answer; any other command with keys of both is an error.
"""
import contextlib
import hashlib
import re
import shutil
import socket
import threading

from support.accepting import accept_all
from support.redis_server import RedisServer
from support.scripted_redis import Cut, name_of, read_command, read_reply

TAG = re.compile(rb"\{e(\d+)[a-z]*\}")
REPLID = re.compile(rb"\nmaster_replid:([0-9a-f]+)")
LIFE = re.compile(rb"\r\n([^\r\n]+)\r\n$")  # the last element of the reply to open
TRYAGAIN = b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
CLUSTERDOWN = b"-CLUSTERDOWN Hash slot not served\r\n"


def command(*arguments):
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(one), one) for one in arguments)


def bulk(text):
    return b"$%d\r\n%b\r\n" % (len(text), text)


def partitions_in(arguments):
    return {int(number) for argument in arguments for number in TAG.findall(argument)}


class Servers:
    """One client's connections to both servers."""

    def __init__(self, store):
        self.store, self.open = store, {}

    def ask(self, number, raw):
        """The reply; an error of a Cluster when that server is away."""
        try:
            if number not in self.open:
                server = socket.create_connection(("127.0.0.1", self.store.servers[number].port))
                self.open[number] = server, server.makefile("rb")
            self.open[number][0].sendall(raw)
            return read_reply(self.open[number][1])
        except (Cut, OSError):
            if number == 0:
                raise
            self.close(number)
            return CLUSTERDOWN

    def close(self, number):
        for part in self.open.pop(number, ()):
            part.close()

    def close_all(self):
        for number in list(self.open):
            self.close(number)


class ShardedRedis:
    def __init__(self, moved=(), **settings):
        self.moved, self.errors, self.counts = set(moved), {}, {}
        self.servers = [RedisServer(**settings) for _ in range(2 if moved else 1)]
        self.lives, self.opened = {}, {}  # by server; by partition
        self.lock = threading.Lock()

    def __enter__(self):
        for server in self.servers:
            server.start()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        accept_all(self.listener, self.serve)
        return self

    def __exit__(self, *_):
        self.listener.close()
        for server in self.servers:
            server.stop()

    def clients(self):
        return [server.client() for server in self.servers]

    def client(self, partition):
        """To the server that has it."""
        return self.servers[self.home(partition)].client()

    def home(self, partition):
        return int(partition in self.moved)

    # ---- What can happen to a partition

    def fail(self, *partitions, error=TRYAGAIN):
        self.errors = {**self.errors, **dict.fromkeys(partitions, error)}

    def answer(self, *partitions):
        self.errors = {number: error for number, error in self.errors.items() if number not in partitions}

    def keep(self):
        """Keeps the second server's data of this instant."""
        second = self.servers[1]
        second.client().save()
        shutil.copy(f"{second.directory}/dump.rdb", f"{second.directory}/kept.rdb")

    def roll_back(self):
        """The second server dies and comes back with what was kept."""
        second = self.servers[1]
        second.kill()
        shutil.copy(f"{second.directory}/kept.rdb", f"{second.directory}/dump.rdb")
        second.start()

    # ---- The proxy

    def serve(self, client):
        servers = Servers(self)
        with contextlib.suppress(Cut, OSError, ValueError), client:
            commands = client.makefile("rb")
            while True:
                arguments, raw = read_command(commands)
                client.sendall(self.reply(servers, name_of(arguments), arguments, raw))
        servers.close_all()

    def reply(self, servers, name, arguments, raw):
        touched = partitions_in(arguments)
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1
        if name in ("open", "trim") and len(touched) > 1:
            return self.in_parts(servers, name, arguments)
        if name == "script" and len(self.servers) > 1:
            servers.ask(1, raw)
        if name == "info" and arguments[1:] == [b"replication"]:
            return self.both_lives(servers, raw)
        if name == "scan":
            return self.scan(servers, arguments)
        for number in touched:
            if number in self.errors:
                return self.errors[number]
        homes = {self.home(number) for number in touched}
        if len(homes) > 1:
            return b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"
        if name in ("open", "trim") and len(self.servers) > 1:
            raw = command(*self.in_own_life(name, arguments, *homes))
        return servers.ask(homes.pop() if homes else 0, raw)

    def both_lives(self, servers, raw):
        reply = servers.ask(0, raw)
        for number in range(len(self.servers)):
            found = REPLID.search(reply if number == 0 else servers.ask(number, raw))
            if found:
                self.lives[number] = found[1]
        life = hashlib.sha1(b"".join(self.lives[number] for number in sorted(self.lives))).hexdigest().encode()
        return REPLID.sub(b"\nmaster_replid:" + life, reply) if len(self.servers) > 1 else reply

    def scan(self, servers, arguments):
        """The cursor's lowest bit says which server it is of."""
        if len(self.servers) == 1:
            return servers.ask(0, command(*arguments))
        cursor, number = divmod(int(arguments[1]), 2)
        reply = servers.ask(number, command(arguments[0], b"%d" % cursor, *arguments[2:]))
        if not reply.startswith(b"*2"):
            return reply
        _, length, text, rest = reply.split(b"\r\n", 3)
        following = 2 * int(text) + number if int(text) else 0 if number else 1
        return b"*2\r\n" + bulk(b"%d" % following) + rest if length else reply

    def in_own_life(self, name, arguments, server):
        """These scripts name the life that INFO told, which is made of both servers'. Each knows its own only."""
        at = 3 + int(arguments[2])
        life, second = arguments[at:at + 2]
        named = [self.lives.get(server, life), second] if name == "open" else [life, b""]
        return arguments[:at] + named + arguments[at + 2:]

    def in_parts(self, servers, name, arguments):
        """A script whose keys are pairs, a pair per partition, with two arguments and perhaps one more for each pair: a call
        per partition. One that does not answer keeps the life that is known of it."""
        count = int(arguments[2])
        keys, rest = arguments[3:3 + count], arguments[3 + count:]
        totals = [0, 0]
        for at in range(count // 2):
            partition, = partitions_in([keys[2 * at]])
            if partition in self.errors:
                continue
            part = [*arguments[:2], b"2", *keys[2 * at:2 * at + 2], *rest[:2], *rest[2 + at:3 + at]]
            if len(self.servers) > 1:
                part = self.in_own_life(name, part, self.home(partition))
            reply = servers.ask(self.home(partition), command(*part))
            if reply[:1] == b"-" and reply != CLUSTERDOWN:
                return reply
            numbers = [int(one) for one in re.findall(rb":(\d+)", reply)]
            totals = [a + b for a, b in zip(totals, numbers + [0, 0])]
            if name == "open" and (life := LIFE.search(reply)):
                self.opened[partition] = life[1]
        if name == "trim":
            return b":%d\r\n" % totals[0]
        digest = hashlib.sha1(b"".join(self.opened[number] for number in sorted(self.opened))).hexdigest().encode()
        return b"*3\r\n:%d\r\n:%d\r\n" % tuple(totals) + bulk(digest)
