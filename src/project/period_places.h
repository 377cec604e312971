// SPDX-License-Identifier: MIT
// Writes an item's places in the sets of the rankings by period. model/period_ranking.h says the rule that must hold
// after each commit.
//
// An event changes what an item is worth in the day, week and month of its time, also when that is past. So a fold
// notes the periods that it touches, and the write computes the item's value in each from its series. A card, an
// import, a rebuild concern all open periods in which the item has a bucket. A deletion leaves all sets that can be
// read: the series are gone by then, so each one is asked.
//
// A chunk reads the cutoffs of the periods that it may touch. Where a cutoff is not known, the item is written: the set
// is then cut in Redis, and the rule holds as well.
//
// sums_projection.c calls it. A new kind of delta: its line in period_cuts_want and in note_periods.
#pragma once
#include "project/batch.h"
#include "project/rankings_writer.h"

enum { CUTS_MAX = (GRAINS - 1) * PERIODS_OPEN_MAX };

// The cutoffs of the periods that a chunk may touch.
struct period_cuts {
    const struct plan *plan;
    int64_t now_ms;
    struct period periods[CUTS_MAX];
    struct cutoffs cutoffs[CUTS_MAX];
    uint32_t count;
    bool all; // all that are open
};
void period_cuts_begin(struct period_cuts *cuts, const struct plan *plan, int64_t now_ms); // forgets what it had
void period_cuts_want(struct period_cuts *cuts, const struct delta *delta);

// A period in which an item's value may have changed.
struct changed_period {
    struct period period;
    uint32_t signals; // bits of those that have changed
    bool fell;        // one of them may have fallen, so the item may be in a set to which it no longer belongs
    struct changed_period *next;
};
// Notes what the delta touches. False without memory.
bool note_periods(const struct period_cuts *cuts, const struct delta *delta, struct arena *texts,
                  struct changed_period **changed);

// `erased`: the item may be in sets of periods of which its series say nothing.
void write_period_places(const struct period_cuts *cuts, const struct item_sets *sets, const struct placed_item *item,
                         const struct changed_period *changed, bool erased, struct commit *commit);
