// SPDX-License-Identifier: MIT
// What the service asks of Redis, in typed verbs. Nobody outside this room sees a reply of Redis, and nothing here
// knows HTTP. This file has the store itself, what all calls share, and the waits. The verbs are in
//
//   writes.h         votes, views, cards, deletions     item_states.h         states of items
//   list_reads.h     rankings, windows, neighbours      rules.h               editorial rules
//   visitor_reads.h  votes and history of a visitor     correction_records.h  corrections, scans of items and voters
//   transfer.h       export and import                  operator_reads.h      memory, keys, nodes
//   audit_log.h      the audit log                      machines.h            the machines on this store
//   projection.h     what the projector reads and writes
//
// Every verb takes a call struct in memory of the caller (often a request's arena). The struct must not move until its
// completion has run. A completion fires exactly once, never before the verb has returned, on shutdown too
// (UNAVAILABLE). A struct bytes in a result is valid until the completion returns.
//
// Outcomes: OK; UNAVAILABLE (Redis is unreachable or too slow; a write may have happened or not, and it is safe to
// repeat); OVERLOADED (the queue was full: nothing was sent); INTERNAL (a key of ours has a wrong type); others as each
// verb says.
#pragma once
#include "base/outcome.h"
#include "model/names.h"
#include "ops/settings.h"

struct store;

// Connects in the background, again and again. `loop` is a uv_loop_t *; settings and key must outlive the store.
// When the settings contradict what Redis has recorded (partitions, hash key, kinds), no verb works: `on_refused` gets
// one line, once. A store that has worked before waits instead, and store_ready says why.
struct store *store_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                          void (*on_refused)(void *context, const char *line), void *context);
// `on_stopped` fires when all handles are closed; the store is freed by then.
void store_stop(struct store *store, void (*on_stopped)(void *context), void *context);
// True when Redis is connected, the scripts are loaded and the settings agree. *ret_why (may be NULL) is a line for
// /readyz.
bool store_ready(const struct store *store, const char **ret_why);
// How many partitions of a Redis Cluster are not served; 0 with one Redis.
uint32_t store_unserved(const struct store *store);
// Why the writes of callers are UNAVAILABLE although Redis is connected: it may evict what it has acknowledged, or it
// refuses commands to this user. NULL: writes are accepted. Reads still work where Redis allows them.
const char *store_trouble(const struct store *store);
// The commands that some calls need and Redis refuses to this user (such as a scan); NULL: none.
const char *store_lacks(const struct store *store);
const char *store_lacks_scan(const struct store *store); // the same, when a scan is among them
// The error with which Redis refused calls within the last ten seconds (OOM, MISCONF, BUSY, …); NULL: none.
const char *store_complaint(const struct store *store);
// What is wrong at one node of a Cluster while others take writes, with the node's name; NULL: nothing.
const char *store_partly(struct store *store);
// Why a partition is not served, with the name of the node.
const char *store_why_unserved(struct store *store);
// Why a call that has just ended was UNAVAILABLE, if Redis itself is the cause; NULL: not known.
const char *store_why_unavailable(const struct store *store);
// True when the partition can be asked now; in a Cluster another's master may be away.
bool store_serves(const struct store *store, uint32_t partition);
// Rises with every new connection. Redis may be another one now (restarted, failed over, restored), so what was
// remembered of its data is no longer valid.
uint64_t store_generation(const struct store *store);

// The id of a log entry. Lists show a write once the projections have passed its entry.
struct log_id {
    uint64_t ms, seq;
};
// Below 0 when `a` comes before `b` in a log, 0 when they are equal, above 0 when it comes after.
static inline int log_id_order(struct log_id a, struct log_id b) {
    return a.ms != b.ms ? (a.ms > b.ms) - (a.ms < b.ms) : (a.seq > b.seq) - (a.seq < b.seq);
}

// The store's own part of a call, used when the call fails before anything was sent.
struct deferred {
    struct deferred *next;
    void (*tell)(struct deferred *deferred);
};

// Most calls besides the writes: one pipeline each, or two.
struct read_call {
    void (*on_done)(struct read_call *call, enum outcome outcome);
    void *context;
    // The store's own.
    struct deferred deferred;
    void *private;
};

// ---- Waits

// Completes OK after `ms`; UNAVAILABLE, perhaps at once, when the store stops.
void store_wait_ms(struct store *store, struct read_call *call, uint32_t ms);

// Completes OK when both projections have passed these entries (one per partition; {0,0}: none), UNAVAILABLE after
// `timeout_ms`. Wakes the projectors.
void store_wait_projected(struct store *store, struct read_call *call, const struct log_id *entries,
                          uint32_t timeout_ms);
// The same for all entries that are in the logs at the call: what was acknowledged before it is projected then.
void store_wait_all_projected(struct store *store, struct read_call *call, uint32_t timeout_ms);
// Calls `on_wake` whenever somebody waits for the projections. NULL ends that.
void store_on_wake(struct store *store, void (*on_wake)(void *context), void *context);
