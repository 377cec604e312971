# SPDX-License-Identifier: MIT
"""The commands of README.md and docs/api.md in a shell beside what `make run` starts; nginx and Varnish of docs/widget.md."""
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request

import pytest

from support.documents import blocks
from support.ports import free_port
from support.program import PROGRAM, ROOT
from support.proxies import nginx, varnish
from support.reports import reports_in
from support.service import Service
from support.wait import wait_until

CARD = {"item": "my-article", "title": "My article", "url": "/my-article"}


# ---- What a shell runs

@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """What `make run` does after the build, in a folder of its own: yields the folder and the port."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("deploy", "loadtest"):
        shutil.copytree(os.path.join(ROOT, name), folder / name)
    (folder / "build").mkdir()
    (folder / "build/engaged").symlink_to(PROGRAM)
    port, ops_port = free_port(), free_port()
    environment = {**os.environ, "ENGAGED_LISTEN": f"127.0.0.1:{port}", "ENGAGED_OPS_LISTEN": f"127.0.0.1:{ops_port}",
                   "ENGAGED_REFRESH_INTERVAL": "50ms"}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([folder / "deploy/run-sample"], env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: b"engaged runs on" in (folder / "log").read_bytes() or process.poll() is not None, 60, "the sample site")
        assert process.poll() is None, (folder / "log").read_text()
        yield folder, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert process.returncode == 0 and not reports_in((folder / "log").read_text())


def shell(sample, text):
    """Runs the lines one after the other; what each has printed."""
    folder, port = sample
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("curl -s ", "curl -s -w '\\n' ")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def readme(containing):
    return next(text for text in blocks("README.md", "sh") if containing in text)


def test_the_readmes_calls(sample):
    vote, unvote, view, ranking, related = shell(sample, readme("site=http"))
    assert vote["vote"] == "up" and unvote["vote"] is None and vote["votes"]["up"] == unvote["votes"]["up"] + 1
    assert view == {"item": "harbour-bridge-reopens", "counted": True}
    for found, kind in ((ranking, "ranking"), (related, "related")):
        assert found["kind"] == kind and len(found["items"]) == 3 and all(item["title"] for item in found["items"])


def test_the_publishers_calls(sample):
    card, events = blocks("docs/api.md", "sh")
    site = readme("site=http").splitlines()[0] + "\n"
    assert shell(sample, site + card)[0]["title"] == "The bridge is open"
    assert shell(sample, site + events)[0] == {"accepted": 1, "rejected": []}


# ---- What includes the boxes: docs/widget.md

def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


def widget_block(language, containing):
    return next(text for text in blocks("docs/widget.md", language) if containing in text)


@pytest.fixture(scope="module")
def filled():
    """A service of its own, because the test stops it to see what works without it."""
    running = Service()
    site = "/v1/example.org"
    cards = [CARD] + [{"item": f"b{n}", "title": f"Article {n}", "url": f"/b{n}"} for n in range(6)]
    assert running.lines(f"{site}/items", cards).json["accepted"] == 7
    events = [{"type": "view", "item": card["item"], "visitor": f"v{n}"} for card in cards for n in range(3)]
    assert running.lines(f"{site}/events?wait=true", events).json["accepted"] == 21
    yield running
    if running.process.poll() is None:
        running.stop()


def is_whole(page):
    return page.startswith('<h1>My article</h1><ol class="engaged engaged-related">') and page.count('class="engaged-item"') == 5


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(("<h1>My article</h1>" + widget_block("html", "esi:include")).encode())

    def log_message(self, *_):
        pass


def test_varnish_and_nginx_of_the_widgets_document(filled, tmp_path):
    """Both go on when the service is away."""
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    vcl = f'vcl 4.1;\nbackend pages {{ .host = "127.0.0.1"; .port = "{pages.server_port}"; }}\n' + widget_block("vcl", "backend").replace(
        '"8080"', f'"{filled.port}"')
    text = widget_block("nginx", "internal;").replace("127.0.0.1:8080", f"127.0.0.1:{filled.port}").replace(
        "/var/cache/engaged", f"{tmp_path}/cache")
    outer, inner = re.fullmatch(r"(proxy_cache_path [^\n]*\n)(.*)", text, re.S).groups()
    (tmp_path / "article.html").write_text("<h1>My article</h1>" + widget_block("html", "include virtual"))
    tmp_path.chmod(0o755)
    with varnish(tmp_path, vcl, fetch) as esi, nginx(tmp_path, outer, inner, fetch) as ssi:
        assert is_whole(fetch(esi, "/article")), fetch(esi, "/article")
        assert is_whole(fetch(ssi, "/article.html")), fetch(ssi, "/article.html")
        filled.stop()
        time.sleep(1.2)  # what the caches hold is no longer fresh
        assert is_whole(fetch(ssi, "/article.html")) and is_whole(fetch(esi, "/article"))
    pages.shutdown()
