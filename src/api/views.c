// SPDX-License-Identifier: MIT
// POST views: counted once per visitor and view window. What a browser fetched beforehand is answered, not counted; a
// reader who asks not to be followed (GPC, DNT) is counted and leaves no history.
#include "api/call.h"
#include "base/clock.h"
#include "ops/json_in.h"
#include "ops/metrics.h"

struct view_body {
    struct bytes visitor;
};

static const struct json_field fields[] = {
    {.name = "visitor",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct view_body, visitor),
     .most = 1024,
     .wrong = BAD_VISITOR},
    {.name = NULL},
};

static void answer_gif(struct call *call);

static void answer(struct call *call, bool counted, const char *reason) {
    struct buffer body;
    if (call->route->start == view_gif_start) {
        answer_gif(call);
        return;
    }
    buffer_init(&body, 16 << 10);
    struct json_out json = json_out_to(&body);
    json_open(&json, '{');
    json_key(&json, BYTES("item"));
    json_text(&json, call->item);
    json_key(&json, BYTES("counted"));
    json_bool(&json, counted);
    if (!counted) {
        json_key(&json, BYTES("reason"));
        json_text(&json, bytes_of(reason));
    }
    json_close(&json, '}');
    answer_json(call, 202, &body);
    buffer_release(&body);
}

static bool holds(struct bytes field, const char *word) {
    return field.len && memmem(field.at, field.len, word, strlen(word)) != NULL;
}

static bool is_prefetch(const struct http_request *request) {
    static const enum http_field purposes[] = {HTTP_SEC_PURPOSE, HTTP_PURPOSE, HTTP_X_MOZ};
    for (size_t i = 0; i < sizeof purposes / sizeof *purposes; i++)
        if (holds(request->fields[purposes[i]], "prefetch") || holds(request->fields[purposes[i]], "prerender"))
            return true;
    return false;
}

static bool opts_out(const struct http_request *request) {
    return bytes_eq(request->fields[HTTP_SEC_GPC], BYTES("1")) || bytes_eq(request->fields[HTTP_DNT], BYTES("1"));
}

static void on_view(struct view_call *view);

static enum outcome begin(struct call *call, struct view_call **ret_view) {
    const struct api *api = call->api;
    struct view_body body = {.visitor = NO_BYTES};
    enum outcome outcome =
        json_read(call->request->body, fields, call->keyed, &body, call->request->arena, &call->detail);
    if (outcome == OK)
        outcome = door_visitor(call, body.visitor);
    if (outcome != OK)
        return outcome;
    struct view_call *view = arena_take(call->request->arena, sizeof *view);
    if (!view)
        return UNAVAILABLE;
    *view = (struct view_call){.item = item_ref(api->hash_key, call->site, call->item),
                               .visitor = visitor_ref(api->hash_key, call->site, call->visitor.id),
                               .site = call->site,
                               .id = call->item,
                               .time_ms = clock_now_ms(),
                               .anonymous = opts_out(call->request),
                               .on_done = on_view,
                               .context = call};
    *ret_view = view;
    return OK;
}

// One transparent pixel.
static const char gif[] = "GIF89a\1\0\1\0\200\0\0\0\0\0\377\377\377!\371\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";

static void answer_gif(struct call *call) {
    answer_text(call, "image/gif", (struct bytes){gif, sizeof gif - 1});
}

void view_start(struct call *call) {
    struct view_call *view = NULL;
    enum outcome outcome = begin(call, &view);
    if (outcome != OK) {
        answer_error(call, outcome, call->detail);
        return;
    }
    if (is_prefetch(call->request)) {
        metric_add(METRIC_VIEWS_PREFETCH, 1);
        call->visitor.fresh = false; // nothing was counted: no token
        answer(call, false, "prefetch");
        return;
    }
    store_view(call->api->store, view);
}

static void on_view(struct view_call *view) {
    struct call *call = view->context;
    if (view->outcome == OK)
        answer(call, view->counted, "repeat");
    else
        answer_error(call, view->outcome, NULL);
}

// ---- For pages without JavaScript: the one read that counts. A HEAD asks what a GET would be: it counts nothing.

void view_gif_start(struct call *call) {
    if (call->request->method == HTTP_METHOD_HEAD)
        answer_gif(call);
    else
        view_start(call);
}
