// SPDX-License-Identifier: MIT
// The configuration file: INI, read by inih, the one file that knows it. Errors name file and line.
//
// inih cuts a long line in two, takes an indented line for the rest of the one above, and goes on after an error:
// next_line hands it nothing of the kind, and the first complaint is the one that is told. It also cuts a section's
// name at 49 bytes, which is less than a site's may have: next_line keeps the whole name.
#include "base/buffer.h"
#include "ops/settings_inside.h"
#include <errno.h>
#include <ini.h>
#include <stdio.h>

enum { KEYS_MAX = 65536 };

struct reading {
    struct settings *settings;
    enum file_half half;
    FILE *file;
    char section[128]; // "" before the first: "ranking hot", "site news.example"
    bool in_section;
    struct buffer keys;   // those that stood in this section, each with a line feed behind it
    int line, wrong_line; // wrong_line 0: none so far
    char why[WHY_SIZE];
};

static void complain(struct reading *reading, const char *why) {
    if (reading->wrong_line)
        return;
    reading->wrong_line = reading->line;
    snprintf(reading->why, WHY_SIZE, "%s", why);
}

// The kind and the name of the section; false when it is neither a ranking nor a site.
static bool split_section(const char *section, char copy[static 128], const char **ret_name) {
    snprintf(copy, 128, "%s", section);
    char *blank = strchr(copy, ' ');
    if (!blank || !blank[1])
        return false;
    *blank = '\0';
    *ret_name = blank + 1;
    return strcmp(copy, "ranking") == 0 || strcmp(copy, "site") == 0;
}

static bool open_section(struct reading *reading, char why[static WHY_SIZE]) {
    char kind[sizeof reading->section];
    const char *name;
    if (split_section(reading->section, kind, &name))
        return kind[0] == 'r' ? ranking_open(reading->settings, name, why) : site_open(reading->settings, name, why);
    snprintf(why, WHY_SIZE, "[%.60s]: sections are [ranking NAME] and [site NAME]", reading->section);
    return false;
}

static bool set_in_section(struct reading *reading, const char *key, const char *text, char why[static WHY_SIZE]) {
    return reading->section[0] == 'r' ? ranking_set(reading->settings, key, text, why)
                                      : site_set(reading->settings, key, text, why);
}

// Only origins add up; of anything else the last would win without a word.
static bool note_key(struct reading *reading, const char *key, char why[static WHY_SIZE]) {
    struct bytes held = buffer_bytes(&reading->keys);
    size_t len = strlen(key);
    for (const char *at = held.at, *end = held.at + held.len; at < end;
         at = (char *)memchr(at, '\n', (size_t)(end - at)) + 1)
        if ((size_t)(end - at) > len && memcmp(at, key, len) == 0 && at[len] == '\n') {
            snprintf(why, WHY_SIZE, "%.60s: it is set twice", key);
            return strcmp(key, "origins") == 0;
        }
    buffer_addf(&reading->keys, "%s\n", key);
    return true;
}

static int on_value(void *context, const char *section, const char *key, const char *text) {
    struct reading *reading = context;
    char why[WHY_SIZE];
    (void)section;
    if (reading->wrong_line || reading->in_section != (reading->half == FILE_SECTIONS))
        return 1;
    if (!note_key(reading, key, why) || (reading->half == FILE_VALUES ? !value_set(reading->settings, key, text, why)
                                                                      : !set_in_section(reading, key, text, why)))
        complain(reading, why);
    return 1;
}

static const char *fault_of(const char *line, bool whole) {
    if (!whole)
        return "longer than a line may be";
    if ((*line == ' ' || *line == '\t') && !strchr("#;\r\n", line[strspn(line, " \t")]))
        return "begins with a blank";
    return NULL;
}

// A header makes its section, also one without a line in it. False after a complaint.
static bool note_section(struct reading *reading, const char *line) {
    char why[WHY_SIZE] = "the section's name is too long";
    const char *close = strchr(line, ']');
    if (*line != '[' || !close)
        return true;
    bool fits = (size_t)(close - line) <= sizeof reading->section;
    snprintf(reading->section, sizeof reading->section, "%.*s", (int)(close - line - 1), line + 1);
    reading->in_section = true;
    buffer_clear(&reading->keys);
    if (fits && (reading->half == FILE_VALUES || open_section(reading, why)))
        return true;
    complain(reading, why);
    return false;
}

static char *next_line(char *line, int size, void *context) {
    struct reading *reading = context;
    if (!fgets(line, size, reading->file))
        return NULL;
    reading->line++;
    const char *fault = fault_of(line, strchr(line, '\n') || feof(reading->file));
    if (!fault && note_section(reading, line))
        return line;
    if (fault)
        complain(reading, fault);
    return NULL; // nothing behind it matters
}

bool settings_read_file(struct settings *settings, const char *path, enum file_half half, char *ret_error,
                        size_t error_size) {
    struct reading reading = {.settings = settings, .half = half, .file = fopen(path, "re")};
    if (!reading.file) {
        snprintf(ret_error, error_size, "%s: %s", path, strerror(errno));
        return false;
    }
    buffer_init(&reading.keys, KEYS_MAX);
    int malformed = ini_parse_stream(next_line, &reading, on_value, &reading);
    buffer_release(&reading.keys);
    bool unreadable = ferror(reading.file) != 0;
    fclose(reading.file);
    if (unreadable)
        snprintf(ret_error, error_size, "%s: cannot be read", path);
    else if (malformed > 0 && (!reading.wrong_line || malformed < reading.wrong_line))
        snprintf(ret_error, error_size, "%s:%d: not of the form name = value", path, malformed);
    else if (reading.wrong_line)
        snprintf(ret_error, error_size, "%s:%d: %s", path, reading.wrong_line, reading.why);
    return !unreadable && malformed <= 0 && !reading.wrong_line;
}
