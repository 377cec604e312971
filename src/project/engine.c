// SPDX-License-Identifier: MIT
// One step of a projection, from the logs to the stored position.
#include "project/engine.h"
#include "base/clock.h"
#include "ops/log.h"
#include "project/failpoint.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    ENTRIES_AT_ONCE = 4096, // of all logs
    ENTRIES_LEAST = 8,      // of one log
    ENTRIES_MOST = 256,
    MARKS_KEPT_MOST = 256, // partitions: their marks take up a megabyte
    MARKS_AT_ONCE = 64,    // targets whose marks are read together
};

void bad_state(const struct projection_type *type, ref_t item) {
    static uint64_t logged_ns;
    uint64_t now_ns = clock_mono_ns();
    metric_add(METRIC_BAD_STATES, 1);
    if (logged_ns != 0 && now_ns - logged_ns < UINT64_C(10000000000))
        return;
    logged_ns = now_ns;
    log_error("%s: the state of %016" PRIx64 " cannot be read; it is left alone", type->name, item);
}

static uint32_t entries_each(const struct engine *engine) {
    uint32_t each = ENTRIES_AT_ONCE / engine->partitions;
    return each < ENTRIES_LEAST ? ENTRIES_LEAST : each > ENTRIES_MOST ? ENTRIES_MOST : each;
}

bool engine_init(struct engine *engine) {
    uint32_t n = engine->partitions;
    engine->chunk_items = CHUNK_ITEMS;
    engine->position = calloc(n, sizeof(*engine->position));
    engine->stored = calloc(n, sizeof(*engine->stored));
    engine->scratch = calloc(n, sizeof(*engine->scratch));
    engine->applied = n <= MARKS_KEPT_MOST ? calloc((size_t)n * n, sizeof(*engine->applied)) : NULL;
    bool fits = engine->position && engine->stored && engine->scratch && (engine->applied || n > MARKS_KEPT_MOST);
    fits = batch_init(&engine->batch, n, engine->type->batch_bytes) && fits;
    engine->batch.applied = engine->applied;
    fits = cache_init(&engine->cache, n, engine->cache_bytes) && fits;
    fits = refill_init(engine) && fits;
    for (int i = 0; i < TARGETS_AT_ONCE; i++)
        fits = target_init(&engine->targets[i], engine) && fits;
    if (!fits)
        engine_release(engine);
    return fits;
}

void engine_release(struct engine *engine) {
    assert(!engine->busy);
    for (int i = 0; i < TARGETS_AT_ONCE; i++)
        target_release(&engine->targets[i]);
    refill_release(engine);
    batch_release(&engine->batch);
    cache_release(&engine->cache);
    free(engine->position);
    free(engine->stored);
    free(engine->scratch);
    free(engine->applied);
}

void engine_forget(struct engine *engine) {
    engine->known = false;
    memset(engine->stored, 0, engine->partitions * sizeof(*engine->stored));
    cache_forget_all(&engine->cache);
    engine->refill.active = false;
    engine->refill.began_ns = 0;
}

void engine_end(struct engine *engine, enum engine_failure failure) {
    assert(engine->busy && engine->running == 0);
    engine->busy = false;
    if (failure != NO_FAILURE)
        engine_forget(engine);
    engine->on_end(engine, failure);
}

// A read_call of the engine's, for the next thing asked of the store.
static struct read_call *next_call(struct engine *engine,
                                   void (*on_done)(struct read_call *call, enum outcome outcome)) {
    engine->call = (struct read_call){.on_done = on_done, .context = engine};
    return &engine->call;
}

// Whether the step goes on after the store has answered; if not, it is ended here.
static bool goes_on(struct engine *engine, enum outcome outcome) {
    if (outcome == OK && !engine->stopping)
        return true;
    engine_end(engine, outcome == OK ? NO_FAILURE : FAILED);
    return false;
}

// ---- Where to begin: positions, and what is applied already

static void on_position(struct read_call *call, uint32_t partition, struct log_id position, struct bytes plan,
                        struct bytes rankings) {
    struct engine *engine = call->context;
    engine->position[partition] = position;
    engine->stored[partition] = position;
    refill_note_plan(engine, partition, plan, rankings);
}

static void on_mark(struct read_call *call, uint32_t target, uint32_t source, struct log_id mark) {
    struct engine *engine = call->context;
    if (engine->applied)
        engine->applied[(size_t)target * engine->partitions + source] = mark;
    if (log_id_order(mark, engine->scratch[source]) > 0)
        engine->scratch[source] = mark;
}

// Where logs had to be raised above the marks, the next step reads all of this again.
static void on_opened(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    engine->known = engine->generation == store_generation(engine->store);
    if (engine->known)
        refill_begin(engine);
    else
        engine_end(engine, NO_FAILURE);
}

static void read_marks(struct engine *engine);

static void on_marks(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    if (engine->next_target < engine->partitions)
        read_marks(engine);
    else
        store_open_above(engine->store, next_call(engine, on_opened), engine->scratch, engine->position);
}

// Of some targets: of a thousand partitions all marks would be a million at once.
static void read_marks(struct engine *engine) {
    uint32_t first = engine->next_target, left = engine->partitions - first;
    uint32_t count = left < MARKS_AT_ONCE ? left : MARKS_AT_ONCE;
    engine->next_target += count;
    store_read_marks(engine->store, next_call(engine, on_marks), engine->type->projection, first, count, on_mark);
}

static void on_positions(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    memset(engine->scratch, 0, engine->partitions * sizeof(*engine->scratch));
    if (engine->applied)
        memset(engine->applied, 0, (size_t)engine->partitions * engine->partitions * sizeof(*engine->applied));
    engine->next_target = 0;
    read_marks(engine);
}

void engine_step(struct engine *engine) {
    assert(!engine->busy);
    engine->busy = true;
    engine->failure = NO_FAILURE;
    batch_clear(&engine->batch);
    if (engine->generation != store_generation(engine->store)) {
        engine_forget(engine);
        engine->generation = store_generation(engine->store);
    }
    if (engine->known)
        refill_begin(engine);
    else
        store_read_positions(engine->store, next_call(engine, on_positions), engine->type->projection, &engine->lives,
                             on_position);
}

// ---- Logs

static void on_entry(struct read_call *call, const struct log_entry *entry) {
    struct engine *engine = call->context;
    batch_take(&engine->batch, entry, engine->type->make_touches);
}

static void on_logs(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    if (engine->batch.failed) {
        log_error("%s: no memory for a batch", engine->type->name);
        engine_end(engine, FAILED);
        return;
    }
    engine->pending_since_ms = engine->batch.oldest_ms;
    if (engine->batch.entry_count != 0) {
        failpoint(FAILPOINT_READ);
        engine->on_read(engine);
    }
    if (engine->refill.active)
        refill_scan(engine);
    else
        engine_project(engine);
}

void engine_read_logs(struct engine *engine) {
    store_read_logs(engine->store, next_call(engine, on_logs), engine->position, entries_each(engine), on_entry);
}

bool engine_wants_more(const struct engine *engine) {
    const struct batch *batch = &engine->batch;
    if (batch->left || batch->flush || engine->refill.active || refill_is_due(engine))
        return true;
    for (uint32_t i = 0; i < engine->partitions; i++)
        if (batch->read[i] >= entries_each(engine))
            return true;
    return false;
}

// ---- Targets

static void write_positions(struct engine *engine);

static void after_targets(struct engine *engine) {
    if (engine->failure != NO_FAILURE || engine->stopping)
        engine_end(engine, engine->failure);
    else
        write_positions(engine);
}

// One that was under way has ended; after the last one the step goes on.
static void release_running(struct engine *engine) {
    if (--engine->running == 0)
        after_targets(engine);
}

// The next partition that has touches; the number of partitions when there is none.
static uint32_t next_target(struct engine *engine) {
    while (engine->next_target < engine->partitions && engine->batch.targets[engine->next_target].count == 0)
        engine->next_target++;
    return engine->next_target;
}

bool engine_is_last_target(struct engine *engine) {
    return engine->running == 1 && next_target(engine) == engine->partitions;
}

// Gives free workplaces the next partitions. Counts as running itself, for a target may fail before it has started.
static void start_targets(struct engine *engine) {
    engine->running++;
    for (int i = 0; i < TARGETS_AT_ONCE; i++) {
        struct target *target = &engine->targets[i];
        bool over = engine->failure != NO_FAILURE || engine->stopping || next_target(engine) == engine->partitions;
        if (target->running || over)
            continue;
        engine->running++;
        target_start(target, engine->next_target++);
    }
    release_running(engine);
}

void engine_project(struct engine *engine) {
    engine->next_target = 0;
    start_targets(engine);
}

void engine_target_done(struct target *target, enum engine_failure failure) {
    struct engine *engine = target->engine;
    if (failure > engine->failure)
        engine->failure = failure;
    start_targets(engine);
    release_running(engine);
}

// ---- Position and trim

static void finish(struct engine *engine) {
    if (refill_is_ending(engine))
        refill_end(engine);
    else
        engine_end(engine, NO_FAILURE);
}

static void on_trimmed(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    failpoint(FAILPOINT_TRIM_AFTER);
    finish(engine);
}

static void on_position_written(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    for (uint32_t i = 0; i < engine->partitions; i++)
        if (engine->batch.last[i].ms != 0)
            engine->position[i] = engine->stored[i] = engine->batch.last[i];
    engine->pending_since_ms = 0;
    if (engine->chunk_items * 2 <= CHUNK_ITEMS)
        engine->chunk_items *= 2;
    failpoint(FAILPOINT_POSITION_AFTER);
    if (!engine->trim_below(engine, engine->scratch)) {
        finish(engine);
        return;
    }
    failpoint(FAILPOINT_TRIM_BEFORE);
    store_trim(engine->store, next_call(engine, on_trimmed), engine->scratch, engine->lives);
}

static void write_positions(struct engine *engine) {
    if (engine->batch.entry_count == 0) {
        finish(engine);
        return;
    }
    failpoint(FAILPOINT_POSITION_BEFORE);
    store_write_positions(engine->store, next_call(engine, on_position_written), engine->type->projection,
                          engine->batch.last, engine->lives);
}
