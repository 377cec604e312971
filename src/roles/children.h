// SPDX-License-Identifier: MIT
// The supervisor's children: workers and a projector, each this same program with a role. One that dies is started
// again, after 100 ms doubling to 5 s while it keeps dying at once. One whose loop stands still for hang_timeout is
// killed: connections would wait in its queue for ever. So is one that has been told to end and does not.
//
// A reload starts a second generation beside the first. It connects to Redis and compares, and does nothing else until
// all of it have been accepted; then it is in charge (ops/generation.h), listens, and the first gets SIGTERM. If one of
// it is refused or keeps ending, or not all are ready within reload_timeout, it ends and the first goes on.
#pragma once
#include "roles/launch.h"
#include <uv.h>

struct children;

struct children_hooks {
    // One ended with EXIT_REFUSED, of a generation that never worked: what Redis has recorded contradicts the settings.
    void (*on_refused)(void *context);
    void (*on_ready)(void *context);                    // all of a generation are ready: once per generation
    void (*on_renewed)(void *context, const char *why); // a reload has ended; `why` it was given up, or NULL
    void *context;
};
// NULL without memory. The launch is the children's from here on.
struct children *children_start(uv_loop_t *loop, struct launch *launch, const struct children_hooks *hooks);
// How many of the present generation have their connection to Redis.
unsigned children_linked(const struct children *children);
unsigned children_count(const struct children *children);
// Starts a second generation, not while one is under way. on_renewed follows, never before this has returned.
void children_renew(struct children *children, struct launch *launch);
bool children_renewing(const struct children *children);
bool children_ready(const struct children *children); // all of the present generation have been at once
// Of the generation that counts: what a next one takes over from.
const struct launch *children_launch(const struct children *children);
// SIGTERM to all, SIGKILL to what is left when drain_timeout and a second are over; then frees.
void children_stop(struct children *children, void (*on_stopped)(void *context), void *context);
