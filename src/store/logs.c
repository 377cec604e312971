// SPDX-License-Identifier: MIT
// The logs: reading them, the offsets of the projections in them, and trimming.
#include "store/reads.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIVES_TEXT = 18 }; // a space, 16 hex digits

const char *offset_field(enum projection projection) {
    return projection == PROJECTION_SUMS ? "sums" : "neighbours";
}

static void add_offsets_key(struct store *store, uint32_t partition) {
    struct key key;
    key_offsets(&key, partition);
    add_key(store, &key);
}

static void add_log_id(struct store *store, struct log_id id) {
    char text[LOG_ID_TEXT];
    log_id_format(id, text);
    command_add_text(&store->command, text);
}

static void on_all_plain(struct pipeline *pipeline) {
    read_end(pipeline, pipeline_outcome(pipeline));
}

static size_t count_set(const struct log_id *ids) {
    size_t count = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++)
        count += !log_id_none(ids[i]);
    return count;
}

// ---- Offsets: "<id> <hash of the lives in which it was reached>" (lua/open.lua). An offset of other lives may be
// ahead of what this Redis has. It is not valid then, and the projection begins again at the oldest entry.

struct offsets_state {
    struct read_state read;
    void (*on_offset)(struct read_call *call, uint32_t partition, struct log_id offset, struct bytes plan,
                      struct bytes rankings);
    uint64_t *ret_lives;
    struct bytes lives[];
};

enum { AT_OFFSET, AT_PLAN, AT_RANKINGS, AT_LIFE };

uint64_t hash_of_lives(const struct store *store, const struct bytes *lives) {
    return keyed_hash64(store->hash_key, 'l', lives, keys_partitions());
}

struct log_id offset_in(struct bytes text, uint64_t lives) {
    char suffix[LIVES_TEXT];
    size_t len = (size_t)snprintf(suffix, sizeof suffix, " %016" PRIx64, lives);
    bool holds = text.len > len && memcmp(text.at + text.len - len, suffix, len) == 0;
    return holds ? log_id_parse((struct bytes){text.at, text.len - len}) : (struct log_id){0, 0};
}

static void on_offsets(struct pipeline *pipeline) {
    struct offsets_state *state = pipeline->context;
    enum outcome outcome = pipeline_outcome(pipeline);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++)
        state->lives[i] = reply_text_at(pipeline->at[i].reply, AT_LIFE);
    uint64_t lives = outcome == OK ? hash_of_lives(state->read.store, state->lives) : 0;
    if (outcome == OK)
        *state->ret_lives = lives;
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++)
        state->on_offset(state->read.call, i, offset_in(reply_text_at(pipeline->at[i].reply, AT_OFFSET), lives),
                         reply_text_at(pipeline->at[i].reply, AT_PLAN),
                         reply_text_at(pipeline->at[i].reply, AT_RANKINGS));
    read_end(pipeline, outcome);
}

void store_read_offsets(struct store *store, struct read_call *call, enum projection projection, uint64_t *ret_lives,
                        void (*on_offset)(struct read_call *call, uint32_t partition, struct log_id offset,
                                          struct bytes plan, struct bytes rankings)) {
    uint32_t partitions = keys_partitions();
    size_t size = sizeof(struct offsets_state) + partitions * sizeof(struct bytes);
    struct pipeline *pipeline = read_begin(store, call, partitions, size, on_offsets);
    if (!pipeline)
        return;
    struct offsets_state *state = pipeline->context;
    state->on_offset = on_offset;
    state->ret_lives = ret_lives;
    for (uint32_t i = 0; i < partitions; i++) {
        begin_command(store, "HMGET");
        add_offsets_key(store, i);
        command_add_text(&store->command, offset_field(projection));
        command_add_text(&store->command, "plan");
        command_add_text(&store->command, "rankings");
        command_add_text(&store->command, "life");
        read_add(pipeline);
    }
}

static void add_offset(struct store *store, struct log_id id, uint64_t lives) {
    char text[LOG_ID_TEXT + LIVES_TEXT];
    log_id_format(id, text);
    snprintf(text + strlen(text), LIVES_TEXT, " %016" PRIx64, lives);
    command_add_text(&store->command, text);
}

void store_write_offsets(struct store *store, struct read_call *call, enum projection projection,
                         const struct log_id *offsets, uint64_t lives) {
    struct pipeline *pipeline = read_begin(store, call, count_set(offsets), sizeof(struct read_state), on_all_plain);
    for (uint32_t i = 0; pipeline && i < keys_partitions(); i++) {
        if (log_id_none(offsets[i]))
            continue;
        script_begin(&store->command, SCRIPT_KEEP, 1);
        add_offsets_key(store, i);
        command_add_text(&store->command, offset_field(projection));
        add_offset(store, offsets[i], lives);
        pipeline_add(pipeline, store->router, &store->command);
    }
}

void store_trim(struct store *store, struct read_call *call, const struct log_id *below, uint64_t lives) {
    size_t count = count_set(below);
    struct pipeline *pipeline = read_begin(store, call, count > 0, sizeof(struct read_state), on_all_plain);
    char text[LIVES_TEXT];
    if (!pipeline)
        return;
    script_begin(&store->command, SCRIPT_TRIM, 2 * (uint32_t)count);
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        struct key key;
        if (log_id_none(below[i]))
            continue;
        key_log(&key, i);
        add_key(store, &key);
        add_offsets_key(store, i);
    }
    snprintf(text, sizeof text, "%016" PRIx64, lives);
    command_add_text(&store->command, text);
    command_add_text(&store->command, life_is_known(store->nodes) ? store->nodes->life : "");
    pipeline_add(pipeline, store->router, &store->command);
}

// ---- Applied ids

struct applied_state {
    struct read_state read;
    uint32_t first;
    void (*on_applied)(struct read_call *call, uint32_t key, uint32_t source, struct log_id id);
};

static void on_applied_ids(struct pipeline *pipeline) {
    struct applied_state *state = pipeline->context;
    enum outcome outcome = pipeline_outcome(pipeline);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++) {
        const redisReply *applied = pipeline->at[i].reply;
        for (size_t j = 0; applied->type == REDIS_REPLY_ARRAY && j + 1 < applied->elements; j += 2) {
            unsigned long long source;
            if (bytes_to_u64(reply_text(applied->element[j]), keys_partitions() - 1, &source))
                state->on_applied(state->read.call, state->first + i, (uint32_t)source,
                                  log_id_parse(reply_text(applied->element[j + 1])));
        }
    }
    read_end(pipeline, outcome);
}

void store_read_applied(struct store *store, struct read_call *call, enum projection projection, uint32_t first,
                        uint32_t count,
                        void (*on_applied)(struct read_call *call, uint32_t key, uint32_t source, struct log_id id)) {
    struct pipeline *pipeline = read_begin(store, call, count, sizeof(struct applied_state), on_applied_ids);
    if (!pipeline)
        return;
    struct applied_state *state = pipeline->context;
    state->on_applied = on_applied;
    state->first = first;
    for (uint32_t i = first; i < first + count; i++) {
        struct key key;
        key_applied(&key, i, projection);
        begin_command(store, "HGETALL");
        add_key(store, &key);
        read_add(pipeline);
    }
}

// ---- Reading

struct logs_state {
    struct read_state read;
    void (*on_entry)(struct read_call *call, const struct log_entry *entry);
};

// An entry is [id, [field, value, …]]. An entry of another program has no value.
static void give_entry(struct logs_state *state, uint32_t partition, const redisReply *entry) {
    struct log_entry one = {.partition = partition, .id = log_id_parse(reply_text_at(entry, 0)), .value = NO_BYTES};
    const redisReply *fields = entry->elements == 2 ? entry->element[1] : NULL;
    if (bytes_eq(reply_text_at(fields, 0), BYTES("1")))
        one.value = reply_text_at(fields, 1);
    state->on_entry(state->read.call, &one);
}

static void on_logs(struct pipeline *pipeline) {
    struct logs_state *state = pipeline->context;
    enum outcome outcome = pipeline_outcome(pipeline);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++) {
        const redisReply *entries = pipeline->at[i].reply;
        for (size_t j = 0; entries->type == REDIS_REPLY_ARRAY && j < entries->elements; j++)
            give_entry(state, i, entries->element[j]);
    }
    read_end(pipeline, outcome);
}

void store_read_logs(struct store *store, struct read_call *call, const struct log_id *after, uint32_t max,
                     void (*on_entry)(struct read_call *call, const struct log_entry *entry)) {
    struct pipeline *pipeline = read_begin(store, call, keys_partitions(), sizeof(struct logs_state), on_logs);
    if (!pipeline)
        return;
    ((struct logs_state *)pipeline->context)->on_entry = on_entry;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        struct key key;
        key_log(&key, i);
        begin_command(store, "XRANGE");
        add_key(store, &key);
        add_log_id(store, (struct log_id){after[i].ms, after[i].seq + 1});
        command_add_text(&store->command, "+");
        command_add_text(&store->command, "COUNT");
        command_add_int(&store->command, max);
        read_add(pipeline);
    }
}
