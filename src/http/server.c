// SPDX-License-Identifier: MIT
// The server's life: start, the sweep that keeps all time-outs, the queue of connections to be run, stop.
// One timer looks at every connection a few times per shortest time-out (at most once a second when they are long), so
// no connection needs a timer of its own.
#include "http/http_inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <utlist.h>

enum { SWEEP_LEAST_MS = 10, SWEEP_MAX_MS = 1000, DRAIN_SWEEP_MS = 50, DRAIN_IDLE_MS = 500 };

// ---- The queue

static void on_runner(uv_idle_t *runner) {
    struct http_server *server = runner->data;
    struct conn *list = server->ready, *conn;
    server->ready = NULL; // a connection that is queued from here on runs in the next turn
    uv_idle_stop(runner);
    while ((conn = list)) {
        DL_DELETE2(list, conn, ready_prev, ready_next);
        conn->is_ready = false;
        if (conn->state != CONN_CLOSING)
            conn_run(conn, NO_BYTES);
    }
}

void server_ready(struct conn *conn) {
    struct http_server *server = conn->server;
    if (conn->is_ready || conn->state == CONN_CLOSING)
        return;
    if (!server->ready)
        uv_idle_start(&server->runner, on_runner);
    DL_APPEND2(server->ready, conn, ready_prev, ready_next);
    conn->is_ready = true;
}

void server_not_ready(struct conn *conn) {
    if (conn->is_ready)
        DL_DELETE2(conn->server->ready, conn, ready_prev, ready_next);
    conn->is_ready = false;
}

// ---- The sweep

// A client that does not take its answers is cut off, between its requests too: it may have asked for much at once.
static bool cut_off(struct conn *conn, uint64_t now) {
    if (!conn->sending || now < conn->send_deadline || conn->state == CONN_CLOSING)
        return false;
    ++*conn->server->counters.timeouts;
    conn_close(conn);
    return true;
}

static void sweep_busy(struct http_server *server, uint64_t now) {
    struct conn *conn, *next;
    DL_FOREACH_SAFE (server->busy, conn, next)
        if (!cut_off(conn, now) && conn->deadline && now >= conn->deadline)
            conn_on_deadline(conn);
}

// `idle` begins with the connection that is idle longest.
static void sweep_idle(struct http_server *server, uint64_t now) {
    struct conn *conn, *next;
    while (server->idle && now >= server->idle->deadline)
        conn_close(server->idle);
    DL_FOREACH_SAFE (server->idle, conn, next)
        cut_off(conn, now);
}

static bool has_unread(const struct conn *conn) {
    int fd, unread = 0;
    return uv_fileno(&conn->uv.handle, &fd) == 0 && ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
}

// While stopping, a client that has just come or asks again gets one more answer, which says Connection: close. A
// silent one is closed, unless its next request has come already.
static void sweep_draining(struct http_server *server, uint64_t now) {
    struct conn *conn, *next;
    DL_FOREACH_SAFE (server->idle, conn, next) {
        uint64_t idle_since = conn->deadline - server->limits.idle_timeout_ms;
        if (now >= server->drain_until || (now >= idle_since + DRAIN_IDLE_MS && !has_unread(conn)))
            conn_close(conn);
    }
    if (now >= server->drain_until)
        DL_FOREACH_SAFE (server->busy, conn, next)
            conn_close(conn);
}

static void on_sweep(uv_timer_t *timer) {
    struct http_server *server = timer->data;
    uint64_t now = uv_now(server->loop);
    sweep_busy(server, now);
    sweep_idle(server, now);
    if (server->stopping)
        sweep_draining(server, now);
}

static uint64_t sweep_period(const struct http_limits *limits) {
    uint64_t period = limits->idle_timeout_ms;
    if (limits->request_timeout_ms < period)
        period = limits->request_timeout_ms;
    if (limits->send_timeout_ms < period)
        period = limits->send_timeout_ms;
    period /= 4;
    return period < SWEEP_LEAST_MS ? SWEEP_LEAST_MS : period > SWEEP_MAX_MS ? SWEEP_MAX_MS : period;
}

// ---- Start and stop

struct http_server *http_server_start(void *loop, const char *listen, const struct http_limits *limits,
                                      const struct http_counters *counters, const struct http_callbacks *callbacks,
                                      void *app, char *ret_error, size_t error_size) {
    struct http_server *server = calloc(1, sizeof *server);
    if (!server) {
        snprintf(ret_error, error_size, "no memory");
        return NULL;
    }
    server->loop = loop;
    server->limits = *limits;
    server->counters = *counters;
    server->callbacks = *callbacks;
    server->app = app;
    if (listen_start(server, listen, ret_error, error_size) < 0) {
        free(server);
        return NULL;
    }
    server->handles = 3;
    server->sweep.data = server->runner.data = server;
    uv_timer_init(loop, &server->sweep);
    uv_idle_init(loop, &server->runner);
    uint64_t period = sweep_period(limits);
    uv_timer_start(&server->sweep, on_sweep, period, period);
    return server;
}

static void server_free(struct http_server *server) {
    exchange_free_all(server);
    output_free_all(server);
    while (server->free_conns) {
        struct conn *conn = server->free_conns;
        server->free_conns = conn->next;
        free(conn);
    }
    free(server);
}

// The application may still owe answers to clients that were cut off. The last such answer frees the server.
void server_check_stopped(struct http_server *server) {
    if (!server->stopping || server->conn_count)
        return;
    if (!uv_is_closing((uv_handle_t *)&server->sweep)) {
        uv_close((uv_handle_t *)&server->sweep, server_handle_closed);
        uv_close((uv_handle_t *)&server->runner, server_handle_closed);
        return;
    }
    if (server->stopped && server->exchange_count == 0)
        server_free(server);
}

void server_handle_closed(uv_handle_t *handle) {
    struct http_server *server = handle->data;
    if (--server->handles > 0)
        return;
    server->on_stopped(server->on_stopped_context);
    server->stopped = true;
    server_check_stopped(server);
}

void http_server_stop(struct http_server *server, uint32_t grace_ms, void (*on_stopped)(void *context), void *context) {
    server->on_stopped = on_stopped;
    server->on_stopped_context = context;
    server->drain_until = uv_now(server->loop) + grace_ms;
    listen_drain(server);
    server->stopping = true;
    uv_timer_start(&server->sweep, on_sweep, DRAIN_SWEEP_MS, DRAIN_SWEEP_MS);
    server_check_stopped(server);
}
