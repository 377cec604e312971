# SPDX-License-Identifier: MIT
"""Every call of a site, with a body that it accepts, for tests of what all calls have in common."""
import json

SHARED, PRIVATE, PUBLISHER = "shared", "private", "publisher"
JSON, NDJSON = "application/json", "application/x-ndjson"


class Call:
    def __init__(self, kind, method, path, status, body=None, media=JSON):
        self.kind, self.method, self.path, self.status, self.media = kind, method, path, status, media
        self.body = body if body is None or isinstance(body, str) else json.dumps(body)

    def __repr__(self):
        return f"{self.method} {self.path}"

    def at(self, site, item="a"):
        """Its address, the item as one segment that is escaped already; of its query's own parameter the example."""
        return site + self.path.replace("{item}", item)

    def send(self, service, site, item="a", address=None, method=None, **headers):
        if self.body is not None and method is None:
            headers.setdefault("Content_Type", self.media)
        if self.kind == PUBLISHER:
            headers.setdefault("Authorization", "Bearer k")
        return service.request(method or self.method, address or self.at(site, item), None if method else self.body, **headers)

    @property
    def is_image(self):
        """Its answer is always an image: an error would be a broken image on a page."""
        return self.path.endswith("view.gif")

    def refused(self, answer, code, *statuses):
        """With this code; of the image, as ever, and without a token."""
        if self.is_image:
            assert (answer.status, len(answer.body), answer.headers["content-type"]) == (200, 43, "image/gif"), (self, answer.body)
            assert "set-cookie" not in answer.headers and "engaged-visitor" not in answer.headers
        else:
            assert answer.status in (statuses or (400,)) and answer.json["code"] == code, (self, answer.status, answer.body)

    def with_query(self, site, query, item="a"):
        address = self.at(site, item)
        return address + ("&" if "?" in address else "?") + query


CALLS = [
    Call(PRIVATE, "POST", "/visitors", 201, {}),
    Call(PRIVATE, "POST", "/items/{item}/votes", 200, {}),
    Call(PRIVATE, "DELETE", "/items/{item}/votes", 200),
    Call(PRIVATE, "POST", "/items/{item}/views", 202, {}),
    Call(PRIVATE, "GET", "/items/{item}/view.gif", 200),
    Call(PRIVATE, "GET", "/me?id=a&id=b", 200),
    Call(PRIVATE, "POST", "/me", 200, {"ids": ["a"], "recommendations": 3}),
    Call(PRIVATE, "GET", "/me/recommendations", 200),
    Call(PRIVATE, "DELETE", "/me", 202),
    Call(SHARED, "GET", "/items/{item}", 200),
    Call(SHARED, "GET", "/items?id=a&id=b", 200),
    Call(SHARED, "GET", "/items/{item}/series", 200),
    Call(SHARED, "GET", "/series?step=day", 200),
    Call(SHARED, "GET", "/rankings", 200),
    Call(SHARED, "GET", "/rankings/hot", 200),
    Call(SHARED, "GET", "/items/{item}/related", 200),
    Call(SHARED, "GET", "/items/{item}/page", 200),
    Call(PUBLISHER, "PUT", "/items/{item}", 200, {"title": "t"}),
    Call(PUBLISHER, "PUT", "/items/{item}/editorial", 200, {"boost": 2}),
    Call(PUBLISHER, "GET", "/editorial", 200),
    Call(PUBLISHER, "DELETE", "/items/{item}/editorial", 204),
    Call(PUBLISHER, "POST", "/items", 200, '{"item":"a","title":"t"}\n', NDJSON),
    Call(PUBLISHER, "POST", "/events", 200, '{"type":"view","item":"a","visitor":"u"}\n', NDJSON),
    Call(PUBLISHER, "GET", "/export", 200),
    Call(PUBLISHER, "POST", "/import", 200, '{"type":"item","item":"a","title":"t"}\n', NDJSON),
    Call(PUBLISHER, "POST", "/corrections", 202, {"visitor": "nobody"}),
    Call(PUBLISHER, "GET", "/corrections", 200),
    Call(PUBLISHER, "GET", "/audit", 200),
    Call(PUBLISHER, "DELETE", "/items/{item}", 204),
]
READS = [call for call in CALLS if call.method == "GET"]
OF_ITEMS = [call for call in CALLS if "{item}" in call.path]
