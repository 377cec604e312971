// SPDX-License-Identifier: MIT
// Corrections as they are recorded in Redis, and what their scans read: items by a cursor, an item's voters by bucket.
#include "model/voters.h"
#include "store/reads.h"
#include <stdlib.h>

static void on_written(struct gather *gather) {
    read_end(gather, gather_outcome(gather));
}

static void add_set(struct store *store, struct gather *gather, bool done, struct bytes id, struct bytes json) {
    struct key key;
    key_corrections(&key, done);
    script_begin(&store->command, SCRIPT_KEEP, 1);
    add_key(store, &key);
    command_add(&store->command, id);
    command_add(&store->command, json);
    gather_add_write(gather, store->link, &store->command, SCRIPT_KEEP);
}

static void add_removal(struct store *store, struct gather *gather, struct bytes id) {
    struct key key;
    key_corrections(&key, false);
    begin_command(store, "HDEL");
    add_key(store, &key);
    command_add(&store->command, id);
    write_add(gather);
}

void store_keep_correction(struct store *store, struct read_call *call, struct bytes id, struct bytes json) {
    struct gather *gather = read_begin(store, call, 1, sizeof(struct read_state), on_written);
    if (gather)
        add_set(store, gather, false, id, json);
}

void store_end_correction(struct store *store, struct read_call *call, struct bytes id, struct bytes json) {
    struct gather *gather = read_begin(store, call, json.at ? 2 : 1, sizeof(struct read_state), on_written);
    if (!gather)
        return;
    if (json.at)
        add_set(store, gather, true, id, json);
    add_removal(store, gather, id);
}

// ---- Reading them

struct corrections_state {
    struct read_state read;
    void (*on_correction)(struct read_call *call, struct bytes id, struct bytes json);
};

static void on_corrections(struct gather *gather) {
    struct corrections_state *state = gather->context;
    enum outcome outcome = gather_outcome(gather);
    for (uint32_t part = 0; outcome == OK && part < gather->count; part++) {
        const redisReply *reply = gather->at[part].reply;
        for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2)
            state->on_correction(state->read.call, reply_text_at(reply, i), reply_text_at(reply, i + 1));
    }
    read_end(gather, outcome);
}

void store_read_corrections(struct store *store, struct read_call *call, bool with_done,
                            void (*on_correction)(struct read_call *call, struct bytes id, struct bytes json)) {
    struct gather *gather =
        read_begin(store, call, with_done ? 2 : 1, sizeof(struct corrections_state), on_corrections);
    if (!gather)
        return;
    ((struct corrections_state *)gather->context)->on_correction = on_correction;
    for (int done = with_done; done >= 0; done--) {
        struct key key;
        key_corrections(&key, done);
        begin_command(store, "HGETALL");
        add_key(store, &key);
        read_add(gather);
    }
}

// ---- Scans

struct scan_state {
    struct read_state read;
    void (*on_item)(struct read_call *call, ref_t item);
    uint64_t *ret_cursor;
};

static void on_scan(struct gather *gather) {
    struct scan_state *state = gather->context;
    const redisReply *reply = gather->at[0].reply;
    enum outcome outcome = gather_outcome(gather);
    if (outcome == OK && reply->elements == 2) {
        *state->ret_cursor = strtoull(reply_text_at(reply, 0).at, NULL, 10);
        const redisReply *keys = reply->element[1];
        for (size_t i = 0; i < keys->elements; i++) {
            ref_t item;
            if (key_parse(reply_text(keys->element[i]), 'i', &item))
                state->on_item(state->read.call, item);
        }
    }
    read_end(gather, outcome);
}

void store_scan_items(struct store *store, struct read_call *call, uint64_t *cursor, uint32_t count,
                      void (*on_item)(struct read_call *call, ref_t item)) {
    struct gather *gather = read_begin(store, call, 1, sizeof(struct scan_state), on_scan);
    if (!gather)
        return;
    struct scan_state *state = gather->context;
    state->on_item = on_item;
    state->ret_cursor = cursor;
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)*cursor);
    begin_command(store, "SCAN");
    command_add_text(&store->command, text);
    command_add_text(&store->command, "MATCH");
    command_add_text(&store->command, "{e*}i????????????????");
    command_add_text(&store->command, "COUNT");
    command_add_int(&store->command, count);
    read_add(gather);
}

struct voters_state {
    struct read_state read;
    uint32_t *ret_buckets;
    void (*on_voter)(struct read_call *call, const struct voter *voter);
};

static void on_voters(struct gather *gather) {
    struct voters_state *state = gather->context;
    const redisReply *reply = gather->at[0].reply;
    enum outcome outcome = read_outcome(gather);
    bool there = gather->at[0].outcome == OK && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0;
    *state->ret_buckets = there ? (uint32_t)reply_int(reply->element[0]) : 0;
    for (size_t i = 1; there && i + 1 < reply->elements; i += 2) {
        struct voter voter;
        if (voter_unpack(reply_text_at(reply, i), reply_text_at(reply, i + 1), &voter))
            state->on_voter(state->read.call, &voter);
    }
    read_end(gather, outcome);
}

void store_read_voters(struct store *store, struct read_call *call, ref_t item, uint32_t bucket, uint32_t *ret_buckets,
                       void (*on_voter)(struct read_call *call, const struct voter *voter)) {
    struct gather *gather = read_begin(store, call, 1, sizeof(struct voters_state), on_voters);
    struct key key;
    if (!gather)
        return;
    struct voters_state *state = gather->context;
    state->ret_buckets = ret_buckets;
    state->on_voter = on_voter;
    script_begin(&store->command, SCRIPT_VOTERS, 2);
    key_item(&key, item);
    add_key(store, &key);
    key_voters(&key, item, bucket);
    add_key(store, &key);
    command_add_int(&store->command, bucket);
    gather_add(gather, store->link, &store->command, SCRIPT_VOTERS);
}
