// SPDX-License-Identifier: MIT
// The busy states (state_cache.h): a table by reference, and a list in the order of their last use.
#include "project/state_cache.h"
#include <stdlib.h>

struct cached_item {
    struct cached_item *older, *newer;
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

// ---- The order of use

static void unlink_item(struct cache *cache, struct cached_item *held) {
    *(held->older ? &held->older->newer : &cache->oldest) = held->newer;
    *(held->newer ? &held->newer->older : &cache->newest) = held->older;
}

static void link_newest(struct cache *cache, struct cached_item *held) {
    held->older = cache->newest;
    held->newer = NULL;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = held;
    cache->newest = held;
}

// ---- Entries

static void drop(struct cache *cache, struct cached_item *held) {
    ref_table_drop(&cache->table, held->item);
    unlink_item(cache, held);
    cache->bytes -= held->size;
    free(held);
}

void cache_release(struct cache *cache) {
    while (cache->oldest)
        drop(cache, cache->oldest);
    ref_table_release(&cache->table);
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
    struct cached_item *held = ref_table_find(&cache->table, item);
    if (!held)
        return NULL;
    if (!is_current(cache, held)) {
        drop(cache, held);
        return NULL;
    }
    unlink_item(cache, held);
    link_newest(cache, held);
    return &held->facts;
}

void cache_drop(struct cache *cache, ref_t item) {
    struct cached_item *held = ref_table_find(&cache->table, item);
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

static void fill(struct cached_item *held, const struct partition_item *facts) {
    char *place = held->text;
    held->facts = *facts;
    held->facts.state = keep(&place, facts->state);
    held->facts.id = keep(&place, facts->id);
    held->facts.site = keep(&place, facts->site);
    held->facts.groups = keep(&place, facts->groups);
}

static size_t text_of(const struct partition_item *facts) {
    return facts->state.len + facts->id.len + facts->site.len + facts->groups.len;
}

void cache_put(struct cache *cache, ref_t item, const struct partition_item *facts) {
    size_t text = text_of(facts), size = sizeof(struct cached_item) + 2 * sizeof(struct ref_slot) + text;
    cache_drop(cache, item);
    while (cache->oldest && cache->bytes + size > cache->max_bytes)
        drop(cache, cache->oldest);
    struct cached_item *held = cache->bytes + size > cache->max_bytes ? NULL : malloc(sizeof *held + text);
    if (!held || !ref_table_put(&cache->table, item, held)) {
        free(held);
        return;
    }
    held->item = item;
    held->generation = cache->generations[partition_of(item, cache->partitions)];
    held->size = size;
    fill(held, facts);
    link_newest(cache, held);
    cache->bytes += size;
}
