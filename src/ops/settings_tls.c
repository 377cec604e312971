// SPDX-License-Identifier: MIT
// The settings of TLS to Redis: which go together, and the files that they name.
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <stdio.h>

bool settings_use_tls(const struct settings *settings) {
    return settings->redis_tls || strncmp(settings->redis, "rediss://", 9) == 0;
}

static bool fail(char why[static WHY_SIZE], const char *name, const char *reason) {
    snprintf(why, WHY_SIZE, "%.40s: %.200s", name, reason);
    return false;
}

static bool is_by_socket(const struct settings *settings) {
    return strncmp(settings->redis, "unix:", 5) == 0 || strncmp(settings->redis, "embedded:", 9) == 0;
}

static bool read_for(struct settings *settings, const char *name, enum given_kind kind, char why[static WHY_SIZE]) {
    char fault[WHY_SIZE];
    struct bytes text;
    const char *path = value_text(settings, name);
    return !*path || given_file_read(&settings->files, path, kind, &text, fault, sizeof fault) ||
           fail(why, name, fault);
}

static bool read_key(struct settings *settings, const char *name, char why[static WHY_SIZE]) {
    return read_for(settings, name, GIVEN_KEY, why);
}

static bool read_certificates(struct settings *settings, const char *name, char why[static WHY_SIZE]) {
    return read_for(settings, name, GIVEN_CERTIFICATES, why);
}

static bool is_empty(struct settings *settings, const char *name, char why[static WHY_SIZE]) {
    return !*value_text(settings, name) ||
           fail(why, name, "Redis is not spoken to by TLS: rediss:// or redis_tls = on");
}

// The key comes first: a file that also holds the certificate is a secret, too.
bool tls_finish(struct settings *settings, char why[static WHY_SIZE]) {
    if (!settings_use_tls(settings))
        return value_each(settings, KEY_FILE, is_empty, why) &&
               value_each(settings, CERTIFICATES_FILE, is_empty, why) && value_each(settings, HOST, is_empty, why);
    if (is_by_socket(settings))
        return fail(why, "redis_tls", "redis is a Unix socket, over which there is no TLS");
    if (settings->redis_key[0] && !settings->redis_cert[0])
        return fail(why, "redis_key", "redis_cert is missing");
    if (settings->redis_cert[0] && !settings->redis_key[0])
        return fail(why, "redis_cert", "redis_key is missing");
    return value_each(settings, KEY_FILE, read_key, why) &&
           value_each(settings, CERTIFICATES_FILE, read_certificates, why);
}
