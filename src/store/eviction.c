// SPDX-License-Identifier: MIT
// A Redis that evicts keys loses acknowledged votes silently. So its policy is read on each new connection and every
// few seconds, and while it may evict, the writes of callers are refused unless redis_eviction = accept. A volatile-…
// policy evicts only keys with a time to live: visitors' histories and recent deletions. Then a view may count again.
// Sets of periods must have none, though they end: a set that went without its cut would make lists wrong that say
// `exact`.
#include "ops/log.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include <stdio.h>

static bool accepts(const struct store *store) {
    return store->settings->redis_eviction == REDIS_EVICTION_ACCEPT;
}

static const char *consequence(const struct store *store, struct bytes policy) {
    if (!bytes_starts(policy, BYTES("allkeys-")))
        return "a full memory costs histories, views may count again; set noeviction";
    return accepts(store) ? "a full memory costs votes and views (redis_eviction = accept)"
                          : "a full memory would cost votes: set noeviction (or redis_eviction = accept)";
}

static void tell(struct store_node *at, const char *text, bool evicts) {
    const char *space = at->store->cluster ? " " : "", *name = at->store->cluster ? at->node->name : "";
    bool other = strcmp(text, at->eviction) != 0;
    if (other && *text && evicts && !accepts(at->store))
        log_error("redis%s%s: %s: votes and views are 503", space, name, text);
    else if (other && *text)
        log_warn("redis%s%s: %s", space, name, text);
    else if (other)
        log_info("redis%s%s: evicts nothing any more", space, name);
    snprintf(at->eviction, sizeof at->eviction, "%s", text);
    at->evicts = evicts;
    node_close_or_open(at);
}

// When INFO is forbidden, the policy counts as harmless. What was seen on an earlier connection may concern another
// Redis.
static void go_blind(struct store_node *at, const char *error) {
    if (!at->blind)
        log_warn("redis: %s: whether it evicts keys, and when it restarts, cannot be seen", error);
    at->blind = true;
    at->evicts = false;
    at->eviction[0] = '\0';
    node_close_or_open(at);
}

// Without a memory limit nothing is evicted, whatever the policy.
const char *eviction_check(struct store_node *at, const redisReply *reply) {
    struct bytes info = reply_text(reply), policy = info_value(info, "\nmaxmemory_policy:");
    struct bytes limit = info_value(info, "\nmaxmemory:");
    char text[TROUBLE_SIZE] = "";
    if (reply->type == REDIS_REPLY_ERROR)
        go_blind(at, reply->str);
    if (!policy.len || !limit.len)
        return NULL;
    at->blind = false;
    if (!bytes_eq(limit, BYTES("0")) && !bytes_eq(policy, BYTES("noeviction")))
        snprintf(text, sizeof text, "maxmemory-policy is %.*s: %s", (int)(policy.len < 40 ? policy.len : 40), policy.at,
                 consequence(at->store, policy));
    tell(at, text, *text && bytes_starts(policy, BYTES("allkeys-")));
    return NULL;
}

void eviction_ask(struct store *store) {
    command_add_text(begin_command(store, "INFO"), "memory");
}

static void on_policy(struct redis_call *call) {
    struct store_node *at = ((struct handshake_call *)call)->at;
    at->asking_policy = false;
    if (call->outcome == OK)
        eviction_check(at, call->reply);
    freeReplyObject(call->reply);
}

void eviction_look(struct store_node *at) {
    if (at->asking_policy)
        return;
    at->asking_policy = true;
    at->policy = (struct handshake_call){.call.on_reply = on_policy, .at = at};
    eviction_ask(at->store);
    send_to(at, &at->policy.call);
}

bool eviction_refuses(const struct store_node *at) {
    return at->evicts && !accepts(at->store);
}
