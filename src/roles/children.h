// SPDX-License-Identifier: MIT
// The supervisor's children: workers and a projector, each this same program with a role. One that dies is started
// again, after 100 ms doubling to 5 s while it keeps dying at once.
#pragma once
#include <stdbool.h>
#include <uv.h>

struct children;

struct children_plan {
    char **argv; // the program's own; each child reads the settings for itself
    int metrics_fd;
    unsigned workers;
};

// `on_refused`: a child ended with EXIT_REFUSED, what Redis has recorded contradicts the settings.
struct children *children_start(uv_loop_t *loop, const struct children_plan *plan, void (*on_refused)(void *context),
                                void *context);
// New workers with the present settings, then SIGTERM to those before them.
void children_renew(struct children *children, unsigned workers);
// SIGTERM to all, SIGKILL to what is left after `grace_ms`; then frees.
void children_stop(struct children *children, uint64_t grace_ms, void (*on_stopped)(void *context), void *context);
