# SPDX-License-Identifier: MIT
"""A keep-alive HTTP client, which the tools here share."""
import http.client
import json
import os
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Client:
    def __init__(self, url, key=None):
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def call(self, method, path, body=None, content_type=None):
        headers = dict(self.headers)
        if content_type:
            headers["Content-Type"] = content_type
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None

    def get(self, path):
        return self.call("GET", path)

    def lines(self, path, rows):
        body = "".join(json.dumps(row) + "\n" for row in rows)
        done = self.call("POST", path, body.encode(), "application/x-ndjson")
        if done["rejected"]:
            raise RuntimeError(f"rejected: {done['rejected'][:3]}")
        return done["accepted"]
