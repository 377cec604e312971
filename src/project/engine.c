// SPDX-License-Identifier: MIT
// The dispatcher of a projection's rounds, and the steps that read and write offsets and logs (engine.h).
#include "project/engine.h"
#include "ops/log.h"
#include "project/failpoint.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    ENTRIES_AT_ONCE = 4096, // of all logs together
    ENTRIES_LEAST = 8,      // of one log
    ENTRIES_MAX = 256,      // of one log
    APPLIED_KEPT_MAX = 256, // partitions, whose applied ids take a megabyte
    APPLIED_AT_ONCE = 64,   // partitions whose applied ids are read together
};

void bad_state(const struct projection_type *type, ref_t item) {
    static uint64_t logged_ns;
    metric_add(METRIC_BAD_STATES, 1);
    if (log_is_due(&logged_ns))
        log_error("%s: the state of %016" PRIx64 " cannot be read; it is left alone", type->name, item);
}

static uint32_t entries_each(const struct engine *engine) {
    uint32_t each = ENTRIES_AT_ONCE / engine->partitions;
    return each < ENTRIES_LEAST ? ENTRIES_LEAST : each > ENTRIES_MAX ? ENTRIES_MAX : each;
}

bool engine_init(struct engine *engine) {
    uint32_t n = engine->partitions;
    engine->chunk_items = CHUNK_ITEMS;
    engine->offset = calloc(n, sizeof(*engine->offset));
    engine->stored = calloc(n, sizeof(*engine->stored));
    engine->scratch = calloc(n, sizeof(*engine->scratch));
    engine->applied = n <= APPLIED_KEPT_MAX ? calloc((size_t)n * n, sizeof(*engine->applied)) : NULL;
    bool fits = engine->offset && engine->stored && engine->scratch && (engine->applied || n > APPLIED_KEPT_MAX);
    fits = batch_init(&engine->batch, n, engine->type->batch_bytes) && fits;
    engine->batch.applied = engine->applied;
    fits = cache_init(&engine->cache, n, engine->cache_bytes) && fits;
    fits = rebuild_init(engine) && fits;
    fits = write_init(engine) && fits;
    if (!fits)
        engine_release(engine);
    return fits;
}

void engine_release(struct engine *engine) {
    assert(!engine->busy);
    write_release(engine);
    rebuild_release(engine);
    batch_release(&engine->batch);
    cache_release(&engine->cache);
    free(engine->offset);
    free(engine->stored);
    free(engine->scratch);
    free(engine->applied);
}

void engine_forget(struct engine *engine) {
    engine->known = false;
    memset(engine->stored, 0, engine->partitions * sizeof(*engine->stored));
    cache_forget_all(&engine->cache);
    engine->rebuild.active = false;
    engine->rebuild.began_ns = 0;
}

// ---- The dispatcher

static const struct {
    enum step (*begin)(struct engine *engine);
    enum step (*end)(struct engine *engine);
} steps[STEP_COUNT] = {
#define STEP(id, name, text) [STEP_##id] = {begin_##name, end_##name},
#include "project/steps.def"
#undef STEP
};

static void end_round(struct engine *engine, enum step end) {
    assert(engine->busy);
    engine->busy = false;
    if (end != ROUND_DONE)
        engine_forget(engine);
    engine->on_end(engine, end);
}

static void go(struct engine *engine, enum step next) {
    while (next < STEP_COUNT) {
        engine->step = next;
        failpoint(next, BEFORE);
        next = steps[next].begin(engine);
    }
    if (next != STEP_WAITS)
        end_round(engine, next);
}

void engine_answered(struct engine *engine, enum outcome outcome) {
    if (outcome != OK || engine->stopping) {
        end_round(engine, outcome == OK ? ROUND_DONE : ROUND_FAILED);
        return;
    }
    failpoint(engine->step, AFTER);
    go(engine, steps[engine->step].end(engine));
}

static void on_answer(struct read_call *call, enum outcome outcome) {
    engine_answered(call->context, outcome);
}

struct read_call *engine_call(struct engine *engine) {
    engine->call = (struct read_call){.on_done = on_answer, .context = engine};
    return &engine->call;
}

void engine_round(struct engine *engine) {
    assert(!engine->busy);
    engine->busy = true;
    batch_clear(&engine->batch);
    if (engine->generation != store_generation(engine->store)) {
        engine_forget(engine);
        engine->generation = store_generation(engine->store);
    }
    go(engine, engine->known ? rebuild_first(engine) : STEP_READ_OFFSETS);
}

// ---- Where to begin: offsets, and what is applied already

static void on_offset(struct read_call *call, uint32_t partition, struct log_id offset, struct bytes plan,
                      struct bytes rankings) {
    struct engine *engine = call->context;
    engine->offset[partition] = offset;
    engine->stored[partition] = offset;
    rebuild_note_plan(engine, partition, plan, rankings);
}

static void on_applied(struct read_call *call, uint32_t partition, uint32_t source, struct log_id id) {
    struct engine *engine = call->context;
    if (engine->applied)
        engine->applied[(size_t)partition * engine->partitions + source] = id;
    if (log_id_order(id, engine->scratch[source]) > 0)
        engine->scratch[source] = id;
}

enum step begin_read_offsets(struct engine *engine) {
    store_read_offsets(engine->store, engine_call(engine), engine->type->projection, &engine->lives, on_offset);
    return STEP_WAITS;
}

enum step end_read_offsets(struct engine *engine) {
    memset(engine->scratch, 0, engine->partitions * sizeof(*engine->scratch));
    if (engine->applied)
        memset(engine->applied, 0, (size_t)engine->partitions * engine->partitions * sizeof(*engine->applied));
    engine->next = 0;
    return STEP_READ_APPLIED;
}

// Reads the applied ids of some partitions: a thousand partitions have a million of them.
enum step begin_read_applied(struct engine *engine) {
    uint32_t first = engine->next, left = engine->partitions - first;
    uint32_t count = left < APPLIED_AT_ONCE ? left : APPLIED_AT_ONCE;
    engine->next += count;
    store_read_applied(engine->store, engine_call(engine), engine->type->projection, first, count, on_applied);
    return STEP_WAITS;
}

enum step end_read_applied(struct engine *engine) {
    return engine->next < engine->partitions ? STEP_READ_APPLIED : STEP_OPEN_LOGS;
}

enum step begin_open_logs(struct engine *engine) {
    store_open_above(engine->store, engine_call(engine), engine->scratch, engine->offset);
    return STEP_WAITS;
}

// If logs had to be raised above the applied ids, the next round reads the offsets and applied ids again.
enum step end_open_logs(struct engine *engine) {
    engine->known = engine->generation == store_generation(engine->store);
    return engine->known ? rebuild_first(engine) : ROUND_DONE;
}

// ---- Logs

static void on_entry(struct read_call *call, const struct log_entry *entry) {
    struct engine *engine = call->context;
    batch_take(&engine->batch, entry, engine->type->make_deltas);
}

enum step begin_read_logs(struct engine *engine) {
    store_read_logs(engine->store, engine_call(engine), engine->offset, entries_each(engine), on_entry);
    return STEP_WAITS;
}

enum step end_read_logs(struct engine *engine) {
    if (engine->batch.failed) {
        log_error("%s: no memory for a batch", engine->type->name);
        return ROUND_FAILED;
    }
    engine->pending_since_ms = engine->batch.oldest_ms;
    if (engine->batch.entry_count != 0)
        engine->on_read(engine);
    return engine->rebuild.active ? rebuild_scan(engine) : write_first(engine);
}

bool engine_wants_more(const struct engine *engine) {
    const struct batch *batch = &engine->batch;
    if (batch->left || batch->flush || engine->rebuild.active || rebuild_is_due(engine))
        return true;
    for (uint32_t i = 0; i < engine->partitions; i++)
        if (batch->read[i] >= entries_each(engine))
            return true;
    return false;
}

// ---- Offsets and trimming

enum step begin_write_offsets(struct engine *engine) {
    if (engine->batch.entry_count == 0)
        return rebuild_last(engine);
    store_write_offsets(engine->store, engine_call(engine), engine->type->projection, engine->batch.last,
                        engine->lives);
    return STEP_WAITS;
}

enum step end_write_offsets(struct engine *engine) {
    for (uint32_t i = 0; i < engine->partitions; i++)
        if (engine->batch.last[i].ms != 0)
            engine->offset[i] = engine->stored[i] = engine->batch.last[i];
    engine->pending_since_ms = 0;
    if (engine->chunk_items * 2 <= CHUNK_ITEMS)
        engine->chunk_items *= 2;
    return STEP_TRIM_LOGS;
}

enum step begin_trim_logs(struct engine *engine) {
    if (!engine->trim_below(engine, engine->scratch))
        return rebuild_last(engine);
    store_trim(engine->store, engine_call(engine), engine->scratch, engine->lives);
    return STEP_WAITS;
}

enum step end_trim_logs(struct engine *engine) {
    return rebuild_last(engine);
}
