# SPDX-License-Identifier: MIT
"""flood.py PORT: reads, no two of them the same, on some connections, until it is killed."""
import itertools
import select
import socket
import sys
import time

SITE, ITEMS, CONNECTIONS = "flood.example", 300, 64


def requests():
    for number in itertools.count():
        ids = "&".join(f"id=f{(number + n) % ITEMS}" for n in range(100))
        yield f"/v1/{SITE}/rankings/top?limit=100&exclude=x{number}"
        yield f"/v1/{SITE}/me/recommendations?limit=100&exclude=y{number}"
        yield f"/v1/{SITE}/items/z{number}/page?related=100&ranking=100&recommendation=100"
        yield f"/v1/{SITE}/me?{ids}"


def main(port):
    asked, open_now = requests(), {}
    while True:
        while len(open_now) < CONNECTIONS:
            try:
                client = socket.create_connection(("127.0.0.1", port), 1)
            except OSError:
                time.sleep(0.05)
                break
            client.sendall(f"GET {next(asked)} HTTP/1.1\r\nHost: flood\r\nConnection: close\r\n\r\n".encode())
            open_now[client] = None
        ready, _, _ = select.select(list(open_now), [], [], 0.1)
        for client in ready:
            try:
                ended = not client.recv(1 << 20)
            except OSError:
                ended = True
            if ended:
                del open_now[client]
                client.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
