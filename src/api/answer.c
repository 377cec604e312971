// SPDX-License-Identifier: MIT
// How a call ends: header fields by kind of route, problem+json from the table of outcomes, and the reply.
#include "api/audit.h"
#include "base/clock.h"
#include "http/uri.h"
#include <stdio.h>

enum { FIELDS_MAX = 4096, ERROR_MAX = 4096, PREFLIGHT_SECONDS = 86400 };
#define RETRY_SECONDS 1u
#define EXPOSED_FIELDS "Engaged-Visitor, Engaged-Checked-At, Retry-After, ETag"

// ---- Header fields

// The methods of a set of bits, "GET, HEAD, …".
static void methods_text(unsigned methods, char text[static 64]) {
    static const struct {
        enum http_method method;
        const char *name;
    } names[] = {{HTTP_METHOD_GET, "GET"}, {HTTP_METHOD_HEAD, "HEAD"},     {HTTP_METHOD_POST, "POST"},
                 {HTTP_METHOD_PUT, "PUT"}, {HTTP_METHOD_DELETE, "DELETE"}, {HTTP_METHOD_OPTIONS, "OPTIONS"}};
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (methods & 1u << names[i].method)
            len += (size_t)snprintf(text + len, 64 - len, len ? ", %s" : "%s", names[i].name);
}

static void add_cors(const struct call *call, struct buffer *fields) {
    static const struct bytes exposed = {"Access-Control-Expose-Headers: " EXPOSED_FIELDS "\r\n",
                                         sizeof("Access-Control-Expose-Headers: " EXPOSED_FIELDS "\r\n") - 1};
    if (!call || path_is_shared(call)) {
        buffer_add_bytes(fields, BYTES("Access-Control-Allow-Origin: *\r\n"));
        buffer_add_bytes(fields, exposed);
        return;
    }
    buffer_add_bytes(fields, BYTES("Vary: Origin\r\n"));
    if (!call->granted_origin.at)
        return;
    buffer_add_bytes(fields, BYTES("Access-Control-Allow-Origin: "));
    buffer_add_bytes(fields, call->granted_origin);
    if (call->credentials)
        buffer_add_bytes(fields, BYTES("\r\nAccess-Control-Allow-Credentials: true"));
    buffer_add_bytes(fields, BYTES("\r\n"));
    buffer_add_bytes(fields, exposed);
}

static bool seen_by_https(const struct call *call) {
    return bytes_starts(bytes_of(call->api->settings->public_url), BYTES("https://")) ||
           bytes_eq_nocase(call->request->fields[HTTP_X_FORWARDED_PROTO], BYTES("https"));
}

// A __Host- cookie is always Secure, or browsers refuse it. A partitioned cookie is one that browsers keep apart for
// each site that embeds this one (CHIPS).
static const char *cookie_attributes(const struct call *call) {
    switch (call->api->settings->cookie_form) {
    case COOKIE_FORM_PARTITIONED:
        return "SameSite=None; Secure; Partitioned";
    case COOKIE_FORM_HOST:
        return "SameSite=Lax; Secure";
    case COOKIE_FORM_LAX:
        break;
    }
    return seen_by_https(call) ? "SameSite=Lax; Secure" : "SameSite=Lax";
}

// The token of a visitor that this call creates; the cookie only where this origin may send it back.
static void add_token(const struct call *call, struct buffer *fields) {
    const struct settings *settings = call->api->settings;
    char token[TOKEN_SIZE], name[COOKIE_NAME_SIZE];
    if (!call->visitor.fresh)
        return;
    token_make(call->api->tokens, call->site, call->visitor.id, clock_now_ms(), token);
    buffer_add_bytes(fields, BYTES("Engaged-Visitor: "));
    buffer_add_bytes(fields, bytes_of(token));
    buffer_add_bytes(fields, BYTES("\r\n"));
    if (!settings->cookies || !call->credentials)
        return;
    auth_cookie_name(call, name);
    char digits[DECIMAL_SIZE];
    const struct bytes pieces[] = {BYTES("Set-Cookie: "),
                                   bytes_of(name),
                                   BYTES("="),
                                   bytes_of(token),
                                   BYTES("; Path=/; Max-Age="),
                                   bytes_of_int(settings->token_age_ms / 1000, digits),
                                   BYTES("; HttpOnly; "),
                                   bytes_of(cookie_attributes(call)),
                                   BYTES("\r\n")};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        buffer_add_bytes(fields, pieces[i]);
}

// Without memory for all its fields (a token may be one of them) an answer becomes a bare 503.
static void reply(struct http_request *request, int status, const char *media_type, struct buffer *fields,
                  struct bytes body) {
    static const struct http_reply bare = {.status = 503,
                                           .fields = BYTES("Cache-Control: no-store\r\nRetry-After: 1\r\n")};
    struct http_reply answer = {
        .status = status, .media_type = media_type, .fields = buffer_bytes(fields), .body = body};
    if (fields->failed)
        answer = bare;
    audit_answered(call_of(request), answer.status);
    http_reply(request, &answer);
}

// ---- Errors

static void render_problem(enum outcome outcome, const char *detail, struct buffer *body) {
    struct json_out json = json_out_to(body);
    json_open(&json, '{');
    json_key(&json, BYTES("type"));
    json_text(&json, BYTES("about:blank"));
    json_key(&json, BYTES("status"));
    json_int(&json, outcome_status(outcome));
    json_key(&json, BYTES("code"));
    json_text(&json, bytes_of(outcome_code(outcome)));
    json_key(&json, BYTES("title"));
    json_text(&json, bytes_of(outcome_title(outcome)));
    if (detail) {
        json_key(&json, BYTES("detail"));
        json_text(&json, bytes_of(detail));
    }
    json_close(&json, '}');
}

const char *api_render_error(enum outcome outcome, const char *detail, struct buffer *body) {
    render_problem(outcome, detail, body);
    return "application/problem+json";
}

// An error in place of a fragment must not spoil the page that includes it. Without a call this is a list that is
// remembered by its target; without a route the path may have been meant for a list.
static bool wants_fragment(const struct http_request *request, const struct call *call) {
    struct bytes rest = request->query, name, value;
    if (call && call->route && !(call->route->parameters & PARAM_FORMAT))
        return false;
    while (query_next(&rest, &name, &value))
        if (bytes_eq(name, BYTES("format")) && bytes_eq(value, BYTES("html")))
            return true;
    return false;
}

// Without memory for them the answer has none: then no page reads it, and no cache keeps it.
struct bytes api_error_fields(struct http_request *request) {
    char *capacity = arena_take(request->arena, FIELDS_MAX);
    if (!capacity)
        return BYTES("Cache-Control: no-store\r\n");
    struct buffer fields = buffer_over(capacity, FIELDS_MAX);
    buffer_add_bytes(&fields, BYTES("Cache-Control: no-store\r\n"));
    add_cors(call_of(request), &fields);
    return fields.failed ? BYTES("Cache-Control: no-store\r\n") : buffer_bytes(&fields);
}

static const char *render_answer(const struct http_request *request, const struct call *call, enum outcome outcome,
                                 const char *detail, struct buffer *body) {
    if (!wants_fragment(request, call))
        return api_render_error(outcome, detail, body);
    buffer_addf(body, "<!-- engaged: %d %s -->\n", outcome_status(outcome), outcome_code(outcome));
    return "text/html; charset=utf-8";
}

void api_answer_error(struct http_request *request, enum outcome outcome, const char *detail) {
    struct call *call = call_of(request);
    char methods[64], body_capacity[ERROR_MAX], fields_capacity[FIELDS_MAX];
    struct buffer body = buffer_over(body_capacity, sizeof body_capacity);
    struct buffer fields = buffer_over(fields_capacity, sizeof fields_capacity);
    if (request->arena->lacking) // without memory a right value may have been read wrong
        outcome = UNAVAILABLE;
    if (outcome == UNAVAILABLE && !detail && call)
        detail = store_why_unavailable(call->api->store);
    int status = outcome_status(outcome);
    const char *media_type = render_answer(request, call, outcome, detail, &body);
    buffer_addf(&fields, "Cache-Control: no-store\r\n");
    add_cors(call, &fields);
    if (status == 405) {
        methods_text((call ? call->methods : 0) | 1u << HTTP_METHOD_OPTIONS, methods);
        buffer_addf(&fields, "Allow: %s\r\n", methods);
    }
    if (status == 503 || status == 429)
        buffer_addf(&fields, "Retry-After: %u\r\n", call && call->retry_after_s ? call->retry_after_s : RETRY_SECONDS);
    if (status == 401)
        buffer_addf(&fields, "WWW-Authenticate: Bearer\r\n");
    reply(request, status, body.failed ? NULL : media_type, &fields, buffer_bytes(&body));
}

void answer_error(struct call *call, enum outcome outcome, const char *detail) {
    call_refused(call, outcome);
    api_answer_error(call->request, outcome, detail);
}

// ---- Successes

// In a buffer of the caller.
static struct buffer begin_fields(const struct call *call, char capacity[static FIELDS_MAX]) {
    struct buffer fields = buffer_over(capacity, FIELDS_MAX);
    buffer_add_bytes(&fields, BYTES("Cache-Control: no-store\r\n"));
    if (call->site.at) {
        add_cors(call, &fields);
        add_token(call, &fields);
    }
    return fields;
}

void answer_json(struct call *call, int status, const struct buffer *body) {
    char capacity[FIELDS_MAX];
    if (body->failed) {
        answer_error(call, UNAVAILABLE, "no memory for the answer");
        return;
    }
    struct buffer fields = begin_fields(call, capacity);
    reply(call->request, status, "application/json", &fields, buffer_bytes(body));
}

void answer_text(struct call *call, const char *media_type, struct bytes text) {
    char capacity[FIELDS_MAX];
    struct buffer fields = begin_fields(call, capacity);
    reply(call->request, 200, media_type, &fields, text);
}

void answer_image(struct call *call, const char *media_type, struct bytes image) {
    char capacity[FIELDS_MAX];
    struct buffer fields = begin_fields(call, capacity);
    buffer_add_bytes(&fields, BYTES("Cross-Origin-Resource-Policy: cross-origin\r\n"));
    reply(call->request, 200, media_type, &fields, image);
}

bool begin_stream(struct call *call, const char *media_type) {
    char capacity[FIELDS_MAX];
    struct buffer fields = begin_fields(call, capacity);
    if (fields.failed)
        return false;
    struct http_reply head = {.status = 200, .media_type = media_type, .fields = buffer_bytes(&fields)};
    audit_answered(call, head.status);
    http_stream_begin(call->request, &head);
    return true;
}

void answer_empty(struct call *call, int status) {
    char capacity[FIELDS_MAX];
    struct buffer fields = begin_fields(call, capacity);
    reply(call->request, status, NULL, &fields, NO_BYTES);
}

// OPTIONS, and the preflight of a browser: the methods that this path has. A refused origin gets its 403 from the call
// itself.
void answer_options(struct call *call) {
    char methods[64], capacity[FIELDS_MAX];
    struct buffer fields = buffer_over(capacity, sizeof capacity);
    methods_text(call->methods | 1u << HTTP_METHOD_OPTIONS, methods);
    buffer_addf(&fields, "Cache-Control: no-store\r\nAllow: %s\r\n", methods);
    add_cors(call, &fields);
    if (call->granted_origin.at || path_is_shared(call))
        buffer_addf(&fields,
                    "Access-Control-Allow-Methods: %s\r\n"
                    "Access-Control-Allow-Headers: Content-Type, Engaged-Visitor, Authorization\r\n"
                    "Access-Control-Max-Age: %d\r\n",
                    methods, PREFLIGHT_SECONDS);
    reply(call->request, 204, NULL, &fields, NO_BYTES);
}

void json_votes(struct json_out *json, const struct settings *settings, const uint64_t votes[KINDS_MAX]) {
    json_open(json, '{');
    for (uint32_t i = 0; i < settings->kind_count; i++) {
        json_key(json, bytes_of(settings->kind_names[i]));
        json_int(json, (int64_t)votes[i]);
    }
    json_close(json, '}');
}
