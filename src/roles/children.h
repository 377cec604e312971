// SPDX-License-Identifier: MIT
// The supervisor's children: workers and a projector, each this same program with a role. One that dies is started
// again, after 100 ms doubling to 5 s while it keeps dying at once.
#pragma once
#include "roles/launch.h"
#include <uv.h>

struct children;

// `on_refused`: a child ended with EXIT_REFUSED, what Redis has recorded contradicts the settings. NULL without memory.
// The launch is the children's from here on.
struct children *children_start(uv_loop_t *loop, struct launch *launch, void (*on_refused)(void *context),
                                void *context);
// Starts a second generation; when all of it is ready the first gets SIGTERM, when it does not get ready the first
// stays. False, and the launch stays the caller's, while the renewal before this one is under way.
bool children_renew(struct children *children, struct launch *launch);
// Of the generation that counts: what a next one takes over from.
const struct launch *children_launch(const struct children *children);
// SIGTERM to all, SIGKILL to what is left when drain_timeout and a second are over; then frees.
void children_stop(struct children *children, void (*on_stopped)(void *context), void *context);
