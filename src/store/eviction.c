// SPDX-License-Identifier: MIT
// A Redis that evicts keys loses acknowledged votes silently. So its policy is read on each new connection and every
// few seconds, and while it may evict, the writes of callers are refused unless redis_eviction = accept. A volatile-…
// policy evicts only keys with a time to live: visitors' histories and recent deletions. Then a view may count again.
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

static void tell(struct store *store, const char *text, bool evicts) {
    bool other = strcmp(text, store->eviction) != 0;
    if (other && *text && evicts && !accepts(store))
        log_error("redis: %s: votes and views are 503", text);
    else if (other && *text)
        log_warn("redis: %s", text);
    else if (other)
        log_info("redis: evicts nothing any more");
    snprintf(store->eviction, sizeof store->eviction, "%s", text);
    store->evicts = evicts;
    store_close_or_open(store);
}

// When INFO is forbidden, the policy counts as harmless. What was seen on an earlier connection may concern another
// Redis.
static void go_blind(struct store *store, const char *error) {
    if (!store->blind)
        log_warn("redis: %s: whether it evicts keys, and when it restarts, cannot be seen", error);
    store->blind = true;
    store->evicts = false;
    store->eviction[0] = '\0';
    store_close_or_open(store);
}

// Without a memory limit nothing is evicted, whatever the policy.
const char *eviction_check(struct store *store, const redisReply *reply) {
    struct bytes info = reply_text(reply), policy = info_value(info, "\nmaxmemory_policy:");
    struct bytes limit = info_value(info, "\nmaxmemory:");
    char text[TROUBLE_SIZE] = "";
    if (reply->type == REDIS_REPLY_ERROR)
        go_blind(store, reply->str);
    if (!policy.len || !limit.len)
        return NULL;
    store->blind = false;
    if (!bytes_eq(limit, BYTES("0")) && !bytes_eq(policy, BYTES("noeviction")))
        snprintf(text, sizeof text, "maxmemory-policy is %.*s: %s", (int)(policy.len < 40 ? policy.len : 40), policy.at,
                 consequence(store, policy));
    tell(store, text, *text && bytes_starts(policy, BYTES("allkeys-")));
    return NULL;
}

void eviction_ask(struct store *store) {
    command_add_text(begin_command(store, "INFO"), "memory");
}

static void on_policy(struct redis_call *call) {
    struct store *store = ((struct handshake_call *)call)->store;
    store->asking_policy = false;
    if (call->outcome == OK)
        eviction_check(store, call->reply);
    freeReplyObject(call->reply);
}

void eviction_look(struct store *store) {
    if (store->asking_policy)
        return;
    store->asking_policy = true;
    store->policy = (struct handshake_call){.call.on_reply = on_policy, .store = store};
    eviction_ask(store);
    send_command(store, &store->policy.call);
}

bool eviction_refuses(const struct store *store) {
    return store->evicts && !accepts(store);
}
