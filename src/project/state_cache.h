// SPDX-License-Identifier: MIT
// The cache of busy states, which need not be read again: what Redis has of an item, as of the last version of its
// partition that this process knows. Bounded in bytes; the least recently used entry is dropped first.
//
// The read of a chunk always asks for the partition's version. The entries are current only while that is the version
// that our last commit returned. Another version makes all entries of the partition stale at once: the partition gets a
// new generation, and stale entries are dropped when they are found or are the oldest. Only known items are kept,
// because every script that changes a known item changes the version.
#pragma once
#include "model/ref_table.h"
#include "store/projection.h"

struct cached_item;

struct cache {
    struct ref_table table;              // of cached items
    struct cached_item *oldest, *newest; // by their last use
    size_t bytes, max_bytes;
    uint32_t partitions;
    uint64_t *versions;    // per partition: the version of which the entries are current
    uint32_t *generations; // per partition: the generation of its current entries
};

bool cache_init(struct cache *cache, uint32_t partitions, size_t max_bytes); // with 0 bytes it keeps nothing
void cache_release(struct cache *cache);
// Notes the partition's version, from our own commit (`own`) or from a read. Entries of another version become stale.
void cache_set_version(struct cache *cache, uint32_t partition, uint64_t version, bool own);
void cache_forget_all(struct cache *cache);
// The texts live until the next put. NULL: not there. Counts as a use.
const struct partition_item *cache_find(struct cache *cache, ref_t item);
void cache_put(struct cache *cache, ref_t item,
               const struct partition_item *facts); // replaces; without memory it keeps nothing
void cache_drop(struct cache *cache, ref_t item);
