// SPDX-License-Identifier: MIT
// Rebuilding rankings from the states: what Redis records of a rebuild, and the scans over sets and states.
#include "store/reads.h"
#include <stdio.h>
#include <stdlib.h>

static void on_all_plain(struct pipeline *pipeline) {
    read_end(pipeline, pipeline_outcome(pipeline));
}

static void add_rankings(struct store *store, struct bytes rankings) {
    command_add_text(&store->command, "rankings");
    command_add(&store->command, rankings);
}

static void begin_keep(struct store *store, const struct key *key) {
    script_begin(&store->command, SCRIPT_KEEP, 1);
    add_key(store, key);
}

static void keep(struct pipeline *pipeline, struct store *store) {
    pipeline_add(pipeline, store->router, &store->command);
}

// The order matters: a process that dies between two steps leaves no plan, so the rebuild begins again. First the plan
// is removed, then the kept sets are recorded, then the cutoffs are removed, then the version changes. All of it works
// at the memory limit too, because nothing is projected before a rebuild has begun.
void store_rebuild_begin(struct store *store, struct read_call *call, uint32_t partition, struct bytes rankings) {
    struct pipeline *pipeline = read_begin(store, call, 4, sizeof(struct read_state), on_all_plain);
    struct key key;
    if (!pipeline)
        return;
    key_offsets(&key, partition);
    begin_command(store, "HDEL");
    add_key(store, &key);
    command_add_text(&store->command, "plan");
    read_add(pipeline);
    begin_keep(store, &key);
    add_rankings(store, rankings);
    keep(pipeline, store);
    key_cutoffs(&key, partition);
    begin_command(store, "DEL");
    add_key(store, &key);
    read_add(pipeline);
    key_applied(&key, partition, PROJECTION_SUMS);
    begin_keep(store, &key);
    command_add_text(&store->command, "version");
    command_add_int(&store->command, (int64_t)version_new());
    keep(pipeline, store);
}

void store_rebuild_end(struct store *store, struct read_call *call, uint32_t partition, struct bytes plan,
                       struct bytes rankings) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct read_state), on_all_plain);
    struct key key;
    if (!pipeline)
        return;
    key_offsets(&key, partition);
    begin_keep(store, &key);
    command_add_text(&store->command, "plan");
    command_add(&store->command, plan);
    add_rankings(store, rankings);
    keep(pipeline, store);
}

// ---- Scans

static void scan(struct store *store, uint64_t cursor, const char *pattern, int count, const char *type) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)cursor);
    command_add_text(begin_command(store, "SCAN"), text);
    command_add_text(&store->command, "MATCH");
    command_add_text(&store->command, pattern);
    command_add_text(&store->command, "COUNT");
    command_add_int(&store->command, count);
    command_add_text(&store->command, "TYPE");
    command_add_text(&store->command, type);
}

// ---- Rankings' sets

enum { SWEEP_COUNT = 1000 };

struct sweep_state {
    struct read_state read;
    uint64_t *cursor;
    bool (*is_stale)(struct read_call *call, uint32_t partition, struct bytes name);
};

static bool is_to_go(const struct sweep_state *state, struct bytes key) {
    uint32_t partition;
    struct bytes name;
    return key_parse_ranking(key, &partition, &name) && state->is_stale(state->read.call, partition, name);
}

static size_t count_stale(const struct sweep_state *state, const redisReply *keys) {
    size_t count = 0;
    for (size_t i = 0; i < keys->elements; i++)
        count += is_to_go(state, reply_text(keys->element[i]));
    return count;
}

static void remove_stale(const struct sweep_state *state, const redisReply *keys) {
    struct store *store = state->read.store;
    size_t count = count_stale(state, keys);
    struct pipeline *pipeline = read_begin(store, state->read.call, count, sizeof(struct read_state), on_all_plain);
    for (size_t i = 0; pipeline && i < keys->elements; i++) {
        struct bytes key = reply_text(keys->element[i]), name;
        if (!is_to_go(state, key))
            continue;
        command_add(begin_command(store, "UNLINK"), key);
        key_parse_ranking(key, &store->command.place, &name);
        read_add(pipeline);
    }
}

static void on_swept(struct pipeline *pipeline) {
    struct sweep_state *state = pipeline->context;
    const redisReply *reply = pipeline->at[0].reply;
    enum outcome outcome = pipeline_outcome(pipeline);
    if (outcome == OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2))
        outcome = INTERNAL;
    if (outcome != OK) {
        read_end(pipeline, outcome);
        return;
    }
    struct bytes cursor = reply_text(reply->element[0]);
    *state->cursor = cursor.len ? strtoull(cursor.at, NULL, 10) : 0;
    remove_stale(state, reply->element[1]); // this completes the call
    free(state);
    pipeline_free(pipeline);
}

void store_sweep_rankings(struct store *store, struct read_call *call, uint64_t *cursor,
                          bool (*is_stale)(struct read_call *call, uint32_t partition, struct bytes name)) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct sweep_state), on_swept);
    if (!pipeline)
        return;
    struct sweep_state *state = pipeline->context;
    state->cursor = cursor;
    state->is_stale = is_stale;
    scan(store, *cursor, "{e*}r*", SWEEP_COUNT, "zset");
    read_add(pipeline);
}

// ---- States

enum { SCAN_COUNT = 1000 };

struct state_scan {
    struct read_state read;
    uint64_t *cursor;
    void (*on_state)(struct read_call *call, ref_t item);
};

static void on_scanned(struct pipeline *pipeline) {
    struct state_scan *state = pipeline->context;
    enum outcome outcome = pipeline_outcome(pipeline);
    const redisReply *reply = pipeline->at[0].reply;
    if (outcome == OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2))
        outcome = INTERNAL;
    if (outcome == OK) {
        const redisReply *keys = reply->element[1];
        struct bytes cursor = reply_text(reply->element[0]);
        *state->cursor = cursor.len ? strtoull(cursor.at, NULL, 10) : 0;
        for (size_t i = 0; i < keys->elements; i++) {
            ref_t item;
            if (key_parse(reply_text(keys->element[i]), 's', &item))
                state->on_state(state->read.call, item);
        }
    }
    read_end(pipeline, outcome);
}

void store_scan_states(struct store *store, struct read_call *call, uint64_t *cursor,
                       void (*on_state)(struct read_call *call, ref_t item)) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct state_scan), on_scanned);
    if (!pipeline)
        return;
    struct state_scan *state = pipeline->context;
    state->cursor = cursor;
    state->on_state = on_state;
    scan(store, *cursor, "{e*}s*", SCAN_COUNT, "string");
    read_add(pipeline);
}
