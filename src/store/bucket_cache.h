// SPDX-License-Identifier: MIT
// Remembers how many voter buckets items have. It is a guess: a script or a read that finds another number is tried
// again with the right one. An item that is not in the cache is guessed to have none (its voters are in its record), as
// nearly all items have.
#pragma once
#include "model/names.h"

struct bucket_cache;

struct bucket_cache *bucket_cache_new(void);
void bucket_cache_free(struct bucket_cache *bucket_cache);
uint32_t bucket_cache_get(const struct bucket_cache *bucket_cache, ref_t item);
void bucket_cache_set(struct bucket_cache *bucket_cache, ref_t item, uint32_t buckets);
