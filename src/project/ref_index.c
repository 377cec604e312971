// SPDX-License-Identifier: MIT
// Numbers the distinct references of a chunk (ref_index.h).
#include "project/ref_index.h"
#include <stdlib.h>

enum { FIRST_ROOM = 256 };

void ref_index_init(struct ref_index *index) {
    *index = (struct ref_index){0};
}

void ref_index_release(struct ref_index *index) {
    free(index->refs);
    free(index->slots);
    ref_index_init(index);
}

void ref_index_clear(struct ref_index *index) {
    index->count = 0;
    if (index->slot_count)
        memset(index->slots, 0, index->slot_count * sizeof(*index->slots));
}

// The slot of the reference, or the free slot where it belongs.
static uint32_t slot_of(const struct ref_index *index, ref_t ref) {
    uint32_t slot = (uint32_t)((ref * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (index->slot_count - 1);
    while (index->slots[slot] != 0 && index->refs[index->slots[slot] - 1] != ref)
        slot = (slot + 1) & (index->slot_count - 1);
    return slot;
}

static bool grow(struct ref_index *index) {
    uint32_t capacity = index->capacity ? index->capacity * 2 : FIRST_ROOM;
    ref_t *refs = realloc(index->refs, capacity * sizeof(*refs));
    if (!refs)
        return false;
    index->refs = refs;
    uint32_t *slots = calloc((size_t)capacity * 2, sizeof(*slots));
    if (!slots)
        return false;
    free(index->slots);
    index->slots = slots;
    index->capacity = capacity;
    index->slot_count = capacity * 2;
    for (uint32_t i = 0; i < index->count; i++)
        slots[slot_of(index, refs[i])] = i + 1;
    return true;
}

uint32_t ref_index_add(struct ref_index *index, ref_t ref) {
    uint32_t known = ref_index_find(index, ref);
    if (known != NO_INDEX)
        return known;
    if (index->count == index->capacity && !grow(index))
        return NO_INDEX;
    index->refs[index->count] = ref;
    index->slots[slot_of(index, ref)] = index->count + 1;
    return index->count++;
}

uint32_t ref_index_find(const struct ref_index *index, ref_t ref) {
    if (index->slot_count == 0)
        return NO_INDEX;
    uint32_t held = index->slots[slot_of(index, ref)];
    return held ? held - 1 : NO_INDEX;
}
