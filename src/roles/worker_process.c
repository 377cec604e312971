// SPDX-License-Identifier: MIT
// A worker's process: store, serving and the listeners on one loop. On SIGTERM it drains and ends.
#include "api/api.h"
#include "api/known.h"
#include "api/limits.h"
#include "base/clock.h"
#include "ops/generation.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "roles/roles.h"
#include <signal.h>
#include <uv.h>

enum { ARENA_MAX = 1 << 20, OUTPUT_MAX = 1 << 20, WATCHED_COUNT = 2, SERVER_COUNT = 3 };
enum { OPENING_LOOK_MS = 10, OPENING_MAX_MS = 1000 };

struct worker_process {
    uv_loop_t loop;
    struct plan plan;
    struct api api;
    struct http_server *servers[SERVER_COUNT];
    int servers_open;
    uv_signal_t signals[WATCHED_COUNT];
    uv_prepare_t turn_end; // writes the access log
    uv_timer_t opening;    // until it listens
    uint64_t started_ms;
    bool stopping;
    int exit_code;
};

// ---- The end: listeners, then serving, then the store

static void on_store_stopped(void *context) {
    struct worker_process *process = context;
    uv_close((uv_handle_t *)&process->turn_end, NULL);
}

static void on_serve_stopped(void *context) {
    struct worker_process *process = context;
    store_stop(process->api.store, on_store_stopped, process);
}

static void on_api_finished(void *context) {
    struct worker_process *process = context;
    serve_stop(process->api.serve, on_serve_stopped, process);
}

static void on_server_stopped(void *context) {
    struct worker_process *process = context;
    if (--process->servers_open == 0 && !api_finish(&process->api, on_api_finished, process))
        on_api_finished(process);
}

static void stop_servers(struct worker_process *process) {
    process->servers_open++; // one more than there are, so that all servers get the call before the last has stopped
    for (int i = 0; i < SERVER_COUNT; i++)
        if (process->servers[i])
            http_server_stop(process->servers[i], (uint32_t)process->api.settings->drain_timeout_ms, on_server_stopped,
                             process);
    on_server_stopped(process);
}

static void stop(struct worker_process *process) {
    if (process->stopping)
        return;
    process->stopping = true;
    process->api.draining = true;
    for (int i = 0; i < WATCHED_COUNT; i++)
        uv_close((uv_handle_t *)&process->signals[i], NULL);
    if (!uv_is_closing((uv_handle_t *)&process->opening))
        uv_close((uv_handle_t *)&process->opening, NULL);
    stop_servers(process);
}

static void on_turn_end(uv_prepare_t *prepare) {
    (void)prepare;
    log_access_flush();
}

static void on_signal(uv_signal_t *signal, int number) {
    if (number == SIGTERM) // SIGINT of a terminal reaches the whole group: the supervisor decides
        stop(signal->data);
}

static void on_refused(void *context, const char *line) {
    struct worker_process *process = context;
    log_error("%s", line);
    process->exit_code = EXIT_REFUSED;
    stop(process);
}

// ---- Start

static struct http_limits limits_of(const struct settings *settings) {
    return (struct http_limits){.connections = (uint32_t)settings->max_connections,
                                .request_line = (uint32_t)settings->request_line_limit,
                                .head = (uint32_t)settings->head_limit,
                                .fields = (uint32_t)settings->field_limit,
                                .arena = ARENA_MAX,
                                .request_timeout_ms = (uint32_t)settings->request_timeout_ms,
                                .idle_timeout_ms = (uint32_t)settings->idle_timeout_ms,
                                .send_timeout_ms = (uint32_t)settings->send_timeout_ms,
                                .output = OUTPUT_MAX,
                                .held = (size_t)settings->connection_memory};
}

static bool listen_on(struct worker_process *process, int index, const char *address,
                      const struct http_callbacks *callbacks) {
    struct http_limits limits = limits_of(process->api.settings);
    struct http_counters counters = {metric_cell(METRIC_CONNECTIONS_OPENED),
                                     metric_cell(METRIC_CONNECTIONS_OPEN),
                                     metric_cell(METRIC_CONNECTIONS_REFUSED),
                                     metric_cell(METRIC_BAD_REQUESTS),
                                     metric_cell(METRIC_TIMEOUTS),
                                     metric_cell(METRIC_BYTES_OUT)};
    struct http_callbacks told = *callbacks;
    if (process->api.settings->access_log)
        told.on_answered = api_log_answer;
    char error[256];
    process->servers[index] =
        http_server_start(&process->loop, address, &limits, &counters, &told, &process->api, error, sizeof error);
    if (!process->servers[index])
        log_error("%s", error);
    process->servers_open += process->servers[index] != NULL;
    return process->servers[index] != NULL;
}

static bool listen_for_publishers(struct worker_process *process) {
    const struct settings *settings = process->api.settings;
    const char *address = settings->publisher_listen;
    if (!*address || strcmp(address, PUBLISHERS_ON_OPS) == 0)
        return true;
    return listen_on(process, 2, address, &api_publisher_callbacks);
}

static bool listen_on_all(struct worker_process *process) {
    const struct settings *settings = process->api.settings;
    return listen_on(process, 0, settings->listen, &api_public_callbacks) &&
           listen_on(process, 1, settings->ops_listen, &api_ops_callbacks) && listen_for_publishers(process);
}

// Starts listening once Redis is connected, so that no client meets a 503; after OPENING_MAX_MS it listens anyway.
// During a reload it waits until the new generation is in charge: the old processes serve until then.
static void on_opening(uv_timer_t *timer) {
    struct worker_process *process = timer->data;
    if (!generation_is_current())
        return;
    if (!store_ready(process->api.store, NULL) && uv_now(&process->loop) - process->started_ms < OPENING_MAX_MS)
        return;
    uv_close((uv_handle_t *)timer, NULL);
    if (listen_on_all(process)) {
        metric_set(METRIC_REDIS_USABLE, store_ready(process->api.store, NULL) && !store_trouble(process->api.store));
        metric_set(METRIC_WORKERS_READY, 1);
        return;
    }
    process->exit_code = 1;
    stop(process);
}

static void watch(struct worker_process *process, int index, int number) {
    uv_signal_init(&process->loop, &process->signals[index]);
    process->signals[index].data = process;
    uv_signal_start(&process->signals[index], on_signal, number);
}

static bool start(struct worker_process *process, const struct role *role) {
    const struct settings *settings = role->settings;
    uv_loop_init(&process->loop);
    process->api = (struct api){.settings = settings, .tokens = &role->tokens, .hash_key = &role->hash_key};
    if (!plan_make(settings, &process->plan)) {
        log_error("the rankings need more than %d half-lives", SETTING_HALF_LIVES_MAX);
        return false;
    }
    api_name_sites(&process->api);
    process->api.known = known_items_new();
    if (!process->api.known || !netranges_parse(bytes_of(settings->trusted_proxies), &process->api.trusted) ||
        !limits_share_parse(bytes_of(settings->limits_share), &process->api.limits_share)) {
        log_error("a worker does not start: no memory, or trusted_proxies or limits_share is not valid");
        return false;
    }
    process->api.store = store_start(&process->loop, settings, &role->hash_key, on_refused, process);
    process->api.serve = process->api.store ? serve_start(&process->loop, settings, &role->hash_key, &process->plan,
                                                          process->api.store, api_answer_error, limit_network_hash)
                                            : NULL;
    if (!process->api.serve || !assets_make(&process->api.assets, clock_now_ms())) {
        log_error("a worker does not start: no memory, or the address of Redis is not valid");
        return false;
    }
    uv_prepare_init(&process->loop, &process->turn_end);
    if (settings->access_log)
        uv_prepare_start(&process->turn_end, on_turn_end);
    watch(process, 0, SIGTERM);
    watch(process, 1, SIGINT);
    uv_timer_init(&process->loop, &process->opening);
    process->opening.data = process;
    process->started_ms = uv_now(&process->loop);
    uv_timer_start(&process->opening, on_opening, OPENING_LOOK_MS, OPENING_LOOK_MS);
    return true;
}

int worker_run(const struct role *role) {
    static struct worker_process process; // static: libuv's threads read its loop until the process ends
    if (!start(&process, role))
        return 1;
    uv_run(&process.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&process.loop) != 0) {
        log_error("a handle is still open at the end");
        return 1;
    }
    log_access_flush();
    assets_release(&process.api.assets);
    known_items_free(process.api.known);
    return process.exit_code;
}
