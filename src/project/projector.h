// SPDX-License-Identifier: MIT
// The projector reads the logs, computes in C, and writes each partition back under its version: each entry exactly
// once, whatever is killed at whatever time. Two projectors at once are safe: the one that loses pauses for some
// seconds.
#pragma once
#include "store/projection.h"

struct projector;

// Runs until it is stopped, also while Redis is unreachable. `loop` is a uv_loop_t *; all arguments must outlive it.
// NULL without memory, or when the settings need too many half-lives (plan_make).
struct projector *projector_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                                  struct store *store);
// Whether this machine works the projection now (membership.h). Corrections and sweeps go with the sums.
bool projector_works(const struct projector *projector, enum projection projection);
// Lets the call under way end and begins nothing new. `on_stopped` fires when its handles are closed. Call it before
// store_stop.
void projector_stop(struct projector *projector, void (*on_stopped)(void *context), void *context);
