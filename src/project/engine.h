// SPDX-License-Identifier: MIT
// The engine of one projection: it reads the logs after its offsets, writes each partition under its version, stores
// the offsets and trims.
//
// One round is a walk through the steps of steps.def. engine.c has the one dispatcher: it begins a step, waits for the
// store, and takes the next step that the step's end names. A failure that concerns all partitions ends the round: the
// engine forgets what it remembered, and the next round begins at the stored offsets. An offset that is not valid any
// more, because Redis may have lost data, counts as the oldest entry. Entries that a partition has applied already are
// skipped. If another projector has written first, this one pauses for some seconds.
//
// A partition that fails alone is left behind (behind.h): its log is not read, its deltas are dropped, and the others
// go on. `offset` is how far a log is read. `done` is how far every partition has it: it stops before the first entry
// that a partition behind misses, so nothing that it needs is passed or trimmed. When the partition answers again, the
// engine begins again at the stored offsets.
//
// Why an entry is applied exactly once: COMMIT_CHUNK writes the states of some items and the id of the last entry that
// is applied to them in one script, and only under the version that READ_CHUNK has read; WRITE_OFFSETS comes after the
// last commit; TRIM_LOGS after the offsets of both projections. A process that dies between any two steps leaves
// entries that are read again and skipped.
//
// projector.c decides when a round begins. To add a step: a row in steps.def and its two functions.
#pragma once
#include "project/behind.h"
#include "project/projection_type.h"
#include "project/ref_index.h"
#include "project/rollback.h"
#include "project/state_cache.h"
#include "store/period_sets.h"

struct engine;

enum step {
#define STEP(id, name, text) STEP_##id,
#include "project/steps.def"
#undef STEP
    STEP_COUNT,
    STEP_WAITS = STEP_COUNT, // the step waits for the store
    ROUND_DONE,              // these three end a round
    ROUND_FAILED,
    ROUND_OVERTAKEN // another projector is at work
};

// The write of one partition's deltas, chunk by chunk.
struct partition_write {
    uint32_t partition;
    uint32_t chunk, chunk_end; // the deltas of the present chunk
    uint32_t chunk_items;      // the most items of a chunk: halved at each conflict
    struct ref_index items, sites;
    ref_t *missing;          // the items that are not in the cache,
    uint32_t *missing_index; // and their numbers in the chunk
    uint32_t missing_count, missing_capacity;
    struct partition_read call;
    struct log_id *applied;      // the applied ids in Redis, per source
    struct log_id *applied_seen; // the applied ids in Redis before a conflict
    struct log_id *applied_new;  // the applied ids that the commit under way writes
    struct commit_result result;
    bool conflict, failed;
    void *work;
};

// The rebuild of rankings from all states. The arrays have an element per partition.
struct rebuild {
    bool *needed;  // it needs a rebuild that has not begun
    bool *running; // it is part of the scan under way
    uint32_t next; // the partition that begins or ends now
    bool active;
    uint64_t began_ns;    // when the last one began; 0: none has, or it failed
    uint64_t *kept;       // a bit for each ranking of the plan whose sets were kept up to date
    uint64_t kept_by_all; // the rankings that all partitions of this scan have kept up to date
    bool *has_others;     // it may have sets of rankings that are not in the plan
    bool sweeping;        // sets that were not kept up to date are removed first, then the states are scanned
    struct scan scan;
    uint64_t states; // how many this scan has seen
    struct partition_read probe;
};

// The sets of rankings by period that end (period_ends.c).
struct period_ends {
    int32_t day;                     // for which all is done; 0: none
    uint64_t next_ns;                // not before then
    uint32_t partition, count, lost; // lost: partitions whose periods were ended by a clock that was ahead
    bool failed;                     // a partition
    struct due_set due[DUE_AT_ONCE];
};

struct engine {
    const struct projection_type *type;
    const struct secret_key *hash_key;
    const struct plan *plan;
    struct store *store;
    uint32_t partitions;
    size_t cache_bytes; // memory for busy states
    int64_t log_kept_ms;
    struct behind *left_behind; // the table of both engines
    // The projector sets these. Each is called between two steps.
    void (*on_read)(struct engine *engine);                     // entries were read
    bool (*trim_below)(struct engine *engine, struct log_id *); // fills the array; false: there is nothing to trim
    void (*on_end)(struct engine *engine, enum step end);       // the round has ended; `end` is a ROUND_…
    void *context;

    bool busy;              // between engine_round and on_end
    bool looks;             // this round only reads the offsets
    enum step step;         // the step that began last
    bool known;             // the offsets are those of Redis, or later,
    bool *behind;           // per partition: it is left out of this round
    uint64_t generation;    // in this generation of the store
    uint64_t lives;         // a hash of the lives in which the offsets are valid
    struct life *life;      // per partition: in which the offsets and applied ids were read
    bool stopping;          // the round ends after the present step
    struct log_id *offset;  // per log: the last entry read
    struct log_id *missed;  // per log: the first entry that a partition behind misses; {0,0}: none
    struct log_id *done;    // per log: the last entry up to which every partition has all
    struct log_id *stored;  // per log: the offset that Redis has acknowledged
    struct log_id *scratch; // per log: what is written or trimmed now, and the highest applied ids
    struct log_id
        *applied; // per partition and source: the applied id when the offsets were read; NULL: too many to keep
    struct rollback rollback; // with `applied`
    bool reread;              // offsets and applied ids were just read, the logs were not
    struct batch batch;
    struct cache cache;
    struct read_call call;
    struct partition_write write;
    uint32_t next;        // the partition of the next step
    uint32_t chunk_items; // the most items of a chunk: halved when the store's queue was full
    struct rebuild rebuild;
    struct period_ends period_ends;
    double pending_since_ms; // accept time of the oldest entry that is not projected; 0: none is known
};

bool engine_init(struct engine *engine);    // the caller has set the fields above the blank line; false without memory
void engine_release(struct engine *engine); // not while it is busy
// Begins a round. on_end follows, never before this has returned. `looks`: it only reads the offsets, which another
// machine writes; before the next round that does more comes engine_forget.
void engine_round(struct engine *engine, bool looks);
// After a ROUND_DONE: whether there is more to do at once.
bool engine_wants_more(const struct engine *engine);
// Whether its offsets are of the present lives of the masters.
bool engine_is_current(const struct engine *engine);
// Forgets all that was read from Redis: the next round reads it again.
void engine_forget(struct engine *engine);

// ---- Between engine.c, partition_write.c and rebuild.c
#define STEP(id, name, text)                                                                                           \
    enum step begin_##name(struct engine *engine);                                                                     \
    enum step end_##name(struct engine *engine);
#include "project/steps.def"
#undef STEP
// Call it when the store has answered the step that waits.
void engine_answered(struct engine *engine, enum outcome outcome);
struct read_call *engine_call(struct engine *engine); // a call for the present step; its end is engine_answered
// The partition has another life than the offsets and applied ids are of: ends the round; the next one reads them
// again.
enum step engine_begin_again(struct engine *engine);
// Leaves a partition out of this round and the next ones; the batch keeps its deltas before `first`.
void engine_leave(struct engine *engine, uint32_t partition, uint32_t first);

bool write_init(struct engine *engine);
void write_release(struct engine *engine);
enum step write_first(struct engine *engine);  // the first chunk of the first partition that has deltas
enum step write_failed(struct engine *engine); // the partition under way is left behind: the next one

bool rebuild_init(struct engine *engine);
void rebuild_release(struct engine *engine);
// Whether the partition's rankings are of our plan, or we are rebuilding them by it and nobody by another.
bool rebuild_owns(const struct engine *engine, const struct partition_read *read);
void rebuild_note_plan(struct engine *engine, uint32_t partition, struct bytes plan, struct bytes rankings);
bool rebuild_is_due(const struct engine *engine);
void rebuild_leave(struct engine *engine, uint32_t partition); // it is left behind: its rebuild begins again later
void rebuild_cut(struct engine *engine);                       // not all states can be read
enum step rebuild_first(struct engine *engine);                // before the logs are read
enum step rebuild_scan(struct engine *engine);                 // after they were read
enum step rebuild_last(struct engine *engine);                 // after the offsets are written
enum step period_ends_first(struct engine *engine);            // then
enum step period_ends_failed(struct engine *engine);           // the partition under way: the next one
