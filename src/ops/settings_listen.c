// SPDX-License-Identifier: MIT
// The three listeners must be told apart: with SO_REUSEPORT the kernel would spread the connections of one address over
// two of them, and the operators' pages would be public at random.
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct endpoint {
    const char *text;
    struct sockaddr_storage at; // ss_family 0: a path, a descriptor, or a name that does not resolve
};

// The kernel takes ::ffff:127.0.0.1 and 127.0.0.1 for one.
static void unmap(struct endpoint *endpoint) {
    struct sockaddr_in6 v6;
    memcpy(&v6, &endpoint->at, sizeof v6);
    if (endpoint->at.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        return;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6.sin6_port};
    memcpy(&v4.sin_addr, &v6.sin6_addr.s6_addr[12], sizeof v4.sin_addr);
    memset(&endpoint->at, 0, sizeof endpoint->at);
    memcpy(&endpoint->at, &v4, sizeof v4);
}

static struct endpoint endpoint_of(const char *text) {
    struct endpoint endpoint = {.text = text};
    struct addrinfo *found, want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char host[sizeof((struct settings *)0)->listen];
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || strncmp(text, "unix:", 5) == 0 || strncmp(text, "fd:", 3) == 0)
        return endpoint;
    bool bracketed = *text == '[';
    snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2 * bracketed, text + bracketed);
    if (getaddrinfo(host, colon + 1, &want, &found) != 0)
        return endpoint;
    memcpy(&endpoint.at, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    unmap(&endpoint);
    return endpoint;
}

// Both families begin with the port.
static in_port_t port_of(const struct endpoint *endpoint) {
    return ((const struct sockaddr_in *)(const void *)&endpoint->at)->sin_port;
}

static bool takes_all(const struct endpoint *endpoint) {
    const struct sockaddr_in *v4 = (const void *)&endpoint->at;
    const struct sockaddr_in6 *v6 = (const void *)&endpoint->at;
    return endpoint->at.ss_family == AF_INET ? v4->sin_addr.s_addr == htonl(INADDR_ANY)
                                             : IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

static bool stat_folder(const char *path, size_t len, struct stat *ret_about) {
    char folder[sizeof((struct settings *)0)->listen];
    snprintf(folder, sizeof folder, "%.*s", len ? (int)len : 1, len ? path : ".");
    return stat(folder, ret_about) == 0;
}

// Two paths of one socket have one name in one folder.
static bool same_socket(const char *a, const char *b) {
    struct stat one, other;
    if (strncmp(a, "unix:", 5) != 0 || strncmp(b, "unix:", 5) != 0)
        return false;
    const char *slash_a = strrchr(a + 5, '/'), *slash_b = strrchr(b + 5, '/');
    const char *name_a = slash_a ? slash_a + 1 : a + 5, *name_b = slash_b ? slash_b + 1 : b + 5;
    return strcmp(name_a, name_b) == 0 && stat_folder(a + 5, (size_t)(name_a - a - 5), &one) &&
           stat_folder(b + 5, (size_t)(name_b - b - 5), &other) && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static bool is_same(const struct endpoint *a, const struct endpoint *b) {
    return strcmp(a->text, b->text) == 0 || same_socket(a->text, b->text) ||
           (a->at.ss_family && memcmp(&a->at, &b->at, sizeof a->at) == 0);
}

static bool clash(const struct endpoint *a, const struct endpoint *b) {
    if (!*a->text || !*b->text)
        return false;
    if (is_same(a, b))
        return true;
    return a->at.ss_family && b->at.ss_family && port_of(a) == port_of(b) && (takes_all(a) || takes_all(b));
}

static bool fail(char why[static WHY_SIZE], const char *name, const char *other, const char *address) {
    snprintf(why, WHY_SIZE, "%s: the address is taken by %s (%.100s)", name, other, address);
    return false;
}

bool listeners_finish(struct settings *settings, char why[static WHY_SIZE]) {
    struct endpoint listen = endpoint_of(settings->listen), ops = endpoint_of(settings->ops_listen);
    struct endpoint publisher = endpoint_of(settings->publisher_listen);
    if (clash(&listen, &ops))
        return fail(why, "ops_listen", "listen", settings->listen);
    if (clash(&listen, &publisher))
        return fail(why, "publisher_listen", "listen", settings->listen);
    if (*publisher.text && is_same(&ops, &publisher))
        strcpy(settings->publisher_listen, PUBLISHERS_ON_OPS);
    else if (clash(&ops, &publisher))
        return fail(why, "publisher_listen", "ops_listen", settings->ops_listen);
    return true;
}
