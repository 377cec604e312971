// SPDX-License-Identifier: MIT
// Reads the pipe, cuts it into lines, and takes Redis's own time and level off each.
#include "roles/redis_log.h"
#include "ops/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_SIZE = 256 << 10 }; // a report of a crash is longer than the usual 64 KiB

// What Redis says at the level of warnings whenever it starts or ends.
static const char *const usual[] = {"oO0OoO0",        "Redis version=",   "Configuration loaded", "Server initialized",
                                    "User requested", "Received SIGTERM", "Redis is now ready",   "Received shutdown"};

void redis_log_init(struct redis_log *log) {
    *log = (struct redis_log){.in = -1, .out = -1};
}

static void close_end(int *end) {
    if (*end >= 0)
        close(*end);
    *end = -1;
}

void redis_log_close(struct redis_log *log) {
    close_end(&log->in);
    close_end(&log->out);
    log->len = 0;
}

int redis_log_open(struct redis_log *log) {
    int ends[2];
    redis_log_close(log);
    log->last[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    log->in = ends[0];
    log->out = ends[1];
    fcntl(log->out, F_SETPIPE_SZ, PIPE_SIZE);
    return 0;
}

void redis_log_begin(struct redis_log *log) {
    fcntl(log->in, F_SETFL, O_NONBLOCK);
    fcntl(log->out, F_SETFL, O_NONBLOCK);
    close_end(&log->out);
}

void redis_log_adopt(struct redis_log *log, pid_t pid) {
    char path[64];
    struct stat about;
    if (pid <= 0 || log->in >= 0)
        return;
    snprintf(path, sizeof path, "/proc/%d/fd/0", (int)pid);
    log->in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (log->in >= 0 && (fstat(log->in, &about) != 0 || !S_ISFIFO(about.st_mode)))
        close_end(&log->in);
}

// ---- Lines

static bool is_usual(const char *text) {
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (strncmp(text, usual[i], strlen(usual[i])) == 0)
            return true;
    return false;
}

// "1234:M 27 Nov 2026 17:00:00.123 # text", but not every line has this form.
static void log_one(struct redis_log *log) {
    char level = '*';
    int begin = 0;
    log->line[log->len] = '\0';
    if (sscanf(log->line, "%*d:%*c %*d %*s %*d %*d:%*d:%*d.%*d %c %n", &level, &begin) != 1 || !begin)
        level = '*';
    const char *text = log->line + begin;
    if (!*text)
        return;
    snprintf(log->last, sizeof log->last, "%s", text);
    log_line(level == '#' && !is_usual(text) ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "redis-server: %s", text);
}

static void take(struct redis_log *log, const char *at, size_t len) {
    for (size_t i = 0; i < len; i++) {
        bool ends = at[i] == '\n' || log->len == sizeof log->line - 1;
        if (ends) {
            log_one(log);
            log->len = 0;
        }
        if (at[i] != '\n' && at[i] != '\r')
            log->line[log->len++] = at[i];
    }
}

void redis_log_read(struct redis_log *log) {
    char block[4096];
    ssize_t len;
    // No more than the pipe holds, so that a Redis that never stops writing does not keep us.
    for (size_t all = 0; log->in >= 0 && all < PIPE_SIZE; all += (size_t)len) {
        len = read(log->in, block, sizeof block);
        if (len <= 0)
            return;
        take(log, block, (size_t)len);
    }
}
