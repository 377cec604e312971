// SPDX-License-Identifier: MIT
// One batch of a projection: the entries that were read from all logs, and their deltas. A delta is what an entry does
// to one item. Each partition has an array of the deltas of its items.
//
// The deltas of a partition are in the order in which the entries were read, and those of one entry are side by side,
// so that a chunk can end between two entries. Each log has a share of the batch's bytes: entries that do not fit are
// read again for the next batch. Each projection makes deltas of records in its own way (projection_type.h).
#pragma once
#include "base/arena.h"
#include "model/entry.h"
#include "store/projection.h"

enum { NO_ENTRY = 0xffffffff };

enum delta_type {
    DELTA_VOTE,
    DELTA_VIEW,
    DELTA_COVIEW,
    DELTA_ERASE,
    DELTA_SET,
    DELTA_FORGET,
    DELTA_CARD,
    DELTA_REWRITE,
    DELTA_DELETE,
    DELTA_IMPORT
}; // the last two are of format 2

struct delta {
    ref_t item;
    uint32_t entry; // index into batch.entries; NO_ENTRY: a delta of a rebuild, which has no source
    uint8_t type;
    uint8_t kind, old_kind; // for a vote
    union {
        struct {
            ref_t site; // 0: not known
            int64_t time_ms, old_time_ms;
        } vote;
        struct {
            ref_t visitor;
            int64_t time_ms;
            struct bytes site, id;
        } view;
        struct {
            ref_t item;
            double weight; // not for DELTA_FORGET
        } coview;
        struct {
            struct bytes groups;
            struct bytes site, id;       // not for DELTA_CARD
            struct bytes before, packed; // packed sums: an erasure has `before`, a set has both, an import has `packed`
        } card;
    };
};

struct batch_entry {
    uint32_t source;
    struct log_id id;
    double accept_ms;
};

struct delta_list {
    struct delta *at;
    uint32_t count;
    size_t capacity;
};

struct batch {
    uint32_t partitions;
    size_t share; // the bytes that each log may add
    struct arena texts;
    struct batch_entry *entries;
    uint32_t entry_count;
    size_t entry_capacity;
    struct delta_list *deltas; // per partition
    // Per partition and source: deltas of entries up to this id are applied. The engine's array. NULL: not known.
    const struct log_id *applied;
    // Partitions that are left behind get no deltas. Per log: the first entry that one of them misses; {0,0}: none.
    // Both are the engine's arrays. NULL: no partition is left behind.
    const bool *behind;
    struct log_id *missed;
    struct log_id *last; // per log: its last entry taken; {0,0}: none
    size_t *taken;       // per log: bytes taken
    uint32_t *read;      // per log: entries read
    bool *closed;        // per log: an entry did not fit, so no later one may be taken
    bool left;           // a log has entries that did not fit
    bool flush;          // somebody waits until these entries are projected
    bool failed;         // no memory: the batch must not be projected
    double oldest_ms;    // accept time of the oldest entry; 0: none
};

bool batch_init(struct batch *batch, uint32_t partitions, size_t max_bytes);
void batch_release(struct batch *batch);
void batch_clear(struct batch *batch);

typedef void delta_maker(struct batch *batch, uint32_t entry, const struct entry_record *record);
// Takes an entry, or closes its log when the entry does not fit. An entry that cannot be read, or the rest of one, is
// skipped, counted and logged.
void batch_take(struct batch *batch, const struct log_entry *entry, delta_maker *make_deltas);
// Adds a delta to the array of the item's partition, for the caller to fill. NULL when the entry is applied there
// already, when the partition is left behind, or without memory.
struct delta *batch_add_delta(struct batch *batch, uint32_t entry, enum delta_type type, ref_t item);
// Takes the deltas from `first` on away from a partition that is left behind.
void batch_leave(struct batch *batch, uint32_t partition, uint32_t first);
// For each log of which there are any: the last entry that was taken before the first one that a partition misses.
void batch_whole(const struct batch *batch, struct log_id *whole);
// Counts a packed state that cannot be read, and logs it at most once in ten seconds.
void bad_state(enum projection projection, ref_t item);
