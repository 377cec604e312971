// SPDX-License-Identifier: MIT
// Log lines to stderr, each in one write of at most PIPE_BUF bytes, so that lines of several processes never mix.
//
// A write never waits for the reader of the log: with a reader that stalls, lines are lost and requests are not. The
// flag O_NONBLOCK belongs to the open file, which we share with the shell that started us. So a pipe or a terminal is
// opened a second time for ourselves; a socket takes the flag with each send; a regular file never blocks.
#include "ops/log.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/times.h"
#include "ops/metrics.h"
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 2048 };
#define LOG_PAUSE_NS (UINT64_C(10) * 1000 * 1000 * 1000)

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *log_who = "engaged";
static enum log_level log_max = LOG_LEVEL_INFO;
static int log_json;

// ---- The way out

static int out_fd = STDERR_FILENO;
static bool out_is_socket;
static uint64_t lost_lines; // since the last line that went out

static void open_own(void) {
    struct stat about;
    if (out_fd != STDERR_FILENO || fstat(STDERR_FILENO, &about) != 0)
        return;
    out_is_socket = S_ISSOCK(about.st_mode);
    if (!S_ISFIFO(about.st_mode) && !S_ISCHR(about.st_mode))
        return;
    int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own >= 0)
        out_fd = own;
}

void log_setup(const char *who, enum log_level max, int as_json) {
    log_who = who;
    log_max = max;
    log_json = as_json;
    open_own();
}

static bool put_out(struct bytes lines) {
    ssize_t put = out_is_socket ? send(out_fd, lines.at, lines.len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                : write(out_fd, lines.at, lines.len);
    return put >= 0;
}

static uint64_t count_lines(struct bytes lines) {
    uint64_t count = 0;
    for (size_t i = 0; i < lines.len; i++)
        count += lines.at[i] == '\n';
    return count;
}

static void add_line(struct buffer *line, enum log_level level, const char *text);

static void say_what_was_lost(void) {
    char text[64];
    struct buffer line;
    snprintf(text, sizeof text, "%llu log lines were lost: nobody read them", (unsigned long long)lost_lines);
    buffer_init(&line, PIPE_BUF);
    add_line(&line, LOG_LEVEL_WARN, text);
    if (put_out(buffer_bytes(&line)))
        lost_lines = 0;
    buffer_release(&line);
}

static void emit(struct bytes lines) {
    if (lost_lines)
        say_what_was_lost();
    if (!lost_lines && put_out(lines))
        return;
    uint64_t lost = count_lines(lines);
    lost_lines += lost;
    metric_add(METRIC_LOG_LINES_LOST, lost);
}

// ---- Lines

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

// Text from outside may hold anything; a control byte would break the line.
static void make_printable(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static void add_line(struct buffer *line, enum log_level level, const char *text) {
    if (log_json)
        add_json_line(line, level, text);
    else
        add_text_line(line, level, text);
}

void log_line(enum log_level level, const char *format, ...) {
    char text[LOG_LINE_MAX];
    struct buffer line;
    va_list arguments;
    if (level > log_max)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    make_printable(text);
    buffer_init(&line, (size_t)8 * LOG_LINE_MAX);
    add_line(&line, level, text);
    while (line.len > PIPE_BUF) { // JSON's escapes may make it longer than one write may be
        text[strlen(text) / 2] = 0;
        buffer_clear(&line);
        add_line(&line, level, text);
    }
    emit(buffer_bytes(&line));
    buffer_release(&line);
}

bool log_is_due(uint64_t *logged_ns) {
    uint64_t now_ns = clock_mono_ns();
    if (*logged_ns && now_ns - *logged_ns < LOG_PAUSE_NS)
        return false;
    *logged_ns = now_ns;
    return true;
}

// ---- The access log

static struct buffer collected;

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
    if (access->cut) {
        json_key(&json, BYTES("cut"));
        json_bool(&json, true);
    }
    json_close(&json, '}');
    buffer_add_char(line, '\n');
}

static void add_access_text(struct buffer *line, const struct log_access *access) {
    char time[TIME_TEXT_SIZE];
    time_format(clock_now_ms(), time);
    buffer_addf(line, "%s %s access: %s ", time, log_who, access->method);
    buffer_add_bytes(line, access->path);
    buffer_addf(line, " %d %zu %.3f%s\n", access->status, access->bytes, (double)access->took_us / 1000,
                access->cut ? " cut" : "");
}

void log_access_flush(void) {
    if (collected.len)
        emit(buffer_bytes(&collected));
    buffer_clear(&collected);
}

void log_access(const struct log_access *access) {
    struct buffer line;
    buffer_init(&line, PIPE_BUF);
    if (log_json)
        add_access_json(&line, access);
    else
        add_access_text(&line, access);
    if (collected.cap == 0)
        buffer_init(&collected, PIPE_BUF);
    if (collected.len + line.len > PIPE_BUF)
        log_access_flush();
    buffer_add_bytes(&collected, buffer_bytes(&line));
    buffer_release(&line);
}
