// SPDX-License-Identifier: MIT
// Exchanges: one request with its answer, from a free list of the server. An exchange lives until the application has
// answered, even if its connection has closed.
#include "base/clock.h"
#include "http/http_inside.h"
#include <stdlib.h>

enum { BODY_KEPT = 1 << 10, HEAD_KEPT = 2 << 10, ARENA_KEPT = 2 << 10 };

static struct exchange *exchange_new(struct http_server *server) {
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    exchange->server = server;
    arena_init(&exchange->arena, server->limits.arena);
    buffer_init(&exchange->head_raw, server->limits.head);
    return exchange;
}

struct exchange *exchange_take(struct conn *conn) {
    struct http_server *server = conn->server;
    struct exchange *exchange = server->free_exchanges;
    if (exchange) {
        server->free_exchanges = exchange->next;
        server->free_exchange_count--;
    } else if (!(exchange = exchange_new(server))) {
        return NULL;
    }
    server->exchange_count++;
    exchange->conn = conn;
    exchange->request = (struct http_request){.arena = &exchange->arena, .app = server->app, .peer = conn->peer};
    head_begin(&exchange->head);
    if (!server->run_ns)
        server->run_ns = clock_mono_ns();
    exchange->began_ns = server->run_ns;
    exchange->plan = (struct http_body_plan){HTTP_BODY_REFUSE, 0};
    exchange->body_decoded = exchange->body_raw = 0;
    exchange->chunk = CHUNK_SIZE;
    exchange->on_drain = NULL;
    exchange->outcome = OK;
    exchange->dispatched = exchange->answered = exchange->whole = exchange->paused = exchange->resumed = false;
    exchange->streaming = exchange->chunking = exchange->closes = exchange->noted = false;
    exchange->streamed = exchange->unsent = 0;
    return exchange;
}

static void exchange_free(struct exchange *exchange) {
    arena_release(&exchange->arena);
    buffer_release(&exchange->head_raw);
    buffer_release(&exchange->body);
    free(exchange);
}

static void empty_buffer(struct buffer *buffer, size_t kept) {
    if (buffer->capacity > kept)
        buffer_release(buffer);
    else
        buffer_clear(buffer);
}

void exchange_put(struct exchange *exchange) {
    struct http_server *server = exchange->server;
    server->exchange_count--;
    if (server->free_exchange_count >= POOL_MAX || server->stopping) {
        exchange_free(exchange);
        server_check_stopped(server);
        return;
    }
    if (exchange->arena.taken > ARENA_KEPT)
        arena_release(&exchange->arena);
    else
        arena_reset(&exchange->arena);
    empty_buffer(&exchange->head_raw, HEAD_KEPT);
    empty_buffer(&exchange->body, BODY_KEPT);
    exchange->next = server->free_exchanges;
    server->free_exchanges = exchange;
    server->free_exchange_count++;
}

void exchange_free_all(struct http_server *server) {
    while (server->free_exchanges) {
        struct exchange *exchange = server->free_exchanges;
        server->free_exchanges = exchange->next;
        exchange_free(exchange);
    }
    server->free_exchange_count = 0;
}

static struct bytes piece_of(const struct exchange *exchange, struct span span) {
    return (struct bytes){exchange->head_raw.at + span.at, span.len};
}

static bool fill_fields(struct exchange *exchange) {
    const struct head *head = &exchange->head;
    for (uint32_t left = head->present; left; left &= left - 1) {
        int field = __builtin_ctz(left);
        struct bytes value = piece_of(exchange, head->kept[field]);
        if (head->repeated & 1u << field) {
            value = head_join(buffer_bytes(&exchange->head_raw), (enum http_field)field, &exchange->arena);
            if (!value.at)
                return false;
        }
        exchange->request.fields[field] = value;
    }
    return true;
}

static void fill_target(struct http_request *request, struct bytes target) {
    if (target.len == 0 || target.at[0] == '?') { // absolute-form without a path
        request->path = BYTES("/");
        request->query = target.len ? (struct bytes){target.at + 1, target.len - 1} : NO_BYTES;
        request->target = target.len ? target : BYTES("/");
        return;
    }
    const char *mark = memchr(target.at, '?', target.len);
    request->target = request->path = target;
    if (!mark)
        return;
    request->path.len = (size_t)(mark - target.at);
    request->query = (struct bytes){mark + 1, target.len - request->path.len - 1};
}

bool exchange_fill(struct exchange *exchange, struct bytes raw) {
    const struct head *head = &exchange->head;
    buffer_add_bytes(&exchange->head_raw, raw);
    if (exchange->head_raw.failed)
        return false;
    fill_target(&exchange->request, piece_of(exchange, head->target));
    if (head->absolute)
        exchange->request.host = piece_of(exchange, head->authority);
    else if (head->has_host)
        exchange->request.host = piece_of(exchange, head->host);
    exchange->request.method = head->method;
    exchange->request.has_body = head->chunked || head->length > 0;
    return fill_fields(exchange);
}

void exchange_abandon(struct exchange *exchange) {
    void (*on_drain)(struct http_request *) = exchange->on_drain;
    exchange->conn = NULL;
    exchange->on_drain = NULL;
    if (exchange->streaming && !exchange->answered)
        reply_note_cut(exchange);
    if (!exchange->dispatched || exchange->answered)
        exchange_put(exchange);
    else if (!exchange->whole && exchange->plan.kind == HTTP_BODY_STREAM)
        exchange->server->callbacks.on_cut(&exchange->request);
    else if (on_drain)
        on_drain(&exchange->request);
}
