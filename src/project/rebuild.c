// SPDX-License-Identifier: MIT
// The rebuild of a partition's rankings: all scores of its items are written again from their states. It is needed when
// the definitions of the rankings have changed, or when a ranking with a cutoff has lost half of its items.
//
// A rebuild runs within the normal rounds: each round reads a page of states, and adds deltas without an entry
// for their items to its batch. The partition's plan is removed when the rebuild begins and stored when it ends, so a
// rebuild that is killed begins again.
//
// A ranking that is not in the settings is not kept up to date. When it comes back, its sets still have items that were
// deleted or changed meanwhile, and the scan does not find items without a state. So a partition records the names of
// the rankings that are kept up to date, and the sets of all others are removed before the states are scanned.
#include "base/clock.h"
#include "ops/log.h"
#include "project/engine.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// A scan reads every state, so it must be rare. A ranking at half its bound still fills every list.
#define REBUILD_PAUSE_NS (UINT64_C(60) * 1000 * 1000 * 1000)
#define REBUILD_AGAIN_NS (UINT64_C(5) * 1000 * 1000 * 1000) // after one that was given up

bool rebuild_init(struct engine *engine) {
    struct rebuild *rebuild = &engine->rebuild;
    rebuild->needed = calloc(engine->partitions, sizeof(bool));
    rebuild->running = calloc(engine->partitions, sizeof(bool));
    rebuild->has_others = calloc(engine->partitions, sizeof(bool));
    rebuild->kept = calloc(engine->partitions, sizeof(uint64_t));
    return rebuild->needed && rebuild->running && rebuild->has_others && rebuild->kept;
}

void rebuild_release(struct engine *engine) {
    free(engine->rebuild.needed);
    free(engine->rebuild.running);
    free(engine->rebuild.has_others);
    free(engine->rebuild.kept);
    scan_restart(&engine->rebuild.scan);
}

// ---- Names of rankings, each with a space after it. A ranking of the type window has the grain of its sets and their
// time zone in its name: with another one its sets were not kept up to date.

enum { TOKEN_SIZE = NAME_SIZE + CALENDAR_ZONE_SIZE + 4, NAMES_SIZE = (RANKINGS_MAX + 1) * TOKEN_SIZE };

static uint64_t all_rankings(const struct engine *engine) {
    return (UINT64_C(1) << engine->plan->count) - 1;
}

// GRAIN_HOUR: it has sets of all times.
static struct bytes make_token(struct bytes name, enum grain grain, char text[static TOKEN_SIZE]) {
    int len = snprintf(text, TOKEN_SIZE, "%.*s", (int)(name.len < NAME_SIZE ? name.len : NAME_SIZE - 1), name.at);
    if (grain != GRAIN_HOUR)
        len += snprintf(text + len, TOKEN_SIZE - (size_t)len, "@%d@%s", (int)grain, calendar_zone());
    return (struct bytes){text, (size_t)len};
}

static struct bytes token_of(const struct ranking *ranking, char text[static TOKEN_SIZE]) {
    bool by_period = ranking->kind == RANK_WINDOW;
    return make_token(ranking->name, by_period ? window_sets(ranking->window) : GRAIN_HOUR, text);
}

static uint64_t bit_of_token(const struct engine *engine, struct bytes token) {
    char text[TOKEN_SIZE];
    for (uint32_t i = 0; i < engine->plan->count; i++)
        if (bytes_eq(token_of(&engine->plan->rankings[i], text), token))
            return UINT64_C(1) << i;
    return 0;
}

static struct bytes write_names(const struct engine *engine, uint64_t rankings, char names[static NAMES_SIZE]) {
    size_t len = 0;
    for (uint32_t i = 0; i < engine->plan->count; i++) {
        char text[TOKEN_SIZE];
        struct bytes token = token_of(&engine->plan->rankings[i], text);
        if (rankings >> i & 1)
            len += (size_t)snprintf(names + len, NAMES_SIZE - len, "%.*s ", (int)token.len, token.at);
    }
    return (struct bytes){names, len};
}

// Older data has no names. Then all rankings of the plan count as kept up to date, and there may be others.
static void note_rankings(struct engine *engine, uint32_t partition, struct bytes names) {
    uint64_t kept = names.len ? 0 : all_rankings(engine);
    bool has_others = names.len == 0;
    while (names.len) {
        const char *blank = memchr(names.at, ' ', names.len);
        size_t len = blank ? (size_t)(blank - names.at) : names.len;
        uint64_t bit = bit_of_token(engine, (struct bytes){names.at, len});
        kept |= bit;
        has_others |= bit == 0;
        size_t taken = len + (blank != NULL);
        names = (struct bytes){names.at + taken, names.len - taken};
    }
    engine->rebuild.kept[partition] = kept;
    engine->rebuild.has_others[partition] = has_others;
}

// While no plan is complete there, the one that has begun counts: two projectors with different plans may both be at
// work, as one of them does not know yet of the other.
bool rebuild_owns(const struct engine *engine, const struct partition_read *read) {
    const struct rebuild *rebuild = &engine->rebuild;
    struct bytes own = bytes_of(engine->plan->fingerprint);
    uint32_t partition = read->partition;
    bool ours = engine->type->projection != PROJECTION_SUMS || bytes_eq(read->plan, own);
    bool at_work = rebuild->needed[partition] || (rebuild->active && rebuild->running[partition]);
    bool begun = read->begun.len == 0 || bytes_eq(read->begun, own);
    return ours || (at_work && read->plan.len == 0 && begun);
}

void rebuild_note_plan(struct engine *engine, uint32_t partition, struct bytes plan, struct bytes rankings) {
    bool has_rankings = engine->type->projection == PROJECTION_SUMS;
    engine->rebuild.needed[partition] = has_rankings && !bytes_eq(plan, bytes_of(engine->plan->fingerprint));
    note_rankings(engine, partition, rankings);
}

// ---- Begin: the partitions that need it, one after another

bool rebuild_is_due(const struct engine *engine) {
    const struct rebuild *rebuild = &engine->rebuild;
    if (rebuild->active || (rebuild->began_ns != 0 && clock_mono_ns() - rebuild->began_ns < REBUILD_PAUSE_NS))
        return false;
    for (uint32_t i = 0; i < engine->partitions; i++)
        if (rebuild->needed[i] && !engine->behind[i])
            return true;
    return false;
}

void rebuild_leave(struct engine *engine, uint32_t partition) {
    struct rebuild *rebuild = &engine->rebuild;
    rebuild->needed[partition] |= rebuild->active && rebuild->running[partition];
    rebuild->running[partition] = false;
}

// In a Cluster the scan reads the masters that answer first. The rebuild ends for those that it has read; the others
// wait for the next one.
void rebuild_cut(struct engine *engine) {
    struct rebuild *rebuild = &engine->rebuild;
    uint32_t left = 0;
    rebuild->active = false;
    for (uint32_t i = 0; i < engine->partitions; i++) {
        bool cut = rebuild->running[i] && !scan_is_done(&rebuild->scan, i);
        rebuild->needed[i] |= cut;
        rebuild->running[i] &= !cut;
        rebuild->active |= rebuild->running[i];
        left += cut;
    }
    log_warn("rankings of %u partitions are not written again now: their states cannot be read", left);
    scan_restart(&rebuild->scan);
    rebuild->sweeping = false;
    if (!rebuild->active)
        rebuild->began_ns = clock_mono_ns() - REBUILD_PAUSE_NS + REBUILD_AGAIN_NS;
}

enum step rebuild_first(struct engine *engine) {
    struct rebuild *rebuild = &engine->rebuild;
    if (!rebuild_is_due(engine))
        return STEP_READ_LOGS;
    memset(rebuild->running, 0, engine->partitions * sizeof(*rebuild->running));
    scan_restart(&rebuild->scan);
    rebuild->states = 0;
    rebuild->kept_by_all = all_rankings(engine);
    rebuild->sweeping = false;
    rebuild->next = 0;
    return STEP_REBUILD_PROBE;
}

static void on_probed(struct partition_read *call, enum outcome outcome) {
    engine_answered(call->context, outcome);
}

static enum step all_begun(struct rebuild *rebuild) {
    if (rebuild->active) {
        rebuild->began_ns = clock_mono_ns();
        log_info("rankings are being refilled");
    }
    return STEP_READ_LOGS;
}

enum step begin_rebuild_probe(struct engine *engine) {
    struct rebuild *rebuild = &engine->rebuild;
    while (rebuild->next < engine->partitions && (!rebuild->needed[rebuild->next] || engine->behind[rebuild->next]))
        rebuild->next++;
    if (rebuild->next == engine->partitions)
        return all_begun(rebuild);
    rebuild->probe = (struct partition_read){.projection = engine->type->projection,
                                             .partition = rebuild->next,
                                             .on_done = on_probed,
                                             .context = engine,
                                             .applied = engine->write.applied};
    store_read_partition(engine->store, &rebuild->probe);
    return STEP_WAITS;
}

// A partition without a version has no states: nothing was ever projected to it.
enum step end_rebuild_probe(struct engine *engine) {
    return engine->rebuild.probe.version == 0 ? STEP_REBUILD_EMPTY : STEP_REBUILD_BEGIN;
}

enum step begin_rebuild_begin(struct engine *engine) {
    struct rebuild *rebuild = &engine->rebuild;
    char names[NAMES_SIZE];
    store_rebuild_begin(engine->store, engine_call(engine), rebuild->next, bytes_of(engine->plan->fingerprint),
                        write_names(engine, rebuild->kept[rebuild->next], names));
    return STEP_WAITS;
}

enum step end_rebuild_begin(struct engine *engine) {
    struct rebuild *rebuild = &engine->rebuild;
    rebuild->needed[rebuild->next] = false;
    rebuild->running[rebuild->next] = true;
    rebuild->active = true;
    rebuild->kept_by_all &= rebuild->kept[rebuild->next];
    rebuild->sweeping |= rebuild->has_others[rebuild->next] || rebuild->kept_by_all != all_rankings(engine);
    rebuild->next++;
    return STEP_REBUILD_PROBE;
}

static void store_plan_of(struct engine *engine) {
    char names[NAMES_SIZE];
    store_rebuild_end(engine->store, engine_call(engine), engine->rebuild.next, bytes_of(engine->plan->fingerprint),
                      write_names(engine, all_rankings(engine), names));
}

static void note_stored_plan(struct engine *engine) {
    struct rebuild *rebuild = &engine->rebuild;
    rebuild->kept[rebuild->next] = all_rankings(engine);
    rebuild->has_others[rebuild->next] = false;
    rebuild->next++;
}

enum step begin_rebuild_empty(struct engine *engine) {
    store_plan_of(engine);
    return STEP_WAITS;
}

enum step end_rebuild_empty(struct engine *engine) {
    engine->rebuild.needed[engine->rebuild.next] = false;
    note_stored_plan(engine);
    return STEP_REBUILD_PROBE;
}

// ---- Removing the sets that were not kept up to date

// A name with a dot is never in settings. Of such names only the popularity is a ranking, and it is always kept up to
// date. The sets of the zone's periods count as those of the present zone: with another one all rankings with periods
// were not kept.
static bool is_stale(struct read_call *call, uint32_t partition, struct bytes name, struct bytes period) {
    const struct engine *engine = call->context;
    char text[TOKEN_SIZE];
    struct period of = {.grain = GRAIN_HOUR};
    if (!engine->rebuild.running[partition] || name.len == 0 || name.at[0] == '.')
        return false;
    bool legible = period.len == 0 || calendar_parse(period, &of.grain, &of.number);
    return !legible || !(engine->rebuild.kept_by_all & bit_of_token(engine, make_token(name, of.grain, text)));
}

enum step begin_sweep_rankings(struct engine *engine) {
    store_sweep_rankings(engine->store, engine_call(engine), &engine->rebuild.scan, is_stale);
    return STEP_WAITS;
}

enum step end_sweep_rankings(struct engine *engine) {
    engine->rebuild.sweeping = engine->rebuild.scan.goes_on;
    return engine->rebuild.sweeping ? write_first(engine) : STEP_SCAN_STATES;
}

// ---- Scanning states

static void on_state(struct read_call *call, ref_t item) {
    struct engine *engine = call->context;
    engine->rebuild.states++;
    if (engine->rebuild.running[partition_of(item, engine->partitions)])
        batch_add_delta(&engine->batch, NO_ENTRY, DELTA_REWRITE, item);
}

enum step begin_scan_states(struct engine *engine) {
    store_scan_states(engine->store, engine_call(engine), &engine->rebuild.scan, on_state);
    return STEP_WAITS;
}

enum step end_scan_states(struct engine *engine) {
    return engine->batch.failed ? ROUND_FAILED : write_first(engine);
}

enum step rebuild_scan(struct engine *engine) {
    return engine->rebuild.sweeping ? STEP_SWEEP_RANKINGS : STEP_SCAN_STATES;
}

// ---- End: the whole scan has been written

enum step rebuild_last(struct engine *engine) {
    struct rebuild *rebuild = &engine->rebuild;
    if (!rebuild->active || rebuild->sweeping || rebuild->scan.goes_on)
        return period_ends_first(engine);
    rebuild->next = 0;
    return STEP_REBUILD_DONE;
}

enum step begin_rebuild_done(struct engine *engine) {
    struct rebuild *rebuild = &engine->rebuild;
    // A partition that needs a rebuild again since the scan began gets no plan.
    while (rebuild->next < engine->partitions && (!rebuild->running[rebuild->next] || rebuild->needed[rebuild->next]))
        rebuild->next++;
    if (rebuild->next == engine->partitions) {
        rebuild->active = false;
        log_info("rankings were refilled from %" PRIu64 " states", rebuild->states);
        return ROUND_DONE;
    }
    store_plan_of(engine);
    return STEP_WAITS;
}

enum step end_rebuild_done(struct engine *engine) {
    note_stored_plan(engine);
    return STEP_REBUILD_DONE;
}
