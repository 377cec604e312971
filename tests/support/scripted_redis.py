# SPDX-License-Identifier: MIT
"""A Redis that answers by rules: a proxy before a real redis-server, one thread a connection, one command at a time.

A rule says which command it is for (a script of lua/ by its name, any other by its own; None for all), what is done, how
often, and for which arguments. Commands and connections are counted.
"""
import contextlib
import glob
import hashlib
import os
import socket
import threading
import time

from support.ports import free_port
from support.program import ROOT, script_text
from support.redis_server import RedisServer

NAMES = [os.path.basename(path)[:-4] for path in glob.glob(f"{ROOT}/lua/*.lua")]
SCRIPTS = {hashlib.sha1(script_text(name)).hexdigest(): name for name in NAMES}


class Cut(Exception):
    """The connection ends here."""


def read_bulk(file, length):
    return file.read(int(length) + 2) if int(length) >= 0 else b""


def read_command(file):
    head = file.readline()
    if not head:
        raise Cut
    arguments = []
    raw = head
    for _ in range(int(head[1:])):
        size = file.readline()
        text = read_bulk(file, size[1:])
        raw += size + text
        arguments.append(text[:-2])
    return arguments, raw


def read_reply(file):
    line = file.readline()
    if not line:
        raise Cut
    if line[:1] == b"$":
        return line + read_bulk(file, line[1:])
    if line[:1] == b"*":
        return line + b"".join(read_reply(file) for _ in range(int(line[1:])))
    return line


def name_of(arguments):
    name = arguments[0].decode().lower()
    return SCRIPTS.get(arguments[1].decode(), name) if name == "evalsha" else name


# ---- What can be done with a command: (the connection's client side, its reply from Redis as a function, with its words)

def answer(raw):
    return lambda client, ask: client.sendall(raw)


def after(seconds):
    def act(client, ask):
        reply = ask()
        time.sleep(seconds)
        client.sendall(reply)
    return act


def cut_in_the_middle(client, ask):
    reply = ask()
    client.sendall(reply[:max(1, len(reply) // 2)])
    raise Cut


def reset(client, ask):
    raise Cut


def be_silent(client, ask):
    ask()


def shift(redis, seconds):
    """Redis tells a time that is off by so much."""
    def act(client, ask):
        ask()
        text = f"{time.time() + seconds:.6f}".split(".")
        client.sendall(b"*2\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(part), part.encode()) for part in text))
    redis.obey_redis()
    redis.rule("time", act)


class ScriptedRedis:
    def __enter__(self):
        self.redis = RedisServer().start()
        self.begin("127.0.0.1")
        return self

    def begin(self, host):
        self.rules, self.counts, self.connects, self.clients = [], {}, 0, set()
        self.seen = []  # each command: number of its connection, name, words
        self.lock = threading.Lock()
        self.host, self.port = host, free_port()
        self.listen()

    def listen(self):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.listener = socket.create_server((self.host, self.port), family=family)
        threading.Thread(target=self.accept, daemon=True).start()

    def go_away(self):
        """Nobody listens any more, and all connections are cut. `listen()` takes it back."""
        for sock in (self.listener, *list(self.clients)):  # close() alone would not wake who reads
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __exit__(self, *_):
        self.go_away()
        self.redis.stop()

    def client(self):
        return self.redis.client()

    def own_answer(self, words):
        """The reply that stands for that of Redis; None: Redis is asked."""

    def rule(self, name, action, times=10**9, when=lambda arguments: True):
        with self.lock:
            self.rules.append([name, action, times, when])

    def obey_redis(self):
        with self.lock:
            self.rules.clear()

    def accept(self):
        listener = self.listener
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connects += 1
            self.clients.add(client)
            threading.Thread(target=self.serve, args=(client, self.connects), daemon=True).start()

    def action_for(self, name, arguments):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1
            for rule in self.rules:
                if rule[0] in (None, name) and rule[2] > 0 and rule[3](arguments):
                    rule[2] -= 1
                    return rule[1]
        return None

    def serve(self, client, number):
        try:
            with client, socket.create_connection(("127.0.0.1", self.redis.port)) as server:
                commands, replies = client.makefile("rb"), server.makefile("rb")
                while True:
                    words, raw = read_command(commands)
                    self.seen.append((number, name_of(words), words))

                    def ask(raw=raw, own=self.own_answer(words)):
                        if own is None:
                            server.sendall(raw)
                        return own or read_reply(replies)

                    ask.words = words
                    action = self.action_for(name_of(words), words)
                    if action:
                        action(client, ask)
                    else:
                        client.sendall(ask())
        except (Cut, OSError, ValueError):
            pass
        finally:
            self.clients.discard(client)
