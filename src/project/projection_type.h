// SPDX-License-Identifier: MIT
// What one projection does with its deltas; the engine (engine.c) does everything that is the same for all.
//
// For one chunk of one target partition the engine calls: begin, load (and load_total, load_cutoff) for what Redis
// holds, fold for each touch that is not applied yet in the order of its log, then write. All memory between begin and
// the next begin is the work's own. To add a projection: a table like these, an engine for it in projector.c.
#pragma once
#include "ops/metrics.h"
#include "project/batch.h"
#include "store/plan.h"

struct projection_type {
    enum projection projection;
    const char *name;
    enum metric events, commits, done_to;
    size_t batch_bytes; // of entries in work at once
    delta_maker *make_deltas;
    // The site whose total the touch may change; false: none. NULL: no projection of totals.
    bool (*delta_site)(const struct secret_key *hash_key, const struct delta *delta, ref_t *ret_site);

    void *(*work_new)(const struct plan *plan, const struct secret_key *hash_key);
    void (*work_free)(void *work);
    // References and sites live until the next begin. False without memory, as are the others.
    bool (*begin)(void *work, const ref_t *items, uint32_t item_count, const ref_t *sites, uint32_t site_count);
    bool (*load)(void *work, uint32_t index, const struct partition_item *item);
    void (*load_total)(void *work, uint32_t index, struct bytes packed); // NULL with delta_site
    bool (*load_cutoff)(void *work, struct bytes name, double value);    // NULL: a projection without rankings
    // `total`: index of the touch's site, NO_INDEX for none. Commands that a fold brings about go into the commit.
    void (*fold)(void *work, uint32_t index, uint32_t total, const struct delta *delta, double accept_ms,
                 struct commit *commit);
    bool (*write)(void *work, struct commit *commit);
    // What Redis holds of the item after the commit; false: it must be read again. Views live until the next begin or
    // describe. NULL: nothing of this projection is remembered.
    bool (*describe)(void *work, uint32_t index, struct partition_item *ret_item);
};

extern const struct projection_type sums_projection;
extern const struct projection_type neighbours_projection;
// A packed state that cannot be read: counted, and logged at most once in ten seconds.
void bad_state(const struct projection_type *type, ref_t item);
