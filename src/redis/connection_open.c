// SPDX-License-Identifier: MIT
// An attempt to connect: the address is found and looked up, the socket opened, TLS begun. Then the owner does the
// handshake.
#include "ops/metrics.h"
#include "redis/connection_inside.h"
#include <stdio.h>

enum { READER_IDLE_BUFFER = 1 << 20 };

void redis_begin_handshake(struct redis_connection *redis) {
    metric_add(METRIC_REDIS_CONNECTS, 1);
    redis_set_state(redis, REDIS_STATE_HANDSHAKE);
    redis->hooks.on_connected(redis->hooks.context);
}

static void on_connect(uv_connect_t *request, int status) {
    struct redis_connection *redis = request->data;
    if (redis->state != REDIS_STATE_CONNECTING)
        return;
    if (status < 0) {
        redis_drop(redis, uv_strerror(status));
        return;
    }
    if (redis->address.kind != ADDRESS_UNIX)
        uv_tcp_nodelay(&redis->peer.tcp, 1), uv_tcp_keepalive(&redis->peer.tcp, 1, 30);
    redis->reader = bounded_reader_new();
    if (!redis->reader || !redis_read_start(redis)) {
        redis_drop(redis, "no memory");
        return;
    }
    redis->reader->maxbuf = READER_IDLE_BUFFER;
    redis->heard_at_ms = uv_now(redis->loop);
    if (redis->address.tls)
        connection_tls_start(redis);
    else
        redis_begin_handshake(redis);
}

static void open_tcp(struct redis_connection *redis, const struct sockaddr *at) {
    redis_set_state(redis, REDIS_STATE_CONNECTING);
    uv_tcp_init(redis->loop, &redis->peer.tcp);
    redis->peer.stream.data = redis;
    redis->connect.data = redis;
    int status = uv_tcp_connect(&redis->connect, &redis->peer.tcp, at, on_connect);
    if (status < 0)
        redis_drop(redis, uv_strerror(status));
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
    struct redis_connection *redis = request->data;
    redis->resolving = false;
    if (redis->stopping)
        redis_close_own_handles(redis);
    else if (redis->state == REDIS_STATE_RESOLVING && status < 0)
        redis_drop(redis, uv_strerror(status));
    else if (redis->state == REDIS_STATE_RESOLVING)
        open_tcp(redis, found->ai_addr);
    uv_freeaddrinfo(found);
}

static bool is_looked_up(const struct redis_connection *redis) {
    return strcmp(redis->looked_up.host, redis->address.host) == 0 &&
           strcmp(redis->looked_up.port, redis->address.port) == 0;
}

// False while the address is not known, or while the name of another one is still looked up: the next sweep tries
// again.
static bool has_address(struct redis_connection *redis) {
    const char *why = NULL;
    if (redis->hooks.on_connecting)
        why = redis->hooks.on_connecting(redis->hooks.context, &redis->address);
    if (!why && redis->resolving && !is_looked_up(redis))
        why = "another name is still looked up";
    if (why) {
        snprintf(redis->trouble, sizeof redis->trouble, "%s", why);
        redis_set_state(redis, REDIS_STATE_WAITING);
    }
    return !why;
}

void redis_connect_now(struct redis_connection *redis) {
    if (!has_address(redis))
        return;
    redis->deadline_ms = uv_now(redis->loop) + redis->timeout_ms;
    redis->connect.data = redis;
    if (redis->address.kind == ADDRESS_UNIX) {
        redis_set_state(redis, REDIS_STATE_CONNECTING);
        uv_pipe_init(redis->loop, &redis->peer.pipe, 0);
        redis->peer.stream.data = redis;
        uv_pipe_connect(&redis->connect, &redis->peer.pipe, redis->address.path, on_connect);
        return;
    }
    redis_set_state(redis, REDIS_STATE_RESOLVING);
    if (redis->resolving)
        return; // an earlier look-up is still under way: its answer serves
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    redis->resolve.data = redis;
    memcpy(redis->looked_up.host, redis->address.host, sizeof redis->looked_up.host);
    memcpy(redis->looked_up.port, redis->address.port, sizeof redis->looked_up.port);
    int status =
        uv_getaddrinfo(redis->loop, &redis->resolve, on_resolved, redis->address.host, redis->address.port, &hints);
    if (status < 0)
        redis_drop(redis, uv_strerror(status));
    else
        redis->resolving = true;
}
