// SPDX-License-Identifier: MIT
// Nodes come and go, and commands are sent to them.
#include "redis/router_inside.h"
#include <stdio.h>
#include <stdlib.h>

// ---- Nodes

static void on_connected(void *context) {
    struct node *node = context;
    node->router->hooks.on_connected(node->router->hooks.context, node);
}

static void on_refusal(void *context, const char *text) {
    struct node *node = context;
    node->router->hooks.on_refusal(node->router->hooks.context, node, text);
}

static void on_turn(void *context) {
    struct router *router = ((struct node *)context)->router;
    router->hooks.on_turn(router->hooks.context);
}

static void name_node(struct node *node) {
    const struct address *address = &node->address;
    if (address->kind == ADDRESS_UNIX)
        snprintf(node->name, sizeof node->name, "%s", address->path);
    else
        snprintf(node->name, sizeof node->name, strchr(address->host, ':') ? "[%s]:%s" : "%s:%s", address->host,
                 address->port);
}

static void connect_node(struct node *node) {
    struct router *router = node->router;
    struct redis_hooks hooks = {
        .on_connected = on_connected, .on_turn = on_turn, .on_refusal = on_refusal, .context = node};
    node->context = router->hooks.on_node(router->hooks.context, node);
    if (node->context)
        node->redis = redis_start(router->loop, &node->address, router->timeout_ms, router->queue_max, &hooks);
    if (node->context && !node->redis)
        router->hooks.on_node_gone(router->hooks.context, node);
}

// NULL without memory.
static struct node *add_node(struct router *router, const struct address *address) {
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->router = router;
    node->address = *address;
    node->number = ++router->numbers;
    name_node(node);
    connect_node(node);
    if (!node->redis) {
        free(node);
        return NULL;
    }
    node->next = router->nodes;
    router->nodes = node;
    return node;
}

// ---- Start and stop

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
    router->only = add_node(router, address);
    if (router->only)
        return router;
    free(router);
    return NULL;
}

static void on_node_stopped(void *context) {
    struct node *node = context;
    struct router *router = node->router;
    void (*on_stopped)(void *) = router->on_stopped;
    void *stopped_context = router->stopped_context;
    router->hooks.on_node_gone(router->hooks.context, node);
    free(node);
    free(router);
    on_stopped(stopped_context);
}

void router_stop(struct router *router, void (*on_stopped)(void *context), void *context) {
    router->on_stopped = on_stopped;
    router->stopped_context = context;
    redis_stop(router->only->redis, on_node_stopped, router->only);
}

// ---- Sending

void router_send(struct router *router, struct redis_call *call, const struct command *command) {
    redis_send(router->only->redis, call, command);
}

void router_send_read(struct router *router, struct redis_call *call, const struct command *command) {
    redis_send_read(router->only->redis, call, command);
}

void router_send_patient(struct router *router, struct redis_call *call, const struct command *command) {
    redis_send_patient(router->only->redis, call, command);
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
    (void)place;
    return router->only;
}

void router_each_master(struct router *router, void (*fn)(void *context, struct node *node), void *context) {
    fn(context, router->only);
}

struct node *router_nodes(struct router *router) {
    return router->nodes;
}

struct node *router_ready_node(const struct router *router) {
    return redis_is_ready(router->only->redis) ? router->only : NULL;
}

bool router_is_ready(const struct router *router, uint32_t place) {
    (void)place;
    return redis_is_ready(router->only->redis);
}

bool router_is_open(const struct router *router, uint32_t place) {
    return router_is_ready(router, place);
}

const char *router_trouble(const struct router *router) {
    return redis_trouble(router->only->redis);
}

const char *router_complaint(const struct router *router, uint32_t within_ms) {
    return redis_complaint(router->only->redis, within_ms);
}
