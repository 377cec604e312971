// SPDX-License-Identifier: MIT
// Start and stop of the store, and the end of each turn of the loop, when the queued writes are sent in batches.
#include "redis/address_settings.h"
#include "store/bucket_cache.h"
#include "store/store_inside.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

extern const struct write_kind vote_kind, view_kind;

enum { HEARTBEAT_MS = 1000 };

// ---- Log ids

struct log_id log_id_parse(struct bytes text) {
    unsigned long long ms, seq;
    const char *dash = text.len ? memchr(text.at, '-', text.len) : NULL;
    if (!dash)
        return (struct log_id){0, 0};
    struct bytes left = {text.at, (size_t)(dash - text.at)};
    struct bytes right = {dash + 1, text.len - left.len - 1};
    bool good = bytes_to_u64(left, UINT64_MAX, &ms) && bytes_to_u64(right, UINT64_MAX, &seq);
    return good ? (struct log_id){ms, seq} : (struct log_id){0, 0};
}

void log_id_format(struct log_id id, char text[static LOG_ID_TEXT]) {
    snprintf(text, LOG_ID_TEXT, "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
}

uint64_t version_new(void) {
    uint64_t random;
    random_fill(&random, sizeof random);
    return (random >> 12) + 1;
}

// ---- The end of a turn

void store_defer(struct store *store, struct deferred *deferred, void (*tell)(struct deferred *deferred)) {
    deferred->next = NULL;
    deferred->tell = tell;
    *store->deferred_end = deferred;
    store->deferred_end = &deferred->next;
}

static void tell_deferred(struct store *store) {
    while (store->deferred) {
        struct deferred *deferred = store->deferred;
        store->deferred = deferred->next;
        if (!store->deferred)
            store->deferred_end = &store->deferred;
        deferred->tell(deferred);
    }
}

static void on_turn(void *context) {
    struct store *store = context;
    tell_deferred(store);
    if (write_queue_is_due(&store->votes))
        write_queue_turn(&store->votes);
    if (write_queue_is_due(&store->views))
        write_queue_turn(&store->views);
    if (store->cluster)
        cluster_turn(store->cluster);
}

// ---- Start and stop

static void *on_node(void *context, struct node *node) {
    struct store *store = context;
    struct store_node *at = calloc(1, sizeof *at);
    if (!at)
        return NULL;
    at->store = store;
    at->node = node;
    at->next = store->nodes;
    return store->nodes = at;
}

static void on_node_gone(void *context, struct node *node) {
    struct store *store = context;
    struct store_node **at = &store->nodes;
    while (*at != node->context)
        at = &(*at)->next;
    *at = (*at)->next;
    free(node->context);
}

static bool start_redis(struct store *store) {
    const struct settings *settings = store->settings;
    struct router_hooks hooks = {.on_node = on_node,
                                 .on_node_gone = on_node_gone,
                                 .on_connected = handshake_start,
                                 .on_turn = on_turn,
                                 .on_refusal = rights_refused,
                                 .on_places = cluster_look,
                                 .context = store};
    if (settings->wait_replicas)
        hooks.on_writes_connected = writes_handshake_start;
    store->router = router_start(store->loop, &store->address, (uint32_t)settings->redis_timeout_ms,
                                 (uint32_t)settings->redis_queue, &hooks);
    return store->router != NULL;
}

struct store *store_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                          void (*on_refused)(void *context, const char *line), void *context) {
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    scripts_verify();
    keys_init((uint32_t)settings->partitions);
    store->loop = loop;
    store->settings = settings;
    store->hash_key = hash_key;
    store->on_refused = on_refused;
    store->refused_context = context;
    store->deferred_end = &store->deferred;
    command_init(&store->command);
    char error[256];
    bool good = address_of_settings(settings, &store->address, error, sizeof error);
    good &= write_queue_init(&store->votes, store, &vote_kind);
    good &= write_queue_init(&store->views, store, &view_kind);
    store->bucket_cache = bucket_cache_new();
    store->partition_lives = calloc(keys_partitions(), sizeof *store->partition_lives);
    store->waits = waits_new(store);
    if (good && store->address.kind == ADDRESS_CLUSTER)
        good = (store->cluster = cluster_new(store)) != NULL;
    if (!good || !store->bucket_cache || !store->partition_lives || !store->waits ||
        !plan_make(settings, &store->plan) || !start_redis(store)) {
        write_queue_release(&store->votes);
        write_queue_release(&store->views);
        bucket_cache_free(store->bucket_cache);
        free(store->partition_lives);
        free(store->cluster);
        free(store->waits);
        address_release(&store->address);
        free(store);
        return NULL;
    }
    waits_start(store->waits);
    uv_timer_init(loop, &store->heartbeat);
    store->heartbeat.data = store;
    uv_timer_start(&store->heartbeat, heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
    return store;
}

// Called when a part is closed: the connection with the heartbeat, the waits, the subscription. The last one frees the
// store.
static void on_part_closed(struct store *store) {
    if (--store->open_parts > 0)
        return;
    void (*on_stopped)(void *) = store->on_stopped;
    void *context = store->stopped_context;
    command_release(&store->command);
    write_queue_release(&store->votes);
    write_queue_release(&store->views);
    bucket_cache_free(store->bucket_cache);
    free(store->partition_lives);
    free(store->cluster);
    free(store->waits);
    free(store->tracking);
    address_release(&store->address);
    free(store);
    on_stopped(context);
}

static void on_heartbeat_closed(uv_handle_t *handle) {
    on_part_closed(handle->data);
}

static void on_redis_stopped(void *context) {
    struct store *store = context;
    uv_close((uv_handle_t *)&store->heartbeat, on_heartbeat_closed);
}

void store_stop(struct store *store, void (*on_stopped)(void *context), void *context) {
    store->on_stopped = on_stopped;
    store->stopped_context = context;
    store->open_parts = 2 + !!store->subscription + !!store->tracking;
    write_queue_fail(&store->votes);
    write_queue_fail(&store->views);
    laters_end(store);
    tell_deferred(store);
    waits_stop(store->waits, on_part_closed);
    if (store->subscription)
        subscription_stop(store->subscription, on_part_closed);
    if (store->tracking)
        tracking_stop(store->tracking, on_part_closed);
    router_stop(store->router, on_redis_stopped, store);
}

bool store_serves(const struct store *store, uint32_t partition) {
    return router_is_ready(store->router, partition);
}

uint64_t store_generation(const struct store *store) {
    return store->generation;
}

bool store_ready(const struct store *store, const char **ret_why) {
    bool cluster = store->cluster != NULL, served = router_unserved(store->router) < keys_partitions();
    bool ready = served && (!cluster || cluster_agrees(store->cluster));
    if (ret_why)
        *ret_why = ready            ? "ready"
                   : store->refused ? store->refusal
                   : served         ? "engaged:meta is on a node that does not answer"
                                    : router_trouble(store->router);
    return ready;
}

uint32_t store_unserved(const struct store *store) {
    return store->cluster ? router_unserved(store->router) : 0;
}

void node_close_or_open(struct store_node *at) {
    redis_refuse_writes(at->node->redis, at->rights.road[0] || eviction_refuses(at));
}
