// SPDX-License-Identifier: MIT
// Claims the projection: the record in Redis of who projects, by which plan (lua/claim.lua).
#include "base/clock.h"
#include "store/reads.h"
#include <inttypes.h>
#include <stdio.h>

struct claim_state {
    struct read_state read;
    uint64_t *other_ms;
};

static void on_claimed(struct pipeline *pipeline) {
    struct claim_state *state = pipeline->context;
    enum outcome outcome = pipeline_outcome(pipeline);
    if (outcome == OK)
        *state->other_ms = (uint64_t)reply_int(pipeline->at[0].reply);
    read_end(pipeline, outcome);
}

void store_claim(struct store *store, struct read_call *call, const struct projection_claim *claim, bool release,
                 uint64_t *ret_other_ms) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct claim_state), on_claimed);
    struct key key;
    char instance[17];
    if (!pipeline)
        return;
    ((struct claim_state *)pipeline->context)->other_ms = ret_other_ms;
    snprintf(instance, sizeof instance, "%016" PRIx64, claim->instance);
    script_begin(&store->command, SCRIPT_CLAIM, 1);
    key_meta(&key);
    add_key(store, &key);
    command_add(&store->command, claim->plan);
    command_add_text(&store->command, instance);
    command_add_int(&store->command, (int64_t)claim->generation);
    command_add_int(&store->command, clock_now_ms());
    command_add_int(&store->command, claim->holds_ms);
    command_add_text(&store->command, release ? "release" : "");
    pipeline_add_write(pipeline, store->router, &store->command);
}
