// SPDX-License-Identifier: MIT
// Tables of neighbours (item_cache.h). A list copies the tables that it needs, so nobody holds a cached one.
#include "serve/serve_inside.h"
#include "store/list_reads.h"
#include <stdlib.h>

enum { EXPECTED_BYTES = 512 }; // of a table; the processor sees by itself how it goes on

struct recent_table {
    struct lru_entry lru; // first
    struct serve *serve;
    ref_t item;
    uint64_t read_ms, generation;
    struct track track;
    struct neighbours table; // as far as it is filled
};

static size_t size_of(const struct neighbours *table) {
    return offsetof(struct neighbours, at) + table->count * sizeof table->at[0];
}

static void copy(struct neighbours *to, const struct neighbours *from) {
    memcpy(to, from, size_of(from));
}

static void leave_cache(struct lru_entry *entry) {
    struct recent_table *cached = (struct recent_table *)entry;
    ref_table_drop(&cached->serve->tables_cached, cached->item);
    free(cached);
}

static void forget(struct serve *serve, ref_t item) {
    struct recent_table *cached = ref_table_find(&serve->tables_cached, item);
    if (cached)
        lru_drop(&serve->items, &cached->lru);
}

// Without memory it is not kept.
static void keep(const struct tables_read *read, size_t index, const struct neighbours *table) {
    ref_t item = read->missing[index];
    struct serve *serve = read->serve;
    size_t size = offsetof(struct recent_table, table) + size_of(table);
    forget(serve, item);
    struct recent_table *cached = malloc(size);
    if (!cached)
        return;
    memset(cached, 0, offsetof(struct recent_table, table));
    cached->lru.free = leave_cache;
    cached->serve = serve;
    cached->item = item;
    cached->read_ms = read->age.began_ms;
    cached->track = read->tracks[index];
    cached->generation = store_generation(serve->store);
    copy(&cached->table, table);
    if (ref_table_put(&serve->tables_cached, item, cached))
        lru_add(&serve->items, &cached->lru, size + 2 * sizeof(struct ref_slot));
    else
        free(cached);
}

static void on_table(struct read_call *call, size_t index, const struct neighbours *table, bool usable) {
    struct tables_read *read = call->context;
    copy(&read->at[read->places[index]], table); // one that can't be read is empty: popular items fill the list
    if (usable && item_age_max(read->serve, true))
        keep(read, index, table);
}

static void on_read(struct read_call *call, enum outcome outcome) {
    struct tables_read *read = call->context;
    lru_trim(&read->serve->items);
    read->on_done(read, outcome);
}

// Copies it if it is young enough, else begins its read.
static bool look(struct tables_read *read, ref_t item, size_t place, struct track *ret_track) {
    struct serve *serve = read->serve;
    struct recent_table *cached = ref_table_find(&serve->tables_cached, item);
    bool usable = cached && cached->generation == store_generation(serve->store);
    if (!usable || !made_age_takes(&read->age, serve, &cached->track, cached->read_ms)) {
        *ret_track = usable ? track_known(serve, item, TRACK_TABLE) : (struct track){.session = 0};
        return false;
    }
    lru_use(&serve->items, &cached->lru);
    copy(&read->at[place], &cached->table);
    return true;
}

void tables_read_start(struct tables_read *read, const ref_t *items, size_t count) {
    size_t missing = 0;
    read->age = made_age_begin(read->serve, read->age.max_ms);
    ref_table_expect(&read->serve->tables_cached, items, count, EXPECTED_BYTES);
    for (size_t i = 0; i < count; i++)
        if (!look(read, items[i], i, &read->tracks[missing])) {
            read->missing[missing] = items[i];
            read->places[missing++] = i;
        }
    read->call = (struct read_call){.on_done = on_read, .context = read};
    store_read_neighbours(read->serve->store, &read->call, read->missing, read->tracks, missing, on_table);
}
