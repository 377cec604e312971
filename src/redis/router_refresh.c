// SPDX-License-Identifier: MIT
// The map of a Cluster (topology.h) is asked for: every PERIOD_MS, and soon when something looks wrong. One question is
// under way at a time; after one that has changed nothing the next waits 100 ms, doubling to 2 s, or to 400 ms while a
// partition has no master. A client that only waits for errors may talk to a dead master for minutes.
//
// Asked is the node that a MOVED has named, else a master that is connected, else any node. If none is connected, the
// nodes of the setting connect again, and their names are resolved anew.
#include "base/keyed.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "redis/router_inside.h"
#include <stddef.h>
#include <stdio.h>

enum {
    PERIOD_MS = 5000,
    BETWEEN_MS = 100,
    BACK_OFF_MAX_MS = 2000,
    UNSERVED_MAX_MS = 400,
    BELIEVED_MS = 1000,
    NONE_MS = 5
};

void router_refresh(struct router *router) {
    if (!router->only)
        router->refresh.wanted = true;
}

void router_refresh_from(struct router *router, struct node *hint) {
    router->refresh.wanted = true;
    if (hint)
        router->refresh.hint = hint;
}

// ---- Whom to ask

static uint32_t random_below(uint32_t limit) {
    uint32_t random;
    random_fill(&random, sizeof random);
    return random % limit;
}

static bool can_answer(const struct node *node, bool masters) {
    return !node->leaving && router_node_serves(node) && (node->owned || !masters);
}

static struct node *random_node(struct router *router, bool masters) {
    uint32_t count = 0;
    for (struct node *node = router->nodes; node; node = node->next)
        count += can_answer(node, masters);
    uint32_t chosen = count ? random_below(count) : 0;
    for (struct node *node = router->nodes; node && count; node = node->next)
        if (can_answer(node, masters) && chosen-- == 0)
            return node;
    return NULL;
}

// The nodes of the setting connect by themselves once they are there.
static void call_seeds(struct router *router) {
    for (uint32_t i = 0; i < router->address.host_count; i++)
        router_find_node(router, &router->address.hosts[i]);
}

static struct node *choose(struct router *router) {
    struct node *hint = router->refresh.hint;
    router->refresh.hint = NULL;
    if (hint && can_answer(hint, false))
        return hint;
    struct node *node = random_node(router, true);
    if (!node)
        node = random_node(router, false);
    if (!node)
        call_seeds(router);
    return node;
}

// ---- The answer

// True when an owner has changed. A MOVED that came after the question is newer than the answer.
static bool take_map(struct router *router) {
    uint64_t before = router->changes, now = uv_now(router->loop);
    struct topology *map = router->read;
    for (uint32_t i = 0; i < router->place_count; i++) {
        const struct topology_node *owner = topology_owner(map, i);
        struct router_place *place = &router->places[i];
        bool newer = place->since > router->refresh.changes && place->moved_ms && now - place->moved_ms < BELIEVED_MS;
        struct node *node = owner ? router_find_node(router, &owner->at) : NULL;
        if (!newer)
            router_set_owner(router, i, node);
        if (node)
            snprintf(node->id, sizeof node->id, "%s", owner->id);
    }
    router->read = router->map;
    router->map = map;
    return router->changes != before;
}

static void wait_before_next(struct router *router, bool changed) {
    struct map_refresh *refresh = &router->refresh;
    uint32_t most = router_unserved(router) ? UNSERVED_MAX_MS : BACK_OFF_MAX_MS;
    uint32_t ms = refresh->back_off_ms * 2 < most ? refresh->back_off_ms * 2 : most;
    refresh->back_off_ms = changed || ms < BETWEEN_MS ? BETWEEN_MS : ms;
    refresh->done_ms = uv_now(router->loop);
    refresh->not_before_ms = refresh->done_ms + BETWEEN_MS + random_below(refresh->back_off_ms);
}

static void note_trouble(struct router *router, struct node *node, const char *why) {
    router_note_doubt(node, why);
    snprintf(router->refresh.trouble, sizeof router->refresh.trouble, "%.60s: %.95s", node->name, why);
    router->refresh.wanted = true;
}

// True when an owner has changed.
static bool take(struct router *router, struct node *node, const redisReply *reply) {
    char why[TROUBLE_SIZE];
    if (router_doubts(router, node, reply, why)) {
        note_trouble(router, node, why);
        return false;
    }
    router->refresh.trouble[0] = node->doubt[0] = '\0';
    bool changed = take_map(router);
    uint32_t unserved = router->map->unserved; // router->read is the map before
    if (unserved && unserved != router->read->unserved)
        log_warn("redis %s: the Cluster names no node for %u of our %u slots: redis-cli --cluster check", node->name,
                 unserved, router->place_count);
    return changed;
}

static void note_error(struct router *router, struct node *node, const char *error) {
    char text[TROUBLE_SIZE];
    snprintf(text, sizeof text, "the map of the Cluster cannot be read: %.*s", TROUBLE_SIZE / 2, error);
    note_trouble(router, node, text);
}

static void on_map(struct redis_call *call) {
    struct map_refresh *refresh = (struct map_refresh *)((char *)call - offsetof(struct map_refresh, call));
    struct router *router = (struct router *)((char *)refresh - offsetof(struct router, refresh));
    struct node *node = refresh->asked;
    redisReply *reply = call->reply;
    struct topology_question question = {
        .asked = &node->at, .before = router->map, .slots = router->slots, .place_count = router->place_count};
    bool error = reply && reply->type == REDIS_REPLY_ERROR, changed = false;
    refresh->asked = NULL;
    if (error && !node->wants_shards && topology_wants_shards(reply->str))
        node->wants_shards = changed = refresh->wanted = true;
    else if (call->outcome == OK && !router->stopping && topology_read(reply, &question, router->read))
        changed = take(router, node, reply);
    else {
        refresh->wanted = true;
        if (reply)
            note_error(router, node, error ? reply->str : "no answer of the right form");
    }
    refresh->wanted |= router->map->unserved || router_unserved(router);
    wait_before_next(router, changed);
    freeReplyObject(reply);
}

// ---- The question

static void ask(struct router *router, struct node *node) {
    struct map_refresh *refresh = &router->refresh;
    refresh->asked = node;
    refresh->wanted = false;
    refresh->changes = router->changes;
    refresh->call = (struct redis_call){.on_reply = on_map};
    metric_add(METRIC_MAP_REFRESHES, 1);
    router_ask_map(node, &refresh->call);
}

void router_refresh_turn(struct router *router, uint64_t now_ms) {
    struct map_refresh *refresh = &router->refresh;
    bool due = refresh->wanted || now_ms - refresh->done_ms >= PERIOD_MS;
    if (refresh->asked || !due || now_ms < refresh->not_before_ms)
        return;
    if (!router->nodes)
        call_seeds(router);
    struct node *node = router_has_compared(router, now_ms) ? choose(router) : NULL;
    if (node)
        ask(router, node);
    else
        refresh->not_before_ms = now_ms + NONE_MS;
}
