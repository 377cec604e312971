# SPDX-License-Identifier: MIT
"""`make install` in a bare Debian 12: what it leaves starts as it is, also as the user that the unit names."""
import os

from support.bare_debian import Started, as_user

URL = "http://127.0.0.1:8080"


def test_make_install_leaves_something_that_starts(machine, put_tree):
    put_tree(machine, "/src")
    machine.install("make", "gcc", "libc6-dev")
    machine.run("cd /src && make deps", networked=True)
    machine.run("cd /src && make -s -j2 all && make -s install")
    for started in (["engaged"], [*as_user("engaged"), "engaged"]):
        service = Started(machine, [*started, "--config", "/etc/engaged.conf"])
        service.wait_ready(machine, URL + "/readyz")
        assert machine.curl("-X", "POST", URL + "/v1/s/items/a/views")[0] in (200, 202)
        assert service.stop() == 0, service.log()
        assert os.path.exists(machine.path("/var/lib/engaged/secrets"))
        machine.run("chown -R engaged:engaged /var/lib/engaged")  # as systemd does with a StateDirectory
