// SPDX-License-Identifier: MIT
// `engaged convert FORM < in > out.ndjson`: a filter that makes lines for POST items and POST events of what other
// programs have counted.
//
// One line in is none, one or many lines out. A form (struct conversion_form) is a function that takes a line and says
// why it is a bad one, if it is. Bad lines are named on stderr and never stop the rest. Lines have a limit, so memory
// has one. To add a form: a file beside convert_access_log.c, its row in `forms` of convert.c, and in
// docs/migrating.md.
#pragma once
#include "base/arena.h"
#include "base/buffer.h"
#include "base/json_out.h"
#include "base/keyed.h"
#include <regex.h>
#include <stdio.h>

enum { CONVERT_LINE_MAX = 64 << 10, CONVERT_VIEWS_MAX = 1000000 };
enum left_out { LEFT_BOT, LEFT_ASSET, LEFT_OTHER, LEFT_OUT_REASONS };
enum conversion_option {
    OPTION_ITEM_PATTERN,
    OPTION_VISITOR_KEY,
    OPTION_BOTS,
    OPTION_ITEM_PREFIX,
    OPTION_TIME_ZONE,
    OPTIONS
};

struct conversion {
    const char *options[OPTIONS]; // as they were given; NULL: not given
    regex_t item_pattern;
    struct secret_key key; // that hashes visitors
    int64_t now_ms;
    uint64_t line, bad, written, left_out[LEFT_OUT_REASONS];
    struct arena arena; // of a line
    struct buffer out;
    bool failed;     // the output can't be written
    void *form_data; // of the form, calloc'd; freed at the end
};

struct conversion_form {
    const char *name;
    unsigned options; // which of them it takes: 1 << OPTION_…
    // Once, before the first line. An error, or NULL.
    const char *(*begin)(struct conversion *conversion);
    // Why the line is a bad one; NULL: it is good, or left out. The line has no line end.
    const char *(*take)(struct conversion *conversion, struct bytes line);
    // After the last line: why the whole input is a bad one, or NULL.
    const char *(*end)(struct conversion *conversion);
};

extern const struct conversion_form access_log_form, popular_posts_form;

// A view, as a line for POST events.
void convert_view(struct conversion *conversion, struct bytes item, struct bytes visitor, int64_t unix_ms);
// Ends a line of the output.
void convert_line_end(struct conversion *conversion);
int convert_run(int argc, char **argv);
