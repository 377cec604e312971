// SPDX-License-Identifier: MIT
// The struct of a router, which the router's files share. No other file includes it.
#pragma once
#include "redis/router.h"

struct router {
    uv_loop_t *loop;
    struct address address;
    struct router_hooks hooks;
    uint32_t timeout_ms, queue_max, numbers;
    struct node *nodes;
    struct node *only; // owns all places; NULL in a Cluster
    void (*on_stopped)(void *context);
    void *stopped_context;
};
