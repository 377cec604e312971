// SPDX-License-Identifier: MIT
// A list of children, each with its process and the time of its next start. One timer looks after all of them.
#include "roles/children.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "roles/roles.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 50, BACK_OFF_LEAST_MS = 100, BACK_OFF_MOST_MS = 5000, HEALTHY_MS = 10000, HANDOVER_MS = 1000 };
enum { ROW_PROJECTOR = 1, ROW_WORKERS = 2 }; // of the metrics; two rows per worker, so that two generations overlap

struct child {
    struct child *next;
    struct children *all;
    const char *role;
    char name[24];
    unsigned row;
    uv_process_t process;
    bool running, closing;
    bool retired; // not to be started again
    uint64_t started_ms, start_at_ms, back_off_ms;
};

struct children {
    uv_loop_t *loop;
    struct children_plan plan;
    struct child *list;
    uv_timer_t tick;
    unsigned generation;
    uint64_t retire_at_ms, kill_at_ms; // 0: not under way
    bool stopping, refused;
    void (*on_refused)(void *context);
    void *refused_context;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

// ---- One child

static void on_process_closed(uv_handle_t *handle) {
    struct child *child = handle->data;
    child->closing = false;
}

static void note_end(struct child *child, int64_t status, int signal) {
    struct children *all = child->all;
    if (status == EXIT_REFUSED && signal == 0 && !all->refused) {
        all->refused = true;
        all->on_refused(all->refused_context);
    } else if (!all->stopping && !child->retired) {
        log_error("%s ended (%s %d), starting it again in %u ms", child->name, signal ? "signal" : "status",
                  signal ? signal : (int)status, (unsigned)child->back_off_ms);
        metric_add(METRIC_PROCESS_RESTARTS, 1);
    }
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal) {
    struct child *child = process->data;
    uint64_t now = uv_now(child->all->loop);
    if (now - child->started_ms > HEALTHY_MS)
        child->back_off_ms = BACK_OFF_LEAST_MS;
    child->running = false;
    child->closing = true;
    child->start_at_ms = now + child->back_off_ms;
    metrics_forget_gauges(child->row);
    note_end(child, status, signal);
    child->back_off_ms = child->back_off_ms * 2 > BACK_OFF_MOST_MS ? BACK_OFF_MOST_MS : child->back_off_ms * 2;
    uv_close((uv_handle_t *)process, on_process_closed);
}

// The environment of this process plus what makes it a child.
static char **child_environment(const struct child *child, char texts[3][64]) {
    extern char **environ;
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **environment = calloc(count + 4, sizeof *environment);
    if (!environment)
        return NULL;
    for (size_t i = 0; i < count; i++)
        environment[kept++] = environ[i];
    snprintf(texts[0], 64, "ENGAGED_ROLE=%s", child->role);
    snprintf(texts[1], 64, "ENGAGED_ROW=%u", child->row);
    snprintf(texts[2], 64, "ENGAGED_METRICS_FD=3");
    for (int i = 0; i < 3; i++)
        environment[kept++] = texts[i];
    return environment;
}

static void start(struct child *child) {
    char texts[3][64];
    uv_stdio_container_t inherited[4] = {{.flags = UV_IGNORE},
                                         {.flags = UV_INHERIT_FD, .data.fd = 1},
                                         {.flags = UV_INHERIT_FD, .data.fd = 2},
                                         {.flags = UV_INHERIT_FD, .data.fd = child->all->plan.metrics_fd}};
    uv_process_options_t options = {.file = "/proc/self/exe",
                                    .args = child->all->plan.argv,
                                    .env = child_environment(child, texts),
                                    .exit_cb = on_process_exit,
                                    .stdio = inherited,
                                    .stdio_count = 4};
    child->process.data = child;
    child->started_ms = uv_now(child->all->loop);
    int status = options.env ? uv_spawn(child->all->loop, &child->process, &options) : UV_ENOMEM;
    free(options.env);
    child->running = status == 0;
    if (status == 0)
        return;
    log_error("%s does not start: %s", child->name, uv_strerror(status));
    child->start_at_ms = child->started_ms + BACK_OFF_MOST_MS;
    child->closing = true;
    uv_close((uv_handle_t *)&child->process, on_process_closed);
}

static void add_child(struct children *all, const char *role, unsigned row, unsigned number) {
    struct child *child = calloc(1, sizeof *child);
    if (!child)
        return;
    child->all = all;
    child->role = role;
    child->row = row;
    child->back_off_ms = BACK_OFF_LEAST_MS;
    snprintf(child->name, sizeof child->name, "%s[%u]", role, number);
    child->next = all->list;
    all->list = child;
    start(child);
}

static void add_workers(struct children *all) {
    for (unsigned i = 0; i < all->plan.workers; i++)
        add_child(all, "worker", ROW_WORKERS + 2 * i + all->generation % 2, i + 1);
}

// ---- All of them

static void signal_all(struct children *all, int signal, bool retired_only) {
    for (struct child *child = all->list; child; child = child->next)
        if (child->running && (child->retired || !retired_only))
            uv_process_kill(&child->process, signal);
}

static void drop_retired(struct children *all) {
    for (struct child **place = &all->list; *place;) {
        struct child *child = *place;
        if (child->retired && !child->running && !child->closing) {
            *place = child->next;
            free(child);
        } else
            place = &child->next;
    }
}

static void on_tick_closed(uv_handle_t *handle) {
    struct children *all = handle->data;
    void (*on_stopped)(void *) = all->on_stopped;
    void *context = all->stopped_context;
    free(all);
    on_stopped(context);
}

static void on_tick(uv_timer_t *timer) {
    struct children *all = timer->data;
    uint64_t now = uv_now(all->loop);
    drop_retired(all);
    if (all->stopping && !all->list) {
        uv_close((uv_handle_t *)timer, on_tick_closed);
        return;
    }
    if (all->kill_at_ms && now >= all->kill_at_ms)
        signal_all(all, SIGKILL, true);
    if (all->retire_at_ms && now >= all->retire_at_ms) {
        all->retire_at_ms = 0;
        signal_all(all, SIGTERM, true);
    }
    for (struct child *child = all->list; child; child = child->next)
        if (!child->running && !child->closing && !child->retired && now >= child->start_at_ms)
            start(child);
}

struct children *children_start(uv_loop_t *loop, const struct children_plan *plan, void (*on_refused)(void *context),
                                void *context) {
    struct children *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->loop = loop;
    all->plan = *plan;
    all->on_refused = on_refused;
    all->refused_context = context;
    uv_timer_init(loop, &all->tick);
    all->tick.data = all;
    uv_timer_start(&all->tick, on_tick, TICK_MS, TICK_MS);
    add_child(all, "projector", ROW_PROJECTOR, 1);
    add_workers(all);
    return all;
}

// The projector is renewed too: it reads the rankings from the settings. Two at once are safe.
void children_renew(struct children *children, unsigned workers) {
    for (struct child *child = children->list; child; child = child->next)
        child->retired = true;
    children->generation++;
    children->plan.workers = workers;
    add_child(children, "projector", ROW_PROJECTOR, 1);
    add_workers(children);
    children->retire_at_ms = uv_now(children->loop) + HANDOVER_MS;
}

void children_stop(struct children *children, uint64_t grace_ms, void (*on_stopped)(void *context), void *context) {
    children->stopping = true;
    children->on_stopped = on_stopped;
    children->stopped_context = context;
    for (struct child *child = children->list; child; child = child->next)
        child->retired = true;
    children->kill_at_ms = uv_now(children->loop) + grace_ms;
    signal_all(children, SIGTERM, true);
    uv_timer_start(&children->tick, on_tick, 10, 10);
}
