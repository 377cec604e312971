// SPDX-License-Identifier: MIT
// Group commit: the writes of one kind that come in one turn of the loop, or while earlier batches are under way, are
// sent together. A script call costs Redis and us far more than one write in it does, so batches make both cheaper when
// there is much to do. No timer delays a lone write: it is sent at the end of its turn.
//
// A queue is a linked list in the order of arrival; the links are in the calls, so it allocates nothing per write. At
// the end of a turn, when no batch is under way, it is cut into batches of at most BATCH_MAX writes (one allocation and
// one script call each). Within a batch the writes are sorted by partition: those of one partition are a group.
//
// store_vote and store_view call write_queue_add; store.c calls write_queue_turn at the end of each turn. To add a kind
// of write: a struct write_kind as in vote_writes.c or view_writes.c, a queue of it in struct store, and its lines in
// store.c (init, turn, fail).
#pragma once
#include "base/reader.h"
#include "redis/command.h"
#include "store/store.h"

enum { BATCH_MAX = 128 };

struct write_kind {
    // The whole batch is one entry in the log of any partition, because the order of its records does not matter.
    bool one_log;
    // Within a partition the writes are sorted by this number; those of one number keep their order.
    uint64_t (*order)(const struct queued *write);
    // Composes the script call in store->command for the sorted writes. `log`: with one_log, the partition of the
    // entry.
    void (*compose)(struct store *store, struct queued *const *writes, uint32_t count, uint32_t log);
    // Reads the write's result. False: try the write again.
    bool (*take)(struct store *store, struct queued *write, struct reader *results);
    // Whether Redis accepts the write at its memory limit too. NULL: it accepts none of this kind then.
    bool (*frees)(const struct queued *write);
    void (*set_entry)(struct queued *write, uint32_t log, struct log_id entry);
    void (*finish)(struct store *store, struct queued *write, enum outcome outcome);
};

struct write_queue {
    const struct write_kind *kind;
    struct store *store;
    struct queued *first, **end;           // the writes that wait, in order
    struct queued *retried, **retried_end; // writes to try again: they are sent before the others
    struct queued *refused;                // writes that found the queue full: they end at the end of the turn
    uint32_t waiting, in_flight, next_log;
    uint64_t apart_until_ms; // Redis has no memory: until then, writes that free memory are batched apart
};

// Whether the write is the first of its partition in the batch.
static inline bool begins_group(struct queued *const *writes, uint32_t i) {
    return i == 0 || writes[i]->partition != writes[i - 1]->partition;
}

void write_queue_init(struct write_queue *queue, struct store *store, const struct write_kind *kind);
void write_queue_add(struct write_queue *queue, struct queued *write, uint32_t partition);
// The end of a turn: ends the refused and the overdue writes, and sends those that wait when no batch is under way.
void write_queue_turn(struct write_queue *queue);
// On shutdown: writes that wait are UNAVAILABLE.
void write_queue_fail(struct write_queue *queue);
