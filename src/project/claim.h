// SPDX-License-Identifier: MIT
// The claim on the projection. If two services on one Redis have different rankings, one projects, and the other waits
// until the first has not renewed its claim for some seconds. Within one service the generation in charge gets the
// claim at once. A write that is still under way then is refused by the partition's version or plan
// (partition_write.c). While the record can't be read and others can, because in a Cluster the master that has it is
// away, a claim that is held stays so.
#pragma once
#include "store/projection.h"
#include <uv.h>

struct claim {
    struct store *store;
    struct projection_claim what;
    uv_timer_t timer;
    struct read_call call;
    uint64_t other_ms;      // the answer: for how long it is another's
    uint64_t sent_ms;       // when it was asked for last, by the loop's clock
    uint64_t held_until_ms; // 0: it is not held
    bool busy, waits, stopping;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

// `plan` must outlive the claim.
void claim_start(struct claim *claim, uv_loop_t *loop, struct store *store, struct bytes plan);
bool claim_is_held(const struct claim *claim);
// Gives the claim back, so that the next projector need not wait.
void claim_stop(struct claim *claim, void (*on_stopped)(void *context), void *context);
