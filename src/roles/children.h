// SPDX-License-Identifier: MIT
// The supervisor's children: workers and a projector. Each runs this same program with a role. A child that dies is
// started again, after 100 ms that double to 5 s while it keeps dying at once. A child whose loop hangs for
// hang_timeout is killed, because connections would wait in its queue for ever. So is a child that does not end when it
// should.
//
// A reload starts a second generation beside the first. Its processes connect to Redis and compare their settings. When
// Redis has accepted all of them, the generation is in charge (ops/generation.h) and listens, and the first generation
// gets SIGTERM. If a process is refused or keeps ending, or not all are ready within reload_timeout, the second
// generation ends and the first stays.
#pragma once
#include "roles/launch.h"
#include <uv.h>

struct children;

struct children_hooks {
    // A process ended with EXIT_REFUSED before its generation worked: Redis's records contradict the settings.
    void (*on_refused)(void *context);
    void (*on_ready)(void *context);                    // all of a generation are ready: once per generation
    void (*on_renewed)(void *context, const char *why); // a reload has ended; `why` it failed, or NULL
    void *context;
};
// NULL without memory. The children own the launch from here on.
struct children *children_start(uv_loop_t *loop, struct launch *launch, const struct children_hooks *hooks);
// How many children of the present generation have their connection to Redis.
unsigned children_linked(const struct children *children);
unsigned children_count(const struct children *children);
// Starts a second generation, not while one is under way. on_renewed follows, never before this has returned.
void children_renew(struct children *children, struct launch *launch);
bool children_renewing(const struct children *children);
bool children_ready(const struct children *children); // all of the present generation have been at once
// The launch of the present generation, from which a next one takes over.
const struct launch *children_launch(const struct children *children);
// SIGTERM to all, SIGKILL to what is left when drain_timeout and a second are over; then frees.
void children_stop(struct children *children, void (*on_stopped)(void *context), void *context);
