// SPDX-License-Identifier: MIT
// DIR/secrets holds two lines, "secret HEX" and "hash_key HEX". It is written once, whole, and never changed: with
// another hash key every voter would be new.
#include "roles/secrets.h"
#include "http/http.h"
#include "redis/address_settings.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 1024, SOCKET_PATH_MAX = 107, HEX_SIZE = 2 * KEY_SIZE + 1 };

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
    // link() does not replace a file: when two starts run at once, one makes the file and the other reads it.
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

static bool directory_fits(const char *directory, char *ret_error, size_t error_size) {
    if (!directory[0])
        return fail(ret_error, error_size, "redis", "embedded: needs a directory");
    return strlen(directory) + sizeof "/redis.sock" - 1 <= SOCKET_PATH_MAX ||
           fail(ret_error, error_size, directory, "the path of its socket is over 107 bytes");
}

static bool from_directory(const char *directory, struct settings *settings, char *ret_error, size_t error_size) {
    char path[PATH_SIZE], secret[HEX_SIZE], hash_key[HEX_SIZE];
    if (!directory_fits(directory, ret_error, error_size))
        return false;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return fail(ret_error, error_size, directory, strerror(errno));
    struct stat about;
    if (stat(directory, &about) == 0 && !S_ISDIR(about.st_mode))
        return fail(ret_error, error_size, directory, "is not a directory");
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
    memcpy(settings->redis, path, (size_t)len + 1);
    return true;
}

// ---- Who may read them

// The name of the variable for an option that holds a secret, or NULL. The address of Redis may hold its password.
static const char *variable_of(const char *option, size_t len) {
    static const char *const hidden[][2] = {{"--secret", "ENGAGED_SECRET"},
                                            {"--secret-old", "ENGAGED_SECRET_OLD"},
                                            {"--secret-key", "ENGAGED_SECRET_KEY"},
                                            {"--hash-key", "ENGAGED_HASH_KEY"},
                                            {"--redis-password", "ENGAGED_REDIS_PASSWORD"},
                                            {"--sentinel-password", "ENGAGED_SENTINEL_PASSWORD"},
                                            {"--redis", "ENGAGED_REDIS"}};
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%.*s", (int)len, option);
    for (char *c = name + 2; len > 2 && *c; c++)
        *c = *c == '_' ? '-' : *c;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (strcmp(hidden[i][0], name) == 0)
            return hidden[i][1];
    return NULL;
}

void secrets_hide(int *argc, char **argv) {
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        char *equals = strchr(argv[i], '='), *value = equals ? equals + 1 : argv[i + 1];
        const char *variable = variable_of(argv[i], equals ? (size_t)(equals - argv[i]) : strlen(argv[i]));
        bool hidden = variable && value && setenv(variable, value, 1) == 0;
        if (hidden)
            memset(value, 'x', strlen(value));
        else
            argv[kept++] = argv[i];
        if (hidden && !equals)
            i++;
        else if (!hidden && !equals && i + 1 < *argc)
            argv[kept++] = argv[++i];
    }
    argv[kept] = NULL;
    *argc = kept;
}

char **environment_of_others(void) {
    extern char **environ;
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **others = calloc(count + 1, sizeof *others);
    for (size_t i = 0; others && i < count; i++)
        if (strncmp(environ[i], "ENGAGED_", 8) != 0)
            others[kept++] = environ[i];
    return others;
}

// ---- Keys

static bool take_key(const char *name, const char *hex, struct secret_key *ret_key, char *ret_error, size_t size) {
    if (!hex[0])
        return fail(ret_error, size, name, "is required unless Redis is embedded (64 hex digits)");
    return secret_key_parse(bytes_of(hex), ret_key) || fail(ret_error, size, name, "is not 64 hex digits");
}

static bool take_keys(struct role *role, const struct settings *settings, char *ret_error, size_t error_size) {
    role->tokens.has_old = settings->secret_old[0] != '\0';
    return take_key("secret", settings->secret, &role->tokens.current, ret_error, error_size) &&
           take_key("hash_key", settings->hash_key, &role->hash_key, ret_error, error_size) &&
           (!role->tokens.has_old ||
            take_key("secret_old", settings->secret_old, &role->tokens.old, ret_error, error_size));
}

// Of "a/b" and "a/b/": "a".
static const char *folder_of(const char *directory, char path[static PATH_SIZE]) {
    size_t len = strlen(directory);
    while (len > 1 && directory[len - 1] == '/')
        len--;
    while (len > 0 && directory[len - 1] != '/')
        len--;
    snprintf(path, PATH_SIZE, "%.*s", len ? (int)len : 1, len ? directory : ".");
    return path;
}

// The secrets that a start would take from there.
static bool check_secrets(const struct settings *settings, const char *path, char *ret_error, size_t error_size) {
    char secret[HEX_SIZE], hash_key[HEX_SIZE];
    struct secret_key key;
    if (!read_secrets(path, secret, hash_key))
        return fail(ret_error, error_size, path, "is not a file of secrets");
    return take_key("secret", settings->secret[0] ? settings->secret : secret, &key, ret_error, error_size) &&
           take_key("hash_key", settings->hash_key[0] ? settings->hash_key : hash_key, &key, ret_error, error_size);
}

// A directory that is not there yet is made at the start, with its secrets.
static bool check_directory(const struct settings *settings, const char *directory, char *ret_error,
                            size_t error_size) {
    char path[PATH_SIZE];
    struct stat file;
    if (!directory_fits(directory, ret_error, error_size))
        return false;
    bool there = stat(directory, &file) == 0;
    if (there && !S_ISDIR(file.st_mode))
        return fail(ret_error, error_size, directory, "is not a directory");
    if (!there && (errno != ENOENT || access(folder_of(directory, path), W_OK | X_OK) != 0))
        return fail(ret_error, error_size, directory, strerror(errno));
    snprintf(path, sizeof path, "%s/secrets", directory);
    if (there && access(path, F_OK) == 0)
        return check_secrets(settings, path, ret_error, error_size);
    return !there || access(directory, W_OK | X_OK) == 0 || fail(ret_error, error_size, path, strerror(errno));
}

static bool is_program(const char *name) {
    const char *path = getenv("PATH");
    for (const char *rest = path ? path : "/bin:/usr/bin"; rest; rest = strchr(rest, ':')) {
        char file[PATH_SIZE];
        rest += *rest == ':';
        size_t len = strcspn(rest, ":");
        snprintf(file, sizeof file, "%.*s/%s", len ? (int)len : 1, len ? rest : ".", name);
        if (access(file, X_OK) == 0)
            return true;
    }
    return false;
}

// The address is right, and so are the certificates.
static bool is_redis_named(const struct settings *settings, char *ret_error, size_t error_size) {
    struct address address;
    if (!address_of_settings(settings, &address, ret_error, error_size))
        return false;
    address_release(&address);
    return true;
}

bool role_check(const struct settings *settings, char *ret_error, size_t error_size) {
    struct role role;
    const char *directory = embedded_directory(settings);
    const char *const addresses[] = {settings->listen, settings->ops_listen, settings->publisher_listen};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        if (strchr(addresses[i], ':') && !http_address_check(addresses[i], ret_error, error_size))
            return false;
    if (directory)
        return check_directory(settings, directory, ret_error, error_size) &&
               (is_program("redis-server") ||
                fail(ret_error, error_size, "redis", "redis-server is not in PATH, and an embedded Redis needs it"));
    return is_redis_named(settings, ret_error, error_size) && take_keys(&role, settings, ret_error, error_size);
}

bool role_prepare(struct role *role, struct settings *settings, char *ret_error, size_t error_size) {
    char directory[512];
    role->settings = settings;
    if (embedded_directory(settings)) {
        snprintf(directory, sizeof directory, "%s", embedded_directory(settings));
        if (!from_directory(directory, settings, ret_error, error_size))
            return false;
    }
    return is_redis_named(settings, ret_error, error_size) && take_keys(role, settings, ret_error, error_size);
}
