// SPDX-License-Identifier: MIT
// The engine of one projection: reads the logs after its position, has each target partition written under its version,
// then stores the position and trims (DESIGN section 2, "Project").
//
// A step: positions and marks (once) → logs → [refill: some states] → targets, four at a time → position → trim. Any
// failure ends the step: the engine forgets what it remembered, waits and begins anew at the stored positions, or at
// the oldest entry where these do not hold since Redis may have lost something; marks tell what of it has been applied.
// A write that another projector was quicker with makes it stand back for some seconds. projector.c decides when a step
// begins; target.c does one partition; refill.c what a changed plan asks for.
#pragma once
#include "project/cache.h"
#include "project/projection_type.h"
#include "project/ref_index.h"

enum { TARGETS_AT_ONCE = 1, CHUNK_ITEMS = 100 }; // a commit of a hundred keeps votes waiting for half a millisecond

struct engine;

// One partition's touches, chunk by chunk; one of the engine's TARGETS_AT_ONCE workplaces.
struct target {
    struct engine *engine;
    bool running;
    uint32_t partition;
    uint32_t chunk, chunk_end; // touches of the present chunk
    uint32_t chunk_items;      // most distinct items of a chunk: halved at each conflict
    struct ref_index items, sites;
    ref_t *missing;          // items that are not in the cache …
    uint32_t *missing_index; // … and their numbers among the chunk's
    uint32_t missing_count, missing_room;
    struct target_call call;
    struct log_id *marks;      // as Redis has them, per source
    struct log_id *marks_seen; // as it had them before a conflict
    struct log_id *marks_new;  // of the commit under way
    bool conflict, failed;
    void *work;
};

enum engine_failure { NO_FAILURE, FAILED, OVERTAKEN };

// Rankings that must be written anew from all states, per partition.
struct refill {
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
    struct target_call probe;
};

struct engine {
    const struct projection_type *type;
    const struct secret_key *hash_key;
    const struct plan *plan;
    struct store *store;
    uint32_t partitions;
    size_t cache_bytes; // for busy states
    // What the projector wants to know; each fires outside of any step's middle.
    void (*on_read)(struct engine *engine);                     // entries were read
    bool (*trim_below)(struct engine *engine, struct log_id *); // fills the array; false: nothing to trim
    void (*on_end)(struct engine *engine, enum engine_failure failure);
    void *context;

    bool busy;               // between engine_step and on_end
    bool known;              // the positions are those that Redis has, or later …
    uint64_t generation;     // … as of this connection and this life of the master
    uint64_t lives;          // a hash of the lives in which the positions hold
    bool stopping;           // the step ends where it is
    struct log_id *position; // last entry read, per log
    struct log_id *stored;   // what Redis was told and has acknowledged
    struct log_id *scratch;  // of trimming, of the highest marks
    struct log_id *applied;  // per target and source: its mark when the positions were read; NULL: too many to keep
    struct batch batch;
    struct cache cache;
    struct read_call call;
    struct target targets[TARGETS_AT_ONCE];
    uint32_t next_target; // partition to be taken up next, also of reading marks
    uint32_t chunk_items; // most distinct items of a chunk: halved when the store's queue was full
    uint32_t running;     // targets under way
    enum engine_failure failure;
    char plan_text[17];
    struct refill refill;
    double pending_since_ms; // accept time of the oldest entry not projected; 0: none known
};

bool engine_init(struct engine *engine);    // the fields above the blank line are set; false without memory
void engine_release(struct engine *engine); // not while it is busy
// Begins a step; on_end follows, never before this has returned.
void engine_step(struct engine *engine);
// After a step that went well: there is more to do at once.
bool engine_wants_more(const struct engine *engine);
void engine_forget(struct engine *engine);

// ---- Between engine.c, target.c and refill.c
bool target_init(struct target *target, struct engine *engine);
void target_release(struct target *target);
void target_start(struct target *target, uint32_t partition);
void engine_target_done(struct target *target, enum engine_failure failure);
bool engine_is_last_target(struct engine *engine); // of this batch: none runs beside it, none is to come
void engine_read_logs(struct engine *engine);
void engine_project(struct engine *engine);
void engine_end(struct engine *engine, enum engine_failure failure);

bool refill_init(struct engine *engine);
void refill_release(struct engine *engine);
// Whether the partition's rankings are those of our plan, or being made so by us.
bool refill_owns(const struct engine *engine, uint32_t partition, struct bytes plan);
void refill_note_plan(struct engine *engine, uint32_t partition, struct bytes plan, struct bytes rankings);
bool refill_is_due(const struct engine *engine);
void refill_begin(struct engine *engine); // if one is due; then engine_read_logs
void refill_scan(struct engine *engine);  // one step of it; then engine_project
bool refill_is_ending(const struct engine *engine);
void refill_end(struct engine *engine); // then engine_end
