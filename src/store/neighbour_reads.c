// SPDX-License-Identifier: MIT
// Reads the neighbours of items: one MGET, and another one for those that Redis is to watch; where a call may touch one
// partition only (a Cluster) a GET for each. A key of a wrong type is an empty table, as one that is not usable is.
#include "ops/metrics.h"
#include "store/list_reads.h"
#include "store/reads.h"

struct tables_state {
    struct read_state read;
    void (*on_table)(struct read_call *call, size_t index, const struct neighbours *table, bool usable);
    bool apart; // a GET for each
    size_t count;
    bool tracked[];
};

static void take_table(const struct tables_state *state, size_t index, enum outcome outcome, const redisReply *reply) {
    struct neighbours table;
    bool usable = outcome == OK && neighbours_unpack(reply_text(reply), &table);
    if (!usable) {
        metric_add(METRIC_BAD_STATES, 1);
        neighbours_clear(&table);
    }
    state->on_table(state->read.call, index, &table, usable);
}

// Takes the answer to the tables that are tracked, or to the others. Returns how many they are.
static size_t take_together(const struct tables_state *state, bool tracked, const struct pipelined *answer) {
    size_t taken = 0;
    for (size_t i = 0; i < state->count; i++)
        if (state->tracked[i] == tracked)
            take_table(state, i, answer->outcome, reply_at(answer->reply, taken++));
    return taken;
}

static void on_tables(struct pipeline *pipeline) {
    struct tables_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    const struct pipelined *at = pipeline->at;
    for (size_t i = 0; outcome == OK && state->apart && i < state->count; i++)
        take_table(state, i, at[i].outcome, at[i].reply);
    if (outcome == OK && !state->apart && take_together(state, false, at) < state->count)
        take_together(state, true, &at[pipeline->count - 1]);
    read_end(pipeline, outcome);
}

static void ask_together(struct pipeline *pipeline, const ref_t *items, bool tracked) {
    const struct tables_state *state = pipeline->context;
    struct store *store = state->read.store;
    begin_command(store, "MGET");
    store->command.tracked = tracked;
    for (size_t i = 0; i < state->count; i++)
        if (state->tracked[i] == tracked) {
            struct key key;
            key_neighbours(&key, items[i]);
            add_key(store, &key);
        }
    if (command_count(&store->command) > 1)
        read_add(pipeline);
}

static void ask_apart(struct pipeline *pipeline, const ref_t *items) {
    const struct tables_state *state = pipeline->context;
    for (size_t i = 0; i < state->count; i++) {
        struct key key;
        key_neighbours(&key, items[i]);
        begin_command(state->read.store, "GET");
        state->read.store->command.tracked = state->tracked[i];
        add_key(state->read.store, &key);
        read_add(pipeline);
    }
}

void store_read_neighbours(struct store *store, struct read_call *call, const ref_t *items, const struct track *tracks,
                           size_t count,
                           void (*on_table)(struct read_call *call, size_t index, const struct neighbours *table,
                                            bool usable)) {
    bool apart = count == 1 || store_cuts_by_partition(store);
    size_t tracked = 0;
    for (size_t i = 0; i < count; i++)
        tracked += tracks[i].session != 0;
    bool mixed = tracked && tracked < count;
    size_t commands = apart || !count ? count : mixed ? 2 : 1;
    struct pipeline *pipeline =
        read_begin(store, call, commands, sizeof(struct tables_state) + count * sizeof(bool), on_tables);
    if (!pipeline)
        return;
    struct tables_state *state = pipeline->context;
    state->on_table = on_table;
    state->apart = apart;
    state->count = count;
    for (size_t i = 0; i < count; i++)
        state->tracked[i] = tracks[i].session;
    if (apart) {
        ask_apart(pipeline, items);
        return;
    }
    ask_together(pipeline, items, false);
    ask_together(pipeline, items, true);
}
