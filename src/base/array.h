// SPDX-License-Identifier: MIT
// An array that doubles when it is full.
#pragma once
#include <stddef.h>
#include <stdlib.h>

enum { ARRAY_FIRST_CAPACITY = 64 };

// Makes room for one more element after `count`. Returns the array, which may have moved, or NULL without memory: then
// the array and *capacity are unchanged.
static inline void *array_room_for_one(void *at, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity)
        return at;
    size_t more = *capacity ? *capacity * 2 : ARRAY_FIRST_CAPACITY;
    void *grown = realloc(at, more * size);
    if (grown)
        *capacity = more;
    return grown;
}
