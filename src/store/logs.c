// SPDX-License-Identifier: MIT
// The logs: reading them, the offsets of the projections in them, and trimming.
#include "store/operator_reads.h"
#include "store/reads.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIVES_TEXT = 18 }; // a space, 16 hex digits

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

static size_t count_set(const struct log_id *ids) {
    size_t count = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++)
        count += !log_id_none(ids[i]);
    return count;
}

static size_t count_asked(const struct apart *apart) {
    size_t count = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++)
        count += !apart->skip[i];
    return count;
}

// ---- Offsets: "<id> <hash of the lives in which it was reached>" (lua/open.lua). An offset of other lives may be
// ahead of what this Redis has. It is not valid then, and the projection begins again at the oldest entry.

// A partition that does not answer counts with the life that it had when it was heard last.

struct offsets_state {
    struct read_state read;
    struct apart apart;
    void (*on_offset)(struct read_call *call, uint32_t partition, const struct stored_offset *offset);
    uint64_t *ret_lives;
};

enum { AT_OFFSET, AT_PLAN, AT_RANKINGS, AT_LIFE };

void life_heard(struct store *store, uint32_t partition, struct bytes life) {
    char *known = store->partition_lives[partition];
    snprintf(known, PARTITION_LIFE_SIZE, "%.*s", (int)life.len, life.len ? life.at : "");
}

uint64_t hash_of_lives(const struct store *store) {
    struct bytes lives[keys_partitions()]; // at most 1,024: 16 KiB
    for (uint32_t i = 0; i < keys_partitions(); i++)
        lives[i] = bytes_of(store->partition_lives[i]);
    return keyed_hash64(store->hash_key, 'l', lives, keys_partitions());
}

struct log_id offset_in(struct bytes text, uint64_t lives) {
    char suffix[LIVES_TEXT];
    size_t len = (size_t)snprintf(suffix, sizeof suffix, " %016" PRIx64, lives);
    bool holds = text.len > len && memcmp(text.at + text.len - len, suffix, len) == 0;
    return holds ? log_id_parse((struct bytes){text.at, text.len - len}) : (struct log_id){0, 0};
}

static void give_offset(struct offsets_state *state, const struct pipelined *one, uint64_t lives) {
    struct stored_offset offset = {.offset = offset_in(reply_text_at(one->reply, AT_OFFSET), lives),
                                   .plan = reply_text_at(one->reply, AT_PLAN),
                                   .rankings = reply_text_at(one->reply, AT_RANKINGS),
                                   .life = reply_text_at(one->reply, AT_LIFE)};
    state->on_offset(state->read.call, one->place, &offset);
}

static void on_offsets(struct pipeline *pipeline) {
    struct offsets_state *state = pipeline->context;
    struct store *store = state->read.store;
    enum outcome outcome = read_apart(pipeline, state->apart.on_away);
    for (uint32_t i = 0; i < pipeline->count; i++)
        if (pipeline->at[i].outcome == OK)
            life_heard(store, pipeline->at[i].place, reply_text_at(pipeline->at[i].reply, AT_LIFE));
    uint64_t lives = outcome == OK ? hash_of_lives(store) : 0;
    if (outcome == OK)
        *state->ret_lives = lives;
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++)
        if (pipeline->at[i].outcome == OK)
            give_offset(state, &pipeline->at[i], lives);
    read_end(pipeline, outcome);
}

void store_read_offsets(struct store *store, struct read_call *call, enum projection projection,
                        const struct apart *apart, uint64_t *ret_lives,
                        void (*on_offset)(struct read_call *call, uint32_t partition,
                                          const struct stored_offset *offset)) {
    struct pipeline *pipeline = read_begin(store, call, count_asked(apart), sizeof(struct offsets_state), on_offsets);
    if (!pipeline)
        return;
    struct offsets_state *state = pipeline->context;
    state->apart = *apart;
    state->on_offset = on_offset;
    state->ret_lives = ret_lives;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        if (apart->skip[i])
            continue;
        begin_command(store, "HMGET");
        add_offsets_key(store, i);
        command_add_text(&store->command, projection_name(projection));
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

struct writes_state {
    struct read_state read;
    struct apart apart;
    void (*on_written)(struct read_call *call, uint32_t partition); // NULL: nobody asks
};

static void on_offsets_written(struct pipeline *pipeline) {
    struct writes_state *state = pipeline->context;
    enum outcome outcome = read_apart(pipeline, state->apart.on_away);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++)
        if (pipeline->at[i].outcome == OK)
            state->on_written(state->read.call, pipeline->at[i].place);
    read_end(pipeline, outcome);
}

void store_write_offsets(struct store *store, struct read_call *call, enum projection projection,
                         const struct apart *apart, const struct log_id *offsets, uint64_t lives,
                         void (*on_written)(struct read_call *call, uint32_t partition)) {
    struct pipeline *pipeline =
        read_begin(store, call, count_set(offsets), sizeof(struct writes_state), on_offsets_written);
    if (!pipeline)
        return;
    struct writes_state *state = pipeline->context;
    state->apart = *apart;
    state->on_written = on_written;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        if (log_id_none(offsets[i]))
            continue;
        script_begin(&store->command, SCRIPT_KEEP, 1);
        add_offsets_key(store, i);
        command_add_text(&store->command, projection_name(projection));
        add_offset(store, offsets[i], lives);
        pipeline_add(pipeline, store->router, &store->command);
    }
}

// ---- Trimming. A partition that is not trimmed now is trimmed later, so one that fails is no failure.

static void on_trimmed(struct pipeline *pipeline) {
    enum outcome outcome = pipeline_outcome(pipeline);
    for (uint32_t i = 0; i < pipeline->count; i++)
        if (pipeline->at[i].outcome == OK)
            outcome = OK;
    read_end(pipeline, outcome);
}

static void add_trimmed_keys(struct store *store, uint32_t partition) {
    struct key key;
    key_log(&key, partition);
    add_key(store, &key);
    add_offsets_key(store, partition);
}

static void add_trim_arguments(struct store *store, uint32_t partition, uint64_t lives) {
    char text[LIVES_TEXT];
    const struct store_node *at = node_of(store, partition);
    snprintf(text, sizeof text, "%016" PRIx64, lives);
    command_add_text(&store->command, text);
    command_add_text(&store->command, at && life_is_known(at) ? at->life : "");
}

static void trim_one(struct store *store, struct pipeline *pipeline, uint32_t partition, struct log_id below,
                     uint64_t lives) {
    script_begin(&store->command, SCRIPT_TRIM, 2);
    add_trimmed_keys(store, partition);
    add_trim_arguments(store, partition, lives);
    add_log_id(store, below);
    pipeline_add(pipeline, store->router, &store->command);
}

static void trim_together(struct store *store, struct pipeline *pipeline, const struct log_id *below, uint64_t lives) {
    script_begin(&store->command, SCRIPT_TRIM, 2 * (uint32_t)count_set(below));
    for (uint32_t i = 0; i < keys_partitions(); i++)
        if (!log_id_none(below[i]))
            add_trimmed_keys(store, i);
    add_trim_arguments(store, 0, lives);
    for (uint32_t i = 0; i < keys_partitions(); i++)
        if (!log_id_none(below[i]))
            add_log_id(store, below[i]);
    pipeline_add(pipeline, store->router, &store->command);
}

void store_trim(struct store *store, struct read_call *call, const struct log_id *below, uint64_t lives,
                bool one_by_one) {
    one_by_one |= store_cuts_by_partition(store);
    size_t count = count_set(below), calls = one_by_one ? count : count > 0;
    struct pipeline *pipeline = read_begin(store, call, calls, sizeof(struct read_state), on_trimmed);
    if (pipeline && !one_by_one)
        trim_together(store, pipeline, below, lives);
    for (uint32_t i = 0; pipeline && one_by_one && i < keys_partitions(); i++)
        if (!log_id_none(below[i]))
            trim_one(store, pipeline, i, below[i], lives);
}

// ---- Applied ids

struct applied_state {
    struct read_state read;
    struct apart apart;
    void (*on_applied)(struct read_call *call, uint32_t key, uint32_t source, struct log_id id);
};

static void give_applied(struct applied_state *state, uint32_t partition, const redisReply *applied) {
    for (size_t j = 0; applied->type == REDIS_REPLY_ARRAY && j + 1 < applied->elements; j += 2) {
        unsigned long long source;
        if (bytes_to_u64(reply_text(applied->element[j]), keys_partitions() - 1, &source))
            state->on_applied(state->read.call, partition, (uint32_t)source,
                              log_id_parse(reply_text(applied->element[j + 1])));
    }
}

static void on_applied_ids(struct pipeline *pipeline) {
    struct applied_state *state = pipeline->context;
    enum outcome outcome = read_apart(pipeline, state->apart.on_away);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++)
        if (pipeline->at[i].outcome == OK)
            give_applied(state, pipeline->at[i].place, pipeline->at[i].reply);
    read_end(pipeline, outcome);
}

void store_read_applied(struct store *store, struct read_call *call, enum projection projection,
                        const struct apart *apart, uint32_t first, uint32_t end,
                        void (*on_applied)(struct read_call *call, uint32_t key, uint32_t source, struct log_id id)) {
    size_t count = 0;
    for (uint32_t i = first; i < end; i++)
        count += !apart->skip[i];
    struct pipeline *pipeline = read_begin(store, call, count, sizeof(struct applied_state), on_applied_ids);
    if (!pipeline)
        return;
    struct applied_state *state = pipeline->context;
    state->apart = *apart;
    state->on_applied = on_applied;
    for (uint32_t i = first; i < end; i++) {
        struct key key;
        if (apart->skip[i])
            continue;
        key_applied(&key, i, projection);
        begin_command(store, "HGETALL");
        add_key(store, &key);
        read_add(pipeline);
    }
}

// ---- Reading

struct logs_state {
    struct read_state read;
    struct apart apart;
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

// First it is said which logs cannot be read, then come the entries of the others.
static void on_logs(struct pipeline *pipeline) {
    struct logs_state *state = pipeline->context;
    enum outcome outcome = read_apart(pipeline, state->apart.on_away);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++) {
        const redisReply *entries = pipeline->at[i].outcome == OK ? pipeline->at[i].reply : NULL;
        for (size_t j = 0; entries && entries->type == REDIS_REPLY_ARRAY && j < entries->elements; j++)
            give_entry(state, pipeline->at[i].place, entries->element[j]);
    }
    read_end(pipeline, outcome);
}

void store_read_logs(struct store *store, struct read_call *call, const struct apart *apart, const struct log_id *after,
                     uint32_t max, void (*on_entry)(struct read_call *call, const struct log_entry *entry)) {
    struct pipeline *pipeline = read_begin(store, call, count_asked(apart), sizeof(struct logs_state), on_logs);
    if (!pipeline)
        return;
    struct logs_state *state = pipeline->context;
    state->apart = *apart;
    state->on_entry = on_entry;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        struct key key;
        if (apart->skip[i])
            continue;
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

// ---- How large they are

struct sizes_state {
    struct read_state read;
    void (*on_bytes)(struct read_call *call, uint64_t bytes);
};

static void on_sizes(struct pipeline *pipeline) {
    struct sizes_state *state = pipeline->context;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < pipeline->count; i++)
        if (pipeline->at[i].outcome == OK)
            bytes += (uint64_t)reply_int(pipeline->at[i].reply);
    state->on_bytes(state->read.call, bytes);
    read_end(pipeline, OK);
}

void store_read_log_bytes(struct store *store, struct read_call *call,
                          void (*on_bytes)(struct read_call *call, uint64_t bytes)) {
    struct pipeline *pipeline = read_begin(store, call, keys_partitions(), sizeof(struct sizes_state), on_sizes);
    if (!pipeline)
        return;
    ((struct sizes_state *)pipeline->context)->on_bytes = on_bytes;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        struct key key;
        key_log(&key, i);
        command_add_text(begin_command(store, "MEMORY"), "USAGE");
        add_key(store, &key);
        read_add(pipeline);
    }
}

// ---- Whether a partition answers again, and takes writes

static void on_asked(struct pipeline *pipeline) {
    read_end(pipeline, pipeline_outcome(pipeline));
}

void store_ask_partition(struct store *store, struct read_call *call, uint32_t partition) {
    struct pipeline *pipeline = read_begin(store, call, 3, sizeof(struct read_state), on_asked);
    struct key key;
    if (!pipeline)
        return;
    key_log(&key, partition);
    read_ask(pipeline, "XLEN", &key);
    key_applied(&key, partition, PROJECTION_SUMS);
    begin_command(store, "HGET");
    add_key(store, &key);
    command_add_text(&store->command, "version");
    read_add(pipeline);
    begin_command(store, "HDEL"); // it removes nothing, but Redis takes it only where it takes writes
    add_offsets_key(store, partition);
    command_add_text(&store->command, "");
    write_add(pipeline);
}
