# SPDX-License-Identifier: MIT
"""A TCP proxy before a Redis that knows which connection listens for keys that have changed: what Redis says to it, or to the
others, is held back, and connections are cut. Threads of the test."""
import contextlib
import socket
import threading

LISTENER, READER = "listener", "reader"
SUBSCRIBES = b"SUBSCRIBE\r\n$20\r\n__redis__:invalidate"


class Link:
    """One connection: what its client has asked, and what kind it is by that."""

    def __init__(self, client, server):
        self.client, self.server, self.asked = client, server, b""

    @property
    def kind(self):
        return LISTENER if SUBSCRIBES in self.asked else READER

    def cut(self):
        for sock in (self.client, self.server):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class Links:
    """`with Links(redis.port) as links`: the address is redis://127.0.0.1:{links.port}."""

    def __init__(self, target):
        self.target, self.links, self.held = target, [], set()
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.let_go(LISTENER, READER)
        self.listener.close()
        for link in self.links:
            link.cut()

    def of(self, kind):
        return [link for link in self.links if link.kind == kind]

    def hold(self, *kinds):
        """What Redis says to connections of these kinds waits; what they say does not."""
        with self.changed:
            self.held.update(kinds)

    def let_go(self, *kinds):
        with self.changed:
            self.held.difference_update(kinds)
            self.changed.notify_all()

    def cut(self, kind):
        for link in self.of(kind):
            link.cut()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                link = Link(client, server)
                self.links.append(link)
                for pump in (self.ask, self.answer):
                    threading.Thread(target=self.run, args=(link, pump), daemon=True).start()

    def run(self, link, pump):
        with contextlib.suppress(OSError):
            pump(link)
        link.cut()
        with contextlib.suppress(ValueError):
            self.links.remove(link)

    @staticmethod
    def ask(link):
        while data := link.client.recv(1 << 16):
            link.asked = link.asked[-4096:] + data if link.kind == READER else link.asked
            link.server.sendall(data)

    def answer(self, link):
        while data := link.server.recv(1 << 16):
            with self.changed:
                self.changed.wait_for(lambda: link.kind not in self.held)
            link.client.sendall(data)
