// SPDX-License-Identifier: MIT
// Answers: status line, fields and the end of each head (Date, Connection). The end is made once a second.
#include "base/clock.h"
#include "base/times.h"
#include "http/http_inside.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct status {
    int code;
    struct bytes line;
};

static const struct status statuses[] = {
#define STATUS(code, reason) {code, BYTES("HTTP/1.1 " #code " " reason "\r\n")},
#include "base/statuses.def"
#undef STATUS
};

static void add_status(struct buffer *out, int code) {
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].code == code) {
            buffer_add_bytes(out, statuses[i].line);
            return;
        }
    buffer_addf(out, "HTTP/1.1 %d Status\r\n", code);
}

// ---- The end of a head

static const char *const tail_fields[TAIL_KINDS] = {
    [TAIL_PLAIN] = "",
    [TAIL_CLOSE] = "Connection: close\r\n",
    [TAIL_KEEP_ALIVE] = "Connection: keep-alive\r\n",
};

static void renew_tails(struct http_server *server) {
    int64_t now = clock_now_ms();
    char date[30];
    time_format_http(now, date);
    for (int kind = 0; kind < TAIL_KINDS; kind++)
        server->tail_len[kind] = (uint8_t)snprintf(server->tail_text[kind], sizeof server->tail_text[kind],
                                                   "Date: %s\r\n%s\r\n", date, tail_fields[kind]);
    server->tail_until = uv_now(server->loop) + 1000 - (uint64_t)(now % 1000);
}

static struct bytes tail(struct http_server *server, enum tail_kind kind) {
    if (uv_now(server->loop) >= server->tail_until)
        renew_tails(server);
    return (struct bytes){server->tail_text[kind], server->tail_len[kind]};
}

// A body that is not read to its end closes the connection if it is long, or if its sender waits for a 100.
static bool leaves_body(const struct exchange *exchange) {
    if (exchange->whole)
        return false;
    return exchange->plan.kind != HTTP_BODY_REFUSE || exchange->head.expect_continue || exchange->head.chunked ||
           exchange->head.length > DISCARD_MAX;
}

static bool keeps_alive(const struct head *head) {
    return !head->close && (head->keep_alive || !head->version_1_0);
}

static struct bytes reply_tail(struct exchange *exchange, bool close) {
    exchange->closes = close || !keeps_alive(&exchange->head) || exchange->server->stopping || leaves_body(exchange);
    if (exchange->closes)
        return tail(exchange->server, TAIL_CLOSE);
    return tail(exchange->server, exchange->head.version_1_0 ? TAIL_KEEP_ALIVE : TAIL_PLAIN);
}

// ---- Whole answers

bool reply_has_body(const struct exchange *exchange, int status) {
    return !exchange->head.is_head && status != 204 && status != 304;
}

void reply_head(struct exchange *exchange, const struct http_reply *reply, struct buffer *out) {
    add_status(out, reply->status);
    if (reply->media_type) {
        buffer_add_bytes(out, BYTES("Content-Type: "));
        buffer_add_bytes(out, bytes_of(reply->media_type));
        buffer_add_bytes(out, BYTES("\r\n"));
    }
    buffer_add_bytes(out, reply->fields);
    if (!exchange->streaming && reply->status != 204 && (reply->status != 304 || reply->media_type)) {
        buffer_add_bytes(out, BYTES("Content-Length: "));
        buffer_add_int(out, reply->media_type ? (int64_t)reply->body.len : 0);
        buffer_add_bytes(out, BYTES("\r\n"));
    }
    if (exchange->chunking)
        buffer_add_bytes(out, BYTES("Transfer-Encoding: chunked\r\n"));
    buffer_add_bytes(out, reply_tail(exchange, reply->close));
}

struct conn *reply_conn(struct exchange *exchange) {
    assert(exchange->dispatched && !exchange->answered);
    return exchange->conn && exchange->conn->state != CONN_CLOSING ? exchange->conn : NULL;
}

void reply_tell_counts(struct http_server *server) {
    if (server->counted && server->callbacks.on_counted)
        server->callbacks.on_counted(server->counts, server->counted, clock_mono_ns());
    server->counted = 0;
}

// Within a run the clock is read once at its end, after all its answers were written. An answer that comes later, or
// to nobody, has ended now.
static inline void count_answer(struct http_server *server, bool in_run, uint16_t route, int status, uint64_t began) {
    struct http_count *next = &server->counts[server->counted];
    if (server->counted && next[-1].began_ns == began && next[-1].route == route && next[-1].status == status) {
        next[-1].times++;
    } else {
        *next = (struct http_count){route, (uint16_t)status, 1, began};
        server->counted++;
    }
    if (server->counted == COUNTS_MAX || !in_run)
        reply_tell_counts(server);
}

static __attribute__((noinline)) void tell_answered(const struct exchange *exchange, int status, size_t body_bytes,
                                                    bool cut) {
    struct http_answered answered = {status, cut, body_bytes, (clock_mono_ns() - exchange->began_ns) / 1000};
    exchange->server->callbacks.on_answered(exchange->request.path.at ? &exchange->request : NULL, &answered);
}

void reply_note(struct exchange *exchange, int status, size_t body_bytes, bool cut) {
    struct http_server *server = exchange->server;
    if (exchange->noted)
        return;
    exchange->noted = true;
    if (server->callbacks.on_answered)
        tell_answered(exchange, status, body_bytes, cut);
    bool in_run = exchange->conn && exchange->conn->running;
    count_answer(server, in_run, exchange->request.route, status, exchange->began_ns);
}

void reply_note_cut(struct exchange *exchange) {
    size_t unsent = exchange->unsent < exchange->streamed ? exchange->unsent : exchange->streamed;
    reply_note(exchange, exchange->streamed_status, exchange->streamed - unsent, true);
}

void reply_done(struct exchange *exchange) {
    exchange->answered = true;
    if (!exchange->conn)
        exchange_put(exchange);
    else if (exchange->conn->state != CONN_CLOSING) // else on_closed gives it back
        conn_answered(exchange->conn);
}

void http_reply(struct http_request *request, const struct http_reply *reply) {
    struct exchange *exchange = (struct exchange *)request;
    struct conn *conn = reply_conn(exchange);
    struct buffer *out = conn ? output_open(conn) : NULL;
    assert(!exchange->streaming);
    if (out) {
        reply_head(exchange, reply, out);
        if (reply->media_type && reply_has_body(exchange, reply->status))
            buffer_add_bytes(out, reply->body);
    }
    bool has_body = out && reply->media_type && reply_has_body(exchange, reply->status);
    reply_note(exchange, reply->status, has_body ? reply->body.len : 0, !out);
    reply_done(exchange);
}

void http_reply_made(struct http_request *request, int status, struct bytes head, struct bytes body) {
    struct exchange *exchange = (struct exchange *)request;
    struct conn *conn = reply_conn(exchange);
    struct buffer *out = conn ? output_open(conn) : NULL;
    assert(!exchange->streaming);
    if (out) {
        buffer_add_bytes(out, head);
        buffer_add_bytes(out, reply_tail(exchange, false));
        if (!exchange->head.is_head)
            buffer_add_bytes(out, body);
    }
    reply_note(exchange, status, out && !exchange->head.is_head ? body.len : 0, !out);
    reply_done(exchange);
}

// The server's own error: the application renders its body.
static void note_error(struct conn *conn, struct exchange *exchange, int status, size_t body_bytes) {
    struct http_answered answered = {.status = status, .body_bytes = body_bytes};
    if (exchange) {
        reply_note(exchange, status, body_bytes, false);
        return;
    }
    count_answer(conn->server, conn->running, 0, status, clock_mono_ns());
    if (conn->server->callbacks.on_answered)
        conn->server->callbacks.on_answered(NULL, &answered);
}

static struct bytes error_fields(const struct http_server *server, struct exchange *exchange) {
    if (exchange && exchange->request.state && server->callbacks.error_fields_of)
        return server->callbacks.error_fields_of(&exchange->request);
    return server->callbacks.error_fields;
}

void reply_error(struct conn *conn, struct exchange *exchange, enum outcome outcome, const char *detail) {
    char capacity[ERROR_BODY_MAX];
    struct buffer body = buffer_over(capacity, sizeof capacity), *out = output_open(conn);
    if (!out)
        return;
    const char *type = conn->server->callbacks.render_error(outcome, detail, &body);
    add_status(out, outcome_status(outcome));
    buffer_addf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.failed ? 0 : body.len);
    if (outcome_status(outcome) == 503)
        buffer_add_bytes(out, BYTES("Retry-After: 1\r\n"));
    buffer_add_bytes(out, error_fields(conn->server, exchange));
    buffer_add_bytes(out, tail(conn->server, TAIL_CLOSE));
    bool has_body = !body.failed && !(exchange && exchange->head.is_head);
    if (has_body)
        buffer_add_bytes(out, buffer_bytes(&body));
    note_error(conn, exchange, outcome_status(outcome), has_body ? body.len : 0);
}

bool http_client_gone(const struct http_request *request) {
    const struct exchange *exchange = (const struct exchange *)request;
    return !exchange->conn || exchange->conn->state == CONN_CLOSING;
}
