// SPDX-License-Identifier: MIT
// The projector: reads the logs, computes in C, writes each partition back under its version; exactly once, whatever is
// killed when. Two of them at once are safe: the one that loses stands back for some seconds.
#pragma once
#include "store/store.h"

struct projector;

// Runs over `store` until stopped, also while Redis is away. `loop` is a uv_loop_t *; all must outlive it.
// NULL only without memory or when the settings need too many half-lives (plan_make).
struct projector *projector_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                                  struct store *store);
// What is in flight ends, nothing new begins; `on_stopped` when no handle of it is open. Before store_stop.
void projector_stop(struct projector *projector, void (*on_stopped)(void *context), void *context);
