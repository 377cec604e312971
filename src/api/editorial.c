// SPDX-License-Identifier: MIT
// Editorial rules: PUT, DELETE and the list of all rules in force. The serve room applies them to lists.
#include "api/call.h"
#include "api/lines.h"
#include "base/clock.h"
#include "ops/json_in.h"
#include "ops/metrics.h"
#include "store/rules.h"

enum { NOTE_MAX = 500 };
#define BOOST_LEAST 0.001
#define BOOST_MAX 1000.0

struct editorial_body {
    struct bytes type, item; // of lines only
    struct json_time set_at;
    struct json_count pin;
    struct json_number boost;
    bool bury, block;
    struct json_texts lists;
    struct json_time until;
    struct bytes note;
};

#define FIELD(json_type, field) .name = #field, .type = json_type, .offset = offsetof(struct editorial_body, field)
#define EDITORIAL_FIELDS                                                                                               \
    {FIELD(JSON_IN_COUNT, pin)}, {FIELD(JSON_IN_NUMBER, boost)}, {FIELD(JSON_IN_SWITCH, bury)},                        \
        {FIELD(JSON_IN_SWITCH, block)}, {FIELD(JSON_IN_TEXTS, lists), .max = 32},                                      \
        {FIELD(JSON_IN_TIME, until), .wrong = BAD_TIME}, {                                                             \
        FIELD(JSON_IN_TITLE, note), .max = NOTE_MAX                                                                    \
    }

static const struct json_field fields[] = {EDITORIAL_FIELDS, {.name = NULL}};
static const struct json_field line_fields[] = {EDITORIAL_FIELDS,
                                                {FIELD(JSON_IN_TEXT, type), .max = 16},
                                                {FIELD(JSON_IN_TEXT, item), .max = ITEM_ID_MAX, .wrong = BAD_ITEM},
                                                {FIELD(JSON_IN_TIME, set_at), .wrong = BAD_TIME},
                                                {.name = NULL}};

struct edit {
    struct call *call;
    struct read_call read;
    struct buffer json;
};

// ---- Setting

static bool lists_known(const struct json_texts *lists) {
    for (uint32_t i = 0; i < lists->count; i++) {
        bool known = false;
        for (int kind = 0; kind < LIST_KINDS; kind++)
            known = known || bytes_eq(lists->at[i], bytes_of(list_kind_name((enum list_kind)kind)));
        if (!known)
            return false;
    }
    return !lists->given || lists->count;
}

static enum outcome check(const struct editorial_body *body, const char **ret_detail) {
    if (body->pin.given && (body->pin.value < 1 || body->pin.value > LIST_LIMIT_MAX))
        *ret_detail = "pin: a slot from 1 to 100";
    else if (body->boost.given && !(body->boost.value >= BOOST_LEAST && body->boost.value <= BOOST_MAX))
        *ret_detail = "boost: a factor from 0.001 to 1000";
    else if (!lists_known(&body->lists))
        *ret_detail = "lists: some of ranking, related, recommendation";
    else if (!body->pin.given && !body->boost.given && !body->bury && !body->block)
        *ret_detail = "one of pin, boost, bury and block is needed";
    else
        return OK;
    return BAD_FIELD;
}

static void render_lists(struct json_out *json, const struct json_texts *lists) {
    json_key(json, BYTES("lists"));
    json_open(json, '[');
    for (uint32_t i = 0; i < lists->count; i++)
        json_text(json, lists->at[i]);
    if (!lists->count)
        json_text(json, BYTES("ranking"));
    json_close(json, ']');
}

// Of two rules that are set one after the other the second has the later time, also within a millisecond and in
// different workers.
static int64_t time_of_rule(void) {
    int64_t *latest = metrics_rule_ms(), before = __atomic_load_n(latest, __ATOMIC_RELAXED), now;
    do {
        now = clock_now_ms();
        if (before >= now && before - now < CLOCK_STEP_MS) // else the clock was set back
            now = before + 1;
    } while (!__atomic_compare_exchange_n(latest, &before, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return now;
}

static void render(struct buffer *out, struct bytes item, const struct editorial_body *body) {
    struct json_out json = json_out_to(out);
    json_open(&json, '{');
    json_key(&json, BYTES("item"));
    json_text(&json, item);
    if (body->pin.given) {
        json_key(&json, BYTES("pin"));
        json_int(&json, (int64_t)body->pin.value);
    }
    if (body->boost.given) {
        json_key(&json, BYTES("boost"));
        json_number(&json, body->boost.value);
    }
    json_key(&json, BYTES("bury"));
    json_bool(&json, body->bury);
    json_key(&json, BYTES("block"));
    json_bool(&json, body->block);
    render_lists(&json, &body->lists);
    if (body->until.given) {
        json_key(&json, BYTES("until"));
        json_time(&json, body->until.unix_ms);
    }
    if (body->note.at) {
        json_key(&json, BYTES("note"));
        json_text(&json, body->note);
    }
    json_key(&json, BYTES("set_at"));
    json_time(&json, body->set_at.given ? body->set_at.unix_ms : time_of_rule());
    json_close(&json, '}');
}

// 0: it stays.
static int64_t end_of(const struct editorial_body *body) {
    int64_t until_ms = body->until.unix_ms ? body->until.unix_ms : 1;
    return body->until.given ? until_ms : 0;
}

static void on_put(struct read_call *read, enum outcome outcome);

void editorial_put_start(struct call *call) {
    struct edit *edit = arena_take(call->request->arena, sizeof *edit);
    struct editorial_body body = {.bury = false};
    enum outcome outcome =
        edit ? json_read(call->request->body, fields, true, &body, call->request->arena, &call->detail) : UNAVAILABLE;
    if (outcome == OK)
        outcome = check(&body, &call->detail);
    if (outcome != OK) {
        answer_error(call, outcome, call->detail);
        return;
    }
    edit->call = call;
    edit->read = (struct read_call){.on_done = on_put, .context = edit};
    buffer_init(&edit->json, EDITORIAL_JSON_MAX);
    render(&edit->json, call->item, &body);
    if (edit->json.failed) {
        on_put(&edit->read, UNAVAILABLE);
        return;
    }
    struct editorial_call editorial = {.site = site_ref(call->api->hash_key, call->site),
                                       .item = item_ref(call->api->hash_key, call->site, call->item),
                                       .until_ms = end_of(&body),
                                       .json = buffer_bytes(&edit->json)};
    store_set_editorial(call->api->store, &edit->read, &editorial);
}

static void on_put(struct read_call *read, enum outcome outcome) {
    struct edit *edit = read->context;
    struct buffer json = edit->json; // the edit ends with the answer
    if (outcome == OK)
        answer_json(edit->call, 200, &json);
    else
        answer_error(edit->call, outcome, NULL);
    buffer_release(&json);
}

// ---- A line of an import

static void on_line(struct read_call *read, enum outcome outcome) {
    line_done(read->context, outcome);
}

enum outcome editorial_line(struct line *line, struct bytes text) {
    struct call *call = line_call(line);
    struct editorial_body body = {.bury = false};
    struct read_call *read = arena_take(&line->arena, sizeof *read);
    const char *detail;
    enum outcome outcome = read ? json_read(text, line_fields, true, &body, &line->arena, &detail) : UNAVAILABLE;
    if (outcome == OK)
        outcome = item_id_valid(body.item) ? check(&body, &detail) : BAD_ITEM;
    if (outcome != OK)
        return outcome;
    struct buffer json;
    buffer_init(&json, EDITORIAL_JSON_MAX);
    render(&json, body.item, &body);
    if (json.failed) {
        buffer_release(&json);
        return UNAVAILABLE;
    }
    *read = (struct read_call){.on_done = on_line, .context = line};
    struct editorial_call editorial = {.site = site_ref(call->api->hash_key, call->site),
                                       .item = item_ref(call->api->hash_key, call->site, body.item),
                                       .until_ms = end_of(&body),
                                       .json = buffer_bytes(&json)};
    store_set_editorial(call->api->store, read, &editorial);
    buffer_release(&json);
    return OK;
}

// ---- Removing

static void on_deleted(struct read_call *read, enum outcome outcome);

void editorial_delete_start(struct call *call) {
    struct edit *edit = arena_take(call->request->arena, sizeof *edit);
    if (!edit) {
        answer_error(call, UNAVAILABLE, NULL);
        return;
    }
    *edit = (struct edit){.call = call, .read = {.on_done = on_deleted, .context = edit}};
    struct editorial_call editorial = {.site = site_ref(call->api->hash_key, call->site),
                                       .item = item_ref(call->api->hash_key, call->site, call->item)};
    store_set_editorial(call->api->store, &edit->read, &editorial);
}

static void on_deleted(struct read_call *read, enum outcome outcome) {
    struct edit *edit = read->context;
    if (outcome == OK)
        answer_empty(edit->call, 204);
    else
        answer_error(edit->call, outcome, NULL);
}

// ---- All that is in force

enum { LISTED_MAX = 16 << 20 };

static void on_rule(struct read_call *read, ref_t item, int64_t until_ms, struct bytes json);
static void on_rules(struct read_call *read, enum outcome outcome);

void editorial_start(struct call *call) {
    struct edit *edit = arena_take(call->request->arena, sizeof *edit);
    if (!edit) {
        answer_error(call, UNAVAILABLE, NULL);
        return;
    }
    *edit = (struct edit){.call = call, .read = {.on_done = on_rules, .context = edit}};
    buffer_init(&edit->json, LISTED_MAX);
    buffer_add_bytes(&edit->json, BYTES("{\"editorial\":["));
    store_read_editorial(call->api->store, &edit->read, site_ref(call->api->hash_key, call->site), on_rule);
}

static void on_rule(struct read_call *read, ref_t item, int64_t until_ms, struct bytes json) {
    struct edit *edit = read->context;
    (void)item;
    if (until_ms && until_ms <= clock_now_ms())
        return;
    if (edit->json.len && edit->json.at[edit->json.len - 1] == '}')
        buffer_add_char(&edit->json, ',');
    buffer_add_bytes(&edit->json, json);
}

static void on_rules(struct read_call *read, enum outcome outcome) {
    struct edit *edit = read->context;
    buffer_add_bytes(&edit->json, BYTES("]}"));
    on_put(read, outcome);
}
