// SPDX-License-Identifier: MIT
// The limit on the memory that all connections of a server hold for slow clients: incomplete requests, waiting input,
// unsent answers. Each connection has its own limits; this one is for ten thousand slow connections together. The
// connection that has held memory longest is closed first, because an honest client holds it only for a moment.
#include "http/http_inside.h"
#include <utlist.h>

static size_t room_of(const struct output *output) {
    return output ? output->data.capacity : 0;
}

// A request that the application works on does not count, nor does an answer that is sent at once: neither is the
// client's fault.
static size_t holds(const struct conn *conn) {
    size_t bytes = conn->held.capacity;
    if (conn->state == CONN_BODY)
        bytes += conn->exchange->head_raw.capacity + conn->exchange->body.capacity;
    if (conn->sending)
        bytes += room_of(conn->sending) + room_of(conn->out);
    return bytes;
}

static void count(struct conn *conn, size_t bytes) {
    struct http_server *server = conn->server;
    if (conn->counted == bytes)
        return;
    if (conn->counted == 0)
        DL_APPEND2(server->holders, conn, holder_prev, holder_next);
    if (bytes == 0)
        DL_DELETE2(server->holders, conn, holder_prev, holder_next);
    server->held_bytes += bytes - conn->counted;
    conn->counted = bytes;
}

void held_forget(struct conn *conn) {
    count(conn, 0);
}

// A client that still sends its request gets an answer that says why.
static void evict(struct conn *conn) {
    bool sends = conn->state == CONN_HEAD || conn->state == CONN_BODY;
    ++*conn->server->counters.connections_refused;
    held_forget(conn);
    if (!sends || conn->exchange->paused || conn->sending) {
        conn_close(conn);
        return;
    }
    conn_fail(conn, OVERLOADED, "The server holds too much for slow clients");
    buffer_release(&conn->held);
    conn->held_used = 0;
    server_ready(conn);
}

void held_weigh(struct conn *conn) {
    struct http_server *server = conn->server;
    count(conn, holds(conn));
    while (server->held_bytes > server->limits.held && server->holders->holder_next)
        evict(server->holders);
}
