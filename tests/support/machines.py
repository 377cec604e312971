# SPDX-License-Identifier: MIT
"""Three machines of the service on one Redis behind nginx, with the nginx configuration of deploy/machines.

`with Machines() as machines`: `machines[0]` is one of them, a whole service with a file of settings of its own; it can be frozen,
thawed, killed and restarted with other settings. `machines.ask(…)` goes through nginx, from a loopback address of one's own;
`with Load(…)` goes on asking.
"""
import contextlib
import http.client
import itertools
import json
import os
import tempfile
import threading

from support.launch import status_at
from support.machine import Machine
from support.ports import free_port
from support.program import ROOT
from support.proxies import nginx_of
from support.redis_server import RedisServer
from support.service import Answer
from support.wait import wait_until

NGINX_CONF = os.path.join(ROOT, "deploy/machines/nginx.conf")


class Machines:
    """`settings` are those of all machines; `edit` takes the text of nginx.conf and gives another one. With a `store`, an address,
    there is no Redis of the test."""

    def __init__(self, count=3, configuration="", edit=lambda text: text, store=None, **settings):
        self.store, self.count, self.configuration, self.edit, self.settings = store, count, configuration, edit, settings
        self.machines, self.port = [], free_port()

    def __iter__(self):
        return iter(self.machines)

    def __getitem__(self, number):
        return self.machines[number]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.redis = None if self.store else stack.enter_context(RedisServer())
            for _ in range(self.count):
                self.machines.append(Machine(self.store or self.redis.url, self.configuration, **self.settings))
                stack.push(self.machines[-1].conclude)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="engaged-nginx-"))
            self.nginx = stack.enter_context(nginx_of(folder, self.nginx_conf(folder), lambda: status_at(self.port) == 200))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *failure):
        return self.stack.__exit__(*failure)

    def nginx_conf(self, folder):
        """The file of deploy/machines on other addresses."""
        with open(NGINX_CONF, encoding="utf-8") as file:
            text = file.read()
        for number, machine in enumerate(self.machines):
            text = replaced(text, f"10.0.0.1{number + 1}:8080", f"127.0.0.1:{machine.port}")
        text = replaced(text, "listen 80;", f"listen 127.0.0.1:{self.port};")
        text = replaced(text, "add_header X-Cache", "add_header X-Upstream $upstream_addr always; add_header X-Cache")
        return self.edit(replaced(text, "/var/cache/engaged", f"{folder}/cache"))

    def ask(self, method, path, body=None, source="127.0.0.2", **headers):
        """Through nginx, on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30, source_address=(source, 0))
        with contextlib.closing(client):
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = client.getresponse()
            return Answer(response, response.read())

    def that_answered(self, answer):
        """The machine that nginx asked last."""
        port = int(answer.headers["x-upstream"].rpartition(":")[2])
        return next(machine for machine in self.machines if machine.port == port)

    def make_whole(self):
        """All of them run and are ready, whatever the test before has done."""
        for machine in self.machines:
            machine.thaw()
            if not machine.is_running():
                machine.restart()
        for machine in self.machines:
            wait_until(machine.is_ready, 20, machine.log)


class Load:
    """Readers who go on calling through nginx while something happens. They stop with the block, whatever ends it.

    `call(number, reader)` is one call; what is not answered as `good` says is a fault. Only some faults are kept."""

    def __init__(self, call, readers, threads=3, good=lambda answer: answer.status == 200):
        self.call, self.good, self.over = call, good, threading.Event()
        self.calls, self.faults = 0, []
        self.threads = [threading.Thread(target=self.go_on, args=(readers[part::threads],), daemon=True) for part in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def go_on(self, readers):
        for number, reader in ((number, reader) for number in itertools.count() for reader in readers):
            if self.over.is_set() or len(self.faults) > 100:
                return
            try:
                answer = self.call(number, reader)
                if not self.good(answer):
                    self.faults.append((answer.status, answer.body[:200]))
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(repr(error))
            self.calls += 1

    def wait_more(self, count, seconds=60):
        """Until so many more calls were made."""
        enough = self.calls + count
        wait_until(lambda: self.calls >= enough or self.faults, seconds, lambda: f"only {self.calls} calls")


def replaced(text, old, new):
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)
