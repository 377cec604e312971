// SPDX-License-Identifier: MIT
// Turns the entries of the logs into deltas of items (batch.h).
#include "project/batch.h"
#include "base/array.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include <inttypes.h>
#include <stdlib.h>

enum { ENTRY_MAX = 1 << 20 };

bool batch_init(struct batch *batch, uint32_t partitions, size_t max_bytes) {
    *batch = (struct batch){.partitions = partitions, .share = max_bytes / partitions};
    // A log's first entry is taken whatever its size, and the arena rounds each size up.
    arena_init(&batch->texts, 2 * max_bytes + (size_t)partitions * ENTRY_MAX);
    batch->deltas = calloc(partitions, sizeof(*batch->deltas));
    batch->last = calloc(partitions, sizeof(*batch->last));
    batch->taken = calloc(partitions, sizeof(*batch->taken));
    batch->read = calloc(partitions, sizeof(*batch->read));
    batch->closed = calloc(partitions, sizeof(*batch->closed));
    return batch->deltas && batch->last && batch->taken && batch->read && batch->closed;
}

void batch_release(struct batch *batch) {
    for (uint32_t i = 0; batch->deltas && i < batch->partitions; i++)
        free(batch->deltas[i].at);
    free(batch->deltas);
    free(batch->last);
    free(batch->taken);
    free(batch->read);
    free(batch->closed);
    free(batch->entries);
    arena_release(&batch->texts);
}

void batch_clear(struct batch *batch) {
    arena_reset(&batch->texts);
    for (uint32_t i = 0; i < batch->partitions; i++) {
        batch->deltas[i].count = 0;
        batch->last[i] = (struct log_id){0, 0};
        batch->taken[i] = 0;
        batch->read[i] = 0;
        batch->closed[i] = false;
    }
    batch->entry_count = 0;
    batch->left = batch->flush = batch->failed = false;
    batch->oldest_ms = 0;
}

static bool is_applied(const struct batch *batch, uint32_t entry, uint32_t partition) {
    if (entry == NO_ENTRY || !batch->applied)
        return false;
    const struct batch_entry *one = &batch->entries[entry];
    return log_id_order(one->id, batch->applied[(size_t)partition * batch->partitions + one->source]) <= 0;
}

static void note_missed(struct batch *batch, uint32_t entry) {
    if (entry == NO_ENTRY)
        return;
    const struct batch_entry *one = &batch->entries[entry];
    struct log_id *missed = &batch->missed[one->source];
    if (log_id_order(*missed, (struct log_id){0, 0}) == 0 || log_id_order(one->id, *missed) < 0)
        *missed = one->id;
}

void batch_leave(struct batch *batch, uint32_t partition, uint32_t first) {
    struct delta_list *list = &batch->deltas[partition];
    for (uint32_t i = first; i < list->count; i++)
        note_missed(batch, list->at[i].entry);
    list->count = first < list->count ? first : list->count;
}

void batch_whole(const struct batch *batch, struct log_id *whole) {
    for (uint32_t i = 0; i < batch->entry_count; i++) {
        const struct batch_entry *one = &batch->entries[i];
        struct log_id missed = batch->missed[one->source];
        if (log_id_order(missed, (struct log_id){0, 0}) == 0 || log_id_order(one->id, missed) < 0)
            whole[one->source] = one->id;
    }
}

struct delta *batch_add_delta(struct batch *batch, uint32_t entry, enum delta_type type, ref_t item) {
    uint32_t partition = partition_of(item, batch->partitions);
    struct delta_list *list = &batch->deltas[partition];
    if (is_applied(batch, entry, partition))
        return NULL;
    if (batch->behind && batch->behind[partition]) {
        note_missed(batch, entry);
        return NULL;
    }
    struct delta *grown = array_room_for_one(list->at, list->count, &list->capacity, sizeof(*grown));
    if (!grown) {
        batch->failed = true;
        return NULL;
    }
    list->at = grown;
    struct delta *delta = &grown[list->count++];
    *delta = (struct delta){.item = item, .entry = entry, .type = (uint8_t)type};
    return delta;
}

static uint32_t add_entry(struct batch *batch, const struct log_entry *entry) {
    struct batch_entry *grown =
        array_room_for_one(batch->entries, batch->entry_count, &batch->entry_capacity, sizeof(*grown));
    if (!grown)
        return NO_ENTRY;
    batch->entries = grown;
    grown[batch->entry_count] = (struct batch_entry){entry->partition, entry->id, 0};
    return batch->entry_count++;
}

void bad_state(enum projection projection, ref_t item) {
    static uint64_t logged_ns;
    metric_add(METRIC_BAD_STATES, 1);
    if (log_is_due(&logged_ns))
        log_error("%s: the state of %016" PRIx64 " cannot be read; it is left alone", projection_name(projection),
                  item);
}

static void set_aside(const struct log_entry *entry, const char *what) {
    metric_add(METRIC_BAD_ENTRIES, 1);
    log_warn("log %u, entry %" PRIu64 "-%" PRIu64 ": %s; set aside", entry->partition, entry->id.ms, entry->id.seq,
             what);
}

static void read_records(struct batch *batch, const struct log_entry *entry, uint32_t number, struct bytes value,
                         delta_maker *make_deltas) {
    double accept_ms;
    struct bytes rest;
    if (!entry_open(value, &accept_ms, &rest)) {
        set_aside(entry, "not readable");
        return;
    }
    batch->entries[number].accept_ms = accept_ms;
    if (accept_ms > 0 && (batch->oldest_ms == 0 || accept_ms < batch->oldest_ms))
        batch->oldest_ms = accept_ms;
    struct entry_record record;
    int found;
    while ((found = entry_next(&rest, &record)) == 1) {
        if (record.type == 'F')
            batch->flush = true;
        make_deltas(batch, number, &record);
    }
    if (found < 0)
        set_aside(entry, "corrupt in the middle");
}

void batch_take(struct batch *batch, const struct log_entry *entry, delta_maker *make_deltas) {
    uint32_t source = entry->partition;
    batch->read[source]++;
    bool first = batch->last[source].ms == 0 && batch->last[source].seq == 0;
    if (batch->closed[source] || batch->failed)
        return;
    if (!first && batch->taken[source] + entry->value.len > batch->share) {
        batch->closed[source] = batch->left = true;
        return;
    }
    bool huge = entry->value.len > ENTRY_MAX;
    struct bytes copy = huge || entry->value.len == 0 ? NO_BYTES : arena_copy(&batch->texts, entry->value);
    uint32_t number = add_entry(batch, entry);
    if (number == NO_ENTRY || (!huge && entry->value.len != 0 && !copy.at)) {
        batch->failed = true;
        return;
    }
    batch->taken[source] += copy.len;
    batch->last[source] = entry->id;
    read_records(batch, entry, number, copy, make_deltas);
}
