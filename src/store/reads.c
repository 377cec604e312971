// SPDX-License-Identifier: MIT
// What all reads share, and the reads of items and of neighbours. A read is one pipeline of plain commands; its replies
// are used when the last has come.
#include "store/reads.h"
#include "model/first_event.h"
#include "model/item.h"
#include "model/sums.h"
#include "ops/json_in.h"
#include "ops/metrics.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// ---- What all reads share

static void on_read_failed(struct deferred *deferred) {
    struct read_call *call = (struct read_call *)((char *)deferred - offsetof(struct read_call, deferred));
    call->on_done(call, UNAVAILABLE);
}

static void on_read_empty(struct deferred *deferred) {
    struct read_call *call = (struct read_call *)((char *)deferred - offsetof(struct read_call, deferred));
    call->on_done(call, OK);
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

// ---- Items: record, card, sums and unique visitors of each

enum { AT_ITEM, AT_CARD, AT_SUMS, AT_VISITORS, COMMANDS_PER_ITEM };
enum { TEXTS_MAX = 1 << 20 };

struct items_state {
    struct read_state read;
    void (*on_item)(struct read_call *call, size_t index, const struct item_state *item);
};

// Adds the base, "views votes votes …" as lua/put.lua stores it.
void add_base(struct bytes base, struct item_state *item) {
    const char *at = base.at;
    char *end;
    if (base.len == 0)
        return;
    item->views += strtoull(at, &end, 10);
    for (size_t i = 0; i < KINDS_MAX && end != at; i++) {
        at = end;
        item->votes[i] += strtoull(at, &end, 10);
    }
}

// INTERNAL when the record is not usable, UNAVAILABLE without memory for the check.
static enum outcome take_record(const redisReply *packed, const redisReply *card, struct arena *texts,
                                struct item_state *item) {
    struct item record;
    item->known = packed->type == REDIS_REPLY_STRING;
    if (!item->known)
        return OK;
    if (!item_unpack(reply_text(packed), &record))
        return INTERNAL;
    item->id = record.id;
    item->site = record.site;
    struct groups groups = groups_split(record.groups);
    item->categories = groups.categories;
    item->author = groups.author;
    item->published_ms = record.published_ms;
    item->has_card = record.has_card && card->type == REDIS_REPLY_STRING;
    item->card = item->has_card ? reply_text(card) : NO_BYTES;
    memcpy(item->votes, record.votes, sizeof item->votes);
    add_base(record.base, item);
    enum outcome outcome = json_check_members(item->card); // invalid JSON would break every list with this card
    if (outcome == OK && !groups.has_author)
        outcome = card_author(item->card, texts, &item->author);
    return outcome == OK || outcome == UNAVAILABLE ? outcome : INTERNAL;
}

static bool take_sums(const struct store *store, const redisReply *packed, struct sums *sums, struct item_state *item) {
    if (!sums_unpack(reply_text(packed), &store->plan.lives, sums))
        return false;
    item->views += sums->signals[SIGNAL_VIEWS].count;
    item->visitors = sums->early.count;
    item->series = &sums->series;
    if (item->published_ms == 0) // else nobody asks
        item->first_ms = first_event_ms(&sums->series);
    return true;
}

static void take_item(const struct store *store, const struct pipelined *at, struct arena *texts, struct sums *sums,
                      struct item_state *item) {
    *item = (struct item_state){.outcome = OK};
    bool good = true;
    for (int i = 0; i < COMMANDS_PER_ITEM; i++)
        good = good && at[i].outcome == OK;
    item->outcome = good ? take_record(at[AT_ITEM].reply, at[AT_CARD].reply, texts, item) : INTERNAL;
    if (item->outcome == OK && item->known && !take_sums(store, at[AT_SUMS].reply, sums, item))
        item->outcome = INTERNAL;
    if (item->outcome == INTERNAL)
        metric_add(METRIC_BAD_STATES, 1);
    if (item->outcome == OK && item->known && reply_int(at[AT_VISITORS].reply) > 0)
        item->visitors = (uint64_t)reply_int(at[AT_VISITORS].reply);
}

static void on_items(struct pipeline *pipeline) {
    struct items_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    struct arena texts;
    arena_init(&texts, TEXTS_MAX);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i += COMMANDS_PER_ITEM) {
        struct item_state item;
        struct sums sums;
        take_item(state->read.store, &pipeline->at[i], &texts, &sums, &item);
        if (item.outcome == UNAVAILABLE)
            outcome = UNAVAILABLE;
        else
            state->on_item(state->read.call, i / COMMANDS_PER_ITEM, &item);
    }
    arena_release(&texts);
    read_end(pipeline, outcome);
}

static void read_items(struct store *store, struct read_call *call, const ref_t *items, size_t count, bool urgent,
                       void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    struct pipeline *pipeline =
        read_begin(store, call, count * COMMANDS_PER_ITEM, sizeof(struct items_state), on_items);
    if (!pipeline)
        return;
    pipeline->urgent = urgent;
    ((struct items_state *)pipeline->context)->on_item = on_item;
    for (size_t i = 0; i < count; i++) {
        struct key key;
        key_item(&key, items[i]);
        read_ask(pipeline, "GET", &key);
        key_card(&key, items[i]);
        read_ask(pipeline, "GET", &key);
        key_sums(&key, items[i]);
        read_ask(pipeline, "GET", &key);
        key_uniques(&key, items[i]);
        read_ask(pipeline, "PFCOUNT", &key);
    }
}

void store_read_items(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                      void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    read_items(store, call, items, count, false, on_item);
}

void store_look_item(struct store *store, struct read_call *call, const ref_t *item,
                     void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    read_items(store, call, item, 1, true, on_item);
}

// ---- Neighbours

struct tables_state {
    struct read_state read;
    void (*on_table)(struct read_call *call, size_t index, const struct neighbours *table, bool usable);
};

static void on_tables(struct pipeline *pipeline) {
    struct tables_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++) {
        struct neighbours table;
        bool usable = pipeline->at[i].outcome == OK && neighbours_unpack(reply_text(pipeline->at[i].reply), &table);
        if (!usable) {
            metric_add(METRIC_BAD_STATES, 1);
            neighbours_clear(&table);
        }
        state->on_table(state->read.call, i, &table, usable);
    }
    read_end(pipeline, outcome);
}

void store_read_neighbours(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                           void (*on_table)(struct read_call *call, size_t index, const struct neighbours *table,
                                            bool usable)) {
    struct pipeline *pipeline = read_begin(store, call, count, sizeof(struct tables_state), on_tables);
    if (!pipeline)
        return;
    ((struct tables_state *)pipeline->context)->on_table = on_table;
    for (size_t i = 0; i < count; i++) {
        struct key key;
        key_neighbours(&key, items[i]);
        read_ask(pipeline, "GET", &key);
    }
}
