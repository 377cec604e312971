// SPDX-License-Identifier: MIT
// Corrections: votes that should not have counted are taken back in the background (project/corrector.h); every such
// act is recorded and shown. A visitor's own erasure goes the same road and leaves no record.
#include "api/limits.h"
#include "base/clock.h"
#include "ops/json_in.h"
#include "project/correction.h"

struct correction_body {
    struct bytes visitor, item, note;
    struct json_time from, to;
};

static const struct json_field fields[] = {
    {.name = "visitor",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct correction_body, visitor),
     .most = 1024,
     .wrong = BAD_VISITOR},
    {.name = "item",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct correction_body, item),
     .most = ITEM_ID_MAX,
     .wrong = BAD_ITEM},
    {.name = "from", .type = JSON_IN_TIME, .offset = offsetof(struct correction_body, from), .wrong = BAD_TIME},
    {.name = "to", .type = JSON_IN_TIME, .offset = offsetof(struct correction_body, to), .wrong = BAD_TIME},
    {.name = "note",
     .type = JSON_IN_TITLE,
     .offset = offsetof(struct correction_body, note),
     .most = CORRECTION_NOTE_MAX},
    {.name = NULL},
};

struct correcting {
    struct call *call;
    struct read_call read;
    struct correction correction;
    struct buffer json;
};

static void answer_accepted(struct correcting *state, const char *name) {
    struct call *call = state->call;
    struct buffer body;
    buffer_init(&body, 1024);
    struct json_out json = json_out_to(&body);
    json_open(&json, '{');
    json_key(&json, bytes_of(name));
    if (state->correction.id[0])
        json_text(&json, bytes_of(state->correction.id));
    else
        json_null(&json);
    json_close(&json, '}');
    answer_json(call, 202, &body);
    buffer_release(&body);
}

static void record(struct correcting *state, void (*on_done)(struct read_call *read, enum outcome outcome)) {
    struct buffer json;
    buffer_init(&json, CORRECTION_JSON_MAX);
    state->correction.requested_ms = clock_now_ms();
    correction_new_id(state->correction.id);
    correction_render(&state->correction, false, &json);
    state->read = (struct read_call){.on_done = on_done, .context = state};
    if (json.failed)
        answer_error(state->call, UNAVAILABLE, NULL);
    else
        store_keep_correction(state->call->api->store, &state->read, bytes_of(state->correction.id),
                              buffer_bytes(&json));
    buffer_release(&json);
}

// ---- A publisher's

static enum outcome check(struct call *call, const struct correction_body *body, struct correction *correction) {
    uint8_t id[VISITOR_ID_SIZE];
    bool of_visitor = body->visitor.at, of_item = body->item.at;
    if (of_visitor == of_item) {
        call->detail = "either visitor or item is needed";
        return BAD_FIELD;
    }
    if (of_item && !item_id_valid(body->item))
        return BAD_ITEM;
    if (of_visitor && door_visitor_text(call, body->visitor, id) != OK)
        return BAD_VISITOR;
    if (body->from.given && body->to.given && body->from.unix_ms > body->to.unix_ms) {
        call->detail = "from lies behind to";
        return BAD_TIME;
    }
    *correction = (struct correction){.kind = of_item ? CORRECT_ITEM : CORRECT_VISITOR,
                                      .site = call->site,
                                      .item = body->item,
                                      .note = body->note,
                                      .from_ms = body->from.unix_ms,
                                      .to_ms = body->to.given ? body->to.unix_ms : clock_now_ms()};
    if (of_visitor)
        correction->visitor = visitor_ref(call->api->hash_key, call->site, id);
    return OK;
}

static void on_posted(struct read_call *read, enum outcome outcome);

void correction_post_start(struct call *call) {
    struct correcting *state = arena_take(call->request->arena, sizeof *state);
    struct correction_body body = {.visitor = NO_BYTES};
    enum outcome outcome =
        state ? json_read(call->request->body, fields, true, &body, call->request->arena, &call->detail) : UNAVAILABLE;
    if (outcome == OK)
        outcome = check(call, &body, &state->correction);
    if (outcome != OK) {
        answer_error(call, outcome, call->detail);
        return;
    }
    state->call = call;
    record(state, on_posted);
}

static void on_posted(struct read_call *read, enum outcome outcome) {
    struct correcting *state = read->context;
    if (outcome == OK)
        answer_accepted(state, "correction");
    else
        answer_error(state->call, outcome, NULL);
}

// ---- All of a site

enum { LISTED_MOST = 16 << 20 };

static void on_correction(struct read_call *read, struct bytes id, struct bytes json);
static void on_corrections(struct read_call *read, enum outcome outcome);

void corrections_start(struct call *call) {
    struct correcting *state = arena_take(call->request->arena, sizeof *state);
    if (!state) {
        answer_error(call, UNAVAILABLE, NULL);
        return;
    }
    state->call = call;
    state->read = (struct read_call){.on_done = on_corrections, .context = state};
    buffer_init(&state->json, LISTED_MOST);
    buffer_add_bytes(&state->json, BYTES("{\"corrections\":["));
    store_read_corrections(call->api->store, &state->read, true, on_correction);
}

static void on_correction(struct read_call *read, struct bytes id, struct bytes json) {
    struct correcting *state = read->context;
    struct correction correction;
    struct arena arena;
    (void)id;
    arena_init(&arena, CORRECTION_JSON_MAX * 2);
    enum outcome outcome = correction_read(json, &arena, &correction);
    state->json.failed |= outcome == UNAVAILABLE;
    if (outcome == OK && bytes_eq(correction.site, state->call->site) && correction.kind != CORRECT_ERASURE) {
        if (state->json.len && state->json.at[state->json.len - 1] == '}')
            buffer_add_char(&state->json, ',');
        correction_render(&correction, true, &state->json);
    }
    arena_release(&arena);
}

static void on_corrections(struct read_call *read, enum outcome outcome) {
    struct correcting *state = read->context;
    struct buffer json = state->json; // the state ends with the answer
    buffer_add_bytes(&json, BYTES("]}"));
    if (outcome == OK)
        answer_json(state->call, 200, &json);
    else
        answer_error(state->call, outcome, NULL);
    buffer_release(&json);
}

// ---- A visitor's own erasure: recorded first, so that it is carried out whatever is killed

static void on_erasure_kept(struct read_call *read, enum outcome outcome);
static void on_forgotten(struct read_call *read, enum outcome outcome);

void me_delete_start(struct call *call) {
    struct correcting *state = arena_take(call->request->arena, sizeof *state);
    enum outcome outcome = state ? door_visitor_of_body(call) : UNAVAILABLE;
    if (outcome == OK && !call->visitor.fresh)
        outcome = limit_erasure(call);
    if (outcome != OK) {
        answer_error(call, outcome, call->detail);
        return;
    }
    state->call = call;
    if (call->visitor.fresh) { // of one without a token there is nothing to forget, and nobody new begins here
        call->visitor.fresh = false;
        answer_accepted(state, "erasure");
        return;
    }
    state->correction = (struct correction){.kind = CORRECT_ERASURE,
                                            .site = call->site,
                                            .visitor = visitor_ref(call->api->hash_key, call->site, call->visitor.id),
                                            .to_ms = clock_now_ms()};
    record(state, on_erasure_kept);
}

static void on_erasure_kept(struct read_call *read, enum outcome outcome) {
    struct correcting *state = read->context;
    if (outcome != OK) {
        answer_error(state->call, outcome, NULL);
        return;
    }
    state->read = (struct read_call){.on_done = on_forgotten, .context = state};
    store_forget_history(state->call->api->store, &state->read, state->correction.visitor);
}

static void on_forgotten(struct read_call *read, enum outcome outcome) {
    struct correcting *state = read->context;
    if (outcome == OK)
        answer_accepted(state, "erasure");
    else
        answer_error(state->call, outcome, NULL);
}
