// SPDX-License-Identifier: MIT
// A table from an item's reference to what is known of it. Most items of a long tail are in no table, and what is there
// is in no processor's cache. So the references stand in the slots themselves (linear probing, at most half of the
// slots are taken): whether an item is there is seen without a walk through entries. A slot that is given up is closed
// by those behind it.
//
// Used for the cached states of items and tables of neighbours (serve/item_cache.c, serve/table_cache.c) and for the
// projector's busy states (project/state_cache.c). A table of zeros is empty.
#pragma once
#include "model/names.h"
#include <stdbool.h>

struct ref_slot {
    ref_t item;
    void *held; // NULL: free
};

struct ref_table {
    struct ref_slot *slots;
    uint32_t slot_count, count; // slots: none, or a power of two
};

void *ref_table_find(const struct ref_table *table, ref_t item); // NULL: not there
// A hint to the processor: these items will be looked for next, and the first `bytes` of what is held will be read. So
// it waits for memory once, and not for one item after the other.
void ref_table_expect(const struct ref_table *table, const ref_t *items, size_t count, size_t bytes);
// Replaces what is there. `held` stays the caller's, as long as it is in the table. False without memory.
bool ref_table_put(struct ref_table *table, ref_t item, void *held);
void ref_table_drop(struct ref_table *table, ref_t item); // also if it is not there
void ref_table_release(struct ref_table *table);          // then it is empty
