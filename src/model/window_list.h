// SPDX-License-Identifier: MIT
// From the members of a window's sets to its list: each item once, best first, and whether something may be missing.
// Pure. The rule that it rests on is in period_ranking.h: an item in none of the sets is worth at most `left_out`.
// serve/window_snapshot.c reads the sets and counts the members; serve/list.c applies rules and asks the last question.
#pragma once
#include "base/bytes.h"
#include "model/names.h"

struct window_member {
    ref_t item;
    double value;
    struct bytes id;
};

// Leaves each item once, and puts those of a partition together. Returns how many are left.
size_t window_members_once(struct window_member *members, size_t count, uint32_t partitions);
// Drops those without a value; sorts by value, higher first, then by id. Returns how many are left: at most `max`. What
// is cut off raises *left_out.
size_t window_members_best(struct window_member *members, size_t count, size_t max, double *left_out);
// Whether no other item can belong into a list. `last`: what its last place is worth, if it is `full`. A list that is
// not is exact only if nothing at all was left out.
bool window_list_exact(bool full, double last, double left_out);
