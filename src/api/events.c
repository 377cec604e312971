// SPDX-License-Identifier: MIT
// POST events: NDJSON of views, votes and retractions, also back-dated, in any order. With ?wait=true the answer comes
// when both projections have passed them.
#include "api/kinds.h"
#include "api/known.h"
#include "api/limits.h"
#include "api/lines.h"
#include "base/clock.h"
#include "base/times.h"
#include "model/keys.h"
#include "ops/json_in.h"
#include "store/writes.h"

struct event_body {
    struct bytes type, item, visitor, kind;
    struct json_time time;
};

static const struct json_field event_fields[] = {
    {.name = "type", .type = JSON_IN_TEXT, .offset = offsetof(struct event_body, type), .max = 16},
    {.name = "item",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct event_body, item),
     .max = ITEM_ID_MAX,
     .wrong = BAD_ITEM},
    {.name = "visitor",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct event_body, visitor),
     .max = 1024,
     .wrong = BAD_VISITOR},
    {.name = "kind",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct event_body, kind),
     .max = NAME_SIZE,
     .wrong = UNKNOWN_KIND},
    {.name = "time", .type = JSON_IN_TIME, .offset = offsetof(struct event_body, time), .wrong = BAD_TIME},
    {.name = NULL},
};

// ---- A line

static void on_event_vote(struct vote_call *vote) {
    line_note(vote->context, partition_of(vote->item, keys_partitions()), vote->entry);
    line_done(vote->context, vote->outcome);
}

static void on_event_view(struct view_call *view) {
    line_note(view->context, view->log, view->entry);
    line_done(view->context, view->outcome);
}

struct event {
    ref_t item, visitor;
    struct bytes id;
    int kind;
    int64_t time_ms;
    bool dated;
};

static void on_look(struct item_look *look);

static enum outcome start_view(struct line *line, const struct event *event) {
    struct call *call = line_call(line);
    struct view_call *view = arena_take(&line->arena, sizeof *view);
    if (!view)
        return UNAVAILABLE;
    *view = (struct view_call){.item = event->item,
                               .visitor = event->visitor,
                               .site = call->site,
                               .id = event->id,
                               .time_ms = event->time_ms,
                               .queued.patient = true,
                               .on_done = on_event_view,
                               .context = line};
    if (!needs_card(call)) {
        store_view(call->api->store, view);
        return OK;
    }
    struct item_look *look = arena_take(&line->arena, sizeof *look);
    if (!look)
        return UNAVAILABLE;
    *look = (struct item_look){.item = event->item, .patient = true, .on_done = on_look, .context = view};
    item_look_start(call->api->store, look);
    return OK;
}

static void on_look(struct item_look *look) {
    struct view_call *view = look->context;
    struct line *line = view->context;
    if (look->outcome == OK && look->has_card)
        store_view(line_call(line)->api->store, view);
    else
        line_done(line, look->outcome == OK ? UNKNOWN_ITEM : look->outcome);
}

static enum outcome start_vote(struct line *line, const struct event *event) {
    struct call *call = line_call(line);
    struct vote_call *vote = arena_take(&line->arena, sizeof *vote);
    if (!vote)
        return UNAVAILABLE;
    *vote = (struct vote_call){.item = event->item,
                               .visitor = event->visitor,
                               .site = call->site,
                               .id = event->id,
                               .kind = event->kind,
                               .time_ms = event->time_ms,
                               .needs_card = needs_card(call),
                               .dated = event->dated,
                               .queued.patient = true,
                               .on_done = on_event_vote,
                               .context = line};
    store_vote(call->api->store, vote);
    return OK;
}

static enum outcome start_unvote(struct line *line, const struct event *event) {
    struct event retraction = *event;
    retraction.kind = -1;
    return start_vote(line, &retraction);
}

static const struct {
    const char *name;
    enum outcome (*start)(struct line *line, const struct event *event);
} types[] = {{"view", start_view}, {"vote", start_vote}, {"unvote", start_unvote}};

static enum outcome check(const struct line *line, const struct event_body *body, struct event *ret_event) {
    struct call *call = line_call(line);
    const struct api *api = call->api;
    uint8_t id[VISITOR_ID_SIZE];
    int64_t now = clock_now_ms();
    int kind = body->kind.at ? kind_index(api->settings, body->kind) : 0;
    if (!item_id_valid(body->item))
        return BAD_ITEM;
    if (kind < 0)
        return UNKNOWN_KIND;
    if (body->time.given && body->time.unix_ms > now + TIME_AHEAD_MS)
        return BAD_TIME;
    if (!body->visitor.at || auth_visitor_text(call, body->visitor, id) != OK)
        return BAD_VISITOR;
    *ret_event = (struct event){.item = item_ref(api->hash_key, call->site, body->item),
                                .visitor = visitor_ref(api->hash_key, call->site, id),
                                .id = body->item,
                                .kind = kind,
                                .time_ms = body->time.given ? body->time.unix_ms : now,
                                .dated = body->time.given};
    return OK;
}

enum outcome event_line(struct line *line, struct bytes text) {
    struct event_body body = {.type = NO_BYTES};
    struct event event;
    const char *detail;
    enum outcome outcome = json_read(text, event_fields, true, &body, &line->arena, &detail);
    if (outcome == OK)
        outcome = check(line, &body, &event);
    if (outcome != OK)
        return outcome;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (bytes_eq(body.type, bytes_of(types[i].name)))
            return types[i].start(line, &event);
    return BAD_FIELD;
}

void events_start(struct call *call) {
    lines_finish(call, lines_answer_projected);
}
