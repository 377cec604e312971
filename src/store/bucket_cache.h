// SPDX-License-Identifier: MIT
// How many voter buckets an item has, as far as this process remembers: a guess that Redis puts right (RETRY).
// Direct-mapped and bounded; an item that is not there is taken to have none (its voters stand in the item), as nearly
// all have.
#pragma once
#include "model/names.h"

struct bucket_cache;

struct bucket_cache *bucket_cache_new(void);
void bucket_cache_free(struct bucket_cache *bucket_cache);
uint32_t bucket_cache_get(const struct bucket_cache *bucket_cache, ref_t item);
void bucket_cache_set(struct bucket_cache *bucket_cache, ref_t item, uint32_t buckets);
