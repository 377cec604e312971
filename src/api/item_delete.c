// SPDX-License-Identifier: MIT
// DELETE of an item: it leaves every list at the next refresh, and its counts and votes are erased. A repetition is
// fine.
#include "api/call.h"
#include "store/rules.h"
#include "store/writes.h"

struct deletion {
    struct call *call;
    struct item_call item;
    struct read_call edit;
};

static void on_rule_removed(struct read_call *edit, enum outcome outcome);
static void on_deleted(struct item_call *item);

// The item's editorial rules are removed first. If the process dies in between, no pin waits for another item of that
// id. A block stays: it says what must not be shown, whoever creates the item again.
void item_delete_start(struct call *call) {
    struct deletion *deletion = arena_take(call->request->arena, sizeof *deletion);
    if (!deletion) {
        answer_error(call, UNAVAILABLE, NULL);
        return;
    }
    deletion->call = call;
    deletion->item = (struct item_call){.item = item_ref(call->api->hash_key, call->site, call->item),
                                        .site = call->site,
                                        .id = call->item,
                                        .on_done = on_deleted,
                                        .context = deletion};
    struct editorial_call editorial = {
        .site = site_ref(call->api->hash_key, call->site), .item = deletion->item.item, .keeps_block = true};
    deletion->edit = (struct read_call){.on_done = on_rule_removed, .context = deletion};
    store_set_editorial(call->api->store, &deletion->edit, &editorial);
}

static void on_rule_removed(struct read_call *edit, enum outcome outcome) {
    struct deletion *deletion = edit->context;
    if (outcome == OK)
        store_delete_item(deletion->call->api->store, &deletion->item);
    else
        answer_error(deletion->call, outcome, NULL);
}

static void on_deleted(struct item_call *item) {
    struct deletion *deletion = item->context;
    serve_forget_item(deletion->call->api->serve, item->item);
    if (item->outcome == OK)
        answer_empty(deletion->call, 204);
    else
        answer_error(deletion->call, item->outcome,
                     item->hidden ? "the item is hidden, but its counts are not erased yet: send it again" : NULL);
}
