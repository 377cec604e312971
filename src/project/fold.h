// SPDX-License-Identifier: MIT
// What one touch does to the state of one item. Pure: no store, no clock.
//
// A deletion is known by its accept time. Views (and co-views) come from the visitors' logs, so they are told apart by
// their own accept time; votes come from the item's own log, in order with the deletion, so they are wiped exactly
// where its record stands.
#pragma once
#include "model/sums.h"
#include "project/batch.h"

enum fold_effect {
    FOLD_CHANGED = 1,
    FOLD_COUNTED_VIEW = 2, // its visitor is to be added to the unique ones
    FOLD_SET_VIEWS = 8,    // by an import
    FOLD_WIPED_VIEWS = 4,  // the unique visitors are to be cleared, before any is added
};

// `deleted_ms`: accept time of the item's last deletion, 0: none. `total`: the views of the item's whole site and
// partition, or NULL for a touch that changes none. Returns the effects.
unsigned sums_fold(struct sums *sums, struct sums *total, const struct half_lives *lives, double deleted_ms,
                   const struct touch *touch, double accept_ms);
// True when the table changed.
bool neighbours_fold(struct neighbours *table, double deleted_ms, const struct touch *touch, double accept_ms);
