// SPDX-License-Identifier: MIT
// The size of each key of Redis: one SCAN for a page of keys, then MEMORY USAGE of each in one pipeline.
#include "store/reads.h"
#include <stdlib.h>
#include <string.h>

enum { PAGE_KEYS = 512 };

struct usage_state {
    struct read_state read;
    uint64_t *cursor;
    void (*on_key)(struct read_call *call, struct bytes key, uint64_t bytes);
    redisReply *page; // the keys' texts, from SCAN
};

static void end(struct pipeline *pipeline, enum outcome outcome) {
    struct usage_state *state = pipeline->context;
    freeReplyObject(state->page);
    read_end(pipeline, outcome);
}

static void on_usage(struct pipeline *pipeline) {
    struct usage_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++) // a key that no longer exists has 0
        state->on_key(state->read.call, reply_text(state->page->element[1]->element[i]),
                      (uint64_t)reply_int(pipeline->at[i].reply));
    end(pipeline, outcome);
}

static void on_page(struct pipeline *pipeline) {
    struct usage_state *state = pipeline->context;
    struct store *store = state->read.store;
    enum outcome outcome = pipeline_outcome(pipeline);
    state->page = pipeline->at[0].reply;
    pipeline->at[0].reply = NULL;
    size_t count = outcome == OK && state->page->elements == 2 ? state->page->element[1]->elements : 0;
    if (outcome == OK)
        *state->cursor = strtoull(reply_text_at(state->page, 0).at, NULL, 10);
    struct pipeline *usage = count ? pipeline_new((uint32_t)count, on_usage, state) : NULL;
    if (!usage) {
        end(pipeline, count ? UNAVAILABLE : outcome);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        begin_command(store, "MEMORY");
        command_add_text(&store->command, "USAGE");
        command_add(&store->command, reply_text(state->page->element[1]->element[i]));
        command_add_text(&store->command, "SAMPLES");
        command_add_int(&store->command, 0);
        read_add(usage);
    }
    pipeline_free(pipeline);
}

void store_read_usage(struct store *store, struct read_call *call, uint64_t *cursor,
                      void (*on_key)(struct read_call *call, struct bytes key, uint64_t bytes)) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct usage_state), on_page);
    char text[24];
    if (!pipeline)
        return;
    struct usage_state *state = pipeline->context;
    state->cursor = cursor;
    state->on_key = on_key;
    snprintf(text, sizeof text, "%llu", (unsigned long long)*cursor);
    begin_command(store, "SCAN");
    command_add_text(&store->command, text);
    command_add_text(&store->command, "COUNT");
    command_add_int(&store->command, PAGE_KEYS);
    read_add(pipeline);
}
