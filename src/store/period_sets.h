// SPDX-License-Identifier: MIT
// Sets of rankings by period, and their cutoffs, whose time has come: when no window overlaps their period any more,
// those of categories are removed and the others are cut to their bound; when the period is no longer readable, all are
// removed. Each partition has a sorted set of what waits (lua/commit.lua adds to it).
#pragma once
#include "store/projection.h"

enum { DUE_AT_ONCE = 100 };

struct due_set {
    struct key key; // of the set or of the cutoffs, as Redis knows it
};
// Reads what is due in a partition: at most DUE_AT_ONCE.
void store_read_due(struct store *store, struct read_call *call, uint32_t partition,
                    void (*on_due)(struct read_call *call, struct bytes key));
// Does what is due with them, none at least; each waits for a later time then, or is gone. Calls `on_lost` before
// on_done if periods were ended that are not over, by a clock that was ahead: the partition must be rebuilt.
void store_end_periods(struct store *store, struct read_call *call, uint32_t partition, const struct due_set *sets,
                       size_t count, void (*on_lost)(struct read_call *call));
