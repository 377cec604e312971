// SPDX-License-Identifier: MIT
// The states of items, as lists and readers see them. The calls follow store.h.
#pragma once
#include "store/store.h"

struct series; // model/series.h

struct item_state {
    bool known; // it has a vote, a view that is projected, or a card
    // OK, or INTERNAL when its data is not usable: leave the item out, or answer 500 for it alone.
    enum outcome outcome;
    struct bytes id, site;   // as stored
    struct bytes card;       // struct card.json
    struct bytes categories; // joined by 0x1f
    struct bytes author;     // of its card; empty: none
    int64_t published_ms;
    int64_t first_ms; // of the first event, if published_ms is not known (model/first_event.h); 0: none
    bool has_card;
    uint64_t votes[KINDS_MAX]; // with base
    uint64_t views;            // with base
    uint64_t visitors;
    uint64_t sketch;             // hash of that of its visitors; 0: it has none
    struct bytes sums;           // packed (model/sums.h), as stored
    const struct series *series; // counts by time, valid in on_item only; NULL: nothing was counted
};
// Calls `on_item` once per reference, in order, before on_done.
void store_read_items(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                      void (*on_item)(struct read_call *call, size_t index, const struct item_state *item));
// What Redis has promised of a state when it was read (store/tracking.h).
struct track {
    uint32_t session, slot, count; // session 0: nothing
};
struct item_again {
    ref_t item;
    const struct item_state *known; // as it was read before; NULL: it was not
    struct track track;             // its session becomes 0 if a key has to be read by itself
};
// The same. What is known of bytes that are still the same is not found out again. `items` must live until on_done.
void store_reread_items(struct store *store, struct read_call *call, struct item_again *items, size_t count,
                        void (*on_item)(struct read_call *call, size_t index, const struct item_state *item));
// Reads one item for a write that waits for it: it is not held with the reads when the queue is full.
void store_look_item(struct store *store, struct read_call *call, const ref_t *item,
                     void (*on_item)(struct read_call *call, size_t index, const struct item_state *item));
