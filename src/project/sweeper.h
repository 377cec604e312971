// SPDX-License-Identifier: MIT
// Walks slowly over all items, again and again, and removes those that are to be forgotten (model/forget.h), so that
// made-up items do not stay. It works in the background, one page at a time; if it is interrupted, the next walk does
// the rest.
#pragma once
#include "project/projector.h"

struct sweeper;

// NULL without memory. `loop` is a uv_loop_t *; all arguments must outlive it.
struct sweeper *sweeper_start(void *loop, const struct settings *settings, struct store *store,
                              const struct projector *projector);
void sweeper_stop(struct sweeper *sweeper, void (*on_stopped)(void *context), void *context);
