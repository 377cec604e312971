// SPDX-License-Identifier: MIT
// Whether a node is of our Cluster (members.h). Each new connection asks for the map before a place is served there,
// since an address may have been given to another Cluster. A node of another one serves nothing; it is asked again each
// second.
//
// Before the first map is taken, each host of the setting that can be reached is asked. If two of them are of different
// Clusters, no map is taken: each process would take that of the host that answers first, and the data would go into
// two Clusters.
//
// The map of a node that names nobody is not taken either: it was reset, or it has lost its disk.
#include "ops/log.h"
#include "redis/router_inside.h"
#include <stddef.h>
#include <stdio.h>

enum { GRACE_MS = 300, AGAIN_MS = 1000 };

// A node is trusted for as long as the connection lasts on which it has shown that it is one of us.
bool router_node_serves(const struct node *node) {
    return redis_is_ready(node->redis) && (!node->router->places || node->vouched == node->connected);
}

static void conflict(struct router *router, const struct node *node, char why[static TROUBLE_SIZE]) {
    struct map_refresh *refresh = &router->refresh;
    snprintf(why, TROUBLE_SIZE, "this node and %.50s are of different Clusters: the setting may name only one",
             refresh->first);
    snprintf(refresh->trouble, sizeof refresh->trouble, "%.45s and %.45s are nodes of different Clusters", node->name,
             refresh->first);
    refresh->conflict = true;
}

bool router_doubts(struct router *router, struct node *node, const redisReply *reply, char why[static TROUBLE_SIZE]) {
    struct member_ids *known = router->known, *heard = router->heard;
    heard->count = heard->next = 0;
    members_read(heard, reply);
    if (known->count && !heard->count) {
        snprintf(why, TROUBLE_SIZE, "this node knows no Cluster: it was reset, or it has lost its disk");
        return true;
    }
    if (known->count && node->vouched != node->connected && !members_share(known, heard)) {
        snprintf(why, TROUBLE_SIZE, "this node is of another Cluster: it is not followed");
        if (router->refresh.comparing)
            conflict(router, node, why);
        return true;
    }
    if (!known->count)
        snprintf(router->refresh.first, sizeof router->refresh.first, "%s", node->name);
    if (members_add(known, heard))
        router->strangers_ms = 0; // a stranger may be one of ours now
    return false;
}

// Logged once for each node and reason.
void router_note_doubt(struct node *node, const char *why) {
    if (strcmp(why, node->doubt) != 0)
        log_warn("redis %s: %s", node->name, why);
    snprintf(node->doubt, sizeof node->doubt, "%s", why);
}

// ---- The question on a new connection

// A node that refuses the question is trusted: it can't be told.
static void on_who(struct redis_call *call) {
    struct node *node = (struct node *)((char *)call - offsetof(struct node, who));
    struct router *router = node->router;
    char why[TROUBLE_SIZE];
    node->asking_who = false;
    if (!redis_is_ready(node->redis) || node->who_at != node->connected)
        ; // the next connection asks again
    else if (call->outcome == OK && router_doubts(router, node, call->reply, why))
        router_note_doubt(node, why);
    else {
        node->vouched = node->connected;
        router->dirty = true;
    }
    freeReplyObject(call->reply);
}

void router_ask_map(struct node *node, struct redis_call *call) {
    struct command command;
    command_init(&command);
    command_add_text(&command, "CLUSTER");
    command_add_text(&command, node->wants_shards ? "SHARDS" : "SLOTS");
    redis_send(node->redis, call, &command);
    command_release(&command);
}

void router_ask_who(struct node *node) {
    if (node->asking_who || node->leaving || node->router->stopping)
        return;
    node->asking_who = true;
    node->who_at = node->connected;
    node->who = (struct redis_call){.on_reply = on_who};
    router_ask_map(node, &node->who);
}

void router_ask_strangers(struct router *router, uint64_t now_ms) {
    if (now_ms - router->strangers_ms < AGAIN_MS)
        return;
    router->strangers_ms = now_ms;
    for (struct node *node = router->nodes; node; node = node->next)
        if (redis_is_ready(node->redis) && !router_node_serves(node))
            router_ask_who(node);
}

// ---- Before the first map

// Nobody can tell which of the Clusters is meant: all are asked again, in case the hosts become one.
static void begin_again(struct router *router) {
    for (struct node *node = router->nodes; node; node = node->next)
        node->vouched = 0;
    router->known->count = router->known->next = 0;
    router->refresh.conflict = false;
    router->refresh.ends_ms = 0;
}

bool router_has_compared(struct router *router, uint64_t now_ms) {
    struct map_refresh *refresh = &router->refresh;
    bool any = false, awaited = false, trying = false;
    for (const struct node *node = router->nodes; refresh->comparing && node; node = node->next) {
        any |= router_node_serves(node);
        awaited |= node->asking_who;
        trying |= redis_is_trying(node->redis);
    }
    if (!refresh->comparing || !(any || refresh->conflict)) // the one that was first may be gone
        return !refresh->comparing;
    if (!refresh->ends_ms)
        refresh->ends_ms = now_ms + GRACE_MS;
    if (awaited || (trying && now_ms < refresh->ends_ms))
        return false;
    if (refresh->conflict)
        begin_again(router);
    else
        refresh->comparing = false;
    return !refresh->comparing;
}
