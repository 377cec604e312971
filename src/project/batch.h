// SPDX-License-Identifier: MIT
// One batch of a projection: the entries read from all logs, and what each does to which item ("deltas"), sorted by
// the partition that the item lives in.
//
// Touches of a target keep the order in which the entries came; those of one entry lie together, so that a chunk of a
// target can be cut between entries. Memory is bounded by a share of bytes per log: what does not fit is read again
// with the next batch. How an entry's records become deltas is the projection's (projection_type.h).
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
}; // the last two: of format 2

struct delta {
    ref_t item;
    uint32_t entry; // into batch.entries; NO_ENTRY: of a rebuild, without source and mark
    uint8_t type;
    uint8_t kind, old_kind; // of a vote
    union {
        struct {
            int64_t time_ms, old_time_ms;
        } vote;
        struct {
            ref_t visitor;
            int64_t time_ms;
            struct bytes site, id;
        } view;
        struct {
            ref_t item;
            double weight; // not of one that is to be forgotten
        } coview;
        struct {
            struct bytes categories;
            struct bytes site, id;       // not of a card
            struct bytes before, packed; // sums: of an erasure before, of a set both, of an import now
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
    uint32_t count, capacity;
};

struct batch {
    uint32_t partitions;
    size_t share; // bytes that each log may bring in
    struct arena texts;
    struct batch_entry *entries;
    uint32_t entry_count, entry_capacity;
    struct delta_list *targets; // per partition
    // Per target and source, lent: deltas of entries at or below it are applied there. NULL: not known.
    const struct log_id *applied;
    struct log_id *last; // per log: its last entry taken; {0,0}: none
    size_t *taken;       // per log: bytes taken
    uint32_t *read;      // per log: entries read
    bool *closed;        // per log: an entry did not fit, so no later one may be taken
    bool left;           // of some log
    bool flush;          // somebody waits for these entries
    bool failed;         // no memory: the batch must not be projected
    double oldest_ms;    // accept time of the oldest entry; 0: none
};

bool batch_init(struct batch *batch, uint32_t partitions, size_t max_bytes);
void batch_release(struct batch *batch);
void batch_clear(struct batch *batch);

typedef void delta_maker(struct batch *batch, uint32_t entry, const struct entry_record *record);
// Takes an entry, or closes its log. An entry that cannot be read, or its unreadable rest, is set aside and logged.
void batch_take(struct batch *batch, const struct log_entry *entry, delta_maker *make_deltas);
// Adds a touch of the item, of this type, to its partition's list, for the caller to fill; NULL when it is applied
// there already, or without memory.
struct delta *batch_add_delta(struct batch *batch, uint32_t entry, enum delta_type type, ref_t item);
