// SPDX-License-Identifier: MIT
// The projector's verbs: logs and states out of Redis, one guarded write per partition back. Laws as in store.h.
//
// Per partition and projection Redis keeps a version (a new random number from every script that changes what is
// projected) and per source log a mark, the id of the last entry applied. `commit_send` writes only where the version
// still is the one that was read with (or before) the states, and renews it; else nothing is written. That makes
// projecting exactly once (docs/design.md).
#pragma once
#include "model/early.h"
#include "model/keys.h"
#include "store/store.h"

// ---- The logs

// From now on this store sees to it each second that the logs are open, also where somebody has taken them away.
void store_guard_logs(struct store *store);
// The position of a projection in each log (0-0: from the oldest entry on, as what it was before does not hold in the
// present lives of the masters, see lua/open.lua), the plan whose rankings are complete in that partition (empty: none,
// they must be rebuilt), and the names of the rankings whose sets are kept up to date there (empty: not known).
// *ret_lives: a hash of these lives.
void store_read_offsets(struct store *store, struct read_call *call, enum projection projection, uint64_t *ret_lives,
                        void (*on_offset)(struct read_call *call, uint32_t partition, struct log_id offset,
                                          struct bytes plan, struct bytes rankings));
// The applied ids of `count` targets from `first` on: what is applied there already.
void store_read_applied(struct store *store, struct read_call *call, enum projection projection, uint32_t first,
                        uint32_t count,
                        void (*on_applied)(struct read_call *call, uint32_t key, uint32_t source, struct log_id id));
// `applied ids[source]`: the highest anywhere, {0,0}: none. A log that is not above it (data was lost, and clocks
// differ) is opened anew, and store_generation rises. An empty log whose position is {0,0} gets an entry, so that there
// is one again.
void store_open_above(struct store *store, struct read_call *call, const struct log_id *applied,
                      const struct log_id *offsets);

struct log_entry {
    uint32_t partition;
    struct log_id id;
    struct bytes value; // model/entry.h; NO_BYTES when the entry is not one of ours
};
// Up to `most` entries of each log after `after[partition]`, each log's in order. Does not block.
void store_read_logs(struct store *store, struct read_call *call, const struct log_id *after, uint32_t max,
                     void (*on_entry)(struct read_call *call, const struct log_entry *entry));
// offsets[partition]; {0,0} leaves that one as it is. Only after every target has acknowledged. `lives`: those in
// which they were reached, as store_read_offsets told them.
void store_write_offsets(struct store *store, struct read_call *call, enum projection projection,
                         const struct log_id *offsets, uint64_t lives);
// Drops what both projections have passed in these lives, of logs with below[partition] ({0,0}: not this one).
void store_trim(struct store *store, struct read_call *call, const struct log_id *below, uint64_t lives);

// ---- Who projects

struct projection_claim {
    struct bytes plan; // its fingerprint
    uint64_t instance, generation;
    uint32_t holds_ms;
};
// Claims the projection, or renews the claim: *ret_other_ms is 0 when it is ours, else how long it is another's. Lives
// until on_done. `release`: gives it back.
void store_claim(struct store *store, struct read_call *call, const struct projection_claim *claim, bool release,
                 uint64_t *ret_other_ms);

// ---- A target partition

struct partition_item {
    struct bytes state; // packed; empty: none
    double deleted_ms;  // accept time of the last deletion; 0: none
    // Sums only:
    bool known;   // it has an item hash; if not, the rest is empty
    bool corrupt; // foreign type under one of its keys: leave it alone
    bool has_card;
    struct bytes id, site, categories;
    int64_t published_ms;
};

struct partition_read {
    enum projection projection;
    uint32_t partition;
    const ref_t *items;
    size_t item_count;
    const ref_t *sites; // whose totals are wanted (sums only)
    size_t site_count;
    void (*on_item)(struct partition_read *call, size_t index, const struct partition_item *item);
    void (*on_total)(struct partition_read *call, size_t index, struct bytes packed);
    // Where a ranking was cut: all items of a higher value than `value` stand in it. `name` is what ranking_name wrote.
    void (*on_cutoff)(struct partition_read *call, struct bytes name, double value);
    void (*on_done)(struct partition_read *call, enum outcome outcome);
    void *context;
    // Set before the first on_… runs.
    struct bytes plan; // whose rankings are complete (sums only); empty: none
    uint64_t version;
    struct log_id *applied; // the caller's array, one per source partition: filled here ({0,0}: none)
    // The store's own.
    struct store *store;
    struct deferred deferred;
};
void store_read_partition(struct store *store, struct partition_read *call);

// One set of a ranking: of the site's items with a card, of those of a category, or of the items without a card.
struct ranking_at {
    ref_t site;
    struct bytes name;
    const ref_t *category; // NULL: the whole site
    bool no_card;          // then without a category
};
void ranking_key(const struct ranking_at *ranking, uint32_t partition, struct key *ret_key);
enum { RANKING_NAME_MAX = 120 };
// The key's text without its hash tag: the name of its floor. Returns the length.
size_t ranking_name(const struct ranking_at *ranking, char text[static RANKING_NAME_MAX]);

// A write of one partition, built piece by piece, then sent. The pieces are copied.
struct commit;
struct commit *commit_new(struct store *store, enum projection projection, uint32_t partition, uint64_t version);
void commit_applied(struct commit *commit, uint32_t source, struct log_id id);
void commit_state(struct commit *commit, ref_t item, struct bytes packed);                 // empty: it goes
void commit_item(struct commit *commit, ref_t item, struct bytes site, struct bytes id);   // it exists from now on
void commit_visitor(struct commit *commit, ref_t item, ref_t visitor);                     // into the unique visitors
void commit_sketch(struct commit *commit, ref_t item, const struct early_visitors *early); // before any commit_visitor
void commit_visitors_clear(struct commit *commit, ref_t item); // before any commit_visitor of it
void commit_total(struct commit *commit, ref_t site, struct bytes packed);
// The item stands in the ranking by this value; or it leaves. `bound`: kept at least; over twice that it is cut to it.
// Of more places than that in one commit only the best are written, the others are as if they had been cut;
// `may_stand`: it may be in the ranking now, by another value.
void commit_place(struct commit *commit, const struct ranking_at *ranking, uint32_t bound, struct bytes id,
                  double value, bool may_stand);
void commit_leave(struct commit *commit, const struct ranking_at *ranking, uint32_t bound, struct bytes id);

struct commit_result {
    enum outcome outcome;
    bool moved;       // version mismatch: nothing was written
    uint64_t version; // the new one; when moved, the present one
    bool rebuild;     // a cut ranking fell below half its bound: begin a rebuild
};
// Frees the commit; `on_done` once, later. The sent bytes of one commit must stay under a few MB.
void commit_send(struct commit *commit, void (*on_done)(void *context, const struct commit_result *result),
                 void *context);
void commit_free(struct commit *commit); // one that is not to be sent

// ---- Rebuilding the rankings of a partition from its states

// Begin: forgets the partition's plan and cutoffs (and raises the version), and that any rankings but these are kept up
// to date. End: the rankings of `plan`, of these names, are complete.
void store_rebuild_begin(struct store *store, struct read_call *call, uint32_t partition, struct bytes rankings);
void store_rebuild_end(struct store *store, struct read_call *call, uint32_t partition, struct bytes plan,
                       struct bytes rankings);
// One step of a scan over all rankings' sets: those that `is_stale` says of are removed. The cursor is as below.
void store_sweep_rankings(struct store *store, struct read_call *call, uint64_t *cursor,
                          bool (*is_stale)(struct read_call *call, uint32_t partition, struct bytes name));
// One step of a scan over all states of all partitions: cursor 0 begins; *cursor is 0 again when all were seen (some
// maybe twice). `cursor` must live until on_done.
void store_scan_states(struct store *store, struct read_call *call, uint64_t *cursor,
                       void (*on_state)(struct read_call *call, ref_t item));
