// SPDX-License-Identifier: MIT
// The configuration file: INI. Only this file knows inih. Errors name file and line.
//
// inih cuts a long line in two, takes an indented line for a continuation, and continues after an error. next_line
// passes it no such line, and the first error is the one that is reported. inih also cuts a section's name at 49 bytes,
// which is too short for a site: next_line keeps the whole name. Every process reads the file, and reads it several
// times.
#include "base/buffer.h"
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <sys/stat.h>

enum { KEYS_MAX = 65536 };

struct file_reading {
    struct settings *settings;
    enum file_half half;
    FILE *file;
    char section[128]; // "" before the first: "ranking hot", "site news.example"
    bool in_section;
    struct buffer keys;   // the keys of this section so far, each with a line feed behind it
    int line, wrong_line; // wrong_line 0: none so far
    char why[WHY_SIZE];
};

static void complain(struct file_reading *reading, const char *why) {
    if (reading->wrong_line)
        return;
    reading->wrong_line = reading->line;
    snprintf(reading->why, WHY_SIZE, "%s", why);
}

static const struct section_kind {
    const char *name;
    bool (*open)(struct settings *settings, const char *name, char why[static WHY_SIZE]);
    bool (*set)(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]);
} section_kinds[] = {
    {"ranking", ranking_open, ranking_set},
    {"list", list_open, list_set},
    {"site", site_open, site_set},
};

// The kind of the section, and its name in `copy`; NULL when there is no such kind.
static const struct section_kind *split_section(const char *section, char copy[static 128], const char **ret_name) {
    snprintf(copy, 128, "%s", section);
    char *blank = strchr(copy, ' ');
    if (!blank || !blank[1])
        return NULL;
    *blank = '\0';
    *ret_name = blank + 1;
    for (size_t i = 0; i < sizeof section_kinds / sizeof *section_kinds; i++)
        if (strcmp(copy, section_kinds[i].name) == 0)
            return &section_kinds[i];
    return NULL;
}

static bool open_section(struct file_reading *reading, char why[static WHY_SIZE]) {
    char copy[sizeof reading->section];
    const char *name;
    const struct section_kind *kind = split_section(reading->section, copy, &name);
    if (kind)
        return kind->open(reading->settings, name, why);
    snprintf(why, WHY_SIZE, "[%.60s]: sections are [ranking NAME], [list NAME] and [site NAME]", reading->section);
    return false;
}

static bool set_in_section(struct file_reading *reading, const char *key, const char *text, char why[static WHY_SIZE]) {
    char copy[sizeof reading->section];
    const char *name;
    const struct section_kind *kind = split_section(reading->section, copy, &name);
    return kind && kind->set(reading->settings, key, text, why);
}

// Only `origins` and some rules of lists may occur again: for any other key, also by its old name, the last line would
// win silently.
static bool note_key(struct file_reading *reading, const char *key, char why[static WHY_SIZE]) {
    struct bytes held = buffer_bytes(&reading->keys);
    key = value_name_now(key);
    size_t len = strlen(key);
    for (const char *at = held.at, *end = held.at + held.len; at < end;
         at = (char *)memchr(at, '\n', (size_t)(end - at)) + 1)
        if ((size_t)(end - at) > len && memcmp(at, key, len) == 0 && at[len] == '\n') {
            snprintf(why, WHY_SIZE, "%.60s: it is set twice", key);
            return strcmp(key, "origins") == 0 || (reading->in_section && rule_repeats(key));
        }
    buffer_addf(&reading->keys, "%s\n", key);
    return true;
}

static int on_value(void *context, const char *section, const char *key, const char *text) {
    struct file_reading *reading = context;
    char why[WHY_SIZE];
    (void)section;
    if (reading->wrong_line || reading->in_section != (reading->half == FILE_SECTIONS))
        return 1;
    if (reading->half == FILE_VALUES && strcmp(key, UNNAMED_KEY) == 0)
        reading->settings->like_hash = key_like_hash(text);
    if (!note_key(reading, key, why) || (reading->half == FILE_VALUES ? !value_set(reading->settings, key, text, why)
                                                                      : !set_in_section(reading, key, text, why)))
        complain(reading, why);
    return 1;
}

// Reads a line with its end, like fgets. It returns the number of bytes, because a NUL may be one of them. 0: there is
// no line.
static size_t read_line(FILE *file, char *line, size_t size) {
    size_t len = 0;
    for (int c = 0; len + 1 < size && c != '\n' && (c = getc(file)) != EOF;)
        line[len++] = (char)c;
    line[len] = '\0';
    return len;
}

// A NUL would hide the rest of its line. In a file with carriage returns alone a comment would hide everything.
static bool holds_control(const char *line, size_t len) {
    if (len && line[len - 1] == '\n')
        len -= len > 1 && line[len - 2] == '\r' ? 2 : 1;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < ' ' && line[i] != '\t')
            return true;
    return false;
}

static const char *fault_of(const char *line, size_t len, bool ended) {
    if (holds_control(line, len))
        return "holds a control character";
    if (line[len - 1] != '\n' && !ended)
        return "longer than a line may be";
    if ((*line == ' ' || *line == '\t') && !strchr("#;\r\n", line[strspn(line, " \t")]))
        return "begins with a blank";
    return NULL;
}

// A header makes its section, even without a line in it. False after an error.
static bool note_section(struct file_reading *reading, const char *line) {
    char why[WHY_SIZE] = "the section's name is too long";
    const char *close = strchr(line, ']');
    if (*line != '[' || !close)
        return true;
    const char *behind = close + 1 + strspn(close + 1, " \t\r\n");
    if (*behind && !strchr("#;", *behind)) {
        complain(reading, "there is text behind the section's name");
        return false;
    }
    bool fits = (size_t)(close - line) <= sizeof reading->section;
    snprintf(reading->section, sizeof reading->section, "%.*s", (int)(close - line - 1), line + 1);
    reading->in_section = true;
    buffer_clear(&reading->keys);
    if (fits && (reading->half == FILE_VALUES || open_section(reading, why)))
        return true;
    complain(reading, why);
    return false;
}

// Some editors write a byte order mark before the first line.
static size_t cut_mark(char *line, size_t len) {
    static const char mark[] = "\xEF\xBB\xBF";
    size_t cut = strncmp(line, mark, sizeof mark - 1) == 0 ? sizeof mark - 1 : 0;
    memmove(line, line + cut, len - cut + 1);
    return len - cut;
}

static char *next_line(char *line, int size, void *context) {
    struct file_reading *reading = context;
    size_t len = read_line(reading->file, line, (size_t)size);
    if (len == 0)
        return NULL;
    if (reading->line++ == 0)
        len = cut_mark(line, len);
    const char *fault = len ? fault_of(line, len, feof(reading->file)) : NULL;
    if (!fault && note_section(reading, line))
        return line;
    if (fault)
        complain(reading, fault);
    return NULL; // nothing behind it matters
}

// A pipe can be read only once.
static FILE *open_file(const char *path, char *ret_error, size_t error_size) {
    struct stat about;
    bool once = stat(path, &about) == 0 && (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode));
    FILE *file = once ? NULL : fopen(path, "re");
    if (!file)
        snprintf(ret_error, error_size, "%s: %s", path, once ? "is a pipe, and not a file" : strerror(errno));
    return file;
}

bool settings_read_file(struct settings *settings, const char *path, enum file_half half, char *ret_error,
                        size_t error_size) {
    struct file_reading reading = {.settings = settings, .half = half, .file = open_file(path, ret_error, error_size)};
    if (!reading.file)
        return false;
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
