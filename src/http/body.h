// SPDX-License-Identifier: MIT
// A finished body of a shared read: bytes, gzip and ETag made once, then sent any number of times. The ETag is weak: it
// names what the bytes say, in whatever coding and whenever computed.
// http_reply_body picks 200, 304 or gzip by the
// request's If-None-Match and Accept-Encoding and adds only ready-made heads, so it allocates nothing.
#pragma once
#include "http/http.h"

struct body;

// Copies `content`; `fields` are further header lines for 200 and 304 alike (Cache-Control, CORS …), each ended by CR
// LF. An ETag of `tag` (0: of the content) and `Vary: Accept-Encoding` are added here.
// NULL without memory.
struct body *body_new(struct bytes content, const char *media_type, struct bytes fields, uint64_t tag);
void body_release(struct body *body);
// The content did not change: bytes, gzip and ETag stay, and the line `Engaged-Checked-At` is set.
void body_checked(struct body *body, int64_t checked_at_unix_ms);
struct bytes body_content(const struct body *body);
size_t body_size(const struct body *body); // at most, with the gzip representation
void http_reply_body(struct http_request *request, const struct body *body);
