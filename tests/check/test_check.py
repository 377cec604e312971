# SPDX-License-Identifier: MIT
"""Each rule of make check finds a violation that is planted in a copy of the tree."""
import os
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLANTED = [
    ("direction", "src/base/bytes.c", '#include "model/names.h"\n'),
    ("cycles", "src/base/bytes.h", '#include "base/buffer.h"\n'),
    ("third_party", "src/model/names.c", "#include <uv.h>\n"),
    ("headers_alone", "src/base/times.h", "struct missing_type planted_function(struct not_there *, unknown_t);\n"),
    ("format", "src/base/bytes.c", "int   planted ;\n"),
    ("lengths", "src/base/bytes.c", "\n" * 500),
    ("functions", "src/base/bytes.c", "static int planted(void) {\n" + "    planted();\n" * 80 + "}\n"),
    ("opening", "src/base/planted.c", "int planted;\n"),
    ("scripts", "lua/planted.lua", "-- KEYS and Reply, but not the other\nreturn 1\n"),
    ("documents", "src/base/outcomes.def", 'OUTCOME(PLANTED, 418, "planted", "Planted")\n'),
    ("documents", "src/ops/metrics.def", 'METRIC(PLANTED, counter, "engaged_planted_total", "", "Planted")\n'),
    ("documents", "src/ops/settings.def", 'SWITCH(planted, true, "Planted")\n'),
    ("contract", "src/api/routes.def", 'ROUTE(GET, "/planted", planted_start, HEALTH, NONE, 0)\n'),
    ("contract", "src/base/outcomes.def", 'OUTCOME(PLANTED, 418, "planted", "Planted")\n'),
    ("documents", "src/api/routes.def", 'ROUTE(GET, "/planted", planted_start, HEALTH, NONE, 0)\n'),
]


@pytest.mark.parametrize("rule,path,text", PLANTED, ids=[f"{p[0]}-{p[1]}" for p in PLANTED])
def test_a_planted_violation_is_found(tmp_path, rule, path, text):
    tree = tmp_path / "tree"
    for folder in ("src", "lua", "deploy"):
        shutil.copytree(os.path.join(ROOT, folder), tree / folder)
    for name in ("README.md", ".clang-format"):
        shutil.copy(os.path.join(ROOT, name), tree / name)
    with open(tree / path, "a", encoding="utf-8") as file:
        file.write(text)
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests/check/check.py"), str(tree)],
                          stdout=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert any(line.startswith(rule + ":") for line in done.stdout.splitlines()), done.stdout
