// SPDX-License-Identifier: MIT
// The records of corrections in Redis, and the reads of their scans: items by a cursor, an item's voters by bucket.
#include "store/correction_records.h"
#include "model/item.h"
#include "model/voters.h"
#include "store/scan_walk.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_PER_PAGE = 500, RUN_TEXT = 17 };

static uint64_t reply_cursor(const redisReply *reply) {
    struct bytes cursor = reply_text_at(reply, 0);
    return cursor.len ? strtoull(cursor.at, NULL, 10) : 0;
}

static void add_cursor(struct store *store, uint64_t cursor) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)cursor);
    command_add_text(&store->command, text);
}

// ---- Records

static void on_written(struct pipeline *pipeline) {
    enum outcome outcome = pipeline_outcome(pipeline);
    read_end(pipeline, outcome == OK && reply_int(pipeline->at[0].reply) == 0 ? TOO_MANY_REQUESTS : outcome);
}

void store_write_corrections(struct store *store, struct read_call *call, bool done, const struct correction_row *rows,
                             size_t count, uint32_t max) {
    struct pipeline *pipeline = read_begin(store, call, count ? 1 : 0, sizeof(struct read_state), on_written);
    struct key key;
    if (!pipeline)
        return;
    script_begin(&store->command, SCRIPT_CORRECT, 1);
    key_corrections(&key, done);
    add_key(store, &key);
    command_add_int(&store->command, max);
    for (size_t i = 0; i < count; i++) {
        command_add(&store->command, rows[i].id);
        command_add(&store->command, rows[i].text.at ? rows[i].text : BYTES(""));
        command_add(&store->command, rows[i].site.at ? rows[i].site : BYTES(""));
    }
    pipeline_add_write(pipeline, store->router, &store->command);
}

struct records_state {
    struct read_state read;
    uint64_t *cursor;
    void (*on_record)(struct read_call *call, struct bytes id, struct bytes text);
};

static void on_records(struct pipeline *pipeline) {
    struct records_state *state = pipeline->context;
    const redisReply *reply = pipeline->at[0].reply;
    enum outcome outcome = pipeline_outcome(pipeline);
    if (outcome == OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2))
        outcome = INTERNAL;
    if (outcome == OK) {
        const redisReply *records = reply->element[1];
        *state->cursor = reply_cursor(reply);
        for (size_t i = 0; i + 1 < records->elements; i += 2)
            state->on_record(state->read.call, reply_text_at(records, i), reply_text_at(records, i + 1));
    }
    read_end(pipeline, outcome);
}

void store_scan_corrections(struct store *store, struct read_call *call, bool done, uint64_t *cursor,
                            void (*on_record)(struct read_call *call, struct bytes id, struct bytes text)) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct records_state), on_records);
    struct key key;
    if (!pipeline)
        return;
    struct records_state *state = pipeline->context;
    state->cursor = cursor;
    state->on_record = on_record;
    key_corrections(&key, done);
    begin_command(store, "HSCAN");
    add_key(store, &key);
    add_cursor(store, *cursor);
    command_add_text(&store->command, "COUNT");
    command_add_int(&store->command, RECORDS_PER_PAGE);
    read_add(pipeline);
}

// ---- Which Redis

struct run_state {
    struct read_state read;
    void (*on_run)(struct read_call *call, struct bytes run);
};

static void on_info(struct pipeline *pipeline) {
    static const char name[] = "run_id:";
    struct run_state *state = pipeline->context;
    const redisReply *reply = pipeline->at[0].reply;
    struct bytes info = reply_text(reply), run = {"", 0};
    const char *at = info.len ? memmem(info.at, info.len, name, sizeof name - 1) : NULL;
    if (at) {
        run.at = at + sizeof name - 1;
        run.len = strcspn(run.at, "\r\n"); // hiredis ends every string with a NUL
    }
    enum outcome outcome = reply ? OK : pipeline_outcome(pipeline); // an error is an answer, too: no id
    if (outcome == OK)
        state->on_run(state->read.call, run);
    read_end(pipeline, outcome);
}

void store_read_run(struct store *store, struct read_call *call,
                    void (*on_run)(struct read_call *call, struct bytes run)) {
    if (store->cluster) {
        char run[RUN_TEXT];
        snprintf(run, sizeof run, "%016" PRIx64, scan_lives(store));
        on_run(call, bytes_of(run));
        read_begin(store, call, 0, 0, NULL); // OK at the end of this turn
        return;
    }
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct run_state), on_info);
    if (!pipeline)
        return;
    ((struct run_state *)pipeline->context)->on_run = on_run;
    command_add_text(begin_command(store, "INFO"), "server");
    read_add(pipeline);
}

// ---- Scans

struct item_page {
    struct scan_page page;
    void (*on_item)(struct read_call *call, ref_t item);
};

static void on_item_keys(struct scan_page *page) {
    for (size_t i = 0; i < page->keys->elements; i++) {
        ref_t item;
        if (key_parse(scan_page_key(page, i), 'i', &item))
            ((struct item_page *)page)->on_item(page->read.call, item);
    }
    scan_page_end(page, OK);
}

void store_scan_items(struct store *store, struct read_call *call, struct scan *scan, uint32_t count,
                      void (*on_item)(struct read_call *call, ref_t item)) {
    struct item_page *items = scan_page_begin(store, call, scan, sizeof *items, on_item_keys);
    if (!items)
        return;
    items->on_item = on_item;
    scan_page_send(&items->page, "{e*}i????????????????", count, NULL);
}

// ---- Voters: those in the item's record, and those in buckets

struct voted_state {
    struct read_state read;
    void (*on_item)(struct read_call *call, size_t index, const struct voted_item *item);
};

static void on_voted(struct pipeline *pipeline) {
    struct voted_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++) {
        struct voted_item item = {.site = NO_BYTES};
        struct item record;
        if (pipeline->at[i].outcome == OK && item_unpack(reply_text(pipeline->at[i].reply), &record)) {
            item = (struct voted_item){
                .site = record.site, .id = record.id, .inside = record.voters, .buckets = record.buckets};
            for (size_t kind = 0; kind < ITEM_KINDS_MAX; kind++)
                item.voters += record.votes[kind];
        }
        state->on_item(state->read.call, i, &item);
    }
    read_end(pipeline, outcome);
}

void store_read_voted(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                      void (*on_item)(struct read_call *call, size_t index, const struct voted_item *item)) {
    struct pipeline *pipeline = read_begin(store, call, count, sizeof(struct voted_state), on_voted);
    if (!pipeline)
        return;
    ((struct voted_state *)pipeline->context)->on_item = on_item;
    for (size_t i = 0; i < count; i++) {
        struct key key;
        key_item(&key, items[i]);
        read_ask(pipeline, "GET", &key);
    }
}

struct voters_state {
    struct read_state read;
    uint32_t *ret_buckets;
    void (*on_voter)(struct read_call *call, const struct voter *voter);
};

static void give_voters(struct voters_state *state, const redisReply *reply) {
    *state->ret_buckets = reply->elements ? (uint32_t)reply_int(reply->element[0]) : 0;
    for (size_t i = 1; i + 1 < reply->elements; i += 2) {
        struct voter voter;
        if (voter_unpack(reply_text_at(reply, i), reply_text_at(reply, i + 1), &voter))
            state->on_voter(state->read.call, &voter);
    }
}

static void on_voters(struct pipeline *pipeline) {
    struct voters_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    *state->ret_buckets = 0;
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++)
        if (pipeline->at[i].outcome == OK && pipeline->at[i].reply->type == REDIS_REPLY_ARRAY)
            give_voters(state, pipeline->at[i].reply);
    read_end(pipeline, outcome);
}

void store_read_voters(struct store *store, struct read_call *call, ref_t item, uint32_t first, uint32_t count,
                       uint32_t *ret_buckets, void (*on_voter)(struct read_call *call, const struct voter *voter)) {
    struct pipeline *pipeline = read_begin(store, call, count, sizeof(struct voters_state), on_voters);
    struct key key;
    if (!pipeline)
        return;
    struct voters_state *state = pipeline->context;
    state->ret_buckets = ret_buckets;
    state->on_voter = on_voter;
    for (uint32_t bucket = first; bucket < first + count; bucket++) {
        script_begin(&store->command, SCRIPT_VOTERS, 2);
        key_item(&key, item);
        add_key(store, &key);
        key_voters(&key, item, bucket);
        add_key(store, &key);
        command_add_int(&store->command, bucket);
        pipeline_add(pipeline, store->router, &store->command);
    }
}
