// SPDX-License-Identifier: MIT
// Is an item new? Items that this worker knows to exist are remembered; for any other the store is asked. So a write to
// an item that readers are on costs no further call.
#pragma once
#include "store/store.h"

struct known_items;

struct known_items *known_items_new(void); // NULL without memory
void known_items_free(struct known_items *known);
bool known_items_has(const struct known_items *known, ref_t item);
void known_items_add(struct known_items *known, ref_t item);

// An item as it stands, for a write that depends on it. Lives until on_done; fires once, never before the start
// returned.
struct item_look {
    ref_t item;
    void (*on_done)(struct item_look *look);
    void *context;
    bool patient; // of a bulk call: waits behind the reads
    // Results. An item whose data is not usable is INTERNAL.
    enum outcome outcome;
    bool exists, has_card;
    uint64_t votes[KINDS_MAX];
    struct read_call read; // the look's own
};
void item_look_start(struct store *store, struct item_look *look);
