// SPDX-License-Identifier: MIT
#include "model/ref_table.h"
#include <stdlib.h>

enum { FIRST_SLOTS = 64, CACHE_LINE = 64 };

// A reference is a keyed hash, and its remainder is the partition.
static uint32_t home_of(const struct ref_table *table, ref_t item) {
    return (uint32_t)((item * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (table->slot_count - 1);
}

// The slot of the item, or the free slot where it belongs. There is always a free one.
static uint32_t slot_of(const struct ref_table *table, ref_t item) {
    uint32_t slot = home_of(table, item);
    while (table->slots[slot].held && table->slots[slot].item != item)
        slot = (slot + 1) & (table->slot_count - 1);
    return slot;
}

void *ref_table_find(const struct ref_table *table, ref_t item) {
    return table->slot_count ? table->slots[slot_of(table, item)].held : NULL;
}

void ref_table_expect(const struct ref_table *table, const ref_t *items, size_t count, size_t bytes) {
    for (size_t i = 0; i < count && table->slot_count; i++)
        __builtin_prefetch(&table->slots[home_of(table, items[i])]);
    for (size_t i = 0; i < count; i++) {
        const char *held = ref_table_find(table, items[i]);
        for (size_t line = 0; held && line < bytes; line += CACHE_LINE)
            __builtin_prefetch(held + line);
    }
}

// Twice as many slots. False without memory.
static bool grow(struct ref_table *table) {
    struct ref_slot *before = table->slots;
    uint32_t count = table->slot_count, grown = count ? 2 * count : FIRST_SLOTS;
    struct ref_slot *slots = calloc(grown, sizeof *slots);
    if (!slots)
        return false;
    table->slots = slots;
    table->slot_count = grown;
    for (uint32_t i = 0; i < count; i++)
        if (before[i].held)
            slots[slot_of(table, before[i].item)] = before[i];
    free(before);
    return true;
}

bool ref_table_put(struct ref_table *table, ref_t item, void *held) {
    if (2 * (table->count + 1) > table->slot_count && !grow(table))
        return false;
    struct ref_slot *slot = &table->slots[slot_of(table, item)];
    table->count += slot->held == NULL;
    *slot = (struct ref_slot){item, held};
    return true;
}

// Frees the slot. Those behind it that would no longer be found from their homes move up.
static void close_slot(struct ref_table *table, uint32_t slot) {
    uint32_t mask = table->slot_count - 1;
    for (uint32_t next = (slot + 1) & mask; table->slots[next].held; next = (next + 1) & mask) {
        uint32_t home = home_of(table, table->slots[next].item);
        if (((next - home) & mask) < ((next - slot) & mask))
            continue;
        table->slots[slot] = table->slots[next];
        slot = next;
    }
    table->slots[slot].held = NULL;
    table->count--;
}

void ref_table_drop(struct ref_table *table, ref_t item) {
    if (table->slot_count && table->slots[slot_of(table, item)].held)
        close_slot(table, slot_of(table, item));
}

void ref_table_release(struct ref_table *table) {
    free(table->slots);
    *table = (struct ref_table){.slots = NULL};
}
