// SPDX-License-Identifier: MIT
// Start and stop, the turns of a Cluster's router, and the choice of a node for each command.
#include "model/keys.h"
#include "ops/metrics.h"
#include "redis/router_inside.h"
#include <stdlib.h>

enum { TIMER_MS = 25, SCRATCH_MAX = 64 << 20 };

// ---- The turns of a Cluster's router

static void on_idle(uv_idle_t *idle) {
    (void)idle; // keeps the loop from sleeping while failed calls wait for their on_reply
}

static void tell_places(struct router *router) {
    if (!router->dirty)
        return;
    router->dirty = false;
    metric_set(METRIC_PARTITIONS_UNSERVED, router_unserved(router));
    router->hooks.on_places(router->hooks.context);
    router_send_waiting(router, uv_now(router->loop));
}

static void turn(struct router *router) {
    bool again = false;
    if (router->stopping)
        return;
    router_tell_failed(router);
    for (struct node *node = router->nodes; node; node = node->next)
        redis_begin_turn(node->redis);
    router->hooks.on_turn(router->hooks.context);
    router_refresh_turn(router, uv_now(router->loop));
    tell_places(router);
    for (struct node *node = router->nodes; node; node = node->next)
        again |= redis_end_turn(node->redis);
    if (router->stopping)
        return; // a call that ended in this turn has stopped the router: its handles are closing
    if (again || router->failed || router->dirty)
        uv_idle_start(&router->idle, on_idle);
    else
        uv_idle_stop(&router->idle);
}

static void on_prepare(uv_prepare_t *prepare) {
    turn(prepare->data);
}

static void on_check(uv_check_t *check) {
    turn(check->data);
}

static void on_timer(uv_timer_t *timer) {
    struct router *router = timer->data;
    uint64_t now = uv_now(router->loop);
    router_fail_waiting(router, now);
    router_ask_strangers(router, now);
    router_leave_unused(router, now);
}

// ---- Start and stop

static bool make_places(struct router *router) {
    uint32_t count = keys_places();
    router->places = calloc(count, sizeof *router->places);
    router->slots = calloc(count, sizeof *router->slots);
    router->map = calloc(1, sizeof *router->map);
    router->read = calloc(1, sizeof *router->read);
    router->known = calloc(1, sizeof *router->known);
    router->heard = calloc(1, sizeof *router->heard);
    if (!router->places || !router->slots || !router->map || !router->read || !router->known || !router->heard)
        return false;
    router->place_count = count;
    for (uint32_t i = 0; i < count; i++) {
        router->slots[i] = key_place_slot(i);
        router->places[i].waiting_end = &router->places[i].waiting;
    }
    return true;
}

static void start_handles(struct router *router) {
    uv_timer_init(router->loop, &router->timer);
    uv_timer_init(router->loop, &router->rests);
    uv_prepare_init(router->loop, &router->prepare);
    uv_check_init(router->loop, &router->check);
    uv_idle_init(router->loop, &router->idle);
    router->timer.data = router->rests.data = router->prepare.data = router->check.data = router->idle.data = router;
    router->handles = 5;
    uv_timer_start(&router->timer, on_timer, TIMER_MS, TIMER_MS);
    uv_prepare_start(&router->prepare, on_prepare);
    uv_check_start(&router->check, on_check);
}

static void free_router(struct router *router) {
    buffer_release(&router->scratch);
    free(router->places);
    free(router->slots);
    free(router->map);
    free(router->read);
    free(router->known);
    free(router->heard);
    free(router);
}

// The nodes of the setting connect by themselves, again and again.
static bool start_cluster(struct router *router) {
    if (!make_places(router))
        return false;
    start_handles(router);
    router->refresh.comparing = router->refresh.wanted = router->dirty =
        true; // nothing is served yet, and on_places and the metric say so
    return true;
}

static bool start_alone(struct router *router) {
    if (router->address.kind == ADDRESS_SENTINEL && !router_start_watch(router))
        return false;
    router->only = router_add_node(router, &router->address);
    return router->only != NULL;
}

struct router *router_start(uv_loop_t *loop, const struct address *address, uint32_t timeout_ms, uint32_t queue_max,
                            const struct router_hooks *hooks) {
    struct router *router = calloc(1, sizeof *router);
    if (!router)
        return NULL;
    router->loop = loop;
    router->address = *address;
    router->hooks = *hooks;
    router->timeout_ms = timeout_ms;
    router->queue_max = queue_max;
    router->failed_end = &router->failed;
    buffer_init(&router->scratch, SCRATCH_MAX);
    bool started = address->kind == ADDRESS_CLUSTER ? start_cluster(router) : start_alone(router);
    if (started)
        return router;
    free_router(router);
    return NULL;
}

static void on_handle_closed(uv_handle_t *handle) {
    struct router *router = handle->data;
    router->handles--;
    router_closed(router);
}

void router_closed(struct router *router) {
    while (router->stopping && router->failed)
        router_tell_failed(router);
    if (!router->stopping || router->handles || router->nodes || router->watch)
        return;
    void (*on_stopped)(void *) = router->on_stopped;
    void *context = router->stopped_context;
    free_router(router);
    on_stopped(context);
}

static void close_handles(struct router *router) {
    uv_close((uv_handle_t *)&router->timer, on_handle_closed);
    uv_close((uv_handle_t *)&router->rests, on_handle_closed);
    uv_close((uv_handle_t *)&router->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&router->check, on_handle_closed);
    uv_close((uv_handle_t *)&router->idle, on_handle_closed);
}

void router_stop(struct router *router, void (*on_stopped)(void *context), void *context) {
    router->stopping = true;
    router->on_stopped = on_stopped;
    router->stopped_context = context;
    if (router->places) {
        router_fail_waiting(router, UINT64_MAX);
        close_handles(router);
    }
    if (router->watch)
        router_stop_watch(router);
    router_leave_all(router);
}

// ---- Sending

// The connection for a command; NULL: its place has no owner that is known and ready.
static struct redis_connection *connection_for(const struct router *router, const struct command *command) {
    const struct node *node =
        command->place < router->place_count ? router->places[command->place].owner : router_ready_node(router);
    return node && router_node_serves(node) ? node->redis : NULL;
}

// True when it waits until its place is open.
static bool waits_to_open(struct router *router, struct redis_call *call, const struct command *command) {
    if (!command->needs_open || command->place >= router->place_count || router->places[command->place].open)
        return false;
    uint64_t deadline_ms = uv_now(router->loop) + router->timeout_ms;
    struct held *held = held_new(call, deadline_ms, command, &router->scratch);
    if (held)
        router_hold(router, held, 0);
    else
        router_fail(router, call, OVERLOADED);
    return true;
}

// The connection that takes the command now; NULL: it waits, or it has failed.
static struct redis_connection *choose(struct router *router, struct redis_call *call, const struct command *command) {
    struct redis_connection *redis = router->stopping ? NULL : connection_for(router, command);
    if (!redis) {
        router_fail(router, call, UNAVAILABLE);
        return NULL;
    }
    return waits_to_open(router, call, command) ? NULL : redis;
}

void router_send(struct router *router, struct redis_call *call, const struct command *command) {
    struct redis_connection *redis = router->only ? router->only->redis : choose(router, call, command);
    if (redis)
        redis_send(redis, call, command);
}

void router_send_read(struct router *router, struct redis_call *call, const struct command *command) {
    struct redis_connection *redis = router->only ? router->only->redis : choose(router, call, command);
    if (redis)
        redis_send_read(redis, call, command);
}

void router_send_patient(struct router *router, struct redis_call *call, const struct command *command) {
    struct redis_connection *redis = router->only ? router->only->redis : choose(router, call, command);
    if (redis)
        redis_send_patient(redis, call, command);
}

void router_send_to(struct router *router, struct node *node, struct redis_call *call, const struct command *command) {
    (void)router;
    redis_send(node->redis, call, command);
}

void router_send_read_to(struct router *router, struct node *node, struct redis_call *call,
                         const struct command *command) {
    (void)router;
    redis_send_read(node->redis, call, command);
}

// ---- Nodes and places

bool router_is_cluster(const struct router *router) {
    return !router->only;
}

struct node *router_node_of(const struct router *router, uint32_t place) {
    return router->only ? router->only : router->places[place].owner;
}

void router_each_master(struct router *router, void (*fn)(void *context, struct node *node), void *context) {
    for (struct node *node = router->nodes; node; node = node->next)
        if (node == router->only || node->owned)
            fn(context, node);
}

struct node *router_nodes(struct router *router) {
    return router->nodes;
}

struct node *router_ready_node(const struct router *router) {
    struct node *ready = NULL;
    for (struct node *node = router->nodes; node; node = node->next)
        if (router_node_serves(node) && (!ready || (node->owned && !ready->owned)))
            ready = node;
    return ready;
}

bool router_is_ready(const struct router *router, uint32_t place) {
    const struct node *node = router_node_of(router, place);
    return node && router_node_serves(node);
}

bool router_is_open(const struct router *router, uint32_t place) {
    return router_is_ready(router, place) && (router->only || router->places[place].open);
}

void router_open_place(struct router *router, uint32_t place, bool is_open) {
    if (router->only)
        return;
    router->dirty |= router->places[place].open != is_open;
    router->places[place].open = is_open;
}

uint64_t router_epoch(const struct router *router, uint32_t place) {
    const struct node *node = router_node_of(router, place);
    uint64_t connected = node ? node->connected : 0, since = router->only ? 0 : router->places[place].since;
    return connected > since ? connected : since;
}

uint32_t router_unserved(const struct router *router) {
    uint32_t unserved = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++)
        unserved += !router_is_ready(router, i);
    return unserved;
}
