// SPDX-License-Identifier: MIT
// From a path to a call: split on '/', each segment decoded once, compared with the patterns of routes.def.
// A pattern's segments are told apart by their braces; {item} may be "-", then the id is the parameter `id`.
#include "api/call.h"
#include "http/uri.h"

enum { SEGMENTS_MOST = 8 };

static const struct route routes[] = {
#define ROUTE(method, pattern, start, kind, body, parameters)                                                          \
    {HTTP_METHOD_##method, pattern, start, ROUTE_##kind, ROUTE_BODY_##body, parameters},
#include "api/routes.def"
#undef ROUTE
};

struct segments {
    size_t count;
    struct bytes at[SEGMENTS_MOST];
};

// ---- Splitting

// Takes the segment before the next '/'; the slash that begins the path is gone already.
static struct bytes next_segment(struct bytes *rest) {
    const char *slash = rest->len ? memchr(rest->at, '/', rest->len) : NULL;
    struct bytes segment = {rest->at, slash ? (size_t)(slash - rest->at) : rest->len};
    size_t taken = segment.len + (slash != NULL);
    rest->at += taken;
    rest->len -= taken;
    return segment;
}

// Dots would be taken for the folder above by somebody on the way; controls have no business in a path.
static bool segment_sound(struct bytes segment) {
    bool dots = bytes_eq(segment, BYTES(".")) || bytes_eq(segment, BYTES(".."));
    return !dots && bytes_are_utf8(segment) && !bytes_have_controls(segment);
}

static enum outcome split(struct http_request *request, struct segments *ret_segments) {
    struct bytes rest = request->path;
    struct segments segments = {.count = 0};
    if (rest.len == 0 || rest.at[0] != '/')
        return NOT_FOUND;
    bool ends_in_slash = rest.len > 1 && rest.at[rest.len - 1] == '/';
    rest.at++;
    rest.len--;
    while (rest.len) {
        struct bytes raw = next_segment(&rest), *decoded = &segments.at[segments.count];
        if (segments.count == SEGMENTS_MOST - 1)
            return NOT_FOUND;
        if (!uri_decode(request->arena, raw, false, decoded))
            return BAD_PATH;
        if (!segment_sound(*decoded))
            return BAD_PATH;
        if (decoded->len == 0)
            return NOT_FOUND;
        segments.count++;
    }
    *ret_segments = segments;
    return ends_in_slash ? NOT_FOUND : OK;
}

// ---- Matching

// Compares with a pattern and takes out what its braces name.
static bool matches(struct call *call, const struct segments *segments, const char *pattern) {
    struct bytes rest = {pattern + 1, strlen(pattern) - 1};
    for (size_t i = 0; i < segments->count; i++) {
        struct bytes wanted = next_segment(&rest);
        if (wanted.len == 0)
            return false;
        if (bytes_eq(wanted, BYTES("{site}")))
            call->site = segments->at[i];
        else if (bytes_eq(wanted, BYTES("{item}")))
            call->item = segments->at[i];
        else if (bytes_eq(wanted, BYTES("{name}")))
            call->name = segments->at[i];
        else if (!bytes_eq(wanted, segments->at[i]))
            return false;
    }
    return rest.len == 0;
}

static bool listens(const struct api *api, const struct route *route, enum listener listener) {
    if (listener == LISTENER_PUBLIC && route->kind == ROUTE_PUBLISHER && api->settings->publisher_listen[0])
        return false;
    return listener == LISTENER_OPS || route->kind != ROUTE_OPS;
}

static enum outcome find_route(struct call *call, const struct segments *segments, enum listener listener) {
    enum http_method method = call->request->method == HTTP_METHOD_HEAD ? HTTP_METHOD_GET : call->request->method;
    struct call found = *call;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!listens(call->api, &routes[i], listener) || !matches(call, segments, routes[i].pattern))
            continue;
        found.site = call->site, found.item = call->item, found.name = call->name;
        found.methods |= 1u << routes[i].method;
        if (routes[i].method == HTTP_METHOD_GET)
            found.methods |= 1u << HTTP_METHOD_HEAD;
        if (routes[i].method == method)
            found.route = &routes[i];
    }
    *call = found;
    if (!call->methods)
        return NOT_FOUND;
    return call->route || method == HTTP_METHOD_OPTIONS ? OK : METHOD_NOT_ALLOWED;
}

bool path_is_shared(const struct call *call) {
    if (call->route)
        return call->route->kind == ROUTE_SHARED;
    return call->methods == (1u << HTTP_METHOD_GET | 1u << HTTP_METHOD_HEAD);
}

// ---- What the path names

static enum outcome check_names(struct call *call) {
    const struct settings *settings = call->api->settings;
    if (!call->site.at)
        return OK;
    if (!site_name_valid(call->site))
        return BAD_SITE;
    call->site_setting = settings_site(settings, call->site);
    if (!call->site_setting && strcmp(settings->sites, "declared") == 0)
        return UNKNOWN_SITE;
    bool in_query = bytes_eq(call->item, BYTES("-"));
    return !call->item.at || in_query || item_id_valid(call->item) ? OK : BAD_ITEM;
}

struct call *call_prepare(struct http_request *request, enum listener listener) {
    struct segments segments;
    struct call *call = arena_take(request->arena, sizeof *call);
    if (!call)
        return NULL;
    request->state = call;
    call->api = request->app;
    call->request = request;
    call->params.plain = true;
    call->refusal = split(request, &segments);
    if (call->refusal == OK)
        call->refusal = find_route(call, &segments, listener);
    if (call->refusal == OK)
        call->refusal = check_names(call);
    return call;
}
