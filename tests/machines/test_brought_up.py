# SPDX-License-Identifier: MIT
"""docs/operating.md, "Several machines": the steps from nothing to three machines behind nginx with a Sentinel group, by exactly the
files of deploy/sentinel and deploy/machines, on other addresses. Left out: the package and nginx's reload (tests/install has the package)."""
import os
import signal
import subprocess

import pytest

from support.machines import Machines, replaced
from support.ports import free_port
from support.program import ROOT
from support.wait import wait_until

S = "/v1/s"
SECRETS = {"engaged.secret": "ab" * 32, "engaged.hash_key": "cd" * 32, "engaged.secret_key": "k"}


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """What deploy/sentinel/start brings up: the ports of the Sentinels."""
    folder = tmp_path_factory.mktemp("sentinel")
    ports = [free_port() for _ in range(6)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([f"{ROOT}/deploy/sentinel/start", folder / "servers"], stdout=log, stderr=log,
                                   env={**os.environ, "PORTS": " ".join(map(str, ports))})
    try:
        wait_until(lambda: " is up: " in (folder / "log").read_text() or process.poll() is not None, 100, (folder / "log").read_text)
        assert process.poll() is None, (folder / "log").read_text()
        yield ports[3:]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture(scope="module")
def machines(group, tmp_path_factory):
    credentials = tmp_path_factory.mktemp("credentials")
    for name, secret in SECRETS.items():
        (credentials / name).write_text(secret + "\n")
        (credentials / name).chmod(0o400)
    with open(os.path.join(ROOT, "deploy/machines/engaged.conf"), encoding="utf-8") as file:
        text = replaced(file.read(), "10.0.0.10", "127.0.0.1")
    for number, port in enumerate(group, 1):
        text = replaced(text, f"10.0.0.2{number}:26379", f"127.0.0.1:{port}")
    not_given = dict.fromkeys(("redis", "secret", "hash_key", "secret_key", "trusted_proxies", "rate_limits"))
    with Machines(configuration=text, store="of the file", environment={"CREDENTIALS_DIRECTORY": str(credentials)}, **not_given) as three:
        yield three


def test_the_steps_bring_up_one_service_on_three_machines(machines):
    for machine in machines:
        wait_until(lambda machine=machine: b"of 3 machines" in machine.get("/readyz").body, 30, lambda machine=machine: machine.get("/readyz").body)
    visitor = machines.ask("POST", f"{S}/visitors", source="127.0.1.1").json["visitor"]
    votes = [machines.ask("POST", f"{S}/items/a/votes", source=f"127.0.{number}.1", Engaged_Visitor=visitor) for number in range(1, 20)]
    assert {(vote.status, vote.json["votes"]["up"]) for vote in votes} == {(200, 1)}
    assert len(set(map(machines.that_answered, votes))) == 3
    assert machines[1].keyed("PUT", f"{S}/items/a", {"title": "A"}).status == 200
    assert machines[2].get(f"{S}/items/a").json["title"] == "A"
