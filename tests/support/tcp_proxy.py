# SPDX-License-Identifier: MIT
"""A process with small TCP proxies before the nodes of a Cluster: a node can be cut off without root.

Each node calls from a loopback address of its own, so a proxy knows who calls. The arguments are `port:target:owner`, one a
proxy. Each line of the input says who hears nobody any more: words `A-B` (owners, "*" for all, "clients" for who is no
node). A connection of such a pair stays open and silent, as packets that are lost make it; what it held arrives later.
"""
import asyncio
import sys

CLIENTS = "clients"
CHUNK = 65536


class Cuts:
    def __init__(self):
        self.pairs, self.changed = set(), asyncio.Event()

    def take(self, words):
        self.pairs = {tuple(word.split("-")) for word in words}
        self.changed.set()
        self.changed = asyncio.Event()

    def hold(self, one, other):
        return any(pair in self.pairs for pair in ((one, other), (other, one), (one, "*"), (other, "*")))

    async def wait_open(self, one, other):
        while self.hold(one, other):
            await self.changed.wait()


def name_of(address):
    """Nodes call from 127.0.1.<number + 1>."""
    return str(int(address.rsplit(".", 1)[1]) - 1) if address.startswith("127.0.1.") else CLIENTS


async def pump(cuts, caller, owner, reader, writer):
    try:
        while data := await reader.read(CHUNK):
            await cuts.wait_open(caller, owner)
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        await cuts.wait_open(caller, owner)  # nor does anybody hear that it has ended
        writer.close()


def serve(cuts, target, owner):
    async def take(reader, writer):
        caller = name_of(writer.get_extra_info("peername")[0])
        try:
            await cuts.wait_open(caller, owner)
            back = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(cuts, caller, owner, reader, back[1]), pump(cuts, caller, owner, back[0], writer))
    return take


async def main():
    cuts = Cuts()
    for argument in sys.argv[1:]:
        port, target, owner = argument.split(":")
        await asyncio.start_server(serve(cuts, int(target), owner), "127.0.0.1", int(port), backlog=512)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("ready", flush=True)
    while line := await lines.readline():
        cuts.take(line.decode().split())
        print("taken", flush=True)


asyncio.run(main())
