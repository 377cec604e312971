// SPDX-License-Identifier: MIT
// One line per event on stderr: "2026-11-23T18:00:00.123Z worker[1] warn: text", or JSON (log_format).
// A line never has a token, an address or a user agent.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_setup(const char *who, enum log_level max, int as_json);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
// True at most once in ten seconds: for an error that may come with every request. The caller keeps *logged_ns, 0 at
// first, for this error alone.
bool log_is_due(uint64_t *logged_ns);

// The access log (access_log = on): one line per request, in the same form. Lines are collected until log_access_flush,
// which is called once a turn of the loop, or until PIPE_BUF bytes: one write of at most that size never mixes with
// others' in a pipe.
struct log_access {
    const char *method;
    struct bytes path;
    int status;
    bool cut; // the client left before it had all of the answer
    size_t bytes;
    uint64_t took_us;
};
void log_access(const struct log_access *access);
void log_access_flush(void);
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
