// SPDX-License-Identifier: MIT
// A router of sentinel:// has one node, and its connection goes to the master that the Sentinels name.
#include "redis/router_inside.h"

static bool is_served(void *context) {
    const struct router *router = context;
    return router->only && !router->stopping && redis_is_ready(router->only->redis);
}

// What is pending on the old master is UNAVAILABLE: its fate is not known.
static void on_master(void *context) {
    struct router *router = context;
    if (!router->only || router->stopping)
        return;
    redis_drop(router->only->redis, "the Sentinels name another master");
    redis_hurry(router->only->redis);
}

const char *router_find_master(void *context, struct address *address) {
    struct node *node = context;
    const char *why = sentinel_watch_find(node->router->watch, address);
    if (why)
        return why;
    node->address = *address;
    router_name_node(node);
    return NULL;
}

bool router_start_watch(struct router *router) {
    struct sentinel_watch_hooks hooks = {.is_served = is_served, .on_master = on_master, .context = router};
    router->watch = sentinel_watch_start(router->loop, &router->address, &hooks);
    return router->watch != NULL;
}

static void on_watch_stopped(void *context) {
    struct router *router = context;
    router->watch = NULL;
    router_closed(router);
}

void router_stop_watch(struct router *router) {
    sentinel_watch_stop(router->watch, on_watch_stopped, router);
}
