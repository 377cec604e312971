// SPDX-License-Identifier: MIT
// Signals, ports and order: Redis first up and last down.
#include "roles/supervisor.h"
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "roles/children.h"
#include "roles/embedded.h"
#include "roles/secrets.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { SIGNAL_COUNT = 3 };

struct supervisor {
    uv_loop_t loop;
    const struct settings *settings;
    int argc;
    char **argv;
    struct embedded *embedded;
    struct children *children;
    uv_signal_t signals[SIGNAL_COUNT];
    bool stopping;
    int exit_code;
};

// ---- How many workers

// The cgroup's quota in whole cores, rounded up; 0: none is set.
static unsigned quota_cores(void) {
    unsigned long long quota, period;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file)
        return 0;
    int found = fscanf(file, "%llu %llu", &quota, &period);
    fclose(file);
    return found == 2 && period ? (unsigned)((quota + period - 1) / period) : 0;
}

static unsigned worker_count(const struct settings *settings) {
    cpu_set_t cores;
    if (settings->workers)
        return (unsigned)settings->workers;
    unsigned count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
    unsigned quota = quota_cores();
    return quota && quota < count ? quota : count;
}

// ---- Is the port free? Workers share it by SO_REUSEPORT, so two services could share one unnoticed.

static bool split_listen(const char *listen, char host[static 256], int *ret_port) {
    const char *colon = strrchr(listen, ':');
    if (!colon || (size_t)(colon - listen) >= 256)
        return false;
    bool bracketed = listen[0] == '[' && colon > listen + 1 && colon[-1] == ']';
    snprintf(host, 256, "%.*s", (int)(colon - listen) - 2 * bracketed, listen + bracketed);
    *ret_port = atoi(colon + 1);
    return true;
}

static int try_port(uv_loop_t *loop, uv_tcp_t *probe, const char *listen) {
    char host[256];
    int port;
    struct sockaddr_storage at;
    if (!split_listen(listen, host, &port))
        return UV_EINVAL;
    uv_tcp_init(loop, probe);
    int status = uv_ip4_addr(host, port, (struct sockaddr_in *)&at);
    if (status < 0)
        status = uv_ip6_addr(host, port, (struct sockaddr_in6 *)&at);
    if (status == 0)
        status = uv_tcp_bind(probe, (const struct sockaddr *)&at, 0);
    return status < 0 ? status : uv_listen((uv_stream_t *)probe, 1, NULL);
}

static bool port_free(uv_loop_t *loop, const char *name, const char *listen) {
    uv_tcp_t probe = {.loop = NULL};
    if (strncmp(listen, "unix:", 5) == 0)
        return true;
    int status = try_port(loop, &probe, listen);
    if (probe.loop) {
        uv_close((uv_handle_t *)&probe, NULL);
        uv_run(loop, UV_RUN_NOWAIT);
    }
    if (status < 0)
        log_error("%s %s: %s", name, listen, uv_strerror(status));
    return status >= 0;
}

// ---- The end

static void on_embedded_stopped(void *context) {
    struct supervisor *supervisor = context;
    supervisor->embedded = NULL;
}

static void on_children_stopped(void *context) {
    struct supervisor *supervisor = context;
    for (int i = 0; i < SIGNAL_COUNT; i++)
        uv_close((uv_handle_t *)&supervisor->signals[i], NULL);
    if (supervisor->embedded)
        embedded_stop(supervisor->embedded, on_embedded_stopped, supervisor);
}

static void stop(struct supervisor *supervisor) {
    if (supervisor->stopping)
        return;
    supervisor->stopping = true;
    children_stop(supervisor->children, (uint64_t)supervisor->settings->drain_timeout_ms + 1000, on_children_stopped,
                  supervisor);
}

static void on_refused(void *context) {
    struct supervisor *supervisor = context;
    supervisor->exit_code = 1;
    stop(supervisor);
}

// ---- Signals

static void on_end_signal(uv_signal_t *signal, int number) {
    (void)number;
    stop(signal->data);
}

static void on_reload(uv_signal_t *signal, int number) {
    extern char **environ;
    struct supervisor *supervisor = signal->data;
    struct settings settings;
    struct role role;
    char error[512];
    (void)number;
    if (supervisor->stopping)
        return;
    if (!settings_read(&settings, supervisor->argc, supervisor->argv, environ, error, sizeof error)) {
        log_error("reload: %s; the settings before stay", error);
        return;
    }
    if (role_prepare(&role, &settings, error, sizeof error)) {
        log_info("reload: new workers");
        children_renew(supervisor->children, worker_count(&settings));
    } else
        log_error("reload: %s; the settings before stay", error);
    settings_release(&settings);
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
}

// ---- Start

static bool start(struct supervisor *supervisor, const char *directory) {
    const struct settings *settings = supervisor->settings;
    char error[600];
    if (!port_free(&supervisor->loop, "listen", settings->listen) ||
        !port_free(&supervisor->loop, "ops_listen", settings->ops_listen))
        return false;
    int metrics_fd = metrics_create();
    if (metrics_fd < 0 || metrics_attach(metrics_fd, 0) < 0) {
        log_error("no shared memory for metrics");
        return false;
    }
    clock_share(metrics_clock_offset());
    if (directory) {
        supervisor->embedded = embedded_start(&supervisor->loop, directory, error, sizeof error);
        if (!supervisor->embedded) {
            log_error("%s", error);
            return false;
        }
    }
    watch_signals(supervisor);
    struct children_plan plan = {supervisor->argv, metrics_fd, worker_count(settings)};
    supervisor->children = children_start(&supervisor->loop, &plan, on_refused, supervisor);
    log_info("engaged " VERSION ": %u workers on %s, operators on %s, redis %s", plan.workers, settings->listen,
             settings->ops_listen, directory ? "embedded" : "given");
    return true;
}

int supervisor_run(const struct role *role, const char *directory, int argc, char **argv) {
    struct supervisor supervisor = {.settings = role->settings, .argc = argc, .argv = argv};
    uv_loop_init(&supervisor.loop);
    if (!start(&supervisor, directory))
        return 1;
    uv_run(&supervisor.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&supervisor.loop) != 0) {
        log_error("a handle is still open at the end");
        return 1;
    }
    return supervisor.exit_code;
}
