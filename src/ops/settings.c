// SPDX-License-Identifier: MIT
// Reads settings in this order: the table's presets, the file, the environment, the command line.
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

// Variables that are no settings: the supervisor sets them for its children (roles/), and the tests for the projector.
static const char *const reserved[] = {"ROLE",       "ROW",        "METRICS_FD", "CEILINGS_FD",
                                       "GENERATION", "SUPERVISOR", "FAILPOINT",  "FILES_FD"};
static const char prefix[] = "ENGAGED_";

struct sources {
    int argc;
    char **argv, **environment;
    const char *file;
    char *ret_error;
    size_t error_size;
};

static bool fail(struct sources *sources, const char *place, const char *why) {
    snprintf(sources->ret_error, sources->error_size, "%s: %s", place, why);
    return false;
}

// ---- Environment

static bool is_reserved(const char *name, size_t len) {
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strlen(reserved[i]) == len && strncmp(name, reserved[i], len) == 0)
            return true;
    return false;
}

static bool take_variable(struct settings *settings, struct sources *sources, const char *variable) {
    char place[96], name[64], why[WHY_SIZE];
    const char *begin = variable + sizeof prefix - 1, *equals = strchr(variable, '=');
    size_t len = equals ? (size_t)(equals - begin) : 0;
    if (!equals || is_reserved(begin, len))
        return true;
    snprintf(place, sizeof place, "%.*s", (int)(equals - variable), variable);
    if (strcmp(place, "ENGAGED_CONFIG") == 0) {
        if (!sources->file)
            sources->file = equals + 1;
        return true;
    }
    snprintf(name, sizeof name, "%.*s", (int)len, begin);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return value_set(settings, name, equals + 1, why) || fail(sources, place, why);
}

static bool read_environment(struct settings *settings, struct sources *sources) {
    for (char **variable = sources->environment; *variable; variable++)
        if (strncmp(*variable, prefix, sizeof prefix - 1) == 0 && !take_variable(settings, sources, *variable))
            return false;
    return true;
}

// ---- Command line

// "--some-name VALUE" or "--some-name=VALUE"; *ret_used arguments were taken. The flag is no setting: it holds for one
// start, so no file may have it.
static bool take_option(struct settings *settings, struct sources *sources, int at, int *ret_used) {
    char name[64], why[WHY_SIZE];
    const char *option = sources->argv[at], *equals = strchr(option, '=');
    *ret_used = 1;
    if (strcmp(option, "--accept-time-zone") == 0)
        return settings->accept_time_zone = true;
    if (strncmp(option, "--", 2) != 0)
        return fail(sources, option, "not an option of the form --some-name VALUE");
    size_t len = equals ? (size_t)(equals - option) : strlen(option);
    if (len - 2 >= sizeof name)
        return fail(sources, option, "no such setting");
    snprintf(name, sizeof name, "%.*s", (int)(len - 2), option + 2);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : *c;
    const char *text = equals ? equals + 1 : at + 1 < sources->argc ? sources->argv[at + 1] : NULL;
    bool is_config = strcmp(name, "config") == 0;
    if (!is_config && !value_exists(name))
        return fail(sources, option, "no such setting");
    if (!text)
        return fail(sources, option, "a value is missing");
    *ret_used = equals ? 1 : 2;
    if (is_config)
        sources->file = text;
    return is_config || value_set(settings, name, text, why) || fail(sources, option, why);
}

static bool read_options(struct settings *settings, struct sources *sources) {
    for (int at = 1, used; at < sources->argc; at += used)
        if (!take_option(settings, sources, at, &used))
            return false;
    return true;
}

// ---- All of them

// Reads the environment and the command line twice: first to find the file, then again because they win over it.
static bool read_all(struct settings *settings, struct sources *sources) {
    char why[WHY_SIZE];
    value_set_all_defaults(settings);
    if (!read_options(settings, sources) || !read_environment(settings, sources))
        return false;
    value_set_all_defaults(settings);
    if (sources->file &&
        !settings_read_file(settings, sources->file, FILE_VALUES, sources->ret_error, sources->error_size))
        return false;
    if (!read_environment(settings, sources) || !read_options(settings, sources))
        return false;
    settings->config_file = sources->file;
    if (!settings_split_kinds(settings, why))
        return fail(sources, "settings", why);
    if (sources->file &&
        !settings_read_file(settings, sources->file, FILE_SECTIONS, sources->ret_error, sources->error_size))
        return false;
    return settings_finish(settings, why) || fail(sources, "settings", why);
}

// A child has copies of the files that its supervisor has read.
static bool take_files(struct settings *settings, struct sources *sources) {
    static const char name[] = "ENGAGED_FILES_FD=";
    for (char **variable = sources->environment; *variable; variable++)
        if (strncmp(*variable, name, sizeof name - 1) == 0)
            return given_files_take(&settings->files, atoi(*variable + sizeof name - 1)) ||
                   fail(sources, "ENGAGED_FILES_FD", "holds no copy of files");
    return true;
}

bool settings_read(struct settings *settings, int argc, char **argv, char **environment, char *ret_error,
                   size_t error_size) {
    struct sources sources = {argc, argv, environment, NULL, ret_error, error_size};
    memset(settings, 0, sizeof *settings);
    if (take_files(settings, &sources) && read_all(settings, &sources))
        return true;
    settings_release(settings);
    return false;
}

void settings_release(struct settings *settings) {
    for (int i = 0; i < RULED_LISTS; i++)
        rules_release(&settings->lists[i]);
    for (uint32_t i = 0; i < settings->ranking_count; i++)
        rules_release(&settings->rankings[i].rules);
    given_files_release(&settings->files);
    free(settings->site_list);
    settings->site_list = NULL;
    settings->site_count = 0;
}
