// SPDX-License-Identifier: MIT
// Wakes the projectors with a message on a channel of Redis, which costs no memory there and reaches every machine. A
// projector listens on a second connection. If nobody hears the message (the user of Redis may not subscribe, or the
// projector is of an older version), a flush record is added to a log, and the projector sees it at its next look.
#include "ops/log.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include <stddef.h>
#include <stdlib.h>

#define CHANNEL "engaged:wake"
enum { QUEUE_MAX = 16 };

// ---- Asking

struct wake {
    struct redis_call call; // first: the connection's view of it
    struct store *store;
};

static void free_wake(struct redis_call *call) {
    freeReplyObject(call->reply);
    free(call);
}

static void write_flush(struct wake *wake) {
    static const char flush[] = "\0\0\0\0\0\0\0\0F"; // an entry with one record: model/entry.h
    struct store *store = wake->store;
    struct key key;
    key_log(&key, 0);
    begin_command(store, "XADD");
    add_key(store, &key);
    store->command.needs_open = true;
    command_add_text(&store->command, "*");
    command_add_text(&store->command, "1");
    command_add(&store->command, (struct bytes){flush, sizeof flush - 1});
    wake->call.on_reply = free_wake;
    send_command(store, &wake->call);
}

static void on_published(struct redis_call *call) {
    struct wake *wake = (struct wake *)call;
    redisReply *reply = call->reply;
    // A node of a Cluster counts only those who listen there.
    bool counts = !wake->store->cluster || (reply && reply->type == REDIS_REPLY_ERROR);
    bool unheard = reply && counts && !(reply->type == REDIS_REPLY_INTEGER && reply->integer > 0);
    freeReplyObject(reply);
    call->reply = NULL;
    if (unheard)
        write_flush(wake);
    else
        free(wake);
}

void wake_projectors(struct store *store) {
    struct wake *wake = calloc(1, sizeof *wake);
    if (!wake)
        return; // the projectors look at the logs from time to time anyway
    wake->store = store;
    wake->call.on_reply = on_published;
    begin_command(store, "PUBLISH");
    command_add_text(&store->command, CHANNEL);
    command_add(&store->command, NO_BYTES);
    send_command(store, &wake->call);
}

// ---- Listening

struct subscription {
    struct store *store;
    struct redis_connection *redis;
    struct redis_call login, subscribe, ping;
    bool pinging, refused;
    uint64_t generation; // store_generation when it was looked at last; 0: not yet
    void (*on_wake)(void *context);
    void *context;
    void (*on_closed)(struct store *store);
};

static void on_message(void *context, const redisReply *content) {
    struct subscription *subscription = context;
    (void)content;
    if (subscription->on_wake)
        subscription->on_wake(subscription->context);
}

static struct subscription *of_call(struct redis_call *call, size_t offset) {
    return (struct subscription *)(void *)((char *)call - offset);
}

static void on_login(struct redis_call *call) {
    struct subscription *subscription = of_call(call, offsetof(struct subscription, login));
    if (call->reply && call->reply->type == REDIS_REPLY_ERROR)
        redis_drop(subscription->redis, call->reply->str);
    freeReplyObject(call->reply);
}

// Messages may have been missed before, so this counts as one.
static void on_subscribed(struct redis_call *call) {
    struct subscription *subscription = of_call(call, offsetof(struct subscription, subscribe));
    bool error = call->reply && call->reply->type == REDIS_REPLY_ERROR;
    if (error && !subscription->refused)
        log_warn("redis: %s: who waits for the projections (a deletion, ?wait=true) waits longer", call->reply->str);
    subscription->refused |= error;
    if (call->reply) {
        redis_ready(subscription->redis);
        on_message(subscription, NULL);
    }
    freeReplyObject(call->reply);
}

// In a Cluster any node will do: what is published is heard at all of them. Of a Sentinel group it is the master.
static const char *on_connecting(void *context, struct address *address) {
    const struct subscription *subscription = context;
    const struct node *node = router_ready_node(subscription->store->router);
    if (!node)
        return "no node is ready";
    *address = node->address;
    return NULL;
}

static void on_connected(void *context) {
    struct subscription *subscription = context;
    struct store *store = subscription->store;
    subscription->pinging = false;
    if (store->address.password[0]) {
        begin_login(store);
        subscription->login = (struct redis_call){.on_reply = on_login};
        redis_send_early(subscription->redis, &subscription->login, &store->command);
    }
    command_add_text(begin_command(store, "SUBSCRIBE"), CHANNEL);
    subscription->subscribe = (struct redis_call){.on_reply = on_subscribed};
    redis_send_early(subscription->redis, &subscription->subscribe, &store->command);
}

void store_on_wake(struct store *store, void (*on_wake)(void *context), void *context) {
    struct subscription *subscription = store->subscription;
    if (!subscription && !on_wake)
        return;
    if (!subscription)
        subscription = calloc(1, sizeof *subscription);
    if (!subscription)
        return; // without it the projector looks at its intervals
    subscription->store = store;
    subscription->on_wake = on_wake;
    subscription->context = context;
    struct redis_hooks hooks = {.on_connected = on_connected, .on_message = on_message, .context = subscription};
    if (store->address.kind == ADDRESS_CLUSTER || store->address.kind == ADDRESS_SENTINEL)
        hooks.on_connecting = on_connecting;
    if (!subscription->redis)
        subscription->redis =
            redis_start(store->loop, &store->address, (uint32_t)store->settings->redis_timeout_ms, QUEUE_MAX, &hooks);
    if (subscription->redis)
        store->subscription = subscription;
    else
        free(subscription);
}

// ---- Noticing a silent Redis, and a new master

static void on_pong(struct redis_call *call) {
    struct subscription *subscription = of_call(call, offsetof(struct subscription, ping));
    subscription->pinging = false;
    freeReplyObject(call->reply);
}

// True when the store's connection is a new one. The master may be elsewhere now, and this connection would still
// listen to the old one.
static bool is_left_behind(struct subscription *subscription) {
    uint64_t before = subscription->generation;
    subscription->generation = store_generation(subscription->store);
    return before && before != subscription->generation;
}

void subscription_beat(struct subscription *subscription) {
    if (redis_is_ready(subscription->redis) && is_left_behind(subscription))
        redis_drop(subscription->redis, "left behind");
    if (subscription->pinging || !redis_is_ready(subscription->redis))
        return;
    subscription->pinging = true;
    subscription->ping = (struct redis_call){.on_reply = on_pong};
    begin_command(subscription->store, "PING");
    redis_send(subscription->redis, &subscription->ping, &subscription->store->command);
}

static void on_stopped(void *context) {
    struct subscription *subscription = context;
    struct store *store = subscription->store;
    void (*on_closed)(struct store *) = subscription->on_closed;
    free(subscription);
    on_closed(store);
}

void subscription_stop(struct subscription *subscription, void (*on_closed)(struct store *store)) {
    subscription->on_wake = NULL;
    subscription->on_closed = on_closed;
    redis_stop(subscription->redis, on_stopped, subscription);
}
