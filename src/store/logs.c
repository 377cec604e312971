// SPDX-License-Identifier: MIT
// The logs: reading them, the positions of the projections in them, and trimming.
#include "store/reads.h"
#include <stdlib.h>

const char *position_field(enum projection projection) {
    return projection == PROJECTION_SUMS ? "sums" : "neighbours";
}

static void add_position_key(struct store *store, uint32_t partition) {
    struct key key;
    key_position(&key, partition);
    add_key(store, &key);
}

static void add_log_id(struct store *store, struct log_id id) {
    char text[LOG_ID_TEXT];
    log_id_format(id, text);
    command_add_text(&store->command, text);
}

static void on_all_plain(struct gather *gather) {
    read_end(gather, gather_outcome(gather));
}

static size_t count_set(const struct log_id *ids) {
    size_t count = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++)
        count += !log_id_none(ids[i]);
    return count;
}

// ---- Positions

struct positions_state {
    struct read_state read;
    void (*on_position)(struct read_call *call, uint32_t partition, struct log_id position, struct bytes plan);
};

static void on_positions(struct gather *gather) {
    struct positions_state *state = gather->context;
    enum outcome outcome = gather_outcome(gather);
    for (uint32_t i = 0; outcome == OK && i < gather->count; i++)
        state->on_position(state->read.call, i, log_id_parse(reply_text_at(gather->at[i].reply, 0)),
                           reply_text_at(gather->at[i].reply, 1));
    read_end(gather, outcome);
}

void store_read_positions(struct store *store, struct read_call *call, enum projection projection,
                          void (*on_position)(struct read_call *call, uint32_t partition, struct log_id position,
                                              struct bytes plan)) {
    struct gather *gather = read_begin(store, call, keys_partitions(), sizeof(struct positions_state), on_positions);
    if (!gather)
        return;
    ((struct positions_state *)gather->context)->on_position = on_position;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        begin_command(store, "HMGET");
        add_position_key(store, i);
        command_add_text(&store->command, position_field(projection));
        command_add_text(&store->command, "plan");
        read_add(gather);
    }
}

void store_write_positions(struct store *store, struct read_call *call, enum projection projection,
                           const struct log_id *positions) {
    struct gather *gather = read_begin(store, call, count_set(positions), sizeof(struct read_state), on_all_plain);
    for (uint32_t i = 0; gather && i < keys_partitions(); i++) {
        if (log_id_none(positions[i]))
            continue;
        begin_command(store, "HSET");
        add_position_key(store, i);
        command_add_text(&store->command, position_field(projection));
        add_log_id(store, positions[i]);
        read_add(gather);
    }
}

void store_trim(struct store *store, struct read_call *call, const struct log_id *below) {
    struct gather *gather = read_begin(store, call, count_set(below), sizeof(struct read_state), on_all_plain);
    for (uint32_t i = 0; gather && i < keys_partitions(); i++) {
        struct key key;
        if (log_id_none(below[i]))
            continue;
        key_log(&key, i);
        begin_command(store, "XTRIM");
        add_key(store, &key);
        command_add_text(&store->command, "MINID");
        add_log_id(store, (struct log_id){below[i].ms, below[i].seq + 1});
        read_add(gather);
    }
}

// ---- Reading

struct logs_state {
    struct read_state read;
    void (*on_entry)(struct read_call *call, const struct log_entry *entry);
};

// An entry: [id, [field, value, …]]. One that is not ours has no value.
static void give_entry(struct logs_state *state, uint32_t partition, const redisReply *entry) {
    struct log_entry one = {.partition = partition, .id = log_id_parse(reply_text_at(entry, 0)), .value = NO_BYTES};
    const redisReply *fields = entry->elements == 2 ? entry->element[1] : NULL;
    if (bytes_eq(reply_text_at(fields, 0), BYTES("1")))
        one.value = reply_text_at(fields, 1);
    state->on_entry(state->read.call, &one);
}

static void on_logs(struct gather *gather) {
    struct logs_state *state = gather->context;
    enum outcome outcome = gather_outcome(gather);
    for (uint32_t i = 0; outcome == OK && i < gather->count; i++) {
        const redisReply *entries = gather->at[i].reply;
        for (size_t j = 0; entries->type == REDIS_REPLY_ARRAY && j < entries->elements; j++)
            give_entry(state, i, entries->element[j]);
    }
    read_end(gather, outcome);
}

void store_read_logs(struct store *store, struct read_call *call, const struct log_id *after, uint32_t most,
                     void (*on_entry)(struct read_call *call, const struct log_entry *entry)) {
    struct gather *gather = read_begin(store, call, keys_partitions(), sizeof(struct logs_state), on_logs);
    if (!gather)
        return;
    ((struct logs_state *)gather->context)->on_entry = on_entry;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        struct key key;
        key_log(&key, i);
        begin_command(store, "XRANGE");
        add_key(store, &key);
        add_log_id(store, (struct log_id){after[i].ms, after[i].seq + 1});
        command_add_text(&store->command, "+");
        command_add_text(&store->command, "COUNT");
        command_add_int(&store->command, most);
        read_add(gather);
    }
}
