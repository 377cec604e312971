// SPDX-License-Identifier: MIT
// How the snapshot of a window ranking is read (snapshot.c). The sets of the periods that its window overlaps say which
// items may stand there. In a sliding window each one is counted from its sums; in a period its value is that of the
// set.
//
// What is in none of the sets is worth at most `left_out`. So a list that ends above it lacks nothing (list.c says so).
// The candidates are few (a partition's set is bounded), so all of them are read, and the snapshot is whole.
#include "base/clock.h"
#include "model/keys.h"
#include "model/window_list.h"
#include "serve/snapshot.h"
#include "store/list_reads.h"
#include <stdlib.h>

enum { TEXTS_MAX = 8 << 20, MEMBERS_MAX = 8 << 20 };

struct window_reading {
    struct snapshot *snapshot;
    int64_t now_ms;
    struct window_span span;
    bool slides, floored; // floored: an item has too few events
    struct period period; // that does not slide
    struct window_sets sets;
    struct buffer texts, members, refs; // the ids, struct window_member, ref_t of each
    size_t count;
    struct read_call call;
};

static struct window_member *members_of(const struct window_reading *reading) {
    return (struct window_member *)(void *)reading->members.at;
}

static bool has_memory(const struct window_reading *reading) {
    return !reading->texts.failed && !reading->members.failed && !reading->refs.failed;
}

// ---- The entries

static struct snapshot_entries *make_entries(const struct window_reading *reading, size_t count) {
    const struct window_member *members = members_of(reading);
    struct snapshot_entries *entries = snapshot_entries_new(count, reading->texts.len);
    if (!entries)
        return NULL;
    entries->whole = true;
    entries->window = (struct window_facts){.now_ms = reading->now_ms,
                                            .from_ms = reading->span.from_ms,
                                            .period = reading->period,
                                            .left_out = reading->sets.left_out,
                                            .complete = reading->sets.complete,
                                            .floored = reading->floored};
    for (size_t i = 0; i < count; i++)
        snapshot_entries_add(entries, members[i].item, members[i].value, members[i].id);
    return entries;
}

static void finish(struct window_reading *reading, enum outcome outcome) {
    struct snapshot *snapshot = reading->snapshot;
    struct snapshot_entries *entries = NULL;
    if (outcome == OK && has_memory(reading))
        entries = make_entries(reading, window_members_best(members_of(reading), reading->count, SNAPSHOT_DEPTH_DEEP,
                                                            &reading->sets.left_out));
    buffer_release(&reading->texts);
    buffer_release(&reading->members);
    buffer_release(&reading->refs);
    free(reading);
    shared_done(&snapshot->shared, entries ? &entries->value : NULL, entries ? entries->size : 0);
}

// ---- Counting

// Fewer events than the floor are no place.
static void on_sums(struct read_call *call, size_t index, const struct sums *sums) {
    struct window_reading *reading = call->context;
    const struct ranking *ranking = reading->snapshot->ranking;
    struct window_member *member = &members_of(reading)[index];
    reading->sets.complete &= series_since(&sums->series, reading->span.grain) <= reading->span.from_ms;
    if (reading->slides)
        member->value = window_value(ranking, &sums->series, &reading->span);
    if (member->value > 0 && window_events(ranking, &sums->series, &reading->span) < ranking->floor) {
        member->value = 0;
        reading->floored = true;
    }
}

static void on_counted(struct read_call *call, enum outcome outcome) {
    finish(call->context, outcome);
}

// An item whose sums are gone meanwhile has no place in a sliding window.
static void count_members(struct window_reading *reading) {
    struct window_member *members = members_of(reading);
    for (size_t i = 0; i < reading->count; i++) {
        if (reading->slides)
            members[i].value = 0;
        buffer_add(&reading->refs, &members[i].item, sizeof members[i].item);
    }
    if (!has_memory(reading)) {
        finish(reading, UNAVAILABLE);
        return;
    }
    reading->call = (struct read_call){.on_done = on_counted, .context = reading};
    store_read_sums(reading->snapshot->shared.serve->store, &reading->call,
                    (const ref_t *)(const void *)reading->refs.at, reading->count, on_sums);
}

// ---- The sets

static void on_member(struct read_call *call, struct bytes id, double value) {
    struct window_reading *reading = call->context;
    const struct snapshot *snapshot = reading->snapshot;
    ref_t item = item_ref(snapshot->shared.serve->hash_key, bytes_of(snapshot->site_name), id);
    struct window_member member = {item, value, {NULL, id.len}}; // the text may still move
    buffer_add_bytes(&reading->texts, id);
    buffer_add(&reading->members, &member, sizeof member);
}

// The texts stand in the order of the members.
static void take_members(struct window_reading *reading) {
    struct window_member *members = members_of(reading);
    const char *text = reading->texts.at;
    size_t count = reading->members.len / sizeof *members;
    for (size_t i = 0; i < count; i++) {
        members[i].id.at = text;
        text += members[i].id.len;
    }
    reading->count = window_members_once(members, count, keys_partitions());
}

// What was counted before the data had series is in no bucket; with another time zone days and months begin again.
static void on_sets(struct read_call *call, const struct window_sets *sets) {
    struct window_reading *reading = call->context;
    reading->sets = *sets;
    reading->sets.complete &= reading->span.from_ms >= sets->gap_ms &&
                              reading->span.from_ms >= (int64_t)series_began_s() * 1000 &&
                              reading->span.from_ms >= (int64_t)series_days_began_s() * 1000;
}

// A period's values are those of its set. Only a floor needs the sums of its items, and those of a period that is
// closed may not have its buckets any more.
static bool needs_sums(const struct window_reading *reading) {
    return reading->slides ||
           (reading->snapshot->ranking->floor > 1 && period_is_open(reading->period, reading->now_ms));
}

static void on_sets_read(struct read_call *call, enum outcome outcome) {
    struct window_reading *reading = call->context;
    if (outcome == OK && has_memory(reading)) {
        take_members(reading);
        if (needs_sums(reading)) {
            count_members(reading);
            return;
        }
    }
    finish(reading, outcome);
}

static struct window_span span_of(struct period period) {
    struct window_span span = {.grain = period.grain == GRAIN_WEEK ? GRAIN_DAY : period.grain,
                               .first = period.number,
                               .last = period.number,
                               .from_ms = period_begin_ms(period)};
    if (period.grain == GRAIN_WEEK) {
        span.first = calendar_first_day(GRAIN_WEEK, period.number);
        span.last = calendar_first_day(GRAIN_WEEK, period.number + 1) - 1;
    }
    return span;
}

static void choose_periods(struct window_reading *reading, struct period ret_periods[static PERIODS_READ_MAX],
                           uint32_t *ret_count) {
    const struct snapshot *snapshot = reading->snapshot;
    enum window window = snapshot->ranking->window;
    if (snapshot->past) {
        *ret_count = 1;
        reading->period = ret_periods[0] = (struct period){window_sets(window), snapshot->period};
        reading->span = span_of(ret_periods[0]);
        return;
    }
    *ret_count = periods_of_window(window, reading->now_ms, ret_periods);
    reading->span = window_span_at(window, reading->now_ms);
    reading->slides = window_slides(window);
    if (!reading->slides)
        reading->period = ret_periods[0];
}

// Who gets a card later than that stays in the set of those without one. list.c leaves out those that still have none.
static bool has_late_cards(const struct window_reading *reading) {
    return reading->period.grain != GRAIN_HOUR && period_is_closed(reading->period, reading->now_ms);
}

bool window_snapshot_start(struct snapshot *snapshot) {
    struct window_reading *reading = calloc(1, sizeof *reading);
    struct period periods[PERIODS_READ_MAX];
    uint32_t period_count;
    if (!reading)
        return false;
    reading->snapshot = snapshot;
    reading->now_ms = clock_now_ms();
    buffer_init(&reading->texts, TEXTS_MAX);
    buffer_init(&reading->members, MEMBERS_MAX);
    buffer_init(&reading->refs, MEMBERS_MAX);
    choose_periods(reading, periods, &period_count);
    struct window_sets_question question = {.site = snapshot->site,
                                            .ranking = snapshot->ranking->name,
                                            .category = snapshot->has_category ? &snapshot->category : NULL,
                                            .cards_only = snapshot->cards_only && !has_late_cards(reading),
                                            .periods = periods,
                                            .period_count = period_count};
    reading->call = (struct read_call){.on_done = on_sets_read, .context = reading};
    store_read_window_sets(snapshot->shared.serve->store, &reading->call, &question, on_member, on_sets);
    return true;
}
