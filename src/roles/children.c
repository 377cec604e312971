// SPDX-License-Identifier: MIT
// A list of children, each with its process and the time of its next start. One timer serves all of them. renewal.c has
// the reload.
#include "ops/generation.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "roles/children_inside.h"
#include "roles/roles.h"
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 50, BACK_OFF_LEAST_MS = 100, BACK_OFF_MAX_MS = 5000, HEALTHY_MS = 10000, KILL_AFTER_MS = 1000 };
enum { CRASHES_REPORTED = 5, ENDS_BORNE = 1 };
enum { STANDARD_FILES = 3, FILES = STANDARD_FILES + 4 + LISTENERS, VARIABLES = 7, VARIABLE_SIZE = 64 };

// ---- One child

static void on_process_closed(uv_handle_t *handle) {
    struct child *child = handle->data;
    child->closing = false;
}

// Another generation's worker may listen on this child's socket: it is the same open file.
static bool listens_alone(const struct child *child) {
    const struct children *all = child->all;
    bool alone = child->worker >= 0 && !all->next_launch;
    for (const struct child *other = all->list; other; other = other->next)
        alone = alone && !other->retired;
    return alone;
}

static void note_crash(struct child *child, int64_t status, int signal) {
    if (++child->crashes == CRASHES_REPORTED)
        log_error("%s has ended %u times in a row, each time within %u s of its start: look at the lines before",
                  child->name, child->crashes, HEALTHY_MS / 1000);
    log_error("%s ended (%s %d), starting it again in %u ms", child->name, signal ? "signal" : "status",
              signal ? signal : (int)status, (unsigned)child->back_off_ms);
    metric_add(METRIC_PROCESS_RESTARTS, 1);
    if (child->crashes > 1 && listens_alone(child))
        launch_withdraw(child->launch, (unsigned)child->worker); // after the first crash it is back at once
}

static void note_end(struct child *child, int64_t status, int signal) {
    struct children *all = child->all;
    bool is_refusal = status == EXIT_REFUSED && signal == 0;
    if (all->stopping || child->retired)
        return;
    if (child->launch == all->next_launch && (is_refusal || ++all->ends > ENDS_BORNE)) {
        all->spoilt = is_refusal ? "the new processes refuse, see the line before" : "the new processes keep ending";
    } else if (is_refusal && !all->proven) {
        all->refused = true;
        all->hooks.on_refused(all->hooks.context);
    } else {
        note_crash(child, status, signal);
    }
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal) {
    struct child *child = process->data;
    uint64_t now = uv_now(child->all->loop);
    if (now - child->started_ms > HEALTHY_MS) {
        child->back_off_ms = BACK_OFF_LEAST_MS;
        child->crashes = 0;
    }
    child->running = false;
    child->closing = true;
    child->start_at_ms = now + child->back_off_ms;
    metrics_forget_gauges(child->row);
    note_end(child, status, signal);
    child->back_off_ms = child->back_off_ms * 2 > BACK_OFF_MAX_MS ? BACK_OFF_MAX_MS : child->back_off_ms * 2;
    uv_close((uv_handle_t *)process, on_process_closed);
}

// The environment of this process plus the variables that make it a child.
static char **child_environment(const struct child *child, char variables[VARIABLES][VARIABLE_SIZE]) {
    extern char **environ;
    size_t count = 0;
    while (environ[count])
        count++;
    char **environment = calloc(count + VARIABLES + 1, sizeof *environment);
    if (!environment)
        return NULL;
    memcpy(environment, environ, count * sizeof *environ);
    snprintf(variables[0], VARIABLE_SIZE, "ENGAGED_ROLE=%s", child->role);
    snprintf(variables[1], VARIABLE_SIZE, "ENGAGED_ROW=%u", child->row);
    snprintf(variables[2], VARIABLE_SIZE, "ENGAGED_METRICS_FD=%d", STANDARD_FILES);
    snprintf(variables[3], VARIABLE_SIZE, "ENGAGED_CEILINGS_FD=%d", STANDARD_FILES + 1);
    snprintf(variables[4], VARIABLE_SIZE, "ENGAGED_GENERATION=%llu%s", (unsigned long long)child->launch->generation,
             child->crashes ? GENERATION_AGAIN : "");
    snprintf(variables[5], VARIABLE_SIZE, "ENGAGED_SUPERVISOR=%d", (int)getpid());
    snprintf(variables[6], VARIABLE_SIZE, "ENGAGED_FILES_FD=%d", FILES - 1);
    for (int i = 0; i < VARIABLES - (child->launch->files.given < 0); i++)
        environment[count++] = variables[i];
    return environment;
}

static uv_stdio_container_t hand_over(int fd) {
    uv_stdio_container_t file = {.flags = fd < 0 ? UV_IGNORE : UV_INHERIT_FD};
    file.data.fd = fd;
    return file;
}

static void start(struct child *child) {
    char variables[VARIABLES][VARIABLE_SIZE];
    const struct launch *launch = child->launch;
    uv_stdio_container_t files[FILES] = {hand_over(-1),
                                         hand_over(1),
                                         hand_over(2),
                                         hand_over(launch->files.shared.metrics),
                                         hand_over(launch->files.shared.rate_limits),
                                         hand_over(launch->files.config)};
    for (int i = 0; i < LISTENERS; i++)
        files[FILES - 1 - LISTENERS + i] = hand_over(child->worker < 0 ? -1 : launch->sockets[child->worker].listen[i]);
    files[FILES - 1] = hand_over(launch->files.given);
    uv_process_options_t options = {.file = launch->program,
                                    .args = launch->argv,
                                    .env = child_environment(child, variables),
                                    .exit_cb = on_process_exit,
                                    .stdio = files,
                                    .stdio_count = FILES};
    child->process.data = child;
    child->started_ms = uv_now(child->all->loop);
    child->silent_ms = 0;
    int status = options.env ? uv_spawn(child->all->loop, &child->process, &options) : UV_ENOMEM;
    free(options.env);
    child->running = status == 0;
    if (status == 0)
        return;
    log_error("%s does not start: %s", child->name, uv_strerror(status));
    child->start_at_ms = child->started_ms + BACK_OFF_MAX_MS;
    if (status == UV_ENOMEM && !options.env)
        return; // libuv has not seen the handle
    child->closing = true;
    uv_close((uv_handle_t *)&child->process, on_process_closed);
}

// Rows outlive their processes, so the sums of a row that was used before continue.
static unsigned free_row(const struct children *all) {
    for (unsigned row = 1;; row++) {
        bool taken = false;
        for (const struct child *child = all->list; child; child = child->next)
            taken = taken || child->row == row;
        if (!taken)
            return row;
    }
}

static void add_child(struct children *all, const struct launch *launch, const char *role, int worker) {
    struct child *child = calloc(1, sizeof *child);
    if (!child) {
        log_error("a %s does not start: no memory", role);
        return;
    }
    child->all = all;
    child->launch = launch;
    child->role = role;
    child->worker = worker;
    child->row = free_row(all);
    child->back_off_ms = BACK_OFF_LEAST_MS;
    snprintf(child->name, sizeof child->name, "%s[%u]", role, child->row);
    child->next = all->list;
    all->list = child;
    start(child);
}

static void add_generation(struct children *all, const struct launch *launch) {
    add_child(all, launch, "projector", -1);
    for (unsigned i = 0; i < launch->workers; i++)
        add_child(all, launch, "worker", (int)i);
}

// ---- All of them

static void kill_overdue(struct child *child, uint64_t now) {
    if (!child->retired || !child->running || now < child->kill_at_ms)
        return;
    log_error("%s was told to end and has not: killed", child->name);
    child->kill_at_ms = now + KILL_AFTER_MS;
    uv_process_kill(&child->process, SIGKILL);
}

// Children that retired earlier have had their signal.
void children_retire(struct children *all, const struct launch *launch) {
    for (struct child *child = all->list; child; child = child->next) {
        if (child->retired || (launch && child->launch != launch))
            continue;
        child->retired = true;
        child->kill_at_ms = uv_now(all->loop) + child->launch->drain_timeout_ms + KILL_AFTER_MS;
        child->launch = NULL; // the launch may be freed before the child ends
        if (child->running)
            uv_process_kill(&child->process, SIGTERM);
    }
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

// ---- The clock

// A child that drains may take its time.
static void look_for_hang(struct child *child) {
    if (child->retired)
        return;
    uint64_t max_ms = child->launch->hang_timeout_ms, beats = metric_read(METRIC_HEARTBEATS, child->row);
    bool watched = max_ms && child->running && child_is_ready(child);
    child->silent_ms = !watched || beats != child->beats ? 0 : child->silent_ms + TICK_MS;
    child->beats = beats;
    if (!watched || child->silent_ms < max_ms)
        return;
    log_error("%s has stood still for %u ms: killed", child->name, (unsigned)child->silent_ms);
    child->silent_ms = 0;
    uv_process_kill(&child->process, SIGKILL);
}

static void on_tick_closed(uv_handle_t *handle) {
    struct children *all = handle->data;
    void (*on_stopped)(void *) = all->on_stopped;
    void *context = all->stopped_context;
    launch_free(all->launch, NULL);
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
    all->proven = all->proven || children_any_usable(all);
    children_look_after_renewal(all, now);
    if (!all->told_ready && !all->stopping && children_all_ready(all, all->launch)) {
        all->told_ready = true;
        all->hooks.on_ready(all->hooks.context);
    }
    for (struct child *child = all->list; child; child = child->next) {
        kill_overdue(child, now);
        if (!child->running && !child->closing && !child->retired && now >= child->start_at_ms)
            start(child);
        if (!all->stopping)
            look_for_hang(child);
    }
}

// ---- Start, renewal, stop

struct children *children_start(uv_loop_t *loop, struct launch *launch, const struct children_hooks *hooks) {
    struct children *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->loop = loop;
    all->launch = launch;
    all->hooks = *hooks;
    uv_timer_init(loop, &all->tick);
    all->tick.data = all;
    uv_timer_start(&all->tick, on_tick, TICK_MS, TICK_MS);
    launch->generation = ++all->generations;
    children_put_in_charge(all, launch);
    add_generation(all, launch);
    return all;
}

// The projector is renewed too: it reads the rankings from the settings.
void children_renew(struct children *children, struct launch *launch) {
    assert(!children->next_launch);
    children->next_launch = launch;
    children->spoilt = NULL;
    children->ends = 0;
    launch->generation = ++children->generations;
    add_generation(children, launch);
    uv_update_time(children->loop); // what starting them took is none of their time
    children->give_up_at_ms = uv_now(children->loop) + launch->reload_timeout_ms;
}

const struct launch *children_launch(const struct children *children) {
    return children->launch;
}

void children_stop(struct children *children, void (*on_stopped)(void *context), void *context) {
    children->stopping = true;
    children->on_stopped = on_stopped;
    children->stopped_context = context;
    launch_let_go(children->launch);
    if (children->next_launch)
        launch_let_go(children->next_launch);
    children_retire(children, NULL);
    if (children->next_launch)
        children_hand_on(children, children->next_launch, children->launch);
    uv_timer_start(&children->tick, on_tick, 10, 10);
}
