# SPDX-License-Identifier: MIT
"""The examples of docs/rendering.md: nginx with SSI and a cache in front, a server-side template. Also
what caches and tools make of the answers: proxies that undo %2F, curl's ETag round trip."""
import gzip
import http.server
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.request

import pytest

from support.ports import free_port
from support.program import ROOT

SITE = "/v1/sample"
ITEM = "harbour-bridge-reopens"


def blocks(language):
    with open(os.path.join(ROOT, "docs/rendering.md"), encoding="utf-8") as file:
        return re.findall(rf"^```{language}\n(.*?)^```", file.read(), re.M | re.S)


def fetch(port, path):
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        body = answer.read()
        return (gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body).decode()


@pytest.fixture(scope="module")
def filled(service):
    cards = [{"item": f"a{n}", "title": f"Article <{n}>", "url": f"/a{n}"} for n in range(12)]
    cards += [{"item": ITEM, "title": "Harbour bridge", "url": "/bridge"},
              {"item": "https://example.org/a/b", "title": "By its URL", "url": "https://example.org/a/b"}]
    assert service.lines(f"{SITE}/items", cards).json["accepted"] == 14
    events = [{"type": "view", "item": card["item"], "visitor": f"v{n}"} for card in cards for n in range(4)]
    assert service.lines(f"{SITE}/events?wait=true", events).json["accepted"] == 56
    return service


@pytest.fixture
def nginx(filled):
    """nginx with the document's two pieces, and a page that includes a fragment."""
    outer, inner = blocks("nginx")
    include = re.search(r"<!--#include .*? -->", open(os.path.join(ROOT, "docs/rendering.md"), encoding="utf-8").read()).group()
    port, plain_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with open(f"{folder}/page.html", "w", encoding="utf-8") as file:
            file.write(f"<h1>Bridge</h1>{include}<p>end</p>")
        service = f"127.0.0.1:{filled.port}"
        configuration = f"""
            daemon off; pid {folder}/pid; error_log {folder}/error warn; worker_processes 1; {user_line()}
            events {{}}
            http {{
                access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
                fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
                {outer.replace("proxy_cache_path cache", f"proxy_cache_path {folder}/cache")}
                server {{
                    listen 127.0.0.1:{port}; root {folder}; default_type text/html;
                    add_header X-Cache $upstream_cache_status;
                    {inner.replace("127.0.0.1:8080", service)}
                }}
                server {{ listen 127.0.0.1:{plain_port}; location / {{ proxy_pass http://{service}; }} }}
            }}"""
        with open(f"{folder}/conf", "w", encoding="utf-8") as file:
            file.write(configuration)
        process = subprocess.Popen(["/usr/sbin/nginx", "-c", f"{folder}/conf", "-p", folder],
                                   stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                fetch(port, "/page.html")
                break
            except OSError:
                time.sleep(0.05)
        yield port, plain_port
        process.terminate()
        process.wait(10)


def user_line():
    return "user root;" if os.geteuid() == 0 else ""


def test_ssi_include(nginx):
    page = fetch(nginx[0], "/page.html")
    assert page.startswith("<h1>Bridge</h1><ol class=\"engaged engaged-related\">") and page.endswith("</ol>\n<p>end</p>")
    assert page.count("<li class=\"engaged-item\"") == 5 and "Article &lt;" in page and "#include" not in page


def test_cache_in_front_obeys_and_revalidates(nginx, filled):
    path = f"/engaged/items/{ITEM}/page"
    def ask():
        with urllib.request.urlopen(f"http://127.0.0.1:{nginx[0]}{path}", timeout=10) as answer:
            return answer.headers["X-Cache"], answer.read()
    first, body = ask()
    assert first == "MISS"
    before = filled.metric_sum("engaged_http_requests_total")
    assert ask() == ("HIT", body)
    assert filled.metric_sum("engaged_http_requests_total") == before + 1  # the metrics' own
    time.sleep(2.1)  # past s-maxage: stale goes out while nginx asks again
    state, again = ask()
    assert state in ("EXPIRED", "UPDATING", "STALE", "MISS") and again == body


@pytest.mark.parametrize("which, prefix", [(0, "/engaged"), (1, SITE)])
def test_ids_that_are_urls_behind_a_proxy(nginx, which, prefix):
    asked = "id=https%3A%2F%2Fexample.org%2Fa%2Fb"
    assert '"By its URL"' in fetch(nginx[which], f"{prefix}/items/-?{asked}")
    assert '"related"' in fetch(nginx[which], f"{prefix}/items/-/page?{asked}")
    if which == 1:  # without a path behind proxy_pass nginx passes the address on as it came
        assert '"By its URL"' in fetch(nginx[which], f"{prefix}/items/https%3A%2F%2Fexample.org%2Fa%2Fb")


def test_server_side_template(filled):
    names = {}
    exec(blocks("python")[0], names)  # pylint: disable=exec-used
    shown = list(names["boxes"]("sample", ITEM, f"http://127.0.0.1:{filled.port}"))
    assert [part.split("</h2>")[0] for part in shown] == ["<h2>related", "<h2>ranking", "<h2>recommendation"]
    assert all("<li><a href=" in part for part in shown[:2]) and "&lt;" in "".join(shown)


def test_etag_round_trip_of_curl(filled, tmp_path):
    url = f"http://127.0.0.1:{filled.port}{SITE}/items/{ITEM}/page"
    def curl(*options):
        done = subprocess.run(["curl", "-s", "-o", str(tmp_path / "body"), "-w", "%{http_code} %{size_download}", *options,
                               url], stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.split()
    tag = str(tmp_path / "tag")
    assert curl("--etag-save", tag)[0] == "200"
    assert curl("--etag-compare", tag) == ["304", "0"]
    assert curl("--compressed", "--etag-compare", tag) == ["304", "0"]


@pytest.mark.parametrize("path", ["items/a1", "items?id=a1", "rankings", "rankings/hot", "rankings/hot?format=html",
                                  "items/a1/related", "items/a1/related?format=feed", "items/a1/page"])
def test_head_says_what_get_would(filled, path):
    get = filled.get(f"{SITE}/{path}")
    head = filled.request("HEAD", f"{SITE}/{path}")
    assert head.status == get.status == 200 and not head.body
    for name in ("content-length", "content-type", "etag", "cache-control", "vary"):
        assert head.headers[name] == get.headers[name]


class EsiPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f'<h1>Bridge</h1><esi:include src="{SITE}/items/{ITEM}/related?limit=5&amp;format=html"/><p>end</p>'
                         .encode())

    def log_message(self, *_):
        pass


def test_varnish_esi_include(filled, tmp_path):
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EsiPage)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    port = free_port()
    (tmp_path / "vcl").write_text(f"""vcl 4.1;
        backend page {{ .host = "127.0.0.1"; .port = "{pages.server_port}"; }}
        backend engaged {{ .host = "127.0.0.1"; .port = "{filled.port}"; }}
        sub vcl_recv {{ set req.backend_hint = page; if (req.url ~ "^/v1/") {{ set req.backend_hint = engaged; }} }}
        sub vcl_backend_response {{ if (bereq.url !~ "^/v1/") {{ set beresp.do_esi = true; }} }}""")
    varnish = subprocess.Popen(["/usr/sbin/varnishd", "-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-f",
                                str(tmp_path / "vcl"), "-n", str(tmp_path / "work"), "-s", "malloc,16m"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        page, end = "", time.time() + 20
        while not page and time.time() < end:
            try:
                page = fetch(port, "/article")
            except OSError:
                time.sleep(0.1)
        assert page.startswith('<h1>Bridge</h1><ol class="engaged engaged-related">') and page.endswith("</ol>\n<p>end</p>")
        assert page.count('<li class="engaged-item"') == 5
    finally:
        varnish.terminate()
        varnish.wait(10)
        pages.shutdown()
