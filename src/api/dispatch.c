// SPDX-License-Identifier: MIT
// The callbacks of the HTTP room. A read that is in memory is answered at once; any other request passes route, auth
// and parameters to its endpoint.
#include "api/audit.h"
#include "api/lines.h"

enum { EMPTY_BODY = 0 };

static bool is_read(const struct http_request *request) {
    return request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
}

// ---- Before the body

static bool type_is(struct bytes type, const char *name) {
    const char *semicolon = type.len ? memchr(type.at, ';', type.len) : NULL;
    struct bytes essence = {type.at, semicolon ? (size_t)(semicolon - type.at) : type.len};
    return bytes_eq_nocase(bytes_trim(essence), bytes_of(name));
}

static bool type_fits(struct call *call) {
    struct bytes type = call->request->fields[HTTP_CONTENT_TYPE], coding = call->request->fields[HTTP_CONTENT_ENCODING];
    if (!call->request->has_body || call->route->body == ROUTE_BODY_NONE)
        return true; // a body that nobody reads may be of any type
    if (coding.len && !bytes_eq_nocase(coding, BYTES("identity"))) {
        call->detail = "a body with a Content-Encoding is not taken";
        return false;
    }
    if (!type.len || call->request->method == HTTP_METHOD_DELETE)
        return true;
    bool lines = call->route->body == ROUTE_BODY_LINES;
    bool fits = lines ? type_is(type, "application/x-ndjson")
                      : type_is(type, "application/json") || type_is(type, "text/plain");
    if (!fits)
        call->detail = lines ? "send Content-Type: application/x-ndjson" : "send Content-Type: application/json";
    return fits;
}

// The item of "/items/-/…" is the parameter `id`.
static enum outcome take_item_of_query(struct call *call) {
    if (!bytes_eq(call->item, BYTES("-")))
        return OK;
    if (call->params.id_count != 1) {
        call->detail = "the parameter id is missing";
        return BAD_PARAMETER;
    }
    call->item = call->params.ids[0];
    return OK;
}

static enum outcome check(struct call *call) {
    enum outcome outcome = auth_check(call);
    if (outcome != OK || !call->route)
        return outcome;
    if (!call->site.at) // "widget.js?site=…": a path without a site ignores its query
        return type_fits(call) ? OK : UNSUPPORTED_TYPE;
    unsigned allowed = call->route->parameters | (bytes_eq(call->item, BYTES("-")) ? PARAM_ID : 0u);
    outcome = params_read(call->request, allowed, call->keyed, &call->params, &call->detail);
    if (outcome == OK)
        outcome = take_item_of_query(call);
    return outcome == OK && !type_fits(call) ? UNSUPPORTED_TYPE : outcome;
}

// A body that nobody reads is drained, or the connection closes.
static struct http_body_plan plan_body(struct call *call) {
    struct http_body_plan refuse = {HTTP_BODY_REFUSE, 0};
    if (call->refusal != OK || !call->route || call->route->body == ROUTE_BODY_NONE)
        return call->request->has_body ? refuse : (struct http_body_plan){HTTP_BODY_WHOLE, EMPTY_BODY};
    if (call->route->body == ROUTE_BODY_LINES) {
        if (!lines_prepare(call) || audit_body(call) != OK) {
            call->refusal = UNAVAILABLE;
            return refuse;
        }
        return (struct http_body_plan){HTTP_BODY_STREAM, 0};
    }
    return (struct http_body_plan){HTTP_BODY_WHOLE, (size_t)call->api->settings->body_limit};
}

static struct http_body_plan on_head(struct http_request *request, enum listener listener) {
    if (is_read(request) && !request->has_body)
        return (struct http_body_plan){HTTP_BODY_WHOLE, EMPTY_BODY}; // it may be in memory: looked at later
    struct call *call = call_prepare(request, listener);
    if (!call)
        return (struct http_body_plan){HTTP_BODY_REFUSE, 0};
    call->refusal = check(call);
    return plan_body(call);
}

// ---- The whole request

static void run(struct call *call) {
    if (call->refusal == BAD_ORIGIN && call->request->method == HTTP_METHOD_OPTIONS) {
        call_refused(call, BAD_ORIGIN); // the browser sends nothing after it
        answer_options(call);
    } else if (call->refusal != OK && answer_refused_image(call)) {
        return;
    } else if (call->refusal != OK) {
        answer_error(call, call->refusal, call->detail);
    } else if (!call->route) {
        answer_options(call);
    } else {
        audit_start(call);
    }
}

static void on_request(struct http_request *request, enum listener listener) {
    struct api *api = request->app;
    struct call *call = call_of(request);
    if (!call && listener == LISTENER_PUBLIC && is_read(request) && serve_from_memory(api->serve, request))
        return;
    if (!call && (call = call_prepare(request, listener)))
        call->refusal = check(call);
    if (call)
        run(call);
    else
        api_answer_error(request, UNAVAILABLE, "no memory for the request");
}

// The HTTP room answers by itself: the body is too long, malformed, late or cut off.
static void on_refused(struct http_request *request, int status) {
    audit_answered(call_of(request), status);
}

// An error that the HTTP room finds before the call is known is the same for everybody.
static const char server_error_fields[] = "Cache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\n"
                                          "Access-Control-Expose-Headers: Retry-After\r\n";

// One set of callbacks per listener: the HTTP room does not say on which a request came.
#define CALLBACKS(name, listener)                                                                                      \
    static struct http_body_plan on_##name##_head(struct http_request *request) {                                      \
        return on_head(request, listener);                                                                             \
    }                                                                                                                  \
    static void on_##name##_request(struct http_request *request) {                                                    \
        on_request(request, listener);                                                                                 \
    }                                                                                                                  \
    const struct http_callbacks api_##name##_callbacks = {                                                             \
        .on_head = on_##name##_head,                                                                                   \
        .on_piece = lines_take,                                                                                        \
        .on_request = on_##name##_request,                                                                             \
        .on_cut = lines_cut,                                                                                           \
        .on_counted = api_on_counted,                                                                                  \
        .render_error = api_render_error,                                                                              \
        .on_refused = on_refused,                                                                                      \
        .error_fields = {server_error_fields, sizeof server_error_fields - 1},                                         \
        .error_fields_of = api_error_fields,                                                                           \
    }
CALLBACKS(public, LISTENER_PUBLIC);
CALLBACKS(ops, LISTENER_OPS);
CALLBACKS(publisher, LISTENER_PUBLISHER);
