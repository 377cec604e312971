// SPDX-License-Identifier: MIT
// One visitor: the votes, and the items that were read last. The calls follow store.h.
#pragma once
#include "store/store.h"

struct own_vote {
    int kind;       // -1: none
    int64_t packed; // time and kind, for vote_call.only_if
    int64_t time_ms;
    uint64_t votes[KINDS_MAX];
};
// Reads the visitor's votes, and the items' counts now.
void store_read_votes(struct store *store, struct read_call *call, ref_t visitor, const ref_t *items, size_t count,
                      void (*on_vote)(struct read_call *call, size_t index, const struct own_vote *vote));
// Reads the items that the visitor read last, latest first. An item may come more than once.
void store_read_history(struct store *store, struct read_call *call, ref_t visitor,
                        void (*on_item)(struct read_call *call, ref_t item, int64_t time_ms));
void store_forget_history(struct store *store, struct read_call *call, ref_t visitor);
