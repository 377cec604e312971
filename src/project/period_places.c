// SPDX-License-Identifier: MIT
// Writes an item's places in the sets of the rankings by period (period_places.h).
#include "project/period_places.h"

// ---- The periods of a delta

struct counted {
    uint32_t signal;
    int64_t ms;
    bool goes; // it is taken back
};

// What a vote or view does. Returns how many events.
static uint32_t events_of(const struct delta *delta, struct counted ret_events[static 2]) {
    uint32_t count = 0;
    if (delta->type == DELTA_VIEW)
        ret_events[count++] = (struct counted){SIGNAL_VIEWS, delta->view.time_ms, false};
    if (delta->type == DELTA_VOTE && delta->old_kind < SIGNAL_VIEWS)
        ret_events[count++] = (struct counted){delta->old_kind, delta->vote.old_time_ms, true};
    if (delta->type == DELTA_VOTE && delta->kind < SIGNAL_VIEWS)
        ret_events[count++] = (struct counted){delta->kind, delta->vote.time_ms, false};
    return count;
}

// ---- What a chunk reads

void period_cuts_begin(struct period_cuts *cuts, const struct plan *plan, int64_t now_ms) {
    for (uint32_t i = 0; i < cuts->count; i++)
        cutoffs_clear(&cuts->cutoffs[i]);
    cuts->plan = plan;
    cuts->now_ms = now_ms;
    cuts->count = 0;
    cuts->all = false;
}

static bool same_period(struct period a, struct period b) {
    return a.grain == b.grain && a.number == b.number;
}

static void want(struct period_cuts *cuts, struct period period) {
    for (uint32_t i = 0; i < cuts->count; i++)
        if (same_period(cuts->periods[i], period))
            return;
    if (cuts->count < CUTS_MAX)
        cuts->periods[cuts->count++] = period;
}

static void want_all(struct period_cuts *cuts) {
    struct period open[PERIODS_OPEN_MAX];
    cuts->all = true;
    for (int grain = GRAIN_DAY; grain < GRAINS; grain++) {
        uint32_t count = cuts->plan->period_signals[grain] ? periods_open((enum grain)grain, cuts->now_ms, open) : 0;
        for (uint32_t i = 0; i < count; i++)
            want(cuts, open[i]);
    }
}

void period_cuts_want(struct period_cuts *cuts, const struct delta *delta) {
    struct counted events[2];
    if (cuts->all)
        return;
    if (delta->type != DELTA_VOTE && delta->type != DELTA_VIEW) {
        want_all(cuts);
        return;
    }
    uint32_t count = events_of(delta, events);
    for (uint32_t i = 0; i < count; i++)
        for (int grain = GRAIN_DAY; grain < GRAINS; grain++) {
            if (!(cuts->plan->period_signals[grain] >> events[i].signal & 1))
                continue;
            struct period period = period_at((enum grain)grain, events[i].ms);
            if (period_is_open(period, cuts->now_ms))
                want(cuts, period);
        }
}

// ---- What a fold touches

static bool note_period(const struct period_cuts *cuts, struct period period, uint32_t signal, bool fell,
                        struct arena *texts, struct changed_period **changed) {
    if (!(cuts->plan->period_signals[period.grain] >> signal & 1) || !period_is_open(period, cuts->now_ms))
        return true;
    struct changed_period *at = *changed;
    while (at && !same_period(at->period, period))
        at = at->next;
    if (!at) {
        at = arena_take(texts, sizeof *at);
        if (!at)
            return false;
        *at = (struct changed_period){.period = period, .next = *changed};
        *changed = at;
    }
    at->signals |= 1u << signal;
    at->fell |= fell;
    return true;
}

// An import has replaced these buckets.
static bool note_buckets(const struct period_cuts *cuts, const struct series *series, struct arena *texts,
                         struct changed_period **changed) {
    bool fits = true;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        for (int of = GRAIN_DAY; of < GRAINS; of++) {
            enum grain grain = (enum grain)of;
            struct buckets buckets = series_buckets(series, signal, grain == GRAIN_WEEK ? GRAIN_DAY : grain);
            for (uint32_t i = 0; i < buckets.count; i++) {
                int32_t number = (int32_t)buckets.at[i].number;
                struct period period = {grain, grain == GRAIN_WEEK ? calendar_of_day(grain, number) : number};
                fits = fits && note_period(cuts, period, (uint32_t)signal, true, texts, changed);
            }
        }
    return fits;
}

bool note_periods(const struct period_cuts *cuts, const struct delta *delta, struct arena *texts,
                  struct changed_period **changed) {
    struct counted events[2];
    uint32_t count = events_of(delta, events);
    bool fits = true;
    for (uint32_t i = 0; i < count; i++)
        for (int grain = GRAIN_DAY; grain < GRAINS; grain++)
            if (cuts->plan->period_signals[grain] >> events[i].signal & 1)
                fits = fits && note_period(cuts, period_at((enum grain)grain, events[i].ms), events[i].signal,
                                           events[i].goes, texts, changed);
    struct sums before;
    if (delta->type == DELTA_SET && sums_unpack(delta->card.before, &cuts->plan->lives, &before))
        fits = fits && note_buckets(cuts, &before.series, texts, changed);
    return fits;
}

// ---- Writing

struct period_move_of {
    const struct period_cuts *cuts;
    const struct item_sets *sets;
    const struct placed_item *item;
    const struct ranking *ranking;
    struct commit *commit;
};

static uint32_t bound_of(void) {
    return ranking_bound(PERIOD_DEPTH, keys_partitions());
}

static double cut_of(const struct period_cuts *cuts, const struct ranking_at *at) {
    for (uint32_t i = 0; i < cuts->count; i++)
        if (same_period(cuts->periods[i], at->period)) {
            const double *cut = cutoff_of(&cuts->cutoffs[i], at);
            return cut ? *cut : 0;
        }
    return 0;
}

static struct ranking_at set_at(const struct period_move_of *move, size_t set, struct period period) {
    struct ranking_at at = item_set_of(&move->sets->at[set], move->item->site, move->ranking->name);
    at.period = period;
    return at;
}

// The sets of the site come first; a period has the others only while a window overlaps it.
static size_t sets_of(const struct period_move_of *move, struct period period) {
    return period_has_categories(period, move->cuts->now_ms) ? move->sets->count : ITEM_SETS_OF_SITE;
}

// `may_be_member`: of its own sets.
static void write_period(const struct period_move_of *move, struct period period, bool may_be_member) {
    const struct placed_item *item = move->item;
    bool repairs = item->mode == PLACE_REPAIR;
    double value = item->known ? period_value(move->ranking, &item->sums->series, period) : 0;
    for (size_t i = 0; i < sets_of(move, period); i++) {
        struct ranking_at at = set_at(move, i, period);
        bool own = move->sets->at[i].state == SET_OWN, may_be = own ? may_be_member : item->mode != PLACE_CHANGED;
        double cut = own ? cut_of(move->cuts, &at) : 0;
        if (own && repairs && value > 0 && value == cut) { // of many equal ones none would be left
            commit_keep(move->commit, &at, bound_of(), item->id, value);
            continue;
        }
        switch (period_move(own ? value : 0, cut, may_be)) {
        case PERIOD_PLACE:
            commit_place(move->commit, &at, bound_of(), item->id, value, may_be);
            break;
        case PERIOD_LEAVE:
            commit_leave(move->commit, &at, bound_of(), item->id);
            break;
        case PERIOD_NOTHING:
            break;
        }
    }
}

// A set that is no longer open is never filled up again, so nobody must notice that it has become small.
static void leave_period(const struct period_move_of *move, struct period period) {
    uint32_t bound = period_is_open(period, move->cuts->now_ms) ? bound_of() : 0;
    for (size_t i = 0; i < sets_of(move, period); i++) {
        struct ranking_at at = set_at(move, i, period);
        commit_leave(move->commit, &at, bound, move->item->id);
    }
}

static bool has_bucket(const struct series *series, struct period period) {
    bool week = period.grain == GRAIN_WEEK;
    int32_t first = week ? calendar_first_day(GRAIN_WEEK, period.number) : period.number;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        if (series_count(series, signal, week ? GRAIN_DAY : period.grain, first, week ? first + 6 : first))
            return true;
    return false;
}

static const struct changed_period *find_changed(const struct changed_period *changed, struct period period) {
    while (changed && !same_period(changed->period, period))
        changed = changed->next;
    return changed;
}

static void write_changed(const struct period_move_of *move, const struct changed_period *changed) {
    uint32_t signals = 0;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        signals |= (uint32_t)(move->ranking->weight[signal] > 0) << signal;
    for (; changed; changed = changed->next)
        if (changed->period.grain == window_sets(move->ranking->window) && changed->signals & signals)
            write_period(move, changed->period, changed->fell || !move->item->known);
}

// All that are open; and if the item may be anywhere, all that can be read.
static void write_all(const struct period_move_of *move, const struct changed_period *changed, bool anywhere) {
    enum grain grain = window_sets(move->ranking->window);
    const struct placed_item *item = move->item;
    struct period periods[PERIODS_OPEN_MAX];
    uint32_t count = periods_open(grain, move->cuts->now_ms, periods);
    for (uint32_t i = 0; i < count; i++) {
        const struct changed_period *at = find_changed(changed, periods[i]);
        if (item->known && (at || has_bucket(&item->sums->series, periods[i])))
            write_period(move, periods[i], (at && at->fell) || item->mode == PLACE_REPAIR);
        else if (anywhere)
            leave_period(move, periods[i]);
    }
    count = anywhere ? periods_readable(grain, move->cuts->now_ms, periods) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (!period_is_open(periods[i], move->cuts->now_ms))
            leave_period(move, periods[i]);
}

void write_period_places(const struct period_cuts *cuts, const struct item_sets *sets, const struct placed_item *item,
                         const struct changed_period *changed, bool erased, struct commit *commit) {
    for (uint32_t i = 0; i < cuts->plan->count; i++) {
        struct period_move_of move = {cuts, sets, item, &cuts->plan->rankings[i], commit};
        if (move.ranking->kind != RANK_WINDOW)
            continue;
        if (item->mode == PLACE_CHANGED)
            write_changed(&move, changed);
        else
            write_all(&move, changed, erased || !item->known);
    }
}
