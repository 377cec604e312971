// SPDX-License-Identifier: MIT
// Group commit: all writes of one kind that came in one turn of the loop, or while the batches before were under way,
// go to Redis together. A write queue holds the order: what was queued first is decided first.
//
// Against one Redis a script call may hold several partitions: a group of writes for each, at most BATCH_MAX together.
// No timer delays a lone write. A kind of write is a struct write_kind; vote_writes.c and view_writes.c have one each.
#pragma once
#include "base/reader.h"
#include "redis/command.h"
#include "redis/scripts.h"
#include "store/store.h"

enum { BATCH_MAX = 128 };

struct write_kind {
    bool one_log; // one entry for the whole batch, in any partition's log: the order of its records is of no account
    // Within a partition writes are sorted by this; those of one number keep their order.
    uint64_t (*order)(const struct queued *write);
    // Puts the call together in store->command, for writes sorted by partition and order. `log`: of one_log.
    void (*compose)(struct store *store, struct queued *const *writes, uint32_t count, uint32_t log);
    // Reads the write's result; false: it is to be tried again.
    bool (*take)(struct store *store, struct queued *write, struct reader *results);
    // Whether Redis takes it at its memory limit too; NULL: none is.
    bool (*frees)(const struct queued *write);
    void (*set_entry)(struct queued *write, uint32_t log, struct log_id entry);
    void (*finish)(struct store *store, struct queued *write, enum outcome outcome);
};

struct write_queue {
    const struct write_kind *kind;
    struct store *store;
    struct queued *first, **end;           // waiting, in order
    struct queued *retried, **retried_end; // to go before them
    struct queued *refused;                // the queue was full: told at the end of the turn
    uint32_t waiting, in_flight, next_log;
    uint64_t apart_until_ms; // those that free are sent apart, as Redis has no memory
};

// Whether the write is the first of its partition.
static inline bool begins_group(struct queued *const *writes, uint32_t i) {
    return i == 0 || writes[i]->partition != writes[i - 1]->partition;
}

void write_queue_init(struct write_queue *queue, struct store *store, const struct write_kind *kind);
void write_queue_add(struct write_queue *queue, struct queued *write, uint32_t partition);
// The end of a turn: tells the refused and the overdue, sends what waits when nothing is under way.
void write_queue_turn(struct write_queue *queue);
// On shutdown: what waits is UNAVAILABLE.
void write_queue_fail(struct write_queue *queue);
