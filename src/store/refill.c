// SPDX-License-Identifier: MIT
// Refilling rankings from the states: what is known of it in Redis, and the scan over all states.
#include "store/reads.h"
#include <stdio.h>
#include <stdlib.h>

static void on_all_plain(struct gather *gather) {
    read_end(gather, gather_outcome(gather));
}

// In this order, so that one killed in between begins again: no plan, then no floors, then the version.
void store_refill_begin(struct store *store, struct read_call *call, uint32_t partition) {
    struct gather *gather = read_begin(store, call, 3, sizeof(struct read_state), on_all_plain);
    struct key key;
    if (!gather)
        return;
    key_position(&key, partition);
    begin_command(store, "HDEL");
    add_key(store, &key);
    command_add_text(&store->command, "plan");
    read_add(gather);
    key_floors(&key, partition);
    begin_command(store, "DEL");
    add_key(store, &key);
    read_add(gather);
    key_marks(&key, partition, PROJECTION_SUMS);
    begin_command(store, "HINCRBY");
    add_key(store, &key);
    command_add_text(&store->command, "version");
    command_add_int(&store->command, 1);
    read_add(gather);
}

void store_refill_end(struct store *store, struct read_call *call, uint32_t partition, struct bytes plan) {
    struct gather *gather = read_begin(store, call, 1, sizeof(struct read_state), on_all_plain);
    struct key key;
    if (!gather)
        return;
    key_position(&key, partition);
    begin_command(store, "HSET");
    add_key(store, &key);
    command_add_text(&store->command, "plan");
    command_add(&store->command, plan);
    read_add(gather);
}

enum { SCAN_COUNT = 1000 };

struct scan_state {
    struct read_state read;
    uint64_t *cursor;
    void (*on_state)(struct read_call *call, ref_t item);
};

static void on_scanned(struct gather *gather) {
    struct scan_state *state = gather->context;
    enum outcome outcome = gather_outcome(gather);
    const redisReply *reply = gather->at[0].reply;
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
    read_end(gather, outcome);
}

void store_scan_states(struct store *store, struct read_call *call, uint64_t *cursor,
                       void (*on_state)(struct read_call *call, ref_t item)) {
    struct gather *gather = read_begin(store, call, 1, sizeof(struct scan_state), on_scanned);
    if (!gather)
        return;
    struct scan_state *state = gather->context;
    char text[24];
    state->cursor = cursor;
    state->on_state = on_state;
    snprintf(text, sizeof text, "%llu", (unsigned long long)*cursor);
    command_add_text(begin_command(store, "SCAN"), text);
    command_add_text(&store->command, "MATCH");
    command_add_text(&store->command, "{e*}s*");
    command_add_text(&store->command, "COUNT");
    command_add_int(&store->command, SCAN_COUNT);
    command_add_text(&store->command, "TYPE");
    command_add_text(&store->command, "string");
    read_add(gather);
}
