// SPDX-License-Identifier: MIT
// From a path to a call. The path is split on '/', each segment is decoded once and compared with the patterns of
// routes.def, which are split at the first call. {item} may be "-": then the id is the parameter `id`.
#include "api/call.h"
#include "http/uri.h"
#include "ops/metrics.h"
#include <assert.h>

enum { SEGMENTS_MAX = 8 };
enum part_kind { PART_WORD, PART_SITE, PART_ITEM, PART_NAME };

static const struct route routes[] = {
#define ROUTE(method, pattern, start, kind, body, parameters)                                                          \
    {HTTP_METHOD_##method, pattern, start, ROUTE_##kind, ROUTE_BODY_##body, parameters},
#include "api/routes.def"
#undef ROUTE
};

enum { ROUTE_COUNT = sizeof routes / sizeof *routes };

// The numbers of routes in the metrics: 0 is a path or method that there is none for, then the table, then preflights.
enum { FIRST_ROUTE = 1, PREFLIGHT_ROUTE = FIRST_ROUTE + ROUTE_COUNT, COUNTED_ROUTES };
_Static_assert((int)COUNTED_ROUTES <= (int)METRIC_ROUTES_MAX, "the metrics have room for all routes");

void api_name_routes(void) {
    static const char *const pairs[COUNTED_ROUTES] = {"method=\"other\",route=\"other\"",
#define ROUTE(method, pattern, start, kind, body, parameters) "method=\"" #method "\",route=\"" pattern "\"",
#include "api/routes.def"
#undef ROUTE
                                                      "method=\"OPTIONS\",route=\"other\""};
    metrics_set_routes(pairs, COUNTED_ROUTES);
}

struct segments {
    size_t count;
    struct bytes at[SEGMENTS_MAX];
};

// A pattern, split.
static struct shape {
    size_t count;
    struct part {
        enum part_kind kind;
        struct bytes word;
    } parts[SEGMENTS_MAX];
} shapes[ROUTE_COUNT];

// ---- Splitting

// Takes the segment before the next '/'. The slash that begins the path has been taken.
static struct bytes next_segment(struct bytes *rest) {
    const char *slash = rest->len ? memchr(rest->at, '/', rest->len) : NULL;
    struct bytes segment = {rest->at, slash ? (size_t)(slash - rest->at) : rest->len};
    size_t taken = segment.len + (slash != NULL);
    rest->at += taken;
    rest->len -= taken;
    return segment;
}

// A proxy on the way would take dots for the folder above; control characters have no place in a path.
static bool segment_sound(struct bytes segment) {
    bool dots = bytes_eq(segment, BYTES(".")) || bytes_eq(segment, BYTES(".."));
    return !dots && bytes_are_text(segment);
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
        if (segments.count == SEGMENTS_MAX - 1)
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

static enum part_kind kind_of(struct bytes part) {
    static const struct bytes braced[] = {
        [PART_SITE] = {"{site}", 6}, [PART_ITEM] = {"{item}", 6}, [PART_NAME] = {"{name}", 6}};
    for (enum part_kind kind = PART_SITE; kind <= PART_NAME; kind++)
        if (bytes_eq(part, braced[kind]))
            return kind;
    return PART_WORD;
}

static void split_patterns(void) {
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        struct bytes rest = bytes_of(routes[i].pattern + 1);
        struct shape *shape = &shapes[i];
        for (shape->count = 0; rest.len; shape->count++) {
            struct bytes part = next_segment(&rest);
            assert(shape->count < SEGMENTS_MAX);
            shape->parts[shape->count] = (struct part){kind_of(part), part};
        }
    }
}

static bool fits(const struct shape *shape, const struct segments *segments) {
    if (shape->count != segments->count)
        return false;
    for (size_t i = 0; i < shape->count; i++)
        if (shape->parts[i].kind == PART_WORD && !bytes_eq(shape->parts[i].word, segments->at[i]))
            return false;
    return true;
}

static void take_names(struct call *call, const struct shape *shape, const struct segments *segments) {
    struct bytes *const names[] = {[PART_SITE] = &call->site, [PART_ITEM] = &call->item, [PART_NAME] = &call->name};
    for (size_t i = 0; i < shape->count; i++)
        if (shape->parts[i].kind != PART_WORD)
            *names[shape->parts[i].kind] = segments->at[i];
}

static bool listens(const struct api *api, const struct route *route, enum listener listener) {
    if (listener == LISTENER_PUBLIC && route->kind == ROUTE_PUBLISHER && api->settings->publisher_listen[0])
        return false;
    return listener == LISTENER_OPS || route->kind != ROUTE_OPS;
}

// The methods that the path has on this listener; none: there is no such path.
static unsigned methods_of(struct call *call, const struct segments *segments, enum listener listener) {
    unsigned methods = 0;
    call->all_shared = true;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!fits(&shapes[i], segments) || !listens(call->api, &routes[i], listener))
            continue;
        take_names(call, &shapes[i], segments);
        methods |= 1u << routes[i].method;
        call->all_shared &= routes[i].kind == ROUTE_SHARED || routes[i].kind == ROUTE_HEALTH;
        if (routes[i].method == HTTP_METHOD_GET)
            methods |= 1u << HTTP_METHOD_HEAD;
    }
    return methods;
}

static enum outcome find_route(struct call *call, const struct segments *segments, enum listener listener) {
    static bool patterns_split;
    enum http_method method = call->request->method == HTTP_METHOD_HEAD ? HTTP_METHOD_GET : call->request->method;
    if (!patterns_split)
        split_patterns();
    patterns_split = true;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (routes[i].method != method || !fits(&shapes[i], segments) || !listens(call->api, &routes[i], listener))
            continue;
        take_names(call, &shapes[i], segments);
        call->route = &routes[i];
        call->request->route = (uint16_t)(FIRST_ROUTE + i);
        return OK;
    }
    call->methods = methods_of(call, segments, listener);
    if (!call->methods)
        return NOT_FOUND;
    if (method != HTTP_METHOD_OPTIONS)
        return METHOD_NOT_ALLOWED;
    call->request->route = PREFLIGHT_ROUTE;
    return OK;
}

bool path_is_shared(const struct call *call) {
    if (call->route)
        return call->route->kind == ROUTE_SHARED;
    return call->methods && call->all_shared;
}

// ---- What the path names

static enum outcome check_names(struct call *call) {
    const struct settings *settings = call->api->settings;
    if (!call->site.at)
        return OK;
    if (!site_name_valid(call->site))
        return BAD_SITE;
    call->site_setting = settings_site(settings, call->site);
    if (!call->site_setting && settings->sites == SITES_DECLARED)
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
    call->for_operators = listener == LISTENER_OPS;
    call->params.plain = true;
    call->refusal = split(request, &segments);
    if (call->refusal == OK)
        call->refusal = find_route(call, &segments, listener);
    if (call->refusal == OK)
        call->refusal = check_names(call);
    return call;
}
