// SPDX-License-Identifier: MIT
// Which rankings an item enters, moves in or leaves after its state has changed.
//
// A ranking is bounded. One that was cut has a cutoff: every item of a higher value is in it. So an item is written
// only when its value is above the cutoff, and removed only if it may be in it. The whole site has all rankings;
// categories have all but the site's popularity.
//
// Anybody can make up items: the items without a card have sets of their own, so they take no place from the others.
// Whether they are listed is decided where a list is read.
#pragma once
#include "project/item_sets.h"
#include "store/plan.h"

// What an item was worth before, per ranking of the plan.
struct place {
    bool eligible; // except for its age, which may have let it in earlier
    double value;
};

// The cutoffs of one partition, by the name of the ranking.
struct cutoffs {
    struct cutoff_row *rows; // uthash
};
bool cutoffs_add(struct cutoffs *cutoffs, struct bytes name, double value);
void cutoffs_clear(struct cutoffs *cutoffs);
const double *cutoff_of(const struct cutoffs *cutoffs, const struct ranking_at *ranking); // NULL: nothing was cut

enum place_mode {
    PLACE_CHANGED, // write the rankings in which the value has changed
    PLACE_CARD,    // the card has changed: write all rankings, where the value is unchanged too
    PLACE_REPAIR,  // what the rankings have is not known: write or remove in all of them
};

struct placed_item {
    bool known; // if not, it only leaves rankings
    bool has_card;
    bool had_events; // before
    ref_t site;
    struct bytes id, groups; // groups: model/item.h
    const struct old_groups *old;
    int64_t published_ms;
    const struct sums *sums;
    const struct place *before; // [plan->count]
    enum place_mode mode;
};

void places_before(const struct plan *plan, const struct sums *sums, int64_t now_ms, struct place *ret_places);
// Not those of rankings by period: period_places.h.
void write_places(const struct plan *plan, const struct item_sets *sets, const struct cutoffs *cutoffs, int64_t now_ms,
                  const struct placed_item *item, struct commit *commit);
