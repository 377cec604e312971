// SPDX-License-Identifier: MIT
// Is an item new? A worker remembers items that it knows to exist, and asks the store about any other. So a write to an
// item with readers costs no further call.
#pragma once
#include "store/store.h"

struct known_items;

struct known_items *known_items_new(void); // NULL without memory
void known_items_free(struct known_items *known);
bool known_items_has(const struct known_items *known, ref_t item);
void known_items_add(struct known_items *known, ref_t item);

// The present state of an item, for a write that depends on it. It lives until on_done, which fires once and never
// before the start has returned.
struct item_look {
    ref_t item;
    void (*on_done)(struct item_look *look);
    void *context;
    bool patient; // a bulk call's: it waits behind the reads
    // Results. The outcome is INTERNAL when the item's data is corrupt.
    enum outcome outcome;
    bool exists, has_card;
    uint64_t votes[KINDS_MAX];
    struct read_call read; // the look's own
};
void item_look_start(struct store *store, struct item_look *look);
