// SPDX-License-Identifier: MIT
// 65,536 places of 16 bytes: 1 MiB a process.
#include "store/bucket_cache.h"
#include <stdlib.h>

enum { PLACES = 65536 };

struct level {
    ref_t item;
    uint32_t buckets;
};

struct bucket_cache {
    struct level at[PLACES];
};

struct bucket_cache *bucket_cache_new(void) {
    return calloc(1, sizeof(struct bucket_cache));
}

void bucket_cache_free(struct bucket_cache *bucket_cache) {
    free(bucket_cache);
}

// The low bits choose the partition: the high ones choose the place.
static size_t place_of(ref_t item) {
    return (size_t)(item >> 32) % PLACES;
}

uint32_t bucket_cache_get(const struct bucket_cache *bucket_cache, ref_t item) {
    const struct level *level = &bucket_cache->at[place_of(item)];
    return level->item == item ? level->buckets : 0;
}

void bucket_cache_set(struct bucket_cache *bucket_cache, ref_t item, uint32_t buckets) {
    struct level *level = &bucket_cache->at[place_of(item)];
    if (buckets)
        *level = (struct level){item, buckets};
    else if (level->item == item)
        level->buckets = 0;
}
