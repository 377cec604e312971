// SPDX-License-Identifier: MIT
// What differs between the projections (sums, neighbours): a table of functions. The engine (engine.c) does the rest.
//
// For each chunk of a partition the engine calls `begin`; `note_delta` for each delta, so that `periods` can say of
// which periods it wants the cutoffs; `load`, `load_total`, `load_cutoff` and `load_cut` with what Redis has; `fold`
// for each delta that is not applied yet, in the order of its log; then `write`. The work owns all memory between two
// calls of `begin`. To add a projection: write such a table, and start an engine for it in projector.c.
#pragma once
#include "ops/metrics.h"
#include "project/batch.h"
#include "store/plan.h"

struct projection_type {
    enum projection projection;
    enum metric events, commits, done_to;
    size_t batch_bytes;   // of the entries of one batch
    uint32_t chunk_items; // at most, of votes and views; what may write all sets of an item counts threefold
    delta_maker *make_deltas;
    // The site whose total the delta may change; false: none. NULL: this projection has no totals.
    bool (*delta_site)(const struct secret_key *hash_key, const struct delta *delta, ref_t *ret_site);

    void *(*work_new)(const struct plan *plan, const struct secret_key *hash_key);
    void (*work_free)(void *work);
    // `items` and `sites` live until the next begin. Like load and load_cutoff, it is false without memory.
    bool (*begin)(void *work, const ref_t *items, uint32_t item_count, const ref_t *sites, uint32_t site_count);
    bool (*load)(void *work, uint32_t index, const struct partition_item *item);
    void (*load_total)(void *work, uint32_t index, struct bytes packed); // NULL when delta_site is
    bool (*load_cutoff)(void *work, struct bytes name, double value);    // NULL: this projection has no rankings
    void (*note_delta)(void *work, const struct delta *delta);           // these three: NULL when load_cutoff is
    const struct period *(*periods)(void *work, uint32_t *ret_count);
    bool (*load_cut)(void *work, uint32_t period, struct bytes name, double value); // `period`: index among these
    // `total`: index of the delta's site, NO_INDEX for none. A fold may add commands to the commit.
    void (*fold)(void *work, uint32_t index, uint32_t total, const struct delta *delta, double accept_ms,
                 struct commit *commit);
    bool (*write)(void *work, struct commit *commit);
    // What Redis has of the item after the commit; false: it must be read again. Its texts live until the next begin or
    // describe. NULL: the cache does not keep this projection.
    bool (*describe)(void *work, uint32_t index, struct partition_item *ret_item);
};

extern const struct projection_type sums_projection;
extern const struct projection_type neighbours_projection;
