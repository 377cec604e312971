// SPDX-License-Identifier: MIT
// Start, adoption, restart and end of the embedded Redis.
//
// States: we hold the lock and a child runs; or we hold it and wait before the next attempt; or another holds it (an
// orphan of a killed supervisor, or one that still runs) and we ask for the lock four times a second.
#include "roles/embedded.h"
#include "base/clock.h"
#include "ops/log.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { PATH_SIZE = 1024, TICK_MS = 250 };

struct embedded {
    uv_loop_t *loop;
    char directory[512];
    int lock;
    bool holds_lock, running, closing, stopping;
    uv_process_t process;
    uv_timer_t tick;
    void (*on_stopped)(void *context);
    void *context;
};

// ---- The server

static void on_process_closed(uv_handle_t *handle) {
    struct embedded *embedded = handle->data;
    embedded->closing = false;
}

static void close_process(struct embedded *embedded) {
    embedded->running = false;
    embedded->closing = true;
    uv_close((uv_handle_t *)&embedded->process, on_process_closed);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal) {
    struct embedded *embedded = process->data;
    if (!embedded->stopping)
        log_error("embedded redis ended (status %d, signal %d), starting it again; see %s/redis.log", (int)status,
                  signal, embedded->directory);
    close_process(embedded);
}

// `--dir` first: Redis goes there at once, so the other paths are relative to it.
static int spawn(struct embedded *embedded) {
    char *arguments[] = {"redis-server",
                         "--dir",
                         embedded->directory,
                         "--port",
                         "0",
                         "--unixsocket",
                         "redis.sock",
                         "--unixsocketperm",
                         "700",
                         "--pidfile",
                         "redis.pid",
                         "--logfile",
                         "redis.log",
                         "--daemonize",
                         "no",
                         "--appendonly",
                         "yes",
                         "--appendfsync",
                         "always",
                         "--save",
                         "",
                         "--maxmemory-policy",
                         "noeviction",
                         "--hash-max-listpack-entries",
                         "512",
                         "--hash-max-listpack-value",
                         "2048",
                         NULL};
    uv_stdio_container_t inherited[4] = {{.flags = UV_IGNORE},
                                         {.flags = UV_IGNORE},
                                         {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
                                         {.flags = UV_INHERIT_FD, .data.fd = embedded->lock}};
    uv_process_options_t options = {.file = arguments[0],
                                    .args = arguments,
                                    .exit_cb = on_process_exit,
                                    .stdio = inherited,
                                    .stdio_count = 4,
                                    .flags = UV_PROCESS_DETACHED};
    embedded->process.data = embedded;
    int status = uv_spawn(embedded->loop, &embedded->process, &options);
    embedded->running = status == 0;
    if (status != 0)
        close_process(embedded);
    return status;
}

// The server that another start left running; 0 when there is none to be found.
static pid_t adopted_pid(const struct embedded *embedded) {
    char path[PATH_SIZE], name[32] = "";
    int pid = 0;
    snprintf(path, sizeof path, "%s/redis.pid", embedded->directory);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%d", &pid) != 1)
        pid = 0;
    fclose(file);
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    file = pid > 0 ? fopen(path, "re") : NULL;
    if (!file)
        return 0;
    bool named = fgets(name, sizeof name, file) && strncmp(name, "redis-server", 12) == 0;
    fclose(file);
    return named ? pid : 0;
}

// ---- The lock

static bool take_lock(struct embedded *embedded) {
    if (!embedded->holds_lock)
        embedded->holds_lock = flock(embedded->lock, LOCK_EX | LOCK_NB) == 0;
    return embedded->holds_lock;
}

static void on_tick_closed(uv_handle_t *handle) {
    struct embedded *embedded = handle->data;
    void (*on_stopped)(void *) = embedded->on_stopped;
    void *context = embedded->context;
    close(embedded->lock);
    free(embedded);
    on_stopped(context);
}

static void on_tick(uv_timer_t *timer) {
    struct embedded *embedded = timer->data;
    if (embedded->running || embedded->closing)
        return;
    bool free_now = take_lock(embedded);
    if (embedded->stopping && free_now)
        uv_close((uv_handle_t *)timer, on_tick_closed);
    else if (!embedded->stopping && free_now)
        spawn(embedded);
}

// ---- Start and stop

static int open_lock(const char *directory) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/lock", directory);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

struct embedded *embedded_start(uv_loop_t *loop, const char *directory, char *ret_error, size_t error_size) {
    struct embedded *embedded = calloc(1, sizeof *embedded);
    if (!embedded)
        return NULL;
    embedded->loop = loop;
    embedded->process.data = embedded;
    snprintf(embedded->directory, sizeof embedded->directory, "%s", directory);
    embedded->lock = open_lock(directory);
    int status = embedded->lock < 0 ? -errno : 0;
    if (status == 0 && take_lock(embedded))
        status = spawn(embedded);
    else if (status == 0)
        log_info("a Redis already runs in %s: adopted", directory);
    if (status != 0) {
        snprintf(ret_error, error_size, "embedded redis in %s: %s", directory, uv_strerror(status));
        free(embedded);
        return NULL;
    }
    uv_timer_init(loop, &embedded->tick);
    embedded->tick.data = embedded;
    uv_timer_start(&embedded->tick, on_tick, TICK_MS, TICK_MS);
    return embedded;
}

void embedded_stop(struct embedded *embedded, void (*on_stopped)(void *context), void *context) {
    embedded->stopping = true;
    embedded->on_stopped = on_stopped;
    embedded->context = context;
    pid_t pid = embedded->running ? embedded->process.pid : embedded->holds_lock ? 0 : adopted_pid(embedded);
    if (pid > 0)
        kill(pid, SIGTERM);
    uv_timer_start(&embedded->tick, on_tick, 10, 10);
}
