// SPDX-License-Identifier: MIT
// Log lines to stderr, each in one write, so that lines of several processes never mix.
#include "ops/log.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/times.h"
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_MOST = 2048 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *log_who = "engaged";
static enum log_level log_most = LOG_LEVEL_INFO;
static int log_json;

void log_setup(const char *who, enum log_level most, int as_json) {
    log_who = who;
    log_most = most;
    log_json = as_json;
}

static void add_json_line(struct buffer *line, enum log_level level, const char *text) {
    struct json_out json = json_out_to(line);
    json_open(&json, '{');
    json_key(&json, BYTES("time"));
    json_time(&json, clock_now_ms());
    json_key(&json, BYTES("process"));
    json_text(&json, bytes_of(log_who));
    json_key(&json, BYTES("level"));
    json_text(&json, bytes_of(level_names[level]));
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
