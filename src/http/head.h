// SPDX-License-Identifier: MIT
// The scan of a raw request head: the one parser of its grammar. It decides method, framing and keep-alive; llhttp
// reads chunked bodies only (parse.c).
//
// The head is scanned once, line by line as the lines arrive, so a bad line is refused at once however slowly the rest
// comes. Every line ends with CR LF and holds no other control byte than tabs; no line begins with a space; field names
// are tokens; the request line ends with HTTP/1.0 or HTTP/1.1; one valid Host; only `chunked` as transfer coding; one
// plain Content-Length. What it finds is kept as offsets, because the bytes may still move. Pure: no sockets.
#pragma once
#include "http/http.h"

struct span {
    uint32_t at, len;
};

struct head {
    uint32_t line;   // offset of the line being read
    uint32_t seen;   // offset up to which no line end was found
    uint32_t fields; // whole field lines so far
    bool request_line_done;

    enum http_method method;
    bool version_1_0;
    bool is_head;           // method HEAD
    bool close, keep_alive; // options of Connection
    bool expect_continue;
    bool chunked;
    bool has_length;
    bool has_host;
    bool absolute;     // absolute-form: `authority` names the host
    uint64_t length;   // Content-Length
    uint32_t present;  // bit per enum http_field
    uint32_t repeated; // bit per enum http_field that occurs more than once
    struct span target, authority, host;
    struct span kept[HTTP_FIELD_COUNT]; // valid where `present` says so; the first of repeated ones

    enum outcome outcome; // why it is bad
    const char *detail;
};

enum head_state { HEAD_MORE, HEAD_WHOLE, HEAD_BAD };

void head_begin(struct head *head);
// `raw` holds all bytes from the request line's first on; each call may bring more. HEAD_WHOLE: *ret_len is the head's
// length with its empty line.
enum head_state head_scan(struct head *head, struct bytes raw, const struct http_limits *limits, size_t *ret_len);
// All values of a repeated field, joined by ", ", in the arena; {NULL, 0} when they do not fit. `raw` is a whole head
// that passed the scan.
struct bytes head_join(struct bytes raw, enum http_field field, struct arena *arena);
