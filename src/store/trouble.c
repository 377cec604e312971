// SPDX-License-Identifier: MIT
// Why writes are not taken, for /readyz and for answers: at all nodes, at one of a Cluster, of one call.
#include "store/store_inside.h"
#include <stdio.h>

enum { COMPLAINT_MS = 10000, JUST_NOW_MS = 1000 };

static const char *trouble_of(const struct store_node *at) {
    bool ready = redis_is_ready(at->node->redis);
    if (at->rights.road[0] && (ready || strcmp(redis_trouble(at->node->redis), at->rights.road) == 0))
        return at->rights.road;
    return ready && eviction_refuses(at) ? at->eviction : NULL;
}

// In a Cluster one node that takes no writes leaves the others in service.
const char *store_trouble(const struct store *store) {
    const char *trouble = NULL;
    for (const struct store_node *at = store->nodes; at; at = at->next) {
        if (store->cluster && !at->node->owned)
            continue;
        if (!trouble_of(at))
            return NULL;
        trouble = trouble_of(at);
    }
    return trouble;
}

const char *store_lacks(const struct store *store) {
    for (const struct store_node *at = store->nodes; at; at = at->next)
        if (at->rights.rest[0])
            return at->rights.rest;
    return NULL;
}

const char *store_lacks_scan(const struct store *store) {
    for (const struct store_node *at = store->nodes; at; at = at->next)
        if (at->rights.lacks_scan)
            return at->rights.rest;
    return NULL;
}

const char *store_complaint(const struct store *store) {
    return router_complaint(store->router, COMPLAINT_MS);
}

const char *store_why_unavailable(const struct store *store) {
    const char *trouble = store_trouble(store);
    return trouble ? trouble : router_complaint(store->router, JUST_NOW_MS);
}

static bool serves(const struct store *store, const struct store_node *at) {
    return !store->cluster || at->node->owned;
}

const char *store_partly(struct store *store) {
    const struct node *node = NULL;
    const char *why = store->cluster ? router_complaint_of(store->router, COMPLAINT_MS, &node) : NULL;
    for (const struct store_node *at = store->nodes; at && !why; at = at->next) {
        node = at->node;
        why = serves(store, at) ? trouble_of(at) : NULL;
    }
    if (!why || !store->cluster)
        return why;
    snprintf(store->note, sizeof store->note, "%.60s: %s", node->name, why);
    return store->note;
}

const char *store_why_unserved(struct store *store) {
    return router_why_unserved(store->router, store->note, sizeof store->note);
}
