// SPDX-License-Identifier: MIT
// Merges the partitions' tops of a ranking into the top of the whole. Pure.
#pragma once
#include "base/bytes.h"

struct ranked {
    struct bytes id; // borrowed
    double value;    // higher is better
};

// Merges `count` lists, each sorted by value (higher first) and then by id (bytes), into at most `max` entries of
// `ret_list`; returns their number.
size_t merge_tops(const struct ranked *const *lists, const size_t *lengths, size_t count, struct ranked *ret_list,
                  size_t max);
