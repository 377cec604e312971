// SPDX-License-Identifier: MIT
// Reads the setting `redis`. An error line never contains the password.
#include "redis/address.h"
#include "base/bytes.h"
#include <stdio.h>
#include <stdlib.h>

static bool refuse(char *ret_error, size_t size, const char *why) {
    snprintf(ret_error, size, "redis: %s (redis://[user:password@]host:port[/db] or unix:PATH)", why);
    return false;
}

static bool keep(char *to, size_t size, struct bytes from) {
    if (from.len >= size)
        return false;
    if (from.len)
        memcpy(to, from.at, from.len);
    to[from.len] = '\0';
    return true;
}

// Splits `text` at its last `at`. Without one, *ret_right is the whole text.
// Returns what comes before the `at`.
static struct bytes before_last(struct bytes text, char at, struct bytes *ret_right) {
    *ret_right = text;
    for (size_t i = text.len; i-- > 0;)
        if (text.at[i] == at) {
            *ret_right = (struct bytes){text.at + i + 1, text.len - i - 1};
            return (struct bytes){text.at, i};
        }
    return NO_BYTES;
}

static bool read_login(struct bytes login, struct address *address) {
    const char *colon = login.len ? memchr(login.at, ':', login.len) : NULL;
    if (!colon)
        return keep(address->password, sizeof address->password, login);
    size_t user = (size_t)(colon - login.at);
    return keep(address->user, sizeof address->user, (struct bytes){login.at, user}) &&
           keep(address->password, sizeof address->password, (struct bytes){colon + 1, login.len - user - 1});
}

static bool read_database(struct bytes text, struct address *address) {
    unsigned long long number = 0;
    if (text.len && !bytes_to_u64(text, 65535, &number))
        return false;
    address->database = (int)number;
    return true;
}

// host:port or [v6]:port; the port may be left out.
static bool read_host(struct bytes text, struct address *address) {
    struct bytes port = BYTES("6379"), host = text;
    bool bracketed = text.len && text.at[0] == '[';
    const char *close = bracketed ? memchr(text.at, ']', text.len) : NULL;
    if (bracketed && !close)
        return false;
    const char *colon = bracketed ? (close + 1 < text.at + text.len && close[1] == ':' ? close + 1 : NULL)
                                  : (text.len ? memchr(text.at, ':', text.len) : NULL);
    if (colon) {
        port = (struct bytes){colon + 1, (size_t)(text.at + text.len - colon - 1)};
        host.len = (size_t)(colon - text.at);
    }
    if (bracketed)
        host = (struct bytes){text.at + 1, (size_t)(close - text.at - 1)};
    unsigned long long number = 0;
    return host.len && bytes_to_u64(port, 65535, &number) && number > 0 &&
           keep(address->host, sizeof address->host, host) && keep(address->port, sizeof address->port, port);
}

bool address_parse(const char *text, struct address *ret_address, char *ret_error, size_t error_size) {
    struct bytes whole = bytes_of(text);
    struct address address = {.database = 0};
    if (bytes_starts(whole, BYTES("unix:"))) {
        address.is_unix = true;
        struct bytes path = {whole.at + 5, whole.len - 5};
        if (path.len == 0 || !keep(address.path, sizeof address.path, path))
            return refuse(ret_error, error_size, "the socket's path is empty or over 107 bytes");
    } else if (bytes_starts(whole, BYTES("redis://"))) {
        struct bytes rest = {whole.at + 8, whole.len - 8}, database = NO_BYTES, host;
        struct bytes login = before_last(rest, '@', &rest);
        const char *slash = rest.len ? memchr(rest.at, '/', rest.len) : NULL;
        if (slash) {
            database = (struct bytes){slash + 1, (size_t)(rest.at + rest.len - slash - 1)};
            rest.len = (size_t)(slash - rest.at);
        }
        host = rest;
        if (!read_login(login, &address) || !read_database(database, &address) || !read_host(host, &address))
            return refuse(ret_error, error_size, "host, port, database or login is not valid");
    } else
        return refuse(ret_error, error_size, "unknown form of address");
    *ret_address = address;
    return true;
}
