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
// Adds a copy, texts included. False when there is no room.
bool corrections_add(struct corrections *list, const struct correction *correction);
// Sorts: those of publishers first, then by time of request. Of two records of one correction the done one comes last.
void corrections_sort(struct corrections *list);
