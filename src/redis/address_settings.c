// SPDX-License-Identifier: MIT
// The setting `redis`, with the passwords that have settings of their own, and with TLS.
#include "redis/address_settings.h"
#include "redis/tls.h"
#include <stdio.h>

_Static_assert(sizeof((struct address *)0)->password == sizeof((struct settings *)0)->redis_password &&
                   sizeof((struct address *)0)->sentinel_user == sizeof((struct settings *)0)->sentinel_user &&
                   sizeof((struct address *)0)->sentinel_password == sizeof((struct settings *)0)->sentinel_password,
               "they are copied whole");

static struct bytes text_of(const struct settings *settings, const char *path) {
    const struct given_file *file = *path ? given_file_find(settings->files, path) : NULL;
    return file ? file->text : NO_BYTES;
}

static bool add_tls(const struct settings *settings, struct address *address, char *ret_error, size_t error_size) {
    struct tls_files files = {text_of(settings, settings->redis_ca), text_of(settings, settings->redis_cert),
                              text_of(settings, settings->redis_key)};
    if (!settings_use_tls(settings))
        return true;
    memcpy(address->tls_name, settings->redis_tls_name, sizeof address->tls_name);
    address->tls = tls_context_new(&files, ret_error, error_size);
    return address->tls != NULL;
}

void address_release(struct address *address) {
    tls_context_free(address->tls);
    address->tls = NULL;
}

bool address_of_settings(const struct settings *settings, struct address *ret_address, char *ret_error,
                         size_t error_size) {
    struct address address;
    if (!address_parse(settings->redis, &address, ret_error, error_size))
        return false;
    if (settings->redis_password[0] && address.password[0]) {
        snprintf(ret_error, error_size, "redis_password: the address has a password too; only one of them may be set");
        return false;
    }
    if (settings->redis_password[0])
        memcpy(address.password, settings->redis_password, sizeof address.password);
    memcpy(address.sentinel_user, settings->sentinel_user, sizeof address.sentinel_user);
    memcpy(address.sentinel_password, settings->sentinel_password, sizeof address.sentinel_password);
    if (!add_tls(settings, &address, ret_error, error_size))
        return false;
    *ret_address = address;
    return true;
}
