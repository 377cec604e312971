// SPDX-License-Identifier: MIT
// The claim on the projection: of two services on one Redis whose rankings differ one projects, the other waits until
// that one has been silent for some seconds. Within one service the generation in charge has it at once. What a step
// that was under way writes meanwhile is caught by the partitions' versions and plans (partition_write.c).
#pragma once
#include "store/projection.h"
#include <uv.h>

struct claim {
    struct store *store;
    struct projection_claim what;
    uv_timer_t timer;
    struct read_call call;
    uint64_t other_ms;      // answered: for how long it is another's
    uint64_t sent_ms;       // when it was asked for, by the loop's clock
    uint64_t held_until_ms; // 0: it is not held
    bool busy, waits, stopping;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

// `plan`: a text that outlives it.
void claim_start(struct claim *claim, uv_loop_t *loop, struct store *store, struct bytes plan);
bool claim_is_held(const struct claim *claim);
// Gives it back, so that the next one need not wait.
void claim_stop(struct claim *claim, void (*on_stopped)(void *context), void *context);
