// SPDX-License-Identifier: MIT
// DIR/secrets holds two lines, "secret HEX" and "hash_key HEX". It is written once, whole, and never changed: under
// another hash key every voter would be new.
#include "roles/secrets.h"
#include "store/address.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 1024, HEX_SIZE = 2 * KEY_SIZE + 1 };

static const char scheme[] = "embedded:";

const char *embedded_directory(const struct settings *settings) {
    return strncmp(settings->redis, scheme, sizeof scheme - 1) == 0 ? settings->redis + sizeof scheme - 1 : NULL;
}

static bool fail(char *ret_error, size_t size, const char *what, const char *why) {
    snprintf(ret_error, size, "%s: %s", what, why);
    return false;
}

// ---- The file

static bool write_secrets(const char *path) {
    char temporary[PATH_SIZE + 16], text[2 * HEX_SIZE + 32], secret_hex[HEX_SIZE], hash_hex[HEX_SIZE];
    struct secret_key secret, hash_key;
    random_fill(&secret, sizeof secret);
    random_fill(&hash_key, sizeof hash_key);
    secret_key_format(&secret, secret_hex);
    secret_key_format(&hash_key, hash_hex);
    int len = snprintf(text, sizeof text, "secret %s\nhash_key %s\n", secret_hex, hash_hex);
    snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool written = write(fd, text, (size_t)len) == len && fsync(fd) == 0;
    close(fd);
    // link() does not replace: of two starts at once one makes the file, the other reads it.
    bool linked = written && (link(temporary, path) == 0 || errno == EEXIST);
    unlink(temporary);
    return linked;
}

static bool read_secrets(const char *path, char secret[static HEX_SIZE], char hash_key[static HEX_SIZE]) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    int found = fscanf(file, "secret %64s\nhash_key %64s", secret, hash_key);
    fclose(file);
    return found == 2;
}

static bool from_directory(const char *directory, struct settings *settings, char *ret_error, size_t error_size) {
    char path[PATH_SIZE], secret[HEX_SIZE], hash_key[HEX_SIZE];
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return fail(ret_error, error_size, directory, strerror(errno));
    snprintf(path, sizeof path, "%s/secrets", directory);
    if (access(path, F_OK) != 0 && !write_secrets(path))
        return fail(ret_error, error_size, path, strerror(errno));
    if (!read_secrets(path, secret, hash_key))
        return fail(ret_error, error_size, path, "is not a file of secrets");
    if (!settings->secret[0])
        memcpy(settings->secret, secret, HEX_SIZE);
    if (!settings->hash_key[0])
        memcpy(settings->hash_key, hash_key, HEX_SIZE);
    int len = snprintf(path, sizeof path, "unix:%s/redis.sock", directory);
    if (len > 5 + 107)
        return fail(ret_error, error_size, directory, "the path of its socket is over 107 bytes");
    memcpy(settings->redis, path, (size_t)len + 1);
    return true;
}

// ---- Keys

static bool take_key(const char *name, const char *hex, struct secret_key *ret_key, char *ret_error, size_t size) {
    if (!hex[0])
        return fail(ret_error, size, name, "is required unless Redis is embedded (64 hex digits)");
    return secret_key_parse(bytes_of(hex), ret_key) || fail(ret_error, size, name, "is not 64 hex digits");
}

bool role_prepare(struct role *role, struct settings *settings, char *ret_error, size_t error_size) {
    char directory[512];
    role->settings = settings;
    if (embedded_directory(settings)) {
        snprintf(directory, sizeof directory, "%s", embedded_directory(settings));
        if (!directory[0])
            return fail(ret_error, error_size, "redis", "embedded: needs a directory");
        if (!from_directory(directory, settings, ret_error, error_size))
            return false;
    }
    struct address address;
    if (!address_parse(settings->redis, &address, ret_error, error_size))
        return false;
    role->tokens.has_old = settings->secret_old[0] != '\0';
    return take_key("secret", settings->secret, &role->tokens.current, ret_error, error_size) &&
           take_key("hash_key", settings->hash_key, &role->hash_key, ret_error, error_size) &&
           (!role->tokens.has_old ||
            take_key("secret_old", settings->secret_old, &role->tokens.old, ret_error, error_size));
}
