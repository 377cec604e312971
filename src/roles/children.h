// SPDX-License-Identifier: MIT
// The supervisor's children: workers and a projector, each this same program with a role. One that dies is started
// again, after 100 ms doubling to 5 s while it keeps dying at once. One whose loop stands still for hang_timeout is
// killed: connections would wait in its queue for ever.
#pragma once
#include "roles/launch.h"
#include <uv.h>

struct children;

struct children_hooks {
    void (*on_refused)(void *context); // one ended with EXIT_REFUSED: what Redis has recorded contradicts the settings
    void (*on_ready)(void *context);   // all of a generation are ready: once per generation
    void *context;
};
// NULL without memory. The launch is the children's from here on.
struct children *children_start(uv_loop_t *loop, struct launch *launch, const struct children_hooks *hooks);
// How many of the present generation have their connection to Redis.
unsigned children_linked(const struct children *children);
unsigned children_count(const struct children *children);
// Starts a second generation; when all of it is ready the first gets SIGTERM, when it does not get ready the first
// stays. False, and the launch stays the caller's, while the renewal before this one is under way.
bool children_renew(struct children *children, struct launch *launch);
// Of the generation that counts: what a next one takes over from.
const struct launch *children_launch(const struct children *children);
// SIGTERM to all, SIGKILL to what is left when drain_timeout and a second are over; then frees.
void children_stop(struct children *children, void (*on_stopped)(void *context), void *context);
