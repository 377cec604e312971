// SPDX-License-Identifier: MIT
// The forms of settings that are texts: what each may hold, and whether it is secret.
#include "base/calendar.h"
#include "base/netaddr.h"
#include "ops/rate_limits.h"
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <stdio.h>

static bool is_port(const char *text) {
    unsigned long long port = 0;
    return bytes_to_u64(bytes_of(text), 65535, &port) && port > 0;
}

// "fd:N" is what a supervisor tells its workers: a socket that it has opened for all of them.
static bool is_listen(const char *text) {
    unsigned long long fd;
    if (strncmp(text, "unix:", 5) == 0)
        return text[5] != '\0' && strlen(text + 5) < 108;
    if (strncmp(text, "fd:", 3) == 0)
        return bytes_to_u64(bytes_of(text + 3), 1 << 20, &fd);
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || !is_port(colon + 1))
        return false;
    return (text[0] == '[' && colon[-1] == ']') || memchr(text, ':', (size_t)(colon - text)) == NULL;
}

// Octal. The owner must be able to read and write, because it is the service.
static bool is_mode(const char *text) {
    text += strlen(text) == 4 && *text == '0';
    return *text == '\0' || (strlen(text) == 3 && strspn(text, "01234567") == 3 && *text >= '6');
}

static bool is_redis(const char *text) {
    static const char *const schemes[] = {"embedded:", "redis://", "rediss://", "unix:", "cluster://", "sentinel://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

static bool is_hex_key(const char *text) {
    return *text == '\0' || (strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64);
}

// A key, or its hash. A client sends the key in a header field, so it has no blanks and only ASCII. SHA256: would make
// a key of what is no secret.
bool bearer_valid(const char *text) {
    if (strncasecmp(text, "sha256:", 7) == 0)
        return strncmp(text, "sha256:", 7) == 0 && strlen(text) == 7 + 64 &&
               strspn(text + 7, "0123456789abcdefABCDEF") == 64;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

void bearer_fold(char *text) {
    for (char *at = text; strncmp(text, "sha256:", 7) == 0 && *at; at++)
        *at = *at >= 'A' && *at <= 'F' ? (char)(*at - 'A' + 'a') : *at;
}

static bool is_origin(const char *text) {
    return *text == '\0' || origin_valid(text);
}

static bool is_publisher_listen(const char *text) {
    return *text == '\0' || strcmp(text, PUBLISHERS_ON_OPS) == 0 || is_listen(text);
}

static void fold_origin(char *text) {
    if (*text)
        origin_fold(text);
}

static bool is_proxy_list(const char *text) {
    struct netranges ranges;
    return netranges_parse(bytes_of(text), &ranges);
}

static bool is_host(const char *text) {
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at > '~' || strchr("/@,?[]*", *at))
            return false;
    return true;
}

static bool is_zone(const char *text) {
    const char *why;
    return calendar_zone_known(text, &why);
}

static bool is_share(const char *text) {
    struct limits_share share;
    return limits_share_parse(bytes_of(text), &share);
}

static const struct {
    bool (*fits)(const char *text); // NULL: settings_split_kinds checks it
    void (*fold)(char *text);       // changes it to the one spelling that is compared; NULL: there is only one
    bool secret;                    // never shown
    bool hides;                     // a part may be secret, so an error does not repeat it
    const char *form;
} text_forms[] = {
    [LISTEN] = {is_listen, .form = "host:port, [v6]:port or unix:PATH"},
    [PUBLISHER_LISTEN] = {is_publisher_listen, .form = "host:port, [v6]:port, unix:PATH, ops_listen or nothing"},
    [MODE] = {is_mode, .form = "a mode in octal, 0600 to 0777"},
    [REDIS] = {is_redis, .hides = true,
               .form = "embedded:DIR, redis://..., rediss://..., unix:PATH, cluster://... or sentinel://.../NAME"},
    [LOGIN] = {.fits = NULL},
    [PASSWORD] = {.secret = true, .hides = true},
    [HEX_KEY] = {is_hex_key, .secret = true, .hides = true, .form = "64 hex digits"},
    [BEARER] = {bearer_valid, bearer_fold, .secret = true, .hides = true,
                .form = "visible ASCII characters, or sha256: and 64 hex digits"},
    [KINDS] = {.fits = NULL},
    [ZONE] = {is_zone, .form = "a time zone that this machine knows (package tzdata), such as Europe/Berlin"},
    [PROXIES] = {is_proxy_list,
                 .form = "auto, or a list of at most 64 addresses, ranges such as 10.0.0.0/8, unix or auto"},
    [SHARE] = {is_share, .form = "1 or a fraction such as 1/3, at most 1, with at most 1000 below the line"},
    [SECRET_FILE] = {.fits = NULL}, // settings_secrets.c reads them
    [KEY_FILE] = {.fits = NULL},
    [CERTIFICATES_FILE] = {.fits = NULL},
    [HOST] = {is_host, .form = "a host name or an address"},
    [ORIGIN] = {is_origin, fold_origin, .form = "https://host[:port]"},
};

bool text_set(char *at, size_t size, enum text_form form, const char *text, char why[static WHY_SIZE]) {
    if (strlen(text) >= size) {
        snprintf(why, WHY_SIZE, "longer than %zu bytes", size - 1);
        return false;
    }
    if (text_forms[form].fits && !text_forms[form].fits(text)) {
        snprintf(why, WHY_SIZE, text_forms[form].hides ? "%.0snot %s" : "\"%.60s\" is not %s", text,
                 text_forms[form].form);
        return false;
    }
    memcpy(at, text, strlen(text) + 1);
    if (text_forms[form].fold)
        text_forms[form].fold(at);
    return true;
}

bool text_is_secret(enum text_form form) {
    return text_forms[form].secret;
}
