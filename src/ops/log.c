// SPDX-License-Identifier: MIT
// Log lines to stderr, each in one write, so that lines of several processes never mix.
#include "ops/log.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/times.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_MOST = 2048, PATH_MOST = 500 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *log_who = "engaged";
static enum log_level log_most = LOG_LEVEL_INFO;
static int log_json;

void log_setup(const char *who, enum log_level most, int as_json) {
    log_who = who;
    log_most = most;
    log_json = as_json;
}

static struct json_out begin_json(struct buffer *line, const char *level) {
    struct json_out json = json_out_to(line);
    json_open(&json, '{');
    json_key(&json, BYTES("time"));
    json_time(&json, clock_now_ms());
    json_key(&json, BYTES("process"));
    json_text(&json, bytes_of(log_who));
    json_key(&json, BYTES("level"));
    json_text(&json, bytes_of(level));
    return json;
}

static void add_json_line(struct buffer *line, enum log_level level, const char *text) {
    struct json_out json = begin_json(line, level_names[level]);
    json_key(&json, BYTES("text"));
    json_text(&json, bytes_of(text));
    json_close(&json, '}');
    buffer_add_char(line, '\n');
}

static void add_text_line(struct buffer *line, enum log_level level, const char *text) {
    char time[TIME_TEXT_SIZE];
    time_format(clock_now_ms(), time);
    buffer_addf(line, "%s %s %s: %s\n", time, log_who, level_names[level], text);
}

// What comes from outside may hold anything: a control byte would break the line.
static void make_printable(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

void log_line(enum log_level level, const char *format, ...) {
    char text[LINE_MOST];
    struct buffer line;
    va_list arguments;
    if (level > log_most)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    make_printable(text);
    buffer_init(&line, (size_t)8 * LINE_MOST);
    if (log_json)
        add_json_line(&line, level, text);
    else
        add_text_line(&line, level, text);
    if (write(STDERR_FILENO, line.at, line.len) < 0)
        line.failed = true; // nowhere is left to say so
    buffer_release(&line);
}

// ---- The access log

static struct buffer gathered;

static void add_access_json(struct buffer *line, const struct log_access *access) {
    struct json_out json = begin_json(line, "access");
    json_key(&json, BYTES("method"));
    json_text(&json, bytes_of(access->method));
    json_key(&json, BYTES("path"));
    json_text(&json, access->path);
    json_key(&json, BYTES("status"));
    json_int(&json, access->status);
    json_key(&json, BYTES("bytes"));
    json_int(&json, (int64_t)access->bytes);
    json_key(&json, BYTES("ms"));
    json_number(&json, (double)access->took_us / 1000);
    json_close(&json, '}');
    buffer_add_char(line, '\n');
}

static void add_access_text(struct buffer *line, const struct log_access *access) {
    char time[TIME_TEXT_SIZE];
    time_format(clock_now_ms(), time);
    buffer_addf(line, "%s %s access: %s ", time, log_who, access->method);
    buffer_add_bytes(line, access->path);
    buffer_addf(line, " %d %zu %.3f\n", access->status, access->bytes, (double)access->took_us / 1000);
}

void log_access_flush(void) {
    if (gathered.len && write(STDERR_FILENO, gathered.at, gathered.len) < 0)
        gathered.failed = true; // nowhere is left to say so
    buffer_clear(&gathered);
}

void log_access(const struct log_access *access) {
    struct buffer line;
    struct log_access shown = *access;
    shown.path.len = shown.path.len > PATH_MOST ? PATH_MOST : shown.path.len;
    buffer_init(&line, PIPE_BUF);
    if (log_json)
        add_access_json(&line, &shown);
    else
        add_access_text(&line, &shown);
    if (gathered.cap == 0)
        buffer_init(&gathered, PIPE_BUF);
    if (gathered.len + line.len > PIPE_BUF)
        log_access_flush();
    buffer_add_bytes(&gathered, buffer_bytes(&line));
    buffer_release(&line);
}
