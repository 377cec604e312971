// SPDX-License-Identifier: MIT
// The parts of an item that only an export reads. import_write.c writes them back.
#include "store/transfer.h"
#include "base/clock.h"
#include "model/item.h"
#include "model/sums.h"
#include "store/reads.h"
#include <stdio.h>
#include <stdlib.h>

enum { AT_ITEM, AT_CARD, AT_SUMS, AT_VISITORS, COMMANDS_PER_RECORD, PACKED_MAX = 8 << 10 };

struct records_state {
    struct read_state read;
    void (*on_record)(struct read_call *call, size_t index, const struct item_record *record);
};

// Packs the views alone: an export lists the votes one by one.
static bool pack_views(const struct store *store, struct bytes packed, struct buffer *ret_views) {
    struct sums sums;
    if (!sums_unpack(packed, &store->plan.lives, &sums))
        return false;
    sums.epoch_ms = 0;
    for (int signal = 0; signal < SIGNAL_VIEWS; signal++) {
        sums.signals[signal].count = 0;
        series_clear_signal(&sums.series, signal);
    }
    series_for_export(&sums.series);
    if (sums.signals[SIGNAL_VIEWS].count)
        sums_pack(&sums, &store->plan.lives, ret_views);
    return !ret_views->failed;
}

// Redis caches the last count in the sketch (8 bytes; the highest bit says that it is out of date). It is removed, so
// that two sketches of the same visitors are the same bytes. The reply is ours to change.
static struct bytes without_cached_count(const redisReply *reply) {
    struct bytes sketch = reply_text(reply);
    enum { COUNT_AT = 8, COUNT_SIZE = 8 };
    if (sketch.len >= COUNT_AT + COUNT_SIZE) {
        memset(reply->str + COUNT_AT, 0, COUNT_SIZE - 1);
        reply->str[COUNT_AT + COUNT_SIZE - 1] = (char)0x80;
    }
    return sketch;
}

// False without memory.
static bool tell_record(struct records_state *state, size_t index, const struct pipelined *at) {
    struct item_record record = {.usable = true};
    struct buffer views;
    struct item item;
    buffer_init(&views, PACKED_MAX);
    for (int i = 0; i < COMMANDS_PER_RECORD; i++)
        record.usable = record.usable && at[i].outcome == OK;
    record.usable = record.usable && item_unpack(reply_text(at[AT_ITEM].reply), &item) &&
                    pack_views(state->read.store, reply_text(at[AT_SUMS].reply), &views);
    if (record.usable) {
        record.id = item.id;
        record.site = item.site;
        record.base = item.base;
        record.has_card = item.has_card;
        record.card = item.has_card ? reply_text(at[AT_CARD].reply) : NO_BYTES;
        record.views = buffer_bytes(&views);
        record.visitors = without_cached_count(at[AT_VISITORS].reply);
    }
    bool whole = !views.failed;
    if (whole)
        state->on_record(state->read.call, index, &record);
    buffer_release(&views);
    return whole;
}

static void on_records(struct pipeline *pipeline) {
    struct records_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i += COMMANDS_PER_RECORD)
        if (!tell_record(state, i / COMMANDS_PER_RECORD, &pipeline->at[i]))
            outcome = UNAVAILABLE;
    read_end(pipeline, outcome);
}

void store_read_records(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                        void (*on_record)(struct read_call *call, size_t index, const struct item_record *record)) {
    struct pipeline *pipeline =
        read_begin(store, call, count * COMMANDS_PER_RECORD, sizeof(struct records_state), on_records);
    if (!pipeline)
        return;
    ((struct records_state *)pipeline->context)->on_record = on_record;
    for (size_t i = 0; i < count; i++) {
        struct key key;
        key_item(&key, items[i]);
        read_ask(pipeline, "GET", &key);
        key_card(&key, items[i]);
        read_ask(pipeline, "GET", &key);
        key_sums(&key, items[i]);
        read_ask(pipeline, "GET", &key);
        key_uniques(&key, items[i]);
        read_ask(pipeline, "GET", &key);
    }
}
