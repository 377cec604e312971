// SPDX-License-Identifier: MIT
// POST items: NDJSON of cards, each as by PUT.
#include "api/card.h"
#include "api/lines.h"

void cards_start(struct call *call) {
    lines_finish(call, lines_answer);
}

static void on_card(struct item_call *item) {
    line_done(item->context, item->outcome);
}

enum outcome card_line(struct line *line, struct bytes text) {
    struct call *call = line_call(line);
    struct card_body body = {.has_base = false};
    struct card card;
    const char *detail;
    struct item_call *item = arena_take(&line->arena, sizeof *item);
    enum outcome outcome = item ? json_read(text, card_line_fields, true, &body, &line->arena, &detail) : UNAVAILABLE;
    if (outcome == OK && !item_id_valid(body.item))
        outcome = BAD_ITEM;
    if (outcome == OK)
        outcome = card_make(&body, call->api->settings, &line->arena, &card, &detail);
    if (outcome != OK)
        return outcome;
    *item = (struct item_call){.item = item_ref(call->api->hash_key, call->site, body.item),
                               .site = call->site,
                               .id = body.item,
                               .card = card,
                               .on_done = on_card,
                               .context = line};
    store_put_item(call->api->store, item);
    return OK;
}
