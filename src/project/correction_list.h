// SPDX-License-Identifier: MIT
// A growing list of corrections with their texts, bounded in both.
#pragma once
#include "project/correction.h"
#include <stddef.h>

struct corrections {
    struct correction *at;
    size_t count, capacity;
    struct arena texts;
};

void corrections_init(struct corrections *list, size_t texts_max);
void corrections_clear(struct corrections *list);
void corrections_release(struct corrections *list);
// A copy, texts too; false without room for it.
bool corrections_add(struct corrections *list, const struct correction *correction);
// Publishers' first, then those that were asked for first; of the same one, its record as done last.
void corrections_sort(struct corrections *list);
