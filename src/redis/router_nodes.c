// SPDX-License-Identifier: MIT
// The nodes of a router come and go, and places get owners. A node of a Cluster that owns nothing and has nothing to
// answer leaves after UNUSED_MS and a time-out: by then all calls have ended whose callers found it as an owner.
#include "ops/log.h"
#include "redis/router_inside.h"
#include <stdio.h>
#include <stdlib.h>

enum { UNUSED_MS = 30000 };

// ---- What the connections tell

static void on_connected(void *context) {
    struct node *node = context;
    node->router->hooks.on_connected(node->router->hooks.context, node);
}

static void on_writes_connected(void *context) {
    struct node *node = context;
    node->router->hooks.on_writes_connected(node->router->hooks.context, node);
}

static void on_refusal(void *context, const char *text) {
    struct node *node = context;
    node->router->hooks.on_refusal(node->router->hooks.context, node, text);
}

static void on_turn(void *context) {
    struct router *router = ((struct node *)context)->router;
    router->hooks.on_turn(router->hooks.context);
}

// A dropped connection may have hidden a new life of the node: what it owns is open no more.
static void on_state(void *context) {
    struct node *node = context;
    struct router *router = node->router;
    bool ready = redis_is_ready(node->redis);
    router->dirty = true;
    node->connected = ready ? ++router->changes : 0;
    for (uint32_t i = 0; !ready && i < router->place_count; i++)
        if (router->places[i].owner == node)
            router->places[i].open = false;
    if (ready && router->places)
        router_ask_who(node);
    if (!ready && !router->stopping && !node->leaving)
        router_refresh(router);
}

// ---- Coming

void router_name_node(struct node *node) {
    const struct address *address = &node->address;
    if (address->kind == ADDRESS_UNIX)
        snprintf(node->name, sizeof node->name, "%s", address->path);
    else
        snprintf(node->name, sizeof node->name, strchr(address->host, ':') ? "[%s]:%s" : "%s:%s", address->host,
                 address->port);
    snprintf(node->at.host, sizeof node->at.host, "%s", address->host);
    snprintf(node->at.port, sizeof node->at.port, "%s", address->port);
}

static void connect_node(struct node *node) {
    struct router *router = node->router;
    struct redis_hooks alone = {
        .on_connected = on_connected, .on_turn = on_turn, .on_refusal = on_refusal, .context = node};
    struct redis_hooks one_of_many = {.on_connected = on_connected,
                                      .on_refusal = on_refusal,
                                      .on_refused = router_on_refused,
                                      .on_state = on_state,
                                      .context = node,
                                      .driven = true};
    if (router->watch)
        alone.on_connecting = router_find_master;
    if (router->hooks.on_writes_connected)
        alone.on_writes_connected = one_of_many.on_writes_connected = on_writes_connected;
    node->context = router->hooks.on_node(router->hooks.context, node);
    if (node->context)
        node->redis = redis_start(router->loop, &node->address, router->timeout_ms, router->queue_max,
                                  router->places ? &one_of_many : &alone);
    if (node->context && !node->redis)
        router->hooks.on_node_gone(router->hooks.context, node);
}

struct node *router_add_node(struct router *router, const struct address *address) {
    struct node *node = router->node_count < ROUTER_NODES_MAX ? calloc(1, sizeof *node) : NULL;
    if (!node)
        return NULL;
    node->router = router;
    node->address = *address;
    node->number = ++router->numbers;
    node->unused_at_ms = uv_now(router->loop);
    router_name_node(node);
    connect_node(node);
    if (!node->redis) {
        free(node);
        return NULL;
    }
    node->next = router->nodes;
    router->nodes = node;
    router->node_count++;
    return node;
}

struct node *router_find_node(struct router *router, const struct host_port *at) {
    struct address address = router->address;
    for (struct node *node = router->nodes; node; node = node->next)
        if (!node->leaving && host_port_eq(&node->at, at))
            return node;
    if (router->stopping)
        return NULL;
    address_set_host(&address, at);
    return router_add_node(router, &address);
}

// ---- Owning

void router_set_owner(struct router *router, uint32_t place, struct node *owner) {
    struct router_place *at = &router->places[place];
    if (at->owner == owner)
        return;
    if (at->owner && --at->owner->owned == 0)
        at->owner->unused_at_ms = uv_now(router->loop);
    if (owner)
        owner->owned++;
    at->owner = owner;
    at->since = ++router->changes;
    at->open = false;
    router->dirty = true;
}

// ---- Going

static void forget_node(struct node *node) {
    struct router *router = node->router;
    struct node **at = &router->nodes;
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    router->node_count--;
    if (router->refresh.hint == node)
        router->refresh.hint = NULL;
    for (uint32_t i = 0; i < router->place_count; i++)
        for (struct held *held = router->places[i].waiting; held; held = held->next)
            if (held->to == node)
                held->to = NULL;
    router->hooks.on_node_gone(router->hooks.context, node);
    free(node);
}

static void on_node_stopped(void *context) {
    struct node *node = context;
    struct router *router = node->router;
    forget_node(node);
    router_closed(router);
}

static void leave(struct node *node) {
    if (node->leaving)
        return;
    node->leaving = true;
    for (uint32_t i = 0; node->owned && i < node->router->place_count; i++)
        if (node->router->places[i].owner == node)
            router_set_owner(node->router, i, NULL);
    redis_stop(node->redis, on_node_stopped, node);
}

static bool has_waiting(const struct router *router, const struct node *node) {
    for (uint32_t i = 0; router->waiting_count && i < router->place_count; i++)
        for (const struct held *held = router->places[i].waiting; held; held = held->next)
            if (held->to == node)
                return true;
    return false;
}

void router_leave_unused(struct router *router, uint64_t now_ms) {
    bool others = false;
    for (const struct node *node = router->nodes; node; node = node->next)
        others |= node->owned && redis_is_ready(node->redis);
    for (struct node *node = router->nodes, *next; others && node; node = next) {
        next = node->next;
        if (!node->owned && now_ms - node->unused_at_ms > UNUSED_MS + router->timeout_ms &&
            redis_is_idle(node->redis) && router->refresh.asked != node && !has_waiting(router, node))
            leave(node);
    }
}

void router_leave_all(struct router *router) {
    for (struct node *node = router->nodes, *next; node; node = next) {
        next = node->next; // a connection that waits is closed later, never at once
        leave(node);
    }
}
