// SPDX-License-Identifier: MIT
// Reads packed items, for the sweeper that looks for items to forget. Record and sums of an item are one command. A key
// of a wrong type is taken for one that is not there; the removal finds it (lua/delete.lua).
#include "store/correction_records.h"
#include "store/reads.h"

struct packed_state {
    struct read_state read;
    void (*on_item)(struct read_call *call, size_t index, struct bytes item, struct bytes sums);
};

static void on_packed(struct pipeline *pipeline) {
    struct packed_state *state = pipeline->context;
    for (uint32_t i = 0; i < pipeline->count; i++) {
        const redisReply *reply = pipeline->at[i].reply;
        if (pipeline->at[i].outcome == OK)
            state->on_item(state->read.call, i, reply_text_at(reply, 0), reply_text_at(reply, 1));
    }
    read_end(pipeline, read_outcome(pipeline));
}

void store_read_packed(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                       void (*on_item)(struct read_call *call, size_t index, struct bytes item, struct bytes sums)) {
    struct pipeline *pipeline = read_begin(store, call, count, sizeof(struct packed_state), on_packed);
    if (!pipeline)
        return;
    ((struct packed_state *)pipeline->context)->on_item = on_item;
    for (size_t i = 0; i < count; i++) {
        struct key key;
        begin_command(store, "MGET");
        key_item(&key, items[i]);
        add_key(store, &key);
        key_sums(&key, items[i]);
        add_key(store, &key);
        read_add(pipeline);
    }
}
