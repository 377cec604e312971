// SPDX-License-Identifier: MIT
// The table of busy states (state_cache.h). Most items of a long tail are not there, so that must be seen without a
// walk through entries: the references stand in the slots themselves (linear probing, at most half of the slots are
// taken), and a slot that is given up is closed by those behind it. A list has the entries in the order of their last
// use.
#include "project/state_cache.h"
#include <stdlib.h>

enum { FIRST_SLOTS = 64 };

struct cached_item {
    struct cached_item *older, *newer;
    ref_t item;
    uint32_t generation;
    size_t size;
    struct partition_item facts; // its texts are in `text`
    char text[];
};

struct cache_slot {
    ref_t item;
    struct cached_item *held; // NULL: free
};

bool cache_init(struct cache *cache, uint32_t partitions, size_t max_bytes) {
    *cache = (struct cache){.partitions = partitions, .max_bytes = max_bytes};
    cache->versions = calloc(partitions, sizeof(*cache->versions));
    cache->generations = calloc(partitions, sizeof(*cache->generations));
    return cache->versions && cache->generations;
}

// ---- The slots

// A reference is a keyed hash, and its remainder is the partition.
static uint32_t home_of(const struct cache *cache, ref_t item) {
    return (uint32_t)((item * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (cache->slot_count - 1);
}

// The slot of the item, or the free slot where it belongs. There is always a free one.
static uint32_t slot_of(const struct cache *cache, ref_t item) {
    uint32_t slot = home_of(cache, item);
    while (cache->slots[slot].held && cache->slots[slot].item != item)
        slot = (slot + 1) & (cache->slot_count - 1);
    return slot;
}

static struct cached_item *find(const struct cache *cache, ref_t item) {
    return cache->slot_count ? cache->slots[slot_of(cache, item)].held : NULL;
}

// Twice as many slots. False without memory.
static bool grow(struct cache *cache) {
    struct cache_slot *before = cache->slots;
    uint32_t count = cache->slot_count, grown = count ? 2 * count : FIRST_SLOTS;
    struct cache_slot *slots = calloc(grown, sizeof *slots);
    if (!slots)
        return false;
    cache->slots = slots;
    cache->slot_count = grown;
    for (uint32_t i = 0; i < count; i++)
        if (before[i].held)
            slots[slot_of(cache, before[i].item)] = before[i];
    free(before);
    return true;
}

// Frees the slot. Those behind it that would no longer be found from their homes move up.
static void close_slot(struct cache *cache, uint32_t slot) {
    uint32_t mask = cache->slot_count - 1;
    for (uint32_t next = (slot + 1) & mask; cache->slots[next].held; next = (next + 1) & mask) {
        uint32_t home = home_of(cache, cache->slots[next].item);
        if (((next - home) & mask) < ((next - slot) & mask))
            continue;
        cache->slots[slot] = cache->slots[next];
        slot = next;
    }
    cache->slots[slot].held = NULL;
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
    close_slot(cache, slot_of(cache, held->item));
    unlink_item(cache, held);
    cache->count--;
    cache->bytes -= held->size;
    free(held);
}

void cache_release(struct cache *cache) {
    while (cache->oldest)
        drop(cache, cache->oldest);
    free(cache->slots);
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
    struct cached_item *held = find(cache, item);
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
    struct cached_item *held = find(cache, item);
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
    size_t text = text_of(facts), size = sizeof(struct cached_item) + 2 * sizeof(struct cache_slot) + text;
    cache_drop(cache, item);
    while (cache->oldest && cache->bytes + size > cache->max_bytes)
        drop(cache, cache->oldest);
    if (cache->bytes + size > cache->max_bytes || (2 * (cache->count + 1) > cache->slot_count && !grow(cache)))
        return;
    struct cached_item *held = malloc(sizeof *held + text);
    if (!held)
        return;
    held->item = item;
    held->generation = cache->generations[partition_of(item, cache->partitions)];
    held->size = size;
    fill(held, facts);
    cache->slots[slot_of(cache, item)] = (struct cache_slot){item, held};
    link_newest(cache, held);
    cache->count++;
    cache->bytes += size;
}
