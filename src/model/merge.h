// SPDX-License-Identifier: MIT
// The top of the whole from the partitions' tops. Pure.
#pragma once
#include "base/bytes.h"

struct ranked {
    struct bytes id; // borrowed
    double value;    // higher is better
};

// Higher value first, equal ones by id (bytes). For qsort.
int ranked_cmp(const void *a, const void *b);
// Merges `count` lists, each in that order, into at most `most` of `ret_list`; returns how many.
size_t merge_tops(const struct ranked *const *lists, const size_t *lengths, size_t count, struct ranked *ret_list,
                  size_t most);
