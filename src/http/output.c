// SPDX-License-Identifier: MIT
// Unsent bytes of a connection. The answers of one turn of the loop are collected in `out`, a buffer of the server's
// free list. output_flush writes it and gives it back. Bytes that the socket does not take become `sending`, the one
// queued write; later answers wait in a new `out`. conn.c stops reading above limits.output.
#include "http/http_inside.h"
#include <stdlib.h>

static struct output *output_take(struct http_server *server) {
    struct output *output = server->free_outputs;
    if (output) {
        server->free_outputs = output->next;
        server->free_output_count--;
        server->free_output_bytes -= output->data.capacity;
        return output;
    }
    output = calloc(1, sizeof *output);
    if (output)
        buffer_init(&output->data, (size_t)server->limits.output + REPLY_MAX);
    return output;
}

static void output_free(struct output *output) {
    buffer_release(&output->data);
    free(output);
}

static void output_put(struct http_server *server, struct output *output) {
    if (output->data.capacity > OUTPUT_KEPT)
        buffer_release(&output->data);
    if (server->free_output_count >= POOL_MAX || server->free_output_bytes + output->data.capacity > OUTPUTS_KEPT) {
        output_free(output);
        return;
    }
    buffer_clear(&output->data);
    output->next = server->free_outputs;
    server->free_outputs = output;
    server->free_output_count++;
    server->free_output_bytes += output->data.capacity;
}

void output_free_all(struct http_server *server) {
    while (server->free_outputs) {
        struct output *output = server->free_outputs;
        server->free_outputs = output->next;
        output_free(output);
    }
    server->free_output_count = 0;
    server->free_output_bytes = 0;
}

void output_release(struct conn *conn) {
    if (conn->out)
        output_put(conn->server, conn->out);
    if (conn->sending)
        output_put(conn->server, conn->sending);
    conn->out = conn->sending = NULL;
}

struct buffer *output_open(struct conn *conn) {
    if (conn->state == CONN_CLOSING)
        return NULL;
    if (!conn->out && !(conn->out = output_take(conn->server))) {
        conn_close(conn);
        return NULL;
    }
    return &conn->out->data;
}

size_t output_unsent(const struct conn *conn) {
    return (conn->out ? conn->out->data.len : 0) +
           (conn->sending ? uv_stream_get_write_queue_size(&conn->uv.stream) : 0);
}

static void on_drained(struct conn *conn) {
    struct exchange *exchange = conn->exchange;
    if (exchange && exchange->on_drain && output_unsent(conn) <= conn->server->limits.output) {
        void (*on_drain)(struct http_request *) = exchange->on_drain;
        exchange->on_drain = NULL;
        on_drain(&exchange->request);
    }
    server_ready(conn);
}

static void on_written(uv_write_t *write, int status) {
    struct output *output = write->data;
    struct conn *conn = output->conn;
    if (conn->state == CONN_CLOSING) // on_closed gives the buffers back
        return;
    conn->sending = NULL;
    output_put(conn->server, output);
    if (status < 0) {
        conn_close(conn);
        return;
    }
    output_flush(conn);
    if (conn->state != CONN_CLOSING)
        on_drained(conn);
}

static void queue(struct conn *conn, size_t sent) {
    struct output *output = conn->out;
    conn->sending = output;
    conn->out = NULL;
    conn->send_deadline = uv_now(conn->server->loop) + conn->server->limits.send_timeout_ms;
    output->conn = conn;
    output->write.data = output;
    uv_buf_t rest = uv_buf_init(output->data.at + sent, (unsigned)(output->data.len - sent));
    if (uv_write(&output->write, &conn->uv.stream, &rest, 1, on_written) != 0)
        conn_close(conn);
}

void output_flush(struct conn *conn) {
    struct output *output = conn->out;
    if (!output || conn->sending || conn->state == CONN_CLOSING)
        return;
    if (output->data.failed) { // the answer is incomplete and must not look complete
        conn_close(conn);
        return;
    }
    uv_buf_t all = uv_buf_init(output->data.at, (unsigned)output->data.len);
    int sent = output->data.len ? uv_try_write(&conn->uv.stream, &all, 1) : 0;
    if (sent < 0 && sent != UV_EAGAIN) {
        conn_close(conn);
        return;
    }
    *conn->server->counters.bytes_out += output->data.len;
    if ((size_t)(sent < 0 ? 0 : sent) < output->data.len) {
        queue(conn, sent < 0 ? 0 : (size_t)sent);
        return;
    }
    conn->out = NULL;
    output_put(conn->server, output);
}
