// SPDX-License-Identifier: MIT
// Answers of unknown length, in chunks, and the back-pressure of both directions.
#include "http/http_inside.h"
#include <assert.h>

// Answers to earlier pipelined requests go out at the end of this turn, or in the next.
static void send_soon(struct conn *conn) {
    if (!conn->running)
        server_ready(conn);
}

static bool is_slow(const struct conn *conn) {
    return conn->state != CONN_CLOSING && output_unsent(conn) > conn->server->limits.output;
}

void http_stream_begin(struct http_request *request, const struct http_reply *reply) {
    struct exchange *exchange = (struct exchange *)request;
    struct conn *conn = reply_conn(exchange);
    struct buffer *out = conn ? output_open(conn) : NULL;
    assert(!exchange->streaming);
    exchange->streaming = true;
    exchange->chunking = !exchange->head.version_1_0;
    exchange->streamed_status = reply->status;
    if (!out)
        return;
    struct http_reply head = *reply;
    head.close = head.close || exchange->head.version_1_0; // the end of the connection is the end of the body
    reply_head(exchange, &head, out);
    send_soon(conn);
}

bool http_stream_piece(struct http_request *request, struct bytes piece, void (*on_drain)(struct http_request *)) {
    struct exchange *exchange = (struct exchange *)request;
    struct conn *conn = reply_conn(exchange);
    struct buffer *out = conn ? output_open(conn) : NULL;
    assert(exchange->streaming);
    if (!out || exchange->head.is_head || piece.len == 0)
        return true;
    exchange->streamed += piece.len;
    if (exchange->chunking)
        buffer_addf(out, "%zx\r\n", piece.len);
    buffer_add_bytes(out, piece);
    if (exchange->chunking)
        buffer_add_bytes(out, BYTES("\r\n"));
    if (is_slow(conn))
        output_flush(conn);
    else
        send_soon(conn);
    if (!is_slow(conn))
        return true;
    exchange->on_drain = on_drain;
    return false;
}

void http_stream_end(struct http_request *request) {
    struct exchange *exchange = (struct exchange *)request;
    struct conn *conn = reply_conn(exchange);
    struct buffer *out = conn ? output_open(conn) : NULL;
    assert(exchange->streaming);
    if (out && exchange->chunking && !exchange->head.is_head)
        buffer_add_bytes(out, BYTES("0\r\n\r\n"));
    exchange->on_drain = NULL;
    if (out)
        reply_note(exchange, exchange->streamed_status, exchange->streamed, false);
    else
        reply_note_cut(exchange);
    reply_done(exchange);
}

void http_pause(struct http_request *request) {
    ((struct exchange *)request)->paused = true;
}

void http_resume(struct http_request *request) {
    struct exchange *exchange = (struct exchange *)request;
    struct conn *conn = exchange->conn;
    exchange->resumed = exchange->paused && parse_body_is_read(exchange);
    exchange->paused = false;
    if (!conn || conn->state == CONN_CLOSING)
        return;
    if (conn->state == CONN_BODY)
        conn->deadline = uv_now(conn->server->loop) + conn->server->limits.request_timeout_ms;
    if (!conn->running)
        server_ready(conn);
}
