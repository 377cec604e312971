// SPDX-License-Identifier: MIT
// PUT of an item: its whole card, and counts from an older system where the body has them. It answers the item as it is
// after the call.
#include "api/call.h"
#include "api/card.h"
#include "store/item_states.h"

struct put {
    struct call *call;
    struct item_call item;
    struct read_call read;
    ref_t ref;
    enum outcome outcome;
    struct buffer body;
};

static void on_put(struct item_call *item);
static void on_item(struct read_call *read, size_t index, const struct item_state *state);
static void on_read(struct read_call *read, enum outcome outcome);

static enum outcome read_card(struct call *call, struct card *ret_card) {
    struct card_body body = {.has_base = false};
    struct arena *arena = call->request->arena;
    enum outcome outcome = json_read(call->request->body, card_fields, call->keyed, &body, arena, &call->detail);
    return outcome == OK ? card_make(&body, call->api->settings, arena, ret_card, &call->detail) : outcome;
}

void item_put_start(struct call *call) {
    struct put *put = arena_take(call->request->arena, sizeof *put);
    struct card card;
    enum outcome outcome = put ? read_card(call, &card) : UNAVAILABLE;
    if (outcome != OK) {
        answer_error(call, outcome, call->detail);
        return;
    }
    put->call = call;
    put->ref = item_ref(call->api->hash_key, call->site, call->item);
    put->item = (struct item_call){
        .item = put->ref, .site = call->site, .id = call->item, .card = card, .on_done = on_put, .context = put};
    store_put_item(call->api->store, &put->item);
}

static void on_put(struct item_call *item) {
    struct put *put = item->context;
    serve_forget_item(put->call->api->serve, item->item);
    if (item->outcome != OK) {
        answer_error(put->call, item->outcome, NULL);
        return;
    }
    put->read = (struct read_call){.on_done = on_read, .context = put};
    store_read_items(put->call->api->store, &put->read, &put->ref, 1, on_item);
}

static void on_item(struct read_call *read, size_t index, const struct item_state *state) {
    struct put *put = read->context;
    (void)index;
    put->outcome = state->outcome;
    buffer_init(&put->body, 64 << 10);
    struct json_out json = json_out_to(&put->body);
    item_render(&json, put->call->api->settings, put->call->item, state, NULL);
}

static void on_read(struct read_call *read, enum outcome outcome) {
    struct put *put = read->context;
    if (outcome == OK)
        outcome = put->outcome;
    struct buffer body = put->body; // the call and what lies in its arena end with the answer
    if (outcome == OK)
        answer_json(put->call, 200, &body);
    else
        answer_error(put->call, outcome, NULL);
    buffer_release(&body);
}
