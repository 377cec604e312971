// SPDX-License-Identifier: MIT
// Single values: text to settings by the table, and the table as help and as a configuration.
#include "base/netaddr.h"
#include "base/times.h"
#include "ops/settings_inside.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum value_type { VALUE_TEXT, VALUE_NUMBER, VALUE_DURATION, VALUE_SIZE, VALUE_SWITCH };

struct value {
    const char *name;
    enum value_type type;
    size_t offset, size; // of its field; size for text
    const char *low, *high, *preset, *help;
};

#define TEXTUAL(number) #number
#define TEXT(n, size, preset, help) {#n, VALUE_TEXT, offsetof(struct settings, n), size, NULL, NULL, preset, help},
#define NUMBER(n, low, high, preset, help)                                                                             \
    {#n, VALUE_NUMBER, offsetof(struct settings, n), 0, TEXTUAL(low), TEXTUAL(high), TEXTUAL(preset), help},
#define DURATION(n, low, high, preset, help)                                                                           \
    {#n, VALUE_DURATION, offsetof(struct settings, n##_ms), 0, low, high, preset, help},
#define SIZE(n, low, high, preset, help) {#n, VALUE_SIZE, offsetof(struct settings, n), 0, low, high, preset, help},
#define SWITCH(n, preset, help)                                                                                        \
    {#n, VALUE_SWITCH, offsetof(struct settings, n), 0, NULL, NULL, preset ? "on" : "off", help},
static const struct value values[] = {
#include "ops/settings.def"
};

// The present name of a setting that has been renamed.
static const char *name_now(const char *name) {
#define RENAMED(old, now)                                                                                              \
    if (strcmp(name, #old) == 0)                                                                                       \
        return #now;
#include "ops/settings_renamed.def"
#undef RENAMED
    return name;
}

static const struct value *find(const char *name) {
    name = name_now(name);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strcmp(values[i].name, name) == 0)
            return &values[i];
    return NULL;
}

bool value_exists(const char *name) {
    return find(name) != NULL;
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

static const struct {
    bool (*parse)(struct bytes text, int64_t *ret_value);
    const char *form;
} forms[] = {
    [VALUE_NUMBER] = {number_parse, "a whole number"},
    [VALUE_DURATION] = {duration_parse, "a duration such as 250ms, 3s, 30m, 3h or 7d"},
    [VALUE_SIZE] = {size_parse, "a size such as 64KiB, 16MiB or 1GiB"},
};

static bool set_scaled(struct settings *settings, const struct value *value, const char *text,
                       char why[static WHY_SIZE]) {
    int64_t number, low, high;
    if (!forms[value->type].parse(bytes_of(text), &number)) {
        snprintf(why, WHY_SIZE, "\"%.60s\" is not %s", text, forms[value->type].form);
        return false;
    }
    forms[value->type].parse(bytes_of(value->low), &low);
    forms[value->type].parse(bytes_of(value->high), &high);
    if (number < low || number > high) {
        snprintf(why, WHY_SIZE, "%.60s is outside %s to %s", text, value->low, value->high);
        return false;
    }
    memcpy((char *)settings + value->offset, &number, sizeof number);
    return true;
}

// ---- Texts of a certain form

static bool is_word(const char *text, const char *words) {
    char copy[64], *rest = copy;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word; (word = strsep(&rest, " "));)
        if (strcmp(word, text) == 0)
            return true;
    return false;
}

static bool is_port(const char *text) {
    unsigned long long port = 0;
    return bytes_to_u64(bytes_of(text), 65535, &port) && port > 0;
}

// "fd:N" is what a supervisor tells its workers: a socket that it has opened for all of them.
static bool is_listen(const char *text, const char *unused) {
    (void)unused;
    unsigned long long fd;
    if (strncmp(text, "unix:", 5) == 0)
        return text[5] != '\0' && strlen(text + 5) < 108;
    if (strncmp(text, "fd:", 3) == 0)
        return bytes_to_u64(bytes_of(text + 3), 1 << 20, &fd);
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || !is_port(colon + 1))
        return false;
    return (text[0] == '[' && colon[-1] == ']') || memchr(text, ':', (size_t)(colon - text)) == NULL;
}

// Octal; the owner reads and writes, as the service does.
static bool is_mode(const char *text, const char *unused) {
    (void)unused;
    text += strlen(text) == 4 && *text == '0';
    return *text == '\0' || (strlen(text) == 3 && strspn(text, "01234567") == 3 && *text >= '6');
}

static bool is_redis(const char *text, const char *unused) {
    (void)unused;
    return strncmp(text, "embedded:", 9) == 0 || strncmp(text, "redis://", 8) == 0 || strncmp(text, "unix:", 5) == 0;
}

static bool is_hex_key(const char *text, const char *unused) {
    (void)unused;
    return *text == '\0' || (strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64);
}

// As it is, or by its hash. It comes in a header field: no blanks, nothing outside ASCII.
bool bearer_valid(const char *text) {
    if (strncmp(text, "sha256:", 7) == 0)
        return strlen(text) == 7 + 64 && strspn(text + 7, "0123456789abcdefABCDEF") == 64;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

void bearer_fold(char *text) {
    for (char *at = text; strncmp(text, "sha256:", 7) == 0 && *at; at++)
        *at = *at >= 'A' && *at <= 'F' ? (char)(*at - 'A' + 'a') : *at;
}

static bool is_bearer(const char *text, const char *unused) {
    (void)unused;
    return bearer_valid(text);
}

static bool is_origin(const char *text, const char *unused) {
    (void)unused;
    return *text == '\0' || origin_valid(text);
}

static bool is_publisher_listen(const char *text, const char *unused) {
    return *text == '\0' || strcmp(text, PUBLISHERS_ON_OPS) == 0 || is_listen(text, unused);
}

static bool is_proxy_list(const char *text, const char *unused) {
    (void)unused;
    struct netranges ranges;
    return netranges_parse(bytes_of(text), &ranges);
}

static const struct {
    const char *name;
    bool (*fits)(const char *text, const char *words);
    const char *words, *form;
} text_forms[] = {
    {"listen", is_listen, NULL, "host:port, [v6]:port or unix:PATH"},
    {"ops_listen", is_listen, NULL, "host:port, [v6]:port or unix:PATH"},
    {"publisher_listen", is_publisher_listen, NULL, "host:port, [v6]:port, unix:PATH, ops_listen or nothing"},
    {"listen_mode", is_mode, NULL, "a mode in octal, 0600 to 0777"},
    {"cookie_form", is_word, "lax host partitioned", "lax, host or partitioned"},
    {"redis", is_redis, NULL, "embedded:DIR, redis://[user:password@]host:port[/db] or unix:PATH"},
    {"secret", is_hex_key, NULL, "64 hex digits"},
    {"secret_old", is_hex_key, NULL, "64 hex digits"},
    {"hash_key", is_hex_key, NULL, "64 hex digits"},
    {"secret_key", is_bearer, NULL, "visible ASCII characters, or sha256: and 64 hex digits"},
    {"public_url", is_origin, NULL, "https://host[:port]"},
    {"sites", is_word, "any declared", "any or declared"},
    {"log_level", is_word, "error warn info debug", "error, warn, info or debug"},
    {"log_format", is_word, "text json", "text or json"},
    {"trusted_proxies", is_proxy_list, NULL,
     "auto, or a list of at most 64 addresses, ranges such as 10.0.0.0/8, unix or auto"},
    {"bots", is_word, "drop strict count", "drop, strict or count"},
    {"opt_out", is_word, "anonymous drop ignore", "anonymous, drop or ignore"},
    {"list_unknown", is_word, "auto on off", "auto, on or off"},
    {"redis_eviction", is_word, "refuse accept", "refuse or accept"},
    {"unknown_items", is_word, "accept reject", "accept or reject"},
};

static bool is_secret(const char *name) {
    return strncmp(name, "secret", 6) == 0 || strcmp(name, "hash_key") == 0;
}

// A refused secret is not repeated: the line goes to a log. Nor is an address of Redis, it may hold a password.
static bool fits(const char *name, const char *text, char why[static WHY_SIZE]) {
    bool hide = is_secret(name) || strcmp(name, "redis") == 0;
    for (size_t i = 0; i < sizeof text_forms / sizeof *text_forms; i++) {
        if (strcmp(text_forms[i].name, name) != 0 || text_forms[i].fits(text, text_forms[i].words))
            continue;
        snprintf(why, WHY_SIZE, hide ? "%.0snot %s" : "\"%.60s\" is not %s", text, text_forms[i].form);
        return false;
    }
    return true;
}

static bool set_text(struct settings *settings, const struct value *value, const char *text,
                     char why[static WHY_SIZE]) {
    if (strlen(text) >= value->size) {
        snprintf(why, WHY_SIZE, "longer than %zu bytes", value->size - 1);
        return false;
    }
    if (!fits(value->name, text, why))
        return false;
    char *copy = memcpy((char *)settings + value->offset, text, strlen(text) + 1);
    if (*text && strcmp(value->name, "public_url") == 0)
        origin_fold(copy);
    if (strcmp(value->name, "secret_key") == 0)
        bearer_fold(copy);
    return true;
}

static bool set_switch(struct settings *settings, const struct value *value, const char *text,
                       char why[static WHY_SIZE]) {
    bool on = strcmp(text, "on") == 0;
    if (!on && strcmp(text, "off") != 0) {
        snprintf(why, WHY_SIZE, "\"%.60s\" is neither on nor off", text);
        return false;
    }
    memcpy((char *)settings + value->offset, &on, sizeof on);
    return true;
}

bool value_set(struct settings *settings, const char *name, const char *text, char why[static WHY_SIZE]) {
    const struct value *value = find(name);
    if (!value) {
        snprintf(why, WHY_SIZE, "no such setting");
        return false;
    }
    if (value->type == VALUE_TEXT)
        return set_text(settings, value, text, why);
    if (value->type == VALUE_SWITCH)
        return set_switch(settings, value, text, why);
    return set_scaled(settings, value, text, why);
}

void value_set_all_defaults(struct settings *settings) {
    char why[WHY_SIZE];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!value_set(settings, values[i].name, values[i].preset, why))
            abort(); // a preset of the table that the table's own limits refuse
}

// ---- Value to text

void settings_print_help(void) {
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char option[64];
        size_t len = (size_t)snprintf(option, sizeof option, "--%s", values[i].name);
        for (size_t j = 0; j < len; j++)
            option[j] = option[j] == '_' ? '-' : option[j];
        printf("  %-26s %s [%s]\n", option, values[i].help, values[i].preset);
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

void settings_print_config(const struct settings *settings) {
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const struct value *value = &values[i];
        const char *at = (const char *)settings + value->offset;
        printf("%s = ", value->name);
        if (value->type == VALUE_TEXT)
            printf("%s\n", is_secret(value->name) && *at ? "(set)" : at);
        else if (value->type == VALUE_SWITCH)
            printf("%s\n", *(const bool *)at ? "on" : "off");
        else
            print_scaled(value->type, *(const int64_t *)(const void *)at);
    }
    settings_print_sections(settings);
}
