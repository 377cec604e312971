// SPDX-License-Identifier: MIT
// A free list of closed connections: a new one needs no allocation.
#include "http/http_inside.h"
#include <stdlib.h>

struct conn *conn_take(struct http_server *server) {
    struct conn *conn = server->free_conns;
    if (conn) {
        server->free_conns = conn->next;
        server->free_conn_count--;
    } else if (!(conn = malloc(sizeof *conn))) {
        return NULL;
    }
    memset(conn, 0, sizeof *conn);
    conn->server = server;
    conn->uv.handle.data = conn;
    buffer_init(&conn->held, server->limits.head + 3 * READ_CHUNK);
    return conn;
}

void conn_put(struct conn *conn) {
    struct http_server *server = conn->server;
    buffer_release(&conn->held);
    if (server->free_conn_count >= POOL_MAX || server->stopping) {
        free(conn);
        return;
    }
    conn->next = server->free_conns;
    server->free_conns = conn;
    server->free_conn_count++;
}
