// SPDX-License-Identifier: MIT
// Each tool reads the settings as the service does, without its own options. To add one: a row of tools.def and its
// function.
#include "roles/tools.h"
#include "api/assets.h"
#include "base/clock.h"
#include "model/keys.h"
#include "roles/backup.h"
#include "roles/convert.h"
#include "roles/memory.h"
#include "roles/partitions.h"
#include "roles/secrets.h"
#include "store/probe.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

extern char **environ;

enum { HELP_COLUMN = 38 };

// Takes "--name VALUE" out of argv.
static const char *take_option(int *argc, char **argv, const char *name) {
    for (int i = 1; i + 1 < *argc; i++) {
        if (strcmp(argv[i], name) != 0)
            continue;
        const char *value = argv[i + 1];
        memmove(&argv[i], &argv[i + 2], (size_t)(*argc - i - 1) * sizeof *argv);
        *argc -= 2;
        return value;
    }
    return NULL;
}

static int fail(const char *line) {
    fprintf(stderr, "engaged: %s\n", line);
    return 1;
}

// ---- engaged tokens

static int run_tokens(int argc, char **argv) {
    struct settings settings;
    struct role role;
    char error[512], text[TOKEN_SIZE];
    unsigned long long count = 1;
    const char *site = take_option(&argc, argv, "--site"), *number = take_option(&argc, argv, "--count");
    if (!site || !site_name_valid(bytes_of(site)))
        return fail("tokens: --site NAME is needed");
    if (number && !bytes_to_u64(bytes_of(number), 100000000, &count))
        return fail("tokens: --count is not a number");
    if (!settings_read(&settings, argc, argv, environ, error, sizeof error) ||
        !role_prepare(&role, &settings, error, sizeof error))
        return fail(error);
    for (unsigned long long i = 0; i < count; i++) {
        uint8_t id[VISITOR_ID_SIZE];
        random_fill(id, sizeof id);
        token_make(&role.tokens, bytes_of(site), id, clock_now_ms(), text);
        puts(text);
    }
    settings_release(&settings);
    return 0;
}

// ---- engaged check

// Takes "--name" out of argv.
static bool take_flag(int *argc, char **argv, const char *name) {
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], name) != 0)
            continue;
        memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof *argv);
        (*argc)--;
        return true;
    }
    return false;
}

static void warn(const char *line) {
    fprintf(stderr, "engaged: warning: %s\n", line);
}

// The names of the keys of each site that has named ones.
static void tell_keys(const struct settings *settings) {
    for (uint32_t i = 0; i < settings->site_count; i++) {
        const struct site_setting *site = &settings->site_list[i];
        const char *comma = "";
        if (site->key_count == 0)
            continue;
        printf("Keys of %s: ", site->name);
        if (site->secret_key[0] || settings->secret_key[0]) {
            printf("%s", UNNAMED_KEY);
            comma = ", ";
        }
        for (uint32_t j = 0; j < site->key_count; j++, comma = ", ")
            printf("%s%s", comma, site->keys[j].name);
        puts(".");
    }
}

// Without --connect it asks no Redis. An embedded Redis is the service's own.
static int run_check(int argc, char **argv) {
    struct settings settings;
    char error[512];
    bool connects = take_flag(&argc, argv, "--connect");
    if (!settings_read(&settings, argc, argv, environ, error, sizeof error))
        return fail(error);
    connects &= strncmp(settings.redis, "embedded:", 9) != 0;
    bool right =
        role_check(&settings, error, sizeof error) && (!connects || probe_redis(&settings, warn, error, sizeof error));
    if (right) {
        site_keys_warn(&settings, warn);
        tell_keys(&settings);
    }
    settings_release(&settings);
    if (!right)
        return fail(error);
    puts(connects ? "The configuration is right, and so is the Redis that answers." : "The configuration is right.");
    return 0;
}

// ---- engaged key

static int run_key(int argc, char **argv) {
    struct secret_key key;
    char hex[2 * KEY_SIZE + 1], sha256[KEY_DIGEST_SIZE];
    if (argc != 2 || !site_key_name_valid(argv[1]) || strcasecmp(argv[1], UNNAMED_KEY) == 0)
        return fail("key: NAME is needed, 1 to 31 of A-Z a-z 0-9 _ . -, beginning with none of . -");
    random_fill(&key, sizeof key);
    secret_key_format(&key, hex);
    sha256_hex(bytes_of(hex), sha256);
    printf("For %s, shown only now:\n%s\nFor the site's section of the configuration:\nkey.%s = sha256:%s\n", argv[1],
           hex, argv[1], sha256);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : fail("key: it can't be written");
}

// ---- engaged widget

static int run_widget(int argc, char **argv) {
    struct bytes text = asset_text("widget.js");
    bool hash = argc == 2 && strcmp(argv[1], "--hash") == 0;
    char digest[65];
    if (argc > 1 && !hash)
        return fail("widget: only --hash may follow");
    sha384_base64(text, digest);
    if (hash)
        printf("sha384-%s\n", digest);
    else
        fwrite(text.at, 1, text.len, stdout);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : fail("widget: it can't be written");
}

// ---- Tools that speak with Redis

static int run_with_role(int argc, char **argv, int (*run)(const struct role *role, const char *file),
                         const char *file) {
    struct settings settings;
    struct role role;
    char error[512];
    if (!settings_read(&settings, argc, argv, environ, error, sizeof error))
        return fail(error);
    bool right = role_prepare(&role, &settings, error, sizeof error);
    secrets_hide(&argc, argv);
    int code = right ? run(&role, file) : fail(error);
    settings_release(&settings);
    return code;
}

static int run_on_file(int argc, char **argv, int (*run)(const struct role *role, const char *file)) {
    if (argc < 2 || argv[1][0] == '-')
        return fail("a FILE is needed, before any option");
    const char *file = argv[1];
    argv[1] = argv[0];
    return run_with_role(argc - 1, argv + 1, run, file);
}

static int run_backup(int argc, char **argv) {
    return run_on_file(argc, argv, backup_run);
}

static int run_restore(int argc, char **argv) {
    return run_on_file(argc, argv, restore_run);
}

static int print_memory(const struct role *role, const char *unused) {
    (void)unused;
    return memory_run(role);
}

static int run_memory(int argc, char **argv) {
    return run_with_role(argc, argv, print_memory, NULL);
}

static int print_partitions(const struct role *role, const char *seconds) {
    return partitions_run(role, (uint32_t)strtoul(seconds, NULL, 10));
}

static int run_partitions(int argc, char **argv) {
    unsigned long long number;
    const char *seconds = take_option(&argc, argv, "--seconds");
    if (seconds && (!bytes_to_u64(bytes_of(seconds), PARTITIONS_SECONDS_MAX, &number) || number == 0))
        return fail("partitions: --seconds is a number from 1 to 3600");
    return run_with_role(argc, argv, print_partitions, seconds ? seconds : "5");
}

static int run_convert(int argc, char **argv) {
    return convert_run(argc, argv);
}

static const struct tool tools[] = {
#define TOOL(name, arguments, help) {#name, arguments, help, run_##name},
#include "roles/tools.def"
};

const struct tool *tool_find(const char *name) {
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
        if (strcmp(tools[i].name, name) == 0)
            return &tools[i];
    return NULL;
}

void tools_print_help(void) {
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        int used = printf("  engaged %s %s", tools[i].name, tools[i].arguments);
        printf("%*s%s\n", used < HELP_COLUMN ? HELP_COLUMN - used : 1, "", tools[i].help);
    }
}
