// SPDX-License-Identifier: MIT
// How the snapshot of an author's ranking is read (snapshot.c). The author's sets say which items there are, the newest
// AUTHOR_DEPTH of them; what each is worth in the ranking is computed from its sums. So all rankings of an author, also
// those of a window, come from one set (project/author_places.h), and the snapshot is whole.
#include "base/clock.h"
#include "model/keys.h"
#include "model/window_list.h"
#include "serve/snapshot.h"
#include "store/list_reads.h"
#include <math.h>
#include <stdlib.h>

struct author_reading {
    struct snapshot *snapshot;
    int64_t now_ms;
    struct window_span span;               // of a window ranking
    bool complete, floored;                // as in struct window_facts
    struct window_member at[AUTHOR_DEPTH]; // first their dates are the values
    int64_t published_ms[AUTHOR_DEPTH];
    ref_t refs[AUTHOR_DEPTH];
    size_t count, text_size;
    char *texts; // the ids
    struct read_call call;
};

// ---- The entries

static int best_first(const void *a, const void *b) {
    const struct window_member *left = a, *right = b;
    if (left->value != right->value)
        return left->value < right->value ? 1 : -1;
    return bytes_cmp(left->id, right->id);
}

// Drops what has no value in the ranking, and sorts the others.
static void sort_members(struct author_reading *reading) {
    size_t kept = 0;
    for (size_t i = 0; i < reading->count; i++)
        if (!isnan(reading->at[i].value))
            reading->at[kept++] = reading->at[i];
    reading->count = kept;
    if (kept)
        qsort(reading->at, kept, sizeof reading->at[0], best_first);
}

static struct snapshot_entries *make_entries(struct author_reading *reading) {
    sort_members(reading);
    struct snapshot_entries *entries = snapshot_entries_new(reading->count, reading->text_size);
    if (!entries)
        return NULL;
    entries->whole = true;
    entries->window = (struct window_facts){.now_ms = reading->now_ms,
                                            .from_ms = reading->span.from_ms,
                                            .complete = reading->complete,
                                            .floored = reading->floored};
    for (size_t i = 0; i < reading->count; i++)
        snapshot_entries_add(entries, reading->at[i].item, reading->at[i].value, reading->at[i].id);
    return entries;
}

static void finish(struct author_reading *reading, enum outcome outcome) {
    struct snapshot *snapshot = reading->snapshot;
    struct snapshot_entries *entries = outcome == OK ? make_entries(reading) : NULL;
    free(reading->texts);
    free(reading);
    shared_done(&snapshot->shared, entries ? &entries->value : NULL, entries ? entries->size : 0);
}

// ---- What each item is worth

static double value_in_window(struct author_reading *reading, const struct series *series) {
    const struct ranking *ranking = reading->snapshot->ranking;
    double value = window_value(ranking, series, &reading->span);
    reading->complete &= series_since(series, reading->span.grain) <= reading->span.from_ms;
    if (value > 0 && window_events(ranking, series, &reading->span) < ranking->floor) {
        reading->floored = true;
        return NAN;
    }
    return value > 0 ? value : NAN;
}

static void on_sums(struct read_call *call, size_t index, const struct sums *sums) {
    struct author_reading *reading = call->context;
    const struct ranking *ranking = reading->snapshot->ranking;
    double value;
    if (ranking->kind == RANK_WINDOW)
        reading->at[index].value = value_in_window(reading, &sums->series);
    else if (ranking_value(ranking, sums, reading->published_ms[index], reading->now_ms, &value))
        reading->at[index].value = value;
}

static void on_sums_read(struct read_call *call, enum outcome outcome) {
    finish(call->context, outcome);
}

// ---- The set

// A date with a half millisecond is none.
static int64_t published_of(double value) {
    return floor(value) == value ? (int64_t)value : 0;
}

static void on_top(struct read_call *call, const struct ranked *list, size_t count, bool whole) {
    struct author_reading *reading = call->context;
    const struct snapshot *snapshot = reading->snapshot;
    for (size_t i = 0; i < count; i++)
        reading->text_size += list[i].id.len;
    char *text = reading->texts = malloc(reading->text_size + 1);
    if (!text)
        return;
    reading->complete &= whole;
    for (size_t i = 0; i < count; i++) {
        struct bytes id = {text, list[i].id.len};
        memcpy(text, list[i].id.at, id.len);
        text += id.len;
        reading->at[i] = (struct window_member){
            item_ref(snapshot->shared.serve->hash_key, bytes_of(snapshot->site_name), id), list[i].value, id};
    }
    reading->count = window_members_once(reading->at, count, keys_partitions());
}

static void on_top_read(struct read_call *call, enum outcome outcome) {
    struct author_reading *reading = call->context;
    if (outcome != OK || !reading->texts) {
        finish(reading, outcome == OK ? UNAVAILABLE : outcome);
        return;
    }
    for (size_t i = 0; i < reading->count; i++) {
        reading->published_ms[i] = published_of(reading->at[i].value);
        reading->refs[i] = reading->at[i].item;
        reading->at[i].value = NAN;
    }
    reading->call = (struct read_call){.on_done = on_sums_read, .context = reading};
    store_read_sums(reading->snapshot->shared.serve->store, &reading->call, reading->refs, reading->count, on_sums);
}

bool author_snapshot_start(struct snapshot *snapshot) {
    struct author_reading *reading = calloc(1, sizeof *reading);
    if (!reading)
        return false;
    reading->snapshot = snapshot;
    reading->now_ms = clock_now_ms();
    if (snapshot->ranking->kind == RANK_WINDOW)
        reading->span = window_span_at(snapshot->ranking->window, reading->now_ms);
    reading->complete = reading->span.from_ms >= (int64_t)series_began_s() * 1000;
    reading->call = (struct read_call){.on_done = on_top_read, .context = reading};
    store_read_top(snapshot->shared.serve->store, &reading->call, snapshot->site, BYTES(AUTHOR_NAME),
                   &snapshot->category, true, AUTHOR_DEPTH, on_top);
    return true;
}
