// SPDX-License-Identifier: MIT
// What all reads share. A read is one pipeline of plain commands; its replies are used when the last has come.
#include "store/reads.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include <stddef.h>
#include <stdlib.h>

static void on_read_failed(struct deferred *deferred) {
    struct read_call *call = (struct read_call *)((char *)deferred - offsetof(struct read_call, deferred));
    call->on_done(call, UNAVAILABLE);
}

static void on_read_empty(struct deferred *deferred) {
    struct read_call *call = (struct read_call *)((char *)deferred - offsetof(struct read_call, deferred));
    call->on_done(call, OK);
}

void read_nothing(struct store *store, struct read_call *call) {
    store_defer(store, &call->deferred, on_read_empty);
}

void read_fail(struct store *store, struct read_call *call) {
    store_defer(store, &call->deferred, on_read_failed);
}

struct pipeline *read_begin(struct store *store, struct read_call *call, size_t commands, size_t state_size,
                            void (*on_all)(struct pipeline *)) {
    struct read_state *state = commands ? calloc(1, state_size) : NULL;
    struct pipeline *pipeline = state ? pipeline_new((uint32_t)commands, on_all, state) : NULL;
    if (!pipeline) {
        free(state);
        store_defer(store, &call->deferred, commands ? on_read_failed : on_read_empty);
        return NULL;
    }
    state->store = store;
    state->call = call;
    return pipeline;
}

void read_end(struct pipeline *pipeline, enum outcome outcome) {
    struct read_state *state = pipeline->context;
    struct read_call *call = state->call;
    free(state);
    call->on_done(call, outcome);
    pipeline_free(pipeline);
}

void read_add(struct pipeline *pipeline) {
    struct read_state *state = pipeline->context;
    pipeline_add(pipeline, state->store->router, &state->store->command);
}

void write_add(struct pipeline *pipeline) {
    struct read_state *state = pipeline->context;
    pipeline_add_write(pipeline, state->store->router, &state->store->command);
}

void read_ask(struct pipeline *pipeline, const char *command, const struct key *key) {
    struct read_state *state = pipeline->context;
    begin_command(state->store, command);
    add_key(state->store, key);
    read_add(pipeline);
}

enum outcome read_apart(const struct pipeline *pipeline, void (*on_away)(struct read_call *call, uint32_t partition)) {
    const struct read_state *state = pipeline->context;
    enum outcome outcome = pipeline_outcome(pipeline);
    bool any = false;
    for (uint32_t i = 0; i < pipeline->count; i++) {
        if (pipeline->at[i].outcome == OVERLOADED)
            return OVERLOADED;
        any |= pipeline->at[i].outcome == OK;
    }
    for (uint32_t i = 0; any && i < pipeline->count; i++)
        if (pipeline->at[i].outcome != OK)
            on_away(state->call, pipeline->at[i].place);
    return any ? OK : outcome;
}

// An INTERNAL concerns one key only and does not fail the read; any other error does.
enum outcome read_outcome(const struct pipeline *pipeline) {
    for (uint32_t i = 0; i < pipeline->count; i++)
        if (pipeline->at[i].outcome != OK && pipeline->at[i].outcome != INTERNAL)
            return pipeline->at[i].outcome;
    return OK;
}
