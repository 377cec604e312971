// SPDX-License-Identifier: MIT
// Folds deltas into sums and into tables of neighbours (fold.h).
#include "project/fold.h"

// Subtracts the item's views from the site's total.
static void take_from_total(struct sums *total, const struct half_lives *lives, const struct signal_sums *views) {
    struct signal_sums *all = &total->signals[SIGNAL_VIEWS];
    all->count -= views->count < all->count ? views->count : all->count;
    for (uint32_t i = 0; i < lives->count; i++)
        all->sum[i] = all->count == 0 ? DECAY_EMPTY : decay_take(all->sum[i], views->sum[i]);
}

static void clear_signal(struct sums *sums, int signal) {
    struct signal_sums *one = &sums->signals[signal];
    one->count = 0;
    for (int i = 0; i < HALF_LIVES_MAX; i++)
        one->sum[i] = DECAY_EMPTY;
    series_clear_signal(&sums->series, signal);
}

// Removes the views up to the deletion.
static unsigned wipe_views(struct sums *sums, struct sums *total, const struct half_lives *lives, double deleted_ms) {
    if (deleted_ms <= sums->epoch_ms)
        return 0;
    sums->epoch_ms = deleted_ms;
    struct signal_sums *views = &sums->signals[SIGNAL_VIEWS];
    if (total && views->count != 0)
        take_from_total(total, lives, views);
    clear_signal(sums, SIGNAL_VIEWS);
    sums->early.count = 0;
    return FOLD_CHANGED | FOLD_WIPED_VIEWS | FOLD_CHANGED_TOTAL;
}

static unsigned fold_view(struct sums *sums, struct sums *total, const struct half_lives *lives,
                          const struct delta *delta, double accept_ms) {
    if (accept_ms <= sums->epoch_ms)
        return 0;
    sums_add(sums, lives, SIGNAL_VIEWS, delta->view.time_ms);
    if (total)
        sums_add(total, lives, SIGNAL_VIEWS, delta->view.time_ms);
    return FOLD_CHANGED | FOLD_COUNTED_VIEW | FOLD_CHANGED_TOTAL;
}

// Of votes the total has series alone.
static unsigned fold_vote(struct sums *sums, struct sums *total, const struct half_lives *lives,
                          const struct delta *delta) {
    bool gives = delta->kind < SIGNAL_VIEWS, takes = delta->old_kind < SIGNAL_VIEWS;
    if (takes)
        sums_take(sums, lives, delta->old_kind, delta->vote.old_time_ms);
    if (gives)
        sums_add(sums, lives, delta->kind, delta->vote.time_ms);
    if (total && takes)
        series_take(&total->series, delta->old_kind, delta->vote.old_time_ms);
    if (total && gives)
        series_add(&total->series, delta->kind, delta->vote.time_ms, 1);
    return FOLD_CHANGED | FOLD_CHANGED_TOTAL;
}

static void add_to_total(struct sums *total, const struct half_lives *lives, const struct signal_sums *views) {
    struct signal_sums *all = &total->signals[SIGNAL_VIEWS];
    all->count += views->count;
    for (uint32_t i = 0; views->count && i < lives->count; i++)
        all->sum[i] = decay_add(all->sum[i], views->sum[i]);
}

// Adds the difference of an item's views, which a script has set or removed, to the site's total. A state that could
// not be read counts as empty. What is removed stays in the total's series.
static unsigned move_total(struct sums *total, const struct half_lives *lives, struct bytes before, struct bytes now,
                           bool sets) {
    struct sums old, new;
    if (!total)
        return 0;
    if (sums_unpack(before, lives, &old) && old.signals[SIGNAL_VIEWS].count)
        take_from_total(total, lives, &old.signals[SIGNAL_VIEWS]);
    if (sums_unpack(now, lives, &new))
        add_to_total(total, lives, &new.signals[SIGNAL_VIEWS]);
    if (sets)
        series_move(&total->series, SIGNAL_VIEWS, &new.series, &old.series);
    return FOLD_CHANGED_TOTAL;
}

// Format 2: the item's views become those of the import.
static unsigned fold_import(struct sums *sums, struct sums *total, const struct half_lives *lives,
                            const struct delta *delta, double accept_ms) {
    struct sums given;
    struct signal_sums *views = &sums->signals[SIGNAL_VIEWS];
    if (accept_ms <= sums->epoch_ms || !sums_unpack(delta->card.packed, lives, &given))
        return 0;
    const struct signal_sums *new_views = &given.signals[SIGNAL_VIEWS];
    if (total) {
        if (views->count)
            take_from_total(total, lives, views);
        add_to_total(total, lives, new_views);
    }
    clear_signal(sums, SIGNAL_VIEWS);
    series_begin_late(&sums->series, (int64_t)accept_ms); // their hours are not known
    *views = *new_views;
    sums->early = given.early;
    return FOLD_CHANGED | FOLD_CHANGED_TOTAL;
}

static unsigned wipe_votes(struct sums *sums) {
    for (int signal = 0; signal < SIGNAL_VIEWS; signal++)
        clear_signal(sums, signal);
    return FOLD_CHANGED;
}

unsigned sums_fold(struct sums *sums, struct sums *total, const struct half_lives *lives, double deleted_ms,
                   const struct delta *delta, double accept_ms) {
    switch (delta->type) {
    case DELTA_VOTE:
        return fold_vote(sums, total, lives, delta);
    case DELTA_VIEW: {
        unsigned wiped = wipe_views(sums, total, lives, deleted_ms);
        return wiped | fold_view(sums, total, lives, delta, accept_ms);
    }
    case DELTA_ERASE:
        return wipe_votes(sums) | move_total(total, lives, delta->card.before, NO_BYTES, false);
    case DELTA_SET:
        return move_total(total, lives, delta->card.before, delta->card.packed, true);
    case DELTA_IMPORT: {
        unsigned wiped = wipe_views(sums, total, lives, deleted_ms);
        return wiped | fold_import(sums, total, lives, delta, accept_ms);
    }
    case DELTA_DELETE: {
        unsigned wiped = wipe_views(sums, total, lives, deleted_ms > accept_ms ? deleted_ms : accept_ms);
        return wiped | wipe_votes(sums);
    }
    default:
        return 0;
    }
}

static bool wipe_table(struct neighbours *table, double deleted_ms) {
    if (deleted_ms <= table->epoch_ms)
        return false;
    neighbours_clear(table);
    table->epoch_ms = deleted_ms;
    return true;
}

bool neighbours_fold(struct neighbours *table, double deleted_ms, const struct delta *delta, double accept_ms) {
    bool deletes = delta->type == DELTA_DELETE;
    if (delta->type == DELTA_FORGET)
        return neighbours_forget(table, delta->coview.item);
    bool wiped = wipe_table(table, deletes && accept_ms > deleted_ms ? accept_ms : deleted_ms);
    if (delta->type != DELTA_COVIEW || accept_ms <= table->epoch_ms)
        return wiped;
    neighbours_add(table, delta->coview.item, delta->coview.weight);
    return true;
}
