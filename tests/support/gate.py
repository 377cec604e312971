# SPDX-License-Identifier: MIT
"""A gate between any browser and the service, which counts, blocks or slows down what passes; and a publisher's server for
pages of another origin."""
import http.client
import http.server
import json
import threading
import time
import urllib.parse

HOP = ("connection", "keep-alive", "transfer-encoding", "host", "content-length")


class Call:
    def __init__(self, method, path, body, token):
        self.method, self.path, self.status, self.answer = method, path, None, b""
        self.body, self.token = body, token

    @property
    def target(self):
        """Without the site and the query, as /items/x/votes with the item's own name."""
        path = urllib.parse.urlsplit(self.path).path
        return urllib.parse.unquote("/" + path.split("/", 3)[3]) if path.startswith("/v1/") else path

    @property
    def visitor(self):
        try:
            return json.loads(self.body).get("visitor")
        except ValueError:
            return None

    @property
    def json(self):
        return json.loads(self.answer)

    def __repr__(self):
        return f"{self.method} {self.path} {self.status}"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A browser that leaves is no fault."""


class Gate:
    """Passes all to the service. `away`: /v1 is not answered; `delays`: (end of the target, seconds) by which an answer,
    made in time, comes late."""

    def __init__(self, service):
        self.service, self.away, self.delays, self.calls = service, False, [], []
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # noqa: N802
                gate.handle(self)

            do_POST = do_PUT = do_DELETE = do_OPTIONS = do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.origin = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self):
        self.away, self.delays, self.calls = False, [], []

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        call = Call(request.command, request.path, body, request.headers.get("Engaged-Visitor"))
        self.calls.append(call)
        if self.away and request.path.startswith("/v1/"):
            request.close_connection = True
            return
        answer, data = self.forward(request, body)
        call.status, call.answer = answer.status, data
        time.sleep(max([seconds for end, seconds in self.delays if call.target.endswith(end)], default=0))
        request.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                request.send_header(name, value)
        if answer.status not in (204, 304):
            request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def forward(self, request, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
            connection.request(request.command, request.path, body or None, {**headers, "Host": request.headers["Host"]})
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def of(self, method, end):
        return [call for call in list(self.calls) if call.method == method and call.target.endswith(end)]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Publisher:
    """Pages of a publisher: `pages` is path → HTML, or (policy, HTML). Each name before .localhost is an origin of its
    own, so that a page there finds an empty storage."""

    def __init__(self):
        self.pages = pages = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802
                found = pages.get(self.path.split("?")[0])
                policy, text = found if isinstance(found, tuple) else (None, found)
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                if policy:
                    self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path, name=""):
        return f"http://{name + '.' if name else ''}localhost:{self.server.server_port}{path}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
