// SPDX-License-Identifier: MIT
// The top of the whole from the partitions' tops. Pure.
#pragma once
#include "base/bytes.h"

struct ranked {
    struct bytes id; // borrowed
    double value;    // higher is better
};

// Merges `count` lists, each with higher values first and equal ones by id (bytes), into at most `most` of `ret_list`;
// returns how many.
size_t merge_tops(const struct ranked *const *lists, const size_t *lengths, size_t count, struct ranked *ret_list,
                  size_t max);
