# SPDX-License-Identifier: MIT
"""The Debian package: lintian has nothing to say; in a bare Debian 12 it is installed, configured by its own README, started
by the line of its unit, installed again over a changed configuration, and purged."""
import glob
import os
import re
import shutil
import subprocess

import pytest

from support.bare_debian import Started, as_user
from support.documents import blocks
from support.program import ROOT, VERSION

URL = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def package():
    with open("/etc/os-release", encoding="utf-8") as file:
        if 'VERSION_ID="12"' not in file.read():
            pytest.skip("this machine is no Debian 12, so the package would be for another one")
    subprocess.run(["make", "-s", "deb"], cwd=ROOT, check=True, env={**os.environ, "DEBFULLNAME": "A Builder", "DEBEMAIL": "builder@publisher.example"})
    return next(path for path in glob.glob(os.path.join(ROOT, "build/deb/engaged_*.deb")))


BRING_UP, FIRST_ARTICLE = (next(text for text in blocks("docs/operating.md", "sh") if text.startswith(words)) for words in ("apt-get update", "curl "))


@pytest.fixture(scope="module")
def installed(machine, package):
    """By the document's lines of apt-get; curl is for its other lines."""
    lines = BRING_UP.splitlines()
    assert lines[0] == "apt-get update" and lines[1] == f"apt-get install -y ./{os.path.basename(package)}"
    shutil.copy(package, machine.path("/root"))
    machine.run("cd /root\n" + "\n".join(lines[:2]) + "\napt-get install -y curl", networked=True)
    return machine


def unit_of(machine):
    with open(machine.path("/lib/systemd/system/engaged.service"), encoding="utf-8") as file:
        return re.findall(r"^(\w+)=-?(.*)$", file.read(), re.M)


def start(machine):
    """As the unit says, but by hand: the credentials that are there are in a folder of the user's own."""
    lines = unit_of(machine)
    unit = dict(lines)
    machine.run(f"rm -rf /run/credentials; install -d -o {unit['User']} -m 0500 /run/credentials")
    for name in (value for key, value in lines if key == "LoadCredential"):
        if os.path.exists(machine.path(f"/etc/credstore/{name}")):
            machine.run(f"install -o {unit['User']} -m 0400 /etc/credstore/{name} /run/credentials/{name}")
    service = Started(machine, [*as_user(unit["User"]), *unit["ExecStart"].split()], {"CREDENTIALS_DIRECTORY": "/run/credentials"})
    service.wait_ready(machine, URL + "/readyz")
    return service


def readme_commands(machine):
    """The block of its README that configures it, without the start by systemd."""
    with open(machine.path("/usr/share/doc/engaged/README.Debian"), encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.startswith("    ")]
    assert BRING_UP.splitlines()[2:-1] == lines, "the document has the same"
    assert lines[-1] == "systemctl start engaged" and len(lines) > 1
    return "\n".join(lines[:-1])


@pytest.mark.skipif(not shutil.which("lintian"), reason="no lintian")
def test_lintian_has_nothing_to_say(package):
    changes = glob.glob(os.path.join(ROOT, "build/deb/*.changes"))
    done = subprocess.run(["lintian", "--allow-root", "--pedantic", "--display-experimental", *changes], stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
    fields = subprocess.run(["dpkg-deb", "-f", package, "Maintainer", "Version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert fields == f"Maintainer: A Builder <builder@publisher.example>\nVersion: {VERSION}\n"


def test_it_is_enabled_and_waits_to_be_configured(installed):
    assert os.path.islink(installed.path("/etc/systemd/system/multi-user.target.wants/engaged.service"))
    awaited = [installed.path(value[1:]) for key, value in unit_of(installed) if key == "ConditionPathExists" and value[0] == "|"]
    assert len(awaited) == 2 and not any(map(os.path.exists, awaited))
    installed.run(readme_commands(installed))
    assert [os.stat(path).st_mode & 0o777 for path in awaited if os.path.exists(path)] == [0o600]


def test_it_starts_by_the_line_of_its_unit_and_keeps_its_data(installed):
    service = start(installed)
    with open(installed.path("/etc/credstore/engaged.secret_key"), encoding="ascii") as file:
        key = f"Authorization: Bearer {file.read()}"
    card = ["-X", "PUT", "-H", key, "-H", "Content-Type: application/json", "-d", '{"title": "T", "url": "https://e.example/a"}']
    assert installed.curl(*card, URL + "/v1/s/items/a")[0] == 200, service.log()
    assert installed.curl(*card[:2], "-d", "{}", "-H", "Content-Type: application/json", URL + "/v1/s/items/b")[0] == 401
    assert installed.status("http://127.0.0.1:8081/metrics") == 200
    assert service.stop() == 0, service.log()
    folder = os.stat(installed.path("/var/lib/engaged"))
    assert folder.st_mode & 0o777 == 0o700 and folder.st_uid != 0
    service = start(installed)
    assert '"T"' in installed.curl(URL + "/v1/s/items/a/page")[1]
    assert service.stop() == 0, service.log()


def test_its_first_article(installed):
    service = start(installed)
    assert "ready" in installed.run(BRING_UP.splitlines()[-1])
    shown = installed.run(FIRST_ARTICLE)
    assert service.stop() == 0, service.log()
    assert '"A first article"' in shown and '"counted":true' in shown.replace(" ", ""), shown


def test_a_changed_configuration_stays_and_a_purge_leaves_the_data(installed):
    with open(installed.path("/etc/engaged.conf"), "a", encoding="utf-8") as file:
        file.write("max_age = 7\n")
    installed.run("dpkg -i /root/engaged_*.deb")
    assert "max_age = 7" in installed.run("engaged", "--print-config", "--config", "/etc/engaged.conf").replace("7s", "7")
    installed.run("apt-get purge -y -qq engaged")
    assert not os.path.exists(installed.path("/etc/engaged.conf")) and not os.path.exists(installed.path("/usr/bin/engaged"))
    assert os.path.exists(installed.path("/var/lib/engaged/secrets"))
