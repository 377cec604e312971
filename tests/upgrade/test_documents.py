# SPDX-License-Identifier: MIT
"""The commands of docs/upgrading.md on one machine: an upgrade of an older program, and the way back. The folders are those of a
test, systemd and apt-get are played, everything else is called as it stands there."""
import os
import re
import subprocess

import pytest

from support.documents import blocks, text_of
from support.launch import end
from support.old_program import Upgraded, format_of, old_program
from support.program import PROGRAM, options_of
from support.redis_server import RedisServer
from support.wait import wait_until

OLD = "7e164bf"  # 0.1.0, of format 3
VOTES = 20


class Host(Upgraded):
    """A machine with the package: `run` takes the lines of a block."""

    def __init__(self, root):
        self.root, self.data = root, os.path.join(root, "var/lib/engaged")
        self.bin = os.path.join(root, "bin/engaged")
        for folder in ("bin", "var/lib/engaged", "etc"):
            os.makedirs(os.path.join(root, folder))
        self.packages = {"engaged_0.1.0_amd64.deb": old_program(OLD)}
        self.install("engaged_0.1.0_amd64.deb")
        super().__init__(self.bin, configuration=f"secret_key = k\nredis = embedded:{self.data}\n", redis=f"embedded:{self.data}")

    def install(self, package):
        if os.path.lexists(self.bin):
            os.unlink(self.bin)
        os.symlink(self.packages.get(package, PROGRAM), self.bin)

    def played(self, words):
        """What systemd or apt-get would do; False: it is another's command."""
        if words[:2] == ["systemctl", "stop"]:
            self.end()
        elif words[:2] == ["systemctl", "start"]:
            self.start()
        elif words[0] == "apt-get":
            running = self.process.poll() is None
            self.install(os.path.basename(words[-1]))
            if running:  # the package restarts the service
                self.go_on_with(self.bin)
        return words[0] in ("systemctl", "apt-get")

    def run(self, block):
        for line in block.splitlines():
            line = line.replace("-o engaged -g engaged ", "").replace("/etc/engaged.conf", self.settings["config"])
            line = line.replace("/var/", f"{self.root}/var/")
            if not self.played(line.split()):
                environment = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
                done = subprocess.run(["sh", "-ec", line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
                assert done.returncode == 0, (line, done.stdout)

    def vote(self, visitors):
        for number in visitors:
            assert self.keyed("POST", "/v1/s/items/a/votes", {"kind": "up"}, Engaged_Visitor=f"v{number}").status == 200

    def count(self):
        return self.get("/v1/s/items/a").json["votes"]["up"]

    def format(self):
        done = subprocess.run(["redis-cli", "-s", f"{self.data}/redis.sock", "HGET", "engaged:meta", "format"], stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()


@pytest.fixture
def host(tmp_path):
    one = Host(str(tmp_path))
    yield one
    one.judge(end(one.process))


def test_the_commands_of_an_upgrade_and_of_the_way_back(host):
    upgrade, back = blocks("docs/upgrading.md", "sh")
    host.vote(range(VOTES))
    host.run(upgrade)
    assert host.format() == str(format_of("HEAD"))
    host.vote(range(VOTES, 2 * VOTES))
    assert host.count() == 2 * VOTES

    host.end()
    host.install("engaged_0.1.0_amd64.deb")
    status, said = host.refusal()
    assert status == 1 and "of a newer program" in said
    host.install("engaged_0.2.0_amd64.deb")
    host.start()
    assert host.count() == 2 * VOTES, "the older program changes nothing"

    host.run(back)
    wait_until(lambda: host.count() == VOTES, 20, host.log)
    assert host.format() == str(format_of(OLD))
    host.vote(range(VOTES))
    assert host.count() == VOTES, "their voters are known"


def test_the_way_back_with_a_given_redis(tmp_path):
    """The old program on the new one's data is refused and changes nothing; then the sentence's commands."""
    saving, emptying = re.search(r"save and empty the Redis \(`(.*?)`,\s`(.*?)`\)", text_of("docs/upgrading.md")).groups()
    with RedisServer(repl_diskless_sync_delay=0) as server:
        service = Upgraded(old_program(OLD), redis=server.url, secret="11" * 32, hash_key="22" * 32)
        try:
            vote = {"method": "POST", "path": "/v1/s/items/a/votes", "body": {"kind": "up"}}
            assert service.keyed(**vote, Engaged_Visitor="v").status == 200
            backup = str(tmp_path / "before.rdb")
            subprocess.run([service.program, "backup", backup, *options_of(service.settings)], stdout=subprocess.DEVNULL, check=True)
            service.go_on_with(PROGRAM)
            assert service.keyed(**vote, Engaged_Visitor="w").json["votes"]["up"] == 2
            service.end()
            service.program = old_program(OLD)
            before = {key: server.client().dump(key) for key in server.client().scan_iter()}
            assert service.refusal()[0] == 1
            assert {key: server.client().dump(key) for key in server.client().scan_iter()} == before and before
            for command in (saving, emptying):
                subprocess.run(command.replace("redis-cli", f"redis-cli -p {server.port}"), shell=True, cwd=tmp_path, check=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            assert os.path.getsize(tmp_path / "newer.rdb")
            service.start()
            subprocess.run([service.program, "restore", backup, *options_of(service.settings)], stdout=subprocess.DEVNULL, check=True)
            wait_until(lambda: service.get("/v1/s/items/a").json["votes"]["up"] == 1, 20, service.log)
        finally:
            service.stop()
