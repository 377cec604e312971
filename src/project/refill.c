// SPDX-License-Identifier: MIT
// Refilling: when the definitions of the rankings have changed, or one that was cut has lost half of its entries, all
// places of a partition's items are written anew from their states.
//
// It goes along with the normal steps: each reads some states by a cursor, and their items are touched without an event
// in the same batch. A partition's plan is forgotten when it begins and stored when it ends, so that one that was
// killed in the middle begins anew.
#include "base/clock.h"
#include "ops/log.h"
#include "project/engine.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// A scan over everything must not become the rule: a ranking at half its bound still fills every list.
#define REFILL_PAUSE_NS (UINT64_C(60) * 1000 * 1000 * 1000)

// A text of all that decides what stands in a ranking, as 16 hex digits.
static void describe_plan(struct engine *engine) {
    const struct plan *plan = engine->plan;
    struct buffer text;
    buffer_init(&text, 64 << 10);
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct ranking *ranking = &plan->rankings[i];
        buffer_add_bytes(&text, ranking->name);
        buffer_addf(&text, " %d %" PRId64 " %u %" PRId64, (int)ranking->kind, ranking->half_life_ms, ranking->floor,
                    ranking->oldest_age_ms);
        for (int j = 0; j < SIGNAL_COUNT; j++)
            buffer_addf(&text, " %.17g", ranking->weight[j]);
        buffer_add_char(&text, '\n');
    }
    struct bytes whole = buffer_bytes(&text);
    snprintf(engine->plan_text, sizeof(engine->plan_text), "%016" PRIx64,
             keyed_hash64(engine->hash_key, 'P', &whole, 1));
    buffer_release(&text);
}

bool refill_init(struct engine *engine) {
    engine->refill.needed = calloc(engine->partitions, sizeof(bool));
    engine->refill.running = calloc(engine->partitions, sizeof(bool));
    describe_plan(engine);
    return engine->refill.needed && engine->refill.running;
}

void refill_release(struct engine *engine) {
    free(engine->refill.needed);
    free(engine->refill.running);
}

void refill_note_plan(struct engine *engine, uint32_t partition, struct bytes plan) {
    bool has_rankings = engine->type->projection == PROJECTION_SUMS;
    engine->refill.needed[partition] = has_rankings && !bytes_eq(plan, bytes_of(engine->plan_text));
}

static bool goes_on(struct engine *engine, enum outcome outcome) {
    if (outcome == OK && !engine->stopping)
        return true;
    engine_end(engine, outcome == OK ? NO_FAILURE : FAILED);
    return false;
}

static struct read_call *next_call(struct engine *engine,
                                   void (*on_done)(struct read_call *call, enum outcome outcome)) {
    engine->call = (struct read_call){.on_done = on_done, .context = engine};
    return &engine->call;
}

// ---- Begin: each partition that needs it, one after another

static void begin_next(struct engine *engine);

static void on_begun(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    struct refill *refill = &engine->refill;
    refill->needed[refill->next] = false;
    refill->running[refill->next] = true;
    refill->active = true;
    refill->next++;
    begin_next(engine);
}

static void on_new_ended(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    engine->refill.needed[engine->refill.next++] = false;
    begin_next(engine);
}

static void on_probed_floor(struct target_call *call, struct bytes name, double value) {
    (void)call;
    (void)name;
    (void)value;
}

// A partition that nothing was ever projected to has no states.
static void on_probed(struct target_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    if (call->version == 0)
        store_refill_end(engine->store, next_call(engine, on_new_ended), call->partition, bytes_of(engine->plan_text));
    else
        store_refill_begin(engine->store, next_call(engine, on_begun), call->partition);
}

static void begin_next(struct engine *engine) {
    struct refill *refill = &engine->refill;
    while (refill->next < engine->partitions && !refill->needed[refill->next])
        refill->next++;
    if (refill->next == engine->partitions) {
        if (refill->active) {
            refill->began_ns = clock_mono_ns();
            log_info("rankings are being refilled");
        }
        engine_read_logs(engine);
        return;
    }
    refill->probe = (struct target_call){.projection = engine->type->projection,
                                         .partition = refill->next,
                                         .on_floor = on_probed_floor,
                                         .on_done = on_probed,
                                         .context = engine,
                                         .marks = engine->targets[0].marks};
    store_read_target(engine->store, &refill->probe);
}

bool refill_is_due(const struct engine *engine) {
    const struct refill *refill = &engine->refill;
    if (refill->active || (refill->began_ns != 0 && clock_mono_ns() - refill->began_ns < REFILL_PAUSE_NS))
        return false;
    return memchr(refill->needed, true, engine->partitions) != NULL;
}

void refill_begin(struct engine *engine) {
    struct refill *refill = &engine->refill;
    if (!refill_is_due(engine)) {
        engine_read_logs(engine);
        return;
    }
    memset(refill->running, 0, engine->partitions * sizeof(*refill->running));
    refill->cursor = refill->states = 0;
    refill->next = 0;
    begin_next(engine);
}

// ---- Some states

static void on_state(struct read_call *call, ref_t item) {
    struct engine *engine = call->context;
    engine->refill.states++;
    if (engine->refill.running[partition_of(item, engine->partitions)])
        batch_touch(&engine->batch, NO_ENTRY, TOUCH_REWRITE, item);
}

static void on_scanned(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    if (engine->batch.failed)
        engine_end(engine, FAILED);
    else
        engine_project(engine);
}

void refill_scan(struct engine *engine) {
    store_scan_states(engine->store, next_call(engine, on_scanned), &engine->refill.cursor, on_state);
}

// ---- End: the whole scan has been written

bool refill_is_ending(const struct engine *engine) {
    return engine->refill.active && engine->refill.cursor == 0;
}

static void end_next(struct engine *engine);

static void on_ended(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    engine->refill.next++;
    end_next(engine);
}

static void end_next(struct engine *engine) {
    struct refill *refill = &engine->refill;
    // One that came to need it again during the scan keeps its plan forgotten.
    while (refill->next < engine->partitions && (!refill->running[refill->next] || refill->needed[refill->next]))
        refill->next++;
    if (refill->next == engine->partitions) {
        refill->active = false;
        log_info("rankings were refilled from %" PRIu64 " states", refill->states);
        engine_end(engine, NO_FAILURE);
        return;
    }
    store_refill_end(engine->store, next_call(engine, on_ended), refill->next, bytes_of(engine->plan_text));
}

void refill_end(struct engine *engine) {
    engine->refill.next = 0;
    end_next(engine);
}
