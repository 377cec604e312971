// SPDX-License-Identifier: MIT
// Refilling: when the definitions of the rankings have changed, or one that was cut has lost half of its entries, all
// places of a partition's items are written anew from their states.
//
// It goes along with the normal steps: each reads some states by a cursor, and their items are touched without an event
// in the same batch. A partition's plan is forgotten when it begins and stored when it ends, so that one that was
// killed in the middle begins anew.
//
// A ranking that is out of the configuration is not kept up to date: what was deleted, moved or taken back meanwhile
// would still be in its sets when it comes back, and items without a state are never scanned. So a partition remembers
// the names of the rankings that are kept up to date; the sets of all others are removed before the states are scanned.
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
    struct refill *refill = &engine->refill;
    refill->needed = calloc(engine->partitions, sizeof(bool));
    refill->running = calloc(engine->partitions, sizeof(bool));
    refill->has_others = calloc(engine->partitions, sizeof(bool));
    refill->kept = calloc(engine->partitions, sizeof(uint64_t));
    describe_plan(engine);
    return refill->needed && refill->running && refill->has_others && refill->kept;
}

void refill_release(struct engine *engine) {
    free(engine->refill.needed);
    free(engine->refill.running);
    free(engine->refill.has_others);
    free(engine->refill.kept);
}

// ---- Names of rankings, each with a blank behind it

enum { NAMES_SIZE = (MAX_RANKINGS + 1) * (NAME_SIZE + 1) };

static uint64_t all_rankings(const struct engine *engine) {
    return (UINT64_C(1) << engine->plan->count) - 1;
}

static uint64_t bit_of_ranking(const struct engine *engine, struct bytes name) {
    for (uint32_t i = 0; i < engine->plan->count; i++)
        if (bytes_eq(engine->plan->rankings[i].name, name))
            return UINT64_C(1) << i;
    return 0;
}

static struct bytes write_names(const struct engine *engine, uint64_t rankings, char names[static NAMES_SIZE]) {
    size_t len = 0;
    for (uint32_t i = 0; i < engine->plan->count; i++) {
        struct bytes name = engine->plan->rankings[i].name;
        if (rankings >> i & 1)
            len += (size_t)snprintf(names + len, NAMES_SIZE - len, "%.*s ", (int)name.len, name.at);
    }
    return (struct bytes){names, len};
}

// Data of before names none: whatever the plan has is taken for kept, and there may be others.
static void note_rankings(struct engine *engine, uint32_t partition, struct bytes names) {
    uint64_t kept = names.len ? 0 : all_rankings(engine);
    bool has_others = names.len == 0;
    while (names.len) {
        const char *blank = memchr(names.at, ' ', names.len);
        size_t len = blank ? (size_t)(blank - names.at) : names.len;
        uint64_t bit = bit_of_ranking(engine, (struct bytes){names.at, len});
        kept |= bit;
        has_others |= bit == 0;
        size_t taken = len + (blank != NULL);
        names = (struct bytes){names.at + taken, names.len - taken};
    }
    engine->refill.kept[partition] = kept;
    engine->refill.has_others[partition] = has_others;
}

bool refill_owns(const struct engine *engine, uint32_t partition, struct bytes plan) {
    const struct refill *refill = &engine->refill;
    bool ours = engine->type->projection != PROJECTION_SUMS || bytes_eq(plan, bytes_of(engine->plan_text));
    bool at_work = refill->needed[partition] || (refill->active && refill->running[partition]);
    return ours || (at_work && plan.len == 0);
}

void refill_note_plan(struct engine *engine, uint32_t partition, struct bytes plan, struct bytes rankings) {
    bool has_rankings = engine->type->projection == PROJECTION_SUMS;
    engine->refill.needed[partition] = has_rankings && !bytes_eq(plan, bytes_of(engine->plan_text));
    note_rankings(engine, partition, rankings);
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
    refill->kept_by_all &= refill->kept[refill->next];
    refill->sweeping |= refill->has_others[refill->next] || refill->kept_by_all != all_rankings(engine);
    refill->next++;
    begin_next(engine);
}

static void on_new_ended(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    struct refill *refill = &engine->refill;
    refill->needed[refill->next] = refill->has_others[refill->next] = false;
    refill->kept[refill->next++] = all_rankings(engine);
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
    char names[NAMES_SIZE];
    if (!goes_on(engine, outcome))
        return;
    if (call->version == 0)
        store_refill_end(engine->store, next_call(engine, on_new_ended), call->partition, bytes_of(engine->plan_text),
                         write_names(engine, all_rankings(engine), names));
    else
        store_refill_begin(engine->store, next_call(engine, on_begun), call->partition,
                           write_names(engine, engine->refill.kept[call->partition], names));
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
    refill->kept_by_all = all_rankings(engine);
    refill->sweeping = false;
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

static void scan_states(struct engine *engine) {
    store_scan_states(engine->store, next_call(engine, on_scanned), &engine->refill.cursor, on_state);
}

// ---- Before them: the sets that were not kept up to date

// A name with a dot is no setting's; of those only the popularity is a ranking, and it is always kept.
static bool is_stale(struct read_call *call, uint32_t partition, struct bytes name) {
    const struct engine *engine = call->context;
    return engine->refill.running[partition] && name.len && name.at[0] != '.' &&
           !(engine->refill.kept_by_all & bit_of_ranking(engine, name));
}

static void on_swept(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (!goes_on(engine, outcome))
        return;
    engine->refill.sweeping = engine->refill.cursor != 0;
    if (engine->refill.sweeping)
        engine_project(engine);
    else
        scan_states(engine);
}

void refill_scan(struct engine *engine) {
    if (engine->refill.sweeping)
        store_sweep_rankings(engine->store, next_call(engine, on_swept), &engine->refill.cursor, is_stale);
    else
        scan_states(engine);
}

// ---- End: the whole scan has been written

bool refill_is_ending(const struct engine *engine) {
    return engine->refill.active && !engine->refill.sweeping && engine->refill.cursor == 0;
}

static void end_next(struct engine *engine);

static void on_ended(struct read_call *call, enum outcome outcome) {
    struct engine *engine = call->context;
    struct refill *refill = &engine->refill;
    if (!goes_on(engine, outcome))
        return;
    refill->kept[refill->next] = all_rankings(engine);
    refill->has_others[refill->next] = false;
    refill->next++;
    end_next(engine);
}

static void end_next(struct engine *engine) {
    struct refill *refill = &engine->refill;
    char names[NAMES_SIZE];
    // One that came to need it again during the scan keeps its plan forgotten.
    while (refill->next < engine->partitions && (!refill->running[refill->next] || refill->needed[refill->next]))
        refill->next++;
    if (refill->next == engine->partitions) {
        refill->active = false;
        log_info("rankings were refilled from %" PRIu64 " states", refill->states);
        engine_end(engine, NO_FAILURE);
        return;
    }
    store_refill_end(engine->store, next_call(engine, on_ended), refill->next, bytes_of(engine->plan_text),
                     write_names(engine, all_rankings(engine), names));
}

void refill_end(struct engine *engine) {
    engine->refill.next = 0;
    end_next(engine);
}
