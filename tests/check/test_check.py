# SPDX-License-Identifier: MIT
"""Each rule of make check finds a violation that is planted in a copy of the tree."""
import os
import shutil
import subprocess
import sys

import pytest

from support.program import ROOT

PLANTED = [
    ("direction", "src/base/bytes.c", '#include "model/names.h"\n'),
    ("direction", "src/store/store.c", '#include "http/http.h"\n'),
    ("cycles", "src/base/bytes.h", '#include "base/buffer.h"\n'),
    ("third_party", "src/model/names.c", "#include <uv.h>\n"),
    ("headers_alone", "src/base/times.h", "struct missing_type planted_function(struct not_there *, unknown_t);\n"),
    ("format", "src/base/bytes.c", "int   planted ;\n"),
    ("lengths", "src/base/bytes.c", "\n" * 500),
    ("lengths", "lua/item.lua", "\n" * 400),
    ("lengths", "src/ops/metrics.def", "\n" * 400),
    ("lengths", "src/web/demo.js", "\n" * 400),
    ("twice", "src/base/bytes.c", "struct buffer {\n    int planted;\n};\n"),
    ("twice", "src/base/bytes.c", "struct body {\n    int planted;\n};\n"),
    ("headings", "src/base/bytes.c", "// See docs/design.md, \"Planted\".\n"),
    ("headings", "src/base/bytes.c", "// See section \"Planted\".\n"),
    ("headings", "docs/operating.md", "See [there](design.md), \"Planted\".\n"),
    ("headings", "docs/operating.md", "See section \"Planted\".\n"),
    ("twice", "src/base/store.c", "// A file of another room has this name.\n"),
    ("named", "src/base/bytes.c", "// See store/planted.c.\n"),
    ("named", "src/base/bytes.c", "// As `" + "planted_" + "name` does.\n"),
    ("named", "src/base/bytes.c", "// As planted" + "call() does.\n"),
    ("named", "lua/item.lua", "-- As in tests/planted_" + "folder/.\n"),
    ("named", "docs/operating.md", "The setting `planted_" + "setting`.\n"),
    ("named", "docs/operating.md", "See `src/planted.c`.\n"),
    ("links", "docs/operating.md", "See [there](planted.md).\n"),
    ("links", "docs/operating.md", "See [there](api.md#planted).\n"),
    ("words", "src/base/bytes.c", "enum { PLANTED_MOST = 1 };\n"),
    ("words", "src/base/bytes.c", "static int refill_planted;\n"),
    ("words", "src/base/bytes.c", "static int on_mark;\n"),
    ("words", "src/base/bytes.c", "// As DESIGN says.\n"),
    ("words", "docs/operating.md", "A shelf.\n"),
    *[("words", "docs/operating.md", f"A planted {word}.\n") for word in ("hand", "mark", "door", "lane", "greeting", "torn", "gather")],
    ("words", "src/base/bytes.c", "// An editor's hand.\n"),
    ("words", "src/redis/address.c", "// It leaves a tombstone.\n"),
    ("fields", "src/api/health.c", "static void planted(void) {\n    json_key(json, BYTES(\"planted\"));\n}\n"),
    ("fields", "docs/metrics.md", "| `engaged_planted_total` | counter |\n"),
    ("fields", "docs/errors.md", "| `planted` | 418 |\n"),
    ("declarations", "src/base/bytes.h", "struct planted {\n    struct bytes\n        planted; // long\n};\n"),
    ("modules", "src/base/buffer.c", '#include "base/bytes.h"\n#include "base/json_out.h"\n'),
    ("functions", "src/base/bytes.c", "static int planted(void) {\n" + "    planted();\n" * 80 + "}\n"),
    ("opening", "src/base/planted.c", "int planted;\n"),
    ("scripts", "lua/planted.lua", "-- KEYS and Reply, but not the other\nreturn 1\n"),
    ("documents", "src/base/outcomes.def", 'OUTCOME(PLANTED, 418, "planted", "Planted")\n'),
    ("documents", "src/ops/metrics.def", 'METRIC(PLANTED, counter, "engaged_planted_total", "", "Planted")\n'),
    ("documents", "src/ops/settings.def", 'SWITCH(planted, true, "Planted")\n'),
    ("contract", "src/api/routes.def", 'ROUTE(GET, "/planted", planted_start, HEALTH, NONE, 0)\n'),
    ("contract", "src/base/outcomes.def", 'OUTCOME(PLANTED, 418, "planted", "Planted")\n'),
    ("documents", "src/api/routes.def", 'ROUTE(GET, "/planted", planted_start, HEALTH, NONE, 0)\n'),
    ("widget", "src/widget/start.js", "".join(f"tell({n * n}, 'planted');\n" for n in range(400))),
    ("manuals", "src/ops/settings.def", 'SWITCH(planted, true, "Planted")\n'),
    ("manuals", "src/ops/settings.def", 'FRACTION(planted, 1, "Planted")\n'),
    ("manuals", "src/roles/tools.def", 'TOOL(planted, "Planted")\n'),
    ("manuals", "deploy/man/engaged.8.in", ".planted\n"),
    ("sentences", "docs/api.md", "- A sentence that is planted.\n"),
    ("sentences", "src/api/routes.def", 'ROUTE(GET, "/v1/{site}/planted", planted_start, SHARED, NONE, 0)\n'),
    ("sentences", "tests/check/untried.txt", "Lists | a sentence that is not there | planted\n"),
    ("sentences", "tests/check/untried.txt", "Lists | limit is 1 to 100 |\n"),
    ("sentences", "tests/check/untried.txt", "Lists | limit is 1 to 100 | though a test tries it\n"),
    ("sentences", "tests/api/test_planted.py", 'import pytest\npytestmark = pytest.mark.contract("Lists", "limit is 1 to 99")\n'),
    ("sentences", "tests/api/test_planted.py", 'import pytest\npytestmark = pytest.mark.contract("Lists")\n'),
]


# Put in place of another text: what a line at the end cannot show.
CHANGED = [
    ("version", "Makefile", "VERSION := 0", "VERSION := 77", "src/web/openapi.json: the version is 0"),
    ("version", "CHANGELOG.md", "## 0.2.0 (", "## 0.2 (", "CHANGELOG.md: the version is 0.2,"),
    ("version", "README.md", "Version 0", "Versions 0", "README.md: the version is not there"),
    ("fields", "src/web/openapi.json", '"done_at": ', '"planted_at": ', "the field or parameter planted_at"),
    ("fields", "docs/api.md", "`done_at`", "`planted_at`", "the field or parameter done_at"),
    ("contract", "src/web/openapi.json", '"/healthz": {', '"/planted": {', "GET /healthz is missing"),
    ("contract", "src/web/openapi.json", '"/healthz": {', '"/planted": {', "GET /planted is no route"),
    ("contract", "src/web/openapi.json", '"bad_limit",', "", "bad_limit"),
    ("contract", "src/web/openapi.json", '"bad_limit",', '"bad_limit", "planted",', "planted"),
    ("packages", "deploy/debian/control", "libssl-dev,", "planted,", "the build needs libssl-dev"),
    ("packages", "deploy/container/Dockerfile", "libssl-dev ", "", "the build needs libssl-dev"),
    ("manuals", "deploy/engaged.conf", "# demo = on", "# planted = on", "demo has no sentences"),
    ("manuals", "deploy/man/engaged.conf.5.in", "@SETTINGS@", "@PLANTED@", "@PLANTED@ is not filled in"),
    ("manuals", "deploy/man/engaged.conf.5.in", "@SETTINGS@", "", "listen of src/ops/settings.def is not there once"),
    ("sentences", "docs/api.md", "- Reading never counts anything.", "- Reading counts nothing.", "no test names 'Reading counts nothing.'"),
    ("sentences", "docs/api.md", "- Reading never counts anything.", "", "0 sentences of 'Reading' begin with 'Reading never counts anything'"),
    ("sentences", "docs/api.md", "### Reading", "### Reads", "no test names 'Reading never counts anything.'"),
    ("widget_document", "docs/widget.md", "| `rel` |", "| `planted` |", "the attribute rel is missing"),
    ("widget_document", "docs/widget.md", "| `rel` |", "| `planted` |", "planted is no attribute"),
    ("widget_document", "docs/widget.md", "| `data-debug` |", "| `data-planted` |", "data-planted is no script's attribute"),
    ("widget_document", "docs/widget.md", "| `kept` |", "| `planted` |", "the text kept is missing"),
    ("widget_document", "docs/widget.md", "`skeleton`", "`planted`", "the part skeleton is missing"),
    ("widget_document", "docs/widget.md", "| `--engaged-focus` |", "| `--engaged-planted` |", "--engaged-planted is no variable"),
    ("widget_document", "docs/widget.md", "| `engaged.page(item?)` |", "| `engaged.planted()` |", "engaged.planted is no typed method"),
    ("widget_document", "docs/widget.md", "| `engaged:consent` |", "| `engaged:planted` |", "the event engaged:consent is missing"),
    ("widget_document", "src/widget/start.js", "window.engaged = { ", "window.engaged = { planted, ", "the name engaged.planted is missing"),
    ("widget_document", "src/web/widget.d.ts", "'engaged:view':", "'engaged:planted':", "the typed event engaged:planted is missing"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the tree. Each test changes one file of it, and puts it back."""
    copied = tmp_path_factory.mktemp("copy") / "tree"
    for folder in ("src", "lua", "deploy", "docs", "tests", "loadtest"):
        shutil.copytree(os.path.join(ROOT, folder), copied / folder, ignore=shutil.ignore_patterns("__pycache__", "artefacts"))
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", ".clang-format", "Makefile"):
        shutil.copy(os.path.join(ROOT, name), copied / name)
    return copied


def faults_of(tree, rule, path, change):
    """What a rule of make check says of the tree while one file is changed."""
    file, is_there = tree / path, (tree / path).exists()
    before = file.read_text(encoding="utf-8") if is_there else ""
    after = change(before)
    assert after != before
    file.write_text(after, encoding="utf-8")
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests/check/check.py"), str(tree), rule],
                          stdout=subprocess.PIPE, text=True)
    if is_there:
        file.write_text(before, encoding="utf-8")
    else:
        file.unlink()
    assert done.returncode == 1
    return done.stdout.splitlines()


@pytest.mark.parametrize("rule,path,text", PLANTED, ids=[f"{p[0]}-{p[1]}" for p in PLANTED])
def test_a_planted_violation_is_found(tree, rule, path, text):
    faults = faults_of(tree, rule, path, lambda before: before + text)
    assert any(line.startswith(rule + ":") for line in faults), faults


@pytest.mark.parametrize("rule,path,old,new,fault", CHANGED, ids=[f"{c[0]}-{c[4]}" for c in CHANGED])
def test_a_change_that_is_one_is_found(tree, rule, path, old, new, fault):
    faults = faults_of(tree, rule, path, lambda before: before.replace(old, new, 1))
    assert any(line.startswith(rule + ":") and fault in line for line in faults), faults
