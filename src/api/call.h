// SPDX-License-Identifier: MIT
// A call of the contract while it runs: the request, its route, the findings of auth.c, and the answers that all calls
// share. It lives in the request's arena until the reply.
#pragma once
#include "api/api.h"
#include "api/params.h"
#include "base/json_out.h"
#include "ops/metrics.h"

enum route_kind { ROUTE_SHARED, ROUTE_PRIVATE, ROUTE_PUBLISHER, ROUTE_HEALTH, ROUTE_OPS };
enum route_body { ROUTE_BODY_NONE, ROUTE_BODY_JSON, ROUTE_BODY_LINES };
enum listener { LISTENER_PUBLIC, LISTENER_OPS, LISTENER_PUBLISHER };

struct audit;
struct call;

struct route {
    enum http_method method;
    const char *pattern;
    void (*start)(struct call *call);
    enum route_kind kind;
    enum route_body body;
    unsigned parameters;
};

enum { COOKIE_NAME_SIZE = 24 };

struct visitor {
    uint8_t id[VISITOR_ID_SIZE];
    bool fresh; // created by this call: the answer carries its token
};

struct call {
    struct api *api;
    struct http_request *request;
    const struct route *route; // NULL when none matches
    unsigned methods;          // without a route: bits of the methods that this path has
    bool all_shared;           // without a route: each of them is for everybody
    enum outcome refusal;      // known before the body; OK: none
    const char *detail;
    uint32_t retry_after_s; // of a 429
    struct bytes site, item, name;
    const struct site_setting *site_setting; // NULL: the site has no section
    bool for_operators;                      // it came by ops_listen
    bool keyed;                              // a key was given and is right
    const char *key_name;                    // its name; NULL: none was given that is right
    struct bytes granted_origin;             // named in CORS headers, refused or not; at == NULL: none
    bool credentials;                        // of a granted origin; and the cookie may be used
    bool foreign;                            // an image on a page whose origin may not write: answered, not counted
    struct params params;
    struct visitor visitor;
    struct audit *audit;          // audit.c: its entry in the audit log, if it has one
    bool audited;                 // the audit log knows of it
    unsigned long lines_accepted; // of a bulk call
    void *state;                  // the endpoint's own
};

static inline struct call *call_of(struct http_request *request) {
    return request->state;
}

// routes.c: finds the route and the names in the path; sets refusal. NULL without memory.
struct call *call_prepare(struct http_request *request, enum listener listener);
bool path_is_shared(const struct call *call); // the errors of shared reads are for everybody too

// auth.c
// Checks origin and secret key before the body is read. An earlier refusal stays.
enum outcome auth_check(struct call *call) MUST_CHECK;
// The visitor: header, then `body_visitor` (at == NULL: absent), then cookie, else a fresh one.
enum outcome auth_visitor(struct call *call, struct bytes body_visitor) MUST_CHECK;
// The same for a JSON body that may hold only `visitor`.
enum outcome auth_visitor_of_body(struct call *call) MUST_CHECK;
// A visitor's id from text that may be a token, or with the secret key an id of the caller's own.
enum outcome auth_visitor_text(struct call *call, struct bytes text, uint8_t ret_id[static VISITOR_ID_SIZE]) MUST_CHECK;
void auth_new_visitor(struct visitor *visitor);
void auth_cookie_name(const struct call *call, char name[static COOKIE_NAME_SIZE]);

// counting.c: a call of a reader that counts nothing.
void call_dropped(const struct call *call, enum metric_reason reason);
void call_refused(const struct call *call, enum outcome outcome); // the same, if the outcome says so
void api_on_counted(const struct http_count *counts, unsigned count, uint64_t ended_ns);

// answer.c: the body of an error; returns its media type.
const char *api_render_error(enum outcome outcome, const char *detail, struct buffer *body);
// The header lines of an error of the HTTP room in a call that is known.
struct bytes api_error_fields(struct http_request *request);
// Endings. Each answers the request; the call is gone afterwards.
void answer_error(struct call *call, enum outcome outcome, const char *detail);
// For private calls and the publisher's calls: never cached; with CORS, and with the token of a new visitor.
void answer_json(struct call *call, int status, const struct buffer *body);
void answer_empty(struct call *call, int status);
void answer_text(struct call *call, const char *media_type, struct bytes text);
// The same, and pages of any other origin may show it.
void answer_image(struct call *call, const char *media_type, struct bytes image);
// The rest follows by http_stream_…; false without memory: nothing was answered.
bool begin_stream(struct call *call, const char *media_type) MUST_CHECK;
void answer_options(struct call *call);
// Answers the image of a view that was refused before its start (views.c); false: it is no image.
bool answer_refused_image(struct call *call);
// The kinds' counts as an object.
void json_votes(struct json_out *json, const struct settings *settings, const uint64_t votes[KINDS_MAX]);

// One per line of routes.def.
#define ROUTE(method, pattern, start, kind, body, parameters) void start(struct call *call);
#include "api/routes.def"
#undef ROUTE
