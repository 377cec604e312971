// SPDX-License-Identifier: MIT
// Why nodes and places are not served, in words.
#include "model/keys.h"
#include "redis/router_inside.h"
#include <stdio.h>

static const char *doubt_or_trouble(const struct node *node) {
    return redis_is_ready(node->redis) && node->doubt[0] ? node->doubt : redis_trouble(node->redis);
}

const char *router_trouble(const struct router *router) {
    const struct node *away = NULL;
    for (const struct node *node = router->nodes; node; node = node->next)
        if (!router_node_serves(node))
            away = node;
    if (router->refresh.trouble[0])
        return router->refresh.trouble;
    return away ? doubt_or_trouble(away) : "the map of the Cluster is not known yet";
}

const char *router_complaint_of(const struct router *router, uint32_t within_ms, const struct node **ret_node) {
    for (const struct node *node = router->nodes; node; node = node->next) {
        *ret_node = node;
        if (redis_complaint(node->redis, within_ms))
            return redis_complaint(node->redis, within_ms);
    }
    return NULL;
}

const char *router_complaint(const struct router *router, uint32_t within_ms) {
    const struct node *node;
    return router_complaint_of(router, within_ms, &node);
}

const char *router_why_unserved(const struct router *router, char *text, size_t size) {
    uint32_t place = 0;
    while (place < keys_partitions() && router_is_ready(router, place))
        place++;
    const struct node *node = place < keys_partitions() ? router_node_of(router, place) : NULL;
    if (node)
        snprintf(text, size, "%.60s: %s", node->name, doubt_or_trouble(node));
    else
        snprintf(text, size, "the Cluster names no node for slot %u", router->slots ? router->slots[place] : 0);
    return text;
}
