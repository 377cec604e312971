// SPDX-License-Identifier: MIT
// Start, adoption, restart and end of the embedded Redis.
//
// Four states: we own DIR and our child runs; we own it and wait for the next attempt; we own it and the Redis of a
// killed owner still runs (adopted), so we try its lock four times a second; another service owns DIR, and we try that
// lock four times a second.
#include "roles/embedded.h"
#include "ops/log.h"
#include "roles/redis_log.h"
#include "roles/redis_memory.h"
#include "roles/redis_pulse.h"
#include "roles/secrets.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 1024, TICK_MS = 250, BACK_OFF_LEAST_MS = 100, BACK_OFF_MAX_MS = 5000, STOP_MAX_MS = 20000 };

struct lock {
    int fd;
    bool held;
};

struct embedded {
    uv_loop_t *loop;
    char directory[512];
    char memory_limit[24]; // as Redis reads it; "0": it is set when Redis has loaded
    struct redis_memory memory;
    struct redis_pulse pulse;
    struct redis_log log;
    struct lock owner;  // ours alone: who looks after the Redis
    struct lock server; // the Redis inherits it: held as long as we or it live
    bool running, closing, stopping;
    int last_failure; // of the last attempt to start it; 0: none
    uint64_t started_ms, start_at_ms, back_off_ms, kill_at_ms;
    uv_process_t process;
    uv_timer_t tick;
    void (*on_stopped)(void *context);
    void *context;
};

static void path_in(const struct embedded *embedded, const char *name, char path[static PATH_SIZE]) {
    snprintf(path, PATH_SIZE, "%s/%s", embedded->directory, name);
}

// ---- The locks

static int lock_open(const struct embedded *embedded, const char *name, struct lock *lock) {
    char path[PATH_SIZE];
    path_in(embedded, name, path);
    lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return lock->fd < 0 ? -errno : 0;
}

// Whether the file that we have locked is still in DIR. If not, the folder is another one now, and a Redis that starts
// there would have none of the data, or would be a second one.
static bool is_in_place(const struct embedded *embedded) {
    char path[PATH_SIZE];
    struct stat held, there;
    path_in(embedded, "owner", path);
    return fstat(embedded->owner.fd, &held) == 0 && stat(path, &there) == 0 && held.st_dev == there.st_dev &&
           held.st_ino == there.st_ino;
}

static bool lock_take(struct lock *lock) {
    if (!lock->held)
        lock->held = flock(lock->fd, LOCK_EX | LOCK_NB) == 0;
    return lock->held;
}

static void release(struct embedded *embedded) {
    redis_memory_stop(&embedded->memory);
    redis_pulse_stop(&embedded->pulse);
    redis_log_close(&embedded->log);
    if (embedded->owner.fd >= 0)
        close(embedded->owner.fd);
    if (embedded->server.fd >= 0)
        close(embedded->server.fd);
    free(embedded);
}

// What an older Redis of ours made under the umask of that time may be readable for others: voters and cards.
static void close_to_others(const struct embedded *embedded) {
    char path[PATH_SIZE];
    path_in(embedded, "appendonlydir", path);
    DIR *folder = opendir(path);
    if (!folder)
        return;
    fchmod(dirfd(folder), 0700);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && fchmodat(dirfd(folder), entry->d_name, 0600, 0) != 0)
            log_warn("%s/%s may be readable for others: %s", path, entry->d_name, strerror(errno));
    closedir(folder);
}

// ---- The server

static void on_process_closed(uv_handle_t *handle) {
    struct embedded *embedded = handle->data;
    embedded->closing = false;
}

static void say_end(const struct embedded *embedded, int64_t status, int signal) {
    const char *words = signal ? "" : embedded->log.last;
    log_error("the embedded Redis ended (%s %d), starting it again in %u ms%s%s", signal ? "signal" : "status",
              signal ? signal : (int)status, (unsigned)embedded->back_off_ms, *words ? ": " : "", words);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal) {
    struct embedded *embedded = process->data;
    uint64_t now = uv_now(embedded->loop);
    if (now - embedded->started_ms > 2 * BACK_OFF_MAX_MS)
        embedded->back_off_ms = BACK_OFF_LEAST_MS;
    redis_log_read(&embedded->log);
    if (!embedded->stopping)
        say_end(embedded, status, signal);
    embedded->start_at_ms = now + embedded->back_off_ms;
    embedded->back_off_ms *= 2;
    if (embedded->back_off_ms > BACK_OFF_MAX_MS)
        embedded->back_off_ms = BACK_OFF_MAX_MS;
    embedded->running = false;
    embedded->closing = true;
    uv_close((uv_handle_t *)process, on_process_closed);
}

static void want_memory_limit(struct embedded *embedded) {
    if (strcmp(embedded->memory_limit, "0") == 0)
        redis_memory_want(&embedded->memory);
}

// `--dir` first: Redis goes there at once, so the other paths are relative to it. deploy/redis.conf has the reasons.
static int spawn_server(struct embedded *embedded) {
    char *arguments[] = {
        // clang-format off
        "redis-server",
        "--dir", embedded->directory,
        "--port", "0",
        "--unixsocket", "redis.sock",
        "--unixsocketperm", "700",
        "--pidfile", "redis.pid",
        "--logfile", "",
        "--daemonize", "no",
        "--appendonly", "yes",
        "--appendfsync", "always",
        "--save", "",
        "--maxmemory", embedded->memory_limit,
        "--maxmemory-policy", "noeviction",
        "--repl-diskless-sync-delay", "0",
        "--tracking-table-max-keys", "300000",
        "--hash-max-listpack-entries", "512",
        "--hash-max-listpack-value", "2048",
        "--zset-max-listpack-entries", "64",
        NULL,
        // clang-format on
    };
    uv_stdio_container_t files[] = {{.flags = UV_INHERIT_FD, .data.fd = embedded->log.in},
                                    {.flags = UV_INHERIT_FD, .data.fd = embedded->log.out},
                                    {.flags = UV_INHERIT_FD, .data.fd = embedded->log.out},
                                    {.flags = UV_INHERIT_FD, .data.fd = embedded->server.fd}};
    // Detached: a terminal's Ctrl-C must not end Redis before the processes that still write to it.
    uv_process_options_t options = {.file = arguments[0],
                                    .args = arguments,
                                    .env = environment_of_others(),
                                    .exit_cb = on_process_exit,
                                    .stdio = files,
                                    .stdio_count = sizeof files / sizeof *files,
                                    .flags = UV_PROCESS_DETACHED};
    if (!options.env)
        return UV_ENOMEM;
    mode_t before = umask(077); // voters and cards are in its files
    int status = uv_spawn(embedded->loop, &embedded->process, &options);
    umask(before);
    free(options.env);
    embedded->running = status == 0;
    if (status == 0) {
        want_memory_limit(embedded);
        return 0;
    }
    embedded->closing = true;
    uv_close((uv_handle_t *)&embedded->process, on_process_closed);
    return status;
}

// *ret_what is the file that a failure is about.
static int spawn(struct embedded *embedded, const char **ret_what) {
    embedded->started_ms = uv_now(embedded->loop);
    embedded->start_at_ms = embedded->started_ms + BACK_OFF_MAX_MS;
    *ret_what = "its folder, or the file owner in it, was moved or replaced";
    if (!is_in_place(embedded))
        return UV_ENOENT;
    close_to_others(embedded);
    *ret_what = "the pipe of its log";
    int status = redis_log_open(&embedded->log);
    if (status < 0)
        return status;
    *ret_what = "redis-server";
    status = spawn_server(embedded);
    redis_log_begin(&embedded->log);
    return status;
}

// A reason is logged once, not at every attempt.
static void spawn_again(struct embedded *embedded) {
    const char *what;
    int status = spawn(embedded, &what);
    if (status != 0 && status != embedded->last_failure)
        log_error("the embedded Redis does not start: %s (for %s): %s; it is tried every %d s", what,
                  embedded->directory, uv_strerror(status), BACK_OFF_MAX_MS / 1000);
    embedded->last_failure = status;
}

static bool works_in(pid_t pid, const char *directory) {
    char path[64];
    struct stat its, ours;
    snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
    return stat(path, &its) == 0 && stat(directory, &ours) == 0 && its.st_dev == ours.st_dev &&
           its.st_ino == ours.st_ino;
}

// The process id of the server that an earlier owner left running; 0: none is found. The number in the file may be
// another process's by now, so only a process that works in DIR counts.
static pid_t adopted_pid(const struct embedded *embedded) {
    char path[PATH_SIZE];
    int pid = 0;
    path_in(embedded, "redis.pid", path);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%d", &pid) != 1 || pid <= 1 || !works_in(pid, embedded->directory))
        pid = 0;
    fclose(file);
    return pid;
}

// An adopted Redis may not have written its process id yet, so this is tried again.
static void read_log(struct embedded *embedded) {
    if (embedded->owner.held && !embedded->running)
        redis_log_adopt(&embedded->log, adopted_pid(embedded));
    redis_log_read(&embedded->log);
}

static void signal_server(struct embedded *embedded, int signal) {
    pid_t pid = embedded->running ? embedded->process.pid : embedded->server.held ? 0 : adopted_pid(embedded);
    if (pid > 0)
        kill(pid, signal);
}

// ---- The clock

static void on_tick_closed(uv_handle_t *handle) {
    struct embedded *embedded = handle->data;
    void (*on_stopped)(void *) = embedded->on_stopped;
    void *context = embedded->context;
    release(embedded);
    on_stopped(context);
}

// A Redis that does not end is killed: with `appendfsync always` nothing that was acknowledged is lost by that.
static void look_after_stop(struct embedded *embedded, uint64_t now) {
    if (!embedded->owner.held || (!embedded->running && lock_take(&embedded->server)))
        uv_close((uv_handle_t *)&embedded->tick, on_tick_closed);
    else if (now >= embedded->kill_at_ms)
        signal_server(embedded, SIGKILL);
}

static void on_tick(uv_timer_t *timer) {
    struct embedded *embedded = timer->data;
    uint64_t now = uv_now(embedded->loop);
    if (embedded->closing)
        return;
    if (embedded->stopping)
        look_after_stop(embedded, now);
    else if (!embedded->running && now >= embedded->start_at_ms && lock_take(&embedded->owner) &&
             lock_take(&embedded->server))
        spawn_again(embedded);
    if (!embedded->stopping) {
        char path[PATH_SIZE];
        path_in(embedded, "redis.sock", path);
        redis_memory_tick(&embedded->memory, path);
        if (embedded->owner.held)
            redis_pulse_tick(&embedded->pulse, path, TICK_MS);
        read_log(embedded);
    }
}

// ---- Start and stop

static int start_or_adopt(struct embedded *embedded, const char **ret_what) {
    *ret_what = embedded->directory;
    int status = lock_open(embedded, "owner", &embedded->owner);
    if (status == 0)
        status = lock_open(embedded, "lock", &embedded->server);
    if (status < 0)
        return status;
    bool owned = lock_take(&embedded->owner);
    if (owned && lock_take(&embedded->server))
        return spawn(embedded, ret_what);
    if (owned)
        want_memory_limit(embedded);
    log_info(owned ? "a Redis already runs in %s: adopted" : "another service looks after the Redis in %s: used",
             embedded->directory);
    return 0;
}

struct embedded *embedded_start(uv_loop_t *loop, const char *directory, uint64_t memory_limit, char *ret_error,
                                size_t error_size) {
    const char *what;
    struct embedded *embedded = calloc(1, sizeof *embedded);
    if (!embedded) {
        snprintf(ret_error, error_size, "no memory is left");
        return NULL;
    }
    embedded->loop = loop;
    embedded->process.data = embedded->tick.data = embedded;
    embedded->owner.fd = embedded->server.fd = embedded->memory.fd = embedded->pulse.fd = -1;
    embedded->back_off_ms = BACK_OFF_LEAST_MS;
    redis_log_init(&embedded->log);
    snprintf(embedded->directory, sizeof embedded->directory, "%s", directory);
    snprintf(embedded->memory_limit, sizeof embedded->memory_limit, "%" PRIu64, memory_limit);
    int status = start_or_adopt(embedded, &what);
    if (status == 0) {
        uv_timer_init(loop, &embedded->tick);
        uv_timer_start(&embedded->tick, on_tick, TICK_MS, TICK_MS);
        return embedded;
    }
    snprintf(ret_error, error_size, "embedded Redis in %s: %s: %s", directory, what, uv_strerror(status));
    while (embedded->closing)
        uv_run(loop, UV_RUN_NOWAIT);
    release(embedded);
    return NULL;
}

void embedded_stop(struct embedded *embedded, void (*on_stopped)(void *context), void *context) {
    embedded->stopping = true;
    embedded->on_stopped = on_stopped;
    embedded->context = context;
    embedded->kill_at_ms = uv_now(embedded->loop) + STOP_MAX_MS;
    if (embedded->owner.held)
        signal_server(embedded, SIGTERM);
    uv_timer_start(&embedded->tick, on_tick, 10, 10);
}
