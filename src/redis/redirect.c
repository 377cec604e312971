// SPDX-License-Identifier: MIT
// The table of error replies, and the reader of MOVED and ASK.
#include "redis/redirect.h"

enum { SLOT_MAX = 16383 };

// docs/faults.md names what each does to the service.
static const struct error_meaning error_meanings[] = {
    {"MOVED", .kind = ERROR_MOVED, .outcome = UNAVAILABLE, .again = true, .drop = true},
    {"ASK", .kind = ERROR_ASK, .outcome = UNAVAILABLE, .again = true, .drop = true},
    {"TRYAGAIN", .kind = ERROR_TRYAGAIN, .outcome = UNAVAILABLE, .again = true},
    {"CLUSTERDOWN", .kind = ERROR_CLUSTERDOWN, .outcome = UNAVAILABLE, .again = true},
    // To a script that writes, where reads are allowed: it is refused as a whole, since no script outlives the state.
    {"while the cluster is down", .within = true, .kind = ERROR_CLUSTERDOWN, .outcome = UNAVAILABLE, .again = true},
    {"READONLY", .kind = ERROR_READONLY, .outcome = UNAVAILABLE, .again = true, .drop = true},
    {"LOADING", .kind = ERROR_LOADING, .outcome = UNAVAILABLE, .again = true},
    {"MASTERDOWN", .kind = ERROR_MASTERDOWN, .outcome = UNAVAILABLE, .again = true, .drop = true},
    {"NOREPLICAS", .kind = ERROR_NOREPLICAS, .outcome = UNAVAILABLE},
    {"UNBLOCKED", .kind = ERROR_UNBLOCKED, .outcome = UNAVAILABLE, .drop = true},
    {"WAIT cannot be used", .within = true, .kind = ERROR_UNBLOCKED, .outcome = UNAVAILABLE, .drop = true},
    {"OOM", .outcome = UNAVAILABLE},
    {"BUSY", .outcome = UNAVAILABLE},
    {"MISCONF", .outcome = UNAVAILABLE},
    {"NOSCRIPT", .outcome = UNAVAILABLE}, // the connection has loaded the script once already
    {"NOAUTH", .outcome = UNAVAILABLE, .drop = true},
    {"CROSSSLOT", .kind = ERROR_CUT, .outcome = INTERNAL},
    {"non local key", .within = true, .kind = ERROR_CUT, .outcome = INTERNAL},
    {"undeclared key", .within = true, .kind = ERROR_CUT, .outcome = INTERNAL},
    {"do not hash to the same slot", .within = true, .kind = ERROR_CUT, .outcome = INTERNAL},
};

static const struct error_meaning unknown = {"", .outcome = INTERNAL};

static bool is_first_word(const char *error, const char *word) {
    size_t len = strlen(word);
    return strncmp(error, word, len) == 0 && (error[len] == ' ' || error[len] == '\0');
}

const struct error_meaning *error_meaning_of(const char *error) {
    for (size_t i = 0; i < sizeof error_meanings / sizeof *error_meanings; i++) {
        const struct error_meaning *meaning = &error_meanings[i];
        if (meaning->within ? strstr(error, meaning->text) != NULL : is_first_word(error, meaning->text))
            return meaning;
    }
    return &unknown;
}

// The first word of `text`, up to a space; *text begins after it.
static struct bytes next_word(const char **text) {
    size_t len = strcspn(*text, " ");
    struct bytes word = {*text, len};
    *text += len + ((*text)[len] == ' ');
    return word;
}

// Redis writes an IPv6 address without brackets, so the last colon ends the host.
static bool split_host(struct bytes text, const struct host_port *asked, struct host_port *ret) {
    size_t colon = text.len;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    if (colon == 0 || !port_parse((struct bytes){text.at + colon, text.len - colon}, ret->port))
        return false;
    struct bytes host = {text.at, colon - 1};
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        host = (struct bytes){host.at + 1, host.len - 2};
    if (host.len == 0)
        host = bytes_of(asked->host);
    if (bytes_eq(host, BYTES("?"))) {
        ret->host[0] = '\0';
        return true;
    }
    return host_parse(host, ret->host);
}

bool redirect_parse(const char *error, const struct host_port *asked, struct redirect *ret_redirect) {
    struct redirect redirect = {.slot = 0};
    unsigned long long slot = 0;
    struct bytes word = next_word(&error), number = next_word(&error), place = next_word(&error);
    if (!bytes_eq(word, BYTES("MOVED")) && !bytes_eq(word, BYTES("ASK")))
        return false;
    if (*error || !bytes_to_u64(number, SLOT_MAX, &slot) || !split_host(place, asked, &redirect.to))
        return false;
    redirect.slot = (uint16_t)slot;
    *ret_redirect = redirect;
    return true;
}
