// SPDX-License-Identifier: MIT
// DELETE of an item: gone from every list at the next refresh, counts and votes erased. Again is fine.
#include "api/call.h"

static void on_deleted(struct item_call *item);

void item_delete_start(struct call *call) {
    struct item_call *item = arena_take(call->request->arena, sizeof *item);
    if (!item) {
        answer_error(call, UNAVAILABLE, NULL);
        return;
    }
    *item = (struct item_call){.item = item_ref(call->api->hash_key, call->site, call->item),
                               .site = call->site,
                               .id = call->item,
                               .on_done = on_deleted,
                               .context = call};
    store_delete_item(call->api->store, item);
}

static void on_deleted(struct item_call *item) {
    struct call *call = item->context;
    if (item->outcome == OK)
        answer_empty(call, 204);
    else
        answer_error(call, item->outcome, NULL);
}
