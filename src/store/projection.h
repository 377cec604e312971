// SPDX-License-Identifier: MIT
// The verbs of the projector: it reads logs and states from Redis and writes one partition at a time back. The rules of
// store.h hold here too. src/project/engine.h calls them.
//
// For each partition and projection Redis keeps applied ids: for each source log, the id of the last entry that is
// applied there. It also keeps a version, a random number that every script that changes the projected data replaces.
// commit_send writes states, rankings and applied ids together, and only if the version is still the one that was read
// with the states or before them; else it writes nothing. So each entry is projected exactly once (docs/design.md).
#pragma once
#include "model/early.h"
#include "model/keys.h"
#include "model/period_ranking.h"
#include "store/scan.h"
#include "store/store.h"

// ---- The logs

// From now on this store opens the logs again each second if somebody has removed them.
void store_guard_logs(struct store *store);

// In a Cluster partitions fail apart. A verb that asks many of them leaves out those of `skip`, calls `on_away` for
// each one that does not answer as it should, and is OK when any other has answered.
struct apart {
    const bool *skip; // per partition
    void (*on_away)(struct read_call *call, uint32_t partition);
};

struct stored_offset {
    struct log_id offset;  // {0,0}: begin at the oldest entry, as the offset is not valid in the present lives of the
                           // masters (lua/open.lua)
    struct bytes plan;     // whose rankings are complete there; empty: none, they must be rebuilt
    struct bytes rankings; // the names of the rankings whose sets are kept up to date there; empty: not known
    struct bytes life;     // in which the log was opened
};
// Reads the offset of the projection in each log. *ret_lives: a hash of the lives of all partitions; one that does not
// answer counts with the life in which it was heard last.
void store_read_offsets(struct store *store, struct read_call *call, enum projection projection,
                        const struct apart *apart, uint64_t *ret_lives,
                        void (*on_offset)(struct read_call *call, uint32_t partition,
                                          const struct stored_offset *offset));
// Reads the applied ids of the partitions from `first` to before `end`.
void store_read_applied(struct store *store, struct read_call *call, enum projection projection,
                        const struct apart *apart, uint32_t first, uint32_t end,
                        void (*on_applied)(struct read_call *call, uint32_t key, uint32_t source, struct log_id id));
// applied[source] is the highest applied id of the source in any partition; {0,0}: none. A log whose last id is not
// above it (data was lost, and clocks differ) is opened again above it, and store_generation rises. An empty log whose
// offset is {0,0} gets one entry, which the projection can then pass. `one_by_one`: with a call for each partition.
void store_open_above(struct store *store, struct read_call *call, const struct apart *apart,
                      const struct log_id *applied, const struct log_id *offsets, bool one_by_one);

struct log_entry {
    uint32_t partition;
    struct log_id id;
    struct bytes value; // model/entry.h; NO_BYTES when another program has written the entry
};
// Reads up to `max` entries of each log after `after[partition]`, in the order of the log. Does not block.
void store_read_logs(struct store *store, struct read_call *call, const struct apart *apart, const struct log_id *after,
                     uint32_t max, void (*on_entry)(struct read_call *call, const struct log_entry *entry));
// Writes offsets[partition]; {0,0} leaves that offset unchanged. Calls `on_written` for each that is written. Call it
// only after every partition has acknowledged its write. `lives`: those in which the offsets were reached, from
// store_read_offsets.
void store_write_offsets(struct store *store, struct read_call *call, enum projection projection,
                         const struct apart *apart, const struct log_id *offsets, uint64_t lives,
                         void (*on_written)(struct read_call *call, uint32_t partition));
// Trims the entries up to below[partition] ({0,0}: not this log) that both projections have passed in these lives.
// `one_by_one`: with a call for each partition, so that one which fails is no matter for the others.
void store_trim(struct store *store, struct read_call *call, const struct log_id *below, uint64_t lives,
                bool one_by_one);
// Asks whether the partition answers and takes writes.
void store_ask_partition(struct store *store, struct read_call *call, uint32_t partition);

// ---- One partition

struct partition_item {
    struct bytes state; // packed; empty: none
    double deleted_ms;  // accept time of the last deletion; 0: none
    // Sums only:
    bool known;   // it has a record; if not, the rest is empty
    bool corrupt; // one of its keys has a wrong type or cannot be read: leave the item alone
    bool has_card;
    struct bytes id, site, groups; // groups: model/item.h
    int64_t published_ms;
};

struct partition_read {
    enum projection projection;
    uint32_t partition;
    const ref_t *items;
    size_t item_count;
    // Per source: {0,0} if its applied id is not wanted. NULL: all are wanted.
    const struct log_id *sources;
    const ref_t *sites; // whose totals are wanted (sums only)
    size_t site_count;
    const struct period *periods; // whose cutoffs are wanted
    size_t period_count;
    void (*on_item)(struct partition_read *call, size_t index, const struct partition_item *item);
    void (*on_total)(struct partition_read *call, size_t index, struct bytes packed);
    // The cutoff of a ranking: every item of a higher value than `value` is in it. `name` is from ranking_name.
    void (*on_cutoff)(struct partition_read *call, struct bytes name, double value);
    void (*on_cut)(struct partition_read *call, size_t period, struct bytes name, double value); // of a set of a period
    void (*on_done)(struct partition_read *call, enum outcome outcome);
    void *context;
    // Set before the first on_… runs.
    struct bytes life;  // under which the log was opened
    struct bytes plan;  // the plan whose rankings are complete (sums only); empty: none
    struct bytes begun; // the plan by which a rebuild began last (sums only); empty: not known
    uint64_t version;
    struct log_id *applied; // the caller's array, one per source partition: filled here ({0,0}: none)
    // The store's own.
    struct store *store;
    struct deferred deferred;
    struct pipeline *cards, *types; // further replies, for some data only
};
void store_read_partition(struct store *store, struct partition_read *call);

// One set of a ranking: of the site's items with a card, of those of a category, or of the items without a card.
struct ranking_at {
    ref_t site;
    struct bytes name;
    const ref_t *category; // NULL: the whole site
    bool no_card;          // then without a category
    struct period period;  // of a ranking of the type window; GRAIN_HOUR: a set of all times
};
void ranking_key(const struct ranking_at *ranking, uint32_t partition, struct key *ret_key);
enum { RANKING_NAME_MAX = 120 };
// The key's text without its hash tag and its period: the field of its cutoff. Returns the length.
size_t ranking_name(const struct ranking_at *ranking, char text[static RANKING_NAME_MAX]);

// A write of one partition: composed piece by piece, then sent. The pieces are copied. It is written only under this
// version and in this life of the partition. In another life Redis may have lost entries that were applied.
struct commit;
struct commit *commit_new(struct store *store, enum projection projection, uint32_t partition, uint64_t version,
                          struct bytes life);
void commit_applied(struct commit *commit, uint32_t source, struct log_id id);
void commit_state(struct commit *commit, ref_t item, struct bytes packed); // empty: remove it
void commit_item(struct commit *commit, ref_t item, struct bytes site,
                 struct bytes id);                                     // creates the record if there is none
void commit_visitor(struct commit *commit, ref_t item, ref_t visitor); // into the unique visitors
void commit_sketch(struct commit *commit, ref_t item, const struct early_visitors *early); // before any commit_visitor
void commit_visitors_clear(struct commit *commit, ref_t item); // before any commit_visitor of it
// `fades_ms`: it goes then if it is not written meanwhile; 0: it stays.
void commit_total(struct commit *commit, ref_t site, struct bytes packed, int64_t fades_ms);
// Sets the item's score in a ranking, or removes the item from it. The ranking is trimmed to `bound` members when it
// has more than twice as many. If one commit sets more than `bound` scores of a ranking, only the best are sent, and
// the cutoff says so. `may_be_member`: the item may be in the ranking already, with another score.
void commit_place(struct commit *commit, const struct ranking_at *ranking, uint32_t bound, struct bytes id,
                  double value, bool may_be_member);
// Sets the item's score if it is in the ranking already.
void commit_keep(struct commit *commit, const struct ranking_at *ranking, uint32_t bound, struct bytes id,
                 double value);
void commit_leave(struct commit *commit, const struct ranking_at *ranking, uint32_t bound, struct bytes id);

struct commit_result {
    enum outcome outcome;
    bool moved;       // another version, or another life: nothing was written
    uint64_t version; // the new one; when moved, the present one
    bool rebuild;     // a ranking with a cutoff has fewer than half its bound: rebuild the partition
};
// Frees the commit. `on_done` fires once, later. One commit should stay under a few MB.
void commit_send(struct commit *commit, void (*on_done)(void *context, const struct commit_result *result),
                 void *context);
void commit_free(struct commit *commit); // instead of commit_send

// ---- Rebuilding the rankings of a partition from its states

// Begin: removes the partition's plan and cutoffs, changes its version, and records whose rebuild it is, and that only
// these rankings are kept up to date. End: records that the rankings of `plan`, of these names, are complete.
void store_rebuild_begin(struct store *store, struct read_call *call, uint32_t partition, struct bytes plan,
                         struct bytes rankings);
void store_rebuild_end(struct store *store, struct read_call *call, uint32_t partition, struct bytes plan,
                       struct bytes rankings);
// One step of a scan over the sets of all rankings. Removes those for which `is_stale` is true. A set may be
// offered twice.
void store_sweep_rankings(struct store *store, struct read_call *call, struct scan *scan,
                          bool (*is_stale)(struct read_call *call, uint32_t partition, struct bytes name,
                                           struct bytes period));
// One step of a scan over all states of all partitions; some come perhaps twice. `scan` must live until on_done.
void store_scan_states(struct store *store, struct read_call *call, struct scan *scan,
                       void (*on_state)(struct read_call *call, ref_t item));
