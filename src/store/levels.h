// SPDX-License-Identifier: MIT
// How many voter buckets an item has, as far as this process remembers: a guess that Redis puts right (RETRY).
// Direct-mapped and bounded; an item that is not there is taken to have none (its voters stand in the item), as nearly
// all have.
#pragma once
#include "model/names.h"

struct levels;

struct levels *levels_new(void);
void levels_free(struct levels *levels);
uint32_t levels_get(const struct levels *levels, ref_t item);
void levels_set(struct levels *levels, ref_t item, uint32_t buckets);
