// SPDX-License-Identifier: MIT
// The pace of the two engines. Sums run every projection_interval, neighbours every neighbour_interval or when somebody
// waits. Both run again at once while their logs are full, and after a pause when a round has failed.
//
// An engine whose projection another machine works (membership.h) sleeps. While the other one is awake it reads how far
// that machine is once a second, because logs are trimmed up to what both projections have passed.
#include "project/projector.h"
#include "base/clock.h"
#include "base/keyed.h"
#include "ops/log.h"
#include "project/behind.h"
#include "project/engine.h"
#include "project/failpoint.h"
#include "project/membership.h"
#include "project/trimmer.h"
#include <stdlib.h>
#include <uv.h>

enum {
    NOT_NOW_MS = 20,     // while the store is not ready
    ASLEEP_MS = 100,     // an engine that sleeps asks so often whether it is to wake,
    LOOK_MS = 1000,      // and looks at the offsets of the one at work so often
    UNWELL_MS = 3000,    // so long a partition may be left behind before another machine gets its turn
    RETRY_FIRST_MS = 50, // after a failure; doubled each time
    RETRY_MAX_MS = 1000,
    // The pause of one that was overtaken, doubled each time. It begins short, because two projectors may have
    // overtaken each other.
    STAND_BACK_FIRST_MS = 200,
    STAND_BACK_MAX_MS = 3200,
    STAND_BACK_OVER_MS = 30000, // after this long without being overtaken, the pause is short again
    SUMS_LEAST_MS = 1,          // between two rounds, with projection_interval 0
    IDLE_MS = 1000,             // an engine that waits for a poke looks by itself this often
};

struct pace {
    struct projector *projector;
    struct engine engine;
    uv_timer_t timer;
    uint64_t interval_ms;
    uint32_t retry_ms; // 0: the last round went well
    uint32_t stand_back_ms;
    uint64_t overtaken_ms; // the last time, by the loop's clock
    uint64_t looked_ms;    // the last time at another's offsets
    bool asleep;           // another machine works it
    bool poked;            // begin the next round at once
    bool may_begin;        // it waits for the timer only because there was nothing to do
};

struct projector {
    uv_loop_t *loop;
    const struct settings *settings;
    const struct secret_key *hash_key;
    struct store *store;
    struct plan plan;
    struct pace paces[PROJECTION_COUNT];
    struct membership membership;
    struct behind behind;
    struct trimmer trimmer;
    struct log_id *passed; // per log: what both projections have passed
    bool stopping;
    int open_timers;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

static void on_timer(uv_timer_t *timer);

static void wait_for(struct pace *pace, uint64_t ms, bool may_begin) {
    pace->may_begin = may_begin;
    uv_timer_start(&pace->timer, on_timer, ms, 0);
}

bool projector_works(const struct projector *projector, enum projection projection) {
    return membership_works(&projector->membership, projection);
}

static bool any_awake(const struct projector *projector) {
    for (int i = 0; i < PROJECTION_COUNT; i++)
        if (!projector->paces[i].asleep)
            return true;
    return false;
}

// What was remembered is of no use afterwards: another machine writes meanwhile.
static void fall_asleep_or_wake(struct pace *pace, bool works) {
    if (works != pace->asleep)
        return;
    pace->asleep = !works;
    pace->stand_back_ms = 0;
    pace->looked_ms = 0;
    engine_forget(&pace->engine);
    if (!any_awake(pace->projector))
        behind_clear(&pace->projector->behind);
}

static bool is_to_look(const struct pace *pace) {
    uint64_t now_ms = uv_now(pace->projector->loop);
    return any_awake(pace->projector) && (!pace->looked_ms || now_ms - pace->looked_ms >= LOOK_MS);
}

// Looks how far the other machine is, or waits. The lag of what it works is told there.
static void sleep_on(struct pace *pace) {
    struct projector *projector = pace->projector;
    enum projection projection = pace->engine.type->projection;
    if (membership_leaves(&projector->membership, projection))
        metric_set(pace->engine.type->done_to, (uint64_t)clock_now_ms());
    if (!store_ready(projector->store, NULL) || !is_to_look(pace)) {
        wait_for(pace, ASLEEP_MS, false);
        return;
    }
    pace->looked_ms = uv_now(projector->loop);
    engine_round(&pace->engine, true);
}

static void on_timer(uv_timer_t *timer) {
    struct pace *pace = timer->data;
    struct projector *projector = pace->projector;
    fall_asleep_or_wake(pace, projector_works(projector, pace->engine.type->projection));
    if (pace->asleep) {
        sleep_on(pace);
        return;
    }
    if (!store_ready(projector->store, NULL)) {
        wait_for(pace, NOT_NOW_MS, false);
        return;
    }
    pace->poked = pace->may_begin = false;
    behind_ask(&projector->behind);
    engine_round(&pace->engine, false);
}

// Begins the next round without waiting for the interval.
static void poke(struct pace *pace) {
    if (pace->engine.busy || !pace->may_begin) {
        pace->poked = true;
        return;
    }
    pace->may_begin = false;
    uv_timer_start(&pace->timer, on_timer, 0, 0);
}

// Somebody waits until the entries in the logs are projected.
static void on_wake(void *context) {
    struct projector *projector = context;
    for (int i = 0; i < PROJECTION_COUNT; i++)
        poke(&projector->paces[i]);
}

static void release(struct projector *projector) {
    behind_release(&projector->behind);
    trimmer_release(&projector->trimmer);
    free(projector->passed);
    free(projector);
}

// ---- Stopping

static void on_left(void *context) {
    struct projector *projector = context;
    void (*on_stopped)(void *context) = projector->on_stopped;
    void *stopped_context = projector->stopped_context;
    for (int i = 0; i < PROJECTION_COUNT; i++)
        engine_release(&projector->paces[i].engine);
    release(projector);
    on_stopped(stopped_context);
}

static void on_nothing_asked(void *context) {
    struct projector *projector = context;
    membership_stop(&projector->membership, on_left, projector);
}

static void on_closed(uv_handle_t *handle) {
    struct pace *pace = handle->data;
    struct projector *projector = pace->projector;
    if (--projector->open_timers == 0)
        behind_stop(&projector->behind, on_nothing_asked, projector);
}

static void close_pace(struct pace *pace) {
    uv_close((uv_handle_t *)&pace->timer, on_closed);
}

void projector_stop(struct projector *projector, void (*on_stopped)(void *context), void *context) {
    projector->stopping = true;
    store_on_wake(projector->store, NULL, NULL);
    projector->on_stopped = on_stopped;
    projector->stopped_context = context;
    for (int i = 0; i < PROJECTION_COUNT; i++) {
        struct pace *pace = &projector->paces[i];
        pace->engine.stopping = true;
        if (!pace->engine.busy)
            close_pace(pace);
    }
}

// ---- Calls from the engines

static void note_done(struct engine *engine) {
    double since_ms = engine->pending_since_ms, now_ms = (double)clock_now_ms();
    metric_set(engine->type->done_to, (uint64_t)(since_ms > 0 && since_ms < now_ms ? since_ms : now_ms));
}

// Whether the batch has entries that the other projection has not passed. Whoever waits wakes both, and either may be
// first.
static bool is_ahead_of(const struct batch *batch, const struct engine *other) {
    for (uint32_t i = 0; i < other->partitions; i++)
        if (log_id_order(batch->last[i], other->offset[i]) > 0)
            return true;
    return false;
}

// The sums have read entries: pokes the neighbours when somebody waits for them.
static void on_read(struct engine *engine) {
    struct pace *pace = engine->context;
    struct projector *projector = pace->projector;
    struct pace *neighbours = &projector->paces[PROJECTION_NEIGHBOURS];
    note_done(engine);
    if (pace == neighbours || neighbours->asleep)
        return;
    if (neighbours->engine.pending_since_ms == 0 && is_ahead_of(&engine->batch, &neighbours->engine))
        neighbours->engine.pending_since_ms = engine->batch.oldest_ms;
    note_done(&neighbours->engine);
    if (engine->batch.flush || projector->settings->neighbour_interval_ms == 0)
        poke(neighbours);
}

static struct log_id least(struct log_id a, struct log_id b) {
    return log_id_order(a, b) < 0 ? a : b;
}

// Fills `below` with what both projections have passed, as far as this process knows, for as long as it is kept.
static bool trim_below(struct engine *engine, struct log_id *below) {
    struct projector *projector = ((struct pace *)engine->context)->projector;
    for (int i = 0; i < PROJECTION_COUNT; i++)
        if (!engine_is_current(&projector->paces[i].engine))
            return false; // what it has stored is of other lives: not to be noted in these (trimmer.h)
    for (uint32_t i = 0; i < engine->partitions; i++)
        projector->passed[i] = least(projector->paces[PROJECTION_SUMS].engine.stored[i],
                                     projector->paces[PROJECTION_NEIGHBOURS].engine.stored[i]);
    return trimmer_below(&projector->trimmer, clock_mono_ns(), store_generation(projector->store), projector->passed,
                         below);
}

static uint32_t random_below(uint32_t bound) {
    uint32_t value;
    random_fill(&value, sizeof(value));
    return value % bound;
}

static void stand_back(struct pace *pace) {
    uint64_t now_ms = uv_now(pace->projector->loop);
    bool again = pace->stand_back_ms != 0 && now_ms - pace->overtaken_ms < STAND_BACK_OVER_MS;
    pace->stand_back_ms = again ? 2 * pace->stand_back_ms : STAND_BACK_FIRST_MS;
    if (pace->stand_back_ms > STAND_BACK_MAX_MS)
        pace->stand_back_ms = STAND_BACK_MAX_MS;
    pace->overtaken_ms = now_ms;
    log_info("%s: another projector is at work, standing back", projection_name(pace->engine.type->projection));
    membership_ask_now(&pace->projector->membership);
    wait_for(pace, pace->stand_back_ms + random_below(pace->stand_back_ms), false);
}

static void retry(struct pace *pace) {
    if (pace->retry_ms == 0)
        log_warn("%s: the store does not answer as it should, trying again",
                 projection_name(pace->engine.type->projection));
    pace->retry_ms = pace->retry_ms == 0 ? RETRY_FIRST_MS : 2 * pace->retry_ms;
    if (pace->retry_ms > RETRY_MAX_MS)
        pace->retry_ms = RETRY_MAX_MS;
    wait_for(pace, pace->retry_ms / 2 + random_below(pace->retry_ms), false);
}

static void after_failure(struct pace *pace, enum step end) {
    struct projector *projector = pace->projector;
    trimmer_doubt(&projector->trimmer);
    if (end == ROUND_OVERTAKEN)
        stand_back(pace);
    else
        retry(pace);
}

// When the sums have found nothing left in the logs, the neighbours have nothing left either.
static void note_both(struct pace *pace) {
    struct pace *neighbours = &pace->projector->paces[PROJECTION_NEIGHBOURS];
    note_done(&pace->engine);
    if (!neighbours->asleep && neighbours->engine.pending_since_ms == 0 && neighbours->retry_ms == 0)
        note_done(&neighbours->engine);
}

// Without the sums nobody pokes the neighbours when entries come.
static uint64_t interval_of(const struct pace *pace) {
    const struct projector *projector = pace->projector;
    const struct pace *sums = &projector->paces[PROJECTION_SUMS];
    return sums->asleep && projector->settings->neighbour_interval_ms == 0 ? sums->interval_ms : pace->interval_ms;
}

static void note_trouble(struct pace *pace) {
    struct projector *projector = pace->projector;
    double since_ms = behind_since_ms(&projector->behind);
    bool misses = since_ms > 0 && (double)clock_now_ms() - since_ms > UNWELL_MS;
    if (!pace->asleep && (misses || pace->retry_ms >= RETRY_MAX_MS))
        membership_unwell(&projector->membership);
}

static void on_end(struct engine *engine, enum step end) {
    struct pace *pace = engine->context;
    note_trouble(pace);
    if (end == ROUND_DONE && !pace->asleep)
        note_both(pace);
    if (pace->projector->stopping) {
        close_pace(pace);
        return;
    }
    if (pace->asleep) {
        wait_for(pace, ASLEEP_MS, false);
        return;
    }
    if (end != ROUND_DONE) {
        after_failure(pace, end);
        return;
    }
    if (pace->retry_ms != 0)
        log_info("%s: the store answers again", projection_name(engine->type->projection));
    pace->retry_ms = 0;
    behind_well(&pace->projector->behind);
    wait_for(pace, engine_wants_more(engine) || pace->poked ? 0 : interval_of(pace), true);
}

// ---- Starting

static bool init_pace(struct projector *projector, enum projection projection) {
    struct pace *pace = &projector->paces[projection];
    pace->projector = projector;
    pace->engine = (struct engine){
        .type = projection == PROJECTION_SUMS ? &sums_projection : &neighbours_projection,
        .hash_key = projector->hash_key,
        .plan = &projector->plan,
        .store = projector->store,
        .partitions = keys_partitions(),
        .left_behind = &projector->behind,
        .log_kept_ms = projector->settings->log_kept_ms,
        .cache_bytes = projection == PROJECTION_SUMS ? (size_t)projector->settings->projector_cache : 0,
        .on_read = on_read,
        .trim_below = trim_below,
        .on_end = on_end,
        .context = pace,
    };
    return engine_init(&pace->engine);
}

static void start_pace(struct pace *pace, int64_t interval_ms, int64_t least_ms) {
    pace->interval_ms = (uint64_t)(interval_ms > 0 ? interval_ms : least_ms);
    uv_timer_init(pace->projector->loop, &pace->timer);
    pace->timer.data = pace;
    pace->asleep = true;
    pace->projector->open_timers++;
    wait_for(pace, 0, false);
}

static bool init(struct projector *projector) {
    struct pace *sums = &projector->paces[PROJECTION_SUMS];
    uint32_t partitions = keys_partitions();
    projector->passed = calloc(partitions, sizeof(*projector->passed));
    bool fits = projector->passed != NULL;
    fits &= behind_init(&projector->behind, projector->store, partitions);
    fits &= trimmer_init(&projector->trimmer, partitions, projector->settings->log_kept_ms);
    if (!fits || !plan_make(projector->settings, &projector->plan) || !init_pace(projector, PROJECTION_SUMS))
        return false;
    if (init_pace(projector, PROJECTION_NEIGHBOURS))
        return true;
    engine_release(&sums->engine);
    return false;
}

struct projector *projector_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                                  struct store *store) {
    failpoints_read();
    struct projector *projector = calloc(1, sizeof(*projector));
    if (!projector)
        return NULL;
    projector->loop = loop;
    projector->settings = settings;
    projector->hash_key = hash_key;
    projector->store = store;
    if (!init(projector)) {
        release(projector);
        return NULL;
    }
    store_guard_logs(store);
    membership_start(&projector->membership, loop, store, bytes_of(projector->plan.fingerprint));
    start_pace(&projector->paces[PROJECTION_SUMS], settings->projection_interval_ms, SUMS_LEAST_MS);
    start_pace(&projector->paces[PROJECTION_NEIGHBOURS], settings->neighbour_interval_ms, IDLE_MS);
    store_on_wake(store, on_wake, projector);
    return projector;
}
