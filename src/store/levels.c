// SPDX-License-Identifier: MIT
// 65,536 places of 16 bytes: 1 MiB a process.
#include "store/levels.h"
#include <stdlib.h>

enum { PLACES = 65536 };

struct level {
    ref_t item;
    uint32_t buckets;
};

struct levels {
    struct level at[PLACES];
};

struct levels *levels_new(void) {
    return calloc(1, sizeof(struct levels));
}

void levels_free(struct levels *levels) {
    free(levels);
}

// The low bits choose the partition: the high ones choose the place.
static size_t place_of(ref_t item) {
    return (size_t)(item >> 32) % PLACES;
}

uint32_t levels_get(const struct levels *levels, ref_t item) {
    const struct level *level = &levels->at[place_of(item)];
    return level->item == item ? level->buckets : 0;
}

void levels_set(struct levels *levels, ref_t item, uint32_t buckets) {
    struct level *level = &levels->at[place_of(item)];
    if (buckets)
        *level = (struct level){item, buckets};
    else if (level->item == item)
        level->buckets = 0;
}
