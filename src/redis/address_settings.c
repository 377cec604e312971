// SPDX-License-Identifier: MIT
// The setting `redis`, with the passwords that have settings of their own.
#include "redis/address_settings.h"
#include <stdio.h>

_Static_assert(sizeof((struct address *)0)->password == sizeof((struct settings *)0)->redis_password &&
                   sizeof((struct address *)0)->sentinel_user == sizeof((struct settings *)0)->sentinel_user &&
                   sizeof((struct address *)0)->sentinel_password == sizeof((struct settings *)0)->sentinel_password,
               "they are copied whole");

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
    *ret_address = address;
    return true;
}
