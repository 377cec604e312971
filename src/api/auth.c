// SPDX-License-Identifier: MIT
// Who may call: the origin, the secret key, the visitor. A request refused here changes no counter.
#include "api/limits.h"
#include "api/origins.h"
#include "base/clock.h"
#include "base/hex.h"
#include "ops/json_in.h"
#include "ops/metrics.h"
#include <endian.h>

enum { COOKIES_TRIED = 8 }; // of one name: each costs a MAC

// ---- Secret key

static struct bytes wanted_key(const struct call *call) {
    const struct site_setting *site = call->site_setting;
    return bytes_of(site && site->secret_key[0] ? site->secret_key : call->api->settings->secret_key);
}

// The configuration may have a hash in place of the key. Then nobody can use what they read there.
static bool is_key(struct bytes given, struct bytes wanted) {
    static const struct bytes hashed = {"sha256:", 7};
    char hex[65];
    if (!bytes_starts(wanted, hashed))
        return wanted.len && constant_time_eq(given, wanted);
    sha256_hex(given, hex);
    return constant_time_eq(bytes_of(hex), (struct bytes){wanted.at + hashed.len, wanted.len - hashed.len});
}

// The name of the key, of the site's named ones or else of the setting secret_key; NULL: it is none of them. All named
// keys are compared, so that the time does not tell which one it is.
static const char *key_name(const struct call *call, struct bytes given) {
    const struct site_setting *site = call->site_setting;
    const char *name = is_key(given, wanted_key(call)) ? UNNAMED_KEY : NULL;
    char hex[KEY_DIGEST_SIZE];
    if (!site || site->key_count == 0)
        return name;
    sha256_hex(given, hex);
    for (uint32_t i = 0; i < site->key_count; i++)
        if (constant_time_eq(bytes_of(hex), bytes_of(site->keys[i].sha256)))
            name = site->keys[i].name;
    return name;
}

// Looks who calls. False: no key is given.
static bool take_key(struct call *call) {
    static const struct bytes scheme = {"Bearer ", 7};
    struct bytes field = call->request->fields[HTTP_AUTHORIZATION];
    if (!field.at || field.len < scheme.len || !bytes_eq_nocase((struct bytes){field.at, scheme.len}, scheme))
        return false;
    call->key_name = key_name(call, bytes_trim((struct bytes){field.at + scheme.len, field.len - scheme.len}));
    call->keyed = call->key_name != NULL;
    return true;
}

// A call that needs no key is OK without one, and with a wrong one: it may be a key of the page itself. A path without
// a site has no key. The compare takes the same time wherever the keys differ.
static enum outcome check_key(struct call *call) {
    bool needed = call->route && call->route->kind == ROUTE_PUBLISHER;
    if (!call->site.at)
        return OK;
    if (!take_key(call))
        return needed ? KEY_REQUIRED : OK;
    if (call->keyed || !needed)
        return OK;
    enum outcome outcome = limit_wrong_key(call);
    metric_add(METRIC_WRONG_KEYS, outcome == OK);
    return outcome == OK ? BAD_KEY : outcome;
}

// Every request for the image gets one; from a page whose origin may not write it does not count.
static enum outcome check_origin(struct call *call) {
    if (path_is_shared(call) || !call->site.at)
        return OK;
    if (!call->route || call->route->start != view_gif_start)
        return origin_grant(call) ? OK : BAD_ORIGIN;
    call->foreign = !origin_grants_image(call);
    return OK;
}

// The audit log wants to know who was refused, where there is a site that has one.
static enum outcome refuse(struct call *call, enum outcome outcome) {
    if (call->route && call->site.at && (outcome == BAD_ITEM || outcome == BAD_ORIGIN))
        take_key(call);
    return outcome;
}

enum outcome auth_check(struct call *call) {
    if (call->refusal != OK) { // the answer names the origin
        origin_grant(call);
        return refuse(call, call->refusal);
    }
    enum outcome outcome = check_origin(call);
    return outcome == OK ? check_key(call) : refuse(call, outcome);
}

// ---- Visitor

enum outcome auth_visitor_text(struct call *call, struct bytes text, uint8_t ret_id[static VISITOR_ID_SIZE]) {
    const struct api *api = call->api;
    if (call->keyed && !token_like(text)) {
        if (text.len == 0 || text.len > OPAQUE_VISITOR_MAX || !bytes_are_text(text))
            return BAD_VISITOR;
        visitor_id_of_opaque(api->hash_key, call->site, text, ret_id);
        return OK;
    }
    bool good = token_check(api->tokens, call->site, text, clock_now_ms(), api->settings->token_age_ms, ret_id);
    return good ? OK : BAD_VISITOR;
}

void auth_new_visitor(struct visitor *visitor) {
    random_fill(visitor->id, sizeof visitor->id);
    visitor->fresh = true;
}

void auth_cookie_name(const struct call *call, char name[static COOKIE_NAME_SIZE]) {
    ref_t site = site_ref(call->api->hash_key, call->site);
    bool lax = call->api->settings->cookie_form == COOKIE_FORM_LAX;
    uint32_t digits = htobe32((uint32_t)(site >> 32));
    struct buffer text = buffer_over(name, COOKIE_NAME_SIZE);
    buffer_add_bytes(&text, lax ? BYTES("engaged_") : BYTES("__Host-engaged_"));
    hex_add(&text, (struct bytes){(const char *)&digits, sizeof digits});
    buffer_add_char(&text, '\0');
}

// Takes the next value of the site's cookie off the list; at == NULL when there is none. A name may occur several
// times, because a sibling host or an older path can set the cookie too.
static struct bytes next_cookie(struct bytes *rest, struct bytes name) {
    while (rest->len) {
        const char *end = memchr(rest->at, ';', rest->len);
        size_t taken = end ? (size_t)(end - rest->at) : rest->len;
        struct bytes pair = bytes_trim((struct bytes){rest->at, taken});
        taken += end != NULL;
        *rest = (struct bytes){rest->at + taken, rest->len - taken};
        if (pair.len > name.len && pair.at[name.len] == '=' && bytes_starts(pair, name))
            return (struct bytes){pair.at + name.len + 1, pair.len - name.len - 1};
    }
    return NO_BYTES;
}

static bool is_known_by_cookie(struct call *call) {
    struct bytes rest = call->request->fields[HTTP_COOKIE], cookie;
    char name[COOKIE_NAME_SIZE];
    if (!rest.at || !call->credentials || !call->api->settings->cookies)
        return false;
    auth_cookie_name(call, name);
    for (int tries = 0; tries < COOKIES_TRIED && (cookie = next_cookie(&rest, bytes_of(name))).at; tries++)
        if (token_like(cookie) && auth_visitor_text(call, cookie, call->visitor.id) == OK)
            return true;
    return false;
}

enum outcome auth_visitor(struct call *call, struct bytes body_visitor) {
    struct bytes header = call->request->fields[HTTP_ENGAGED_VISITOR];
    if (header.at)
        return auth_visitor_text(call, header, call->visitor.id);
    if (body_visitor.at)
        return auth_visitor_text(call, body_visitor, call->visitor.id);
    if (!is_known_by_cookie(call))
        auth_new_visitor(&call->visitor);
    return OK;
}

struct visitor_body {
    struct bytes visitor;
};

static const struct json_field visitor_fields[] = {{.name = "visitor",
                                                    .type = JSON_IN_TEXT,
                                                    .offset = offsetof(struct visitor_body, visitor),
                                                    .max = 1024,
                                                    .wrong = BAD_VISITOR},
                                                   {.name = NULL}};

enum outcome auth_visitor_of_body(struct call *call) {
    struct visitor_body body = {.visitor = NO_BYTES};
    struct http_request *request = call->request;
    enum outcome outcome = json_read(request->body, visitor_fields, call->keyed, &body, request->arena, &call->detail);
    return outcome == OK ? auth_visitor(call, body.visitor) : outcome;
}
