// SPDX-License-Identifier: MIT
// The connection's states: resolve, connect (connection_open.c), handshake, ready, closing, waiting, and connect again.
// At the end of each turn of the loop all commands of the turn are written. pending.c has the queue of commands and
// reads the replies.
#include "ops/log.h"
#include "ops/metrics.h"
#include "redis/connection_inside.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    BACK_OFF_LEAST_MS = 50,
    BACK_OFF_MAX_MS = 5000,
    SWEEP_MS = 25,
    OUT_MAX = 256 << 20, // bytes of unsent commands; queue_max is reached long before
};

static void on_peer_closed(uv_handle_t *handle);

static const char *state_name(const struct redis_connection *redis) {
    static const char *const names[] = {
#define STATE(name, text) text,
        REDIS_STATES(STATE)
#undef STATE
    };
    return names[redis->state];
}

const char *redis_trouble(const struct redis_connection *redis) {
    return redis->trouble[0] ? redis->trouble : state_name(redis);
}

void redis_extend_handshake(struct redis_connection *redis) {
    redis->deadline_ms = uv_now(redis->loop) + redis->timeout_ms;
}

void redis_refuse_writes(struct redis_connection *redis, bool refuse) {
    redis->refuses_writes = refuse;
}

bool redis_is_ready(const struct redis_connection *redis) {
    return redis->state == REDIS_STATE_READY;
}

uint32_t redis_number(const struct redis_connection *redis) {
    return redis_is_ready(redis) ? redis->changes : 0;
}

static int connections_ready; // of this process, without those that only listen

void redis_set_state(struct redis_connection *redis, enum redis_state state) {
    bool changes = (redis->state == REDIS_STATE_READY) != (state == REDIS_STATE_READY);
    if (changes && !redis->hooks.on_message && !redis->first) {
        connections_ready += state == REDIS_STATE_READY ? 1 : -1;
        metric_set(METRIC_REDIS_UP, (uint64_t)connections_ready);
    }
    redis->state = state;
    redis->changes += changes;
    if (changes && redis->hooks.on_state)
        redis->hooks.on_state(redis->hooks.context);
}

// ---- Down and up again

static uint64_t with_jitter(uint64_t ms) {
    uint32_t noise;
    random_fill(&noise, sizeof noise);
    return ms / 2 + noise % (ms / 2 + 1);
}

static void wait_and_connect(struct redis_connection *redis) {
    redis_set_state(redis, REDIS_STATE_WAITING);
    redis->retry_at_ms = redis->first ? UINT64_MAX : uv_now(redis->loop) + with_jitter(redis->back_off_ms);
    redis->back_off_ms = redis->back_off_ms * 2 > BACK_OFF_MAX_MS ? BACK_OFF_MAX_MS : redis->back_off_ms * 2;
}

void redis_drop(struct redis_connection *redis, const char *why) {
    if (redis->state == REDIS_STATE_WAITING || redis->state == REDIS_STATE_CLOSING ||
        redis->state == REDIS_STATE_STOPPED)
        return;
    if (!redis->stopping && !redis->hooks.on_message && !redis->first)
        log_warn("%s: %s while %s; next attempt in %u ms at most", redis->label, why, state_name(redis),
                 redis->back_off_ms);
    snprintf(redis->trouble, sizeof redis->trouble, "%s", why);
    bool open = redis->state != REDIS_STATE_RESOLVING;
    if (redis->tls)
        connection_tls_end(redis);
    redis_set_state(redis, REDIS_STATE_CLOSING);
    pending_fail_all(redis);
    buffer_clear(&redis->out);
    if (open)
        uv_close((uv_handle_t *)&redis->peer, on_peer_closed);
    else
        wait_and_connect(redis);
    if (redis->first)
        redis_drop(redis->first, why);
    if (redis->writes) {
        redis_drop(redis->writes, why);
        redis->writes->retry_at_ms = UINT64_MAX; // until the first one is open
    }
}

static void on_peer_closed(uv_handle_t *handle) {
    struct redis_connection *redis = handle->data;
    redisReaderFree(redis->reader);
    redis->reader = NULL;
    tls_free(redis->tls);
    redis->tls = NULL;
    redis->writing_now = false;
    buffer_clear(&redis->writing);
    if (redis->stopping)
        redis_close_own_handles(redis);
    else
        wait_and_connect(redis);
}

static void on_idle(uv_idle_t *idle) {
    (void)idle; // keeps the loop from sleeping while failed calls wait for their on_reply
}

static void turn(struct redis_connection *redis) {
    if (redis->state == REDIS_STATE_STOPPED)
        return;
    redis_begin_turn(redis);
    if (redis->hooks.on_turn)
        redis->hooks.on_turn(redis->hooks.context);
    if (redis_end_turn(redis))
        uv_idle_start(&redis->idle, on_idle);
    else
        uv_idle_stop(&redis->idle);
}

static void on_prepare(uv_prepare_t *prepare) {
    turn(prepare->data);
}

static void on_check(uv_check_t *check) {
    turn(check->data);
}

// ---- Time

void redis_hurry(struct redis_connection *redis) {
    redis->back_off_ms = BACK_OFF_LEAST_MS;
    redis->retry_at_ms = 0;
}

// Runs every 25 ms: finds what has timed out, and makes the next attempt to connect.
static void on_sweep(uv_timer_t *timer) {
    struct redis_connection *redis = timer->data;
    uint64_t now = uv_now(redis->loop);
    if (redis->state == REDIS_STATE_WAITING && now >= redis->retry_at_ms)
        redis_connect_now(redis);
    else if ((redis->state == REDIS_STATE_RESOLVING || redis->state == REDIS_STATE_CONNECTING ||
              redis->state == REDIS_STATE_TLS || redis->state == REDIS_STATE_HANDSHAKE) &&
             now >= redis->deadline_ms)
        redis_drop(redis, redis->state == REDIS_STATE_TLS ? TLS_SILENCE : "no answer in time");
    else if (redis->state == REDIS_STATE_READY && pending_expire(redis, now) &&
             now - redis->heard_at_ms > redis->timeout_ms)
        redis_drop(redis, "silent");
}

// Connects the second connection for an open first one. When it is ready, the first one is.
static bool waits_for_writes(struct redis_connection *redis) {
    if (!redis->writes || redis->writes->state == REDIS_STATE_READY)
        return false;
    redis_extend_handshake(redis);
    redis->writes->address = redis->address;
    redis->writes->retry_at_ms = 0;
    return true;
}

void redis_ready(struct redis_connection *redis) {
    if (redis->state != REDIS_STATE_HANDSHAKE || waits_for_writes(redis))
        return;
    redis->back_off_ms = BACK_OFF_LEAST_MS;
    redis->trouble[0] = '\0';
    redis_set_state(redis, REDIS_STATE_READY);
    if (redis->first)
        redis_ready(redis->first);
    else if (!redis->hooks.on_message)
        log_info("%s: ready", redis->label);
}

// ---- Start and stop

static void name(struct redis_connection *redis) {
    if (redis->hooks.on_refused)
        snprintf(redis->label, sizeof redis->label, "redis %s:%s", redis->address.host, redis->address.port);
    else
        snprintf(redis->label, sizeof redis->label, "redis");
}

bool redis_is_idle(const struct redis_connection *redis) {
    bool idle = redis->count == 0 && !redis->held && !redis->failed;
    return idle && (!redis->writes || redis_is_idle(redis->writes));
}

static void release(struct redis_connection *redis) {
    buffer_release(&redis->out);
    buffer_release(&redis->writing);
    pending_release(redis);
    free(redis->read_chunk);
    free(redis);
}

// NULL without memory.
static struct redis_connection *connection_new(uv_loop_t *loop, const struct address *address, uint32_t timeout_ms,
                                               uint32_t queue_max, const struct redis_hooks *hooks) {
    struct redis_connection *redis = calloc(1, sizeof *redis);
    if (!redis)
        return NULL;
    redis->loop = loop;
    redis->address = *address;
    redis->timeout_ms = timeout_ms;
    redis->hooks = *hooks;
    redis->back_off_ms = BACK_OFF_LEAST_MS;
    redis->replicas = 1;
    name(redis);
    buffer_init(&redis->out, OUT_MAX);
    buffer_init(&redis->writing, OUT_MAX);
    if (pending_init(redis, queue_max))
        return redis;
    release(redis);
    return NULL;
}

// The second connection, which redis_ready connects.
static bool add_writes(struct redis_connection *redis) {
    struct redis_hooks hooks = redis->hooks;
    hooks.on_connected = hooks.on_writes_connected;
    hooks.on_connecting = NULL;
    hooks.on_writes_connected = NULL;
    hooks.on_state = NULL;
    hooks.on_turn = NULL;
    hooks.driven = true;
    redis->writes = connection_new(redis->loop, &redis->address, redis->timeout_ms, redis->queue_max, &hooks);
    if (!redis->writes)
        return false;
    redis->writes->first = redis;
    redis->writes->retry_at_ms = UINT64_MAX;
    return true;
}

static void start_handles(struct redis_connection *redis) {
    uv_timer_init(redis->loop, &redis->sweep);
    uv_prepare_init(redis->loop, &redis->prepare);
    uv_check_init(redis->loop, &redis->check);
    uv_idle_init(redis->loop, &redis->idle);
    redis->sweep.data = redis->prepare.data = redis->check.data = redis->idle.data = redis;
    redis->handles = 4;
    uv_timer_start(&redis->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    if (!redis->hooks.driven) {
        uv_prepare_start(&redis->prepare, on_prepare);
        uv_check_start(&redis->check, on_check);
    }
}

struct redis_connection *redis_start(uv_loop_t *loop, const struct address *address, uint32_t timeout_ms,
                                     uint32_t queue_max, const struct redis_hooks *hooks) {
    struct redis_connection *redis = connection_new(loop, address, timeout_ms, queue_max, hooks);
    if (!redis)
        return NULL;
    if (hooks->on_writes_connected && !add_writes(redis)) {
        release(redis);
        return NULL;
    }
    start_handles(redis);
    if (redis->writes)
        start_handles(redis->writes);
    redis_connect_now(redis);
    return redis;
}

// The last one of the handles of both frees both.
static void on_own_closed(uv_handle_t *handle) {
    struct redis_connection *redis = handle->data;
    redis->handles--;
    if (redis->first)
        redis = redis->first;
    if (redis->handles > 0 || (redis->writes && redis->writes->handles > 0))
        return;
    void (*on_stopped)(void *) = redis->on_stopped;
    void *context = redis->stopped_context;
    if (redis->writes)
        release(redis->writes);
    release(redis);
    on_stopped(context);
}

void redis_close_own_handles(struct redis_connection *redis) {
    if (redis->resolving)
        return; // on_resolved calls this function again
    pending_tell_failed(redis);
    redis_set_state(redis, REDIS_STATE_STOPPED);
    uv_close((uv_handle_t *)&redis->sweep, on_own_closed);
    uv_close((uv_handle_t *)&redis->prepare, on_own_closed);
    uv_close((uv_handle_t *)&redis->check, on_own_closed);
    uv_close((uv_handle_t *)&redis->idle, on_own_closed);
}

void redis_stop(struct redis_connection *redis, void (*on_stopped)(void *context), void *context) {
    redis->stopping = true;
    redis->on_stopped = on_stopped;
    redis->stopped_context = context;
    if (redis->writes)
        redis_stop(redis->writes, NULL, NULL);
    enum redis_state was = redis->state;
    redis_drop(redis, "stopping");
    if (was == REDIS_STATE_RESOLVING)
        uv_cancel((uv_req_t *)&redis->resolve);
    if (redis->state == REDIS_STATE_WAITING)
        redis_close_own_handles(redis);
}
