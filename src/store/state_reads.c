// SPDX-License-Identifier: MIT
// Reads packed items, for the sweeper that looks for items to forget.
#include "store/reads.h"

enum { AT_ITEM, AT_SUMS, COMMANDS_PER_ITEM };

struct packed_state {
    struct read_state read;
    void (*on_item)(struct read_call *call, size_t index, struct bytes item, struct bytes sums);
};

static void on_packed(struct pipeline *pipeline) {
    struct packed_state *state = pipeline->context;
    for (uint32_t i = 0; i < pipeline->count / COMMANDS_PER_ITEM; i++) {
        const struct pipelined *at = &pipeline->at[i * COMMANDS_PER_ITEM];
        if (at[AT_ITEM].outcome == OK && at[AT_SUMS].outcome == OK)
            state->on_item(state->read.call, i, reply_text(at[AT_ITEM].reply), reply_text(at[AT_SUMS].reply));
    }
    read_end(pipeline, read_outcome(pipeline));
}

void store_read_packed(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                       void (*on_item)(struct read_call *call, size_t index, struct bytes item, struct bytes sums)) {
    struct pipeline *pipeline =
        read_begin(store, call, count * COMMANDS_PER_ITEM, sizeof(struct packed_state), on_packed);
    if (!pipeline)
        return;
    ((struct packed_state *)pipeline->context)->on_item = on_item;
    for (size_t i = 0; i < count; i++) {
        struct key key;
        key_item(&key, items[i]);
        read_ask(pipeline, "GET", &key);
        key_sums(&key, items[i]);
        read_ask(pipeline, "GET", &key);
    }
}
