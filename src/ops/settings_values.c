// SPDX-License-Identifier: MIT
// Single values: text to settings by the table, and the table as help and as a configuration.
#include "base/times.h"
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 4 };

enum value_type { VALUE_TEXT, VALUE_CHOICE, VALUE_NUMBER, VALUE_SECONDS, VALUE_DURATION, VALUE_SIZE, VALUE_SWITCH };

struct setting {
    const char *name;
    enum value_type type;
    size_t offset, size;    // of its field; size for text
    enum text_form form;    // of a text
    const char *low, *high; // of a number
    const char *unit;       // of a number, in --help
    const char *preset, *help;
    const char *words[WORDS_MAX + 1]; // of a choice
};

#define TEXTUAL(number) #number
#define SETTING(name, type, field, ...) {name, type, offsetof(struct settings, field), __VA_ARGS__},
#define TEXT(n, room, text_form, text, sentence)                                                                       \
    SETTING(#n, VALUE_TEXT, n, .size = room, .form = text_form, .preset = text, .help = sentence)
#define WORD(id, text) text,
#define CHOICE(n, word, all, sentence) SETTING(#n, VALUE_CHOICE, n, .words = {all}, .preset = word, .help = sentence)
#define NUMBER(n, least, most, number, sentence)                                                                       \
    SETTING(#n, VALUE_NUMBER, n, .low = TEXTUAL(least), .high = TEXTUAL(most), .preset = TEXTUAL(number),              \
            .help = sentence)
#define SECONDS(n, least, most, number, sentence)                                                                      \
    SETTING(#n, VALUE_SECONDS, n##_s, .low = TEXTUAL(least), .high = TEXTUAL(most), .unit = "s",                       \
            .preset = TEXTUAL(number), .help = sentence)
#define DURATION(n, least, most, time, sentence)                                                                       \
    SETTING(#n, VALUE_DURATION, n##_ms, .low = least, .high = most, .preset = time, .help = sentence)
#define SIZE(n, least, most, bytes, sentence)                                                                          \
    SETTING(#n, VALUE_SIZE, n, .low = least, .high = most, .preset = bytes, .help = sentence)
#define SWITCH(n, on, sentence) SETTING(#n, VALUE_SWITCH, n, .preset = on ? "on" : "off", .help = sentence)
static const struct setting table[] = {
#include "ops/settings.def"
};

_Static_assert(sizeof table / sizeof *table <= SETTINGS_MAX, "given[] has room for all");
// The type of a choice's field is an enum; its size is an unsigned int's with every compiler that builds this.
_Static_assert(sizeof(enum bots_setting) == sizeof(unsigned), "a choice is stored as an unsigned int");

const char *value_name_now(const char *name) {
#define RENAMED(old, now)                                                                                              \
    if (strcmp(name, #old) == 0)                                                                                       \
        return #now;
#include "ops/settings_renamed.def"
#undef RENAMED
    return name;
}

static const struct setting *find(const char *name) {
    name = value_name_now(name);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

bool value_exists(const char *name) {
    return find(name) != NULL;
}

const char *value_text(const struct settings *settings, const char *name) {
    const struct setting *setting = find(name);
    return setting && setting->type == VALUE_TEXT ? (const char *)settings + setting->offset : NULL;
}

bool value_each(struct settings *settings, enum text_form form,
                bool (*fn)(struct settings *settings, const char *name, char why[static WHY_SIZE]),
                char why[static WHY_SIZE]) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].type == VALUE_TEXT && table[i].form == form && !fn(settings, table[i].name, why))
            return false;
    return true;
}

// ---- Text to value

static bool size_parse(struct bytes text, int64_t *ret_bytes) {
    static const struct {
        const char *unit;
        int64_t bytes;
    } units[] = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    unsigned long long number;
    size_t digits = 0;
    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    struct bytes unit = {text.at + digits, text.len - digits};
    if (!bytes_to_u64((struct bytes){text.at, digits}, 1ULL << 40, &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (bytes_eq(unit, bytes_of(units[i].unit)) && number <= (uint64_t)INT64_MAX / (uint64_t)units[i].bytes) {
            *ret_bytes = (int64_t)number * units[i].bytes;
            return true;
        }
    return false;
}

static bool number_parse(struct bytes text, int64_t *ret_number) {
    unsigned long long number;
    if (!bytes_to_u64(text, INT64_MAX, &number))
        return false;
    *ret_number = (int64_t)number;
    return true;
}

// "30", or a duration of whole seconds.
static bool seconds_parse(struct bytes text, int64_t *ret_seconds) {
    int64_t ms;
    if (number_parse(text, ret_seconds))
        return true;
    if (!duration_parse(text, &ms) || ms % 1000)
        return false;
    *ret_seconds = ms / 1000;
    return true;
}

static const struct {
    bool (*parse)(struct bytes text, int64_t *ret_value);
    const char *form;
} forms[] = {
    [VALUE_NUMBER] = {number_parse, "a whole number"},
    [VALUE_SECONDS] = {seconds_parse, "a whole number of seconds"},
    [VALUE_DURATION] = {duration_parse, "a duration such as 250ms, 3s, 30m, 3h or 7d"},
    [VALUE_SIZE] = {size_parse, "a size such as 64KiB, 16MiB or 1GiB"},
};

static bool set_scaled(struct settings *settings, const struct setting *setting, const char *text,
                       char why[static WHY_SIZE]) {
    int64_t number, low, high;
    if (!forms[setting->type].parse(bytes_of(text), &number)) {
        snprintf(why, WHY_SIZE, "\"%.60s\" is not %s", text, forms[setting->type].form);
        return false;
    }
    forms[setting->type].parse(bytes_of(setting->low), &low);
    forms[setting->type].parse(bytes_of(setting->high), &high);
    if (number < low || number > high) {
        snprintf(why, WHY_SIZE, "%.60s is outside %s to %s", text, setting->low, setting->high);
        return false;
    }
    memcpy((char *)settings + setting->offset, &number, sizeof number);
    return true;
}

// ---- Words

// "drop, strict or count"
static void list_words(const struct setting *setting, char list[static WHY_SIZE]) {
    size_t len = 0;
    for (const char *const *word = setting->words; *word; word++)
        len += (size_t)snprintf(list + len, WHY_SIZE - len, "%s%s", len == 0 ? "" : word[1] ? ", " : " or ", *word);
}

static bool set_choice(struct settings *settings, const struct setting *setting, const char *text,
                       char why[static WHY_SIZE]) {
    char list[WHY_SIZE];
    for (unsigned i = 0; setting->words[i]; i++)
        if (strcmp(setting->words[i], text) == 0) {
            memcpy((char *)settings + setting->offset, &i, sizeof i);
            return true;
        }
    list_words(setting, list);
    snprintf(why, WHY_SIZE, "\"%.60s\" is not %.160s", text, list);
    return false;
}

static bool set_switch(struct settings *settings, const struct setting *setting, const char *text,
                       char why[static WHY_SIZE]) {
    bool on = strcmp(text, "on") == 0;
    if (!on && strcmp(text, "off") != 0) {
        snprintf(why, WHY_SIZE, "\"%.60s\" is neither on nor off", text);
        return false;
    }
    memcpy((char *)settings + setting->offset, &on, sizeof on);
    return true;
}

bool value_set(struct settings *settings, const char *name, const char *text, char why[static WHY_SIZE]) {
    const struct setting *setting = find(name);
    if (!setting) {
        snprintf(why, WHY_SIZE, "no such setting");
        return false;
    }
    settings->given[setting - table] = true;
    switch (setting->type) {
    case VALUE_TEXT:
        return text_set((char *)settings + setting->offset, setting->size, setting->form, text, why);
    case VALUE_CHOICE:
        return set_choice(settings, setting, text, why);
    case VALUE_SWITCH:
        return set_switch(settings, setting, text, why);
    default:
        return set_scaled(settings, setting, text, why);
    }
}

// A setting that was not given has the preset of the address.
void value_set_by_address(struct settings *settings) {
    static const struct {
        const char *name, *address, *preset;
    } rows[] = {
#define BY_ADDRESS(name, address, preset) {#name, address, preset},
#include "ops/settings_by_address.def"
#undef BY_ADDRESS
    };
    char why[WHY_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool fits = strncmp(settings->redis, rows[i].address, strlen(rows[i].address)) == 0;
        if (fits && !settings->given[find(rows[i].name) - table] &&
            !value_set(settings, rows[i].name, rows[i].preset, why))
            abort();
    }
}

void value_set_all_defaults(struct settings *settings) {
    char why[WHY_SIZE];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!value_set(settings, table[i].name, table[i].preset, why))
            abort(); // a preset of the table that the table's own limits refuse
    memset(settings->given, false, sizeof settings->given);
}

// ---- Value to text

void settings_print_help(void) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char option[64];
        size_t len = (size_t)snprintf(option, sizeof option, "--%s", table[i].name);
        for (size_t j = 0; j < len; j++)
            option[j] = option[j] == '_' ? '-' : option[j];
        printf("  %-26s %s [%s%s]\n", option, table[i].help, table[i].preset, table[i].unit ? table[i].unit : "");
    }
}

static void print_scaled(enum value_type type, int64_t number) {
    static const struct {
        enum value_type type;
        const char *unit;
        int64_t worth;
    } units[] = {{VALUE_DURATION, "d", 86400000}, {VALUE_DURATION, "h", 3600000}, {VALUE_DURATION, "m", 60000},
                 {VALUE_DURATION, "s", 1000},     {VALUE_DURATION, "ms", 1},      {VALUE_SIZE, "GiB", 1 << 30},
                 {VALUE_SIZE, "MiB", 1 << 20},    {VALUE_SIZE, "KiB", 1 << 10}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].type == type && number && number % units[i].worth == 0) {
            printf("%lld%s\n", (long long)(number / units[i].worth), units[i].unit);
            return;
        }
    printf("%lld\n", (long long)number);
}

static void print_value(const struct setting *setting, const char *at) {
    if (setting->type == VALUE_TEXT)
        puts(text_is_secret(setting->form) && *at ? "(set)" : at);
    else if (setting->type == VALUE_CHOICE)
        puts(setting->words[*(const unsigned *)(const void *)at]);
    else if (setting->type == VALUE_SWITCH)
        puts(*(const bool *)at ? "on" : "off");
    else
        print_scaled(setting->type, *(const int64_t *)(const void *)at);
}

void settings_print_config(const struct settings *settings) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        printf("%s = ", table[i].name);
        print_value(&table[i], (const char *)settings + table[i].offset);
    }
    settings_print_sections(settings);
}
