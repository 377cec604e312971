// SPDX-License-Identifier: MIT
// Signals and order: Redis first up and last down.
#include "roles/supervisor.h"
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/rate_limits.h"
#include "roles/children.h"
#include "roles/embedded.h"
#include "roles/notify.h"
#include "roles/openness.h"
#include "roles/secrets.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { SIGNAL_COUNT = 3, ERROR_SIZE = 640, REDIS_LOOK_MS = 200, LONGER_US = 5000000 };

struct supervisor {
    uv_loop_t loop;
    int argc;
    char **argv;
    const char *directory; // of the embedded Redis; empty: none
    struct shared_files shared;
    struct embedded *embedded;
    struct children *children;
    uv_signal_t signals[SIGNAL_COUNT];
    uv_timer_t watchdog, linking; // for systemd: we turn; the embedded Redis is still loading
    bool stopping;
    bool reload_wanted; // SIGHUP came while a reload was under way
    int exit_code;
};

// ---- The end

static void block_signals(int how, const int *numbers, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(how, &set, NULL);
}

// The last step: a signal that comes while Redis ends must not kill us and leave Redis behind.
static void close_signals(struct supervisor *supervisor) {
    block_signals(SIG_BLOCK, (const int[]){SIGTERM, SIGINT, SIGHUP}, SIGNAL_COUNT);
    for (int i = 0; i < SIGNAL_COUNT; i++)
        uv_close((uv_handle_t *)&supervisor->signals[i], NULL);
}

static void on_embedded_stopped(void *context) {
    struct supervisor *supervisor = context;
    supervisor->embedded = NULL;
    close_signals(supervisor);
}

static void on_children_stopped(void *context) {
    struct supervisor *supervisor = context;
    supervisor->children = NULL;
    uv_close((uv_handle_t *)&supervisor->watchdog, NULL);
    uv_close((uv_handle_t *)&supervisor->linking, NULL);
    if (supervisor->embedded)
        embedded_stop(supervisor->embedded, on_embedded_stopped, supervisor);
    else
        close_signals(supervisor);
}

static void stop(struct supervisor *supervisor) {
    if (supervisor->stopping)
        return;
    supervisor->stopping = true;
    notify("STOPPING=1");
    children_stop(supervisor->children, on_children_stopped, supervisor);
}

static void on_refused(void *context) {
    struct supervisor *supervisor = context;
    supervisor->exit_code = 1;
    stop(supervisor);
}

// ---- What systemd is told

// The service is ready when all processes are and an embedded Redis has loaded its data, however long that takes. A
// Redis of the operator may be away: the service is up and waits for it.
static void on_linking(uv_timer_t *timer) {
    struct supervisor *supervisor = timer->data;
    if (supervisor->stopping)
        return;
    unsigned count = children_count(supervisor->children), linked = children_linked(supervisor->children);
    if (supervisor->directory[0] && linked < count) {
        notify("EXTEND_TIMEOUT_USEC=%d\nSTATUS=Redis loads its data", LONGER_US);
        return;
    }
    notify("READY=1\nSTATUS=%u processes, %u with Redis", count, linked);
    uv_timer_stop(timer);
}

// After a failed reload the service is as ready as before.
static void say_refused(struct supervisor *supervisor, const char *why) {
    bool ready = children_ready(supervisor->children) && !uv_is_active((uv_handle_t *)&supervisor->linking);
    notify("%sSTATUS=The last reload was refused: %.300s", ready ? "READY=1\n" : "", why);
}

static void on_ready(void *context) {
    struct supervisor *supervisor = context;
    uv_timer_start(&supervisor->linking, on_linking, 0, REDIS_LOOK_MS);
}

static void on_watchdog(uv_timer_t *timer) {
    (void)timer;
    notify("WATCHDOG=1");
}

static void init_timers(struct supervisor *supervisor) {
    uv_timer_init(&supervisor->loop, &supervisor->linking);
    uv_timer_init(&supervisor->loop, &supervisor->watchdog);
    supervisor->linking.data = supervisor;
    if (notify_watchdog_ms())
        uv_timer_start(&supervisor->watchdog, on_watchdog, 0, notify_watchdog_ms());
}

// ---- Signals

static void on_end_signal(uv_signal_t *signal, int number) {
    (void)number;
    stop(signal->data);
}

static bool reload(struct supervisor *supervisor, struct settings *settings, char *error) {
    struct role role;
    const char *directory = embedded_directory(settings);
    if (strcmp(directory ? directory : "", supervisor->directory) != 0) {
        snprintf(error, ERROR_SIZE, "redis: an embedded Redis comes and goes only with a new start");
        return false;
    }
    if (!role_prepare(&role, settings, error, ERROR_SIZE))
        return false;
    const struct launch *before = children_launch(supervisor->children);
    struct launch *launch = launch_new(settings, supervisor->directory, &supervisor->shared, supervisor->argc,
                                       supervisor->argv, before, error, ERROR_SIZE);
    if (!launch)
        return false;
    children_renew(supervisor->children, launch);
    return true;
}

static void begin_reload(struct supervisor *supervisor) {
    extern char **environ;
    struct settings settings;
    char error[ERROR_SIZE];
    supervisor->reload_wanted = false;
    bool right = settings_read(&settings, supervisor->argc, supervisor->argv, environ, error, sizeof error);
    notify("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(uv_hrtime() / 1000));
    if (right && reload(supervisor, &settings, error)) {
        log_info("reload: new processes start");
        say_who_may_write(&settings);
    } else {
        log_error("reload: %s; the settings before stay", error);
        say_refused(supervisor, error);
    }
    if (right)
        settings_release(&settings);
}

// Several signals during one reload cause one more, which reads the settings of its own time.
static void on_reload(uv_signal_t *signal, int number) {
    struct supervisor *supervisor = signal->data;
    (void)number;
    if (supervisor->stopping)
        return;
    if (!children_renewing(supervisor->children)) {
        begin_reload(supervisor);
        return;
    }
    supervisor->reload_wanted = true;
    log_info("reload: it begins when the one before has ended");
}

static void on_renewed(void *context, const char *why) {
    struct supervisor *supervisor = context;
    if (why)
        say_refused(supervisor, why);
    if (supervisor->reload_wanted && !supervisor->stopping)
        begin_reload(supervisor);
}

void supervisor_hold_reloads(void) {
    block_signals(SIG_BLOCK, (const int[]){SIGHUP}, 1);
}

static void watch_signals(struct supervisor *supervisor) {
    static const struct {
        int number;
        uv_signal_cb callback;
    } watched[SIGNAL_COUNT] = {{SIGTERM, on_end_signal}, {SIGINT, on_end_signal}, {SIGHUP, on_reload}};
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&supervisor->loop, &supervisor->signals[i]);
        supervisor->signals[i].data = supervisor;
        uv_signal_start(&supervisor->signals[i], watched[i].callback, watched[i].number);
    }
    block_signals(SIG_UNBLOCK, (const int[]){SIGTERM, SIGINT, SIGHUP}, SIGNAL_COUNT); // those that came meanwhile, too
}

// ---- Start

static bool fail(const char *line) {
    log_error("%s", line);
    return false;
}

static bool fail_for(const char *what) {
    log_error("%s: %s", what, strerror(errno));
    return false;
}

static bool start_sharing(struct supervisor *supervisor) {
    supervisor->shared.metrics = metrics_create();
    if (supervisor->shared.metrics < 0 || metrics_attach(supervisor->shared.metrics, 0) < 0)
        return fail_for("no shared memory for metrics");
    supervisor->shared.rate_limits = rate_limits_create();
    if (supervisor->shared.rate_limits < 0)
        return fail_for("no shared memory for rate limits");
    clock_share(metrics_clock_offset());
    random_fill(metrics_instance(), sizeof(uint64_t));
    return true;
}

static bool start_children(struct supervisor *supervisor, struct launch *launch) {
    struct children_hooks hooks = {on_refused, on_ready, on_renewed, supervisor};
    watch_signals(supervisor);
    init_timers(supervisor);
    supervisor->children = children_start(&supervisor->loop, launch, &hooks);
    if (!supervisor->children)
        return fail("no memory is left");
    log_info("engaged " VERSION ": %u workers on %s, operators on %s, redis %s", launch->workers, launch->address[0],
             launch->address[1], launch->directory[0] ? "embedded" : "given");
    return true;
}

static bool start(struct supervisor *supervisor, const struct settings *settings) {
    char error[ERROR_SIZE];
    if (!start_sharing(supervisor))
        return false;
    struct launch *launch = launch_new(settings, supervisor->directory, &supervisor->shared, supervisor->argc,
                                       supervisor->argv, NULL, error, sizeof error);
    if (!launch)
        return fail(error);
    if (supervisor->directory[0]) {
        supervisor->embedded = embedded_start(&supervisor->loop, supervisor->directory,
                                              (uint64_t)settings->memory_limit, error, sizeof error);
        if (!supervisor->embedded) {
            launch_free(launch, NULL);
            return fail(error);
        }
    }
    say_who_may_write(settings);
    return start_children(supervisor, launch);
}

int supervisor_run(const struct role *role, const char *directory, int argc, char **argv) {
    struct supervisor supervisor = {.directory = directory, .argc = argc, .argv = argv};
    uv_loop_init(&supervisor.loop);
    notify_init();
    block_signals(SIG_BLOCK, (const int[]){SIGTERM, SIGINT}, 2); // from here on there is something to be ended
    if (!start(&supervisor, role->settings)) {
        uv_loop_close(&supervisor.loop);
        return 1;
    }
    uv_run(&supervisor.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&supervisor.loop) != 0) {
        log_error("a handle is still open at the end");
        return 1;
    }
    return supervisor.exit_code;
}
