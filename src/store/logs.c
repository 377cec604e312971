// SPDX-License-Identifier: MIT
// The logs: reading them, the positions of the projections in them, trimming; and waiting until they have passed.
#include "store/reads.h"
#include <stdlib.h>

// Fields of a partition's position hash.
static const char *const position_fields[PROJECTION_COUNT] = {
    [PROJECTION_SUMS] = "sums", [PROJECTION_NEIGHBOURS] = "neighbours"};

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
        command_add_text(&store->command, position_fields[projection]);
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
        command_add_text(&store->command, position_fields[projection]);
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

// ---- Waiting

void store_flush(struct store *store, struct read_call *call) {
    static const char flush[] = "\0\0\0\0\0\0\0\0F"; // an entry of one record: model/entry.h
    struct gather *gather = read_begin(store, call, keys_partitions(), sizeof(struct read_state), on_all_plain);
    for (uint32_t i = 0; gather && i < keys_partitions(); i++) {
        struct key key;
        key_log(&key, i);
        begin_command(store, "XADD");
        add_key(store, &key);
        command_add_text(&store->command, "*");
        command_add_text(&store->command, "1");
        command_add(&store->command, (struct bytes){flush, sizeof flush - 1});
        read_add(gather);
    }
}

enum { POLL_MS = 5 };

// Polls the positions, as `?wait=true` is for tests, replays and loading.
struct wait {
    struct store *store;
    struct read_call *call; // the waiter's
    struct read_call poll;
    uv_timer_t timer;
    uint64_t until_ms;
    enum outcome outcome;
    bool passed[PROJECTION_COUNT];
    enum projection asked;
    struct log_id entries[];
};

static void poll_positions(struct wait *wait, enum projection projection);

static void on_wait_closed(uv_handle_t *handle) {
    struct wait *wait = handle->data;
    struct read_call *call = wait->call;
    enum outcome outcome = wait->outcome;
    free(wait);
    call->on_done(call, outcome);
}

static void wait_end(struct wait *wait, enum outcome outcome) {
    wait->outcome = outcome;
    uv_close((uv_handle_t *)&wait->timer, on_wait_closed);
}

static void on_waited(uv_timer_t *timer) {
    struct wait *wait = timer->data;
    poll_positions(wait, PROJECTION_SUMS);
}

static void on_wait_position(struct read_call *call, uint32_t partition, struct log_id position, struct bytes plan) {
    struct wait *wait = call->context;
    (void)plan;
    if (log_id_cmp(position, wait->entries[partition]) < 0)
        wait->passed[wait->asked] = false;
}

static void on_wait_positions(struct read_call *call, enum outcome outcome) {
    struct wait *wait = call->context;
    if (outcome != OK)
        wait_end(wait, outcome);
    else if (!wait->passed[wait->asked] && uv_now(wait->store->loop) >= wait->until_ms)
        wait_end(wait, UNAVAILABLE);
    else if (!wait->passed[wait->asked])
        uv_timer_start(&wait->timer, on_waited, POLL_MS, 0);
    else if (wait->asked == PROJECTION_SUMS)
        poll_positions(wait, PROJECTION_NEIGHBOURS);
    else
        wait_end(wait, OK);
}

static void poll_positions(struct wait *wait, enum projection projection) {
    wait->asked = projection;
    wait->passed[projection] = true;
    wait->poll = (struct read_call){.on_done = on_wait_positions, .context = wait};
    store_read_positions(wait->store, &wait->poll, projection, on_wait_position);
}

void store_wait_projected(struct store *store, struct read_call *call, const struct log_id *entries,
                          uint32_t timeout_ms) {
    size_t size = keys_partitions() * sizeof *entries;
    struct wait *wait = calloc(1, sizeof *wait + size);
    if (!wait) {
        read_fail(store, call);
        return;
    }
    wait->store = store;
    wait->call = call;
    wait->until_ms = uv_now(store->loop) + timeout_ms;
    memcpy(wait->entries, entries, size);
    uv_timer_init(store->loop, &wait->timer);
    wait->timer.data = wait;
    poll_positions(wait, PROJECTION_SUMS);
}
