# SPDX-License-Identifier: MIT
"""Presets that depend on the address of Redis; a value that is given, also an equal one, stays."""
import os
import re
import subprocess

import pytest

from support.program import PROGRAM, ROOT

ROWS = re.findall(r'^BY_ADDRESS\((\w+), "([^"]+)", "([^"]+)"\)',
                  open(f"{ROOT}/src/ops/settings_by_address.def", encoding="utf-8").read(), re.M)


def printed(name, *options, **environment):
    said = subprocess.run([PROGRAM, "--print-config", *options], capture_output=True, text=True, check=True,
                          env={**os.environ, **environment}).stdout
    return re.search(rf"^{name} = (.*)$", said, re.M)[1]


def same(name, text):
    """The value's one spelling."""
    return printed(name, f"--{name}={text}")


@pytest.mark.parametrize("name,address,preset", ROWS)
def test_a_preset_by_address_counts_unless_a_value_is_given(tmp_path, name, address, preset):
    redis = f"--redis={address}127.0.0.1:7001" + ("/name" if address == "sentinel://" else "")
    assert printed(name, redis) == same(name, preset) != printed(name)
    usual = printed(name)
    path = tmp_path / "engaged.conf"
    path.write_text(f"{name} = {usual}\n")
    assert printed(name, redis, f"--{name}={usual}") == usual
    assert printed(name, redis, "--config", str(path)) == usual
    assert printed(name, redis, **{f"ENGAGED_{name.upper()}": usual}) == usual
    path.write_text(f"redis = {redis[8:]}\n")
    assert printed(name, "--config", str(path)) == same(name, preset)
