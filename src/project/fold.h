// SPDX-License-Identifier: MIT
// What one touch does to the state of one item. Pure: no store, no clock.
//
// An erasure (and a set, of an import) comes after everything that was acknowledged before it has been folded, and has
// taken the views away itself, so that views folded later count whatever log they are in: its record moves the site's
// total. Votes come from the item's own log, in order with the record, so they are wiped exactly where it stands.
//
// The deletions of format 2 are known by their accept time (`deleted_ms`, tombstones), and views are told apart by
// their own. They are honoured for one release.
#pragma once
#include "model/sums.h"
#include "project/batch.h"

enum fold_effect {
    FOLD_CHANGED = 1,
    FOLD_COUNTED_VIEW = 2, // its visitor is to be added to the unique ones
    FOLD_WIPED_VIEWS = 4,  // the unique visitors are to be cleared, before any is added
    FOLD_CHANGED_TOTAL = 8,
};

// `deleted_ms`: accept time of the item's last deletion, 0: none. `total`: the views of the item's whole site and
// partition, or NULL for a touch that changes none. Returns the effects.
unsigned sums_fold(struct sums *sums, struct sums *total, const struct half_lives *lives, double deleted_ms,
                   const struct delta *delta, double accept_ms);
// True when the table changed.
bool neighbours_fold(struct neighbours *table, double deleted_ms, const struct delta *delta, double accept_ms);
