# SPDX-License-Identifier: MIT
"""A Sentinel that says what the test wants: `names` is (port, epoch), an error line, or raw bytes; None: it is silent."""
import contextlib
import socket
import threading

from support.ports import free_port
from support.scripted_redis import Cut, read_command


def encode(value):
    if isinstance(value, (list, tuple)):
        return b"*%d\r\n" % len(value) + b"".join(map(encode, value))
    text = str(value).encode()
    return b"$%d\r\n%s\r\n" % (len(text), text)


class ScriptedSentinel:
    """`others` are Sentinels that it names. Its answers can be changed at any time."""

    def __init__(self, names, others=(), name="m", ident=None):
        self.names, self.others, self.name = names, others, name
        self.port = free_port()
        self.id = ident or f"id-{self.port}"
        self.asked, self.connections, self.listener = 0, [], None

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for opened in (self.listener, *self.connections):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)  # a thread that waits in accept would take one more
        self.listener.close()

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as file:
                while True:
                    words, _ = read_command(file)
                    reply = self.answer([word.decode().upper() for word in words], words)
                    if reply is not None:
                        connection.sendall(reply)
        except (Cut, OSError, ValueError):
            pass

    def answer(self, upper, words):
        verb = upper[1] if upper[0] == "SENTINEL" else upper[0]
        if verb == "MYID":
            return encode(self.id)
        if verb == "SENTINELS":
            return encode([["name", other.id, "ip", "127.0.0.1", "port", other.port, "runid", other.id, "flags", "sentinel"]
                           for other in self.others])
        if verb != "MASTER":
            return b"+OK\r\n"
        self.asked += 1
        names = self.names
        if names is None or isinstance(names, bytes):
            return names
        if isinstance(names, str):
            return f"-{names}\r\n".encode()
        if words[2].decode() != self.name:
            return b"-ERR No such master with that name\r\n"
        port, epoch = names
        return encode(["name", self.name, "ip", "127.0.0.1", "port", port, "flags", "master", "config-epoch", epoch, "quorum", 2])
