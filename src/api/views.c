// SPDX-License-Identifier: MIT
// POST views: a view counts once per visitor and view window. A prefetch, a crawler's view and a view over a rate limit
// are answered and not counted. A reader who opts out (GPC, DNT) is counted and leaves no history.
#include "api/limits.h"
#include "base/clock.h"
#include "ops/metrics.h"
#include "store/writes.h"

enum { BODY_MAX = 16 << 10 };

static void answer_gif(struct call *call);

static void answer(struct call *call, bool counted, const char *reason) {
    char capacity[BODY_MAX];
    if (call->route->start == view_gif_start) {
        answer_gif(call);
        return;
    }
    struct buffer body = buffer_over(capacity, sizeof capacity);
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
}

// The answer is an image whatever failed, or a reader sees a broken one.
static void answer_failed(struct call *call, enum outcome outcome) {
    call->visitor.fresh = false;
    if (call->route->start == view_gif_start)
        answer_gif(call);
    else
        answer_error(call, outcome, call->detail);
}

// Accepted, but not counted; so there is no token either.
static void answer_uncounted(struct call *call, enum metric metric, enum metric_reason dropped, const char *reason) {
    metric_add(metric, 1);
    call_dropped(call, dropped);
    call->visitor.fresh = false;
    answer(call, false, reason);
}

// True when the request's own fields decided, and the call is answered.
static bool answer_unwanted(struct call *call) {
    if (call->foreign)
        answer_uncounted(call, METRIC_VIEWS_ORIGIN, DROPPED_ORIGIN, "origin");
    else if (is_prefetch(call))
        answer_uncounted(call, METRIC_VIEWS_PREFETCH, DROPPED_PREFETCH, "prefetch");
    else if (is_bot(call))
        answer_uncounted(call, METRIC_VIEWS_BOT, DROPPED_BOT, "bot");
    else if (opt_out_of(call) == OPT_OUT_DROP)
        answer_uncounted(call, METRIC_VIEWS_OPT_OUT, DROPPED_OPT_OUT, "opt_out");
    else
        return false;
    return true;
}

static void answer_refused(struct call *call, enum outcome outcome) {
    if (outcome == TOO_MANY_REQUESTS)
        answer_uncounted(call, METRIC_VIEWS_LIMIT, DROPPED_LIMIT, "limit");
    else
        answer_failed(call, outcome);
}

static void on_look(struct item_look *look);
static void on_view(struct view_call *view);

static enum outcome begin(struct call *call, struct view_call **ret_view) {
    const struct api *api = call->api;
    enum outcome outcome = auth_visitor_of_body(call);
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
                               .anonymous = opt_out_of(call) == OPT_OUT_ANONYMOUS,
                               .on_done = on_view,
                               .context = call};
    *ret_view = view;
    return OK;
}

// One transparent pixel.
static const char gif[] = "GIF89a\1\0\1\0\200\0\0\0\0\0\377\377\377!\371\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";

static void answer_gif(struct call *call) {
    answer_image(call, "image/gif", (struct bytes){gif, sizeof gif - 1});
}

static void look(struct call *call, struct view_call *view) {
    struct item_look *item = arena_take(call->request->arena, sizeof *item);
    if (!item) {
        answer_failed(call, UNAVAILABLE);
        return;
    }
    *item = (struct item_look){.item = view->item, .on_done = on_look, .context = view};
    item_look_start(call->api->store, item);
}

static void count(struct call *call, struct view_call *view) {
    view->alone = view->anonymous || !limit_teaches(call, view->item);
    store_view(call->api->store, view);
}

void view_start(struct call *call) {
    struct view_call *view = NULL;
    enum outcome outcome = begin(call, &view);
    if (outcome == OK && answer_unwanted(call))
        return;
    if (outcome == OK)
        outcome = limit_view(call, view->visitor);
    if (outcome != OK)
        answer_refused(call, outcome);
    else if (limit_needs_look(call, view->item, true))
        look(call, view);
    else
        count(call, view);
}

static void on_look(struct item_look *look) {
    struct view_call *view = look->context;
    struct call *call = view->context;
    enum outcome outcome = limit_item(call, look, true);
    if (outcome == OK)
        count(call, view);
    else
        answer_refused(call, outcome);
}

static void on_view(struct view_call *view) {
    struct call *call = view->context;
    if (view->outcome == OK && view->result == VIEW_OVER)
        call_dropped(call, DROPPED_LIMIT);
    if (view->outcome == OK)
        answer(call, view->result == VIEW_COUNTED, view->result == VIEW_OVER ? "limit" : "repeat");
    else
        answer_failed(call, view->outcome);
}

// ---- For pages without JavaScript: the only read that counts. A HEAD counts nothing.

bool answer_refused_image(struct call *call) {
    struct bytes path = call->request->path, begin = BYTES("/v1/"), end = BYTES("/view.gif");
    bool image = call->route ? call->route->start == view_gif_start
                             : call->refusal == BAD_PATH && bytes_starts(path, begin) && path.len > end.len &&
                                   bytes_eq((struct bytes){path.at + path.len - end.len, end.len}, end);
    bool reads = call->request->method == HTTP_METHOD_GET || call->request->method == HTTP_METHOD_HEAD;
    if (!image || !reads)
        return false;
    answer_gif(call);
    return true;
}

void view_gif_start(struct call *call) {
    if (call->request->method == HTTP_METHOD_HEAD)
        answer_gif(call);
    else
        view_start(call);
}
