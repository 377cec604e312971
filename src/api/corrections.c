// SPDX-License-Identifier: MIT
// Corrections take back votes that should not have counted, in the background (project/corrector.h). Each is recorded
// and shown. A visitor's own erasure works the same way and leaves no record.
#include "api/limits.h"
#include "base/clock.h"
#include "ops/json_in.h"
#include "project/correction_list.h"
#include "store/correction_records.h"
#include "store/visitor_reads.h"

struct correction_body {
    struct bytes visitor, item, note;
    struct json_time from, to;
};

static const struct json_field fields[] = {
    {.name = "visitor",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct correction_body, visitor),
     .max = 1024,
     .wrong = BAD_VISITOR},
    {.name = "item",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct correction_body, item),
     .max = ITEM_ID_MAX,
     .wrong = BAD_ITEM},
    {.name = "from", .type = JSON_IN_TIME, .offset = offsetof(struct correction_body, from), .wrong = BAD_TIME},
    {.name = "to", .type = JSON_IN_TIME, .offset = offsetof(struct correction_body, to), .wrong = BAD_TIME},
    {.name = "note",
     .type = JSON_IN_TITLE,
     .offset = offsetof(struct correction_body, note),
     .max = CORRECTION_NOTE_MAX},
    {.name = NULL},
};

enum { CLOCKS_DIFFER_MS = 50, WAITS_MAX = 3, RETRY_S = 5 };

struct correcting {
    struct call *call;
    struct read_call read;
    struct correction correction;
    int64_t over_ms; // when it is answered
    int waits;
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

// The times of votes are whole seconds, and the clocks of processes differ a little. So the span ends with the second
// of the call, and the answer waits until that second is over in all processes. So no vote that is cast before the call
// stays, and no vote that is cast after its answer is taken back.
static int64_t end_of_this_second(void) {
    return (clock_now_ms() + CLOCKS_DIFFER_MS) / 1000 * 1000 + 1000;
}

static void record(struct correcting *state, uint32_t max,
                   void (*on_done)(struct read_call *read, enum outcome outcome)) {
    struct buffer json;
    buffer_init(&json, CORRECTION_JSON_MAX);
    state->correction.requested_ms = clock_now_ms();
    correction_new_id(state->correction.id);
    correction_render(&state->correction, false, &json);
    state->read = (struct read_call){.on_done = on_done, .context = state};
    struct correction_row row = {.id = bytes_of(state->correction.id),
                                 .text = buffer_bytes(&json),
                                 .site = max ? state->correction.site : NO_BYTES};
    if (json.failed)
        answer_error(state->call, UNAVAILABLE, NULL);
    else
        store_write_corrections(state->call->api->store, &state->read, false, &row, 1, max);
    buffer_release(&json);
}

static void on_second_over(struct read_call *read, enum outcome outcome);

static void answer_when_over(struct correcting *state) {
    int64_t left = state->over_ms - clock_now_ms();
    state->read = (struct read_call){.on_done = on_second_over, .context = state};
    store_wait_ms(state->call->api->store, &state->read, left > 0 ? (uint32_t)left : 0);
}

static void on_second_over(struct read_call *read, enum outcome outcome) {
    struct correcting *state = read->context;
    if (outcome != OK)
        answer_error(state->call, outcome, NULL);
    else if (clock_now_ms() < state->over_ms && state->waits++ < WAITS_MAX) // more waits: the clock was set back
        answer_when_over(state);
    else
        answer_accepted(state, state->correction.kind == CORRECT_ERASURE ? "erasure" : "correction");
}

// ---- A publisher's

// Whole seconds, rounded down; at most the present second.
static enum outcome check_span(struct call *call, const struct correction_body *body, struct correction *correction) {
    int64_t now_ms = end_of_this_second();
    correction->from_ms = body->from.unix_ms / 1000 * 1000;
    correction->to_ms = body->to.given ? body->to.unix_ms / 1000 * 1000 : now_ms;
    if (correction->to_ms > now_ms)
        correction->to_ms = now_ms;
    if (correction->from_ms < correction->to_ms)
        return OK;
    call->detail = body->to.given ? "to has to lie at least a second behind from" : "from lies ahead";
    return BAD_TIME;
}

static enum outcome check(struct call *call, const struct correction_body *body, struct correction *correction) {
    uint8_t id[VISITOR_ID_SIZE];
    bool of_visitor = body->visitor.at, of_item = body->item.at;
    if (of_visitor == of_item) {
        call->detail = "either visitor or item is needed";
        return BAD_FIELD;
    }
    if (of_item && !item_id_valid(body->item))
        return BAD_ITEM;
    if (of_visitor && auth_visitor_text(call, body->visitor, id) != OK)
        return BAD_VISITOR;
    *correction = (struct correction){
        .kind = of_item ? CORRECT_ITEM : CORRECT_VISITOR, .site = call->site, .item = body->item, .note = body->note};
    if (of_visitor)
        correction->visitor = visitor_ref(call->api->hash_key, call->site, id);
    return check_span(call, body, correction);
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
    call->item = body.item; // for the audit log
    state->over_ms = end_of_this_second() + CLOCKS_DIFFER_MS;
    record(state, (uint32_t)call->api->settings->corrections_waiting, on_posted);
}

static void on_posted(struct read_call *read, enum outcome outcome) {
    struct correcting *state = read->context;
    if (outcome == OK) {
        answer_when_over(state);
        return;
    }
    state->call->retry_after_s = RETRY_S;
    answer_error(state->call, outcome,
                 outcome == TOO_MANY_REQUESTS ? "as many corrections of this site as may wait do so" : NULL);
}

// ---- All of a site: those that wait are read before those that are done, so that one that is done meanwhile is told

enum { LISTED_MAX = 16 << 20 };

struct listing {
    struct call *call;
    struct read_call read;
    bool done; // these are read now
    uint64_t cursor;
    struct corrections list;
    bool failed;
};

static void on_records(struct read_call *read, enum outcome outcome);

static void on_record(struct read_call *read, struct bytes id, struct bytes text) {
    struct listing *listing = read->context;
    struct correction correction;
    struct arena arena;
    arena_init(&arena, CORRECTION_JSON_MAX * 2);
    enum outcome outcome =
        id.len == CORRECTION_ID_SIZE - 1 ? correction_read(text, &arena, &correction) : BAD_FIELD; // or a count
    if (outcome == UNAVAILABLE)
        listing->failed = true;
    if (outcome == OK && bytes_eq(correction.site, listing->call->site) && correction.kind != CORRECT_ERASURE)
        listing->failed |= !corrections_add(&listing->list, &correction);
    arena_release(&arena);
}

static void read_records(struct listing *listing) {
    listing->read = (struct read_call){.on_done = on_records, .context = listing};
    store_scan_corrections(listing->call->api->store, &listing->read, listing->done, &listing->cursor, on_record);
}

void corrections_start(struct call *call) {
    struct listing *listing = arena_take(call->request->arena, sizeof *listing);
    if (!listing) {
        answer_error(call, UNAVAILABLE, NULL);
        return;
    }
    listing->call = call;
    corrections_init(&listing->list, LISTED_MAX);
    read_records(listing);
}

// A correction that is read as waiting and as done, or twice, is told once, in its last state. Of the done corrections
// only the newest are told, as many as are kept, whether the others have been removed already or not.
static void render_list(struct listing *listing, struct buffer *out) {
    const struct settings *settings = listing->call->api->settings;
    int64_t oldest = clock_now_ms() - settings->corrections_kept_for_ms;
    const struct corrections *list = &listing->list;
    size_t kept = 0, first = list->count;
    for (; first > 0; first--) {
        kept += list->at[first - 1].done_ms != 0;
        if (kept > (size_t)settings->corrections_kept)
            break;
    }
    bool comma = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct correction *one = &list->at[i];
        bool doubled = i + 1 < list->count && strcmp(one->id, list->at[i + 1].id) == 0;
        if (doubled || (one->done_ms && (i < first || one->done_ms < oldest)))
            continue;
        if (comma)
            buffer_add_char(out, ',');
        correction_render(one, true, out);
        comma = true;
    }
}

static void answer_list(struct listing *listing) {
    struct buffer json;
    buffer_init(&json, LISTED_MAX);
    corrections_sort(&listing->list);
    buffer_add_bytes(&json, BYTES("{\"corrections\":["));
    render_list(listing, &json);
    buffer_add_bytes(&json, BYTES("]}"));
    corrections_release(&listing->list);
    answer_json(listing->call, 200, &json);
    buffer_release(&json);
}

static void on_records(struct read_call *read, enum outcome outcome) {
    struct listing *listing = read->context;
    if (outcome != OK || listing->failed) {
        corrections_release(&listing->list);
        answer_error(listing->call, outcome == OK ? UNAVAILABLE : outcome, NULL);
    } else if (listing->cursor || !listing->done) {
        listing->done |= listing->cursor == 0;
        read_records(listing);
    } else
        answer_list(listing);
}

// ---- A visitor's own erasure: recorded first, so that it is carried out whatever is killed

static void on_erasure_kept(struct read_call *read, enum outcome outcome);
static void on_forgotten(struct read_call *read, enum outcome outcome);

void me_delete_start(struct call *call) {
    struct correcting *state = arena_take(call->request->arena, sizeof *state);
    enum outcome outcome = state ? auth_visitor_of_body(call) : UNAVAILABLE;
    if (outcome == OK && !call->visitor.fresh)
        outcome = limit_erasure(call);
    if (outcome != OK) {
        answer_error(call, outcome, call->detail);
        return;
    }
    state->call = call;
    if (call->visitor.fresh) { // without a token there is nothing to forget, and the call creates no visitor
        call->visitor.fresh = false;
        answer_accepted(state, "erasure");
        return;
    }
    state->correction = (struct correction){.kind = CORRECT_ERASURE,
                                            .site = call->site,
                                            .visitor = visitor_ref(call->api->hash_key, call->site, call->visitor.id),
                                            .to_ms = end_of_this_second()};
    state->over_ms = state->correction.to_ms + CLOCKS_DIFFER_MS;
    record(state, 0, on_erasure_kept);
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
        answer_when_over(state);
    else
        answer_error(state->call, outcome, NULL);
}
