# SPDX-License-Identifier: MIT
"""A setting's old name is taken, but a file that holds it beside the present one sets it twice."""
import re
import subprocess

import pytest

from support.program import PROGRAM, ROOT

RENAMED = re.findall(r"^RENAMED\((\w+), (\w+)\)", open(f"{ROOT}/src/ops/settings_renamed.def", encoding="utf-8").read(), re.M)


@pytest.mark.parametrize("old, now", RENAMED)
@pytest.mark.parametrize("text, right", [("{old} = off\n", True), ("{old} = off\n{now} = on\n", False), ("{now} = on\n{old} = off\n", False)])
def test_both_names_in_one_file_are_one_setting(tmp_path, old, now, text, right):
    path = tmp_path / "engaged.conf"
    path.write_text(text.format(old=old, now=now))
    check = subprocess.run([PROGRAM, "check", "--config", path], capture_output=True, text=True, check=False)
    assert (check.returncode == 0) == right
    assert right or f"{path}:2: {now}: it is set twice" in check.stderr
