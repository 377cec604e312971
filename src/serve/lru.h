// SPDX-License-Identifier: MIT
// An LRU list: what the serve room caches is on one of two doubly linked lists, ordered by last use, each under a bound
// of bytes: bodies, ranking snapshots and editorial rules (`body_cache`); states and tables (`item_cache`). A struct
// that is to be cached begins with a struct lru_entry. lru_trim drops the entries that were not used for longest, by
// their own `free`. An entry that is among the newest quarter is not moved when it is used: a move touches its two
// neighbours, which are in no processor's cache.
#pragma once
#include "ops/metrics.h"
#include <stdbool.h>
#include <stddef.h>

struct lru_entry {
    struct lru_entry *newer, *older;
    size_t bytes;
    uint64_t moved; // the number of its last move
    void (*free)(struct lru_entry *entry);
    bool busy; // being refreshed or waited for: lru_trim leaves it
    bool last; // it goes before all others, so that many like it take no room from them
};
struct lru {
    struct lru_entry *newest, *oldest;
    uint64_t moves, count;            // of all entries; how many there are
    size_t bytes, bytes_max, trimmed; // trimmed: all bytes of which lru_trim has dropped the entries
    enum metric metric;               // a gauge of its bytes
};
void lru_add(struct lru *lru, struct lru_entry *entry, size_t bytes);
void lru_use(struct lru *lru, struct lru_entry *entry);
void lru_resize(struct lru *lru, struct lru_entry *entry, size_t bytes);
void lru_drop(struct lru *lru, struct lru_entry *entry);
void lru_trim(struct lru *lru); // drops entries until the bound is met, or all that remain are busy
void lru_drop_all(struct lru *lru);
