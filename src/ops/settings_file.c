// SPDX-License-Identifier: MIT
// The configuration file: INI, read by inih, the one file that knows it. Errors name file and line.
#include "ops/settings_inside.h"
#include <errno.h>
#include <ini.h>
#include <stdio.h>

struct reading {
    struct settings *settings;
    enum file_half half;
    char why[WHY_SIZE];
};

static bool take_section(struct reading *reading, char *section, const char *key, const char *text) {
    char *name = strchr(section, ' ');
    if (name) {
        *name++ = '\0';
        if (strcmp(section, "ranking") == 0)
            return ranking_set(reading->settings, name, key, text, reading->why);
        if (strcmp(section, "site") == 0)
            return site_set(reading->settings, name, key, text, reading->why);
    }
    snprintf(reading->why, WHY_SIZE, "[%.60s]: sections are [ranking NAME] and [site NAME]", section);
    return false;
}

static int on_line(void *context, const char *section, const char *key, const char *text) {
    struct reading *reading = context;
    char copy[128];
    if ((*section != '\0') != (reading->half == FILE_SECTIONS))
        return 1;
    if (reading->half == FILE_VALUES)
        return value_set(reading->settings, key, text, reading->why);
    snprintf(copy, sizeof copy, "%s", section);
    return take_section(reading, copy, key, text);
}

bool settings_read_file(struct settings *settings, const char *path, enum file_half half, char *ret_error,
                        size_t error_size) {
    struct reading reading = {.settings = settings, .half = half};
    int line = ini_parse(path, on_line, &reading);
    if (line == 0)
        return true;
    if (line < 0)
        snprintf(ret_error, error_size, "%s: %s", path, errno ? strerror(errno) : "cannot be read");
    else
        snprintf(ret_error, error_size, "%s:%d: %s", path, line,
                 reading.why[0] ? reading.why : "not of the form name = value");
    return false;
}
