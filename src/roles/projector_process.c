// SPDX-License-Identifier: MIT
// The projector's process: a store and a projector on one loop, until SIGTERM.
#include "ops/generation.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "project/corrector.h"
#include "project/projector.h"
#include "project/sweeper.h"
#include "roles/roles.h"
#include "store/operator_reads.h"
#include <signal.h>
#include <uv.h>

enum { EVICTED_PAUSE_MS = 60000 };
enum { LOG_LOOKS = 3 }; // every third look is at the logs, too
enum { LOOK_MS = 5000, WARNED_PERCENT = 80, WELL_BELOW_PERCENT = 75 };

struct projector_process {
    const struct settings *settings;
    uv_loop_t loop;
    struct store *store;
    struct projector *projector;
    struct corrector *corrector;
    struct sweeper *sweeper;
    uv_signal_t signals[2];
    uv_timer_t look; // at what Redis uses
    struct read_call look_call, logs_call;
    uint32_t looks;
    bool looking, logs_looking, near_limit, large_logs, evicted_known, append_only;
    uint64_t evicted, evicted_unsaid, evicted_said_ms;
    bool stopping;
    int exit_code;
};

static void on_store_stopped(void *context) {
    (void)context;
}

static void on_projector_stopped(void *context) {
    struct projector_process *process = context;
    store_stop(process->store, on_store_stopped, process);
}

static void on_corrector_stopped(void *context) {
    struct projector_process *process = context;
    projector_stop(process->projector, on_projector_stopped, process);
}

static void on_sweeper_stopped(void *context) {
    struct projector_process *process = context;
    corrector_stop(process->corrector, on_corrector_stopped, process);
}

static void stop(struct projector_process *process) {
    if (process->stopping)
        return;
    process->stopping = true;
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&process->signals[i], NULL);
    uv_close((uv_handle_t *)&process->look, NULL);
    sweeper_stop(process->sweeper, on_sweeper_stopped, process);
}

static void on_signal(uv_signal_t *signal, int number) {
    if (number == SIGTERM) // SIGINT of a terminal reaches the whole group: the supervisor decides
        stop(signal->data);
}

static void on_refused(void *context, const char *line) {
    struct projector_process *process = context;
    log_error("%s", line);
    process->exit_code = EXIT_REFUSED;
    stop(process);
}

// ---- What Redis uses, for the memory bill

// Warns once near the limit, and again only after the use was well below it.
static void warn_of_limit(struct projector_process *process, uint64_t used, uint64_t limit, bool one_master) {
    if (!process->near_limit && used >= limit / 100 * WARNED_PERCENT)
        log_warn("redis: %llu of %llu MiB are used%s, over %d %% of the limit; at the limit votes and views are 503",
                 (unsigned long long)used >> 20, (unsigned long long)limit >> 20,
                 one_master ? "" : " on the fullest master", WARNED_PERCENT);
    if (used >= limit / 100 * WARNED_PERCENT)
        process->near_limit = true;
    else if (used < limit / 100 * WELL_BELOW_PERCENT)
        process->near_limit = false;
}

// Keys that were evicted before the first look count too, unless another process of this service has counted them. A
// restarted Redis begins at 0; among several masters it can't be told how many of the sum are new then.
static void count_evicted(struct projector_process *process, uint64_t evicted, bool one_master) {
    uint64_t counted = process->evicted_known ? process->evicted : metric_total(METRIC_REDIS_EVICTED);
    uint64_t more = evicted >= counted ? evicted - counted : process->evicted_known && one_master ? evicted : 0;
    process->evicted = evicted;
    process->evicted_known = true;
    if (!more)
        return;
    metric_add(METRIC_REDIS_EVICTED, more);
    process->evicted_unsaid += more;
    if (process->evicted_said_ms && uv_now(&process->loop) - process->evicted_said_ms < EVICTED_PAUSE_MS)
        return;
    log_error("redis: it has thrown away %llu keys to make room (maxmemory-policy): votes, views or histories are lost",
              (unsigned long long)process->evicted_unsaid);
    process->evicted_said_ms = uv_now(&process->loop);
    process->evicted_unsaid = 0;
}

// A Redis without an append-only file may be a choice (docs/durability.md); one that turns it off while it runs may be
// a mistake.
static void warn_of_durability(struct projector_process *process, bool append_only) {
    if (process->append_only && !append_only)
        log_warn("redis: appendonly was turned off: what is acknowledged from now on may not survive its end");
    process->append_only = append_only;
}

static void on_memory(struct read_call *call, const struct redis_memory_use *use) {
    struct projector_process *process = call->context;
    uint64_t limit = process->settings->memory_limit ? (uint64_t)process->settings->memory_limit : use->max;
    metric_set(METRIC_REDIS_MEMORY, use->used);
    metric_set(METRIC_REDIS_MEMORY_LIMIT, limit);
    if (limit)
        warn_of_limit(process, use->used, limit, use->masters == 1);
    warn_of_durability(process, use->append_only);
    if (generation_is_current() && use->all_told)
        count_evicted(process, use->evicted, use->masters == 1);
}

static void on_looked(struct read_call *call, enum outcome outcome) {
    struct projector_process *process = call->context;
    (void)outcome; // on failure the figure stays
    process->looking = false;
}

// Warns once when the logs are larger than log_kept_bytes, and again only after they were well below it.
static void on_log_bytes(struct read_call *call, uint64_t bytes) {
    struct projector_process *process = call->context;
    uint64_t most = (uint64_t)process->settings->log_kept_bytes;
    metric_set(METRIC_LOG_BYTES, bytes);
    if (bytes > most && !process->large_logs)
        log_warn("the logs take %llu MiB at Redis, more than log_kept_bytes: much is written within log_kept, or the "
                 "projection is behind (engaged_projection_lag_seconds, engaged_partitions_behind)",
                 (unsigned long long)bytes >> 20);
    if (bytes > most)
        process->large_logs = true;
    else if (bytes < most / 100 * WELL_BELOW_PERCENT)
        process->large_logs = false;
}

static void on_logs_looked(struct read_call *call, enum outcome outcome) {
    struct projector_process *process = call->context;
    (void)outcome;
    process->logs_looking = false;
}

static void on_look(uv_timer_t *timer) {
    struct projector_process *process = timer->data;
    if (process->looking)
        return;
    process->looking = true;
    process->look_call = (struct read_call){.on_done = on_looked, .context = process};
    store_read_memory(process->store, &process->look_call, on_memory);
    if (process->looks++ % LOG_LOOKS != 0 || process->logs_looking)
        return;
    process->logs_looking = true;
    process->logs_call = (struct read_call){.on_done = on_logs_looked, .context = process};
    store_read_log_bytes(process->store, &process->logs_call, on_log_bytes);
}

static void watch(struct projector_process *process, int i, int number) {
    uv_signal_init(&process->loop, &process->signals[i]);
    process->signals[i].data = process;
    uv_signal_start(&process->signals[i], on_signal, number);
}

int projector_run(const struct role *role) {
    static struct projector_process process; // static: libuv's threads read its loop until the process ends
    process.settings = role->settings;
    uv_loop_init(&process.loop);
    process.store = store_start(&process.loop, role->settings, &role->hash_key, on_refused, &process);
    process.projector =
        process.store ? projector_start(&process.loop, role->settings, &role->hash_key, process.store) : NULL;
    process.corrector = process.projector ? corrector_start(&process.loop, role->settings, &role->hash_key,
                                                            process.store, process.projector)
                                          : NULL;
    process.sweeper =
        process.corrector ? sweeper_start(&process.loop, role->settings, process.store, process.projector) : NULL;
    if (!process.sweeper) {
        log_error("the projector does not start: no memory, or too many half-lives");
        return 1;
    }
    uv_timer_init(&process.loop, &process.look);
    process.look.data = &process;
    uv_timer_start(&process.look, on_look, LOOK_MS / 5, LOOK_MS);
    watch(&process, 0, SIGTERM);
    watch(&process, 1, SIGINT);
    metric_set(METRIC_PROJECTORS_READY, 1);
    uv_run(&process.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&process.loop) != 0) {
        log_error("a handle is still open at the end");
        return 1;
    }
    return process.exit_code;
}
