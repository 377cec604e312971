# SPDX-License-Identifier: MIT
"""The image and the compose file. No Docker runs here: the Dockerfile's lines are carried out in bare systems, `docker-compose
config` reads the compose file, and the same processes are started with the same environment, addresses and names."""
import json
import os
import re

import pytest

from support.bare_debian import Started, as_user
from support.dockerfile import carry_out
from support.documents import blocks
from support.program import ROOT

FOLDER = os.path.join(ROOT, "deploy/container")
READERS = ("203.0.113.5", "203.0.113.6")


@pytest.fixture(scope="module")
def image(put_tree):
    stage = carry_out(os.path.join(FOLDER, "Dockerfile"), put_tree)
    try:
        yield stage
    finally:
        stage.machine.remove()


def start_image(image, **environment):
    return Started(image.machine, [*as_user(image.user), *image.entry], {**image.environment, **environment})


def test_the_image_works_without_any_setting_and_keeps_its_data_in_its_volume(image):
    service = start_image(image)
    service.wait_ready(image.machine, "http://127.0.0.1:8080/readyz")
    image.machine.run("/bin/sh", "-c", image.health)
    assert image.machine.curl("-X", "POST", "http://127.0.0.1:8080/v1/s/items/a/views")[0] in (200, 202)
    assert service.stop() == 0, service.log()
    assert os.stat(image.machine.path("/data/secrets")).st_uid == 10001
    lines = [json.loads(line) for line in service.log().splitlines()]
    assert any("redis-server: " in line["text"] for line in lines) and all(line["time"] for line in lines)
    assert "redis.log" not in os.listdir(image.machine.path("/data"))


def test_a_service_that_is_away_is_not_healthy(image):
    with pytest.raises(AssertionError):
        image.machine.run("/bin/sh", "-c", image.health)


# ---- The compose file

@pytest.fixture(scope="module")
def composed(image):
    """What docker-compose makes of it, with the file .env that the document's command writes."""
    machine = image.machine
    machine.install("--no-install-recommends docker-compose nginx-light iproute2 openssl")
    machine.run("mkdir -p /compose/deploy/container")
    for name in ("deploy/container/compose.yaml", "deploy/container/nginx.conf", "deploy/redis.conf"):
        with open(os.path.join(ROOT, name), "rb") as source, open(machine.path(f"/compose/{name}"), "wb") as copy:
            copy.write(source.read())
    command = next(text for text in blocks("docs/operating.md", "sh") if "docker compose" in text)
    lines = [line for line in command.splitlines() if "docker compose" not in line]
    with pytest.raises(AssertionError, match="ENGAGED_SECRET"):
        machine.run("cd /compose/deploy/container; docker-compose config -q")
    machine.run("cd /compose; " + "\n".join(lines))
    shown = machine.run("cd /compose/deploy/container; docker-compose config | "
                        "python3 -c 'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))'")
    return json.loads(shown)


def addresses(composed):
    """An address for each service: its own, or one of a network of the file."""
    found = {}
    for number, (name, service) in enumerate(sorted(composed["services"].items())):
        networks = service["networks"]
        networks = networks if isinstance(networks, dict) else dict.fromkeys(networks)
        own = [one["ipv4_address"] for one in networks.values() if one]
        found[name] = own[0] if own else f"172.30.81.{100 + number}"
    return found


@pytest.fixture(scope="module")
def running(image, composed):
    machine, services = image.machine, composed["services"]
    names = addresses(composed)
    for address in [*names.values(), *READERS]:
        machine.run(f"ip address add {address}/32 dev lo")
    # Here one machine has all addresses, so it is said whose the proxy's calls come from.
    machine.run(f"ip route replace local {names['engaged']} dev lo src {names['nginx']} table local")
    with open(machine.path("/etc/hosts"), "a", encoding="ascii") as file:
        file.writelines(f"{address} {name}\n" for name, address in names.items())
    for service in services.values():
        for source, target in (volume.split(":")[:2] for volume in service.get("volumes", ())):
            machine.run(f"mkdir -p $(dirname {target}); cp {source} {target}" if source.startswith("/") else f"rm -rf {target}; mkdir {target}")
    started = [Started(machine, services["redis"]["command"])]
    limits = {"ENGAGED_NEW_VISITORS_PER_MINUTE": "1", "ENGAGED_NEW_VISITORS_BURST": "1"}  # so that a test sees who is who
    started.append(start_image(image, **services["engaged"]["environment"], **limits))
    started[-1].wait_ready(machine, "http://127.0.0.1:8081/readyz")
    started.append(Started(machine, ["nginx", "-g", "daemon off;"]))
    started[-1].wait_ready(machine, "http://127.0.0.1:80/healthz")
    yield machine, services["engaged"]["environment"], started
    assert [one.stop() for one in reversed(started)] == [0, 0, 0], started[1].log()


def test_nginx_of_debian_takes_the_file_for_three_machines(image, composed):
    """As it is, with the folders that Debian's package makes; `composed` has installed nginx."""
    with open(os.path.join(ROOT, "deploy/machines/nginx.conf"), "rb") as source, open(image.machine.path("/etc/nginx/machines.conf"), "wb") as copy:
        copy.write(source.read())
    assert "test is successful" in image.machine.run("nginx -t -c /etc/nginx/machines.conf")


def test_the_service_keeps_its_address_when_it_is_made_again(composed):
    """nginx asks for the address of a name at its start only."""
    with open(os.path.join(FOLDER, "nginx.conf"), encoding="utf-8") as file:
        (name,) = re.findall(r"server (\w+):8080;", file.read())
    assert set(composed["services"][name]["networks"]["front"]) == {"ipv4_address"}


def visitor(machine, reader):
    return machine.curl("--interface", reader, "-X", "POST", "-H", "X-Forwarded-For: 198.51.100.1", "http://127.0.0.1/v1/s/visitors")[0]


def test_readers_behind_the_proxy_are_told_apart(running):
    machine, _, _ = running
    assert [visitor(machine, reader) for reader in READERS] == [201, 201]
    assert [visitor(machine, reader) for reader in READERS] == [429, 429]


def test_the_key_of_the_file_opens_the_publishers_calls_and_data_is_in_the_given_redis(running):
    machine, environment, started = running
    card = ["-X", "PUT", "-H", "Content-Type: application/json", "-d", '{"title": "T"}', "http://127.0.0.1/v1/s/items/a"]
    assert machine.curl(*card)[0] == 401
    assert machine.curl("-H", f"Authorization: Bearer {environment['ENGAGED_SECRET_KEY']}", *card)[0] == 200, started[1].log()
    assert "engaged:meta" in machine.run("redis-cli --scan --pattern 'engaged:*'")


def test_operators_reach_metrics_and_the_log_is_json(running):
    machine, _, started = running
    assert "engaged_" in machine.run("curl -s http://engaged:8081/metrics")
    assert all(json.loads(line) for line in started[1].log().splitlines())
