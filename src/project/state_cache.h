// SPDX-License-Identifier: MIT
// Busy states that need not be read again: what Redis holds of an item, as of the last version of its partition that
// this process knows. Bounded in bytes; the least recently used goes.
//
// A chunk's read always asks for the partition's version; what is here is current only while that is the one that the
// last commit of ours returned. Any other version makes all of the partition's entries stale at once (a new generation;
// they are dropped when they are met or are the oldest). Only items that are known are kept: all that changes those
// raises the version.
#pragma once
#include "store/projection.h"

struct cached_item;

struct cache {
    struct cached_item *items; // uthash, least recently used first
    size_t bytes, max_bytes;
    uint32_t partitions;
    uint64_t *versions;    // per partition: of which the entries are current
    uint32_t *generations; // per partition: of its current entries
};

bool cache_init(struct cache *cache, uint32_t partitions, size_t max_bytes); // 0 bytes: keeps nothing
void cache_release(struct cache *cache);
// The partition's version is now this one by our own commit (own), or was found so: entries of another are stale.
void cache_set_version(struct cache *cache, uint32_t partition, uint64_t version, bool own);
void cache_forget_all(struct cache *cache);
// Views live until the next put; NULL: not there. Counts as a use.
const struct partition_item *cache_find(struct cache *cache, ref_t item);
void cache_put(struct cache *cache, ref_t item, const struct partition_item *facts); // replaces; nothing without memory
void cache_drop(struct cache *cache, ref_t item);
