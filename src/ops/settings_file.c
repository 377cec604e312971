// SPDX-License-Identifier: MIT
// The configuration file: INI, read by inih, the one file that knows it. Errors name file and line.
//
// inih cuts a long line in two, takes an indented line for the rest of the one above, and goes on after an error:
// next_line hands it nothing of the kind, and the first complaint is the one that is told. It also cuts a section's
// name at 49 bytes, which is less than a site's may have: next_line keeps the whole name.
#include "ops/settings_inside.h"
#include <errno.h>
#include <ini.h>
#include <stdio.h>

struct reading {
    struct settings *settings;
    enum file_half half;
    FILE *file;
    char section[128];
    bool in_section;
    int line, wrong_line; // wrong_line 0: none so far
    char why[WHY_SIZE];
};

static void complain(struct reading *reading, const char *why) {
    if (reading->wrong_line)
        return;
    reading->wrong_line = reading->line;
    snprintf(reading->why, WHY_SIZE, "%s", why);
}

static bool take_section(struct reading *reading, char *section, const char *key, const char *text,
                         char why[static WHY_SIZE]) {
    char *name = strchr(section, ' ');
    if (name) {
        *name++ = '\0';
        if (strcmp(section, "ranking") == 0)
            return ranking_set(reading->settings, name, key, text, why);
        if (strcmp(section, "site") == 0)
            return site_set(reading->settings, name, key, text, why);
    }
    snprintf(why, WHY_SIZE, "[%.60s]: sections are [ranking NAME] and [site NAME]", section);
    return false;
}

static int on_value(void *context, const char *section, const char *key, const char *text) {
    struct reading *reading = context;
    char copy[sizeof reading->section], why[WHY_SIZE];
    (void)section;
    if (reading->wrong_line || reading->in_section != (reading->half == FILE_SECTIONS))
        return 1;
    memcpy(copy, reading->section, sizeof copy);
    if (reading->half == FILE_VALUES ? !value_set(reading->settings, key, text, why)
                                     : !take_section(reading, copy, key, text, why))
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

static const char *note_section(struct reading *reading, const char *line) {
    const char *close = strchr(line, ']');
    if (*line != '[' || !close)
        return NULL;
    if ((size_t)(close - line) > sizeof reading->section)
        return "the section's name is too long";
    snprintf(reading->section, sizeof reading->section, "%.*s", (int)(close - line - 1), line + 1);
    reading->in_section = true;
    return NULL;
}

static char *next_line(char *line, int size, void *context) {
    struct reading *reading = context;
    if (!fgets(line, size, reading->file))
        return NULL;
    reading->line++;
    const char *fault = fault_of(line, strchr(line, '\n') || feof(reading->file));
    if (!fault)
        fault = note_section(reading, line);
    if (!fault)
        return line;
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
    int malformed = ini_parse_stream(next_line, &reading, on_value, &reading);
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
