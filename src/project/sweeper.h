// SPDX-License-Identifier: MIT
// Walks slowly over all items, again and again, and removes those that are to be forgotten (model/forget.h): of an item
// that somebody made up nothing stays. In the background, one page at a time; what is cut off in the middle is done by
// the next walk.
#pragma once
#include "store/store.h"

struct sweeper;

// NULL without memory. `loop` is a uv_loop_t *; all must outlive it.
struct sweeper *sweeper_start(void *loop, const struct settings *settings, struct store *store);
void sweeper_stop(struct sweeper *sweeper, void (*on_stopped)(void *context), void *context);
