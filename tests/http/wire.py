# SPDX-License-Identifier: MIT
"""A client that sends exactly the bytes it is told to and reads answers strictly."""
import socket
import struct
import time


class Answer:
    def __init__(self, status, reason, fields, body):
        self.status, self.reason, self.fields, self.body = status, reason, fields, body

    @property
    def text(self):
        return self.body.decode()

    def __getitem__(self, name):
        """The one value of a field, None when absent; twice is an error."""
        values = [value for key, value in self.fields if key == name.lower()]
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.status} {self.body[:80]!r}>"


class Closed(Exception):
    """The server closed where an answer was expected."""


class Wire:
    def __init__(self, to, timeout=8, receive_buffer=None):
        family = socket.AF_UNIX if isinstance(to, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(to if isinstance(to, str) else ("127.0.0.1", to))
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def shut(self):
        """Sends no more, goes on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def more(self):
        data = self.socket.recv(65536)
        self.held += data
        return len(data)

    def until(self, mark):
        while mark not in self.held:
            if not self.more():
                raise Closed(self.held)
        head, _, self.held = self.held.partition(mark)
        return head

    def exactly(self, count):
        parts, have = [self.held], len(self.held)
        while have < count:
            data = self.socket.recv(65536)
            if not data:
                raise Closed(b"".join(parts))
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self.held = whole[count:]
        return whole[:count]

    def rest(self):
        """All that comes until the server closes; a reset raises."""
        while self.more():
            pass
        data, self.held = self.held, b""
        return data

    def chunks(self):
        body = b""
        while True:
            size = int(self.until(b"\r\n"), 16)
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"
            if size == 0:
                return body

    def answer(self, to="GET"):
        head = self.until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        version, status, reason = first.split(" ", 2)
        assert version == "HTTP/1.1"
        fields = [(name.lower(), value.strip()) for name, value in (line.split(":", 1) for line in lines)]
        answer = Answer(int(status), reason, fields, b"")
        if answer.status >= 200:
            assert answer["date"], "every answer has a Date"
        if to == "HEAD" or answer.status in (204, 304) or answer.status < 200:
            return answer
        if answer["transfer-encoding"] == "chunked":
            answer.body = self.chunks()
        elif answer["content-length"] is not None:
            answer.body = self.exactly(int(answer["content-length"]))
        else:
            answer.body = self.rest()
        return answer

    def answers(self):
        """All answers until the server closes."""
        found = []
        while True:
            try:
                found.append(self.answer())
            except Closed as closed:
                assert closed.args[0] == b"", "the server closed in the middle of an answer"
                return found

    def is_open(self, after=0.1):
        """False when the server closes within the time; an answer still unread does not count."""
        self.socket.settimeout(after)
        try:
            return self.more() > 0
        except (socket.timeout, TimeoutError):
            return True
        except ConnectionError:
            return False

    def seconds_until_closed(self):
        began = time.monotonic()
        try:
            self.rest()
        except ConnectionError:
            pass
        return time.monotonic() - began


def request(target="/hello", method="GET", version="HTTP/1.1", fields=("Host: x",), body=b""):
    head = "".join(line + "\r\n" for line in (f"{method} {target} {version}", *fields, ""))
    return head.encode("latin-1") + body
