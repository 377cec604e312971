// SPDX-License-Identifier: MIT
// GET me: this visitor's own votes on some items, and their counts of this moment.
#include "api/call.h"

struct me {
    struct ask ask; // first
    struct call *call;
    struct read_call read;
    struct own_vote votes[IDS_MAX];
};

static void on_vote(struct read_call *read, size_t index, const struct own_vote *vote);
static void on_votes(struct read_call *read, enum outcome outcome);

static void read_votes(struct me *me) {
    struct call *call = me->call;
    ref_t items[IDS_MAX];
    for (uint32_t i = 0; i < call->params.id_count; i++)
        items[i] = item_ref(call->api->hash_key, call->site, call->params.ids[i]);
    me->read = (struct read_call){.on_done = on_votes, .context = me};
    store_read_votes(call->api->store, &me->read, visitor_ref(call->api->hash_key, call->site, call->visitor.id), items,
                     call->params.id_count, on_vote);
}

static void on_turn(struct ask *ask, enum outcome outcome) {
    struct me *me = (struct me *)ask;
    if (outcome == OK)
        read_votes(me);
    else
        answer_error(me->call, outcome, NULL);
}

void me_start(struct call *call) {
    struct me *me = arena_take(call->request->arena, sizeof *me);
    enum outcome outcome = me ? door_visitor(call, NO_BYTES) : UNAVAILABLE;
    if (outcome != OK) {
        answer_error(call, outcome, NULL);
        return;
    }
    call->visitor.fresh = false; // reading never gives a token: a fresh one has no votes
    me->call = call;
    if (serve_ask(call->api->serve, call->request, &me->ask, on_turn))
        read_votes(me);
}

static void on_vote(struct read_call *read, size_t index, const struct own_vote *vote) {
    struct me *me = read->context;
    me->votes[index] = *vote;
}

// An id that was asked for twice is one key of an object.
static bool is_first(const struct params *params, uint32_t index) {
    for (uint32_t i = 0; i < index; i++)
        if (bytes_eq(params->ids[i], params->ids[index]))
            return false;
    return true;
}

static void on_votes(struct read_call *read, enum outcome outcome) {
    struct me *me = read->context;
    struct call *call = me->call;
    const struct settings *settings = call->api->settings;
    const struct params *params = &call->params;
    struct serve *serve = call->api->serve;
    struct buffer body;
    if (outcome != OK) {
        answer_error(call, outcome, NULL);
        serve_ask_end(serve);
        return;
    }
    buffer_init(&body, 1 << 20);
    struct json_out json = json_out_to(&body);
    json_open(&json, '{');
    json_key(&json, BYTES("votes"));
    json_open(&json, '{');
    for (uint32_t i = 0; i < params->id_count; i++) {
        if (me->votes[i].kind < 0 || !is_first(params, i))
            continue;
        json_key(&json, params->ids[i]);
        json_text(&json, bytes_of(settings->kind_names[me->votes[i].kind]));
    }
    json_close(&json, '}');
    json_key(&json, BYTES("counts"));
    json_open(&json, '{');
    for (uint32_t i = 0; i < params->id_count; i++) {
        if (!is_first(params, i))
            continue;
        json_key(&json, params->ids[i]);
        json_votes(&json, settings, me->votes[i].votes);
    }
    json_close(&json, '}');
    json_close(&json, '}');
    answer_json(call, 200, &body);
    buffer_release(&body);
    serve_ask_end(serve);
}
