// SPDX-License-Identifier: MIT
// Once a day, and when it starts, the engine of the sums ends the sets of rankings whose period is over
// (store/period_sets.h), partition by partition, after a round. A partition that fails is tried again a minute later:
// nothing waits for it, because what is no longer readable is no longer answered.
#include "base/clock.h"
#include "ops/log.h"
#include "project/engine.h"

#define PAUSE_NS (UINT64_C(60) * 1000 * 1000 * 1000)

static int32_t today(void) {
    return calendar_number(GRAIN_DAY, clock_now_ms());
}

enum step period_ends_first(struct engine *engine) {
    struct period_ends *ends = &engine->period_ends;
    if (engine->type->projection != PROJECTION_SUMS || ends->day == today() || clock_mono_ns() < ends->next_ns)
        return ROUND_DONE;
    ends->next_ns = clock_mono_ns() + PAUSE_NS;
    ends->partition = ends->lost = 0;
    ends->failed = false;
    return STEP_FIND_DUE;
}

enum step period_ends_failed(struct engine *engine) {
    engine->period_ends.failed = true;
    engine->period_ends.partition++;
    return STEP_FIND_DUE;
}

static void on_due(struct read_call *call, struct bytes key) {
    struct period_ends *ends = &((struct engine *)call->context)->period_ends;
    if (ends->count == DUE_AT_ONCE || key.len > KEY_TEXT_MAX)
        return;
    struct key *copy = &ends->due[ends->count++].key;
    memcpy(copy->at, key.at, key.len);
    copy->len = (uint16_t)key.len;
    copy->place = (uint16_t)ends->partition;
}

enum step begin_find_due(struct engine *engine) {
    struct period_ends *ends = &engine->period_ends;
    for (; ends->partition < engine->partitions && engine->behind[ends->partition]; ends->partition++)
        ends->failed = true;
    if (ends->partition == engine->partitions) {
        ends->day = ends->failed ? 0 : today();
        if (ends->lost)
            log_warn("the clock was set back: the rankings of %u partitions are refilled", ends->lost);
        return ROUND_DONE;
    }
    ends->count = 0;
    store_read_due(engine->store, engine_call(engine), ends->partition, on_due);
    return STEP_WAITS;
}

enum step end_find_due(struct engine *engine) {
    (void)engine;
    return STEP_END_PERIODS;
}

static void on_lost(struct read_call *call) {
    struct engine *engine = call->context;
    engine->rebuild.needed[engine->period_ends.partition] = true;
    engine->period_ends.lost++;
}

enum step begin_end_periods(struct engine *engine) {
    struct period_ends *ends = &engine->period_ends;
    store_end_periods(engine->store, engine_call(engine), ends->partition, ends->due, ends->count, on_lost);
    return STEP_WAITS;
}

// There may be more of a partition that had many.
enum step end_end_periods(struct engine *engine) {
    engine->period_ends.partition += engine->period_ends.count < DUE_AT_ONCE;
    return STEP_FIND_DUE;
}
