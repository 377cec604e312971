// SPDX-License-Identifier: MIT
// A hash table of busy states in the order of their last use (state_cache.h). uthash keeps the order of adding, so a
// use removes the entry and adds it again.
#include "project/state_cache.h"
#include "base/hash.h"
#include <stdlib.h>

struct cached_item {
    UT_hash_handle hh;
    ref_t item;
    uint32_t generation;
    size_t size;
    struct partition_item facts; // its texts are in `text`
    char text[];
};

bool cache_init(struct cache *cache, uint32_t partitions, size_t max_bytes) {
    *cache = (struct cache){.partitions = partitions, .max_bytes = max_bytes};
    cache->versions = calloc(partitions, sizeof(*cache->versions));
    cache->generations = calloc(partitions, sizeof(*cache->generations));
    return cache->versions && cache->generations;
}

static void drop(struct cache *cache, struct cached_item *held) {
    HASH_DEL(cache->items, held);
    cache->bytes -= held->size;
    free(held);
}

// Without memory the entry is dropped.
static bool add(struct cache *cache, struct cached_item *held) {
    HASH_ADD(hh, cache->items, item, sizeof(held->item), held);
    if (!HASH_HAS_TAKEN(held)) {
        free(held);
        return false;
    }
    cache->bytes += held->size;
    return true;
}

void cache_release(struct cache *cache) {
    struct cached_item *held, *next;
    HASH_ITER (hh, cache->items, held, next) {
        drop(cache, held);
    }
    free(cache->versions);
    free(cache->generations);
}

void cache_set_version(struct cache *cache, uint32_t partition, uint64_t version, bool own) {
    if (!own && cache->versions[partition] != version)
        cache->generations[partition]++;
    cache->versions[partition] = version;
}

void cache_forget_all(struct cache *cache) {
    for (uint32_t i = 0; cache->generations && i < cache->partitions; i++)
        cache->generations[i]++;
}

static bool is_current(const struct cache *cache, const struct cached_item *held) {
    return held->generation == cache->generations[partition_of(held->item, cache->partitions)];
}

const struct partition_item *cache_find(struct cache *cache, ref_t item) {
    struct cached_item *held;
    HASH_FIND(hh, cache->items, &item, sizeof(item), held);
    if (!held)
        return NULL;
    if (!is_current(cache, held)) {
        drop(cache, held);
        return NULL;
    }
    HASH_DEL(cache->items, held);
    cache->bytes -= held->size;
    return add(cache, held) ? &held->facts : NULL;
}

void cache_drop(struct cache *cache, ref_t item) {
    struct cached_item *held;
    HASH_FIND(hh, cache->items, &item, sizeof(item), held);
    if (held)
        drop(cache, held);
}

static struct bytes keep(char **place, struct bytes text) {
    struct bytes kept = {*place, text.len};
    if (text.len)
        memcpy(*place, text.at, text.len);
    *place += text.len;
    return kept;
}

void cache_put(struct cache *cache, ref_t item, const struct partition_item *facts) {
    size_t text = facts->state.len + facts->id.len + facts->site.len + facts->groups.len;
    size_t size = sizeof(struct cached_item) + text;
    cache_drop(cache, item);
    while (cache->items && cache->bytes + size > cache->max_bytes)
        drop(cache, cache->items);
    struct cached_item *held = cache->bytes + size <= cache->max_bytes ? malloc(size) : NULL;
    if (!held)
        return;
    char *place = held->text;
    held->item = item;
    held->generation = cache->generations[partition_of(item, cache->partitions)];
    held->size = size;
    held->facts = *facts;
    held->facts.state = keep(&place, facts->state);
    held->facts.id = keep(&place, facts->id);
    held->facts.site = keep(&place, facts->site);
    held->facts.groups = keep(&place, facts->groups);
    add(cache, held);
}
