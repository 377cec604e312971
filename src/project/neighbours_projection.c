// SPDX-License-Identifier: MIT
// The projection of views into co-views: each item has a table of the items that were read with it.
#include "project/fold.h"
#include "project/projection_type.h"
#include <stdlib.h>

struct neighbours_item {
    ref_t item;
    bool usable, changed;
    double deleted_ms;
    struct neighbours table;
};

struct neighbours_work {
    struct neighbours_item *items;
    uint32_t count, capacity;
    struct buffer packed;
};

static void *work_new(const struct plan *plan, const struct secret_key *hash_key) {
    (void)plan;
    (void)hash_key;
    struct neighbours_work *work = calloc(1, sizeof(*work));
    if (work)
        buffer_init(&work->packed, 64 << 10);
    return work;
}

static void work_free(void *context) {
    struct neighbours_work *work = context;
    if (!work)
        return;
    buffer_release(&work->packed);
    free(work->items);
    free(work);
}

static bool begin(void *context, const ref_t *items, uint32_t item_count, const ref_t *sites, uint32_t site_count) {
    struct neighbours_work *work = context;
    (void)sites;
    (void)site_count;
    work->count = 0;
    if (item_count > work->capacity) {
        struct neighbours_item *grown = realloc(work->items, item_count * sizeof(*grown));
        if (!grown)
            return false;
        work->items = grown;
        work->capacity = item_count;
    }
    for (uint32_t i = 0; i < item_count; i++) {
        work->items[i].item = items[i];
        work->items[i].usable = work->items[i].changed = false;
    }
    work->count = item_count;
    return true;
}

static bool load(void *context, uint32_t index, const struct partition_item *item) {
    struct neighbours_work *work = context;
    struct neighbours_item *one = &work->items[index];
    one->usable = !item->corrupt && neighbours_unpack(item->state, &one->table);
    if (!one->usable)
        bad_state(PROJECTION_NEIGHBOURS, one->item);
    one->deleted_ms = item->deleted_ms;
    return true;
}

static void fold(void *context, uint32_t index, uint32_t total, const struct delta *delta, double accept_ms,
                 struct commit *commit) {
    struct neighbours_work *work = context;
    struct neighbours_item *one = &work->items[index];
    (void)total;
    (void)commit;
    if (one->usable && neighbours_fold(&one->table, one->deleted_ms, delta, accept_ms))
        one->changed = true;
}

static bool write(void *context, struct commit *commit) {
    struct neighbours_work *work = context;
    bool whole = true;
    for (uint32_t i = 0; i < work->count; i++) {
        struct neighbours_item *one = &work->items[i];
        if (!one->changed)
            continue;
        buffer_clear(&work->packed);
        if (one->table.count != 0)
            neighbours_pack(&one->table, &work->packed);
        whole = whole && !work->packed.failed;
        commit_state(commit, one->item, buffer_bytes(&work->packed));
    }
    return whole;
}

static void make_coview(struct batch *batch, uint32_t entry, ref_t item, ref_t neighbour, double weight) {
    struct delta *delta = batch_add_delta(batch, entry, DELTA_COVIEW, item);
    if (!delta)
        return;
    delta->coview.item = neighbour;
    delta->coview.weight = weight;
}

// Its neighbours have it in their tables, because co-views are written to both.
static void make_forgets(struct batch *batch, uint32_t entry, const struct entry_record *record) {
    struct neighbours table;
    if (!neighbours_unpack(record->table, &table))
        return;
    for (uint16_t i = 0; i < table.count; i++) {
        struct delta *delta = batch_add_delta(batch, entry, DELTA_FORGET, table.at[i].item);
        if (delta) // NULL: applied there already; other partitions may not have it
            delta->coview.item = record->item;
    }
}

// A view of B after A adds weight to A→B, and a third of it to B→A.
static void make_deltas(struct batch *batch, uint32_t entry, const struct entry_record *record) {
    if (record->type == 'E')
        make_forgets(batch, entry, record);
    if (record->type == 'D')
        batch_add_delta(batch, entry, DELTA_DELETE, record->item);
    if (record->type != 'W')
        return;
    for (int i = 0; i < record->recent_count; i++) {
        ref_t earlier = record->recent[i].item;
        int64_t age_ms = record->recent[i].age_ms;
        if (earlier == record->item || age_ms > COVIEW_OLDEST_MS)
            continue;
        double weight = coview_weight(i + 1, age_ms);
        make_coview(batch, entry, earlier, record->item, weight);
        make_coview(batch, entry, record->item, earlier, weight / 3);
    }
}

const struct projection_type neighbours_projection = {
    .projection = PROJECTION_NEIGHBOURS,
    .events = METRIC_NEIGHBOUR_EVENTS,
    .commits = METRIC_NEIGHBOUR_COMMITS,
    .done_to = METRIC_NEIGHBOURS_DONE_TO,
    .chunk_items = 100,
    .batch_bytes = 4 << 20,
    .make_deltas = make_deltas,
    .work_new = work_new,
    .work_free = work_free,
    .begin = begin,
    .load = load,
    .fold = fold,
    .write = write,
};
