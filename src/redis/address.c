// SPDX-License-Identifier: MIT
// Reads the setting `redis`. An error line never contains the password.
#include "redis/address.h"
#include <stdarg.h>
#include <stdio.h>

static const struct form {
    enum address_kind kind;
    const char *scheme, *usual_port, *looks;
    uint32_t hosts_max;
} forms[] = {
    {ADDRESS_UNIX, "unix:", "", "unix:PATH", 0},
    {ADDRESS_REDIS, "redis://", "6379", "redis://[user:password@]host:port[/db]", 1},
    {ADDRESS_CLUSTER, "cluster://", "6379", "cluster://[user:password@]host:port,host:port,...", HOSTS_MAX},
    {ADDRESS_SENTINEL, "sentinel://", "26379", "sentinel://[user:password@]host:port,host:port,.../NAME", HOSTS_MAX},
    {ADDRESS_REDIS, "rediss://", "6379", "rediss://[user:password@]host:port[/db]", 1},
};

enum { FORM_COUNT = sizeof forms / sizeof *forms };

// What is read, and where the reason of a refusal is written.
struct reading {
    const struct form *form;
    struct address *address;
    char why[96];
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct reading *reading, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(reading->why, sizeof reading->why, format, values);
    va_end(values);
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

// Cuts `text` at its first `at`, and returns what comes after it. *ret_found: there is one.
static struct bytes cut_at(struct bytes *text, char at, bool *ret_found) {
    const char *found = text->len ? memchr(text->at, at, text->len) : NULL;
    struct bytes right = NO_BYTES;
    *ret_found = found != NULL;
    if (found) {
        right = (struct bytes){found + 1, (size_t)(text->at + text->len - found - 1)};
        text->len = (size_t)(found - text->at);
    }
    return right;
}

// ---- Hosts and ports

bool host_port_eq(const struct host_port *a, const struct host_port *b) {
    return strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

bool port_parse(struct bytes text, char ret_port[static PORT_SIZE]) {
    unsigned long long number = 0;
    if (!bytes_to_u64(text, 65535, &number) || number == 0)
        return false;
    snprintf(ret_port, PORT_SIZE, "%u", (unsigned)(uint16_t)number);
    return true;
}

bool host_parse(struct bytes text, char ret_host[static HOST_SIZE]) {
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~' || strchr("/@,?[]", text.at[i]))
            return false;
    return keep(ret_host, HOST_SIZE, text);
}

static bool take_host(struct reading *reading, struct bytes host, struct bytes port, uint32_t number,
                      struct host_port *ret) {
    if (host.len == 0)
        return wrong(reading, "host %u is empty", number);
    if (!host_parse(host, ret->host))
        return wrong(reading, "host %u is not a name or an address of at most %d bytes", number, HOST_SIZE - 1);
    return port_parse(port, ret->port) || wrong(reading, "the port of host %u is not 1 to 65535", number);
}

// host, host:port, [v6] or [v6]:port.
static bool read_host(struct reading *reading, struct bytes text, uint32_t number, struct host_port *ret) {
    struct bytes host = text, port, rest;
    bool closed, has_port;
    if (text.len && text.at[0] == '[') {
        host = (struct bytes){text.at + 1, text.len - 1};
        rest = cut_at(&host, ']', &closed);
        if (!closed || (rest.len && rest.at[0] != ':'))
            return wrong(reading, "host %u has no valid brackets", number);
        port = cut_at(&rest, ':', &has_port);
    } else {
        port = cut_at(&host, ':', &has_port);
        if (port.len && memchr(port.at, ':', port.len))
            return wrong(reading, "host %u has several colons: an IPv6 address needs brackets", number);
    }
    return take_host(reading, host, has_port ? port : bytes_of(reading->form->usual_port), number, ret);
}

static bool is_new(struct reading *reading, uint32_t index) {
    const struct host_port *hosts = reading->address->hosts;
    for (uint32_t i = 0; i < index; i++)
        if (host_port_eq(&hosts[i], &hosts[index]))
            return wrong(reading, "hosts %u and %u are the same", i + 1, index + 1);
    return true;
}

static bool read_hosts(struct reading *reading, struct bytes text) {
    struct address *address = reading->address;
    bool more = true;
    while (more) {
        struct bytes one = text;
        text = cut_at(&one, ',', &more);
        uint32_t index = address->host_count;
        if (index == reading->form->hosts_max)
            return wrong(reading, "more than %u host%s", index, index == 1 ? "" : "s");
        if (!read_host(reading, one, index + 1, &address->hosts[index]) || !is_new(reading, index))
            return false;
        address->host_count++;
    }
    address_set_host(address, &address->hosts[0]);
    return true;
}

void address_set_host(struct address *address, const struct host_port *to) {
    memcpy(address->host, to->host, sizeof address->host);
    memcpy(address->port, to->port, sizeof address->port);
}

// ---- The other parts

static bool read_login(struct reading *reading, struct bytes login) {
    struct address *address = reading->address;
    bool has_user;
    struct bytes user = login, password = cut_at(&user, ':', &has_user);
    if (!keep(address->user, sizeof address->user, has_user ? user : NO_BYTES))
        return wrong(reading, "the user is longer than %zu bytes", sizeof address->user - 1);
    if (!keep(address->password, sizeof address->password, has_user ? password : login))
        return wrong(reading, "the password is longer than %zu bytes", sizeof address->password - 1);
    return true;
}

static bool read_database(struct reading *reading, struct bytes text) {
    unsigned long long number = 0;
    if (text.len && reading->form->kind == ADDRESS_CLUSTER)
        return wrong(reading, "a Cluster has no database to choose");
    if (text.len && !bytes_to_u64(text, 65535, &number))
        return wrong(reading, "the database is not a number up to 65535");
    reading->address->database = (int)number;
    return true;
}

// The signs that a Sentinel allows in the name of a master.
static bool read_master(struct reading *reading, struct bytes text) {
    if (text.len == 0)
        return wrong(reading, "the name of the master is missing: /NAME at the end");
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool fits =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(".-_", c));
        if (!fits)
            return wrong(reading, "the name of the master has other signs than letters, digits, '.', '-' and '_'");
    }
    if (!keep(reading->address->master, MASTER_NAME_SIZE, text))
        return wrong(reading, "the name of the master is longer than %d bytes", MASTER_NAME_SIZE - 1);
    return true;
}

static bool read_form(struct reading *reading, struct bytes rest) {
    bool slash;
    if (reading->form->kind == ADDRESS_UNIX)
        return (rest.len && keep(reading->address->path, sizeof reading->address->path, rest)) ||
               wrong(reading, "the socket's path is empty or over 107 bytes");
    struct bytes login = before_last(rest, '@', &rest), end = cut_at(&rest, '/', &slash);
    if (!read_login(reading, login) || !read_hosts(reading, rest))
        return false;
    return reading->form->kind == ADDRESS_SENTINEL ? read_master(reading, end) : read_database(reading, end);
}

static const struct form *form_of(struct bytes whole) {
    for (size_t i = 0; i < FORM_COUNT; i++)
        if (bytes_starts(whole, bytes_of(forms[i].scheme)))
            return &forms[i];
    return NULL;
}

bool address_parse(const char *text, struct address *ret_address, char *ret_error, size_t error_size) {
    struct bytes whole = bytes_of(text);
    struct address address = {.database = 0};
    struct reading reading = {.form = form_of(whole), .address = &address};
    if (!reading.form) {
        snprintf(ret_error, error_size, "redis: unknown form of address (%s, %s, %s, %s or %s)", forms[0].looks,
                 forms[1].looks, forms[4].looks, forms[2].looks, forms[3].looks);
        return false;
    }
    size_t scheme = strlen(reading.form->scheme);
    address.kind = reading.form->kind;
    if (!read_form(&reading, (struct bytes){whole.at + scheme, whole.len - scheme})) {
        snprintf(ret_error, error_size, "redis: %s (%s)", reading.why, reading.form->looks);
        return false;
    }
    *ret_address = address;
    return true;
}
