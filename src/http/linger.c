// SPDX-License-Identifier: MIT
// How a connection ends: the answer to an error, the last answer, a wait until the client has read it, closing. The
// kernel resets a socket that is closed with unread input, and a reset may destroy the answer on its way. So the write
// side is shut first, and input is dropped for a second or up to 64 KiB. A client that still sends its body reads only
// when all is sent, so such a body is dropped while it comes, for some seconds.
#include "http/http_inside.h"
#include <utlist.h>

void conn_fail(struct conn *conn, enum outcome outcome, const char *detail) {
    struct exchange *exchange = conn->exchange;
    ++*(outcome == REQUEST_TIMEOUT ? conn->server->counters.timeouts : conn->server->counters.bad_requests);
    conn_set_state(conn, CONN_LAST);
    conn->sends_body = exchange && exchange->request.path.at && !exchange->whole;
    conn->exchange = NULL;
    if (exchange && exchange->request.state && !exchange->dispatched && conn->server->callbacks.on_refused)
        conn->server->callbacks.on_refused(&exchange->request, outcome_status(outcome));
    reply_error(conn, exchange, outcome, detail);
    if (exchange)
        exchange_abandon(exchange);
}

static void on_shutdown(uv_shutdown_t *shutdown, int status) {
    (void)shutdown;
    (void)status; // the connection closes by its deadline, or is closing already
}

void conn_linger(struct conn *conn) {
    if (conn->ended || uv_shutdown(&conn->shutdown, &conn->uv.stream, on_shutdown) != 0) {
        conn_close(conn);
        return;
    }
    conn_set_state(conn, CONN_LINGER);
    conn->linger_end = uv_now(conn->server->loop) + LINGER_MAX_MS;
}

void conn_drop(struct conn *conn, size_t count) {
    uint64_t now = uv_now(conn->server->loop), next = now + LINGER_MS;
    conn->dropped += (uint32_t)count;
    if (conn->sends_body && !conn->server->stopping)
        conn->deadline = next < conn->linger_end ? next : conn->linger_end;
    if (conn->dropped > (conn->sends_body ? LINGER_MAX : DISCARD_MAX) || now >= conn->linger_end)
        conn_close(conn);
}

static void on_closed(uv_handle_t *handle) {
    struct conn *conn = handle->data;
    struct http_server *server = conn->server;
    struct exchange *exchange = conn->exchange;
    DL_DELETE(server->busy, conn);
    server_not_ready(conn);
    output_release(conn);
    conn->exchange = NULL;
    server->conn_count--;
    conn_put(conn);
    if (exchange)
        exchange_abandon(exchange);
    server->handles--;
    listen_retry(server);
    server_check_stopped(server);
}

void conn_close(struct conn *conn) {
    if (conn->state == CONN_CLOSING)
        return;
    if (conn->exchange && conn->exchange->streaming)
        conn->exchange->unsent = output_unsent(conn);
    conn_set_state(conn, CONN_CLOSING);
    held_forget(conn);
    conn->reading = false;
    --*conn->server->counters.connections_open;
    uv_close(&conn->uv.handle, on_closed);
}

void conn_on_deadline(struct conn *conn) {
    switch (conn->state) {
    case CONN_HEAD:
    case CONN_BODY:
        if (conn->exchange->paused) { // the application is slow, not the client; http_resume sets a new deadline
            conn->deadline = 0;
            break;
        }
        conn_fail(conn, REQUEST_TIMEOUT, NULL);
        server_ready(conn);
        break;
    case CONN_CLOSING:
        break;
    default:
        conn_close(conn);
        break;
    }
}
