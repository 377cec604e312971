// SPDX-License-Identifier: MIT
// Group commit: the writes of one kind that come in one turn of the loop, or while earlier batches are under way, are
// sent together. A script call costs Redis and us far more than one write in it does, so batches make both cheaper when
// there is much to do. No timer delays a lone write: it is sent at the end of its turn.
//
// A queue has lists of waiting writes, in the order of arrival; the links are in the calls, so it allocates nothing per
// write. With one Redis there is one list. Where a call may touch one partition only (store_cuts_by_partition), each
// partition has a list, so its writes can wait while those of others go on.
//
// At the end of a turn of the loop the lists are cut into batches of at most BATCH_MAX writes (one allocation and one
// script call each): all of one list, or the first batch of each partition's list. A node of a Cluster gets its next
// batches when those before are answered, so that there are few and large ones. Within a batch the writes are sorted by
// partition: those of one partition are a group. While Redis moves a partition's slot it refuses calls by TRYAGAIN:
// write_queue.c says what happens then.
//
// store_vote and store_view call write_queue_add; store.c calls write_queue_turn at the end of each turn. To add a kind
// of write: a struct write_kind as in vote_writes.c or view_writes.c, a queue of it in struct store, and its lines in
// store.c (init, turn, fail, release). write_batch.c makes a call of the writes, and reads its reply.
#pragma once
#include "base/reader.h"
#include "redis/connection.h"
#include "store/store.h"
#include "store/writes.h"

enum { BATCH_MAX = 128 };

struct write_kind {
    // The whole batch is one entry in one log, because the order of its records does not matter.
    bool one_log;
    // What the write is about: the item of a vote, the visitor of a view. Within a partition the writes are sorted by
    // this number; those of one number keep their order.
    uint64_t (*subject)(const struct queued *write);
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

struct write_chain { // writes by their `next`
    struct queued *first, **end;
};

struct write_list {
    struct write_chain fresh, retried; // those to try again are sent before the others
    uint32_t waiting, in_flight;
    // After a TRYAGAIN: the number of fresh writes that are still to be sent in calls of one subject, and how long
    // those in `retried` rest.
    uint32_t singly, rest_ms;
    uint64_t rest_until_ms;
};

// The batches of a node that are under way. Nodes with one number modulo TURNS share a turn.
enum { TURNS = 64 };
struct write_turn {
    uint32_t in_flight;
    uint64_t walk, began_ms; // when they were sent
};

struct write_queue {
    const struct write_kind *kind;
    struct store *store;
    struct write_list *lists; // one, or one for each partition
    uint32_t list_count;
    uint64_t *busy; // a bit for each list: it has writes that wait
    struct write_turn turns[TURNS];
    uint64_t walk;              // counts the turns of the loop
    struct write_chain refused; // writes that found the queue full: they end at the end of the turn
    uint32_t waiting, next_log;
    uint64_t apart_until_ms; // Redis has no memory: until then, writes that free memory are batched apart
};

// One script call and its writes, sorted by partition and subject.
struct write_batch {
    struct redis_call call; // first: the connection's view of it
    struct write_queue *queue;
    struct write_list *list;
    struct write_turn *turn;
    uint32_t count, log;
    bool again; // its writes have met a TRYAGAIN before
    struct queued *writes[BATCH_MAX];
};

// Whether the write is the first of its partition in the batch.
static inline bool begins_group(struct queued *const *writes, uint32_t i) {
    return i == 0 || writes[i]->partition != writes[i - 1]->partition;
}

bool write_queue_init(struct write_queue *queue, struct store *store, const struct write_kind *kind);
void write_queue_release(struct write_queue *queue);
void write_queue_add(struct write_queue *queue, struct queued *write, uint32_t partition);
// The end of a turn: ends the refused and the overdue writes, and sends those that may be sent.
void write_queue_turn(struct write_queue *queue);
// Most turns of the loop have nothing to write.
static inline bool write_queue_is_due(const struct write_queue *queue) {
    return queue->waiting || queue->refused.first;
}
// On shutdown: writes that wait are UNAVAILABLE.
void write_queue_fail(struct write_queue *queue);

// Between write_queue.c and write_batch.c.
static inline void chain_init(struct write_chain *chain) {
    chain->first = NULL;
    chain->end = &chain->first;
}
static inline void chain_add(struct write_chain *chain, struct queued *write) {
    write->next = NULL;
    *chain->end = write;
    chain->end = &write->next;
}
// Ends the writes. The chain is empty before the first completion runs.
void finish_all(struct write_queue *queue, struct write_chain *chain, enum outcome outcome);
// Puts writes of a batch back: those whose result was to try again, and those of a batch that met a TRYAGAIN.
void put_back(struct write_batch *batch, struct queued *write);
void put_back_all(struct write_batch *batch);
void end_rest(struct write_list *list);
// NULL without memory.
struct write_batch *batch_new(struct write_queue *queue, struct write_list *list);
void batch_send(struct write_batch *batch);
