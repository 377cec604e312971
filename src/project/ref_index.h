// SPDX-License-Identifier: MIT
// Gives the distinct references of a chunk numbers: 0, 1, 2 … in order of their first appearance. A hash table with
// linear probing points into the array of references. It is cleared and used again for the next chunk.
#pragma once
#include "model/names.h"

enum { NO_INDEX = 0xffffffff };

struct ref_index {
    ref_t *refs; // [count], in order of first appearance
    uint32_t count, capacity;
    uint32_t *slots; // number + 1; 0: free
    uint32_t slot_count;
};

void ref_index_init(struct ref_index *index);
void ref_index_release(struct ref_index *index);
void ref_index_clear(struct ref_index *index);
// The number of the reference, which is added if it is new. NO_INDEX without memory.
uint32_t ref_index_add(struct ref_index *index, ref_t ref);
uint32_t ref_index_find(const struct ref_index *index, ref_t ref); // NO_INDEX: not there
