// SPDX-License-Identifier: MIT
// The engine of one projection: it reads the logs after its offsets, writes each partition under its version, stores
// the offsets and trims.
//
// One round is a walk through the steps of steps.def. engine.c has the one dispatcher: it begins a step, waits for the
// store, and goes where the step's end says. Any failure ends the round: the engine forgets what it remembered, waits
// and begins again at the stored offsets, or at the oldest entry where these do not hold since Redis may have lost
// something. What a partition has applied already is passed over. A write that another projector was quicker with makes
// this one stand back for some seconds.
//
// Why an entry is applied exactly once: COMMIT_CHUNK writes the states of some items and the id of the last entry that
// is applied to them in one script, and only under the version that READ_CHUNK has read; WRITE_OFFSETS comes after the
// last commit; TRIM_LOGS after the offsets of both projections. A process that dies between any two steps leaves
// entries that are read again and passed over.
//
// projector.c decides when a round begins. To add a step: a row in steps.def and its two functions.
#pragma once
#include "project/projection_type.h"
#include "project/ref_index.h"
#include "project/state_cache.h"

enum { CHUNK_ITEMS = 100 }; // a commit of a hundred keeps votes waiting for half a millisecond

struct engine;

enum step {
#define STEP(id, name, text) STEP_##id,
#include "project/steps.def"
#undef STEP
    STEP_COUNT,
    STEP_WAITS = STEP_COUNT, // for the store
    ROUND_DONE,              // ends of a round
    ROUND_FAILED,
    ROUND_OVERTAKEN // by another projector
};

// The write of one partition's deltas, chunk by chunk.
struct partition_write {
    uint32_t partition;
    uint32_t chunk, chunk_end; // deltas of the present chunk
    uint32_t chunk_items;      // most distinct items of a chunk: halved at each conflict
    struct ref_index items, sites;
    ref_t *missing;          // items that are not in the cache …
    uint32_t *missing_index; // … and their numbers among the chunk's
    uint32_t missing_count, missing_capacity;
    struct partition_read call;
    struct log_id *applied;      // as Redis has them, per source
    struct log_id *applied_seen; // as it had them before a conflict
    struct log_id *applied_new;  // of the commit under way
    struct commit_result result;
    bool conflict, failed;
    void *work;
};

// Rankings that must be written anew from all states, per partition.
struct rebuild {
    bool *needed;  // noticed, not begun
    bool *running; // part of the scan under way
    uint32_t next; // partition that is being begun or ended
    bool active;
    uint64_t began_ns;    // the last one; 0: none, or it failed
    uint64_t *kept;       // per partition: which rankings of the plan have sets that were kept up to date, as bits
    uint64_t kept_by_all; // of the scan under way: in every partition that is part of it
    bool *has_others;     // per partition: there may be sets of rankings that the plan does not have
    bool sweeping;        // first the sets that were not kept up to date are removed, then the states are scanned
    uint64_t cursor;
    uint64_t states; // seen by this scan
    struct partition_read probe;
};

struct engine {
    const struct projection_type *type;
    const struct secret_key *hash_key;
    const struct plan *plan;
    struct store *store;
    uint32_t partitions;
    size_t cache_bytes; // for busy states
    // What the projector wants to know; each fires between two steps.
    void (*on_read)(struct engine *engine);                     // entries were read
    bool (*trim_below)(struct engine *engine, struct log_id *); // fills the array; false: nothing to trim
    void (*on_end)(struct engine *engine, enum step end);       // a ROUND_…
    void *context;

    bool busy;              // between engine_round and on_end
    enum step step;         // that was begun last
    bool known;             // the offsets are those that Redis has, or later …
    uint64_t generation;    // … as of this connection and this life of the master
    uint64_t lives;         // a hash of the lives in which the offsets hold
    bool stopping;          // the round ends where it is
    struct log_id *offset;  // last entry read, per log
    struct log_id *stored;  // what Redis was told and has acknowledged
    struct log_id *scratch; // of trimming, of the highest applied ids
    struct log_id *applied; // per target and source: its mark when the offsets were read; NULL: too many to keep
    struct batch batch;
    struct cache cache;
    struct read_call call;
    struct partition_write write;
    uint32_t next;        // partition to be taken up next
    uint32_t chunk_items; // most distinct items of a chunk: halved when the store's queue was full
    char plan_text[17];
    struct rebuild rebuild;
    double pending_since_ms; // accept time of the oldest entry not projected; 0: none known
};

bool engine_init(struct engine *engine);    // the fields above the blank line are set; false without memory
void engine_release(struct engine *engine); // not while it is busy
// Begins a round; on_end follows, never before this has returned.
void engine_round(struct engine *engine);
// After a round that went well: there is more to do at once.
bool engine_wants_more(const struct engine *engine);
void engine_forget(struct engine *engine);

// ---- Between engine.c, partition_write.c and rebuild.c
#define STEP(id, name, text)                                                                                           \
    enum step begin_##name(struct engine *engine);                                                                     \
    enum step end_##name(struct engine *engine);
#include "project/steps.def"
#undef STEP
// The store has answered the step that waits.
void engine_answered(struct engine *engine, enum outcome outcome);
struct read_call *engine_call(struct engine *engine); // for the present step

bool write_init(struct engine *engine);
void write_release(struct engine *engine);
enum step write_first(struct engine *engine); // the first chunk of the first partition that has deltas

bool rebuild_init(struct engine *engine);
void rebuild_release(struct engine *engine);
// Whether the partition's rankings are those of our plan, or being made so by us.
bool rebuild_owns(const struct engine *engine, uint32_t partition, struct bytes plan);
void rebuild_note_plan(struct engine *engine, uint32_t partition, struct bytes plan, struct bytes rankings);
bool rebuild_is_due(const struct engine *engine);
enum step rebuild_first(struct engine *engine); // before the logs are read
enum step rebuild_scan(struct engine *engine);  // after they were read
enum step rebuild_last(struct engine *engine);  // after the offsets
