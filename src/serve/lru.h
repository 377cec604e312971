// SPDX-License-Identifier: MIT
// Things that are kept in memory within one bound of bytes: one list, by last use. body_cache.c
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct serve;

struct kept {
    struct kept *newer, *older;
    size_t bytes;
    void (*free)(struct kept *kept);
    bool busy; // in flight or waited for: must stay
};
void lru_add(struct serve *serve, struct kept *kept, size_t bytes);
void lru_use(struct serve *serve, struct kept *kept);
void lru_resize(struct serve *serve, struct kept *kept, size_t bytes);
void lru_trim(struct serve *serve); // drops the longest unused until the bound is met
void lru_drop_all(struct serve *serve);
