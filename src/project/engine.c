// SPDX-License-Identifier: MIT
// The dispatcher of a projection's rounds, and the steps that read and write offsets and logs (engine.h).
#include "project/engine.h"
#include "base/clock.h"
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

static uint32_t entries_each(const struct engine *engine) {
    uint32_t each = ENTRIES_AT_ONCE / engine->partitions;
    return each < ENTRIES_LEAST ? ENTRIES_LEAST : each > ENTRIES_MAX ? ENTRIES_MAX : each;
}

bool engine_init(struct engine *engine) {
    uint32_t n = engine->partitions;
    engine->chunk_items = engine->type->chunk_items;
    engine->offset = calloc(n, sizeof(*engine->offset));
    engine->stored = calloc(n, sizeof(*engine->stored));
    engine->scratch = calloc(n, sizeof(*engine->scratch));
    engine->done = calloc(n, sizeof(*engine->done));
    engine->missed = calloc(n, sizeof(*engine->missed));
    engine->behind = calloc(n, sizeof(*engine->behind));
    engine->life = calloc(n, sizeof(*engine->life));
    engine->applied = n <= APPLIED_KEPT_MAX ? calloc((size_t)n * n, sizeof(*engine->applied)) : NULL;
    bool fits = engine->offset && engine->stored && engine->scratch && engine->done && engine->missed &&
                engine->behind && engine->life && (engine->applied || n > APPLIED_KEPT_MAX);
    fits = batch_init(&engine->batch, n, engine->type->batch_bytes) && fits;
    engine->batch.applied = engine->applied;
    engine->batch.behind = engine->behind;
    engine->batch.missed = engine->missed;
    fits = (!engine->applied || rollback_init(&engine->rollback, n, engine->log_kept_ms)) && fits;
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
    free(engine->done);
    free(engine->missed);
    free(engine->behind);
    free(engine->life);
    free(engine->applied);
    rollback_release(&engine->rollback);
}

bool engine_is_current(const struct engine *engine) {
    return engine->known && engine->generation == store_generation(engine->store);
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
    else if (engine->known && engine->applied && !engine->looks)
        rollback_note(&engine->rollback, clock_mono_ns(), engine->applied, engine->life, engine->behind);
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

// ---- Partitions that fail alone

static bool any_answers(const struct engine *engine) {
    return memchr(engine->behind, false, engine->partitions) != NULL;
}

void engine_leave(struct engine *engine, uint32_t partition, uint32_t first) {
    if (!engine->behind[partition])
        behind_leave(engine->left_behind, partition, projection_name(engine->type->projection));
    engine->behind[partition] = true;
    batch_leave(&engine->batch, partition, first);
    rebuild_leave(engine, partition);
}

static void on_away(struct read_call *call, uint32_t partition) {
    engine_leave(call->context, partition, 0);
}

static struct apart apart_of(const struct engine *engine) {
    return (struct apart){engine->behind, on_away};
}

// With one Redis a call that has keys of all partitions would fail when one of them does.
static bool one_by_one(const struct engine *engine) {
    return memchr(engine->behind, true, engine->partitions) != NULL;
}

// The step has failed. If it was about one partition, the round goes on without it.
static enum step after_failure(struct engine *engine, enum outcome outcome) {
    if (outcome == OVERLOADED || !store_ready(engine->store, NULL))
        return ROUND_FAILED;
    switch (engine->step) {
    case STEP_READ_CHUNK:
    case STEP_COMMIT_CHUNK:
        return write_failed(engine);
    case STEP_REBUILD_PROBE:
    case STEP_REBUILD_BEGIN:
    case STEP_REBUILD_EMPTY:
        engine_leave(engine, engine->rebuild.next, 0);
        return STEP_REBUILD_PROBE;
    case STEP_REBUILD_DONE:
        engine_leave(engine, engine->rebuild.next, 0);
        return STEP_REBUILD_DONE;
    case STEP_FIND_DUE:
    case STEP_END_PERIODS:
        return period_ends_failed(engine);
    case STEP_SWEEP_RANKINGS:
        rebuild_cut(engine);
        return engine->rebuild.active ? STEP_SCAN_STATES : write_first(engine);
    case STEP_SCAN_STATES:
        rebuild_cut(engine);
        return write_first(engine);
    default:
        return ROUND_FAILED;
    }
}

void engine_answered(struct engine *engine, enum outcome outcome) {
    if (engine->stopping) {
        end_round(engine, outcome == OK ? ROUND_DONE : ROUND_FAILED);
        return;
    }
    if (outcome == OK)
        failpoint(engine->step, AFTER);
    enum step next = outcome == OK ? steps[engine->step].end(engine) : after_failure(engine, outcome);
    if (next < ROUND_DONE && !any_answers(engine)) { // it is not one partition that fails
        behind_clear(engine->left_behind);
        next = ROUND_FAILED;
    }
    go(engine, next);
}

enum step engine_begin_again(struct engine *engine) {
    engine->known = false;
    return ROUND_DONE;
}

// Partitions that answer again take part again, and both begin at the stored offsets. Those that the other engine has
// found away are left out, too.
static void note_behind(struct engine *engine) {
    for (uint32_t i = 0; i < engine->partitions; i++) {
        bool is = behind_is(engine->left_behind, i);
        if (engine->behind[i] && !is)
            engine->known = false;
        engine->behind[i] = is;
    }
}

static void on_answer(struct read_call *call, enum outcome outcome) {
    engine_answered(call->context, outcome);
}

struct read_call *engine_call(struct engine *engine) {
    engine->call = (struct read_call){.on_done = on_answer, .context = engine};
    return &engine->call;
}

void engine_round(struct engine *engine, bool looks) {
    assert(!engine->busy);
    engine->busy = true;
    engine->looks = looks;
    batch_clear(&engine->batch);
    if (engine->generation != store_generation(engine->store)) {
        engine_forget(engine);
        engine->generation = store_generation(engine->store);
    }
    note_behind(engine);
    engine->known &= !looks;
    go(engine, engine->known ? rebuild_first(engine) : STEP_READ_OFFSETS);
}

// ---- Where to begin: offsets, and what is applied already

static void on_offset(struct read_call *call, uint32_t partition, const struct stored_offset *stored) {
    struct engine *engine = call->context;
    engine->offset[partition] = engine->done[partition] = engine->stored[partition] = stored->offset;
    struct life *life = &engine->life[partition];
    life->len = stored->life.len < sizeof(life->text) ? (uint8_t)stored->life.len : 0;
    if (life->len)
        memcpy(life->text, stored->life.at, life->len);
    rebuild_note_plan(engine, partition, stored->plan, stored->rankings);
}

static void on_applied(struct read_call *call, uint32_t partition, uint32_t source, struct log_id id) {
    struct engine *engine = call->context;
    if (engine->applied)
        engine->applied[(size_t)partition * engine->partitions + source] = id;
    if (log_id_order(id, engine->scratch[source]) > 0)
        engine->scratch[source] = id;
}

enum step begin_read_offsets(struct engine *engine) {
    struct apart apart = apart_of(engine);
    memset(engine->stored, 0, engine->partitions * sizeof(*engine->stored));
    memset(engine->missed, 0, engine->partitions * sizeof(*engine->missed));
    store_read_offsets(engine->store, engine_call(engine), engine->type->projection, &apart, &engine->lives, on_offset);
    return STEP_WAITS;
}

enum step end_read_offsets(struct engine *engine) {
    if (engine->looks) {
        engine->known = engine->generation == store_generation(engine->store);
        return ROUND_DONE;
    }
    memset(engine->scratch, 0, engine->partitions * sizeof(*engine->scratch));
    if (engine->applied)
        memset(engine->applied, 0, (size_t)engine->partitions * engine->partitions * sizeof(*engine->applied));
    engine->next = 0;
    return STEP_READ_APPLIED;
}

// Reads the applied ids of some partitions: a thousand partitions have a million of them.
enum step begin_read_applied(struct engine *engine) {
    struct apart apart = apart_of(engine);
    uint32_t first = engine->next, left = engine->partitions - first;
    engine->next += left < APPLIED_AT_ONCE ? left : APPLIED_AT_ONCE;
    store_read_applied(engine->store, engine_call(engine), engine->type->projection, &apart, first, engine->next,
                       on_applied);
    return STEP_WAITS;
}

enum step end_read_applied(struct engine *engine) {
    engine->reread = true;
    return engine->next < engine->partitions ? STEP_READ_APPLIED : STEP_OPEN_LOGS;
}

enum step begin_open_logs(struct engine *engine) {
    struct apart apart = apart_of(engine);
    store_open_above(engine->store, engine_call(engine), &apart, engine->scratch, engine->offset, one_by_one(engine));
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

static double earlier(double a_ms, double b_ms) {
    return a_ms == 0 || (b_ms != 0 && b_ms < a_ms) ? b_ms : a_ms;
}

enum step begin_read_logs(struct engine *engine) {
    struct apart apart = apart_of(engine);
    store_read_logs(engine->store, engine_call(engine), &apart, engine->offset, entries_each(engine), on_entry);
    return STEP_WAITS;
}

// The first entry of each log in the batch.
static void find_first(const struct engine *engine, struct log_id *first) {
    memset(first, 0, engine->partitions * sizeof(*first));
    for (uint32_t i = engine->batch.entry_count; i-- > 0;)
        first[engine->batch.entries[i].source] = engine->batch.entries[i].id;
}

// A partition that was rolled back by more than the logs hold: that cannot be mended, so it is said.
static void look_for_rollbacks(struct engine *engine) {
    bool lost[APPLIED_KEPT_MAX];
    find_first(engine, engine->scratch);
    uint32_t count = rollback_look(&engine->rollback, clock_mono_ns(), engine->applied, engine->life, engine->scratch,
                                   engine->behind, lost);
    metric_add(METRIC_PROJECTION_GAPS, count);
    for (uint32_t i = 0; count && i < engine->partitions; i++)
        if (lost[i])
            log_error(
                "%s: partition %u came back without what was projected to it longer ago than log_kept: that is lost",
                projection_name(engine->type->projection), i);
}

enum step end_read_logs(struct engine *engine) {
    if (engine->batch.failed) {
        log_error("%s: no memory for a batch", projection_name(engine->type->projection));
        return ROUND_FAILED;
    }
    if (engine->reread && engine->applied)
        look_for_rollbacks(engine);
    engine->reread = false;
    engine->pending_since_ms = earlier(engine->batch.oldest_ms, behind_since_ms(engine->left_behind));
    if (engine->batch.entry_count != 0)
        engine->on_read(engine);
    return engine->rebuild.active ? rebuild_scan(engine) : write_first(engine);
}

bool engine_wants_more(const struct engine *engine) {
    const struct batch *batch = &engine->batch;
    if (!engine->known || batch->left || batch->flush || engine->rebuild.active || rebuild_is_due(engine))
        return true;
    for (uint32_t i = 0; i < engine->partitions; i++)
        if (batch->read[i] >= entries_each(engine))
            return true;
    return false;
}

// ---- Offsets and trimming

// Fills scratch with the offsets to write: those that have moved. False when none has.
static bool offsets_to_write(struct engine *engine) {
    bool any = false;
    batch_whole(&engine->batch, engine->done);
    for (uint32_t i = 0; i < engine->partitions; i++) {
        if (engine->batch.last[i].ms != 0)
            engine->offset[i] = engine->batch.last[i];
        bool writes = !engine->behind[i] && log_id_order(engine->done[i], engine->stored[i]) > 0;
        engine->scratch[i] = writes ? engine->done[i] : (struct log_id){0, 0};
        any |= writes;
    }
    return any;
}

static void on_written(struct read_call *call, uint32_t partition) {
    struct engine *engine = call->context;
    engine->stored[partition] = engine->scratch[partition];
}

enum step begin_write_offsets(struct engine *engine) {
    struct apart apart = apart_of(engine);
    if (!offsets_to_write(engine))
        return end_write_offsets(engine);
    store_write_offsets(engine->store, engine_call(engine), engine->type->projection, &apart, engine->scratch,
                        engine->lives, on_written);
    return STEP_WAITS;
}

enum step end_write_offsets(struct engine *engine) {
    if (!engine_wants_more(engine)) // else the logs have more, which is no older than this batch
        engine->pending_since_ms = behind_since_ms(engine->left_behind);
    if (engine->chunk_items * 2 <= engine->type->chunk_items)
        engine->chunk_items *= 2;
    return STEP_TRIM_LOGS;
}

enum step begin_trim_logs(struct engine *engine) {
    if (!engine->trim_below(engine, engine->scratch))
        return rebuild_last(engine);
    store_trim(engine->store, engine_call(engine), engine->scratch, engine->lives, one_by_one(engine));
    return STEP_WAITS;
}

enum step end_trim_logs(struct engine *engine) {
    return rebuild_last(engine);
}
