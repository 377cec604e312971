// SPDX-License-Identifier: MIT
// What concerns one visitor: its votes on some items with their present counts, and recommendations. GET asks for one
// of them; POST asks for both, and Redis gets both at the same time. A read counts nothing and never gives a token.
#include "api/call.h"
#include "ops/json_in.h"
#include "store/visitor_reads.h"

enum { LIST_MAX = 4 << 20, BODY_MAX = LIST_MAX + (1 << 20) };

struct me {
    struct ask ask; // first
    struct personal_call personal;
    struct read_call read;
    struct call *call;
    ref_t visitor;
    bool known;           // it has a token; any other visitor has no votes and no history
    bool has_list;        // it is asked for
    uint32_t awaited;     // votes, the list, and the start itself
    enum outcome outcome; // the first that was not OK
    struct buffer list;
    struct own_vote *votes; // of each id
};

static void on_vote(struct read_call *read, size_t index, const struct own_vote *vote);
static void on_votes(struct read_call *read, enum outcome outcome);
static void on_list(struct personal_call *personal, enum outcome outcome, struct bytes body);
static void answer(struct me *me);

// ---- What is asked

struct me_body {
    struct bytes visitor;
    struct json_many ids, exclude;
    struct json_count recommendations;
};

static const struct json_field me_fields[] = {
    {.name = "visitor",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct me_body, visitor),
     .max = 1024,
     .wrong = BAD_VISITOR},
    {.name = "ids", .type = JSON_IN_MANY, .offset = offsetof(struct me_body, ids), .max = IDS_MAX},
    {.name = "exclude",
     .type = JSON_IN_MANY,
     .offset = offsetof(struct me_body, exclude),
     .max = EXCLUDE_MAX,
     .wrong = BAD_EXCLUDE},
    {.name = "recommendations",
     .type = JSON_IN_COUNT,
     .offset = offsetof(struct me_body, recommendations),
     .wrong = BAD_LIMIT},
    {.name = NULL},
};

static bool are_items(const struct json_many *ids) {
    for (uint32_t i = 0; i < ids->count; i++)
        if (!item_id_valid(ids->at[i]))
            return false;
    return true;
}

static enum outcome fault_of(const struct me_body *body, uint32_t offset, const char **ret_detail) {
    *ret_detail = "ids: one is no id of an item";
    if (!are_items(&body->ids))
        return BAD_ITEM;
    *ret_detail = "exclude: one is no id of an item";
    if (!are_items(&body->exclude))
        return BAD_EXCLUDE;
    *ret_detail = "recommendations: at most 100";
    if (body->recommendations.value > LIST_LIMIT_MAX)
        return BAD_LIMIT;
    *ret_detail = "offset: with recommendations at most 500";
    if (offset + body->recommendations.value > PLACES_MAX)
        return BAD_LIMIT;
    *ret_detail = NULL;
    return OK;
}

// From the body, what a GET has in its query. The rules of the list are in the query here too.
static enum outcome read_body(struct call *call, struct bytes *ret_visitor) {
    struct me_body body = {.visitor = NO_BYTES};
    struct http_request *request = call->request;
    struct params *params = &call->params;
    enum outcome outcome = json_read(request->body, me_fields, call->keyed, &body, request->arena, &call->detail);
    if (outcome == OK)
        outcome = fault_of(&body, params->offset, &call->detail);
    if (outcome != OK)
        return outcome;
    params->ids = body.ids.at;
    params->id_count = body.ids.count;
    params->excluded = body.exclude.at;
    params->exclude_count = body.exclude.count;
    params->counts[LIST_RECOMMENDATION] = (uint32_t)body.recommendations.value;
    *ret_visitor = body.visitor;
    return OK;
}

// The visitor's state; NULL when the call was refused and answered.
static struct me *me_of(struct call *call, enum outcome outcome, struct bytes body_visitor) {
    struct me *me = arena_take(call->request->arena, sizeof *me);
    if (outcome == OK)
        outcome = me ? auth_visitor(call, body_visitor) : UNAVAILABLE;
    if (outcome != OK) {
        answer_error(call, outcome, call->detail);
        return NULL;
    }
    me->call = call;
    me->known = !call->visitor.fresh;
    me->visitor = visitor_ref(call->api->hash_key, call->site, call->visitor.id);
    call->visitor.fresh = false;
    buffer_init(&me->list, LIST_MAX);
    me->votes = arena_take(call->request->arena, call->params.id_count * sizeof *me->votes);
    if (me->votes)
        return me;
    answer_error(call, UNAVAILABLE, NULL);
    return NULL;
}

// ---- Asking Redis

static void read_votes(struct me *me) {
    struct call *call = me->call;
    ref_t items[IDS_MAX];
    for (uint32_t i = 0; i < call->params.id_count; i++)
        items[i] = item_ref(call->api->hash_key, call->site, call->params.ids[i]);
    me->read = (struct read_call){.on_done = on_votes, .context = me};
    store_read_votes(call->api->store, &me->read, me->visitor, items, call->params.id_count, on_vote);
}

// The last result answers the call.
static void arrive(struct me *me, enum outcome outcome) {
    me->outcome = me->outcome == OK ? outcome : me->outcome;
    if (--me->awaited == 0)
        answer(me);
}

static void on_turn(struct ask *ask, enum outcome outcome) {
    struct me *me = (struct me *)ask;
    if (outcome == OK)
        read_votes(me);
    else
        arrive(me, outcome);
}

static void ask_votes(struct me *me) {
    me->awaited++;
    if (serve_ask(me->call->api->serve, me->call->request, &me->ask, on_turn))
        read_votes(me);
}

static void ask_list(struct me *me, uint32_t limit) {
    struct call *call = me->call;
    struct list_query query = {.site = call->site,
                               .category = call->params.category,
                               .author = call->params.author,
                               .max_age = call->params.max_age,
                               .limits = {[LIST_RECOMMENDATION] = limit},
                               .offset = call->params.offset,
                               .exclude = call->params.excluded,
                               .exclude_count = call->params.exclude_count,
                               .format = call->params.format,
                               .windows = call->params.windows};
    me->awaited++;
    me->has_list = true;
    me->personal.on_done = on_list;
    me->personal.context = me;
    serve_personal(call->api->serve, call->request, &me->personal, &query, me->known ? &me->visitor : NULL);
}

static void on_vote(struct read_call *read, size_t index, const struct own_vote *vote) {
    struct me *me = read->context;
    me->votes[index] = *vote;
}

static void on_votes(struct read_call *read, enum outcome outcome) {
    struct me *me = read->context;
    serve_ask_end(me->call->api->serve);
    arrive(me, outcome);
}

static void on_list(struct personal_call *personal, enum outcome outcome, struct bytes body) {
    struct me *me = personal->context;
    buffer_add_bytes(&me->list, body);
    arrive(me, me->list.failed ? UNAVAILABLE : outcome);
}

// ---- The answers

// An id that the call names twice is one key of the object.
static bool is_first(const struct params *params, uint32_t index) {
    for (uint32_t i = 0; i < index; i++)
        if (bytes_eq(params->ids[i], params->ids[index]))
            return false;
    return true;
}

static void add_own_votes(struct json_out *json, const struct me *me) {
    const struct params *params = &me->call->params;
    json_key(json, BYTES("votes"));
    json_open(json, '{');
    for (uint32_t i = 0; i < params->id_count; i++) {
        if (me->votes[i].kind < 0 || !is_first(params, i))
            continue;
        json_key(json, params->ids[i]);
        json_text(json, bytes_of(me->call->api->settings->kind_names[me->votes[i].kind]));
    }
    json_close(json, '}');
}

static void add_counts(struct json_out *json, const struct me *me) {
    const struct params *params = &me->call->params;
    json_key(json, BYTES("counts"));
    json_open(json, '{');
    for (uint32_t i = 0; i < params->id_count; i++) {
        if (!is_first(params, i))
            continue;
        json_key(json, params->ids[i]);
        json_votes(json, me->call->api->settings, me->votes[i].votes);
    }
    json_close(json, '}');
}

static void answer_all(struct me *me) {
    struct buffer body;
    buffer_init(&body, BODY_MAX);
    struct json_out json = json_out_to(&body);
    json_open(&json, '{');
    add_own_votes(&json, me);
    add_counts(&json, me);
    if (me->has_list) {
        json_key(&json, BYTES("recommendation"));
        json_raw(&json, buffer_bytes(&me->list));
    }
    json_close(&json, '}');
    answer_json(me->call, 200, &body);
    buffer_release(&body);
}

static void answer(struct me *me) {
    struct call *call = me->call;
    struct buffer list = me->list; // what lies in the request's arena ends with the answer
    if (me->outcome != OK)
        answer_error(call, me->outcome, NULL);
    else if (call->route->start == recommendations_start)
        answer_text(call, format_media_type(call->params.format), buffer_bytes(&list));
    else
        answer_all(me);
    buffer_release(&list);
}

// ---- The calls

static void start(struct me *me, bool votes, uint32_t recommendations) {
    me->awaited = 1;
    if (votes)
        ask_votes(me);
    if (recommendations)
        ask_list(me, recommendations);
    arrive(me, OK);
}

void me_start(struct call *call) {
    struct me *me = me_of(call, OK, NO_BYTES);
    if (me)
        start(me, true, 0);
}

void me_post_start(struct call *call) {
    struct bytes visitor = NO_BYTES;
    enum outcome outcome = read_body(call, &visitor);
    struct me *me = me_of(call, outcome, visitor);
    if (me)
        start(me, true, call->params.counts[LIST_RECOMMENDATION]);
}

void recommendations_start(struct call *call) {
    struct me *me = me_of(call, OK, NO_BYTES);
    if (me)
        start(me, false, call->params.limit);
}
