# SPDX-License-Identifier: MIT
"""A Redis that answers by rules: a proxy before a real redis-server, one thread a connection, one command at a time.

A rule says which command it is for (a script of lua/ by its name, any other by its own; None for all), what is done, how
often, and for which arguments. Commands and connections are counted.
"""
import glob
import hashlib
import os
import socket
import threading
import time

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


# ---- What can be done with a command: (the connection's client side, its reply from Redis as a function)

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


class ScriptedRedis:
    def __enter__(self):
        self.redis = RedisServer().start()
        self.rules, self.counts, self.connects = [], {}, 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.redis.stop()

    def client(self):
        return self.redis.client()

    def rule(self, name, action, times=10**9, when=lambda arguments: True):
        with self.lock:
            self.rules.append([name, action, times, when])

    def obey_redis(self):
        with self.lock:
            self.rules.clear()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connects += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def action_for(self, name, arguments):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1
            for rule in self.rules:
                if rule[0] in (None, name) and rule[2] > 0 and rule[3](arguments):
                    rule[2] -= 1
                    return rule[1]
        return None

    def serve(self, client):
        try:
            with client, socket.create_connection(("127.0.0.1", self.redis.port)) as server:
                commands, replies = client.makefile("rb"), server.makefile("rb")
                while True:
                    arguments, raw = read_command(commands)

                    def ask(raw=raw):
                        server.sendall(raw)
                        return read_reply(replies)

                    action = self.action_for(name_of(arguments), arguments)
                    if action:
                        action(client, ask)
                    else:
                        client.sendall(ask())
        except (Cut, OSError, ValueError):
            pass
