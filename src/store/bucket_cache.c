// SPDX-License-Identifier: MIT
// A direct-mapped table of 65,536 slots of 16 bytes: 1 MiB a process.
#include "store/bucket_cache.h"
#include <stdlib.h>

enum { SLOTS = 65536 };

struct bucket_guess {
    ref_t item;
    uint32_t buckets;
};

struct bucket_cache {
    struct bucket_guess at[SLOTS];
};

struct bucket_cache *bucket_cache_new(void) {
    return calloc(1, sizeof(struct bucket_cache));
}

void bucket_cache_free(struct bucket_cache *bucket_cache) {
    free(bucket_cache);
}

// The low bits of a reference choose its partition, so the high bits choose the slot.
static size_t slot_of(ref_t item) {
    return (size_t)(item >> 32) % SLOTS;
}

uint32_t bucket_cache_get(const struct bucket_cache *bucket_cache, ref_t item) {
    const struct bucket_guess *slot = &bucket_cache->at[slot_of(item)];
    return slot->item == item ? slot->buckets : 0;
}

void bucket_cache_set(struct bucket_cache *bucket_cache, ref_t item, uint32_t buckets) {
    struct bucket_guess *slot = &bucket_cache->at[slot_of(item)];
    if (buckets)
        *slot = (struct bucket_guess){item, buckets};
    else if (slot->item == item)
        slot->buckets = 0;
}
