// SPDX-License-Identifier: MIT
// POST and DELETE votes: one vote per visitor and item. The same vote again changes nothing; another kind moves it.
#include "api/kinds.h"
#include "api/limits.h"
#include "base/clock.h"
#include "ops/json_in.h"
#include "ops/metrics.h"
#include "store/writes.h"

enum { BODY_MAX = 16 << 10 };

struct vote_body {
    struct bytes kind, visitor;
};

static const struct json_field vote_fields[] = {
    {.name = "kind",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct vote_body, kind),
     .max = NAME_SIZE,
     .wrong = UNKNOWN_KIND},
    {.name = "visitor",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct vote_body, visitor),
     .max = 1024,
     .wrong = BAD_VISITOR},
    {.name = NULL},
};

static const struct json_field unvote_fields[] = {
    {.name = "visitor",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct vote_body, visitor),
     .max = 1024,
     .wrong = BAD_VISITOR},
    {.name = NULL},
};

static void on_vote(struct vote_call *vote);
static void on_look(struct item_look *look);
static void on_look_of_bot(struct item_look *look);

// Reads the visitor and the item; the caller sets the kind.
static enum outcome begin(struct call *call, const struct json_field *fields, struct vote_body *ret_body,
                          struct vote_call **ret_vote) {
    const struct api *api = call->api;
    enum outcome outcome =
        json_read(call->request->body, fields, call->keyed, ret_body, call->request->arena, &call->detail);
    if (outcome == OK)
        outcome = auth_visitor(call, ret_body->visitor);
    if (outcome != OK)
        return outcome;
    struct vote_call *vote = arena_take(call->request->arena, sizeof *vote);
    if (!vote)
        return UNAVAILABLE;
    *vote = (struct vote_call){.item = item_ref(api->hash_key, call->site, call->item),
                               .visitor = visitor_ref(api->hash_key, call->site, call->visitor.id),
                               .site = call->site,
                               .id = call->item,
                               .kind = -1,
                               .time_ms = clock_now_ms(),
                               .needs_card = needs_card(call),
                               .on_done = on_vote,
                               .context = call};
    *ret_vote = vote;
    return OK;
}

static void look(struct call *call, struct vote_call *vote, void (*on_done)(struct item_look *)) {
    struct item_look *item = arena_take(call->request->arena, sizeof *item);
    if (!item) {
        answer_error(call, UNAVAILABLE, NULL);
        return;
    }
    *item = (struct item_look){.item = vote->item, .on_done = on_done, .context = vote};
    item_look_start(call->api->store, item);
}

// A crawler gets the present counts.
static void decide(struct call *call, struct vote_call *vote) {
    if (is_bot(call)) {
        metric_add(METRIC_VOTES_BOT, 1);
        call_dropped(call, DROPPED_BOT);
        call->visitor.fresh = false; // nothing is counted: no token
        look(call, vote, on_look_of_bot);
        return;
    }
    enum outcome outcome =
        vote->kind < 0 ? limit_retraction(call, vote->visitor) : limit_vote(call, vote->visitor, vote->item);
    if (outcome != OK)
        answer_error(call, outcome, NULL);
    else if (limit_needs_look(call, vote->item, false))
        look(call, vote, on_look);
    else
        store_vote(call->api->store, vote);
}

static void on_look(struct item_look *look) {
    struct vote_call *vote = look->context;
    struct call *call = vote->context;
    enum outcome outcome = limit_item(call, look, false);
    if (outcome == OK)
        store_vote(call->api->store, vote);
    else
        answer_error(call, outcome, NULL);
}

static void on_look_of_bot(struct item_look *look) {
    struct vote_call *vote = look->context;
    vote->outcome = look->outcome == OK && vote->needs_card && !look->has_card ? UNKNOWN_ITEM : look->outcome;
    vote->kind_now = -1;
    memcpy(vote->votes, look->votes, sizeof vote->votes);
    on_vote(vote);
}

void vote_start(struct call *call) {
    struct vote_body body = {.kind = NO_BYTES};
    struct vote_call *vote = NULL;
    enum outcome outcome = begin(call, vote_fields, &body, &vote);
    if (outcome == OK) {
        vote->kind = body.kind.at ? kind_index(call->api->settings, body.kind) : 0;
        outcome = vote->kind < 0 ? UNKNOWN_KIND : OK;
    }
    if (outcome == OK)
        decide(call, vote);
    else
        answer_error(call, outcome, call->detail);
}

void unvote_start(struct call *call) {
    struct vote_body body = {.kind = NO_BYTES};
    struct vote_call *vote = NULL;
    enum outcome outcome = begin(call, unvote_fields, &body, &vote);
    if (outcome == OK)
        decide(call, vote);
    else
        answer_error(call, outcome, call->detail);
}

static void on_vote(struct vote_call *vote) {
    struct call *call = vote->context;
    const struct settings *settings = call->api->settings;
    char capacity[BODY_MAX];
    if (vote->outcome != OK) {
        answer_error(call, vote->outcome, NULL);
        return;
    }
    struct buffer body = buffer_over(capacity, sizeof capacity);
    struct json_out json = json_out_to(&body);
    json_open(&json, '{');
    json_key(&json, BYTES("item"));
    json_text(&json, call->item);
    json_key(&json, BYTES("votes"));
    json_votes(&json, settings, vote->votes);
    json_key(&json, BYTES("vote"));
    if (vote->kind_now < 0)
        json_null(&json);
    else
        json_text(&json, bytes_of(settings->kind_names[vote->kind_now]));
    json_close(&json, '}');
    answer_json(call, 200, &body);
}
