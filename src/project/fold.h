// SPDX-License-Identifier: MIT
// Applies one delta to the state of one item. Pure: no store, no clock.
//
// A deletion writes an erasure record, and an import writes a set record. Both wait until all earlier entries are
// folded, and their scripts change the item's views themselves, so all views that are folded later count, whatever log
// they are in. Their record only corrects the site's total. Votes are in the same log as the record, in order, so the
// record wipes exactly the votes before it.
//
// Series (model/series.h) follow these rules:
//   vote or view   goes into the buckets of its own time, of the item and of the site
//   retraction     takes one from the buckets of the time at which the vote was cast, of the item and of the site
//   another kind   is a retraction of the old vote and a new one
//   erasure        the item's go with its sums (views by the script, votes here); what was in the site's stays there:
//   it
//                  has happened. So they are not the sum of those of the items.
//   set            the item's views are those of the import (by the script); the site's learn the difference
//   card           changes none
// A vote that an older program has logged names no site: the site's series do not know it.
//
// A deletion of format 2 has only its accept time (`deleted_ms`): it wipes the views that were accepted before it.
// Format 2 is read for one release.
#pragma once
#include "model/sums.h"
#include "project/batch.h"

enum fold_effect {
    FOLD_CHANGED = 1,
    FOLD_COUNTED_VIEW = 2, // add its visitor to the unique visitors
    FOLD_WIPED_VIEWS = 4,  // clear the unique visitors before any is added
    FOLD_CHANGED_TOTAL = 8,
};

// `deleted_ms`: accept time of the item's last deletion, 0: none. `total`: of the item's whole site and partition: its
// views, and series of views and votes; NULL for a delta that changes no total. Returns the effects.
unsigned sums_fold(struct sums *sums, struct sums *total, const struct half_lives *lives, double deleted_ms,
                   const struct delta *delta, double accept_ms);
// True when the table changed.
bool neighbours_fold(struct neighbours *table, double deleted_ms, const struct delta *delta, double accept_ms);
